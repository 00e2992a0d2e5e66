//! What proves that a name or type does not exist: the chains of NSEC (RFC 4034 section 4) and NSEC3 (RFC 5155).

use super::tree::{NO_NODE, NodeId, Tree};
use crate::answer::Path;
use crate::name::{MAX_LABELS, MAX_NAME};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;
use sha1::{Digest, Sha1};

/// The octets of a hash.
pub(super) const HASH: usize = 20;
/// No entry.
const NONE: u32 = u32::MAX;

/// How a zone proves that there is nothing.
pub(crate) enum Denial {
    /// Not at all: it is not signed.
    None,
    /// The owners of NSEC records in canonical order.
    Nsec(Vec<NodeId>),
    /// By hashes.
    Nsec3(Nsec3),
}

/// One chain of NSEC3 records.
#[derive(Default)]
pub(crate) struct Nsec3 {
    pub(super) iterations: u16,
    pub(super) salt: Box<[u8]>,
    /// The first octets of each hash with the name that has its record, in order.
    pub(super) entries: Vec<(u64, NodeId)>,
    /// Where the hashes with each value of their upper bits start in `entries`; one more at the end.
    pub(super) starts: Vec<u32>,
    pub(super) shift: u32,
    /// For each name the name of the record that matches it.
    pub(super) matching: Vec<NodeId>,
    /// For each name that has names below it the one of the record that covers, or matches, the wildcard below it.
    pub(super) wildcard: Vec<NodeId>,
}

impl Nsec3 {
    /// The hash of a name in lower-case wire form (RFC 5155 section 5).
    pub(crate) fn hash(&self, name: &[u8]) -> [u8; HASH] {
        let digest = |octets: &[u8]| -> [u8; HASH] {
            let mut sha = Sha1::new();
            sha.update(octets);
            sha.update(&self.salt);
            sha.finalize().into()
        };
        (0..self.iterations).fold(digest(name), |hash, _| digest(&hash))
    }

    /// The owner of the record that matches or covers a hash, and whether it matches.
    pub(crate) fn find(&self, tree: &Tree, hash: &[u8; HASH]) -> (NodeId, bool) {
        let key = first(hash);
        let bucket = (key >> self.shift) as usize;
        let (from, to) = (self.starts[bucket] as usize, self.starts[bucket + 1] as usize);
        let at = from + self.entries[from..to].partition_point(|entry| entry.0 < key);
        let equal = self.entries[at..].iter().take_while(|entry| entry.0 == key);
        let label = base32hex(hash);
        for &(_, node) in equal {
            if tree.label(tree.node(node)) == label {
                return (node, true);
            }
        }
        let before = at.checked_sub(1).unwrap_or(self.entries.len() - 1);
        (self.entries[before].1, false)
    }

    /// The owner of the record that matches a name of the zone.
    pub(crate) fn matching(&self, id: NodeId) -> Option<NodeId> {
        Some(self.matching[id as usize]).filter(|&found| found != NO_NODE)
    }

    /// The owner of the record that covers, or matches, the wildcard below a name.
    pub(crate) fn wildcard(&self, tree: &Tree, id: NodeId) -> NodeId {
        match self.wildcard[id as usize] {
            NO_NODE => self.find_wildcard(tree, id),
            found => found,
        }
    }

    pub(super) fn find_wildcard(&self, tree: &Tree, id: NodeId) -> NodeId {
        let mut wire = [0; MAX_NAME];
        let length = tree.write_name(id, &mut wire);
        let mut name = [0; MAX_NAME + 2];
        name[..2].copy_from_slice(b"\x01*");
        name[2..2 + length].copy_from_slice(&wire[..length]);
        self.find(tree, &self.hash(&name[..2 + length])).0
    }

    /// The same for any name.
    pub(crate) fn find_name(&self, tree: &Tree, name: &[u8]) -> (NodeId, bool) {
        self.find(tree, &self.hash(name))
    }
}

/// The first octets of a hash.
pub(super) fn first(hash: &[u8]) -> u64 {
    hash.first_chunk().map_or(0, |eight| u64::from_be_bytes(*eight))
}

/// A hash as the label that it makes: 32 digits with their length in front, in lower case.
pub(super) fn base32hex(hash: &[u8; HASH]) -> [u8; 33] {
    let mut label = [32; 33];
    for (five, digits) in hash.chunks_exact(5).zip(label[1..].chunks_exact_mut(8)) {
        let bits = five.iter().fold(0u64, |bits, &octet| bits << 8 | u64::from(octet));
        for (n, digit) in digits.iter_mut().enumerate() {
            *digit = b"0123456789abcdefghijklmnopqrstuv"[(bits >> (35 - 5 * n)) as usize & 31];
        }
    }
    label
}

/// The hash that a label says.
pub(super) fn unbase32hex(label: &[u8]) -> Option<[u8; HASH]> {
    let mut hash = [0; HASH];
    let digits = label.get(1..).filter(|digits| digits.len() == 32)?;
    for (eight, five) in digits.chunks_exact(8).zip(hash.chunks_exact_mut(5)) {
        let mut bits = 0u64;
        for &digit in eight {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'v' => digit - b'a' + 10,
                _ => return None,
            };
            bits = bits << 5 | u64::from(value);
        }
        five.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(hash)
}

/// A name that is looked for among those of the tree: its nodes as far as there are any.
pub(crate) struct Spot<'a> {
    tree: &'a Tree,
    path: &'a Path,
    ids: [NodeId; MAX_LABELS + 1],
    depth: usize,
}

impl<'a> Spot<'a> {
    /// `lowest` is the deepest node on the way to `path`.
    pub(crate) fn new(tree: &'a Tree, lowest: NodeId, path: &'a Path) -> Self {
        let depth = usize::from(tree.node(lowest).depth);
        let mut ids = [NONE; MAX_LABELS + 1];
        let mut id = lowest;
        for place in ids[..=depth].iter_mut().rev() {
            *place = id;
            id = tree.node(id).parent;
        }
        Self { tree, path, ids, depth }
    }

    /// How a node compares with the name.
    pub(crate) fn compare(&self, id: NodeId) -> Ordering {
        let tree = self.tree;
        let (mut id, mut node) = (id, tree.node(id));
        while usize::from(node.depth) > self.depth + 1 {
            id = node.parent;
            node = tree.node(id);
        }
        let mut depth = usize::from(node.depth);
        if depth <= self.depth && self.ids[depth] == id {
            return if depth == self.path.labels() { Ordering::Equal } else { Ordering::Less };
        }
        while depth > 0 && node.parent != self.ids[depth - 1] {
            node = tree.node(node.parent);
            depth -= 1;
        }
        if depth > self.path.labels() {
            return Ordering::Greater;
        }
        tree.label(node)[1..].cmp(&self.path.label(depth)[1..])
    }
}

/// The owner of the last NSEC record before a name, or at it.
pub(crate) fn covering(chain: &[NodeId], tree: &Tree, lowest: NodeId, path: &Path) -> Option<NodeId> {
    let place = Spot::new(tree, lowest, path);
    let after = chain.partition_point(|&id| place.compare(id) != Ordering::Greater);
    chain.get(after.checked_sub(1)?).copied()
}
