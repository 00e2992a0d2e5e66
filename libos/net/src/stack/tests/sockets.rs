//! The public sockets over a stack, with the stacks' own tasks.

use super::*;
use crate::stack::STACK;
use crate::stack::listener::Listener;
use crate::{Batch, TcpListener, TcpStream, UdpSocket, configured, interfaces};
use kernlet_exec::{block_on, spawn};
use kernlet_sync::poll_fn;

/// Makes b this instance's stack and runs both.
fn live() -> Rc<Stack> {
    let net = Net::new(true);
    assert!(STACK.get().set(Some(net.b.clone())).is_ok());
    *net.kicks[0].borrow_mut() = Some(net.a.clone());
    *net.kicks[1].borrow_mut() = Some(net.b.clone());
    for stack in [net.a.clone(), net.b.clone()] {
        spawn("network", async move { stack.run().await });
    }
    net.a
}

#[test]
fn a_listener_accepts_from_the_link_and_from_inside() {
    block_on(async {
        let peer = live();
        configured().await;
        assert_eq!(interfaces().len(), 2);
        let listener = TcpListener::bind(at("0.0.0.0:80")).await.unwrap();
        let client = Stream::open(&peer, ephemeral(), at("10.0.0.2:80")).unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        assert_eq!((from.ip(), stream.local_addr()), (ip("10.0.0.1"), Ok(at("10.0.0.2:80"))));
        let (mut buffer, mut total) = ([0; 4096], 0);
        let writer = spawn("writer", async move { stream.write_all(&[5; 200_000]).await });
        loop {
            match poll_fn(|c| client.poll_read(c, &mut buffer)).await.unwrap() {
                0 => break,
                length => total += length,
            }
        }
        assert_eq!((total, writer.join().await), (200_000, Some(Ok(()))));
        // One's own address is inside, too.
        for to in ["127.0.0.1:80", "10.0.0.2:80"] {
            let inside = TcpStream::connect(at(to)).await.unwrap();
            assert_eq!(listener.accept().await.unwrap().1, inside.local_addr().unwrap());
        }
        assert_eq!(TcpStream::connect(at("192.0.2.1:80")).await.err(), Some(Errno::ENETUNREACH));
        assert_eq!(TcpStream::connect(at("10.0.0.1:80")).await.err(), Some(Errno::ECONNREFUSED));
    });
}

#[test]
fn a_connection_can_be_opened_from_inside() {
    block_on(async {
        let peer = live();
        let listener = Listener::new(&peer, at("[::]:80"));
        let stream = TcpStream::connect(at("[2001:db8:0:1::1]:80")).await.unwrap();
        let server = poll_fn(|c| listener.poll_accept(c)).await;
        stream.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(poll_fn(|c| server.poll_read(c, &mut buffer)).await, Ok(5));
        drop(server);
        assert_eq!(stream.read(&mut buffer).await, Ok(0));
    });
}

#[test]
fn a_batch_server_answers_the_link_and_inside() {
    block_on(async {
        let peer = live();
        let server = UdpSocket::bind(at("[::]:53")).await.unwrap();
        spawn("server", async move {
            let mut batch = Batch::new(16, 512);
            loop {
                let answer = |query: &[u8], _: SocketAddr, reply: &mut [u8]| {
                    reply[..query.len()].copy_from_slice(query);
                    query.len()
                };
                server.serve_batch(&mut batch, answer).await.unwrap();
            }
        });
        let outside = crate::stack::udp::Socket::new(&peer, at("0.0.0.0:4000"));
        let inside = UdpSocket::bind(at("0.0.0.0:0")).await.unwrap();
        let mut buffer = [0; 64];
        for i in 0..200u32 {
            poll_fn(|c| outside.poll_send(c, &i.to_be_bytes(), at("10.0.0.2:53"))).await.unwrap();
            let (length, from) = poll_fn(|c| outside.poll_receive(c, &mut buffer)).await;
            assert_eq!((&buffer[..length], from), (&i.to_be_bytes()[..], at("10.0.0.2:53")));
            inside.send_to(&i.to_be_bytes(), at("127.0.0.1:53")).await.unwrap();
            assert_eq!(inside.recv_from(&mut buffer).await, Ok((4, at("127.0.0.1:53"))));
        }
        // A socket of this instance speaks out, and hears the reply.
        let echo = crate::stack::udp::Socket::new(&peer, at("0.0.0.0:7"));
        inside.send_to(b"out", at("10.0.0.1:7")).await.unwrap();
        let mut reply = [0; 16];
        poll_fn(|c| {
            echo.poll_serve(c, 1, &mut reply, |query, _, out| {
                out[..query.len()].copy_from_slice(query);
                query.len()
            })
        })
        .await;
        assert_eq!(inside.recv_from(&mut buffer).await, Ok((3, at("10.0.0.1:7"))));
        assert_eq!(inside.send_to(b"x", at("192.0.2.1:7")).await, Err(Errno::ENETUNREACH));
    });
}
