//! Addresses that save the next question: RFC 1034 section 4.3.2 step 6, glue (RFC 9471).

use super::Transport;
use super::resolve::{Resolver, Section};
use super::writer::Owner;
use crate::Zone;
use crate::rtype as t;
use crate::zone::rrset::Rrset;
use crate::zone::tree::{NO_NODE, Node, NodeId};

/// How many RRsets are added at most; more than a UDP reply has room for.
const MOST: usize = 128;

/// The additional types in the order of their importance.
const TYPES: [u16; 4] = [t::A, t::AAAA, t::X25, t::ISDN];

impl Resolver<'_, '_> {
    /// Adds the addresses of the names in some RRsets. `answered` is what the answer section has already; for
    /// a referral `cut` is the delegation, whose own servers are of no use without their addresses.
    pub(super) fn additional(
        &mut self,
        zone: &Zone,
        sources: &[Option<&Rrset>; 2],
        answered: Option<(NodeId, u16)>,
        cut: Option<NodeId>,
    ) {
        let mut done = Done { keys: [0; MOST], count: 0 };
        if let Some((node, rtype)) = answered
            && let Some(kind) = TYPES.iter().position(|&known| known == rtype)
        {
            done.add(node, kind);
        }
        let mut room = true;
        for (kind, &rtype) in TYPES.iter().enumerate() {
            let mut all_fit = true;
            for &source in sources.iter().flatten() {
                if kind >= wanted(source.rtype) {
                    continue;
                }
                for target in zone.targets(source) {
                    let node = zone.node(target);
                    let glue = node.is(Node::AT_OR_BELOW_CUT);
                    if !node.is(Node::IN_ZONE) || (glue && source.rtype != t::NS) {
                        continue;
                    }
                    let Some(set) = addresses(zone, target, rtype) else { continue };
                    if done.has(target, kind) {
                        continue;
                    }
                    if room && self.optional(Section::Additional, zone, Owner::Node(target), set) {
                        if !done.add(target, kind) {
                            return;
                        }
                        continue;
                    }
                    all_fit = false;
                    // Without these the delegation does not work, so TCP must bring them.
                    if cut.is_some_and(|cut| is_at_or_below(zone, target, cut)) {
                        self.writer.truncated = true;
                        return;
                    }
                }
            }
            // What is left is of less use than what did not fit; only glue is still looked for.
            room &= all_fit || self.transport == Transport::Tcp;
            if !room && cut.is_none() {
                return;
            }
        }
    }
}

/// How many of the additional types the targets of an RRset get.
fn wanted(rtype: u16) -> usize {
    match rtype {
        t::NS | t::MB | t::MX | t::KX | t::SRV => 2,
        t::RT => 4,
        _ => 0,
    }
}

/// The addresses of a name, which may come from a wildcard.
fn addresses(zone: &Zone, target: NodeId, rtype: u16) -> Option<&Rrset> {
    let mut node = zone.node(target);
    if !node.is(Node::EXISTS) {
        let wildcard = zone.node(zone.existing(target)).wildcard;
        if wildcard == NO_NODE {
            return None;
        }
        node = zone.node(wildcard);
    }
    zone.rrset(node, rtype)
}

fn is_at_or_below(zone: &Zone, id: NodeId, above: NodeId) -> bool {
    let mut id = id;
    while id != NO_NODE {
        if id == above {
            return true;
        }
        id = zone.node(id).parent;
    }
    false
}

/// What was added, so that nothing is added twice.
struct Done {
    keys: [u32; MOST],
    count: usize,
}

impl Done {
    fn key(node: NodeId, kind: usize) -> u32 {
        // The upper two bits of a node's index are free.
        node | (kind as u32) << 30
    }

    fn has(&self, node: NodeId, kind: usize) -> bool {
        self.keys[..self.count].contains(&Self::key(node, kind))
    }

    /// False if there is no more room.
    fn add(&mut self, node: NodeId, kind: usize) -> bool {
        let Some(place) = self.keys.get_mut(self.count) else { return false };
        *place = Self::key(node, kind);
        self.count += 1;
        true
    }
}
