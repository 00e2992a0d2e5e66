//! Records that save the next question: RFC 1034 section 4.3.2 step 6, glue (RFC 9471).

use super::writer::{Owner, Writer};
use crate::Zone;
use crate::rtype as t;
use crate::zone::rrset::Rrset;
use crate::zone::targets::TYPES;
use crate::zone::tree::{NO_NODE, Node, NodeId, ROOT};

/// How many RRsets are added at most over UDP, which is about what a reply has room for, and over TCP.
const MOST: usize = 64;
const MOST_TCP: usize = 1024;

/// What records are added for.
pub(super) struct Additional<'z> {
    pub(super) zone: &'z Zone,
    /// RRsets of the reply that name hosts.
    pub(super) sources: [Option<&'z Rrset>; 2],
    /// What the answer section has already.
    pub(super) answered: Option<(NodeId, u16)>,
    /// In a referral the delegation, whose own servers are of no use without their addresses.
    pub(super) cut: Option<NodeId>,
}

/// What was added.
pub(super) struct Added {
    pub(super) count: u16,
    /// Nothing was left out.
    pub(super) all: bool,
}

impl Additional<'_> {
    /// Adds what fits; with `tcp` also what comes after something that did not. Without glue that is required the
    /// reply is truncated.
    pub(super) fn write(&self, writer: &mut Writer<'_>, tcp: bool) -> Added {
        let (mut few, mut many);
        let keys: &mut [u32] = if tcp {
            many = [0; MOST_TCP];
            &mut many
        } else {
            few = [0; MOST];
            &mut few
        };
        let mut done = Done { keys, count: 0 };
        if let Some((node, rtype)) = self.answered
            && let Some(kind) = TYPES.iter().position(|&known| known == rtype)
        {
            done.add(node, kind);
        }
        let mut added = Added { count: 0, all: true };
        // What a delegation does not work without comes before all else (RFC 9471 section 3).
        if self.cut.is_some() && !self.round(writer, &mut done, &mut added, true, tcp) {
            writer.truncated = true;
            return added;
        }
        self.round(writer, &mut done, &mut added, false, tcp);
        added
    }

    /// Adds either glue that is `required`, or all else; whether nothing that is required was left out.
    fn round(
        &self,
        writer: &mut Writer<'_>,
        done: &mut Done<'_>,
        added: &mut Added,
        required: bool,
        tcp: bool,
    ) -> bool {
        let mut room = true;
        for (kind, &rtype) in TYPES.iter().enumerate() {
            let (mut all_fit, mut any) = (true, false);
            for &source in self.sources.iter().flatten() {
                for target in self.zone.targets(source) {
                    any |= target.wanted >> kind > 1;
                    // A record's own name is known where it is not a wildcard's.
                    let node = match (target.node, source.rtype, self.answered) {
                        (ROOT, t::SVCB | t::HTTPS, Some((own, _))) => own,
                        (node, ..) => node,
                    };
                    if target.wanted >> kind & 1 == 0 || done.has(node, kind) {
                        continue;
                    }
                    if self.cut.is_some_and(|cut| is_at_or_below(self.zone, node, cut)) != required {
                        continue;
                    }
                    let Some(set) = self.records(source, node, rtype) else { continue };
                    if room && done.has_room() {
                        let written = writer.rrset(self.zone, Owner::Node(node), set);
                        if written > 0 {
                            added.count += written;
                            done.add(node, kind);
                            continue;
                        }
                    }
                    all_fit = false;
                    if required {
                        added.all = false;
                        return false;
                    }
                }
            }
            added.all &= all_fit;
            // What is left is of less use than what did not fit.
            room &= all_fit || tcp;
            if !any || !room {
                break;
            }
        }
        true
    }

    /// The records of a name, which may come from a wildcard.
    fn records(&self, source: &Rrset, target: NodeId, rtype: u16) -> Option<&Rrset> {
        let zone = self.zone;
        let mut node = zone.node(target);
        let glue = node.is(Node::AT_OR_BELOW_CUT);
        if !node.is(Node::IN_ZONE) || (glue && source.rtype != t::NS) {
            return None;
        }
        if !node.is(Node::EXISTS) {
            let wildcard = zone.node(zone.existing(target)).wildcard;
            if wildcard == NO_NODE {
                return None;
            }
            node = zone.node(wildcard);
        }
        zone.rrset(node, rtype)
    }
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
struct Done<'k> {
    keys: &'k mut [u32],
    count: usize,
}

impl Done<'_> {
    fn key(node: NodeId, kind: usize) -> u32 {
        // The upper three bits of a node's index are free.
        node | (kind as u32) << 29
    }

    fn has(&self, node: NodeId, kind: usize) -> bool {
        self.keys[..self.count].contains(&Self::key(node, kind))
    }

    fn has_room(&self) -> bool {
        self.count < self.keys.len()
    }

    fn add(&mut self, node: NodeId, kind: usize) {
        if let Some(place) = self.keys.get_mut(self.count) {
            *place = Self::key(node, kind);
            self.count += 1;
        }
    }
}
