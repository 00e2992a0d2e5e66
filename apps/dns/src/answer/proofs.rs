//! Proofs that a name or type does not exist: RFC 4035 section 3.1.3 and RFC 5155 section 7.2.
//!
//! Which RRsets prove something is found out while names are followed; they are written when the answer section is
//! complete, each once.

use super::Path;
use super::rcode;
use super::resolve::{Resolver, Section};
use super::writer::Owner;
use crate::Zone;
use crate::rtype as t;
use crate::zone::denial::{Denial, Nsec3, covering};
use crate::zone::tree::NodeId;

/// How many a reply can have: three for each name, of few that matter.
const MOST: usize = 24;

/// The owners of records that prove something.
pub(super) struct Proofs<'z> {
    found: [Option<(&'z Zone, NodeId)>; MOST],
    count: usize,
    /// How many are in the reply.
    written: usize,
}

impl<'z> Proofs<'z> {
    pub(super) fn new() -> Self {
        Self { found: [None; MOST], count: 0, written: 0 }
    }

    fn add(&mut self, zone: &'z Zone, owner: NodeId) {
        let known = |found: &Option<(&Zone, NodeId)>| {
            found.is_some_and(|(of, id)| core::ptr::eq(of, zone) && id == owner)
        };
        if !self.found[..self.count].iter().any(known)
            && let Some(place) = self.found.get_mut(self.count)
        {
            *place = Some((zone, owner));
            self.count += 1;
        }
    }
}

impl<'z> Resolver<'_, '_, 'z> {
    /// Writes the proofs found so far; `zone` is the one that the reply is at.
    pub(super) fn prove(&mut self, zone: &Zone) {
        while self.proofs.written < self.proofs.count {
            let next = self.proofs.found[self.proofs.written];
            self.proofs.written += 1;
            let Some((from, owner)) = next else { continue };
            let elsewhere = !core::ptr::eq(from, zone);
            if elsewhere {
                self.writer.change_zone(&zone.tree, &from.tree);
            }
            let rtype = if matches!(from.denial, Denial::Nsec(_)) { t::NSEC } else { t::NSEC3 };
            if let Some(set) = from.rrset(from.node(owner), rtype) {
                self.needed(Section::Authority, from, Owner::Node(owner), set);
            }
            if elsewhere {
                self.writer.change_zone(&from.tree, &zone.tree);
            }
        }
    }

    /// Proves that there is no such name, and if the closest encloser has no wildcard, that there is none.
    pub(super) fn deny_name(&mut self, zone: &'z Zone, path: &Path, lowest: NodeId, encloser: NodeId) {
        let node = zone.node(encloser);
        let wildcard = node.wildcard != crate::zone::tree::NO_NODE;
        match &zone.denial {
            Denial::None => {}
            Denial::Nsec(chain) => {
                if let Some(owner) = covering(chain, &zone.tree, lowest, path) {
                    self.proofs.add(zone, owner);
                }
                if !wildcard && let Some(owner) = covering_wildcard(chain, zone, encloser) {
                    self.proofs.add(zone, owner);
                }
            }
            Denial::Nsec3(hashes) => {
                let encloser = if wildcard { encloser } else { provable(zone, hashes, encloser) };
                let depth = usize::from(zone.node(encloser).depth);
                let (owner, exact) = hashes.find_name(&zone.tree, path.last(depth + 1));
                if exact {
                    // Two names with one hash: this one cannot be denied (RFC 5155 section 7.2.9).
                    self.rcode = rcode::SERVFAIL;
                }
                self.proofs.add(zone, owner);
                if !wildcard {
                    self.deny_encloser(zone, hashes, encloser);
                    self.proofs.add(zone, hashes.wildcard(&zone.tree, encloser));
                }
            }
        }
    }

    /// Proves that a name has no such type; without `exact` it is a wildcard, for a name that was denied.
    pub(super) fn deny_type(&mut self, zone: &'z Zone, id: NodeId, exact: bool) {
        match &zone.denial {
            Denial::None => {}
            Denial::Nsec(chain) => {
                if let Some(owner) = covering_node(chain, zone, id) {
                    self.proofs.add(zone, owner);
                }
            }
            Denial::Nsec3(hashes) => match (hashes.matching(id), exact) {
                (Some(owner), true) => self.proofs.add(zone, owner),
                (None, true) => self.deny_keys(zone, id),
                (_, false) => {
                    let encloser = zone.node(id).parent;
                    self.deny_encloser(zone, hashes, encloser);
                    self.proofs.add(zone, hashes.wildcard(&zone.tree, encloser));
                }
            },
        }
    }

    /// The record that matches the closest encloser.
    fn deny_encloser(&mut self, zone: &'z Zone, hashes: &Nsec3, encloser: NodeId) {
        if let Some(owner) = hashes.matching(encloser) {
            self.proofs.add(zone, owner);
        }
    }

    /// Proves that a name, mostly a delegation, has no DS records. If it has no NSEC3 record itself it is covered by one
    /// with opt-out, and the closest encloser that can be proven is the next name above that has one (section 7.2.7).
    pub(super) fn deny_keys(&mut self, zone: &'z Zone, id: NodeId) {
        let Denial::Nsec3(hashes) = &zone.denial else { return self.deny_type(zone, id, true) };
        if let Some(owner) = hashes.matching(id) {
            return self.proofs.add(zone, owner);
        }
        let above = provable(zone, hashes, zone.node(id).parent);
        let mut below = id;
        while zone.node(below).parent != above {
            below = zone.node(below).parent;
        }
        self.deny_encloser(zone, hashes, above);
        let mut wire = [0; crate::name::MAX_NAME];
        let length = zone.tree.write_name(below, &mut wire);
        self.proofs.add(zone, hashes.find_name(&zone.tree, &wire[..length]).0);
    }
}

/// The next name, from this one up, that an NSEC3 record matches: one that is above nothing but delegations that are
/// opted out has none (RFC 5155 section 7.1), and encloses nothing that could be proven.
fn provable(zone: &Zone, hashes: &Nsec3, id: NodeId) -> NodeId {
    let mut id = id;
    // The apex has one, which is checked when the zone is loaded.
    while hashes.matching(id).is_none() && id != zone.tree.apex {
        id = zone.node(id).parent;
    }
    id
}

/// The owner of the NSEC record at a name, or before it.
fn covering_node(chain: &[NodeId], zone: &Zone, id: NodeId) -> Option<NodeId> {
    if zone.rrset(zone.node(id), t::NSEC).is_some() {
        return Some(id);
    }
    let mut wire = [0; crate::name::MAX_NAME];
    let length = zone.tree.write_name(id, &mut wire);
    covering(chain, &zone.tree, id, &Path::parse(&wire[..length])?)
}

/// The owner of the NSEC record that covers the wildcard below a name.
fn covering_wildcard(chain: &[NodeId], zone: &Zone, id: NodeId) -> Option<NodeId> {
    let mut wire = [0; crate::name::MAX_NAME];
    let length = zone.tree.write_name(id, &mut wire);
    let mut name = [0; crate::name::MAX_NAME + 2];
    name[..2].copy_from_slice(b"\x01*");
    name[2..2 + length].copy_from_slice(&wire[..length]);
    covering(chain, &zone.tree, id, &Path::parse(&name[..2 + length])?)
}
