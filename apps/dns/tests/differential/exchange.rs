//! Questions to a peer by the window, over UDP and over one TCP connection.
//!
//! Nothing waits for a time to pass: a peer answers in the order in which it was asked, so that once it has
//! answered a last question, of which it is known that it will, all other answers are there, or never come.

use crate::peer::{PATIENCE, Peer};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::time::Duration;

/// How many questions are under way at once: little enough for the peer's receive buffer.
pub const WINDOW: usize = 64;
/// The message ID of the last question; no other has it.
const LAST: u16 = 0xffff;
/// How often a question over UDP is asked that the network may have lost.
const TRIES: usize = 3;

/// A connection to a peer.
pub struct Exchange<'p> {
    peer: &'p Peer,
    sockets: Vec<UdpSocket>,
    last: UdpSocket,
    stream: Option<TcpStream>,
    last_query: Vec<u8>,
}

impl<'p> Exchange<'p> {
    /// To a peer that serves the zone `origin`.
    pub fn new(peer: &'p Peer, origin: &str) -> Self {
        let socket = || {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("there are free ports");
            socket.connect(peer.address).expect("loopback");
            socket
        };
        let sockets: Vec<UdpSocket> = (0..WINDOW).map(|_| socket()).collect();
        for socket in &sockets {
            socket.set_nonblocking(true).expect("a socket");
        }
        let last = socket();
        last.set_read_timeout(Some(Duration::from_secs(2))).expect("a valid time");
        let mut last_query =
            crate::common::Ask::new(&format!("{}.", origin.trim_end_matches('.')), 6).packet();
        last_query[..2].copy_from_slice(&LAST.to_be_bytes());
        Self { peer, sockets, last, stream: None, last_query }
    }

    /// Sends up to [`WINDOW`] questions over UDP.
    pub fn send_udp(&mut self, packets: &[&[u8]]) {
        for (socket, packet) in self.sockets.iter().zip(packets) {
            // What came late for an earlier question.
            while socket.recv(&mut [0; 1]).is_ok() {}
            let _ = socket.send(packet);
        }
        let _ = self.last.send(&self.last_query);
    }

    /// The answers to what [`Self::send_udp`] sent; `expected` says which should have one, and are asked again when
    /// they have none.
    pub fn receive_udp(&mut self, packets: &[&[u8]], expected: &[bool]) -> Vec<Option<Vec<u8>>> {
        let mut replies = vec![None; packets.len()];
        let mut buffer = vec![0; 65535];
        for attempt in 0..TRIES {
            self.wait_for_last();
            for ((socket, packet), reply) in self.sockets.iter().zip(packets).zip(&mut replies) {
                while let Ok(length) = socket.recv(&mut buffer) {
                    if reply.is_none() && buffer.get(..2) == packet.get(..2) {
                        *reply = Some(buffer[..length].to_vec());
                    }
                }
            }
            let again: Vec<usize> =
                (0..packets.len()).filter(|&n| expected[n] && replies[n].is_none()).collect();
            if again.is_empty() || attempt + 1 == TRIES {
                break;
            }
            for n in again {
                let _ = self.sockets[n].send(packets[n]);
            }
            let _ = self.last.send(&self.last_query);
        }
        replies
    }

    fn wait_for_last(&self) {
        let mut reply = [0; 4096];
        for _ in 0..10 {
            match self.last.recv(&mut reply) {
                Ok(_) => return,
                Err(_) => {
                    let _ = self.last.send(&self.last_query);
                }
            }
        }
        panic!("{} stopped answering; its log:\n{}", self.peer.name, self.peer.log());
    }

    fn connect(&mut self) -> &mut TcpStream {
        let address = self.peer.address;
        self.stream.get_or_insert_with(|| {
            let stream = TcpStream::connect(address).expect("the peer listens");
            stream.set_read_timeout(Some(PATIENCE)).expect("a valid time");
            stream.set_nodelay(true).expect("a socket");
            stream
        })
    }

    /// Sends questions over TCP, on the connection that is there, all at once.
    pub fn send_tcp(&mut self, packets: &[&[u8]]) {
        let mut octets = vec![];
        let last = self.last_query.clone();
        for packet in packets.iter().copied().chain([&last[..]]) {
            octets.extend_from_slice(&(packet.len() as u16).to_be_bytes());
            octets.extend_from_slice(packet);
        }
        // A connection that was closed since is opened anew.
        if self.connect().write_all(&octets).is_err() {
            self.stream = None;
            let _ = self.connect().write_all(&octets);
        }
    }

    /// The answers to what [`Self::send_tcp`] sent. What a peer answers by closing the connection has none.
    pub fn receive_tcp(&mut self, packets: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let mut replies = vec![None; packets.len()];
        let mut open = true;
        while let Some(reply) = self.frame() {
            if reply[..2] == LAST.to_be_bytes() {
                open = false;
                break;
            }
            if let Some(n) = packets.iter().position(|packet| packet.get(..2) == reply.get(..2)) {
                replies[n] = Some(reply);
            }
        }
        // Closed before the end: nobody knows at which question, so those without an answer are asked one by one.
        if open {
            self.stream = None;
            for n in 0..packets.len() {
                if replies[n].is_none() {
                    self.send_tcp(&packets[n..=n]);
                    match self.frame() {
                        Some(reply) if reply[..2] == LAST.to_be_bytes() => continue,
                        Some(reply) => {
                            replies[n] = Some(reply);
                            if self.frame().is_none() {
                                self.stream = None;
                            }
                        }
                        None => self.stream = None,
                    }
                }
            }
        }
        replies
    }

    /// The next message; None when the connection was closed.
    fn frame(&mut self) -> Option<Vec<u8>> {
        let name = self.peer.name;
        let stream = self.stream.as_mut()?;
        // A peer that waits for the acknowledgement of one small reply before it sends the next would wait for a timer.
        let _ = rustix::net::sockopt::set_tcp_quickack(&*stream, true);
        let mut read = |octets: &mut [u8]| match stream.read_exact(octets) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("{name} does not answer over TCP")
            }
            result => result.ok(),
        };
        let mut length = [0; 2];
        read(&mut length)?;
        let mut reply = vec![0; u16::from_be_bytes(length).into()];
        read(&mut reply)?;
        (reply.len() >= 12).then_some(reply)
    }
}
