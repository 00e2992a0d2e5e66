//! Whole packets out of fragments.
//!
//! Anybody can send fragments: what is kept of them is bounded in number, bytes and time, and a packet of which two
//! fragments disagree is dropped whole (RFC 5722, which is as right for IPv4).

use crate::stack::build::Ends;
use crate::stack::packet::{ETHERNET, Fragment, TCP};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use kernlet_time::Instant;

/// Packets that are put together at a time. A newer one takes the oldest one's place.
const MOST: usize = 16;
/// Bytes of all of them.
const MOST_BYTES: usize = 256 * 1024;
/// Pieces of one packet: 512 of 128 bytes are the longest.
const MOST_PIECES: usize = 512;
/// What a piece takes besides its bytes, about.
const OVERHEAD: usize = 64;
/// How long the rest may take to come: RFC 791 says 15 s at least, RFC 8200 has 60 s, Linux 30 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// What fragments of one packet have in common (RFC 791, 3.2; RFC 8200, 4.5, without the protocol).
type Key = (IpAddr, IpAddr, u32, u8);

/// A packet of which something is missing.
struct Partial {
    key: Key,
    until: Instant,
    /// Where each piece begins, ascending, and its bytes; no two overlap.
    pieces: Vec<(usize, Vec<u8>)>,
    have: usize,
    /// Where the packet ends, once its last fragment has come.
    end: Option<usize>,
    /// As the first fragment says.
    protocol: u8,
}

/// What came of a fragment.
enum Added {
    Kept,
    Whole,
    /// It does not fit to the others.
    Wrong,
}

impl Partial {
    fn add(&mut self, fragment: &Fragment, data: &[u8]) -> Added {
        let (start, end) = (fragment.start, fragment.start + data.len());
        let place = self.pieces.partition_point(|(other, _)| *other < start);
        let before = place.checked_sub(1).map_or(0, |i| self.pieces[i].0 + self.pieces[i].1.len());
        if let Some((other, bytes)) = self.pieces.get(place) {
            if *other == start && bytes == data {
                // The network doubled it (RFC 8200, 4.5).
                return Added::Kept;
            }
            if *other < end {
                return Added::Wrong;
            }
        }
        let furthest = self.pieces.last().map_or(0, |(start, bytes)| start + bytes.len());
        let fits = match self.end {
            Some(known) => end <= known && (fragment.more || end == known),
            None => fragment.more || furthest <= start,
        };
        if before > start || !fits || self.pieces.len() >= MOST_PIECES {
            return Added::Wrong;
        }
        if !fragment.more {
            self.end = Some(end);
        }
        if start == 0 {
            self.protocol = fragment.protocol;
        }
        self.have += data.len();
        self.pieces.insert(place, (start, data.to_vec()));
        if self.end == Some(self.have) { Added::Whole } else { Added::Kept }
    }

    fn memory(&self) -> usize {
        self.have + self.pieces.len() * OVERHEAD
    }
}

/// The packets that are being put together, the oldest first.
#[derive(Default)]
pub struct Assembler(Vec<Partial>);

impl Assembler {
    /// Takes in a fragment that lies in `frame`; returns the packet that it makes whole, as one frame.
    pub fn take(&mut self, frame: &[u8], fragment: &Fragment, now: Instant) -> Option<Vec<u8>> {
        let data = frame.get(fragment.data.clone())?;
        if fragment.start == 0 && fragment.more && !has_transport_header(fragment.protocol, data) {
            return None;
        }
        if fragment.start == 0 && !fragment.more {
            // All of it: it has nothing to do with others (RFC 6946).
            return whole(frame, fragment, fragment.protocol, data.len(), &[(0, data.to_vec())]);
        }
        self.expire(now);
        let protocol = if fragment.source.is_ipv4() { fragment.protocol } else { 0 };
        let key = (fragment.source, fragment.destination, fragment.id, protocol);
        let at = self.0.iter().position(|partial| partial.key == key).unwrap_or_else(|| {
            if self.0.len() == MOST {
                self.0.remove(0);
            }
            let (pieces, until) = (Vec::new(), now + PATIENCE);
            self.0.push(Partial { key, until, pieces, have: 0, end: None, protocol: fragment.protocol });
            self.0.len() - 1
        });
        match self.0[at].add(fragment, data) {
            Added::Kept => {
                while self.0.iter().map(Partial::memory).sum::<usize>() > MOST_BYTES {
                    self.0.remove(0);
                }
                None
            }
            Added::Whole => {
                let partial = self.0.remove(at);
                whole(frame, fragment, partial.protocol, partial.have, &partial.pieces)
            }
            Added::Wrong => {
                self.0.remove(at);
                None
            }
        }
    }

    /// Drops what has waited for too long.
    pub fn expire(&mut self, now: Instant) {
        self.0.retain(|partial| partial.until > now);
    }

    /// When [`Self::expire`] has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.first().map(|partial| partial.until)
    }

    /// Packets that wait for fragments, and the bytes of those that came.
    #[cfg(any(test, fuzzing))]
    pub fn held(&self) -> (usize, usize) {
        (self.0.len(), self.0.iter().map(|partial| partial.have).sum())
    }
}

/// Whether the first fragment holds all of the transport's header, as it must (RFC 8200, 4.5; RFC 1858 for TCP).
fn has_transport_header(protocol: u8, data: &[u8]) -> bool {
    match protocol {
        TCP => data.len() >= 20 && data.len() >= usize::from(data[12] >> 4) * 4,
        // UDP's and that of ICMP's echo messages have 8 bytes, as each fragment that is not the last has.
        _ => true,
    }
}

/// The packet of `pieces` as a frame from the sender of `frame`, which holds one of its fragments.
fn whole(
    frame: &[u8],
    fragment: &Fragment,
    protocol: u8,
    length: usize,
    pieces: &[(usize, Vec<u8>)],
) -> Option<Vec<u8>> {
    let ends = Ends {
        from_mac: *frame.get(6..)?.first_chunk()?,
        to_mac: *frame.first_chunk()?,
        from: SocketAddr::new(fragment.source, 0),
        to: SocketAddr::new(fragment.destination, 0),
    };
    let start = ETHERNET + ends.ip_header();
    let mut all = alloc::vec![0; start + length];
    ends.write_ip(&mut all, protocol);
    for (at, piece) in pieces {
        all.get_mut(start + at..start + at + piece.len())?.copy_from_slice(piece);
    }
    Some(all)
}
