//! Finds the chain of NSEC or NSEC3 records that a zone is signed with, and checks that it is whole.

use super::Problem;
use super::assembly::Assembly;
use super::build::Place;
use super::denial::{Denial, HASH, Nsec3, Spot, base32hex, first, unbase32hex};
use super::read_u16;
use super::rrset::{FIXED, Rrset};
use super::tree::{NO_NODE, Node, NodeId, Tree, filled};
use crate::answer::Path;
use crate::name::MAX_NAME;
use crate::rtype as t;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// The most iterations that are taken; more would let queries cost too much (RFC 9276 section 3.2 wants none).
const MOST_ITERATIONS: u16 = 150;

/// The chain under construction.
#[derive(Default)]
pub(super) struct Chain {
    /// The owners of NSEC records as far as the chain was followed, and how many there are.
    owners: Vec<NodeId>,
    links: usize,
    /// How many NSEC3 records there are, the name of the first, and of the one that the last one found leads to.
    hashes: usize,
    first: NodeId,
    next: NodeId,
    nsec3: Option<Nsec3>,
}

impl Chain {
    /// How often each name is hashed again.
    pub(super) fn rounds(&self) -> usize {
        self.nsec3.as_ref().map_or(0, |chain| chain.iterations.into())
    }

    pub(super) fn finish(self) -> Denial {
        match self.nsec3 {
            Some(chain) => Denial::Nsec3(chain),
            None if self.owners.is_empty() => Denial::None,
            None => Denial::Nsec(self.owners),
        }
    }
}

/// The parameters of an NSEC3 or NSEC3PARAM record.
struct Parameters<'d> {
    algorithm: u8,
    flags: u8,
    iterations: u16,
    salt: &'d [u8],
    /// What follows them.
    rest: &'d [u8],
}

fn parameters(data: &[u8]) -> Option<Parameters<'_>> {
    let (&[algorithm, flags, high, low, length], rest) = data.split_first_chunk()?;
    let (salt, rest) = rest.split_at_checked(length.into())?;
    Some(Parameters { algorithm, flags, iterations: u16::from_be_bytes([high, low]), salt, rest })
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

/// What follows the salt in those NSEC3 records of an RRset that belong to the chain.
fn of_chain<'d>(data: &'d [u8], set: &Rrset, chain: &Nsec3) -> Option<&'d [u8]> {
    let ours = |it: &Parameters<'_>| it.iterations == chain.iterations && *it.salt == *chain.salt;
    records(data, set).filter_map(parameters).find(ours).map(|it| it.rest)
}

impl Assembly {
    /// Where the record of a name and type stands.
    fn place_of(&self, id: NodeId, rtype: u16) -> Place {
        let found = self.builder.staged.iter().position(|it| it.node == id && it.rtype == rtype);
        found.map_or(Place { file: 0, line: 1 }, |n| self.builder.place(n as u32))
    }

    fn broken(&mut self, id: NodeId, rtype: u16) {
        let (place, problem) = (self.place_of(id, rtype), Problem::BrokenChain(self.builder.name(id)));
        self.builder.error(place, problem);
        self.chain = Chain::default();
    }

    /// Finds out which chain there is.
    pub(super) fn choose_chain(&mut self, _: usize) {
        if !self.builder.is_secure() || !self.builder.errors.is_empty() {
            return;
        }
        let set = self.builder.apex_set(t::NSEC3PARAM);
        let parameters = set.and_then(|set| {
            // SHA-1 is the only algorithm that there is, and a chain with flags is not for use (RFC 5155 section 4.1.2).
            records(&self.data, &set).filter_map(parameters).find(|it| it.algorithm == 1 && it.flags == 0)
        });
        let Some(Parameters { iterations, salt, .. }) = parameters else {
            self.chain.links = self.builder.rrsets.iter().filter(|set| set.rtype == t::NSEC).count();
            return;
        };
        if iterations > MOST_ITERATIONS {
            let place = self.place_of(self.builder.tree.apex, t::NSEC3PARAM);
            return self.builder.error(place, Problem::TooManyIterations(iterations));
        }
        let salt = salt.into();
        let (Ok(matching), Ok(wildcard)) = (filled(self.nodes(), NO_NODE), filled(self.nodes(), NO_NODE))
        else {
            return self.builder.error(Place { file: 0, line: 1 }, Problem::NoMemory);
        };
        (self.chain.first, self.chain.next) = (NO_NODE, NO_NODE);
        self.chain.nsec3 = Some(Nsec3 { iterations, salt, matching, wildcard, ..Nsec3::default() });
    }

    /// How many NSEC records there are.
    pub(super) fn links(&self) -> usize {
        self.chain.links
    }

    /// Follows the chain of NSEC records from the apex until it comes back.
    pub(super) fn follow(&mut self, n: usize) {
        let (tree, apex) = (&self.builder.tree, self.builder.tree.apex);
        let at = self.chain.owners.last().map_or(Some(apex), |&last| self.next(last));
        // The last link must lead back, and none before it.
        let last = n + 1 == self.chain.links;
        let Some(at) = at.filter(|&at| self.builder.set(at, t::NSEC).is_some() && (n == 0 || at != apex))
        else {
            let owner = self.chain.owners.last().copied().unwrap_or(apex);
            return if n > 0 && at == Some(apex) { self.left_out() } else { self.broken(owner, t::NSEC) };
        };
        let next = self.next(at);
        let right = match next {
            Some(next) if next == apex => true,
            Some(next) => !last && precedes(tree, at, next),
            None => false,
        };
        self.chain.owners.push(at);
        if !right {
            self.broken(at, t::NSEC);
        }
    }

    /// The name that the NSEC record of a name leads to.
    fn next(&self, id: NodeId) -> Option<NodeId> {
        let set = self.builder.set(id, t::NSEC)?;
        let mut name = [0; MAX_NAME];
        let data = records(&self.data, set).next()?;
        let length = data.len().min(MAX_NAME);
        name[..length].copy_from_slice(&data[..length]);
        name.make_ascii_lowercase();
        self.builder.tree.find(&name)
    }

    /// Some record is not in the chain; says which.
    fn left_out(&mut self) {
        let mut in_chain = vec![false; self.nodes()];
        self.chain.owners.iter().for_each(|&id| in_chain[id as usize] = true);
        let lost = |it: &&super::build::Staged| it.rtype == t::NSEC && !in_chain[it.node as usize];
        let lost = self.builder.staged.iter().find(lost).map(|it| it.node);
        self.broken(lost.unwrap_or(self.builder.tree.apex), t::NSEC);
    }

    /// The names to look at, if there are NSEC3 records.
    pub(super) fn hashed_nodes(&self) -> usize {
        if self.chain.nsec3.is_some() { self.nodes() } else { 0 }
    }

    /// Counts the names that are hashes, and finds the first.
    pub(super) fn collect(&mut self, id: usize) {
        let (tree, id) = (&self.builder.tree, id as NodeId);
        let Some(chain) = &self.chain.nsec3 else { return };
        let node = tree.node(id);
        if node.parent == tree.apex
            && self.builder.set(id, t::NSEC3).is_some_and(|set| of_chain(&self.data, set, chain).is_some())
        {
            self.chain.hashes += 1;
            // Labels of one length sort as the hashes that they say.
            if self.chain.first == NO_NODE || tree.label(node) < tree.label(tree.node(self.chain.first)) {
                self.chain.first = id;
            }
        }
        if id as usize + 1 == tree.nodes.len() && self.chain.hashes == 0 {
            self.broken(tree.apex, t::NSEC3PARAM);
        }
    }

    /// How many hashes there are.
    pub(super) fn hashes(&self) -> usize {
        self.chain.hashes
    }

    /// Follows the chain of NSEC3 records from the first hash until it comes back.
    pub(super) fn follow_hashes(&mut self, n: usize) {
        let tree = &self.builder.tree;
        let Some(chain) = &mut self.chain.nsec3 else { return };
        let before = chain.entries.last().map(|entry| entry.1);
        let at = match before {
            None => self.chain.first,
            Some(_) => self.chain.next,
        };
        let next = self.builder.set(at, t::NSEC3).and_then(|set| of_chain(&self.data, set, chain));
        let next = next.and_then(|rest| rest.get(1..=HASH)?.first_chunk());
        let next = next.and_then(|hash| {
            let label = base32hex(hash);
            tree.child(tree.apex, tree.hash.child(tree.apex_hash, &label), &label)
        });
        let last = n + 1 == self.chain.hashes;
        let later = |next: NodeId| tree.label(tree.node(next)) > tree.label(tree.node(at));
        match (unbase32hex(tree.label(tree.node(at))), next) {
            (Some(hash), Some(next)) if (last && next == self.chain.first) || (!last && later(next)) => {
                chain.entries.push((first(&hash), at));
                self.chain.next = next;
            }
            _ => self.broken(at, t::NSEC3),
        }
    }

    /// As many buckets as there are hashes, or up to twice as many.
    pub(super) fn buckets(&self) -> usize {
        match &self.chain.nsec3 {
            Some(chain) if !chain.entries.is_empty() => 2 << chain.entries.len().ilog2(),
            _ => 0,
        }
    }

    /// Finds where the hashes of a bucket start.
    pub(super) fn bucket(&mut self, n: usize) {
        let buckets = self.buckets();
        let Some(chain) = &mut self.chain.nsec3 else { return };
        chain.shift = 64 - buckets.ilog2();
        let mut at = chain.starts.last().map_or(0, |&at| at as usize);
        if n == 0 {
            chain.starts.push(0);
        }
        while chain.entries.get(at).is_some_and(|entry| entry.0 >> chain.shift == n as u64) {
            at += 1;
        }
        chain.starts.push(at as u32);
    }

    /// Finds the records of a name that exists.
    pub(super) fn hash(&mut self, id: usize) {
        let (tree, id) = (&self.builder.tree, id as NodeId);
        let Some(chain) = &mut self.chain.nsec3 else { return };
        let node = tree.node(id);
        let occluded = node.is(Node::AT_OR_BELOW_CUT) && !node.is(Node::CUT);
        if node.is(Node::EXISTS) && node.is(Node::IN_ZONE) && !occluded {
            let mut wire = [0; MAX_NAME];
            let length = tree.write_name(id, &mut wire);
            if let (found, true) = chain.find_name(tree, &wire[..length]) {
                chain.matching[id as usize] = found;
            }
            // Where there are names below, queries for others are likely.
            if id != tree.apex && chain.wildcard[node.parent as usize] == NO_NODE {
                chain.wildcard[node.parent as usize] = chain.find_wildcard(tree, node.parent);
            }
        }
        if id == tree.apex && chain.matching(id).is_none() {
            self.broken(id, t::NSEC3PARAM);
        }
    }
}

/// Whether a name comes before another in canonical order (RFC 4034 section 6.1).
fn precedes(tree: &Tree, a: NodeId, b: NodeId) -> bool {
    let mut wire = [0; MAX_NAME];
    let length = tree.write_name(b, &mut wire);
    Path::parse(&wire[..length]).is_some_and(|path| Spot::new(tree, b, &path).compare(a) == Ordering::Less)
}
