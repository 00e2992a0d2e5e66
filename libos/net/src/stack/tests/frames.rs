use super::*;
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
        let length = if to.is_ipv4() { 3000 } else { 100 };
        let sent = net.until(|c| client.poll_send(c, &alloc::vec![9; length], SocketAddr::new(to, 53)));
        assert_eq!(sent, Ok(length));
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

/// An ICMP echo request over IPv4 from `source`, with the given payload.
fn echo(source: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let from = SocketAddr::from((source, 0x0800));
    let ends = crate::stack::build::Ends { from_mac: MACS[0], to_mac: MACS[1], from, to: at("10.0.0.2:0") };
    let mut frame = alloc::vec![0; ends.datagram_length(payload.len())];
    ends.write_datagram(&mut frame, payload, false);
    // The UDP header becomes an ICMP one.
    frame[23] = 1;
    frame[24..26].fill(0);
    let sum = crate::stack::checksum::Sum::default().bytes(&frame[14..34]).checksum();
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
    frame[34..42].copy_from_slice(&[8, 0, 0, 0, 0, 1, 0, 1]);
    let sum = crate::stack::checksum::Sum::default().bytes(&frame[34..]).checksum();
    frame[36..38].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn a_large_echo_request_in_fragments_is_answered_in_fragments() {
    let mut net = Net::new(true);
    let client = Socket::new(&net.a.clone(), at("[::]:4000"));
    net.until(|c| client.poll_send(c, b"x", at("10.0.0.2:9"))).unwrap();
    net.settle();
    net.to[0].borrow_mut().clear();
    let whole = echo([10, 0, 0, 1], &[3; 2000]);
    for (from, to, flags) in [(34, 34 + 1024, [0x20, 0]), (34 + 1024, whole.len(), [0, 128])] {
        let mut frame = [&whole[..34], &whole[from..to]].concat();
        let length = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&length.to_be_bytes());
        frame[20..22].copy_from_slice(&flags);
        frame[24..26].fill(0);
        let sum = crate::stack::checksum::Sum::default().bytes(&frame[14..34]).checksum();
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
        net.to[1].borrow_mut().push_back((frame, Offload::None));
    }
    net.b.poll(net.now);
    let replies = core::mem::take(&mut *net.to[0].borrow_mut());
    assert_eq!(replies.len(), 2);
    assert_eq!(replies.iter().map(|(frame, _)| frame.len() - 34).sum::<usize>(), 2008);
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
