//! Messages of the domain name system (RFC 1035), as far as questions for addresses need them.

use alloc::string::String;
use alloc::vec::Vec;
use kernlet_net::IpAddr;

const HEADER: usize = 12;
/// Types and the class: A, AAAA, ANY; IN.
const A: u16 = 1;
const AAAA: u16 = 28;
const ANY: u16 = 255;
const INTERNET: u16 = 1;
/// Bits of the flags: QR, TC, RD, RA; the operation.
const REPLY: u16 = 1 << 15;
const TRUNCATED: u16 = 1 << 9;
const WANTS_RECURSION: u16 = 1 << 8;
const RECURSION: u16 = 1 << 7;
const OPERATION: u16 = 0xf << 11;
/// How long an answer may be kept, in seconds.
const TIME_TO_LIVE: u32 = 10;
/// The longest name, with its lengths.
const NAME_MOST: usize = 255;

/// How it went (RCODE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// NOERROR.
    Fine = 0,
    /// FORMERR.
    Malformed = 1,
    /// SERVFAIL.
    Failed = 2,
    /// NXDOMAIN.
    NoSuchName = 3,
    /// NOTIMP.
    Unknown = 4,
    /// REFUSED.
    Refused = 5,
}

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    /// The name in lower case, with dots.
    pub name: String,
    kind: u16,
    /// Where the question ends in the message.
    end: usize,
}

impl Question {
    /// Whether an address is of a type that is asked for.
    pub fn wants(&self, ip: IpAddr) -> bool {
        match self.kind {
            A => ip.is_ipv4(),
            AAAA => ip.is_ipv6(),
            ANY => true,
            _ => false,
        }
    }
}

/// What to do with a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not a query.
    Drop,
    /// A query that is not answered.
    Refuse(Code),
    /// A query.
    Ask(Question),
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2).map(|b| u16::from_be_bytes([b[0], b[1]]))
}

/// Looks at a message.
pub fn parse(bytes: &[u8]) -> Verdict {
    let (Some(flags), Some(count), true) = (word(bytes, 2), word(bytes, 4), bytes.len() >= HEADER) else {
        return Verdict::Drop;
    };
    if flags & REPLY != 0 {
        return Verdict::Drop;
    }
    if flags & OPERATION != 0 {
        return Verdict::Refuse(Code::Unknown);
    }
    if count != 1 {
        return Verdict::Refuse(Code::Malformed);
    }
    let Some((name, at)) = name(bytes) else { return Verdict::Refuse(Code::Malformed) };
    match (word(bytes, at), word(bytes, at + 2)) {
        (Some(kind), Some(INTERNET | ANY)) => Verdict::Ask(Question { name, kind, end: at + 4 }),
        (Some(_), Some(_)) => Verdict::Refuse(Code::Refused),
        _ => Verdict::Refuse(Code::Malformed),
    }
}

/// The name behind the header, and where it ends. Names of hosts have no other bytes than these.
fn name(bytes: &[u8]) -> Option<(String, usize)> {
    let (mut text, mut at) = (String::new(), HEADER);
    loop {
        let length = usize::from(*bytes.get(at)?);
        let label = bytes.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            return Some((text, at));
        }
        if length > 63 || at - HEADER > NAME_MOST {
            return None;
        }
        for byte in label {
            let known = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            text.push(if known { byte.to_ascii_lowercase().into() } else { '?' });
        }
        text.push('.');
    }
}

/// The reply to a query, with as many addresses as fit into `most` bytes.
pub fn reply(
    query: &[u8],
    question: Option<&Question>,
    code: Code,
    addresses: &[IpAddr],
    most: usize,
) -> Vec<u8> {
    let asked = question.and_then(|q| query.get(HEADER..q.end)).unwrap_or_default();
    let size = |ip: &IpAddr| if ip.is_ipv4() { 16 } else { 28 };
    let mut room = most.saturating_sub(HEADER + asked.len());
    let fitting = addresses.iter().take_while(|ip| {
        let fits = size(ip) <= room;
        room = room.saturating_sub(size(ip));
        fits
    });
    let fitting: Vec<&IpAddr> = fitting.collect();
    let kept = word(query, 2).unwrap_or(0) & (WANTS_RECURSION | OPERATION);
    let cut = if fitting.len() < addresses.len() { TRUNCATED } else { 0 };
    let mut bytes = query.get(..2).unwrap_or_default().to_vec();
    let counts = [u16::from(!asked.is_empty()), fitting.len() as u16, 0, 0];
    bytes.extend((REPLY | kept | cut | RECURSION | code as u16).to_be_bytes());
    bytes.extend(counts.into_iter().flat_map(u16::to_be_bytes));
    bytes.extend(asked);
    for ip in fitting {
        let (kind, octets) = match ip {
            IpAddr::V4(v4) => (A, v4.octets().to_vec()),
            IpAddr::V6(v6) => (AAAA, v6.octets().to_vec()),
        };
        // The name is that of the question.
        bytes.extend([0xc0, HEADER as u8]);
        bytes.extend([kind, INTERNET].into_iter().flat_map(u16::to_be_bytes));
        bytes.extend(TIME_TO_LIVE.to_be_bytes());
        bytes.extend((octets.len() as u16).to_be_bytes());
        bytes.extend(octets);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn query(name: &[u8], kind: u8) -> Vec<u8> {
        [&[7, 8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], name, &[0, kind, 0, 1]].concat()
    }

    #[test]
    fn a_question_is_read_and_answered_in_its_own_words() {
        let bytes = query(b"\x04HoSt\x07example\0", 1);
        let Verdict::Ask(question) = parse(&bytes) else { panic!("it is a query") };
        assert_eq!((question.name.as_str(), question.kind), ("host.example.", A));
        let addresses: Vec<IpAddr> = ["192.0.2.1", "192.0.2.2"].map(|a| a.parse().unwrap()).to_vec();
        let whole = reply(&bytes, Some(&question), Code::Fine, &addresses, 512);
        assert_eq!(&whole[..12], [7, 8, 0x81, 0x80, 0, 1, 0, 2, 0, 0, 0, 0]);
        assert_eq!(whole[12..bytes.len()], bytes[12..]);
        assert_eq!(whole[whole.len() - 16..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 10, 0, 4, 192, 0, 2, 2]);
        let cut = reply(&bytes, Some(&question), Code::Fine, &addresses, bytes.len() + 20);
        assert_eq!((cut[2], cut[7]), (0x83, 1));
    }

    #[test]
    fn what_is_no_question_for_an_address_is_refused_or_dropped() {
        assert_eq!(parse(&query(b"\x04host", 1)), Verdict::Refuse(Code::Malformed));
        assert_eq!(parse(&[0; 11]), Verdict::Drop);
        let mut reply = query(b"\0", 1);
        reply[2] |= 0x80;
        assert_eq!(parse(&reply), Verdict::Drop);
        let mut update = query(b"\0", 1);
        update[2] |= 0x28;
        assert_eq!(parse(&update), Verdict::Refuse(Code::Unknown));
        // A pointer has no place in a question.
        assert_eq!(parse(&query(b"\xc0\x0c", 1)), Verdict::Refuse(Code::Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Verdict::Ask(question) = parse(&bytes) {
                let reply = reply(&bytes, Some(&question), Code::Fine, &[], 512);
                prop_assert!(reply.len() >= HEADER);
            }
        }
    }
}
