//! Packets that are longer than the link takes.
//!
//! They go out one after another, as many fragments as there is room for; the rest when there is room again.

use crate::stack::build::Ends;
use crate::stack::connection::Tuple;
use crate::stack::link::Link;
use crate::stack::packet::ETHERNET;
use crate::stack::{PATIENCE, STUCK, tuple_map};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::SocketAddr;
use kernlet_platform::Errno;
use kernlet_platform::nic::Offload;
use kernlet_time::Instant;

/// What waits at most, in bytes; more is lost, as on any full link. It holds two of the longest.
const MOST_BYTES: usize = 128 * 1024;

/// A packet, and how much of it has been sent.
struct Packet {
    ends: Ends,
    protocol: u8,
    id: u32,
    bytes: Vec<u8>,
    sent: usize,
}

/// The packets that go out in fragments, the first of them maybe in part.
#[derive(Default)]
pub struct Outgoing {
    packets: VecDeque<Packet>,
    /// How many there have been.
    count: u32,
    /// When the last fragment was sent.
    progress: Option<Instant>,
}

impl Outgoing {
    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Sends a packet whose part behind the IP header is `bytes`, its checksum right, at once or when there is room.
    pub fn push(&mut self, link: &dyn Link, ends: Ends, protocol: u8, bytes: Vec<u8>, now: Instant) {
        if self.waiting() + bytes.len() > MOST_BYTES {
            return;
        }
        if self.is_empty() {
            self.progress = Some(now);
        }
        // Nobody who does not see what goes to this address can tell it (RFC 7739, 5.3), and no two in a row have the same.
        self.count = self.count.wrapping_add(1);
        let [local, remote] = [ends.from, ends.to].map(|end| SocketAddr::new(end.ip(), 0));
        let pair = Tuple { local, remote };
        let id = (tuple_map::hash(&pair) as u32).wrapping_add(self.count);
        self.packets.push_back(Packet { ends, protocol, id, bytes, sent: 0 });
        self.send(link, now);
    }

    /// Sends what there is room for.
    pub fn send(&mut self, link: &dyn Link, now: Instant) {
        while let Some(packet) = self.packets.front_mut()
            && link.has_room()
        {
            match packet.send(link) {
                Ok(()) => self.progress = Some(now),
                Err(Errno::EAGAIN) => break,
                // The link does not take such frames at all.
                Err(_) => packet.sent = packet.bytes.len(),
            }
            if packet.sent == packet.bytes.len() {
                self.packets.pop_front();
            }
        }
        if self.progress.is_some_and(|at| now.since(at) >= STUCK) {
            self.packets.clear();
        }
    }

    /// The bytes of what waits.
    pub fn waiting(&self) -> usize {
        self.packets.iter().map(|packet| packet.bytes.len()).sum()
    }

    /// When to try again.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        (!self.is_empty()).then_some(now + PATIENCE)
    }
}

impl Packet {
    /// Sends the next fragment.
    fn send(&mut self, link: &dyn Link) -> Result<(), Errno> {
        let room = usize::from(link.facts().mtu).saturating_sub(self.ends.fragment_headers()).max(8) & !7;
        let end = self.bytes.len().min(self.sent + room);
        let data = &self.bytes[self.sent..end];
        let more = end < self.bytes.len();
        let length = ETHERNET + self.ends.fragment_headers() + data.len();
        link.transmit(length, &mut |frame| {
            self.ends.write_fragment(frame, self.protocol, self.id, self.sent, more, data);
            Offload::None
        })?;
        self.sent = end;
        Ok(())
    }
}
