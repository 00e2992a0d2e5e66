//! From a query to its answer, in one pass and without allocation.
//!
//! [`query`] reads the question, [`resolve`] finds what answers it (RFC 1034 section 4.3.2 with RFC 4592 and
//! RFC 6672), [`writer`] writes records and compresses names, and [`additional`] adds addresses.

mod additional;
mod path;
mod query;
mod quick;
mod resolve;
mod tail;
mod writer;

pub(crate) use path::Path;
pub(crate) use tail::Tail;

use crate::Zones;
use crate::rtype as t;
use query::{HEADER, Query, Read};
use resolve::Resolver;
use writer::Writer;

/// How a query came, which bounds its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// At most 512 octets, or what EDNS allows up to 1232.
    Udp,
    /// At most 65535 octets.
    Tcp,
}

/// The largest answer over UDP without EDNS (RFC 1035 section 4.2.1).
const UDP_PLAIN: usize = 512;
/// The largest over UDP at all, and what is advertised: it passes everywhere unfragmented (DNS flag day 2020).
const UDP_LARGEST: u16 = 1232;
/// The largest over TCP.
const TCP_LARGEST: usize = 65535;
/// The octets of an OPT record without options.
const OPT: usize = 11;

/// Response codes (RFC 1035 section 4.1.1, RFC 6672).
pub(crate) mod rcode {
    pub(crate) const NOERROR: u8 = 0;
    pub(crate) const FORMERR: u8 = 1;
    pub(crate) const NXDOMAIN: u8 = 3;
    pub(crate) const NOTIMP: u8 = 4;
    pub(crate) const REFUSED: u8 = 5;
    pub(crate) const YXDOMAIN: u8 = 6;
    pub(crate) const NOTAUTH: u8 = 9;
}

/// What an EDNS reply says beside its code (RFC 8914).
#[derive(Clone, Copy)]
pub(crate) enum Extended {
    Prohibited = 18,
    NotAuthoritative = 20,
    NotSupported = 21,
}

impl Zones {
    /// Answers one query: writes the reply into `out` and says how long it is. None means that there is
    /// nothing to say: the packet is no query, or `out` is smaller than the 512 octets that any reply may need.
    pub fn answer(&self, query: &[u8], transport: Transport, out: &mut [u8]) -> Option<usize> {
        if out.len() < UDP_PLAIN {
            return None;
        }
        let mut parsed = Query::new();
        match parsed.read(query)? {
            Read::Error { rcode, flags } => Some(refuse(query, out, rcode, flags)),
            Read::Query => Some(self.reply(query, &parsed, transport, out)),
        }
    }

    fn reply(&self, packet: &[u8], query: &Query, transport: Transport, out: &mut [u8]) -> usize {
        let limit = match (transport, &query.edns) {
            (Transport::Tcp, _) => TCP_LARGEST,
            (Transport::Udp, None) => UDP_PLAIN,
            (Transport::Udp, Some(edns)) => usize::from(edns.payload.min(UDP_LARGEST)).max(UDP_PLAIN),
        };
        let limit = limit.min(out.len()) - if query.edns.is_some() { OPT } else { 0 };
        let bad_version = query.edns.as_ref().is_some_and(|edns| edns.version != 0);
        if query.qclass != t::CLASS_IN && query.qclass != t::CLASS_ANY && !bad_version {
            let end = refuse(packet, out, rcode::REFUSED, [packet[2] & 1, 0]);
            return finish(query, out, end, 0, Some(Extended::NotSupported));
        }
        out[..query.end].copy_from_slice(&packet[..query.end]);
        if let Some(quick) = quick::answer(self, query, &mut out[..limit]).filter(|_| !bad_version) {
            header(packet, out, true, false, quick.rcode, quick.counts);
            return finish(query, out, quick.end, quick.counts[2], None);
        }
        let mut writer = Writer::new(&mut out[..limit], query.end);
        let mut resolver = Resolver::new(&mut writer, query, transport);
        if !bad_version {
            resolver.resolve(self);
        }
        let Resolver { rcode, authoritative, extended, counts, .. } = resolver;
        let (end, truncated) = (writer.position(), writer.truncated);
        header(packet, out, authoritative, truncated, rcode, counts);
        finish(query, out, end, counts[2], extended)
    }
}

/// Writes the header, but for the number of additional records.
#[inline]
fn header(packet: &[u8], out: &mut [u8], authoritative: bool, truncated: bool, rcode: u8, counts: [u16; 3]) {
    // Recursion is desired or not as the query says, and never available; AD and CD are not ours to set.
    out[2] = 0x80 | u8::from(authoritative) << 2 | u8::from(truncated) << 1 | packet[2] & 1;
    out[3] = rcode;
    for (at, count) in [(4, 1), (6, counts[0]), (8, counts[1])] {
        out[at..at + 2].copy_from_slice(&count.to_be_bytes());
    }
}

/// Adds the OPT record, if the query had one, and says where the reply ends.
fn finish(query: &Query, out: &mut [u8], end: usize, additional: u16, extended: Option<Extended>) -> usize {
    let Some(edns) = &query.edns else {
        out[10..12].copy_from_slice(&additional.to_be_bytes());
        return end;
    };
    out[10..12].copy_from_slice(&(additional + 1).to_be_bytes());
    let [size_high, size_low] = UDP_LARGEST.to_be_bytes();
    // The upper bits of BADVERS (16), or the DO bit as it came (RFC 6891 section 6.1.3, RFC 3225).
    let (version, dnssec) = if edns.version == 0 { (0, u8::from(edns.dnssec_ok) << 7) } else { (1, 0) };
    let opt = &mut out[end..];
    opt[..OPT].copy_from_slice(&[0, 0, 41, size_high, size_low, version, 0, dnssec, 0, 0, 0]);
    let Some(extended) = extended else { return end + OPT };
    // A refusal is short, so that its reason fits.
    opt[OPT - 1] = 6;
    opt[OPT..OPT + 6].copy_from_slice(&[0, 15, 0, 2, 0, extended as u8]);
    end + OPT + 6
}

/// A reply that is only a header.
fn refuse(query: &[u8], out: &mut [u8], rcode: u8, flags: [u8; 2]) -> usize {
    out[..HEADER].fill(0);
    out[..2].copy_from_slice(&query[..2]);
    out[2] = 0x80 | flags[0];
    out[3] = flags[1] & 0xf0 | rcode;
    HEADER
}
