//! What proves that a name or type does not exist: the chains of NSEC (RFC 4034 section 4) and NSEC3 (RFC 5155).

use super::build::{Builder, Place};
use super::pace::{Pace, Source};
use super::rrset::{FIXED, Rrset};
use super::tree::{NO_NODE, Node, NodeId, Tree};
use super::{Problem, read_u16, sort};
use crate::answer::Path;
use crate::name::{MAX_LABELS, MAX_NAME};
use crate::rtype as t;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cmp::Ordering;
use sha1::{Digest, Sha1};

/// The most iterations that are taken; more would let queries cost too much (RFC 9276 section 3.2 wants none).
const MOST_ITERATIONS: u16 = 150;
/// The octets of a hash.
const HASH: usize = 20;
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
pub(crate) struct Nsec3 {
    iterations: u16,
    salt: Box<[u8]>,
    /// The first octets of each hash with the name that has its record, in order.
    entries: Vec<(u64, NodeId)>,
    /// Where the hashes with each value of their upper bits start in `entries`; one more at the end.
    starts: Vec<u32>,
    shift: u32,
    /// For each name the name of the record that matches it.
    matching: Vec<NodeId>,
    /// For each name that has names below it the one of the record that covers, or matches, the wildcard below it.
    wildcard: Vec<NodeId>,
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

    fn find_wildcard(&self, tree: &Tree, id: NodeId) -> NodeId {
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
fn first(hash: &[u8]) -> u64 {
    hash.first_chunk().map_or(0, |eight| u64::from_be_bytes(*eight))
}

/// A hash as the label that it makes: 32 digits with their length in front, in lower case.
fn base32hex(hash: &[u8; HASH]) -> [u8; 33] {
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
fn unbase32hex(label: &[u8]) -> Option<[u8; HASH]> {
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

/// The parameters of an NSEC3 or NSEC3PARAM record: algorithm, flags, iterations, salt; and what follows.
fn parameters(data: &[u8]) -> Option<(u8, u8, u16, &[u8], &[u8])> {
    let (&[algorithm, flags, high, low, length], rest) = data.split_first_chunk()?;
    let (salt, rest) = rest.split_at_checked(length.into())?;
    Some((algorithm, flags, u16::from_be_bytes([high, low]), salt, rest))
}

/// The data of the plain records of an RRset.
fn records<'d>(data: &'d [u8], set: &Rrset) -> impl Iterator<Item = &'d [u8]> {
    let mut rest = &data[set.start as usize..][..set.length as usize];
    core::iter::from_fn(move || {
        let length = usize::from(read_u16(rest.get(FIXED..)?));
        let (record, tail) = rest.split_at_checked(FIXED + 2 + length)?;
        rest = tail;
        Some(&record[FIXED + 2..])
    })
}

impl Builder {
    fn set(&self, id: NodeId, rtype: u16) -> Option<&Rrset> {
        let node = self.tree.node(id);
        let first = node.first_rrset as usize;
        self.rrsets[first..first + usize::from(node.rrsets)].iter().find(|set| set.rtype == rtype)
    }

    /// Finds the chain that the zone is signed with, and checks that it is whole.
    pub(super) async fn denial<S: Source>(&mut self, data: &[u8], pace: &mut Pace<'_, S>) -> Denial {
        let parameters = self.set(self.tree.apex, t::NSEC3PARAM).and_then(|set| {
            // SHA-1 is the only algorithm that there is, and a chain with flags is not for use (RFC 5155 section 4.1.2).
            records(data, set).filter_map(parameters).find(|found| found.0 == 1 && found.1 == 0)
        });
        match parameters {
            Some((_, _, iterations, salt, _)) => {
                self.nsec3(data, iterations, salt.into(), pace).await.map_or(Denial::None, Denial::Nsec3)
            }
            None => self.nsec(data, pace).await,
        }
    }

    /// Where the record of a name and type stands.
    fn place_of(&self, id: NodeId, rtype: u16) -> Place {
        let found = self.staged.iter().position(|record| record.node == id && record.rtype == rtype);
        found.map_or(Place { file: 0, line: 1 }, |n| self.place(n as u32))
    }

    fn chain_error(&mut self, id: NodeId, rtype: u16) {
        let problem = Problem::BrokenChain(self.name(id));
        self.error(self.place_of(id, rtype), problem);
    }

    /// Follows the chain of NSEC records from the apex until it comes back.
    async fn nsec<S: Source>(&mut self, data: &[u8], pace: &mut Pace<'_, S>) -> Denial {
        let apex = self.tree.apex;
        let total = self.rrsets.iter().filter(|set| set.rtype == t::NSEC).count();
        if total == 0 {
            return Denial::None;
        }
        let mut chain = Vec::with_capacity(total);
        let mut at = apex;
        loop {
            pace.step(2).await;
            let next = self.set(at, t::NSEC).and_then(|set| {
                let mut name: Vec<u8> = records(data, set).next()?.into();
                name.make_ascii_lowercase();
                self.tree.find(&name)
            });
            let next = next.filter(|&next| {
                next == apex || (self.set(next, t::NSEC).is_some() && precedes(&self.tree, at, next))
            });
            chain.push(at);
            match next {
                Some(next) if next == apex => break,
                Some(next) if chain.len() < total => at = next,
                _ => {
                    self.chain_error(at, t::NSEC);
                    return Denial::None;
                }
            }
        }
        if chain.len() != total {
            // Some record is left out; say which.
            let mut in_chain = alloc::vec![false; self.tree.nodes.len()];
            chain.iter().for_each(|&id| in_chain[id as usize] = true);
            let lost = self.staged.iter().find(|it| it.rtype == t::NSEC && !in_chain[it.node as usize]);
            let lost = lost.map(|it| it.node);
            self.chain_error(lost.unwrap_or(apex), t::NSEC);
        }
        Denial::Nsec(chain)
    }

    /// Sorts the NSEC3 records of one chain, and finds those of the names that exist.
    async fn nsec3<S: Source>(
        &mut self,
        data: &[u8],
        iterations: u16,
        salt: Box<[u8]>,
        pace: &mut Pace<'_, S>,
    ) -> Option<Nsec3> {
        let apex = self.tree.apex;
        if iterations > MOST_ITERATIONS {
            let problem = Problem::TooManyIterations(iterations);
            self.error(self.place_of(apex, t::NSEC3PARAM), problem);
            return None;
        }
        let ours = |set: &Rrset| {
            records(data, set)
                .filter_map(parameters)
                .find(|it| it.2 == iterations && *it.3 == *salt)
                .map(|it| it.4)
        };
        let mut entries = Vec::new();
        for id in 0..self.tree.nodes.len() as NodeId {
            pace.step(usize::from(id % 4 == 0)).await;
            let node = self.tree.node(id);
            if node.parent != apex || self.set(id, t::NSEC3).and_then(ours).is_none() {
                continue;
            }
            match unbase32hex(self.tree.label(node)) {
                Some(hash) => entries.push((first(&hash), id)),
                None => self.chain_error(id, t::NSEC3),
            }
        }
        if entries.is_empty() {
            self.chain_error(apex, t::NSEC3PARAM);
            return None;
        }
        sort(&mut entries);
        // Each record must name the hash of the next one.
        for n in 0..entries.len() {
            pace.step(1).await;
            let (at, next) = (entries[n].1, entries[(n + 1) % entries.len()].1);
            let named = self.set(at, t::NSEC3).and_then(ours).and_then(|rest| rest.get(1..=HASH));
            let label = unbase32hex(self.tree.label(self.tree.node(next)));
            if named.is_none() || named != label.as_ref().map(|hash| &hash[..]) {
                self.chain_error(at, t::NSEC3);
                return None;
            }
        }
        let bits = entries.len().ilog2();
        let mut starts = Vec::with_capacity((2 << bits) + 1);
        let shift = 63 - bits;
        let mut at = 0;
        for bucket in 0..2u64 << bits {
            pace.step(usize::from(bucket % 8 == 0)).await;
            starts.push(at as u32);
            while entries.get(at).is_some_and(|entry| entry.0 >> shift == bucket) {
                at += 1;
            }
        }
        starts.push(at as u32);
        let count = self.tree.nodes.len();
        let nothing = alloc::vec![NO_NODE; count];
        let mut chain =
            Nsec3 { iterations, salt, entries, starts, shift, matching: nothing.clone(), wildcard: nothing };
        let rounds = 1 + usize::from(iterations);
        let mut wire = [0; MAX_NAME];
        for id in 0..count as NodeId {
            let node = self.tree.node(id);
            let occluded = node.is(Node::AT_OR_BELOW_CUT) && !node.is(Node::CUT);
            if !node.is(Node::EXISTS) || !node.is(Node::IN_ZONE) || occluded {
                continue;
            }
            let length = self.tree.write_name(id, &mut wire);
            if let (found, true) = chain.find_name(&self.tree, &wire[..length]) {
                chain.matching[id as usize] = found;
            }
            // Where there are names below, queries for others are likely.
            if id != apex && chain.wildcard[node.parent as usize] == NO_NODE {
                chain.wildcard[node.parent as usize] = chain.find_wildcard(&self.tree, node.parent);
            }
            pace.step(rounds).await;
        }
        if chain.matching(apex).is_none() {
            self.chain_error(apex, t::NSEC3PARAM);
        }
        Some(chain)
    }
}

/// Whether a name comes before another in canonical order (RFC 4034 section 6.1).
fn precedes(tree: &Tree, a: NodeId, b: NodeId) -> bool {
    let mut wire = [0; MAX_NAME];
    let length = tree.write_name(b, &mut wire);
    Path::parse(&wire[..length]).is_some_and(|path| Spot::new(tree, b, &path).compare(a) == Ordering::Less)
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
