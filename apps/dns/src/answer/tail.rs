//! The ends of common replies, prepared when a zone is loaded.
//!
//! Most replies end with the zone's NS records and their addresses, or with its SOA record. Those octets are
//! the same each time but for the compression pointers in them, so that they can be copied and the pointers
//! moved.

use super::additional::Additional;
use super::query::HEADER;
use super::writer::{Owner, Writer};
use crate::Zone;
use crate::zone::read_u16;
use crate::zone::rrset::{FIXED, Rrset, layout};
use alloc::vec;
use alloc::vec::Vec;

/// The end of a reply whose question is the zone's own name.
#[derive(Default)]
pub(crate) struct Tail {
    octets: Vec<u8>,
    /// Where in `octets` the pointers are.
    pointers: Vec<u16>,
    /// Where `octets` started, in the reply that they are from.
    start: u16,
    pub(super) authority: u16,
    pub(super) additional: u16,
}

/// A tail that would be longer is not prepared; it would not fit into most replies anyway.
const LONGEST: usize = 1100;

impl Tail {
    /// Prepares an RRset of the apex for the authority section, with the addresses that belong to it.
    pub(crate) fn prepare(zone: &Zone, set: &Rrset, dnssec: bool) -> Option<Self> {
        let name = zone.origin().wire();
        let start = HEADER + name.len() + 4;
        let mut reply = vec![0; start + LONGEST];
        reply[HEADER..HEADER + name.len()].copy_from_slice(name);
        let mut writer = Writer::new(&mut reply, start, dnssec);
        let (mut at, mut id) = (HEADER, zone.tree.apex);
        while id != crate::zone::tree::ROOT {
            writer.remember(id, at);
            at += zone.tree.label(zone.node(id)).len();
            id = zone.node(id).parent;
        }
        let authority = writer.rrset(zone, Owner::Node(zone.tree.apex), set);
        if authority == 0 {
            return None;
        }
        let added = Additional { zone, sources: [Some(set), None], answered: None, cut: None }
            .write(&mut writer, false);
        let end = writer.position();
        if !added.all {
            return None;
        }
        let octets = reply[start..end].to_vec();
        let pointers = pointers(&octets, authority + added.count)?;
        Some(Self { octets, pointers, start: start as u16, authority, additional: added.count })
    }

    /// Copies the tail to `at`, for a question that starts with `before` octets in front of the zone's name; where
    /// it ends, if it fits.
    #[inline]
    pub(super) fn copy(&self, out: &mut [u8], at: usize, before: usize) -> Option<usize> {
        let end = at + self.octets.len();
        // Pointers reach 16 KiB.
        if self.octets.is_empty() || end > 0x3fff {
            return None;
        }
        let room = out.get_mut(at..end)?;
        room.copy_from_slice(&self.octets);
        for &place in &self.pointers {
            if let Some(pointer) = room.get_mut(usize::from(place)..).and_then(<[u8]>::first_chunk_mut::<2>) {
                let to = u16::from_be_bytes(*pointer);
                let moved = if to & 0x3fff < self.start { before as u16 } else { at as u16 - self.start };
                *pointer = (to + moved).to_be_bytes();
            }
        }
        Some(end)
    }
}

/// Finds the compression pointers of some records.
fn pointers(octets: &[u8], records: u16) -> Option<Vec<u16>> {
    let mut found = Vec::new();
    let mut name = |mut at: usize| loop {
        match *octets.get(at)? {
            0 => return Some(at + 1),
            0xc0.. => {
                found.push(at as u16);
                return Some(at + 2);
            }
            length => at += usize::from(length) + 1,
        }
    };
    let mut at = 0;
    for _ in 0..records {
        at = name(at)?;
        let rtype = read_u16(octets.get(at..at + FIXED)?);
        let data = at + FIXED;
        at = data + usize::from(read_u16(&octets[at + FIXED - 2..]));
        let form = layout(rtype);
        let mut inner = data + form.map_or(0, |form| form.prefix);
        for _ in 0..form.map_or(0, |form| form.names) {
            inner = name(inner)?;
        }
    }
    (at == octets.len()).then_some(found)
}
