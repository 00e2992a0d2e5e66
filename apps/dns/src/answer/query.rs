//! Reading a query: RFC 1035 section 4.1, RFC 6891.

use super::{Path, rcode};
use crate::rtype as t;
use crate::zone::read_u16;

/// The octets of a header.
pub(super) const HEADER: usize = 12;
const OPCODE_NOTIFY: u8 = 4;

/// EDNS options (RFC 5001, RFC 7873).
pub(super) const NSID: u16 = 3;
pub(super) const COOKIE: u16 = 10;

/// What EDNS says about the sender.
pub(super) struct Edns {
    pub(super) payload: u16,
    pub(super) version: u8,
    pub(super) dnssec_ok: bool,
    /// The sender wants to know which server this is (RFC 5001).
    pub(super) nsid: bool,
    /// The sender's cookie: where in the packet it is, and how long (RFC 7873).
    pub(super) cookie: Option<(usize, usize)>,
}

/// A query with one question.
pub(super) struct Query {
    pub(super) path: Path,
    pub(super) qtype: u16,
    pub(super) qclass: u16,
    /// Where the question ends.
    pub(super) end: usize,
    pub(super) edns: Option<Edns>,
}

/// What a packet is.
pub(super) enum Read {
    /// A query, which was read.
    Query,
    /// A query without a question, for the sake of its EDNS options.
    Options,
    /// A notification, whose question was read (RFC 1996).
    Notify,
    /// Something that is answered with a header only; the flags are those that go back.
    Error { rcode: u8, flags: [u8; 2] },
}

impl Query {
    pub(super) fn new() -> Self {
        Self { path: Path::new(), qtype: 0, qclass: 0, end: 0, edns: None }
    }

    /// Whether signatures and proofs are wanted.
    #[inline]
    pub(super) fn dnssec(&self) -> bool {
        self.edns.as_ref().is_some_and(|edns| edns.dnssec_ok)
    }

    /// The serial number of the SOA record that an IXFR query has in its authority section (RFC 1995 section 3).
    pub(super) fn serial(&self, packet: &[u8]) -> Option<u32> {
        if packet[8..10] != [0, 1] {
            return None;
        }
        let rest = packet.get(self.end..)?;
        let record = &rest[..rest.len() - skip_record(rest)?.len()];
        // The five numbers at its end.
        record.len().checked_sub(20).map(|at| crate::zone::read_u32(&record[at..]))
    }

    /// Reads a packet; None is no query at all.
    #[inline]
    pub(super) fn read(&mut self, packet: &[u8]) -> Option<Read> {
        let header = packet.first_chunk::<HEADER>()?;
        let flags = [header[2], header[3]];
        if flags[0] & 0x80 != 0 {
            return None;
        }
        let opcode = flags[0] >> 3;
        if opcode != 0 && opcode != OPCODE_NOTIFY {
            return Some(Read::Error { rcode: rcode::NOTIMP, flags: [flags[0], flags[1] & 0xd0] });
        }
        if header[4..] == [0, 0, 0, 0, 0, 0, 0, 1] && opcode == 0 && flags[1] & 0x0f == 0 {
            // Nothing is asked but what EDNS says (RFC 7873 section 5.4).
            self.end = HEADER;
            if self.records(packet, header).is_some() {
                return Some(Read::Options);
            }
        }
        // The opcode goes back, and whether recursion is desired.
        let malformed = |kept| Some(Read::Error { rcode: rcode::FORMERR, flags: [flags[0] & kept, 0] });
        if flags[1] & 0x0f != 0 || self.question(packet).is_none() {
            return malformed(0x79);
        }
        if header[4..6] != [0, 1] {
            // Not one question: there is nothing to keep a flag of.
            return malformed(0x78);
        }
        // Most queries have nothing after the question.
        if header[6..] != [0; 6] && self.records(packet, header).is_none() {
            return malformed(0x79);
        }
        Some(if opcode == 0 { Read::Query } else { Read::Notify })
    }

    /// Reads the first question.
    #[inline]
    fn question(&mut self, packet: &[u8]) -> Option<()> {
        self.path.read(&packet[HEADER..])?;
        let at = HEADER + self.path.length();
        self.end = at + 4;
        let fixed = packet.get(at..self.end)?;
        (self.qtype, self.qclass) = (read_u16(fixed), read_u16(&fixed[2..]));
        Some(())
    }

    /// Reads what follows the question: at most an OPT record, and in a notification what is new.
    fn records(&mut self, packet: &[u8], header: &[u8; HEADER]) -> Option<()> {
        let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let mut rest = &packet[self.end..];
        // No answers; authority only in IXFR (RFC 1995 section 3), which is refused all the same.
        let before = u32::from(count(6)) + u32::from(count(8));
        let allowed = header[2] >> 3 == OPCODE_NOTIFY || (count(6) == 0 && self.qtype == t::IXFR);
        if before != 0 && !allowed {
            return None;
        }
        for _ in 0..before {
            rest = skip_record(rest)?;
        }
        match count(10) {
            0 => {}
            1 => self.edns = Some(Edns::parse(packet, packet.len() - rest.len())?),
            _ => return None,
        }
        Some(())
    }
}

impl Edns {
    /// Reads the OPT record at `start`: root, type, payload size, extended code, version, flags, length, options.
    fn parse(packet: &[u8], start: usize) -> Option<Self> {
        let record = &packet[start..];
        let &[0, 0, 41, size_high, size_low, _, version, flags, _, length_high, length_low] =
            record.first_chunk()?
        else {
            return None;
        };
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let mut edns = Self {
            payload: u16::from_be_bytes([size_high, size_low]),
            version,
            dnssec_ok: flags & 0x80 != 0,
            nsid: false,
            cookie: None,
        };
        if version != 0 {
            // What else is in there is not for this version to judge.
            return Some(edns);
        }
        let mut options = record.get(11..11 + length)?;
        while !options.is_empty() {
            let (code, size) = (read_u16(options), usize::from(read_u16(options.get(2..4)?)));
            let behind = options.get(4 + size..)?;
            match code {
                NSID => edns.nsid = true,
                COOKIE if edns.cookie.is_none() => {
                    edns.cookie = Some((start + 11 + length - options.len() + 4, size));
                }
                _ => {}
            }
            options = behind;
        }
        Some(edns)
    }
}

/// What follows a record.
fn skip_record(record: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        let length = usize::from(*record.get(at)?);
        at += 1;
        match length {
            0 => break,
            1..0x40 => at += length,
            _ => {
                at += 1;
                break;
            }
        }
    }
    let length = usize::from(read_u16(record.get(at + 8..at + 10)?));
    record.get(at + 10 + length..)
}
