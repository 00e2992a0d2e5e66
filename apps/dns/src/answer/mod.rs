//! From a query to its answer, in one pass and without allocation.
//!
//! [`query`] reads the question, [`resolve`] finds what answers it (RFC 1034 section 4.3.2 with RFC 4592 and
//! RFC 6672), [`writer`] writes records and compresses names, and [`additional`] adds addresses.

mod additional;
mod chaos;
mod cookie;
mod edns;
mod path;
mod policy;
mod proofs;
mod query;
mod quick;
mod resolve;
mod tail;
mod transfer;
mod writer;

pub use cookie::Cookies;
pub(crate) use path::Path;
pub(crate) use policy::mapped;
pub use policy::{Any, Network, Networks, NotANetwork, Policy};
pub(crate) use tail::Tail;
pub use transfer::Transfer;

use crate::rtype as t;
use crate::{Zone, Zones};
use core::net::{IpAddr, Ipv4Addr};
use core::sync::atomic::Ordering;
use edns::Opt;
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
/// Response codes (RFC 1035 section 4.1.1, RFC 6672, RFC 6891, RFC 7873).
pub(crate) mod rcode {
    pub(crate) const NOERROR: u8 = 0;
    pub(crate) const FORMERR: u8 = 1;
    pub(crate) const SERVFAIL: u8 = 2;
    pub(crate) const NXDOMAIN: u8 = 3;
    pub(crate) const NOTIMP: u8 = 4;
    pub(crate) const REFUSED: u8 = 5;
    pub(crate) const YXDOMAIN: u8 = 6;
    pub(crate) const NOTAUTH: u8 = 9;
    pub(crate) const BADVERS: u8 = 16;
    pub(crate) const BADCOOKIE: u8 = 23;
}

/// What an EDNS reply says beside its code (RFC 8914).
#[derive(Clone, Copy)]
pub(crate) enum Extended {
    Prohibited = 18,
    NotAuthoritative = 20,
    NotSupported = 21,
}

/// Who asks, and how.
#[derive(Clone, Copy)]
pub struct Asker {
    /// What the query came over.
    pub transport: Transport,
    /// Where it came from.
    pub address: IpAddr,
    /// Tells the time when that is needed, in seconds since 1970.
    pub clock: fn() -> u32,
}

/// What kind of reply it is, for those who bound how many of a kind they send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Data, or that there is none, or that there is no such name, or a referral.
    Answer,
    /// An error.
    Error,
    /// A notification was taken: the zone should be looked at.
    Notify,
    /// The zone, or a part of it, is to follow over TCP: see [`Zones::transfer`].
    Transfer,
}

/// A reply that was written.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// How long it is.
    pub length: usize,
    /// Where its question ends, or its header if it has none.
    pub question: usize,
    /// What kind it is.
    pub kind: Kind,
    /// The type that was asked for; zero if there was no question.
    pub qtype: u16,
    /// The response code, with the bits that EDNS adds.
    pub rcode: u8,
    /// The zone that it is from: its place among the zones, which changes when zones come and go.
    pub zone: Option<usize>,
    /// Equal for replies of one zone that say the same about one name, or about all names that do not exist.
    pub subject: u32,
    /// The sender showed a server cookie, so that it is where it says to be.
    pub proven: bool,
}

impl Zones {
    /// Answers one query: writes the reply into `out` and says how long it is. None means that there is
    /// nothing to say: the packet is no query, or `out` is smaller than the 512 octets that any reply may need.
    ///
    /// This is [`Zones::respond`] with the default policy, for a sender of no matter where.
    pub fn answer(&self, query: &[u8], transport: Transport, out: &mut [u8]) -> Option<usize> {
        let asker = Asker { transport, address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), clock: || 0 };
        self.respond(query, &asker, &Policy::default(), out).map(|reply| reply.length)
    }

    /// Answers one query as the policy says, and tells about the reply.
    pub fn respond(&self, query: &[u8], asker: &Asker, policy: &Policy, out: &mut [u8]) -> Option<Reply> {
        if out.len() < UDP_PLAIN {
            return None;
        }
        let mut parsed = Query::new();
        let error = |rcode, length| Reply {
            length,
            question: HEADER,
            kind: Kind::Error,
            qtype: 0,
            rcode,
            zone: None,
            subject: 0,
            proven: false,
        };
        let read = match parsed.read(query)? {
            Read::Error { rcode, flags } => return Some(error(rcode, refuse(query, out, rcode, flags))),
            read => read,
        };
        let Some(opt) = Opt::new(query, &parsed, asker, policy) else {
            let length = refuse(query, out, rcode::FORMERR, [query[2] & 0x79, 0]);
            return Some(error(rcode::FORMERR, length));
        };
        if matches!(read, Read::Options) {
            let end = refuse(query, out, opt.rcode & 15, [query[2] & 1, 0]);
            return Some(error(opt.rcode, opt.write(out, end, 0, None)));
        }
        let (mut rcode, mut zone) = (opt.rcode, None);
        if rcode == rcode::NOERROR {
            if matches!(read, Read::Query) {
                return Some(self.reply(query, &parsed, asker, policy, &opt, out));
            }
            (zone, rcode) = self.notified(&parsed, asker, policy);
        }
        out[..parsed.end].copy_from_slice(&query[..parsed.end]);
        let taken = rcode == rcode::NOERROR;
        header(query, out, taken, false, rcode & 15, [0; 3]);
        // The opcode, which a reply has as well.
        out[2] |= query[2] & 0x78;
        let length = opt.write(out, parsed.end, 0, None);
        let kind = if taken { Kind::Notify } else { Kind::Error };
        Some(Reply { kind, zone, qtype: parsed.qtype, question: parsed.end, ..error(rcode, length) })
    }

    /// Says that a reply from a zone was sent.
    #[inline]
    pub fn count(&self, reply: &Reply) {
        if let Some(zone) = reply.zone.and_then(|at| self.at(at)) {
            zone.queries.store(zone.queries() + 1, Ordering::Relaxed);
        }
    }

    /// The zone that a notification is about, and the response code for it.
    fn notified(&self, query: &Query, asker: &Asker, policy: &Policy) -> (Option<usize>, u8) {
        let whole = |zone: &Zone| zone.origin().labels() == query.path.labels();
        match self.find(&query.path) {
            Some((at, zone)) if whole(zone) && query.qtype == t::SOA && query.qclass == t::CLASS_IN => {
                let allowed = policy.notify.contain(asker.address);
                (Some(at), if allowed { rcode::NOERROR } else { rcode::REFUSED })
            }
            _ => (None, rcode::NOTAUTH),
        }
    }

    fn reply(
        &self,
        packet: &[u8],
        query: &Query,
        asker: &Asker,
        policy: &Policy,
        opt: &Opt<'_>,
        out: &mut [u8],
    ) -> Reply {
        let limit = match (asker.transport, &query.edns) {
            (Transport::Tcp, _) => TCP_LARGEST,
            (Transport::Udp, None) => UDP_PLAIN,
            (Transport::Udp, Some(edns)) => usize::from(edns.payload.min(UDP_LARGEST)).max(UDP_PLAIN),
        };
        let limit = limit.min(out.len()) - opt.length();
        let mut reply = Reply {
            length: 0,
            question: query.end,
            kind: Kind::Answer,
            qtype: query.qtype,
            rcode: rcode::NOERROR,
            zone: None,
            subject: 0,
            proven: opt.proven,
        };
        if query.qclass != t::CLASS_IN && query.qclass != t::CLASS_ANY {
            if query.qclass == t::CLASS_CH
                && let Some(end) = chaos::answer(packet, query, policy, &mut out[..limit])
            {
                header(packet, out, false, false, rcode::NOERROR, [1, 0, 0]);
                return Reply { length: opt.write(out, end, 0, None), ..reply };
            }
            let end = match query.qclass {
                t::CLASS_CH => {
                    out[..query.end].copy_from_slice(&packet[..query.end]);
                    header(packet, out, false, false, rcode::REFUSED, [0; 3]);
                    query.end
                }
                _ => refuse(packet, out, rcode::REFUSED, [packet[2] & 1, 0]),
            };
            let length = opt.write(out, end, 0, Some(Extended::NotSupported));
            return Reply { length, kind: Kind::Error, rcode: rcode::REFUSED, ..reply };
        }
        out[..query.end].copy_from_slice(&packet[..query.end]);
        let found = self.find(&query.path);
        if matches!(query.qtype, t::AXFR | t::IXFR) {
            let whole = found.filter(|(_, zone)| zone.origin().labels() == query.path.labels());
            return self.transfer_or_not(packet, query, asker, policy, opt, whole, out, limit, reply);
        }
        let Some((at, zone)) = found else {
            header(packet, out, false, false, rcode::REFUSED, [0; 3]);
            let length = opt.write(out, query.end, 0, Some(Extended::NotAuthoritative));
            return Reply { length, kind: Kind::Error, rcode: rcode::REFUSED, ..reply };
        };
        reply.zone = Some(at);
        if let Some(quick) = quick::answer(zone, query, &mut out[..limit]) {
            header(packet, out, true, false, quick.rcode, quick.counts);
            let length = opt.write(out, quick.end, quick.counts[2], None);
            return Reply { length, rcode: quick.rcode, subject: quick.subject, ..reply };
        }
        let mut writer = Writer::new(&mut out[..limit], query.end, query.dnssec());
        let mut resolver = Resolver::new(&mut writer, query, asker.transport, policy.any);
        resolver.resolve(self, zone);
        let Resolver { rcode, authoritative, counts, subject, .. } = resolver;
        let (end, truncated) = (writer.position(), writer.truncated);
        header(packet, out, authoritative, truncated, rcode, counts);
        Reply { length: opt.write(out, end, counts[2], None), rcode, subject, ..reply }
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

/// A reply that is only a header.
fn refuse(query: &[u8], out: &mut [u8], rcode: u8, flags: [u8; 2]) -> usize {
    out[..HEADER].fill(0);
    out[..2].copy_from_slice(&query[..2]);
    out[2] = 0x80 | flags[0];
    out[3] = flags[1] & 0xf0 | rcode;
    HEADER
}
