//! Published ports: real sockets of the host, std clients in other threads.

use core::future::poll_fn;
use kernlet_exec::{block_on, spawn, timeout, yield_now};
use kernlet_net::{
    Batch, Errno, Share, Shutdown, SocketAddr, TcpBinding, TcpListener, TcpStream, UdpSocket, publish,
};
use kernlet_time::Duration;
use std::io::{Read, Write};
use std::net;
use std::thread;

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

fn publish_tcp(port: u16) -> net::SocketAddr {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    publish::tcp(port, [listener]);
    address
}

fn publish_udp(port: u16, at: &str) -> net::SocketAddr {
    let socket = net::UdpSocket::bind(at).unwrap();
    let address = socket.local_addr().unwrap();
    publish::udp(port, [socket]);
    address
}

#[test]
fn a_published_port_accepts_from_the_host_and_from_inside() {
    let address = publish_tcp(80);
    let client = thread::spawn(move || {
        let mut stream = net::TcpStream::connect(address).unwrap();
        stream.write_all(&vec![7; 500_000]).unwrap();
        stream.shutdown(net::Shutdown::Write).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        reply
    });
    block_on(async move {
        let listener = TcpListener::bind(at("[::]:80")).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        assert!(peer.ip().is_loopback() && stream.peer_addr() == Ok(peer));
        stream.set_nodelay(true).unwrap();
        let mut total = 0;
        let mut buffer = [0; 4096];
        loop {
            let length = stream.read(&mut buffer).await.unwrap();
            if length == 0 {
                break;
            }
            total += length;
        }
        assert_eq!(total, 500_000);
        assert_eq!(stream.write_vectored(&[b"so", b" ", b"many"]).await, Ok(7));
        stream.shutdown(Shutdown::Write).unwrap();
        let inside = TcpStream::connect(at("127.0.0.1:80")).await.unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(Ok(peer), inside.local_addr());
    });
    assert_eq!(client.join().unwrap(), b"so many");
}

#[test]
fn a_published_port_can_be_bound_again() {
    let address = publish_tcp(80);
    block_on(async move {
        for _ in 0..3 {
            let listener = TcpListener::bind(at("0.0.0.0:80")).await.unwrap();
            assert_eq!(TcpListener::bind(at("0.0.0.0:80")).await.err(), Some(Errno::EADDRINUSE));
            let client = thread::spawn(move || drop(net::TcpStream::connect(address).unwrap()));
            let (stream, _) = listener.accept().await.unwrap();
            assert_eq!(stream.read(&mut [0; 1]).await, Ok(0));
            client.join().unwrap();
        }
    });
}

#[test]
fn of_two_sockets_at_a_published_port_each_gets_connections_while_the_other_is_busy() {
    let address = publish_tcp(80);
    block_on(async move {
        let accepts = || {
            let binding = TcpBinding::new(at("0.0.0.0:80"), Share::PORT).unwrap();
            let Ok(listener) = binding.listen(8) else { panic!("it is shared") };
            // One connection each, and no look at others.
            spawn(
                "accepts",
                async move { poll_fn(|context| listener.poll_connection(context)).await.map(drop) },
            )
        };
        let both = [accepts(), accepts()];
        yield_now().await;
        let clients = [0; 2].map(|_| net::TcpStream::connect(address).unwrap());
        for one in both {
            let accepted = timeout(Duration::from_secs(20), one.join()).await;
            assert_eq!(accepted.ok().flatten(), Some(Ok(())), "nobody looked");
        }
        drop(clients);
    });
}

#[test]
fn a_reset_by_the_hosts_peer_is_seen() {
    let address = publish_tcp(80);
    block_on(async move {
        let listener = TcpListener::bind(at("0.0.0.0:80")).await.unwrap();
        let client = net::TcpStream::connect(address).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"unread").await.unwrap();
        let read = spawn("read", async move { stream.read(&mut [0; 1]).await });
        // Closing with something unread makes the host send a reset.
        thread::spawn(move || {
            let mut one = [0];
            (&client).read_exact(&mut one).unwrap();
            drop(client);
        });
        assert_eq!(read.join().await, Some(Err(Errno::ECONNRESET)));
    });
}

#[test]
fn a_batch_server_answers_clients_of_both_families() {
    let address = publish_udp(53, "[::]:0");
    let clients: Vec<_> = ["127.0.0.1", "::1"]
        .into_iter()
        .map(|ip| {
            thread::spawn(move || {
                let ip: net::IpAddr = ip.parse().unwrap();
                let client = net::UdpSocket::bind((ip, 0)).unwrap();
                for round in 0..300u32 {
                    client.send_to(&round.to_be_bytes(), (ip, address.port())).unwrap();
                    let mut reply = [0; 16];
                    let (length, from) = client.recv_from(&mut reply).unwrap();
                    assert_eq!((&reply[..length], from.ip()), (&(round + 1).to_be_bytes()[..], ip));
                }
            })
        })
        .collect();
    block_on(async move {
        let server = UdpSocket::bind(at("0.0.0.0:53")).await.unwrap();
        let mut batch = Batch::new(64, 512);
        let mut served = 0;
        while served < 600 {
            let answer = |query: &[u8], peer: SocketAddr, reply: &mut [u8]| {
                assert!(peer.is_ipv4() || peer.ip() == at("[::1]:0").ip());
                let number = u32::from_be_bytes(query.try_into().unwrap());
                reply[..4].copy_from_slice(&(number + 1).to_be_bytes());
                served += 1;
                4
            };
            server.serve_batch(&mut batch, answer).await.unwrap();
        }
    });
    for client in clients {
        client.join().unwrap();
    }
}

#[test]
fn single_datagrams_go_both_ways() {
    let address = publish_udp(53, "127.0.0.1:0");
    let client = net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"query", address).unwrap();
    block_on(async move {
        let server = UdpSocket::bind(at("0.0.0.0:53")).await.unwrap();
        let mut buffer = [0; 512];
        let (length, peer) = server.recv_from(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"query");
        // The client's address is 127.0.0.1 on the host, which inside means this instance; the reply must still go
        // to where the query came from.
        assert!(peer.ip().is_loopback());
        assert_eq!(server.send_to(b"reply", peer).await, Ok(5));
    });
    let mut buffer = [0; 8];
    assert_eq!(client.recv(&mut buffer).unwrap(), 5);
}

/// Publishes UDP port `port` at several addresses of the host.
fn publish_udp_at(port: u16, addresses: &[&str]) -> Vec<net::SocketAddr> {
    let sockets: Vec<_> = addresses.iter().map(|at| net::UdpSocket::bind(at).unwrap()).collect();
    let bound = sockets.iter().map(|s| s.local_addr().unwrap()).collect();
    publish::udp(port, sockets);
    bound
}

/// A client that accepts answers only from the address that it asked.
fn ask(server: net::SocketAddr, rounds: u32) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let own = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let client = net::UdpSocket::bind(own).unwrap();
        client.connect(server).unwrap();
        client.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
        for round in 0..rounds {
            client.send(&round.to_be_bytes()).unwrap();
            let mut reply = [0; 16];
            let length = client.recv(&mut reply).unwrap();
            assert_eq!(&reply[..length], &(round + 1).to_be_bytes());
        }
    })
}

#[test]
fn a_batch_answers_by_the_host_socket_that_was_asked() {
    let addresses = publish_udp_at(53, &["127.0.0.1:0", "[::1]:0", "127.0.0.2:0"]);
    let clients: Vec<_> = addresses.into_iter().map(|address| ask(address, 200)).collect();
    block_on(async move {
        let server = UdpSocket::bind(at("0.0.0.0:53")).await.unwrap();
        let mut batch = Batch::new(64, 512);
        let mut served = 0;
        while served < 600 {
            let answer = |query: &[u8], _: SocketAddr, reply: &mut [u8]| {
                let number = u32::from_be_bytes(query.try_into().unwrap());
                reply[..4].copy_from_slice(&(number + 1).to_be_bytes());
                served += 1;
                4
            };
            server.serve_batch(&mut batch, answer).await.unwrap();
        }
    });
    clients.into_iter().for_each(|client| client.join().unwrap());
}

#[test]
fn single_answers_leave_by_the_host_socket_that_was_asked() {
    let addresses = publish_udp_at(53, &["127.0.0.1:0", "[::1]:0", "127.0.0.2:0"]);
    let clients: Vec<_> = addresses.into_iter().map(|address| ask(address, 200)).collect();
    block_on(async move {
        let server = UdpSocket::bind(at("0.0.0.0:53")).await.unwrap();
        let mut buffer = [0; 512];
        for _ in 0..600 {
            let (length, peer) = server.recv_from(&mut buffer).await.unwrap();
            let number = u32::from_be_bytes(buffer[..length].try_into().unwrap());
            server.send_to(&(number + 1).to_be_bytes(), peer).await.unwrap();
        }
    });
    clients.into_iter().for_each(|client| client.join().unwrap());
}

#[test]
fn a_port_that_is_published_twice_accepts_by_both_listeners() {
    let listeners = ["127.0.0.1:0", "[::1]:0"].map(|at| net::TcpListener::bind(at).unwrap());
    let addresses = [0, 1].map(|i: usize| listeners[i].local_addr().unwrap());
    publish::tcp(80, listeners);
    block_on(async move {
        let listener = TcpListener::bind(at("0.0.0.0:80")).await.unwrap();
        for address in addresses.into_iter().cycle().take(6) {
            let client = thread::spawn(move || net::TcpStream::connect(address).unwrap());
            let (stream, peer) = listener.accept().await.unwrap();
            assert_eq!(peer.is_ipv4(), address.is_ipv4());
            assert_eq!(stream.local_addr(), Ok(address));
            drop(client.join().unwrap());
        }
    });
}

#[test]
fn an_end_that_comes_together_with_the_last_bytes_is_seen() {
    let address = publish_tcp(81);
    block_on(async move {
        let listener = TcpListener::bind(at("[::]:81")).await.unwrap();
        let mut client = net::TcpStream::connect(address).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let reader = spawn("reader", async move {
            let mut lengths = Vec::new();
            let mut buffer = [0; 100];
            while lengths.last() != Some(&0) {
                lengths.push(stream.read(&mut buffer).await.unwrap());
            }
            lengths
        });
        // It waits, so that the socket is watched; then a part by itself; then the last part and the end at once.
        kernlet_exec::sleep(kernlet_time::Duration::from_millis(5)).await;
        client.write_all(b"first").unwrap();
        kernlet_exec::sleep(kernlet_time::Duration::from_millis(5)).await;
        client.write_all(b"last").unwrap();
        client.shutdown(net::Shutdown::Write).unwrap();
        let lengths = kernlet_exec::timeout(kernlet_time::Duration::from_secs(20), reader.join()).await;
        assert_eq!(lengths, Ok(Some(vec![5, 4, 0])));
    });
}

#[test]
fn bytes_that_come_in_pieces_are_all_read_by_poll_with_a_shared_buffer() {
    let address = publish_tcp(82);
    let client = thread::spawn(move || {
        let mut stream = net::TcpStream::connect(address).unwrap();
        for piece in 0..200u8 {
            stream.write_all(&[piece; 100]).unwrap();
            if piece % 50 == 0 {
                thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    });
    block_on(async move {
        let listener = TcpListener::bind(at("[::]:82")).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let shared = std::cell::RefCell::new([0u8; 64]);
        let mut read = Vec::new();
        loop {
            let length = kernlet_sync::poll_fn(|context| {
                let mut buffer = shared.borrow_mut();
                let polled = stream.poll_read(context, &mut *buffer);
                if let core::task::Poll::Ready(Ok(length)) = polled {
                    read.extend_from_slice(&buffer[..length]);
                }
                polled
            });
            if length.await.unwrap() == 0 {
                break;
            }
        }
        assert_eq!(read, (0..200u8).flat_map(|piece| [piece; 100]).collect::<Vec<_>>());
    });
    client.join().unwrap();
}
