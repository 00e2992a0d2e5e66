use super::*;
use crate::stack::{checksum::Sum, slaac};
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress};

/// Takes the frames that a has sent.
fn sent(net: &Net) -> Vec<Vec<u8>> {
    let frames = core::mem::take(&mut *net.to[1].borrow_mut());
    frames.into_iter().map(|(frame, _)| frame).collect()
}

fn automatic() -> Net {
    Net::with([nic(&[], &[]), fixed(1)], false, 64)
}

/// A DHCP server's reply to the message in `frame`, as a frame for everybody.
fn reply(frame: &[u8], kind: DhcpMessageType) -> Vec<u8> {
    let packet = DhcpPacket::new_checked(&frame[42..]).unwrap();
    let asked = DhcpRepr::parse(&packet).unwrap();
    let (server, yours) = ([10, 0, 0, 1].into(), [10, 0, 0, 50].into());
    let repr = DhcpRepr {
        message_type: kind,
        transaction_id: asked.transaction_id,
        secs: 0,
        client_hardware_address: EthernetAddress(MACS[0]),
        client_ip: [0; 4].into(),
        your_ip: yours,
        server_ip: server,
        router: Some(server),
        subnet_mask: Some([255, 255, 255, 0].into()),
        relay_agent_ip: [0; 4].into(),
        broadcast: false,
        requested_ip: None,
        client_identifier: None,
        server_identifier: Some(server),
        parameter_request_list: None,
        dns_servers: None,
        max_size: None,
        lease_duration: Some(600),
        renew_duration: None,
        rebind_duration: None,
        additional_options: &[],
    };
    let mut payload = alloc::vec![0; repr.buffer_len()];
    repr.emit(&mut DhcpPacket::new_unchecked(&mut payload[..])).unwrap();
    let ends = crate::stack::build::Ends {
        from_mac: MACS[1],
        to_mac: [0xff; 6],
        from: at("10.0.0.1:67"),
        to: at("255.255.255.255:68"),
    };
    let mut frame = alloc::vec![0; ends.datagram_length(payload.len())];
    ends.write_datagram(&mut frame, &payload, false);
    frame
}

fn kind(frame: &[u8]) -> Option<DhcpMessageType> {
    if frame.get(12..14)? != [8, 0] || frame.get(36..38)? != [0, 67] {
        return None;
    }
    Some(DhcpRepr::parse(&DhcpPacket::new_checked(&frame[42..]).ok()?).ok()?.message_type)
}

/// Serves DHCP until a has asked `times` times for its lease.
fn serve_dhcp(net: &mut Net, times: usize) {
    let mut requests = 0;
    while requests < times {
        let (_, next) = net.a.poll(net.now);
        let mut quiet = true;
        for frame in sent(net) {
            let answered = match kind(&frame) {
                Some(DhcpMessageType::Discover) => DhcpMessageType::Offer,
                Some(DhcpMessageType::Request) => {
                    requests += 1;
                    DhcpMessageType::Ack
                }
                // The server's machine answers when it is looked for.
                _ => {
                    net.to[1].borrow_mut().push_back((frame, Offload::None));
                    net.b.poll(net.now);
                    quiet = false;
                    continue;
                }
            };
            assert!(frame.windows(9).any(|w| w == b"\x0c\x07kernlet"));
            quiet = false;
            net.to[0].borrow_mut().push_back((reply(&frame, answered), Offload::None));
        }
        if quiet {
            assert!(next.unwrap() > net.now);
            net.now = next.unwrap();
        }
    }
    net.a.poll(net.now);
    net.a.poll(net.now);
}

#[test]
fn a_lease_gives_address_and_router_is_renewed_and_ends() {
    let mut net = automatic();
    assert!(!net.a.inner.borrow().config.is_configured());
    serve_dhcp(&mut net, 1);
    let interface = net.a.interface();
    assert!(interface.addresses.contains(&(ip("10.0.0.50"), 24)));
    assert_eq!(interface.routers, [ip("10.0.0.1")]);
    assert!(net.a.is_own(ip("10.0.0.50")) && net.a.inner.borrow().leads_to(ip("192.0.2.1")));
    let before = net.now;
    serve_dhcp(&mut net, 1);
    let after = net.now.since(before).as_secs();
    assert!((290..=310).contains(&after), "renewed after {after} s");
    // Nobody renews it: it ends, and the stack asks anew.
    let end = net.now + Duration::from_secs(700);
    while net.now < end {
        let (_, next) = net.a.poll(net.now);
        sent(&net);
        net.now = next.unwrap();
    }
    assert!(!net.a.is_own(ip("10.0.0.50")));
    serve_dhcp(&mut net, 1);
    assert!(net.a.is_own(ip("10.0.0.50")));
}

/// A router advertisement for 2001:db8:0:1::/64, as a frame.
fn advertisement() -> Vec<u8> {
    let router: [u8; 16] = slaac::link_local(MACS[1]).octets();
    let all: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let mut message = alloc::vec![134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&[3, 4, 64, 0xc0, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 0, 0]);
    message.extend_from_slice(&NET);
    message.extend_from_slice(&[0; 2]);
    let length = message.len();
    let sum = Sum::default()
        .pseudo_header(IpAddr::V6(router.into()), IpAddr::V6(all.into()), 58, length)
        .bytes(&message)
        .checksum();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = alloc::vec![0x33, 0x33, 0, 0, 0, 1];
    frame.extend_from_slice(&MACS[1]);
    frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, length as u8, 58, 255]);
    frame.extend_from_slice(&router);
    frame.extend_from_slice(&all);
    frame.extend_from_slice(&message);
    frame
}

#[test]
fn a_router_is_solicited_and_its_prefix_becomes_an_address() {
    let mut net = automatic();
    net.a.poll(net.now);
    let solicited = sent(&net).into_iter().any(|f| f[12..14] == [0x86, 0xdd] && f[54] == 133);
    assert!(solicited);
    net.to[0].borrow_mut().push_back((advertisement(), Offload::None));
    net.a.poll(net.now);
    let own = ip("2001:db8:0:1:0:ff:fe00:a");
    assert!(net.a.is_own(own));
    assert_eq!(net.a.interface().routers, [IpAddr::V6(slaac::link_local(MACS[1]))]);
    // Who is on the link reaches the new address.
    let server = crate::stack::udp::Socket::new(&net.a.clone(), at("[::]:53"));
    let client = crate::stack::udp::Socket::new(&net.b.clone(), at("[::]:4000"));
    net.until(|c| client.poll_send(c, b"hi", SocketAddr::new(own, 53))).unwrap();
    let mut buffer = [0; 8];
    let (_, peer) = net.until(|c| server.poll_receive(c, &mut buffer));
    assert_eq!(peer, at("[2001:db8:0:1::1]:4000"));
}

#[test]
fn without_any_server_or_router_the_stack_rests_between_its_attempts() {
    let mut net = automatic();
    let (start, mut polls) = (net.now, 0);
    while net.now.since(start) < Duration::from_secs(600) {
        let (busy, next) = net.a.poll(net.now);
        assert!(!busy);
        sent(&net);
        net.now = next.unwrap();
        polls += 1;
    }
    assert!(polls < 200, "{polls} polls in ten minutes");
}

#[test]
fn fixed_addresses_are_all_that_is_used() {
    let gateways = [Address::V4([10, 0, 0, 254], 0), Address::V6([0xfe; 16], 0)];
    let told = nic(&[Address::V4([10, 0, 0, 1], 24), Address::V4([224, 0, 0, 1], 24)], &gateways);
    let mut net = Net::with([told, fixed(2)], true, 64);
    assert_eq!(net.settle(), None);
    let interface = net.a.interface();
    let wanted = [(IpAddr::V6(slaac::link_local(MACS[0])), 64), (ip("10.0.0.1"), 24)];
    assert_eq!(interface.addresses, wanted);
    assert_eq!(interface.routers.len(), 2);
}
