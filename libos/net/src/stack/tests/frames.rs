use super::*;
use crate::stack::build::Ends;
use crate::stack::checksum::Sum;
use crate::stack::listener::Listener;
use crate::stack::udp::Socket;
use proptest::prelude::*;

/// Frames that a well-behaved peer would send, to be damaged.
fn samples() -> Vec<Vec<u8>> {
    let mut net = Net::new(false);
    let listener = Listener::new(&net.b.clone(), at("[::]:80"));
    let server = Socket::new(&net.b.clone(), at("[::]:53"));
    let client = Socket::new(&net.a.clone(), at("[::]:4000"));
    let mut frames = Vec::new();
    let mut streams = Vec::new();
    for to in ["10.0.0.2", "2001:db8:0:1::2"] {
        let to = ip(to);
        streams.push(Stream::open(&net.a, ephemeral(), SocketAddr::new(to, 80)).unwrap());
        for length in [100, 3000] {
            let sent = net.until(|c| client.poll_send(c, &alloc::vec![9; length], SocketAddr::new(to, 53)));
            assert_eq!(sent, Ok(length));
        }
        for _ in 0..20 {
            net.a.poll(net.now);
            frames.extend(net.to[1].borrow().iter().map(|(frame, _)| frame.clone()));
            net.b.poll(net.now);
        }
    }
    drop((listener, server));
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_frame_stops_the_stack(
        junk in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..20),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..200),
        valid in any::<bool>(),
    ) {
        let mut net = Net::new(true);
        let listener = Listener::new(&net.b.clone(), at("[::]:80"));
        let server = Socket::new(&net.b.clone(), at("[::]:53"));
        let offload = if valid { Offload::Valid } else { Offload::None };
        let kinds: [&[u8]; 4] = [&[8, 0, 0x45], &[0x86, 0xdd, 0x60], &[8, 6, 0], &[]];
        for (i, tail) in junk.into_iter().enumerate() {
            let frame = [&MACS[1][..], &MACS[0], kinds[i % 4], &tail].concat();
            net.to[1].borrow_mut().push_back((frame, offload));
        }
        let samples = samples();
        for (which, place, byte) in changes {
            let mut frame = which.get(&samples).clone();
            let place = place.index(frame.len());
            frame[place] = byte;
            net.to[1].borrow_mut().push_back((frame, offload));
        }
        // A damaged frame may have told a wrong MAC address, which is believed for a minute.
        net.pass(Duration::from_secs(100));
        // It still serves.
        let context = Context::from_waker(Waker::noop());
        while listener.poll_accept(&context).is_ready() {}
        let mut reply = [0; 64];
        while server.poll_serve(&context, 64, &mut reply, |_, _, _| 0).is_ready() {}
        let stream = Stream::open(&net.a, ephemeral(), at("10.0.0.2:80")).unwrap();
        net.until(|c| stream.poll_connected(c)).unwrap();
    }
}

fn ends(source: &str, destination: &str) -> Ends {
    let [from, to] = [source, destination].map(|text| SocketAddr::new(ip(text), 0));
    Ends { from_mac: MACS[0], to_mac: MACS[1], from, to }
}

/// An ICMP message with a right checksum, behind its IP header.
fn icmp(ends: &Ends, kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, 0, 0, 0, 0, 1, 0, 1][..], payload].concat();
    let mut sum = Sum::default();
    if ends.to.is_ipv6() {
        sum = sum.pseudo_header(ends.from.ip(), ends.to.ip(), 58, message.len());
    }
    let sum = sum.bytes(&message).checksum();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// An ICMP echo request over IPv4 from `source`, with the given payload.
fn echo(source: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let ends = Ends { from: SocketAddr::from((source, 0)), ..ends("10.0.0.1", "10.0.0.2") };
    let message = icmp(&ends, 8, payload);
    let mut frame = alloc::vec![0; 34 + message.len()];
    ends.write_ip(&mut frame, 1);
    frame[34..].copy_from_slice(&message);
    frame
}

/// Puts a packet on the link to b, in fragments, the last one first.
fn send_in_fragments(net: &Net, ends: &Ends, protocol: u8, packet: &[u8]) {
    let pieces: Vec<_> = packet.chunks(1024).enumerate().collect();
    for (i, data) in pieces.iter().rev() {
        let mut frame = alloc::vec![0; 14 + ends.fragment_headers() + data.len()];
        ends.write_fragment(&mut frame, protocol, 77, i * 1024, i + 1 < pieces.len(), data);
        net.to[1].borrow_mut().push_back((frame, Offload::None));
    }
}

#[test]
fn a_large_echo_request_in_fragments_is_answered_in_fragments() {
    for (source, own, protocol, kinds) in
        [("10.0.0.1", "10.0.0.2", 1, [8, 0]), ("2001:db8:0:1::1", "2001:db8:0:1::2", 58, [128, 129])]
    {
        for (length, room) in [(2000, 256), (65_507, 256), (65_507, 16)] {
            let mut net = Net::with([fixed(1), fixed(2)], true, room);
            let to = ends(source, own);
            let payload: Vec<u8> = (0..length).map(|i| (i % 249) as u8).collect();
            send_in_fragments(&net, &to, protocol, &icmp(&to, kinds[0], &payload));
            // The other side has no use for the reply: what it would put together is looked at here.
            let (mut assembler, mut whole) = (crate::stack::fragments::Assembler::default(), None);
            while whole.is_none() {
                net.b.poll(net.now);
                net.now = net.now + Duration::from_millis(5);
                let replies = core::mem::take(&mut *net.to[0].borrow_mut());
                assert!(!replies.is_empty() && replies.len() <= room);
                for (frame, offload) in replies {
                    assert!(frame.len() <= 1514 && frame[..6] == MACS[0] && frame[6..12] == MACS[1]);
                    let Some(packet::Packet::Fragment(fragment)) =
                        packet::parse(&frame, MACS[0], offload, true)
                    else {
                        panic!("{frame:x?}")
                    };
                    assert!(whole.is_none());
                    whole = assembler.take(&frame, &fragment, net.now);
                }
            }
            let back = ends(own, source);
            assert!(whole.unwrap()[14 + back.ip_header()..] == icmp(&back, kinds[1], &payload));
            assert_eq!(net.b.inner.borrow().outgoing.deadline(net.now), None);
        }
    }
}

#[test]
fn what_is_no_echo_request_or_not_for_this_host_is_not_answered_in_fragments() {
    let payload = alloc::vec![5; 2000];
    for (source, own, protocol, kind) in [
        ("10.0.0.1", "10.0.0.2", 1, 0),
        ("10.0.0.1", "10.0.0.2", 1, 13),
        ("10.0.0.1", "10.0.0.255", 1, 8),
        ("10.0.0.255", "10.0.0.2", 1, 8),
        ("0.0.0.0", "10.0.0.2", 1, 8),
        ("10.0.0.1", "10.0.0.2", 58, 128),
        ("2001:db8:0:1::1", "2001:db8:0:1::2", 58, 129),
        // Neighbour discovery and routers' advertisements never come in fragments (RFC 6980).
        ("2001:db8:0:1::1", "2001:db8:0:1::2", 58, 135),
        ("fe80::1", "2001:db8:0:1::2", 58, 134),
        ("::", "2001:db8:0:1::2", 58, 128),
    ] {
        let net = Net::new(true);
        let ends = ends(source, own);
        send_in_fragments(&net, &ends, protocol, &icmp(&ends, kind, &payload));
        net.b.poll(net.now);
        assert_eq!(net.to[0].borrow().len(), 0, "{source} {own} {protocol} {kind}");
        // Nor one whose checksum is wrong.
        let mut message = icmp(&ends, if ends.to.is_ipv4() { 8 } else { 128 }, &payload);
        message[1000] ^= 1;
        send_in_fragments(&net, &ends, protocol, &message);
        net.b.poll(net.now);
        assert_eq!(net.to[0].borrow().len(), 0);
    }
}

#[test]
fn a_datagram_for_a_closed_port_is_refused_with_as_much_of_it_as_surely_arrives() {
    for (source, own, head, most) in
        [("10.0.0.1", "10.0.0.2", [3, 3], 576), ("2001:db8:0:1::1", "2001:db8:0:1::2", [1, 4], 1280)]
    {
        for length in [0, 100, 1400, 5000] {
            let net = Net::new(false);
            let there = ends(source, own);
            let (from, to) = (SocketAddr::new(ip(source), 4000), SocketAddr::new(ip(own), 9));
            let ports = Ends { from, to, ..there };
            let payload = alloc::vec![6; length];
            let datagram = ports.datagram(&payload);
            let mut original = alloc::vec![0; 14 + there.ip_header() + datagram.len()];
            there.write_ip(&mut original, 17);
            original[14 + there.ip_header()..].copy_from_slice(&datagram);
            if length > 1400 {
                send_in_fragments(&net, &there, 17, &datagram);
            } else {
                // Ethernet pads what is short.
                let padded = [&original[..], &[0xaa; 18]].concat();
                net.to[1].borrow_mut().push_back((padded, Offload::None));
            }
            net.b.poll(net.now);
            let (frame, _) = net.to[0].borrow_mut().pop_front().expect("an answer");
            let back = ends(own, source);
            let start = 14 + back.ip_header();
            assert!(frame.len() <= 14 + most && frame[..6] == MACS[0]);
            let quoted = &original[14..original.len().min(14 + most - back.ip_header() - 8)];
            assert_eq!(frame[start..start + 2], head);
            assert_eq!(frame[start + 8..], *quoted);
            let mut sum = Sum::default();
            if most == 1280 {
                sum = sum.pseudo_header(back.from.ip(), back.to.ip(), 58, frame.len() - start);
            }
            assert!(sum.bytes(&frame[start..]).is_right());
            // What goes to all is not refused.
            original[0] |= 1;
            net.to[1].borrow_mut().push_back((original, Offload::None));
            net.b.poll(net.now);
            assert!(net.to[0].borrow().is_empty());
        }
    }
}

#[test]
fn a_datagram_from_nobody_in_particular_is_not_refused() {
    for (source, answers) in [("10.0.0.1", 1), ("10.0.0.255", 0), ("0.0.0.0", 0)] {
        let net = Net::new(false);
        let there = ends(source, "10.0.0.2");
        let mut frame = alloc::vec![0; there.datagram_length(5)];
        there.write_datagram(&mut frame, b"hello", false);
        net.to[1].borrow_mut().push_back((frame, Offload::None));
        net.b.poll(net.now);
        assert_eq!(net.to[0].borrow().len(), answers, "{source}");
    }
}

#[test]
fn an_echo_request_is_answered_and_one_from_an_impossible_source_is_not() {
    let mut net = Net::new(true);
    // Lets b know where a is.
    let client = Socket::new(&net.a.clone(), at("[::]:4000"));
    net.until(|c| client.poll_send(c, b"x", at("10.0.0.2:9"))).unwrap();
    net.settle();
    for (source, answers) in [([10, 0, 0, 1], 1), ([127, 0, 0, 1], 0), ([224, 0, 0, 1], 0)] {
        net.to[1].borrow_mut().push_back((echo(source, b"ping"), Offload::None));
        net.b.poll(net.now);
        let replies = core::mem::take(&mut *net.to[0].borrow_mut());
        assert_eq!(replies.len(), answers);
        assert!(
            replies.iter().all(|(frame, _)| frame[23] == 1 && frame[34] == 0 && frame[42..46] == *b"ping")
        );
    }
}
