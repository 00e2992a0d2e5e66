use super::*;
use crate::stack::checksum::Sum;
use crate::stack::udp::Socket;

const STRANGER: [u8; 6] = [2, 0, 0, 0, 0, 0x77];

/// An ARP packet from `about` to `to`: an answer or a question.
fn arp(kind: u8, mac: [u8; 6], about: [u8; 4], to: [u8; 4]) -> Vec<u8> {
    [&MACS[0][..], &mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, kind], &mac, &about, &MACS[0], &to].concat()
}

/// A message of neighbour discovery.
fn discovery(
    [kind, code]: [u8; 2],
    flags: u8,
    hops: u8,
    ends: [&str; 2],
    target: &str,
    option: &[u8],
) -> Vec<u8> {
    let [from, to] = ends.map(|text| text.parse::<core::net::Ipv6Addr>().unwrap());
    let target: core::net::Ipv6Addr = target.parse().unwrap();
    let mut message = [&[kind, code, 0, 0, flags, 0, 0, 0][..], &target.octets(), option].concat();
    let sum = Sum::default().pseudo_header(from.into(), to.into(), 58, message.len()).bytes(&message);
    message[2..4].copy_from_slice(&sum.checksum().to_be_bytes());
    let head = [0x86, 0xdd, 0x60, 0, 0, 0, 0, message.len() as u8, 58, hops];
    [&MACS[0][..], &STRANGER, &head, &from.octets(), &to.octets(), &message].concat()
}

impl Net {
    fn mac(&self, address: &str) -> Option<[u8; 6]> {
        self.a.inner.borrow_mut().mac_towards(ip(address), self.now).ok()
    }
}

#[test]
fn only_what_is_said_to_this_host_about_a_neighbour_is_believed() {
    let option = |kind: u8, mac: [u8; 6]| [&[kind, 1][..], &mac].concat();
    let (own, peer) = ("2001:db8:0:1::1", "2001:db8:0:1::7");
    let good = option(1, STRANGER);
    let all = "ff02::1";
    let ask = |hops, from, target, option: &[u8]| discovery([135, 0], 0, hops, [from, own], target, option);
    let says = |flags, to, option: &[u8]| discovery([136, 0], flags, 255, [peer, to], peer, option);
    let cases: &[(&str, bool, Vec<u8>)] = &[
        ("10.0.0.7", true, arp(1, STRANGER, [10, 0, 0, 7], [10, 0, 0, 1])),
        ("10.0.0.7", true, arp(2, STRANGER, [10, 0, 0, 7], [10, 0, 0, 1])),
        ("10.0.0.7", false, arp(3, STRANGER, [10, 0, 0, 7], [10, 0, 0, 1])),
        ("10.0.0.7", false, arp(2, STRANGER, [10, 0, 0, 7], [10, 0, 0, 3])),
        ("10.0.0.7", false, arp(2, [3, 0, 0, 0, 0, 7], [10, 0, 0, 7], [10, 0, 0, 1])),
        ("10.0.0.7", false, arp(2, STRANGER, [10, 0, 0, 7], [10, 0, 0, 1])[..41].to_vec()),
        (peer, true, ask(255, peer, own, &good)),
        (peer, false, ask(254, peer, own, &good)),
        (peer, false, discovery([135, 1], 0, 255, [peer, own], own, &good)),
        (peer, false, ask(255, peer, "2001:db8:0:1::3", &good)),
        (peer, false, ask(255, peer, own, &option(1, [3, 0, 0, 0, 0, 7]))),
        (peer, false, ask(255, peer, own, &option(2, STRANGER))),
        (peer, false, ask(255, peer, own, &[])),
        (peer, false, ask(255, peer, own, &[1, 0, 2, 0, 0, 0, 0, 1])),
        // Answers, which somebody asked for in each case: with and without the flag that overrides.
        (peer, true, says(0x60, own, &option(2, STRANGER))),
        (peer, true, says(0x40, own, &option(2, STRANGER))),
        (peer, false, says(0x60, all, &option(2, STRANGER))),
        (peer, false, says(0x60, own, &option(1, STRANGER))),
    ];
    for (i, (address, believed, frame)) in cases.iter().enumerate() {
        let net = Net::new(true);
        assert_eq!(net.mac(address), None);
        net.to[0].borrow_mut().push_back((frame.clone(), Offload::None));
        net.a.poll(net.now);
        assert_eq!(net.mac(address), believed.then_some(STRANGER), "case {i}");
        // A wrong checksum, or an ARP packet about nothing that matters.
        let net = Net::new(true);
        assert_eq!(net.mac(address), None);
        let mut damaged = frame.clone();
        let at = if damaged[12] == 8 { 15 } else { 56 };
        damaged[at] ^= 0x10;
        net.to[0].borrow_mut().push_back((damaged, Offload::None));
        net.a.poll(net.now);
        assert_eq!(net.mac(address), None, "case {i}, damaged");
    }
}

#[test]
fn what_nobody_asked_for_is_no_answer_and_does_not_take_a_known_ones_place() {
    let (own, peer) = ("2001:db8:0:1::1", "2001:db8:0:1::7");
    let says =
        |flags, mac: u8| discovery([136, 0], flags, 255, [peer, own], peer, &[2, 1, 2, 0, 0, 0, 0, mac]);
    let net = Net::new(true);
    let come = |frame: Vec<u8>| {
        net.to[0].borrow_mut().push_back((frame, Offload::None));
        net.a.poll(net.now);
    };
    come(says(0x60, 1));
    assert_eq!(net.mac(peer), None);
    come(says(0x40, 2));
    assert_eq!(net.mac(peer), Some([2, 0, 0, 0, 0, 2]));
    come(says(0x40, 3));
    assert_eq!(net.mac(peer), Some([2, 0, 0, 0, 0, 2]));
    come(says(0x60, 4));
    assert_eq!(net.mac(peer), Some([2, 0, 0, 0, 0, 4]));
    // Nobody else has this host's addresses, or a group's.
    for address in [[10, 0, 0, 1], [10, 0, 0, 255], [224, 0, 0, 1], [127, 0, 0, 1], [0; 4], [10, 1, 0, 1]] {
        let before = net.a.inner.borrow().neighbours.len();
        come(arp(2, STRANGER, address, [10, 0, 0, 1]));
        assert_eq!(net.a.inner.borrow().neighbours.len(), before);
    }
}

#[test]
fn a_neighbour_is_asked_again_when_its_answer_is_a_minute_old() {
    let mut net = Net::new(true);
    let server = Socket::new(&net.b.clone(), at("[::]:53"));
    let client = Socket::new(&net.a.clone(), at("[::]:4000"));
    let mut buffer = [0; 16];
    let questions = |net: &Net| {
        let asks = |frame: &[u8]| frame[12..14] == [8, 6] || frame.get(54) == Some(&135);
        net.to[1].borrow().iter().filter(|(frame, _)| asks(frame)).count()
    };
    for to in ["10.0.0.2:53", "[2001:db8:0:1::2]:53"] {
        for (after, asks) in [(0, 1), (1, 0), (50, 0), (20, 1), (1, 0)] {
            net.pass(Duration::from_secs(after));
            net.until(|c| client.poll_send(c, b"hello", at(to))).unwrap();
            assert_eq!(questions(&net), asks, "{to} {after}");
            assert_eq!(net.until(|c| server.poll_receive(c, &mut buffer)).0, 5);
        }
    }
}

#[test]
fn datagrams_wait_for_their_neighbour_in_order_and_others_pass_them() {
    let mut net = Net::new(true);
    let server = Socket::new(&net.b.clone(), at("0.0.0.0:53"));
    let client = Socket::new(&net.a.clone(), at("0.0.0.0:4000"));
    let mut buffer = [0; 2000];
    net.until(|c| client.poll_send(c, b"first", at("10.0.0.2:53"))).unwrap();
    assert_eq!(net.until(|c| server.poll_receive(c, &mut buffer)).0, 5);
    for i in 0..31 {
        net.until(|c| client.poll_send(c, &[i], at("10.0.0.99:53"))).unwrap();
    }
    net.until(|c| client.poll_send(c, b"passes", at("10.0.0.2:53"))).unwrap();
    assert_eq!(net.until(|c| server.poll_receive(c, &mut buffer)).0, 6);
    net.until(|c| client.poll_send(c, &[31], at("10.0.0.99:53"))).unwrap();
    // The queue is full until the neighbour answers.
    let context = Context::from_waker(Waker::noop());
    assert!(client.poll_send(&context, b"more", at("10.0.0.99:53")).is_pending());
    net.to[1].borrow_mut().clear();
    let answer = arp(2, STRANGER, [10, 0, 0, 99], [10, 0, 0, 1]);
    net.to[0].borrow_mut().push_back((answer, Offload::None));
    net.a.poll(net.now);
    let sent: Vec<u8> = net.to[1].borrow().iter().map(|(frame, _)| frame[42]).collect();
    assert!(sent.iter().copied().eq(0..32), "{sent:?}");
    assert!(net.to[1].borrow().iter().all(|(frame, _)| frame[..6] == STRANGER));
    assert_eq!(net.until(|c| client.poll_send(c, b"more", at("10.0.0.99:53"))), Ok(4));
}

#[test]
fn groups_and_broadcasts_go_to_their_macs_and_nowhere_is_an_error() {
    let mut net = Net::new(true);
    let client = Socket::new(&net.a.clone(), at("[::]:4000"));
    for (to, mac) in [
        ("255.255.255.255:9", [0xff; 6]),
        ("10.0.0.255:9", [0xff; 6]),
        ("224.129.2.3:9", [1, 0, 0x5e, 1, 2, 3]),
        ("[ff02::1:2]:9", [0x33, 0x33, 0, 1, 0, 2]),
    ] {
        assert_eq!(net.until(|c| client.poll_send(c, b"all", at(to))), Ok(3));
        let frame = net.to[1].borrow_mut().pop_front().unwrap().0;
        assert_eq!(frame[..6], mac);
    }
    for (to, error) in [
        ("10.7.0.1:9", Errno::ENETUNREACH),
        ("[2001:db8:9::1]:9", Errno::ENETUNREACH),
        ("10.0.0.2:0", Errno::EINVAL),
    ] {
        assert_eq!(net.until(|c| client.poll_send(c, b"x", at(to))), Err(error));
    }
}

#[test]
fn a_datagram_beyond_the_network_goes_to_the_router() {
    let told = nic(&[Address::V4([10, 0, 0, 1], 24)], &[Address::V4([10, 0, 0, 2], 0)]);
    let mut net = Net::with([told, fixed(2)], true, 256);
    let client = Socket::new(&net.a.clone(), at("0.0.0.0:4000"));
    net.until(|c| client.poll_send(c, b"far", at("192.0.2.1:53"))).unwrap();
    net.a.poll(net.now);
    net.b.poll(net.now);
    net.a.poll(net.now);
    let (frame, _) = net.to[1].borrow_mut().pop_front().unwrap();
    assert!(frame[..6] == MACS[1] && frame[30..34] == [192, 0, 2, 1]);
}

#[test]
fn a_flood_of_neighbours_takes_bounded_memory_and_the_oldest_goes() {
    let mut net = Net::with([nic(&[Address::V4([10, 0, 0, 1], 8)], &[]), fixed(2)], true, 100_000);
    for i in 0..5000u16 {
        let [high, low] = i.to_be_bytes();
        net.now = net.now + Duration::from_millis(1);
        let frame = arp(1, [2, 0, 0, 0, high, low], [10, 1, high, low], [10, 0, 0, 1]);
        net.to[0].borrow_mut().push_back((frame, Offload::None));
        net.a.poll(net.now);
    }
    assert_eq!(net.a.inner.borrow().neighbours.len(), 256);
    // Just learnt ones are not driven out by questions.
    assert!(net.mac("10.1.18.135").is_none());
    assert!(net.mac("10.1.18.136").is_some() && net.mac("10.1.19.135").is_some());
    assert_eq!(net.a.inner.borrow().neighbours.len(), 256);
}
