//! Checks of a whole zone: what contradicts itself is an error, what only works badly a warning.

use super::Problem;
use super::build::Builder;
use super::read_u32;
use super::rrset::{FIXED, Rrset};
use super::tree::{NO_NODE, Node, NodeId};
use crate::rtype as t;

impl Builder {
    /// The RRset of a name and type.
    pub(super) fn set(&self, id: NodeId, rtype: u16) -> Option<&Rrset> {
        let node = self.tree.node(id);
        let first = node.first_rrset as usize;
        self.rrsets[first..first + usize::from(node.rrsets)].iter().find(|set| set.rtype == rtype)
    }

    /// An RRset of the zone's own name.
    pub(super) fn apex_set(&self, rtype: u16) -> Option<Rrset> {
        self.set(self.tree.apex, rtype).copied()
    }

    /// Whether the zone is signed: its keys are.
    pub(super) fn is_secure(&self) -> bool {
        self.apex_set(t::DNSKEY).is_some_and(|set| set.signatures > 0)
    }

    /// A CNAME stands alone, but for what DNSSEC puts beside it (RFC 2181 section 10.1, RFC 4034 section 3).
    pub(super) fn check_name(&mut self, node: NodeId, first_rrset: usize, types: &[(u64, u32)]) {
        if types.len() < 2 {
            return;
        }
        let beside =
            |rtype| !matches!(rtype, t::CNAME | t::RRSIG | t::NSEC | t::SIG | t::KEY | t::NXT | t::NSEC3);
        let sets = self.rrsets[first_rrset..].iter().zip(types);
        let (mut clash, mut alias) = (None, None);
        for (set, &(first, _)) in sets {
            if set.rtype == t::CNAME {
                alias = Some(first);
            } else if beside(set.rtype) {
                clash = clash.or(Some(first));
            }
        }
        // The later of the two is the one to complain about.
        if let (Some(clash), Some(alias)) = (clash, alias) {
            let problem = Problem::CnameAndOther(self.name(node));
            self.error(self.place(clash.max(alias) as u32), problem);
        }
    }

    /// Checks of a record what depends on several names.
    pub(super) fn check(&mut self, n: usize) {
        let (node, rtype) = (self.staged[n].node, self.staged[n].rtype);
        // Nothing may be below a DNAME record (RFC 6672 section 2.4).
        if self.tree.node(node).is(Node::BELOW_DNAME) && !self.is_hashed(n) {
            let problem = Problem::BelowDname(self.name(node));
            self.error(self.place(n as u32), problem);
        }
        if rtype == t::NS {
            self.check_server(n as u32, node);
        }
    }

    /// A server in the zone needs an address: a delegation its glue (RFC 1034 section 4.2.1).
    fn check_server(&mut self, n: u32, owner: NodeId) {
        let target = read_u32(&self.record(n)[FIXED..]);
        let node = self.tree.node(target);
        if !node.is(Node::IN_ZONE) || self.set(target, t::A).or(self.set(target, t::AAAA)).is_some() {
            return;
        }
        let (mut id, mut below) = (target, false);
        while id != NO_NODE && !below {
            below = id == owner;
            let above = self.tree.node(id);
            // The addresses below another delegation are not this zone's to know; a wildcard's are found when asked for.
            if (above.is(Node::CUT) && id != owner) || above.wildcard != NO_NODE {
                return;
            }
            id = above.parent;
        }
        let problem = Problem::NoAddress(self.name(target));
        self.warn(self.place(n), problem);
    }
}
