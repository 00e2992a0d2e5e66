//! TCP, UDP, netlink.

use super::*;
use crate::testing::run;
use kernlet_exec::{spawn, yield_now};
use std::io::{Read, Write};
use std::string::ToString;

const INET: u64 = 2;
const INET6: u64 = 10;
const STREAM: u64 = 1;
const DATAGRAM: u64 = 2;

async fn listener(thread: &Rc<Thread>, family: u64, address: &str, flags: u64) -> u64 {
    let fd = socket(thread, family, STREAM | flags).await;
    bind(thread, fd, &ip(address)).await.unwrap();
    call(thread, number::LISTEN, &[fd, 16]).await.unwrap();
    fd
}

/// Two ends of a connection.
async fn connected(thread: &Rc<Thread>) -> (u64, u64) {
    let listener = listener(thread, INET, "127.0.0.1:0", 0).await;
    let address = bytes(&name(thread, number::GETSOCKNAME, listener).await.unwrap());
    let client = socket(thread, INET, STREAM).await;
    connect(thread, client, &address).await.unwrap();
    let server = call(thread, number::ACCEPT4, &[listener, 0, 0, 0]).await.unwrap();
    close(thread, listener).await;
    (client, server)
}

#[test]
fn a_connection_is_made_used_and_ended_by_halves() {
    run(|thread| async move {
        let (client, server) = connected(&thread).await;
        let local = name(&thread, number::GETSOCKNAME, client).await.unwrap();
        assert_eq!(name(&thread, number::GETPEERNAME, server).await, Ok(local));
        assert_eq!(send(&thread, client, b"question", 0).await, Ok(8));
        assert_eq!(poll(&thread, server, 0x2005).await, 5);
        assert_eq!(receive(&thread, server, 3, 2).await.unwrap(), b"que");
        let mut available = 0u32;
        call(&thread, number::IOCTL, &[server, 0x541b, to(&mut available)]).await.unwrap();
        assert_eq!(core::hint::black_box(available), 8);
        call(&thread, number::SHUTDOWN, &[client, 1]).await.unwrap();
        assert_eq!(receive(&thread, server, 99, 0x100).await.unwrap(), b"question");
        assert_eq!(poll(&thread, server, 0x2005).await, 0x2005);
        assert_eq!(receive(&thread, server, 99, 0).await.unwrap(), b"");
        assert_eq!(send(&thread, client, b"x", 0x4000).await, Err(Errno::EPIPE));
        assert_eq!(send(&thread, server, b"answer", 0).await, Ok(6));
        close(&thread, server).await;
        assert_eq!(receive(&thread, client, 99, 0).await.unwrap(), b"answer");
        assert_eq!(receive(&thread, client, 99, 0).await.unwrap(), b"");
        assert_eq!(poll(&thread, client, 0x2005).await, 0x2015);
        assert_eq!(receive(&thread, client, 1, 1).await, Err(Errno::EINVAL));
    });
}

#[test]
fn the_first_write_after_the_other_end_has_closed_goes_out() {
    run(|thread| async move {
        let (client, server) = connected(&thread).await;
        close(&thread, server).await;
        assert_eq!(send(&thread, client, b"one", 0x4000).await, Ok(3));
        assert_eq!(send(&thread, client, b"two", 0x4000).await, Err(Errno::EPIPE));
        assert_eq!(receive(&thread, client, 9, 0).await.unwrap(), b"");
        // No more of it than there is room for.
        let (client, server) = connected(&thread).await;
        close(&thread, server).await;
        let sent = send(&thread, client, &[0; 1 << 20], 0x4000).await.unwrap();
        assert!(sent < 1 << 20, "{sent}");
    });
}

#[test]
fn who_closes_with_something_unread_resets_the_connection_which_is_told_once() {
    run(|thread| async move {
        let (client, server) = connected(&thread).await;
        send(&thread, client, b"unread", 0).await.unwrap();
        close(&thread, server).await;
        assert_eq!(poll(&thread, client, 1).await, 0x19);
        assert_eq!(receive(&thread, client, 9, 0).await, Err(Errno::ECONNRESET));
        assert_eq!(receive(&thread, client, 9, 0).await.unwrap(), b"");
        assert_eq!(send(&thread, client, b"x", 0x4000).await, Err(Errno::EPIPE));
        assert_eq!(name(&thread, number::GETPEERNAME, client).await, Err(Errno::ENOTCONN));
    });
}

#[test]
fn connecting_without_waiting_is_told_as_in_progress_and_then_as_done() {
    run(|thread| async move {
        let listener = listener(&thread, INET, "127.0.0.1:0", NON_BLOCKING).await;
        assert_eq!(call(&thread, number::ACCEPT, &[listener, 0, 0]).await, Err(Errno::EAGAIN));
        let address = bytes(&name(&thread, number::GETSOCKNAME, listener).await.unwrap());
        let client = socket(&thread, INET, STREAM | NON_BLOCKING).await;
        assert_eq!(poll(&thread, client, 4).await, 0x14);
        // Inside it is done by the time that the call comes back, as between two sockets of a host.
        assert_eq!(connect(&thread, client, &address).await, Err(Errno::EINPROGRESS));
        assert_eq!(poll(&thread, client, 4).await, 4);
        assert_eq!(option(&thread, client, 1, 4).await, Ok(0));
        assert_eq!(connect(&thread, client, &address).await, Ok(0));
        assert_eq!(connect(&thread, client, &address).await, Err(Errno::EISCONN));
        assert_eq!(poll(&thread, listener, 1).await, 1);
        assert!(call(&thread, number::ACCEPT, &[listener, 0, 0]).await.is_ok());
        assert_eq!(poll(&thread, listener, 1).await, 0);
        let refused = socket(&thread, INET, STREAM | NON_BLOCKING).await;
        assert_eq!(connect(&thread, refused, &ip("127.0.0.1:9")).await, Err(Errno::EINPROGRESS));
        assert_eq!(poll(&thread, refused, 4).await, 0x1c);
        assert_eq!(option(&thread, refused, 1, 4).await, Ok(Errno::ECONNREFUSED.0 as u32));
        assert_eq!(option(&thread, refused, 1, 4).await, Ok(0));
        let refused = socket(&thread, INET, STREAM).await;
        assert_eq!(connect(&thread, refused, &ip("127.0.0.1:9")).await, Err(Errno::ECONNREFUSED));
    });
}

#[test]
fn several_threads_wait_for_one_listener() {
    run(|thread| async move {
        let listener = listener(&thread, INET, "127.0.0.1:0", 0).await;
        let address = bytes(&name(&thread, number::GETSOCKNAME, listener).await.unwrap());
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let thread = thread.clone();
                spawn("waits", async move { call(&thread, number::ACCEPT, &[listener, 0, 0]).await.is_ok() })
            })
            .collect();
        yield_now().await;
        for _ in 0..3 {
            let client = socket(&thread, INET, STREAM).await;
            connect(&thread, client, &address).await.unwrap();
        }
        for task in waiting {
            assert_eq!(task.join().await, Some(true));
        }
    });
}

#[test]
fn a_sender_waits_for_room_and_one_that_does_not_is_told() {
    run(|thread| async move {
        let (client, server) = connected(&thread).await;
        let much = std::vec![7u8; 300_000];
        let fits = send(&thread, client, &much, 0x40).await.unwrap();
        assert!(fits > 0 && fits < 300_000);
        assert_eq!(send(&thread, client, &much, 0x40).await, Err(Errno::EAGAIN));
        assert_eq!(poll(&thread, client, 4).await, 0);
        let other = thread.clone();
        let reader =
            spawn("reader", async move { receive(&other, server, 300_000 + fits as usize, 0x100).await });
        assert_eq!(send(&thread, client, &much, 0).await, Ok(300_000));
        assert_eq!(reader.join().await.unwrap().unwrap().len(), 300_000 + fits as usize);
        assert_eq!(poll(&thread, client, 4).await, 4);
    });
}

#[test]
fn both_families_share_a_port_only_when_each_keeps_to_its_own() {
    run(|thread| async move {
        let four = listener(&thread, INET, "0.0.0.0:8001", 0).await;
        let six = socket(&thread, INET6, STREAM).await;
        assert_eq!(bind(&thread, six, &ip("[::]:8001")).await, Err(Errno::EADDRINUSE));
        set_option(&thread, six, 41, 26, 1).await.unwrap();
        bind(&thread, six, &ip("[::]:8001")).await.unwrap();
        call(&thread, number::LISTEN, &[six, 1]).await.unwrap();
        close(&thread, four).await;
        let client = socket(&thread, INET, STREAM).await;
        assert_eq!(connect(&thread, client, &ip("127.0.0.1:8001")).await, Err(Errno::ECONNREFUSED));
        let client = socket(&thread, INET6, STREAM).await;
        assert_eq!(connect(&thread, client, &ip("[::1]:8001")).await, Ok(0));
        // One that takes both sees IPv4 mapped.
        let both = listener(&thread, INET6, "[::]:8002", 0).await;
        let client = socket(&thread, INET6, STREAM).await;
        assert_eq!(connect(&thread, client, &ip("[::ffff:127.0.0.1]:8002")).await, Ok(0));
        let server = call(&thread, number::ACCEPT, &[both, 0, 0]).await.unwrap();
        let Address::Ip(peer) = name(&thread, number::GETPEERNAME, server).await.unwrap() else { panic!() };
        assert_eq!(peer.ip().to_string(), "::ffff:127.0.0.1");
        assert_eq!(
            connect(&thread, socket(&thread, INET, STREAM).await, &ip("[::1]:1")).await,
            Err(Errno::EAFNOSUPPORT)
        );
    });
}

#[test]
fn an_address_is_used_again_as_its_options_say() {
    run(|thread| async move {
        let first = socket(&thread, INET, STREAM).await;
        let second = socket(&thread, INET, STREAM).await;
        for fd in [first, second] {
            set_option(&thread, fd, 1, 2, 1).await.unwrap();
            bind(&thread, fd, &ip("127.0.0.1:8003")).await.unwrap();
        }
        call(&thread, number::LISTEN, &[first, 1]).await.unwrap();
        assert_eq!(call(&thread, number::LISTEN, &[second, 1]).await, Err(Errno::EADDRINUSE));
        let third = socket(&thread, INET, STREAM).await;
        set_option(&thread, third, 1, 2, 1).await.unwrap();
        assert_eq!(bind(&thread, third, &ip("127.0.0.1:8003")).await, Err(Errno::EADDRINUSE));
        for _ in 0..2 {
            let fd = socket(&thread, INET, STREAM).await;
            set_option(&thread, fd, 1, 15, 1).await.unwrap();
            bind(&thread, fd, &ip("127.0.0.1:8004")).await.unwrap();
            call(&thread, number::LISTEN, &[fd, 1]).await.unwrap();
        }
    });
}

#[test]
fn a_published_port_is_served_with_one_host_call_for_each_step() {
    let listener_outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener_outside.local_addr().unwrap();
    kernlet_net::publish::tcp(8005, [listener_outside]);
    let client = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let mut reply = [0; 4];
        for _ in 0..50 {
            stream.write_all(b"ping").unwrap();
            stream.read_exact(&mut reply).unwrap();
            assert_eq!(&reply, b"pong");
        }
    });
    // The listener was published on this thread, where the test runs.
    kernlet_exec::block_on(async move {
        let thread = crate::testing::thread();
        let listener = listener(&thread, INET, "0.0.0.0:8005", NON_BLOCKING).await;
        let set = call(&thread, number::EPOLL_CREATE1, &[0]).await.unwrap();
        let event = |fd: u64| {
            let mut event = 1u32.to_le_bytes().to_vec();
            event.extend(fd.to_le_bytes());
            event
        };
        call(&thread, number::EPOLL_CTL, &[set, 1, listener, at(&event(listener)[..])]).await.unwrap();
        let (mut requests, mut ended) = (0, false);
        while !ended {
            let mut events = [0u8; 12 * 8];
            let count =
                call(&thread, number::EPOLL_WAIT, &[set, to(&mut events), 8, u64::MAX]).await.unwrap();
            for event_told in events[..12 * count as usize].chunks(12) {
                let fd = u64::from(event_told[4]);
                if fd == listener {
                    let fd = call(&thread, number::ACCEPT4, &[listener, 0, 0, NON_BLOCKING]).await.unwrap();
                    call(&thread, number::EPOLL_CTL, &[set, 1, fd, at(&event(fd)[..])]).await.unwrap();
                    continue;
                }
                // What was told is so: there is something to read.
                let request = receive(&thread, fd, 64, 0).await.unwrap();
                ended = request.is_empty();
                if !ended {
                    assert_eq!(request, b"ping");
                    requests += 1;
                    assert_eq!(send(&thread, fd, b"pong", 0).await, Ok(4));
                }
            }
        }
        assert_eq!(requests, 50);
    });
    client.join().unwrap();
}

#[test]
fn datagrams_keep_their_bounds_and_tell_what_was_cut_off() {
    run(|thread| async move {
        let server = socket(&thread, INET, DATAGRAM).await;
        bind(&thread, server, &ip("127.0.0.1:8006")).await.unwrap();
        assert_eq!(receive(&thread, server, 9, 0x40).await, Err(Errno::EAGAIN));
        let client = socket(&thread, INET, DATAGRAM).await;
        assert_eq!(send(&thread, client, b"x", 0).await, Err(Errno::EDESTADDRREQ));
        connect(&thread, client, &ip("127.0.0.1:8006")).await.unwrap();
        for datagram in [&b"first"[..], b"", b"third one"] {
            send(&thread, client, datagram, 0).await.unwrap();
        }
        assert_eq!(poll(&thread, server, 1).await, 1);
        assert_eq!(receive(&thread, server, 3, 2).await.unwrap(), b"fir");
        assert_eq!(receive(&thread, server, 9, 0).await.unwrap(), b"first");
        assert_eq!(receive(&thread, server, 9, 0).await.unwrap(), b"");
        let mut two = [0u8; 2];
        let length = call(&thread, number::RECVFROM, &[server, to(&mut two), 2, 0x20]).await;
        assert_eq!(length, Ok(9));
        assert_eq!(poll(&thread, server, 1).await, 0);
        // Whom nobody answers is told so by the next call.
        close(&thread, server).await;
        send(&thread, client, b"x", 0).await.unwrap();
        assert_eq!(send(&thread, client, b"x", 0).await, Err(Errno::ECONNREFUSED));
    });
}

#[test]
fn several_datagrams_go_in_one_call_each_way() {
    run(|thread| async move {
        let server = socket(&thread, INET, DATAGRAM).await;
        bind(&thread, server, &ip("127.0.0.1:8007")).await.unwrap();
        let client = socket(&thread, INET, DATAGRAM).await;
        let address = ip("127.0.0.1:8007");
        let parts = [b"ab", b"cd", b"ef"];
        let vectors: Vec<[u64; 2]> = parts.iter().map(|p| [at(*p), 2]).collect();
        let mut headers: Vec<[u64; 8]> =
            vectors.iter().map(|v| [at(&address[..]), 16, at(v), 1, 0, 0, 0, 0]).collect();
        let arguments = [client, to(&mut headers[..]), 3, 0];
        assert_eq!(call(&thread, number::SENDMMSG, &arguments).await, Ok(3));
        assert!(headers.iter().all(|h| core::hint::black_box(h)[7] == 2));
        let (mut names, mut rooms) = ([[0u8; 16]; 4], [[0u8; 8]; 4]);
        let vectors: Vec<[u64; 2]> = rooms.iter_mut().map(|r| [to(r), 8]).collect();
        let mut headers: Vec<[u64; 8]> =
            vectors.iter().zip(&mut names).map(|(v, n)| [to(n), 16, at(v), 1, 0, 0, 0, 0]).collect();
        // MSG_WAITFORONE
        let arguments = [server, to(&mut headers[..]), 4, 0x1_0000, 0];
        assert_eq!(call(&thread, number::RECVMMSG, &arguments).await, Ok(3));
        assert_eq!(&core::hint::black_box(rooms)[2][..2], b"ef");
        assert_eq!(core::hint::black_box(&headers)[0][7], 2);
    });
}

#[test]
fn options_are_told_as_they_were_set_and_unknown_ones_refused() {
    run(|thread| async move {
        let fd = socket(&thread, INET, STREAM).await;
        assert_eq!(option(&thread, fd, 1, 3).await, Ok(1));
        assert_eq!((option(&thread, fd, 1, 38).await, option(&thread, fd, 1, 39).await), (Ok(6), Ok(2)));
        set_option(&thread, fd, 1, 8, 10_000).await.unwrap();
        assert_eq!(option(&thread, fd, 1, 8).await, Ok(20_000));
        set_option(&thread, fd, 6, 1, 7).await.unwrap();
        assert_eq!(option(&thread, fd, 6, 1).await, Ok(1));
        assert_eq!(set_option(&thread, fd, 6, 4, 0).await, Err(Errno::EINVAL));
        assert_eq!(set_option(&thread, fd, 6, 31, 1).await, Err(Errno::ENOPROTOOPT));
        assert_eq!(set_option(&thread, fd, 41, 26, 1).await, Err(Errno::ENOPROTOOPT));
        let time = [0u64, 1000];
        call(&thread, number::SETSOCKOPT, &[fd, 1, 20, at(&time), 16]).await.unwrap();
        let udp = socket(&thread, INET, DATAGRAM).await;
        call(&thread, number::SETSOCKOPT, &[udp, 1, 20, at(&time), 16]).await.unwrap();
        assert_eq!(receive(&thread, udp, 9, 0).await, Err(Errno::EAGAIN));
        assert_eq!(call(&thread, number::SOCKET, &[2, 3, 1]).await, Err(Errno::EPERM));
        assert_eq!(call(&thread, number::SOCKET, &[17, 3, 1]).await, Err(Errno::EAFNOSUPPORT));
        assert_eq!(call(&thread, number::LISTEN, &[1, 1]).await, Err(Errno::ENOTSOCK));
    });
}

#[test]
fn who_waits_for_a_socket_before_it_is_bound_is_told_of_what_comes() {
    run(|thread| async move {
        let server = socket(&thread, INET, DATAGRAM).await;
        bind(&thread, server, &ip("127.0.0.1:0")).await.unwrap();
        let address = bytes(&name(&thread, number::GETSOCKNAME, server).await.unwrap());
        let client = socket(&thread, INET, DATAGRAM).await;
        let listening = socket(&thread, INET, STREAM).await;
        let set = call(&thread, number::EPOLL_CREATE1, &[0]).await.unwrap();
        let mut events = [0u8; 36];
        for fd in [client, listening] {
            let event = [&1u32.to_le_bytes()[..], &fd.to_le_bytes()].concat();
            call(&thread, number::EPOLL_CTL, &[set, 1, fd, at(&event[..])]).await.unwrap();
        }
        // A stream that is not connected has hung up.
        assert_eq!(call(&thread, number::EPOLL_WAIT, &[set, to(&mut events), 3, 0]).await, Ok(1));
        connect(&thread, client, &address).await.unwrap();
        send(&thread, client, b"question", 0).await.unwrap();
        let local = bytes(&name(&thread, number::GETSOCKNAME, client).await.unwrap());
        connect(&thread, server, &local).await.unwrap();
        send(&thread, server, b"answer", 0).await.unwrap();
        call(&thread, number::LISTEN, &[listening, 1]).await.unwrap();
        let port = bytes(&name(&thread, number::GETSOCKNAME, listening).await.unwrap());
        let caller = socket(&thread, INET, STREAM).await;
        connect(&thread, caller, &port).await.unwrap();
        assert_eq!(call(&thread, number::EPOLL_WAIT, &[set, to(&mut events), 3, 1000]).await, Ok(2));
    });
}

#[test]
fn netlink_tells_of_the_interfaces_and_their_addresses() {
    run(|thread| async move {
        let fd = socket(&thread, 16, 3).await;
        bind(&thread, fd, &bytes(&Address::Netlink(0, 0))).await.unwrap();
        for (kind, reply) in [(18u16, 16u16), (22, 20)] {
            let mut request = [20u32.to_le_bytes(), [0; 4], 7u32.to_le_bytes(), [0; 4], [0; 4]].concat();
            request[4..6].copy_from_slice(&kind.to_le_bytes());
            request[6..8].copy_from_slice(&0x301u16.to_le_bytes());
            send(&thread, fd, &request, 0).await.unwrap();
            let told = receive(&thread, fd, 8192, 0).await.unwrap();
            assert_eq!(u16::from_le_bytes([told[4], told[5]]), reply);
            assert!(told.windows(3).any(|w| w == b"lo\0") || kind == 22);
            assert!(told.windows(4).any(|w| w == [127, 0, 0, 1]) || kind == 18);
            // Attributes fill whole words up to a message's end.
            let mut rest = &told[..];
            while let Some(length) = rest.first_chunk() {
                let length = u32::from_le_bytes(*length) as usize;
                assert_eq!(length % 4, 0);
                rest = &rest[length..];
            }
            // The last message is NLMSG_DONE, of 20 bytes.
            assert_eq!(told[told.len() - 16..told.len() - 14], [3, 0]);
        }
    });
}

#[test]
fn a_published_port_of_two_families_is_served_by_the_one_for_ipv4() {
    let outside = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = outside.local_addr().unwrap();
    kernlet_net::publish::tcp(8008, [outside]);
    let client = std::thread::spawn(move || {
        // The program waits by then.
        std::thread::sleep(std::time::Duration::from_millis(50));
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let mut reply = [0; 4];
        stream.read_exact(&mut reply).unwrap();
        reply
    });
    kernlet_exec::block_on(async move {
        let thread = crate::testing::thread();
        let four = listener(&thread, INET, "0.0.0.0:8008", 0).await;
        let six = socket(&thread, INET6, STREAM).await;
        set_option(&thread, six, 41, 26, 1).await.unwrap();
        bind(&thread, six, &ip("[::]:8008")).await.unwrap();
        call(&thread, number::LISTEN, &[six, 1]).await.unwrap();
        assert_eq!(poll(&thread, six, 1).await, 0);
        // One who waits for both is told of the one that accepts.
        let set = call(&thread, number::EPOLL_CREATE1, &[0]).await.unwrap();
        for fd in [four, six] {
            call(&thread, number::FCNTL, &[fd, 4, 0o4002]).await.unwrap();
            let event = [&1u32.to_le_bytes()[..], &fd.to_le_bytes()].concat();
            call(&thread, number::EPOLL_CTL, &[set, 1, fd, at(&event[..])]).await.unwrap();
        }
        let mut events = [0u8; 24];
        assert_eq!(call(&thread, number::EPOLL_WAIT, &[set, to(&mut events), 2, u64::MAX]).await, Ok(1));
        assert_eq!(u64::from(core::hint::black_box(events)[4]), four);
        let fd = call(&thread, number::ACCEPT, &[four, 0, 0]).await.unwrap();
        send(&thread, fd, b"four", 0).await.unwrap();
    });
    assert_eq!(&client.join().unwrap(), b"four");
}

#[test]
fn a_name_server_inside_answers_for_this_instance_and_for_nobody_else() {
    run(|thread| async move {
        let ask = |name: &[u8], kind: u8| {
            [&[7, 8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], name, &[0, kind, 0, 1]].concat()
        };
        let client = socket(&thread, INET, DATAGRAM).await;
        connect(&thread, client, &ip("127.0.0.1:53")).await.unwrap();
        send(&thread, client, &ask(b"\x09localhost\0", 1), 0).await.unwrap();
        let reply = receive(&thread, client, 512, 0).await.unwrap();
        assert_eq!((reply[3] & 15, &reply[reply.len() - 4..]), (0, &[127, 0, 0, 1][..]));
        send(&thread, client, &ask(b"\x07example\0", 1), 0).await.unwrap();
        assert_eq!(receive(&thread, client, 512, 0).await.unwrap()[3] & 15, 3);
        let client = socket(&thread, INET, STREAM).await;
        connect(&thread, client, &ip("127.0.0.1:53")).await.unwrap();
        let query = ask(b"\x09localhost\0", 28);
        send(&thread, client, &[&[0, query.len() as u8][..], &query].concat(), 0).await.unwrap();
        let reply = receive(&thread, client, 57, 0x100).await.unwrap();
        assert_eq!((reply.len(), reply[56]), (57, 1));
    });
}

#[test]
fn a_file_is_sent_to_a_socket_as_far_as_there_is_room() {
    run(|thread| async move {
        let (client, server) = connected(&thread).await;
        let name = b"/tmp/sent\0";
        let file = call(&thread, number::OPEN, &[at(name), 0o102, 0o600]).await.unwrap();
        let much: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
        assert_eq!(call(&thread, number::WRITE, &[file, at(&much[..]), 100_000]).await, Ok(100_000));
        call(&thread, number::FCNTL, &[client, 4, 0o4002]).await.unwrap();
        let offset = 10u64;
        let sent = call(&thread, number::SENDFILE, &[client, file, at(&offset), 100_000]).await.unwrap();
        assert!(sent > 0 && sent < 99_990);
        assert_eq!(core::hint::black_box(offset), 10 + sent);
        assert_eq!(
            receive(&thread, server, sent as usize, 0x100).await.unwrap(),
            much[10..10 + sent as usize]
        );
    });
}
