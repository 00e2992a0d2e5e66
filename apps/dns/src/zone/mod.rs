//! A zone in memory: compact, ready to be copied into answers.
//!
//! Three arrays hold it: the tree of names ([`tree`]), the RRsets of each name side by side in the order in
//! which the file first shows their types, and the records of each RRset as they will stand in a message
//! ([`rrset`]). Nothing is allocated when a question is answered.

mod assembly;
mod build;
mod chain;
mod check;
pub(crate) mod denial;
mod error;
pub(crate) mod rrset;
pub(crate) mod targets;
pub(crate) mod tree;

pub(crate) use assembly::Assembly;
pub(crate) use build::{Builder, MOST_ERRORS, Place};
pub(crate) use error::quote;
pub use error::{Problem, ZoneError, ZoneErrors};

use crate::answer::Tail;
use crate::name::Name;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use denial::Denial;
use rrset::Rrset;
use tree::{Node, NodeId, Tree};

/// One zone, loaded and checked.
pub struct Zone {
    origin: Name,
    pub(crate) tree: Tree,
    pub(crate) rrsets: Vec<Rrset>,
    pub(crate) data: Vec<u8>,
    /// The SOA record as negative answers carry it, with the smaller of its two times (RFC 2308 section 3).
    pub(crate) negative_soa: Rrset,
    /// The SOA and NS records of the apex.
    pub(crate) soa: Rrset,
    pub(crate) ns: Rrset,
    /// Whether the zone is signed: its DNSKEY records are.
    pub(crate) secure: bool,
    pub(crate) denial: Denial,
    /// The ends of replies with and without data; the second of each pair has signatures.
    pub(crate) servers: [Tail; 2],
    pub(crate) nothing: [Tail; 2],
    serial: u32,
    records: usize,
    warnings: Vec<ZoneError>,
    /// How many queries were for this zone.
    pub(crate) queries: AtomicU64,
}

impl core::fmt::Debug for Zone {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Zone({}, serial {}, {} records)", self.origin, self.serial, self.records)
    }
}

impl Zone {
    /// The zone's name.
    pub fn origin(&self) -> &Name {
        &self.origin
    }

    /// The serial number of its SOA record.
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// How many records it has.
    pub fn records(&self) -> usize {
        self.records
    }

    /// What is not as it should be, but not wrong enough to keep the zone from being served; a bounded number.
    pub fn warnings(&self) -> &[ZoneError] {
        &self.warnings
    }

    /// How many queries were answered from this zone and those that it took the place of.
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        self.tree.node(id)
    }

    /// The RRsets of a node, in the order of the file.
    #[inline]
    pub(crate) fn rrsets(&self, node: &Node) -> &[Rrset] {
        let first = node.first_rrset as usize;
        &self.rrsets[first..first + usize::from(node.rrsets)]
    }

    #[inline]
    pub(crate) fn rrset(&self, node: &Node, rtype: u16) -> Option<&Rrset> {
        self.rrsets(node).iter().find(|set| set.rtype == rtype)
    }

    /// The stored records of an RRset (see [`rrset`]).
    #[inline]
    pub(crate) fn stored(&self, set: &Rrset) -> &[u8] {
        &self.data[set.start as usize..][..set.length as usize]
    }

    /// The stored records of an RRset with the signatures that follow them.
    #[inline]
    pub(crate) fn stored_with_signatures(&self, set: &Rrset) -> &[u8] {
        &self.data[set.start as usize..][..set.length as usize + usize::from(set.signed_length)]
    }

    /// The delegation that a node is at or below: the highest, which hides those below it.
    pub(crate) fn cut_above(&self, id: NodeId) -> Option<NodeId> {
        let mut found = None;
        let (mut id, mut node) = (id, self.node(id));
        while node.is(Node::AT_OR_BELOW_CUT) {
            if node.is(Node::CUT) {
                found = Some(id);
            }
            id = node.parent;
            node = self.node(id);
        }
        found
    }

    /// The node itself, or the lowest one above it that exists (RFC 4592 section 2.2).
    #[inline]
    pub(crate) fn existing(&self, id: NodeId) -> NodeId {
        let (mut id, mut node) = (id, self.node(id));
        // The apex exists, so this ends; above it the tree holds only the targets of records.
        while !node.is(Node::EXISTS) && node.parent != tree::NO_NODE {
            id = node.parent;
            node = self.node(id);
        }
        id
    }
}

/// The first four octets, big-endian.
#[inline]
pub(crate) fn read_u32(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map_or(0, |four| u32::from_be_bytes(*four))
}

/// The first two octets, big-endian.
#[inline]
pub(crate) fn read_u16(bytes: &[u8]) -> u16 {
    bytes.first_chunk::<2>().map_or(0, |two| u16::from_be_bytes(*two))
}

/// Sorts keys with their indices. All sorting of the crate goes through here, since each kind of element would
/// bring kilobytes of code into the image.
#[inline(never)]
pub(crate) fn sort(items: &mut [(u64, u32)]) {
    items.sort_unstable();
}
