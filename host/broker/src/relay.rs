//! Datagrams of UDP connections, carried between the real socket and the instance's end of a socket pair.
//!
//! A connected UDP socket still sends to whatever address it is given with a datagram, and no filter sees that. On a
//! SOCK_SEQPACKET pair addresses are ignored: the instance reaches the granted port and nothing else. What finds no room
//! in either direction is dropped, as UDP may.

use crate::handles::quarter_of_descriptors;
use kernlet_wire::broker::{DATAGRAM, MAX_DATAGRAM};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};
use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// How many connections an instance may have at once.
const MOST: usize = 256;
/// How many datagrams are carried one way before others have their turn.
const TURN: usize = 32;
/// How many turns carry all that a pair holds: its buffer has room for some 280 of the smallest datagrams.
const TURNS: usize = 16;
const STACK: usize = 128 << 10;

/// What the thread is told by when the instance has ended.
const END: u64 = u64::MAX;

/// All relayed connections of an instance, carried by a thread that is made with the first of them.
#[derive(Debug, Default)]
pub struct Relay(Mutex<Option<Arc<Shared>>>);

#[derive(Debug)]
struct Shared {
    /// Watches both sockets of each pair, the real one under an even token and the other under the next.
    epoll: OwnedFd,
    /// Rung when the instance has ended.
    bell: OwnedFd,
    pairs: Mutex<Pairs>,
}

#[derive(Debug, Default)]
struct Pairs {
    open: HashMap<u64, Pair>,
    next: u64,
}

#[derive(Debug)]
struct Pair {
    outside: OwnedFd,
    inside: OwnedFd,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Relay {
    /// Relays a connected socket that does not block; returns the instance's end.
    ///
    /// # Errors
    /// EMFILE when the instance has too many; the host's.
    pub fn add(&self, outside: OwnedFd) -> Result<OwnedFd, Errno> {
        let shared = self.started()?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (inside, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let mut pairs = locked(&shared.pairs);
        // Each has two descriptors.
        if pairs.open.len() >= MOST.min(quarter_of_descriptors() / 2) {
            return Err(Errno::MFILE);
        }
        let token = pairs.next;
        pairs.next += 2;
        watch(&shared.epoll, &outside, token)?;
        watch(&shared.epoll, &inside, token + 1)?;
        pairs.open.insert(token, Pair { outside, inside });
        Ok(theirs)
    }

    /// Carries what the instance has sent and is still on its way here: to be called when the instance has ended, before
    /// this process does. Whoever sends a datagram and ends has sent it.
    pub fn flush(&self) {
        let Some(shared) = locked(&self.0).clone() else { return };
        let mut buffer = vec![DATAGRAM; 1 + MAX_DATAGRAM];
        // The relay's thread has the lock while it carries: nothing is in its hands now.
        let pairs = locked(&shared.pairs);
        for pair in pairs.open.values() {
            let _ = (0..TURNS).all(|_| pair.outwards(&mut buffer));
        }
    }

    fn started(&self) -> Result<Arc<Shared>, Errno> {
        let mut relay = locked(&self.0);
        if let Some(shared) = &*relay {
            return Ok(shared.clone());
        }
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        watch(&epoll, &bell, END)?;
        let shared = Arc::new(Shared { epoll, bell, pairs: Mutex::default() });
        let theirs = shared.clone();
        let builder = thread::Builder::new().name("kernlet-relay".into()).stack_size(STACK);
        let spawned = builder.spawn(move || theirs.run());
        spawned.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::AGAIN))?;
        Ok(relay.insert(shared).clone())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(shared) = &*locked(&self.0) {
            // It cannot be full: it is rung once.
            let _ = rustix::io::write(&shared.bell, &1u64.to_ne_bytes());
        }
    }
}

fn watch(epoll: &OwnedFd, socket: &OwnedFd, token: u64) -> Result<(), Errno> {
    epoll::add(epoll, socket, epoll::EventData::new_u64(token), epoll::EventFlags::IN)
}

impl Shared {
    fn run(&self) {
        let mut buffer = vec![DATAGRAM; 1 + MAX_DATAGRAM];
        let mut space = [MaybeUninit::uninit(); 32];
        loop {
            let events = match epoll::wait(&self.epoll, &mut space, None) {
                Ok((events, _)) => events,
                Err(Errno::INTR) => continue,
                Err(_) => return,
            };
            for event in events {
                let token = event.data.u64();
                if token == END {
                    return;
                }
                // Nothing below waits: the lock is held for as long as it takes to carry a few datagrams.
                let mut pairs = locked(&self.pairs);
                let Some(pair) = pairs.open.get(&(token & !1)) else { continue };
                if token & 1 == 0 {
                    pair.inwards(&mut buffer);
                } else if !pair.outwards(&mut buffer) {
                    pairs.open.remove(&(token & !1));
                }
            }
        }
    }
}

impl Pair {
    /// Carries what came from the network. Its errors (a refusal by ICMP, say) are nobody's to know.
    fn inwards(&self, buffer: &mut [u8]) {
        for _ in 0..TURN {
            match recv(&self.outside, &mut buffer[1..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    buffer[0] = DATAGRAM;
                    let message = &buffer[..1 + length.min(MAX_DATAGRAM)];
                    let _ = send(&self.inside, message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
                }
                Err(Errno::AGAIN) => return,
                Err(_) => {}
            }
        }
    }

    /// Carries what the instance sends; `false` when it has closed its end. What is no datagram is dropped.
    fn outwards(&self, buffer: &mut [u8]) -> bool {
        for _ in 0..TURN {
            match recv(&self.inside, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((0, _)) if self.closed() => return false,
                Ok((length, _)) if length > 0 && length <= buffer.len() && buffer[0] == DATAGRAM => {
                    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                    let _ = send(&self.outside, &buffer[1..length], flags);
                }
                Ok(_) => {}
                Err(Errno::AGAIN) => return true,
                Err(_) => return false,
            }
        }
        true
    }

    /// Tells the end from an empty message.
    fn closed(&self) -> bool {
        let mut socket = [PollFd::new(&self.inside, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let _ = poll(&mut socket, Some(&now));
        socket[0].revents().contains(PollFlags::HUP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Duration;

    fn relayed(relay: &Relay) -> (OwnedFd, UdpSocket) {
        let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(peer.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        (relay.add(socket.into()).unwrap(), peer)
    }

    fn receive(socket: &OwnedFd) -> Vec<u8> {
        let mut ready = [PollFd::new(socket, PollFlags::IN)];
        poll(&mut ready, Some(&Timespec { tv_sec: 20, tv_nsec: 0 })).unwrap();
        let mut buffer = vec![0; 1 + MAX_DATAGRAM];
        let (length, _) = recv(socket, &mut buffer[..], RecvFlags::DONTWAIT).unwrap();
        buffer.truncate(length);
        buffer
    }

    #[test]
    fn datagrams_of_every_length_are_carried_both_ways() {
        let relay = Relay::default();
        let (inside, peer) = relayed(&relay);
        let mut buffer = vec![0; MAX_DATAGRAM];
        for length in [0, 1, 1400, MAX_DATAGRAM] {
            let message = vec![DATAGRAM; 1 + length];
            send(&inside, &message, SendFlags::empty()).unwrap();
            let (received, from) = peer.recv_from(&mut buffer).unwrap();
            assert_eq!(received, length);
            peer.send_to(&buffer[..length], from).unwrap();
            assert_eq!(receive(&inside), message);
        }
    }

    #[test]
    fn what_was_sent_before_the_end_has_gone_out_after_a_flush() {
        let relay = Relay::default();
        for _ in 0..50 {
            let (inside, peer) = relayed(&relay);
            for number in 0..20 {
                send(&inside, &[DATAGRAM, number], SendFlags::empty()).unwrap();
            }
            drop(inside);
            relay.flush();
            peer.set_nonblocking(true).unwrap();
            let mut got = vec![];
            let mut buffer = [0; 4];
            while let Ok((1, _)) = peer.recv_from(&mut buffer) {
                got.push(buffer[0]);
            }
            assert_eq!(got, (0..20).collect::<Vec<u8>>());
        }
    }

    #[test]
    fn an_address_given_with_a_datagram_is_ignored_and_what_is_no_datagram_dropped() {
        let relay = Relay::default();
        let (inside, peer) = relayed(&relay);
        let elsewhere = UdpSocket::bind("127.0.0.1:0").unwrap();
        elsewhere.set_nonblocking(true).unwrap();
        send(&inside, b"", SendFlags::empty()).unwrap();
        send(&inside, b"\x07odd", SendFlags::empty()).unwrap();
        let to = elsewhere.local_addr().unwrap();
        rustix::net::sendto(&inside, b"\0hello", SendFlags::empty(), &to).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(peer.recv_from(&mut buffer).unwrap().0, 5);
        assert!(elsewhere.recv_from(&mut buffer).is_err());
    }

    #[test]
    fn a_closed_connection_and_a_dropped_relay_leave_nothing_open() {
        let relay = Relay::default();
        let (inside, peer) = relayed(&relay);
        send(&inside, b"\0x", SendFlags::empty()).unwrap();
        let (_, from) = peer.recv_from(&mut [0; 4]).unwrap();
        drop(inside);
        let (other, _) = relayed(&relay);
        let start = std::time::Instant::now();
        // The port is free again when the real socket is closed.
        while UdpSocket::bind(from).is_err() {
            assert!(start.elapsed() < Duration::from_secs(20), "the socket stays open");
            thread::sleep(Duration::from_millis(1));
        }
        drop(relay);
        let mut end = [PollFd::from_borrowed_fd(other.as_fd(), PollFlags::empty())];
        poll(&mut end, Some(&Timespec { tv_sec: 20, tv_nsec: 0 })).unwrap();
        assert!(end[0].revents().contains(PollFlags::HUP));
    }
}
