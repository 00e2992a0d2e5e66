use super::*;
use crate::stack::udp::Socket;

fn answer(query: &[u8], _: SocketAddr, reply: &mut [u8]) -> usize {
    reply[..query.len()].copy_from_slice(query);
    reply[0] ^= 0xff;
    query.len()
}

/// Lets the server take frames in until it has answered `count` datagrams.
fn serve(net: &mut Net, server: &Socket, count: usize, reply: &mut [u8]) {
    let mut served = 0;
    while served < count {
        net.until(|c| {
            server.poll_serve(c, 1, reply, |query, peer, reply| {
                served += 1;
                answer(query, peer, reply)
            })
        });
    }
}

#[test]
fn a_batch_server_answers_over_both_families_with_and_without_offload() {
    for checksums in [false, true] {
        let mut net = Net::new(checksums);
        let server = Socket::new(&net.b.clone(), at("[::]:53"));
        let client = Socket::new(&net.a.clone(), at("[::]:4000"));
        let mut reply = [0; 1400];
        for to in ["10.0.0.2:53", "[2001:db8:0:1::2]:53", "[fe80::ff:fe00:b]:53"] {
            for length in [1, 512, 1400] {
                let query = alloc::vec![7; length];
                assert_eq!(net.until(|c| client.poll_send(c, &query, at(to))), Ok(length));
                serve(&mut net, &server, 1, &mut reply);
                let mut buffer = [0; 2000];
                let (got, peer) = net.until(|c| client.poll_receive(c, &mut buffer));
                assert_eq!((got, peer, buffer[0]), (length, at(to), 7 ^ 0xff));
            }
        }
    }
}

#[test]
fn the_longest_datagrams_go_in_fragments_both_ways_over_links_of_any_room() {
    for (checksums, room) in [(false, 256), (true, 256), (true, 16), (false, 1)] {
        let mut net = Net::with([fixed(1), fixed(2)], checksums, room);
        let server = Socket::new(&net.b.clone(), at("[::]:53"));
        let client = Socket::new(&net.a.clone(), at("[::]:4000"));
        let (mut reply, mut buffer) = (alloc::vec![0; 65_535], alloc::vec![0; 65_535]);
        for (to, longest) in [("10.0.0.2:53", 65_507), ("[2001:db8:0:1::2]:53", 65_527)] {
            for length in [1464, 1465, 1472, 1473, 6000, longest] {
                let query: Vec<u8> = (0..length as u32).map(|i| (i % 251) as u8).collect();
                assert_eq!(net.until(|c| client.poll_send(c, &query, at(to))), Ok(length));
                serve(&mut net, &server, 1, &mut reply);
                let (got, peer) = net.until(|c| client.poll_receive(c, &mut buffer));
                assert!((got, peer) == (length, at(to)) && buffer[1..length] == query[1..]);
            }
            let too_long = net.until(|c| client.poll_send(c, &alloc::vec![0; longest + 1], at(to)));
            assert_eq!(too_long, Err(Errno::EMSGSIZE));
        }
        assert_eq!(net.b.inner.borrow().fragments.held(), (0, 0));
    }
}

#[test]
fn a_batch_server_answers_a_short_question_at_length() {
    for (to, longest) in [("10.0.0.2:53", 65_507), ("[2001:db8:0:1::2]:53", 65_527)] {
        let mut net = Net::with([fixed(1), fixed(2)], true, 16);
        let server = Socket::new(&net.b.clone(), at("[::]:53"));
        let client = Socket::new(&net.a.clone(), at("[::]:4000"));
        let (mut reply, mut buffer) = (alloc::vec![9; 70_000], alloc::vec![0; 70_000]);
        let context = Context::from_waker(Waker::noop());
        // What is too long for a datagram is not sent.
        for (length, comes) in [(1, true), (5000, true), (longest, true), (longest + 1, false)] {
            net.until(|c| client.poll_send(c, b"long?", at(to))).unwrap();
            let mut asked = false;
            while !asked {
                // The question is answered where it lies: it has not been queued.
                net.a.poll(net.now);
                let _ = server.poll_serve(&context, 1, &mut reply, |_, _, _| {
                    asked = true;
                    length
                });
            }
            if comes {
                let (got, _) = net.until(|c| client.poll_receive(c, &mut buffer));
                assert!(got == length && buffer[..got].iter().all(|&byte| byte == 9));
            } else {
                net.pass(Duration::from_secs(1));
                assert!(client.poll_receive(&context, &mut buffer).is_pending());
            }
        }
    }
}

#[test]
fn a_neighbour_that_does_not_answer_is_given_up() {
    let mut net = Net::new(true);
    let server = Socket::new(&net.b.clone(), at("0.0.0.0:53"));
    let client = Socket::new(&net.a.clone(), at("0.0.0.0:4000"));
    net.until(|c| client.poll_send(c, b"lost", at("10.0.0.99:53"))).unwrap();
    net.pass(Duration::from_secs(4));
    net.until(|c| client.poll_send(c, b"found", at("10.0.0.2:53"))).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(net.until(|c| server.poll_receive(c, &mut buffer)).0, 5);
    // Nothing is left that would make the stack look again.
    assert_eq!(net.settle(), None);
}

#[test]
fn a_flood_is_dropped_beyond_the_queue_and_the_server_goes_on() {
    let mut net = Net::new(true);
    let server = Socket::new(&net.b.clone(), at("0.0.0.0:53"));
    let client = Socket::new(&net.a.clone(), at("0.0.0.0:4000"));
    for _ in 0..2000 {
        net.until(|c| client.poll_send(c, b"query", at("10.0.0.2:53"))).unwrap();
        net.settle();
    }
    let (mut reply, mut served) = ([0; 64], 0);
    let context = Context::from_waker(Waker::noop());
    let count = &mut served;
    let mut counting = |query: &[u8], _: SocketAddr, _: &mut [u8]| {
        *count += query.len() / 5;
        0
    };
    while server.poll_serve(&context, 64, &mut reply, &mut counting).is_ready() {}
    assert_eq!(served, 512);
}

#[test]
fn damaged_datagrams_are_not_delivered() {
    for checksums in [false, true] {
        let mut net = Net::new(checksums);
        let server = Socket::new(&net.b.clone(), at("0.0.0.0:53"));
        let client = Socket::new(&net.a.clone(), at("0.0.0.0:4000"));
        net.until(|c| client.poll_send(c, &[7; 300], at("10.0.0.2:53"))).unwrap();
        net.settle();
        net.faults.borrow_mut().damaged = 500;
        for _ in 0..500 {
            net.until(|c| client.poll_send(c, &[7; 300], at("10.0.0.2:53"))).unwrap();
            net.settle();
            let mut buffer = [0; 400];
            let context = Context::from_waker(Waker::noop());
            while let Poll::Ready((length, _)) = server.poll_receive(&context, &mut buffer) {
                assert!(length == 300 && buffer[..300].iter().all(|&b| b == 7));
            }
        }
    }
}

#[test]
fn a_server_takes_frames_in_and_leaves_to_others_what_is_theirs() {
    let mut net = Net::new(true);
    let server = Socket::new(&net.b.clone(), at("0.0.0.0:53"));
    let other = Socket::new(&net.b.clone(), at("0.0.0.0:54"));
    let listener = crate::stack::listener::Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let client = Socket::new(&net.a.clone(), at("0.0.0.0:4000"));
    let context = Context::from_waker(Waker::noop());
    let mut reply = [0; 512];
    // It waits, so that frames are left to it.
    assert!(server.poll_serve(&context, 64, &mut reply, answer).is_pending());
    for (text, port) in [(&b"a"[..], 53), (b"b", 54), (&[b'c'; 4000], 53), (b"d", 53)] {
        net.until(|c| client.poll_send(c, text, SocketAddr::new(ip("10.0.0.2"), port))).unwrap();
    }
    let stream = Stream::open(&net.a, ephemeral(), at("10.0.0.2:80")).unwrap();
    // The client's side alone: the frames stay on the link.
    for _ in 0..20 {
        net.a.poll(net.now);
        let (first, _) = net.to[1].borrow().front().cloned().unwrap_or_default();
        if first.get(12..14) == Some(&[8, 6]) {
            net.b.poll(net.now);
            net.b.poll(net.now);
        }
    }
    assert!(net.to[1].borrow().len() >= 6, "all of it waits on the link");
    let mut sizes = Vec::new();
    let mut buffer = [0; 4096];
    while server
        .poll_serve(&context, 64, &mut reply, |query, _, out| {
            sizes.push(query.len());
            answer(query, at("10.0.0.1:4000"), out)
        })
        .is_ready()
    {}
    // What came in fragments was whole after the next one, and cut to the server's buffer.
    assert_eq!(sizes, [1, 1, 512]);
    assert!(net.to[1].borrow().is_empty());
    assert_eq!(net.until(|c| other.poll_receive(c, &mut buffer)).0, 1);
    net.until(|c| stream.poll_connected(c)).unwrap();
    net.until(|c| listener.poll_accept(c));
}

#[test]
fn a_server_that_went_away_while_it_waited_holds_nothing_up() {
    let mut net = Net::new(true);
    let server = Socket::new(&net.b.clone(), at("0.0.0.0:53"));
    let client = Socket::new(&net.a.clone(), at("0.0.0.0:4000"));
    let waiting = server.poll_serve(&Context::from_waker(Waker::noop()), 64, &mut [0; 512], answer);
    assert!(waiting.is_pending());
    // Nobody serves now, but somebody receives.
    net.until(|c| client.poll_send(c, b"hello", at("10.0.0.2:53"))).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(net.until(|c| server.poll_receive(c, &mut buffer)).0, 5);
}

#[test]
fn what_one_socket_sends_stays_in_order_behind_fragments() {
    let mut net = Net::with([fixed(1), fixed(2)], true, 16);
    let server = Socket::new(&net.b.clone(), at("0.0.0.0:53"));
    let client = Socket::new(&net.a.clone(), at("0.0.0.0:4000"));
    let mut buffer = alloc::vec![0; 65_535];
    for length in [1, 60_000, 2, 30_000, 3, 4] {
        net.until(|c| client.poll_send(c, &alloc::vec![1; length], at("10.0.0.2:53"))).unwrap();
        // The ring has room again each time.
        net.b.poll(net.now);
    }
    for length in [1, 60_000, 2, 30_000, 3, 4] {
        assert_eq!(net.until(|c| server.poll_receive(c, &mut buffer)).0, length);
    }
}

#[derive(Default)]
struct Woken(core::sync::atomic::AtomicBool);

impl std::task::Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.store(true, core::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn who_waits_for_room_in_a_queue_is_woken_when_what_is_in_it_was_sent_or_given_up() {
    let mut net = Net::new(true);
    let client = Socket::new(&net.a.clone(), at("0.0.0.0:4000"));
    let (long, silent) = (alloc::vec![0; 30_000], at("10.0.0.99:53"));
    assert_eq!(net.until(|c| client.poll_send(c, &long, silent)), Ok(30_000));
    let woken = std::sync::Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    assert!(client.poll_send(&Context::from_waker(&waker), &long, silent).is_pending());
    assert_eq!(net.until(|c| client.poll_send(c, b"short", silent)), Ok(5));
    assert!(client.poll_send(&Context::from_waker(&waker), &long, silent).is_pending());
    net.pass(Duration::from_secs(2));
    assert!(!woken.0.load(core::sync::atomic::Ordering::Relaxed));
    net.pass(Duration::from_secs(2));
    assert!(woken.0.load(core::sync::atomic::Ordering::Relaxed));
    assert_eq!(net.until(|c| client.poll_send(c, &long, silent)), Ok(30_000));
}
