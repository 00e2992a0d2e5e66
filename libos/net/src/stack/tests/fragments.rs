use super::*;
use crate::stack::build::Ends;
use crate::stack::fragments::Assembler;
use crate::stack::packet::{Packet, TCP, UDP};
use crate::stack::udp::Socket;
use proptest::prelude::*;

const PEERS: [(&str, &str); 2] =
    [("10.0.0.1:4000", "10.0.0.2:53"), ("[2001:db8:0:1::1]:4000", "[2001:db8:0:1::2]:53")];

fn ends(six: bool) -> Ends {
    let (from, to) = PEERS[usize::from(six)];
    Ends { from_mac: MACS[0], to_mac: MACS[1], from: at(from), to: at(to) }
}

/// A fragment of `packet`, what is behind its IP header.
fn fragment(ends: &Ends, protocol: u8, id: u32, packet: &[u8], start: usize, end: usize) -> Vec<u8> {
    let data = &packet[start..end];
    let mut frame = alloc::vec![0; packet::ETHERNET + ends.fragment_headers() + data.len()];
    ends.write_fragment(&mut frame, protocol, id, start, end < packet.len(), data);
    frame
}

fn take(assembler: &mut Assembler, frame: &[u8], now: Instant) -> Option<Vec<u8>> {
    match packet::parse(frame, MACS[1], Offload::None, true) {
        Some(Packet::Fragment(fragment)) => assembler.take(frame, &fragment, now),
        other => panic!("no fragment: {other:?}"),
    }
}

fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 253) as u8).collect()
}

/// The payload of a whole datagram.
fn datagram(frame: &[u8]) -> &[u8] {
    match packet::parse(frame, MACS[1], Offload::None, true) {
        Some(Packet::Udp(datagram)) => &frame[datagram.payload],
        other => panic!("no datagram: {other:?}"),
    }
}

proptest! {
    #[test]
    fn fragments_of_any_sizes_in_any_order_some_of_them_doubled_make_the_datagram_once(
        six in any::<bool>(),
        sizes in proptest::collection::vec(1..40usize, 1..60),
        last in 1..8usize,
        order in any::<u64>(),
        doubled in proptest::collection::vec(any::<prop::sample::Index>(), 0..10),
    ) {
        let ends = ends(six);
        let length = sizes.iter().sum::<usize>() * 8 + last;
        let packet = ends.datagram(&payload(length.max(9) - 8));
        let mut frames = Vec::new();
        let mut start = 0;
        for size in &sizes {
            let end = (start + size * 8).min(packet.len());
            frames.push(fragment(&ends, UDP, 7, &packet, start, end));
            start = end;
        }
        if start < packet.len() {
            frames.push(fragment(&ends, UDP, 7, &packet, start, packet.len()));
        }
        let whole_at_once = frames.len() == 1;
        let mut random = order;
        for i in (1..frames.len()).rev() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            frames.swap(i, (random >> 33) as usize % (i + 1));
        }
        let count = frames.len();
        // A second one right behind the first, before the packet is whole.
        let mut twice: Vec<usize> = doubled.iter().map(|index| index.index(count)).collect();
        twice.retain(|i| i + 1 < count);
        let (mut assembler, now, mut whole) = (Assembler::default(), Instant::now(), Vec::new());
        for (i, frame) in frames.iter().enumerate() {
            for _ in 0..=twice.iter().filter(|&&t| t == i).count() {
                whole.extend(take(&mut assembler, frame, now));
            }
        }
        prop_assert!(!whole_at_once || count == 1);
        prop_assert_eq!(whole.len(), 1);
        prop_assert_eq!(datagram(&whole[0]), &payload(length.max(9) - 8)[..]);
        prop_assert_eq!(assembler.held(), (0, 0));
    }

    #[test]
    fn no_fragments_make_a_packet_of_bytes_that_did_not_come(
        pieces in proptest::collection::vec((0..40usize, 1..40usize, any::<bool>(), 0..3u32), 1..80),
        six in any::<bool>(),
    ) {
        let ends = ends(six);
        let (mut assembler, now) = (Assembler::default(), Instant::now());
        let packet = alloc::vec![0xee; 1000];
        for (start, length, more, id) in pieces {
            let (start, end) = (start * 8, start * 8 + length * 8);
            if start == 0 && !more && !six {
                // No fragment.
                continue;
            }
            let packet = if more { &packet[..] } else { &packet[..end] };
            if let Some(whole) = take(&mut assembler, &fragment(&ends, UDP, id, packet, start, end), now) {
                let headers = packet::ETHERNET + ends.ip_header();
                prop_assert!(whole.len() > headers && whole[headers..].iter().all(|byte| *byte == 0xee));
            }
            prop_assert!(assembler.held().0 <= 3);
        }
    }
}

#[test]
fn a_packet_whose_fragments_overlap_or_disagree_on_its_end_is_dropped_whole() {
    for six in [false, true] {
        let ends = ends(six);
        let packet = ends.datagram(&payload(4000));
        let short = &packet[..3000];
        let bad = [
            // Over the end of the first, over the beginning of the second, within it, and around it.
            fragment(&ends, UDP, 1, &packet, 992, 1200),
            fragment(&ends, UDP, 1, &packet, 1992, 2016),
            fragment(&ends, UDP, 1, &packet, 2008, 2016),
            fragment(&ends, UDP, 1, &packet, 1992, 2808),
            // In the place of another, with other bytes.
            fragment(&ends, UDP, 1, &alloc::vec![1; 4008], 0, 1000),
            // A last one before what has come, and one that ends elsewhere.
            fragment(&ends, UDP, 1, &short[..1800], 1000, 1800),
        ];
        for bad in bad {
            let (mut assembler, now) = (Assembler::default(), Instant::now());
            assert_eq!(take(&mut assembler, &fragment(&ends, UDP, 1, &packet, 0, 1000), now), None);
            assert_eq!(take(&mut assembler, &fragment(&ends, UDP, 1, &packet, 2000, 2800), now), None);
            assert_eq!(assembler.held(), (1, 1800));
            assert_eq!(take(&mut assembler, &bad, now), None);
            assert_eq!(assembler.held(), (0, 0));
            for (start, end) in [(1000, 2000), (2800, 4008)] {
                assert_eq!(take(&mut assembler, &fragment(&ends, UDP, 1, &packet, start, end), now), None);
            }
        }
        for bad in [fragment(&ends, UDP, 1, &packet, 3000, 3008), fragment(&ends, UDP, 1, short, 2000, 3000)]
        {
            let (mut assembler, now) = (Assembler::default(), Instant::now());
            assert_eq!(take(&mut assembler, &fragment(&ends, UDP, 1, short, 2400, 3000), now), None);
            assert_eq!(take(&mut assembler, &bad, now), None);
            assert_eq!(assembler.held(), (0, 0));
        }
    }
}

#[test]
fn fragments_of_different_packets_are_kept_apart() {
    let now = Instant::now();
    for six in [false, true] {
        let (ends, mut assembler) = (ends(six), Assembler::default());
        let packet = ends.datagram(&payload(2000));
        let mut other = ends;
        other.from.set_ip(ip(if six { "2001:db8:0:1::7" } else { "10.0.0.7" }));
        assert_eq!(take(&mut assembler, &fragment(&ends, UDP, 1, &packet, 0, 1000), now), None);
        for second in [(&ends, 2), (&other, 1)] {
            let frame = fragment(second.0, UDP, second.1, &packet, 1000, 2008);
            assert_eq!(take(&mut assembler, &frame, now), None);
        }
        let whole = take(&mut assembler, &fragment(&ends, UDP, 1, &packet, 1000, 2008), now).unwrap();
        assert_eq!(datagram(&whole), payload(2000));
    }
}

#[test]
fn a_fragment_that_cannot_be_is_dropped() {
    for six in [false, true] {
        let (ends, now) = (ends(six), Instant::now());
        let long = alloc::vec![0; 70_000];
        let bad = |frame: &[u8]| {
            let Some(packet) = packet::parse(frame, MACS[1], Offload::None, true) else { return };
            let Packet::Fragment(fragment) = packet else { panic!("{packet:?}") };
            let mut assembler = Assembler::default();
            assert_eq!(assembler.take(frame, &fragment, now), None);
            assert_eq!(assembler.held(), (0, 0));
        };
        // Beyond the longest packet, of no multiple of 8 bytes, without data, without the transport's header.
        bad(&fragment(&ends, UDP, 1, &long, 65_000, 66_000));
        bad(&fragment(&ends, UDP, 1, &long, 64_000, 65_528 + 8));
        bad(&fragment(&ends, UDP, 1, &long, 0, 1001));
        bad(&fragment(&ends, UDP, 1, &long, 8, 8));
        bad(&fragment(&ends, TCP, 1, &long, 0, 16));
        bad(&fragment(&ends, TCP, 1, &[0xff; 100], 0, 24));
        bad(&fragment(&ends, 47, 1, &long, 0, 800));
        let at = 14 + ends.fragment_headers();
        for length in 14..at + 1 {
            bad(&fragment(&ends, UDP, 1, &long, 0, 800)[..length]);
        }
    }
}

#[test]
fn what_stays_incomplete_is_dropped_after_half_a_minute() {
    let mut net = Net::new(true);
    let server = Socket::new(&net.b.clone(), at("[::]:53"));
    for six in [false, true] {
        let ends = ends(six);
        let packet = ends.datagram(&payload(2000));
        let late = fragment(&ends, UDP, 1, &packet, 1000, 2008);
        net.to[1].borrow_mut().push_back((fragment(&ends, UDP, 1, &packet, 0, 1000), Offload::None));
        net.pass(Duration::from_secs(29));
        assert_eq!(net.b.inner.borrow().fragments.held(), (1, 1000));
        net.pass(Duration::from_secs(2));
        assert_eq!(net.b.inner.borrow().fragments.held(), (0, 0));
        net.to[1].borrow_mut().push_back((late, Offload::None));
        net.settle();
        let mut buffer = [0; 4000];
        assert!(server.poll_receive(&Context::from_waker(Waker::noop()), &mut buffer).is_pending());
        net.pass(Duration::from_secs(31));
        // Nothing is left that would make the stack look again.
        assert_eq!(net.settle(), None);
    }
}

#[test]
fn a_flood_of_fragments_takes_bounded_memory_and_shuts_nobody_out() {
    let (mut assembler, now) = (Assembler::default(), Instant::now());
    for id in 0..10_000 {
        let ends = ends(id % 2 == 0);
        let long = alloc::vec![0; 65_400];
        let (start, end) = if id < 5000 { (0, 1000) } else { (8, 48 * 1024) };
        assert_eq!(take(&mut assembler, &fragment(&ends, UDP, id, &long, start, end), now), None);
        let (count, bytes) = assembler.held();
        assert!(count <= 16 && bytes <= 256 * 1024, "{count} {bytes}");
    }
    // The smallest pieces of one packet.
    let (ends, long) = (ends(true), alloc::vec![0; 65_400]);
    for piece in 0..4000 {
        let frame = fragment(&ends, UDP, 1 << 20, &long, piece * 16, piece * 16 + 8);
        assert_eq!(take(&mut assembler, &frame, now), None);
        assert!(assembler.held().1 <= 256 * 1024);
    }
    let mut alone = Assembler::default();
    for piece in 0..4000 {
        let frame = fragment(&ends, UDP, 1, &long, piece * 16, piece * 16 + 8);
        assert_eq!(take(&mut alone, &frame, now), None);
        assert!(alone.held().1 <= 512 * 8);
    }
    let packet = ends.datagram(&payload(2000));
    assert_eq!(take(&mut assembler, &fragment(&ends, UDP, 1 << 21, &packet, 0, 1000), now), None);
    let whole = take(&mut assembler, &fragment(&ends, UDP, 1 << 21, &packet, 1000, 2008), now);
    assert_eq!(datagram(&whole.unwrap()), payload(2000));
}

#[test]
fn a_lone_fragment_that_is_the_whole_datagram_is_taken() {
    let ends = ends(true);
    let packet = ends.datagram(&payload(20));
    let mut assembler = Assembler::default();
    // IPv4 has no such thing: it is no fragment.
    let whole = take(&mut assembler, &fragment(&ends, UDP, 1, &packet, 0, 28), Instant::now());
    assert_eq!(datagram(&whole.unwrap()), payload(20));
}

#[test]
fn fragments_that_are_not_for_this_host_are_not_kept() {
    let mut net = Net::new(true);
    for (six, to) in [(false, "10.0.0.3:53"), (true, "[2001:db8:0:1::3]:53")] {
        let ends = Ends { to: at(to), ..ends(six) };
        let packet = ends.datagram(&payload(2000));
        net.to[1].borrow_mut().push_back((fragment(&ends, UDP, 1, &packet, 0, 1000), Offload::None));
        net.settle();
        assert_eq!(net.b.inner.borrow().fragments.held(), (0, 0));
    }
}

#[test]
fn a_tcp_segment_in_fragments_is_taken() {
    for to in ["10.0.0.2:80", "[2001:db8:0:1::2]:80"] {
        let mut net = Net::new(true);
        // Such that checksums are filled in.
        net.faults.borrow_mut().damaged = 1;
        net.faults.borrow_mut().random = 1;
        let listener = crate::stack::listener::Listener::new(&net.b.clone(), at("[::]:80"));
        let (client, server) = net.connect(&listener, to);
        assert_eq!(net.until(|c| client.poll_write(c, &[7; 1000])), Ok(1000));
        net.a.poll(net.now);
        let (segment, offload) = net.to[1].borrow_mut().pop_front().unwrap();
        assert_eq!(offload, Offload::None);
        let ends = Ends { from: client.tuple().local, to: client.tuple().remote, ..ends(false) };
        let from = crate::stack::tests::ip(if ends.to.is_ipv4() { "10.0.0.1" } else { "2001:db8:0:1::1" });
        let ends = Ends { from: SocketAddr::new(from, ends.from.port()), ..ends };
        let packet = &segment[14 + ends.ip_header()..];
        for (start, end) in [(800, packet.len()), (0, 800)] {
            net.to[1].borrow_mut().push_back((fragment(&ends, TCP, 5, packet, start, end), Offload::None));
        }
        let mut buffer = [0; 2000];
        assert_eq!(net.until(|c| server.poll_read(c, &mut buffer)), Ok(1000));
        assert_eq!(buffer[..1000], [7; 1000]);
    }
}

#[test]
fn identifications_differ_from_packet_to_packet_and_tell_one_peer_nothing_of_another() {
    let mut net = Net::new(true);
    let client = Socket::new(&net.a.clone(), at("[::]:4000"));
    let mut ids = [const { Vec::new() }; 2];
    for i in 0..20 {
        let to = PEERS[i % 2].1;
        assert_eq!(net.until(|c| client.poll_send(c, &[0; 2000], at(to))), Ok(2000));
        // The neighbour has to be asked for.
        while net.to[1].borrow().iter().all(|(frame, _)| frame.len() < 500) {
            net.b.poll(net.now);
            net.a.poll(net.now);
        }
        let frames = core::mem::take(&mut *net.to[1].borrow_mut());
        let four = |frame: &[u8]| u32::from(u16::from_be_bytes([frame[18], frame[19]]));
        let six = |frame: &[u8]| u32::from_be_bytes(*frame[58..].first_chunk().unwrap());
        let large = frames.iter().filter(|(frame, _)| frame.len() > 500);
        let seen: Vec<u32> = large.map(|(f, _)| if i % 2 == 0 { four(f) } else { six(f) }).collect();
        assert!(seen.len() == 2 && seen[0] == seen[1], "{seen:x?}");
        assert!(!ids[i % 2].contains(&seen[0]));
        ids[i % 2].push(seen[0]);
    }
    assert_ne!(ids[0][0], ids[1][0] & 0xffff);
}

#[test]
fn what_finds_no_room_waits_within_bounds_and_is_given_up() {
    let mut net = Net::with([fixed(1), fixed(2)], true, 2);
    let server = Socket::new(&net.b.clone(), at("[::]:53"));
    let client = Socket::new(&net.a.clone(), at("[::]:4000"));
    for _ in 0..10 {
        net.until(|c| client.poll_send(c, b"long?", at("10.0.0.2:53"))).unwrap();
        net.settle();
    }
    net.to[0].borrow_mut().clear();
    // Nothing is taken off the link.
    let context = Context::from_waker(Waker::noop());
    let mut reply = alloc::vec![9; 40_000];
    for _ in 0..10 {
        let _ = server.poll_serve(&context, 1, &mut reply, |_, _, _| 40_000);
        net.to[0].borrow_mut().truncate(1);
    }
    let waiting = net.b.inner.borrow().outgoing.waiting();
    assert!((80_000..=128 * 1024).contains(&waiting), "{waiting}");
    let now = net.now;
    while net.b.poll(net.now).1.is_some() {
        net.b.poll(net.now);
        net.now = net.now + Duration::from_millis(5);
        assert!(net.now.since(now) < Duration::from_secs(4));
    }
    assert!(net.b.inner.borrow().outgoing.is_empty());
    assert!(net.now.since(now) >= Duration::from_secs(3));
}
