//! A name that is looked up, label by label from the root.

use crate::Zone;
use crate::name::{MAX_LABEL, MAX_LABELS, MAX_NAME};
use crate::zone::tree::{NodeId, Tree};

/// A name in lower-case wire form, with the places of its labels.
pub(crate) struct Path {
    wire: [u8; MAX_NAME],
    length: usize,
    /// Where each label starts, from left to right.
    starts: [u8; MAX_LABELS + 1],
    labels: usize,
}

impl Path {
    pub(crate) fn new() -> Self {
        Self { wire: [0; MAX_NAME], length: 0, starts: [0; MAX_LABELS + 1], labels: 0 }
    }

    /// Reads the uncompressed name at the start of some octets.
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let mut path = Self::new();
        path.read(packet)?;
        Some(path)
    }

    /// Reads the uncompressed name at the start of `packet`; the octets it takes are [`Path::length`].
    #[inline]
    pub(crate) fn read(&mut self, packet: &[u8]) -> Option<()> {
        let (mut at, mut labels) = (0, 0);
        loop {
            let length = usize::from(*packet.get(at)?);
            self.starts[labels] = at as u8;
            if length == 0 {
                break;
            }
            // A pointer or an unknown kind of label has no place in a question.
            if length > MAX_LABEL || at + 1 + length >= MAX_NAME {
                return None;
            }
            labels += 1;
            at += length + 1;
        }
        (self.labels, self.length) = (labels, at + 1);
        for (to, from) in self.wire[..=at].iter_mut().zip(&packet[..=at]) {
            // Length octets are below 64, and so no letters.
            *to = from.to_ascii_lowercase();
        }
        Some(())
    }

    /// The octets that the name takes, with the root's.
    #[inline]
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// How many labels it has, without the root.
    #[inline]
    pub(crate) fn labels(&self) -> usize {
        self.labels
    }

    /// Where the last `depth` labels start.
    #[inline]
    pub(crate) fn start(&self, depth: usize) -> usize {
        usize::from(self.starts[self.labels - depth])
    }

    /// The `depth`th label from the right, counted from 1, with its length octet.
    #[inline]
    pub(crate) fn label(&self, depth: usize) -> &[u8] {
        &self.wire[self.start(depth)..self.start(depth - 1)]
    }

    /// The name that is left of the last `depth` labels.
    #[inline]
    pub(crate) fn last(&self, depth: usize) -> &[u8] {
        &self.wire[self.start(depth)..self.length]
    }

    /// The labels before the last `depth` ones.
    pub(crate) fn first(&self, depth: usize) -> &[u8] {
        &self.wire[..self.start(depth)]
    }

    /// Walks down a zone that the name belongs to: the lowest node on the way, and whether it is the name's.
    #[inline]
    pub(crate) fn walk(&self, zone: &Zone) -> (NodeId, bool) {
        let tree: &Tree = &zone.tree;
        let (mut id, mut hash) = (tree.apex, tree.apex_hash);
        let mut depth = usize::from(tree.node(id).depth);
        while depth < self.labels {
            depth += 1;
            let label = self.label(depth);
            hash = tree.hash.child(hash, label);
            match tree.child(id, hash, label) {
                Some(child) => id = child,
                None => return (id, false),
            }
        }
        (id, true)
    }
}
