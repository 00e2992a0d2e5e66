use super::*;
use crate::Shutdown;
use crate::stack::listener::{BACKLOG, Listener, MOST_HALF_OPEN};

/// Sends `length` bytes from one to the other and compares.
fn transfer(net: &mut Net, from: &Stream, to: &Stream, length: usize) {
    let wanted: Vec<u8> = (0..length).map(|i| (i * 31 % 253) as u8).collect();
    let (mut sent, mut got) = (0, Vec::new());
    let mut buffer = alloc::vec![0; 9000];
    net.until(|context| {
        while sent < length
            && let Poll::Ready(result) = from.poll_write(context, &wanted[sent..])
        {
            sent += result.unwrap();
        }
        while let Poll::Ready(result) = to.poll_read(context, &mut buffer) {
            let read = result.unwrap();
            assert!(read > 0);
            got.extend_from_slice(&buffer[..read]);
        }
        if got.len() == length { Poll::Ready(()) } else { Poll::Pending }
    });
    assert!(got == wanted);
}

#[test]
fn streams_carry_data_both_ways_over_both_families_with_and_without_offload() {
    for checksums in [false, true] {
        let mut net = Net::new(checksums);
        let listener = Listener::new(&net.b.clone(), at("[::]:80"));
        for to in ["10.0.0.2:80", "[2001:db8:0:1::2]:80"] {
            let (client, server) = net.connect(&listener, to);
            transfer(&mut net, &client, &server, 300_000);
            transfer(&mut net, &server, &client, 300_000);
        }
    }
}

#[test]
fn a_stream_survives_loss_reordering_doubling_and_damage() {
    for checksums in [false, true] {
        let mut net = Net::new(checksums);
        let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
        let (client, server) = net.connect(&listener, "10.0.0.2:80");
        {
            let mut faults = net.faults.borrow_mut();
            (faults.lost, faults.reordered, faults.doubled, faults.damaged) = (20, 50, 20, 20);
        }
        transfer(&mut net, &client, &server, 200_000);
        transfer(&mut net, &server, &client, 200_000);
    }
}

#[test]
fn an_answer_before_the_question_is_none() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let client = Stream::open(&net.a, ephemeral(), at("10.0.0.2:80")).unwrap();
    // The first segment is not sent yet: the neighbour has to be asked for.
    let ends = crate::stack::build::Ends {
        from_mac: MACS[1],
        to_mac: MACS[0],
        from: client.tuple().remote,
        to: client.tuple().local,
    };
    let mut frame = alloc::vec![0; ends.acknowledgement_length()];
    ends.write_acknowledgement(&mut frame, 7, 0, true);
    frame[14 + 20 + 13] = 2;
    net.to[0].borrow_mut().push_back((frame, Offload::Valid));
    net.until(|context| client.poll_connected(context)).unwrap();
    net.until(|context| listener.poll_accept(context));
}

#[test]
fn a_full_link_delays_and_loses_nothing() {
    let mut net = Net::with([fixed(1), fixed(2)], true, 2);
    let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let (client, server) = net.connect(&listener, "10.0.0.2:80");
    transfer(&mut net, &client, &server, 100_000);
}

#[test]
fn a_half_closed_stream_carries_the_rest_and_leaves_nothing_behind() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let (client, server) = net.connect(&listener, "10.0.0.2:80");
    transfer(&mut net, &client, &server, 1000);
    client.shutdown(Shutdown::Write).unwrap();
    let mut buffer = [0; 16];
    assert_eq!(net.until(|c| server.poll_read(c, &mut buffer)), Ok(0));
    assert_eq!(net.until(|c| client.poll_write(c, b"x")), Err(Errno::EPIPE));
    transfer(&mut net, &server, &client, 1000);
    drop(server);
    assert_eq!(net.until(|c| client.poll_read(c, &mut buffer)), Ok(0));
    drop(client);
    net.pass(Duration::from_secs(1));
    for stack in [&net.a, &net.b] {
        assert!(stack.tcp.is_idle());
    }
    // The client closed first, so it remembers the connection, and a repeated end is acknowledged, not refused.
    assert_eq!(net.a.tcp.remembered(), 1);
}

#[test]
fn data_written_before_the_drop_still_arrives() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let (client, server) = net.connect(&listener, "10.0.0.2:80");
    assert_eq!(net.until(|c| client.poll_write(c, &[7; 50_000])), Ok(50_000));
    drop(client);
    let (mut total, mut buffer) = (0, [0; 4096]);
    while let n @ 1.. = net.until(|c| server.poll_read(c, &mut buffer)).unwrap() {
        total += n;
    }
    assert_eq!(total, 50_000);
}

#[test]
fn dropping_with_something_unread_resets_and_nobody_listening_refuses() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let (client, server) = net.connect(&listener, "10.0.0.2:80");
    assert_eq!(net.until(|c| client.poll_write(c, b"unread")), Ok(6));
    net.pass(Duration::from_millis(100));
    drop(server);
    let mut buffer = [0; 16];
    assert_eq!(net.until(|c| client.poll_read(c, &mut buffer)), Err(Errno::ECONNRESET));
    assert_eq!(net.until(|c| client.poll_write(c, b"x")), Err(Errno::ECONNRESET));
    let refused = Stream::open(&net.a, ephemeral(), at("10.0.0.2:81")).unwrap();
    assert_eq!(net.until(|c| refused.poll_connected(c)), Err(Errno::ECONNREFUSED));
}

#[test]
fn a_connection_to_nobody_times_out() {
    let mut net = Net::new(true);
    let lost = Stream::open(&net.a, ephemeral(), at("10.0.0.99:80")).unwrap();
    assert_eq!(net.until(|c| lost.poll_connected(c)), Err(Errno::ETIMEDOUT));
    drop(lost);
    net.pass(Duration::from_secs(1));
    assert!(net.a.tcp.is_idle());
}

#[test]
fn an_unknown_neighbour_costs_no_more_than_a_round_trip() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("[::]:80"));
    let start = net.now;
    for to in ["10.0.0.2:80", "[2001:db8:0:1::2]:80", "[fe80::ff:fe00:b]:80"] {
        net.connect(&listener, to);
    }
    let took = net.now.since(start);
    assert!(took < Duration::from_millis(100), "{took:?}");
}

#[test]
fn many_unknown_neighbours_are_asked_for_at_once() {
    let net = Net::new(true);
    let _streams: Vec<_> = (10..60)
        .map(|last| Stream::open(&net.a, ephemeral(), SocketAddr::from(([10, 0, 0, last], 80))).unwrap())
        .collect();
    net.a.poll(net.now);
    let asked = net.to[1].borrow().iter().filter(|(f, _)| f[12..14] == [8, 6] && f.len() == 42).count();
    assert!(asked >= 50, "{asked}");
}

#[test]
fn a_peer_that_vanished_is_noticed() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let (client, _server) = net.connect(&listener, "10.0.0.2:80");
    net.faults.borrow_mut().lost = 1000;
    assert_eq!(net.until(|c| client.poll_write(c, b"hello?")), Ok(6));
    assert_eq!(net.until(|c| client.poll_read(c, &mut [0; 4])), Err(Errno::ETIMEDOUT));
}

#[test]
fn an_idle_connection_lives_and_closes_properly_after_hours() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let (client, server) = net.connect(&listener, "10.0.0.2:80");
    net.pass(Duration::from_secs(7200));
    transfer(&mut net, &client, &server, 1000);
    net.pass(Duration::from_secs(7200));
    drop(client);
    assert_eq!(net.until(|c| server.poll_read(c, &mut [0; 4])), Ok(0));
}

#[test]
fn a_reader_that_rests_does_not_break_the_connection() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let (client, server) = net.connect(&listener, "10.0.0.2:80");
    let mut sent = 0;
    let context = Context::from_waker(Waker::noop());
    while let Poll::Ready(result) = client.poll_write(&context, &[1; 10_000]) {
        sent += result.unwrap();
        net.pass(Duration::from_millis(10));
    }
    net.pass(Duration::from_secs(1000));
    let (mut got, mut buffer) = (0, [0; 4096]);
    while got < sent {
        got += net.until(|c| server.poll_read(c, &mut buffer)).unwrap();
    }
}

#[test]
fn many_connections_wait_in_the_backlog_and_those_beyond_come_later() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let clients: Vec<_> = (0..BACKLOG + 10)
        .map(|_| {
            let client = Stream::open(&net.a, ephemeral(), at("10.0.0.2:80")).unwrap();
            net.pass(Duration::from_millis(1));
            client
        })
        .collect();
    net.pass(Duration::from_millis(100));
    let connected = |clients: &[Stream]| {
        let context = Context::from_waker(Waker::noop());
        clients.iter().filter(|c| c.poll_connected(&context) == Poll::Ready(Ok(()))).count()
    };
    assert_eq!(connected(&clients), BACKLOG);
    let accepted: Vec<_> = (0..BACKLOG + 10).map(|_| net.until(|c| listener.poll_accept(c))).collect();
    net.pass(Duration::from_secs(1));
    assert_eq!((connected(&clients), accepted.len()), (BACKLOG + 10, BACKLOG + 10));
}

#[test]
fn a_flood_of_openings_is_bounded_and_an_honest_client_comes_through() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let (first, _) = net.connect(&listener, "10.0.0.2:80");
    drop(first);
    for i in 0..2000u16 {
        let source = SocketAddr::from(([10, 0, 0, 77], 1024 + i));
        let ends = crate::stack::build::Ends {
            from_mac: MACS[0],
            to_mac: MACS[1],
            from: source,
            to: at("10.0.0.2:80"),
        };
        let mut frame = alloc::vec![0; ends.acknowledgement_length()];
        ends.write_acknowledgement(&mut frame, 1, 0, false);
        // The acknowledgement flag becomes the opening one, the sum with it.
        frame[47] = 0x02;
        let sum = u16::from_be_bytes([frame[50], frame[51]]) + (0x10 - 0x02);
        frame[50..52].copy_from_slice(&sum.to_be_bytes());
        net.to[1].borrow_mut().push_back((frame, Offload::None));
        net.settle();
        assert!(net.b.tcp.len() <= MOST_HALF_OPEN + 2);
    }
    assert_eq!(net.b.tcp.len(), MOST_HALF_OPEN);
    net.connect(&listener, "10.0.0.2:80");
    net.pass(Duration::from_secs(120));
    assert!(net.b.tcp.is_idle());
}

#[test]
fn a_dropped_listener_breaks_off_what_nobody_accepted() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let client = Stream::open(&net.a, ephemeral(), at("10.0.0.2:80")).unwrap();
    net.until(|c| client.poll_connected(c)).unwrap();
    net.pass(Duration::from_millis(10));
    drop(listener);
    assert_eq!(net.until(|c| client.poll_read(c, &mut [0; 4])), Err(Errno::ECONNRESET));
    let late = Stream::open(&net.a, ephemeral(), at("10.0.0.2:80")).unwrap();
    assert_eq!(net.until(|c| late.poll_connected(c)), Err(Errno::ECONNREFUSED));
}

#[test]
fn a_repeated_end_in_time_wait_is_acknowledged_and_a_new_connection_takes_the_place() {
    for checksums in [false, true] {
        let mut net = Net::new(checksums);
        let listener = Listener::new(&net.b.clone(), at("[::]:80"));
        for to in ["10.0.0.2:80", "[2001:db8:0:1::2]:80"] {
            let (client, server) = net.connect(&listener, to);
            let tuple = client.tuple();
            drop(client);
            assert_eq!(net.until(|c| server.poll_read(c, &mut [0; 4])), Ok(0));
            // The last acknowledgement is lost: the server's side repeats its end.
            drop(server);
            for _ in 0..3 {
                net.b.poll(net.now);
            }
            net.a.poll(net.now);
            assert!(!net.to[1].borrow().is_empty());
            net.to[1].borrow_mut().clear();
            assert_eq!((net.a.tcp.is_idle(), net.b.tcp.is_idle()), (true, false));
            net.pass(Duration::from_secs(5));
            assert!(net.b.tcp.is_idle());
            let bound = ports::TCP.get().bind(SocketAddr::new(ip("::"), tuple.local.port())).unwrap();
            let again = Stream::open(&net.a, bound, at(to)).unwrap();
            net.until(|c| again.poll_connected(c)).unwrap();
            net.until(|c| listener.poll_accept(c));
        }
    }
}

#[test]
fn large_segments_are_left_to_the_device_over_ipv4() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("[::]:80"));
    let (client, server) = net.connect(&listener, "10.0.0.2:80");
    let data = [7; 60_000];
    assert_eq!(net.until(|c| client.poll_write(c, &data)), Ok(data.len()));
    net.a.poll(net.now);
    let frames = net.to[1].borrow().len();
    assert_eq!(frames, 1, "60,000 bytes in one frame");
    let (mut buffer, mut got) = ([0; 9000], 0);
    while got < data.len() {
        got += net.until(|c| server.poll_read(c, &mut buffer)).unwrap();
    }
}

/// Lets what is on its way arrive, and looks at what `a` then sends to `b`.
fn sent(net: &mut Net, act: impl FnOnce()) -> Vec<Vec<u8>> {
    net.pass(Duration::from_secs(1));
    act();
    net.a.poll(net.now);
    net.to[1].borrow().iter().map(|(frame, _)| frame.clone()).collect()
}

#[test]
fn a_program_sets_how_many_hops_its_packets_take() {
    for (to, level, name, at) in [("10.0.0.2:80", 0, 2, 22), ("[2001:db8:0:1::2]:80", 41, 16, 21)] {
        let mut net = Net::new(true);
        let listener = Listener::new(&net.b.clone(), crate::stack::tests::at("[::]:80"));
        let (client, _server) = net.connect(&listener, to);
        client.set_option(level, name, 7);
        let frames = sent(&mut net, || {
            let _ = client.poll_write(&Context::from_waker(Waker::noop()), b"x");
        });
        assert_eq!(frames.iter().map(|frame| frame[at]).collect::<Vec<_>>(), [7]);
        // The system's own again; the other family's option is without effect.
        client.set_option(level, name, u32::MAX);
        client.set_option(41 - level, 18 - name, 9);
        let frames = sent(&mut net, || {
            let _ = client.poll_write(&Context::from_waker(Waker::noop()), b"y");
        });
        assert_eq!(frames.iter().map(|frame| frame[at]).collect::<Vec<_>>(), [64]);
    }
}

#[test]
fn an_idle_connection_is_kept_alive_and_given_up_when_nobody_answers() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let (client, server) = net.connect(&listener, "10.0.0.2:80");
    client.keep_alive(Some([10, 40]));
    net.pass(Duration::from_secs(300));
    assert!(!client.is_closed(), "the other end answers");
    net.faults.borrow_mut().lost = 1000;
    net.pass(Duration::from_secs(30));
    assert!(!client.is_closed());
    net.pass(Duration::from_secs(20));
    assert!(client.is_closed());
    assert_eq!(net.until(|c| client.poll_read(c, &mut [0; 8])), Err(Errno::ETIMEDOUT));
    // Who asks nothing waits for ever.
    net.pass(Duration::from_secs(300));
    assert!(!server.is_closed());
}

#[test]
fn what_is_not_acknowledged_in_the_programs_time_breaks_the_connection() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let (client, _server) = net.connect(&listener, "10.0.0.2:80");
    client.set_option(6, 18, 5000);
    net.pass(Duration::from_secs(60));
    assert!(!client.is_closed(), "it owes nothing");
    net.faults.borrow_mut().lost = 1000;
    assert_eq!(net.until(|c| client.poll_write(c, b"x")), Ok(1));
    net.pass(Duration::from_secs(4));
    assert!(!client.is_closed());
    net.pass(Duration::from_secs(4));
    assert!(client.is_closed());
}

#[test]
fn a_connection_that_is_broken_off_is_reset_at_the_other_end() {
    let mut net = Net::new(true);
    let listener = Listener::new(&net.b.clone(), at("0.0.0.0:80"));
    let (client, server) = net.connect(&listener, "10.0.0.2:80");
    assert_eq!(net.until(|c| client.poll_write(c, b"lost")), Ok(4));
    client.break_off();
    drop(client);
    net.pass(Duration::from_secs(1));
    assert!(server.is_closed());
    let mut buffer = [0; 8];
    // What had come before is not there any more: smoltcp forgets it.
    assert!(net.until(|c| server.poll_read(c, &mut buffer)).is_err());
    drop(server);
    net.pass(Duration::from_secs(1));
    assert!(net.a.tcp.is_idle() && net.b.tcp.is_idle());
}
