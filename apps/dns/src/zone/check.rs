//! Checks of a whole zone: what contradicts itself is an error, what only works badly a warning.

use super::Problem;
use super::build::{Builder, STEP};
use super::pace::{Pace, Source};
use super::read_u32;
use super::rrset::FIXED;
use super::tree::{NO_NODE, Node, NodeId};
use crate::rtype as t;

impl Builder {
    fn has(&self, node: &Node, mut wanted: impl FnMut(u16) -> bool) -> bool {
        let first = node.first_rrset as usize;
        self.rrsets[first..first + usize::from(node.rrsets)].iter().any(|set| wanted(set.rtype))
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

    /// Checks what depends on several names.
    pub(super) async fn check<S: Source>(&mut self, pace: &mut Pace<'_, S>) {
        for n in 0..self.staged.len() {
            let (node, rtype) = (self.staged[n].node, self.staged[n].rtype);
            // Nothing may be below a DNAME record (RFC 6672 section 2.4).
            if self.tree.node(node).is(Node::BELOW_DNAME) && !self.is_hashed(n) {
                let problem = Problem::BelowDname(self.name(node));
                self.error(self.place(n as u32), problem);
            }
            if rtype == t::NS {
                self.check_server(n as u32, node);
            }
            if n % STEP == 0 {
                pace.step(STEP / 8).await;
            }
        }
    }

    /// A server in the zone needs an address: a delegation its glue (RFC 1034 section 4.2.1).
    fn check_server(&mut self, n: u32, owner: NodeId) {
        let target = read_u32(&self.record(n)[FIXED..]);
        let node = self.tree.node(target);
        if !node.is(Node::IN_ZONE) || self.has(node, |rtype| matches!(rtype, t::A | t::AAAA)) {
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
