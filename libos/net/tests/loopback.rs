//! Sockets inside the instance, by the public interface. Each test thread is an instance of its own.

use kernlet_exec::{block_on, spawn, timeout, yield_now};
use kernlet_net::{Batch, Errno, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use kernlet_time::Duration;
use std::cell::Cell;
use std::rc::Rc;

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind(at("127.0.0.1:0")).await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    assert_eq!(server.local_addr().unwrap(), client.peer_addr().unwrap());
    (client, server)
}

#[test]
fn a_large_stream_arrives_whole_through_a_bounded_buffer() {
    block_on(async {
        let (client, server) = pair().await;
        let wanted: Vec<u8> = (0..1_000_000u32).map(|i| (i * 7 % 251) as u8).collect();
        let sent = wanted.clone();
        let writer = spawn("writer", async move { client.write_all(&sent).await });
        let mut got = Vec::new();
        let mut buffer = [0; 10_000];
        loop {
            let length = server.read(&mut buffer).await.unwrap();
            if length == 0 {
                break;
            }
            got.extend_from_slice(&buffer[..length]);
        }
        assert_eq!(writer.join().await, Some(Ok(())));
        assert!(got == wanted);
    });
}

#[test]
fn a_half_closed_stream_still_carries_the_other_direction() {
    block_on(async {
        let (client, server) = pair().await;
        client.write_all(b"question").await.unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(client.write(b"more").await, Err(Errno::EPIPE));
        let mut buffer = [0; 64];
        assert_eq!(server.read(&mut buffer).await, Ok(8));
        assert_eq!(server.read(&mut buffer).await, Ok(0));
        server.write_all(b"answer").await.unwrap();
        drop(server);
        assert_eq!(client.read(&mut buffer).await, Ok(6));
        assert_eq!(client.read(&mut buffer).await, Ok(0));
    });
}

#[test]
fn closing_with_something_unread_resets_the_connection() {
    block_on(async {
        let (client, server) = pair().await;
        client.write_all(b"unread").await.unwrap();
        drop(server);
        assert_eq!(client.read(&mut [0; 8]).await, Err(Errno::ECONNRESET));
        assert_eq!(client.write(b"x").await, Err(Errno::ECONNRESET));
    });
}

#[test]
fn a_port_without_listener_refuses() {
    block_on(async {
        assert_eq!(TcpStream::connect(at("127.0.0.1:80")).await.err(), Some(Errno::ECONNREFUSED));
        assert_eq!(TcpStream::connect(at("[::1]:80")).await.err(), Some(Errno::ECONNREFUSED));
        assert_eq!(TcpStream::connect(at("192.0.2.1:80")).await.err(), Some(Errno::ENETUNREACH));
    });
}

#[test]
fn connections_beyond_the_backlog_wait_and_are_refused_when_the_listener_goes() {
    block_on(async {
        let listener = TcpListener::bind(at("[::]:80")).await.unwrap();
        let mut connected = Vec::new();
        loop {
            let connect = TcpStream::connect(at("127.0.0.1:80"));
            match timeout(Duration::from_millis(5), connect).await {
                Ok(stream) => connected.push(stream.unwrap()),
                Err(_) => break,
            }
        }
        assert_eq!(connected.len(), 128);
        let waiting = spawn("connect", TcpStream::connect(at("[::1]:80")));
        let refused = spawn("connect", TcpStream::connect(at("[::1]:80")));
        yield_now().await;
        let accepted = listener.accept().await.unwrap();
        assert!(waiting.join().await.unwrap().is_ok());
        drop(listener);
        assert_eq!(refused.join().await.unwrap().err(), Some(Errno::ECONNREFUSED));
        // Who was never accepted is told; who was keeps the connection.
        assert_eq!(connected[1].read(&mut [0; 1]).await, Err(Errno::ECONNRESET));
        accepted.0.write_all(b"x").await.unwrap();
        assert_eq!(connected[0].read(&mut [0; 1]).await, Ok(1));
    });
}

#[test]
fn two_tasks_may_accept_from_one_listener() {
    block_on(async {
        let listener = Rc::new(TcpListener::bind(at("0.0.0.0:80")).await.unwrap());
        let tasks = [(); 2].map(|()| {
            let listener = listener.clone();
            spawn("accept", async move { listener.accept().await.unwrap().1 })
        });
        yield_now().await;
        let streams =
            [TcpStream::connect(at("127.0.0.1:80")).await, TcpStream::connect(at("127.0.0.1:80")).await];
        for task in tasks {
            let peer = task.join().await.unwrap();
            assert!(streams.iter().any(|s| s.as_ref().unwrap().local_addr() == Ok(peer)));
        }
    });
}

#[test]
fn the_halves_of_a_stream_serve_two_tasks() {
    block_on(async {
        let (client, server) = pair().await;
        let (read, write) = client.into_split();
        let reader = spawn("reader", async move {
            let mut reply = [0; 5];
            read.read_exact(&mut reply).await.map(|()| reply)
        });
        write.write_all(b"hello").await.unwrap();
        drop(write);
        let mut all = [0; 5];
        server.read_exact(&mut all).await.unwrap();
        assert_eq!(server.read(&mut [0; 1]).await, Ok(0));
        server.write_all(&all).await.unwrap();
        assert_eq!(reader.join().await, Some(Ok(*b"hello")));
    });
}

#[test]
fn addresses_that_are_not_ours_or_are_taken_cannot_be_bound() {
    block_on(async {
        assert_eq!(UdpSocket::bind(at("192.0.2.1:53")).await.err(), Some(Errno::EADDRNOTAVAIL));
        assert_eq!(TcpListener::bind(at("[2001:db8::1]:53")).await.err(), Some(Errno::EADDRNOTAVAIL));
        let _udp = UdpSocket::bind(at("127.0.0.1:53")).await.unwrap();
        let _tcp = TcpListener::bind(at("127.0.0.1:53")).await.unwrap();
        assert_eq!(UdpSocket::bind(at("0.0.0.0:53")).await.err(), Some(Errno::EADDRINUSE));
    });
}

#[test]
fn datagrams_find_the_socket_bound_to_their_address() {
    block_on(async {
        let four = UdpSocket::bind(at("127.0.0.1:53")).await.unwrap();
        let six = UdpSocket::bind(at("[::1]:53")).await.unwrap();
        let client = UdpSocket::bind(at("[::]:0")).await.unwrap();
        client.send_to(b"four", at("127.0.0.1:53")).await.unwrap();
        client.send_to(b"sixth", at("[::1]:53")).await.unwrap();
        client.send_to(b"nobody", at("127.0.0.2:53")).await.unwrap();
        let mut buffer = [0; 4];
        let port = client.local_addr().unwrap().port();
        assert_eq!(four.recv_from(&mut buffer).await, Ok((4, SocketAddr::from(([127, 0, 0, 1], port)))));
        let (length, peer) = six.recv_from(&mut buffer).await.unwrap();
        assert_eq!((length, &buffer, peer.ip()), (4, b"sixt", "::1".parse().unwrap()));
        assert_eq!(client.send_to(&[0; 70_000], peer).await, Err(Errno::EMSGSIZE));
        assert_eq!(four.send_to(b"x", at("[::1]:53")).await, Err(Errno::EAFNOSUPPORT));
        assert_eq!(client.send_to(b"x", at("192.0.2.1:53")).await, Err(Errno::ENETUNREACH));
    });
}

#[test]
fn a_batch_server_answers_inside_and_lets_others_run() {
    block_on(async {
        let server = UdpSocket::bind(at("0.0.0.0:53")).await.unwrap();
        let answered = Rc::new(Cell::new(0u32));
        let counter = answered.clone();
        let serving = spawn("server", async move {
            let mut batch = Batch::new(4, 512);
            loop {
                let answer = |query: &[u8], _: SocketAddr, reply: &mut [u8]| {
                    counter.set(counter.get() + 1);
                    reply[..query.len()].copy_from_slice(query);
                    reply[0] ^= 0xff;
                    query.len()
                };
                server.serve_batch(&mut batch, answer).await.unwrap();
            }
        });
        let client = UdpSocket::bind(at("127.0.0.1:0")).await.unwrap();
        for i in 0..1000u32 {
            client.send_to(&i.to_be_bytes(), at("127.0.0.1:53")).await.unwrap();
        }
        // A server that never waits must still give turns.
        while answered.get() == 0 {
            yield_now().await;
        }
        assert!(answered.get() < 1000);
        for i in 0..1000u32 {
            let mut reply = [0; 16];
            assert_eq!(client.recv_from(&mut reply).await.unwrap().0, 4);
            reply[0] ^= 0xff;
            assert_eq!(reply[..4], i.to_be_bytes());
        }
        serving.cancel();
    });
}
