//! The answers that most questions get, copied from what is prepared: a plain RRset with the zone's servers, or
//! that there is no such name or data. All else is left to [`super::resolve`], which would say the same.

use super::query::{HEADER, Query};
use super::rcode;
use crate::Zone;
use crate::rtype as t;
use crate::zone::rrset::layout;
use crate::zone::tree::{NO_NODE, Node, NodeId};

/// A whole answer but for its header.
pub(super) struct Quick {
    pub(super) end: usize,
    pub(super) rcode: u8,
    pub(super) counts: [u16; 3],
    /// The name that answered, or that was the closest.
    pub(super) subject: NodeId,
}

/// Writes the answer after the question, if it is of the common kind and fits.
#[inline]
pub(super) fn answer(zone: &Zone, query: &Query, out: &mut [u8]) -> Option<Quick> {
    if query.qclass != t::CLASS_IN {
        return None;
    }
    let signed = zone.secure && query.dnssec();
    let (lowest, found) = query.path.walk(zone);
    let encloser = zone.existing(lowest);
    let exact = found && encloser == lowest;
    let mut node = zone.node(encloser);
    if node.is(Node::AT_OR_BELOW_CUT) || (!exact && node.is(Node::DNAME)) {
        return None;
    }
    if matches!(query.qtype, t::DS | t::DNSKEY | t::NSEC3 | t::RRSIG | t::IXFR..=t::ANY) {
        return None;
    }
    let mut subject = encloser;
    if !exact {
        // Proofs are not prepared.
        if signed {
            return None;
        }
        if node.wildcard == NO_NODE {
            return negative(zone, query, out, rcode::NXDOMAIN, subject);
        }
        subject = node.wildcard;
        node = zone.node(subject);
    } else if node.is(Node::SERVER) {
        // Its addresses must not be said twice.
        return None;
    }
    let mut set = None;
    for other in zone.rrsets(node) {
        if other.rtype == query.qtype {
            set = Some(other);
        } else if other.rtype == t::CNAME {
            return None;
        }
    }
    let Some(set) = set else {
        return if signed { None } else { negative(zone, query, out, rcode::NOERROR, subject) };
    };
    if layout(set.rtype).is_some() || matches!(set.rtype, t::SVCB | t::HTTPS | t::NAPTR) {
        return None;
    }
    let (stored, count) = match signed {
        // Where the sum is too large the records are too long, too.
        true => (zone.stored_with_signatures(set), set.count.wrapping_add(set.signatures)),
        false => (zone.stored(set), set.count),
    };
    let at = query.end + stored.len();
    out.get_mut(query.end..at)?.copy_from_slice(stored);
    let tail = &zone.servers[usize::from(signed)];
    let end = tail.copy(out, at, before(zone, query))?;
    Some(Quick { end, rcode: rcode::NOERROR, counts: [count, tail.authority, tail.additional], subject })
}

/// That there is nothing.
#[inline]
fn negative(zone: &Zone, query: &Query, out: &mut [u8], rcode: u8, subject: NodeId) -> Option<Quick> {
    let end = zone.nothing[0].copy(out, query.end, before(zone, query))?;
    Some(Quick { end, rcode, counts: [0, 1, 0], subject })
}

/// How many octets of the question's name are in front of the zone's.
#[inline]
fn before(zone: &Zone, query: &Query) -> usize {
    query.end - 4 - HEADER - zone.origin().wire().len()
}
