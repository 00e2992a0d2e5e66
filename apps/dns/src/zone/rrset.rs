//! How the records of an RRset lie in memory: as they will stand in a message.
//!
//! Each record starts with a pointer to offset 12, where a question's name is, then type, class and time to
//! live. What follows has one of two forms. *Plain* types hold their length and data as on the wire, so that an
//! RRset can be copied into an answer in one piece. Types whose data is some fixed octets, then names, then
//! fixed octets ([`layout`]) hold nodes of the zone's tree in place of the names, and no length: the names are
//! compressed, or looked up for additional data, without a search.
//!
//! The RRSIG records that cover an RRset follow its own records, in the plain form, so that both are copied in one
//! piece. Those that cover nothing at their name are an RRset of their own.

use crate::rtype as t;

/// The octets before a record's data length: owner pointer, type, class and time to live.
pub(crate) const FIXED: usize = 10;
/// Where the time to live is.
pub(crate) const TTL_AT: usize = 6;
/// The owner of each stored record: a pointer to the question's name.
pub(crate) const QUESTION_POINTER: [u8; 2] = [0xc0, 12];

/// All records of one type at one name.
#[derive(Clone, Copy)]
pub(crate) struct Rrset {
    /// Where the records start in the zone's data, and how many octets they are.
    pub(crate) start: u32,
    pub(crate) length: u32,
    pub(crate) rtype: u16,
    pub(crate) count: u16,
    /// How many octets of signatures follow the records, and how many records those are.
    pub(crate) signed_length: u16,
    pub(crate) signatures: u16,
}

/// The form of data with names: `prefix` octets, `names` names, `suffix` octets.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) prefix: usize,
    pub(crate) names: usize,
    pub(crate) suffix: usize,
    /// Whether the names may be compressed: those of RFC 1035, and no others (RFC 3597 section 4).
    pub(crate) compressed: bool,
}

impl Layout {
    /// How many octets a stored record takes.
    pub(crate) fn stored(self) -> usize {
        FIXED + self.prefix + 4 * self.names + self.suffix
    }
}

/// The layout of a type whose data has names at fixed places.
#[inline]
pub(crate) fn layout(rtype: u16) -> Option<Layout> {
    let (prefix, names, suffix, compressed) = match rtype {
        t::NS | t::MD | t::MF | t::CNAME | t::MB | t::MG | t::MR | t::PTR => (0, 1, 0, true),
        t::SOA => (0, 2, 20, true),
        t::MINFO => (0, 2, 0, true),
        t::MX => (2, 1, 0, true),
        t::RP | t::TALINK => (0, 2, 0, false),
        t::AFSDB | t::RT | t::KX | t::LP => (2, 1, 0, false),
        t::PX => (2, 2, 0, false),
        t::SRV => (6, 1, 0, false),
        t::DNAME | t::NSAP_PTR => (0, 1, 0, false),
        _ => return None,
    };
    Some(Layout { prefix, names, suffix, compressed })
}
