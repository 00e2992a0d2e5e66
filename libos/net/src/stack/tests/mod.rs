//! Stacks joined by a simulated link, on a clock that tests turn forward.

mod config;
mod fragments;
mod frames;
mod neighbours;
mod sockets;
mod tcp;
mod udp;

use super::link::{Fill, Link};
use super::stream::Stream;
use super::{Stack, packet};
use crate::ports::{self, Bound};
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use kernlet_platform::Errno;
use kernlet_platform::boot::{Address, NicConfig};
use kernlet_platform::cell::RefCell;
use kernlet_platform::nic::{Facts, LARGEST_FRAME, Offload};
use kernlet_time::Instant;

/// What the link does to frames, drawn from a seed.
#[derive(Default)]
struct Faults {
    random: u64,
    /// Out of 1000 frames.
    lost: u64,
    reordered: u64,
    doubled: u64,
    damaged: u64,
}

impl Faults {
    fn happens(&mut self, share: u64) -> bool {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) % 1000 < share
    }
}

type Queue = Rc<RefCell<VecDeque<(Vec<u8>, Offload)>>>;

/// One end of the link.
struct End {
    facts: Facts,
    receive: Queue,
    send: Queue,
    /// How many frames `send` holds at most.
    room: usize,
    faults: Rc<RefCell<Faults>>,
    /// Whose task to wake, in tests with tasks.
    peer: Rc<RefCell<Option<Rc<Stack>>>>,
}

/// Does what a device does for [`Offload::Sum`].
fn finish(frame: &mut [u8], offload: Offload) {
    if let Offload::Sum { start, offset } = offload {
        let (start, at) = (usize::from(start), usize::from(start + offset));
        let sum = super::checksum::Sum::default().bytes(&frame[start..]).checksum();
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Does what a device does for [`Offload::Segments`] (Linux Documentation/networking/segmentation-offloads.rst).
fn cut(frame: &[u8], offload: Offload) -> Vec<Vec<u8>> {
    let Offload::Segments { start, offset, headers, size, six } = offload else { unreachable!() };
    let (header, data) = frame.split_at(headers.into());
    let start = usize::from(start);
    let count = data.len().div_ceil(size.into());
    let pieces = data.chunks(size.into()).enumerate().map(|(i, data)| {
        let mut piece = [header, data].concat();
        let length = (piece.len() - packet::ETHERNET) as u16;
        if six {
            piece[18..20].copy_from_slice(&(length - 40).to_be_bytes());
        } else {
            piece[16..18].copy_from_slice(&length.to_be_bytes());
            piece[24..26].fill(0);
            let sum = super::checksum::Sum::default().bytes(&piece[14..34]).checksum();
            piece[24..26].copy_from_slice(&sum.to_be_bytes());
        }
        let sequence = u32::from_be_bytes(*piece[start + 4..].first_chunk().unwrap());
        let sequence = sequence.wrapping_add((i * usize::from(size)) as u32);
        piece[start + 4..start + 8].copy_from_slice(&sequence.to_be_bytes());
        if i + 1 < count {
            // FIN and PSH belong to the last.
            piece[start + 13] &= !9;
        }
        let sum = super::device::offload(&mut piece);
        assert_eq!(sum, Offload::Sum { start: start as u16, offset });
        finish(&mut piece, sum);
        assert!(piece.len() <= 1514);
        piece
    });
    pieces.collect()
}

impl End {
    /// Puts a frame on the link, or does to it what a bad link does.
    fn pass(&self, mut frame: Vec<u8>, offload: Offload) {
        let mut faults = self.faults.borrow_mut();
        let share = faults.damaged;
        if faults.happens(share) {
            let at = 14 + faults.random as usize % (frame.len() - 14);
            frame[at] ^= 1 << (faults.random % 8);
        }
        let mut queue = self.send.borrow_mut();
        let (lost, doubled, reordered) = (faults.lost, faults.doubled, faults.reordered);
        if !faults.happens(lost) {
            if faults.happens(doubled) {
                queue.push_back((frame.clone(), offload));
            }
            queue.push_back((frame, offload));
            let last = queue.len() - 1;
            if last > 0 && faults.happens(reordered) {
                queue.swap(last, last - 1);
            }
        }
    }
}

impl Link for End {
    fn facts(&self) -> Facts {
        self.facts
    }

    fn receive(&self, consume: &mut dyn FnMut(&[u8], Offload)) -> bool {
        let next = self.receive.borrow_mut().pop_front();
        next.map(|(frame, offload)| consume(&frame, offload)).is_some()
    }

    fn can_transmit(&self) -> bool {
        self.send.borrow().len() < self.room
    }

    fn transmit(&self, length: usize, fill: Fill<'_>) -> Result<(), Errno> {
        let short = length <= usize::from(self.facts.mtu) + packet::ETHERNET;
        if !short && (!self.facts.segments || length > LARGEST_FRAME) {
            return Err(Errno::EMSGSIZE);
        }
        if !self.can_transmit() {
            return Err(Errno::EAGAIN);
        }
        let mut frame = alloc::vec![0xa5; length];
        let offload = fill(&mut frame);
        assert!(self.facts.checksums || offload == Offload::None);
        assert_eq!(
            short,
            !matches!(offload, Offload::Segments { .. }),
            "what is cut, and nothing else, is long"
        );
        // A frame that may be damaged leaves the host: it is cut, and its checksum is summed. One that stays is passed as
        // it is.
        let leaves = self.faults.borrow().damaged > 0;
        match offload {
            Offload::Segments { .. } if leaves => {
                cut(&frame, offload).into_iter().for_each(|piece| self.pass(piece, Offload::None));
            }
            Offload::Sum { .. } | Offload::Segments { .. } if !leaves => self.pass(frame, Offload::Valid),
            _ => {
                finish(&mut frame, offload);
                self.pass(frame, Offload::None);
            }
        }
        if let Some(peer) = &*self.peer.borrow() {
            peer.kick();
        }
        Ok(())
    }

    fn flush(&self) {}
}

const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 0xa], [2, 0, 0, 0, 0, 0xb]];

/// Two stacks and the link between them.
struct Net {
    a: Rc<Stack>,
    b: Rc<Stack>,
    now: Instant,
    faults: Rc<RefCell<Faults>>,
    /// Frames on their way to a and to b.
    to: [Queue; 2],
    kicks: [Rc<RefCell<Option<Rc<Stack>>>>; 2],
}

fn nic(addresses: &[Address], gateways: &[Address]) -> NicConfig {
    NicConfig { mac: None, addresses: addresses.to_vec(), gateways: gateways.to_vec(), descriptor: -1 }
}

const NET: [u8; 14] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];

fn fixed(last: u8) -> NicConfig {
    let mut six = [0; 16];
    six[..14].copy_from_slice(&NET);
    six[15] = last;
    nic(&[Address::V4([10, 0, 0, last], 24), Address::V6(six, 64)], &[])
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

impl Net {
    /// 10.0.0.1 and 2001:db8:0:1::1 talk to 10.0.0.2 and 2001:db8:0:1::2.
    fn new(checksums: bool) -> Self {
        Self::with([fixed(1), fixed(2)], checksums, 256)
    }

    fn with(told: [NicConfig; 2], checksums: bool, room: usize) -> Self {
        let to: [Queue; 2] = Default::default();
        let faults = Rc::new(RefCell::new(Faults { random: 7, ..Faults::default() }));
        let kicks: [Rc<RefCell<Option<Rc<Stack>>>>; 2] = Default::default();
        let [a, b] = [0, 1].map(|i| {
            let end = End {
                facts: Facts { mac: MACS[i], mtu: 1500, checksums, segments: checksums },
                receive: to[i].clone(),
                send: to[1 - i].clone(),
                room,
                faults: faults.clone(),
                peer: kicks[1 - i].clone(),
            };
            Stack::new(Rc::new(end), &told[i], Some("kernlet"))
        });
        Self { a, b, now: Instant::now(), faults, to, kicks }
    }

    /// Lets both stacks work until they wait for time to pass; returns when they want to be woken.
    fn settle(&mut self) -> Option<Instant> {
        for _ in 0..10_000 {
            let (busy_a, next_a) = self.a.poll(self.now);
            let (busy_b, next_b) = self.b.poll(self.now);
            if !busy_a && !busy_b && self.to.iter().all(|q| q.borrow().is_empty()) {
                return [next_a, next_b].into_iter().flatten().min();
            }
        }
        panic!("the stacks keep each other busy");
    }

    /// Works and turns the clock forward until `done` gives something, for at most ten minutes of it.
    fn until<T>(&mut self, mut done: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        let end = self.now + Duration::from_secs(600);
        loop {
            if let Poll::Ready(value) = done(&mut Context::from_waker(Waker::noop())) {
                return value;
            }
            let next = self.settle();
            if let Poll::Ready(value) = done(&mut Context::from_waker(Waker::noop())) {
                return value;
            }
            // The call may have asked for something to be sent.
            let next = self.settle().or(next).unwrap_or(end);
            assert!(self.now < end, "it never comes about");
            assert!(next > self.now, "a deadline that has passed would make the stack spin");
            self.now = next;
        }
    }

    /// Lets time pass.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.settle().filter(|n| *n <= end) {
            assert!(next > self.now);
            self.now = next;
        }
        self.now = end;
        self.settle();
    }

    /// A stream from a to `to` on b, as both sides have it.
    fn connect(&mut self, listener: &super::listener::Listener, to: &str) -> (Stream, Stream) {
        let client = Stream::open(&self.a, ephemeral(), at(to)).unwrap();
        self.until(|context| client.poll_connected(context)).unwrap();
        let server = self.until(|context| listener.poll_accept(context));
        assert_eq!(
            (server.tuple().local, server.tuple().remote),
            (client.tuple().remote, client.tuple().local)
        );
        (client, server)
    }
}

fn ephemeral() -> Bound {
    ports::TCP.get().bind(at("[::]:0")).unwrap()
}
