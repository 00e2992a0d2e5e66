//! The zone that both servers serve, the queries for it, and the answers that are right.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The origin of the zone.
pub const ORIGIN: &str = "bench.test";
/// Names in the zone, apart from its origin and its name server, unless there are to be more.
pub const NAMES: usize = 1000;
/// How many queries the loader goes through before it begins again.
const QUERIES: usize = 5000;

const TYPES: [RecordType; 4] = [RecordType::A, RecordType::Aaaa, RecordType::Mx, RecordType::Txt];

/// The record types of the zone's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum RecordType {
    /// An IPv4 address.
    A = 1,
    /// A mail exchange.
    Mx = 15,
    /// Text.
    Txt = 16,
    /// An IPv6 address.
    Aaaa = 28,
}

/// What a query asks for, and what must come back.
#[derive(Debug)]
pub struct Query {
    /// The packet, with an id of zero.
    pub packet: Vec<u8>,
    /// The length of the question that follows the header.
    pub question: usize,
    /// The record that answers it; nothing where there is no such name.
    pub answer: Option<Answer>,
    /// The answer comes with its signature.
    pub signed: bool,
}

/// The one record of an answer.
#[derive(Debug)]
pub struct Answer {
    /// The type, as in the question.
    pub rtype: RecordType,
    /// The rdata, with names in full.
    pub rdata: Vec<u8>,
}

/// What the queries are like.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// How many names the zone has.
    pub names: usize,
    /// Of 100 queries, those for names that do not exist.
    pub missing: usize,
    /// Whether queries carry an EDNS record, as those of resolvers do.
    pub edns: bool,
    /// Whether they ask for signatures, which a signed zone has; implies EDNS.
    pub signed: bool,
}

impl Default for Mix {
    fn default() -> Self {
        Self { names: NAMES, missing: 0, edns: false, signed: false }
    }
}

/// The zone as a master file.
pub fn master_file(names: usize) -> String {
    let mut text = format!(
        "$ORIGIN {ORIGIN}.\n$TTL 3600\n@ SOA ns1 hostmaster 1 3600 900 604800 300\n@ NS ns1\nns1 A 192.0.2.1\n"
    );
    for n in 0..names {
        let name = existing(n);
        let _ = match rtype(n) {
            RecordType::A => writeln!(text, "{name} A {}", ipv4(n)),
            RecordType::Aaaa => writeln!(text, "{name} AAAA {}", ipv6(n)),
            RecordType::Mx => writeln!(text, "{name} MX {} {}", n as u16, existing(n / 4 * 4)),
            RecordType::Txt => writeln!(text, "{name} TXT \"{}\"", words(n)),
        };
    }
    text
}

/// Queries in an order that looks random and is the same in each run. Their packets have one length.
pub fn queries(mix: Mix) -> Vec<Query> {
    let mut state = 0x6b65_726e_6c65_7421_u64;
    let mut random = move |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize % bound
    };
    (0..QUERIES)
        .map(|_| {
            let n = random(mix.names);
            let exists = random(100) >= mix.missing;
            let name = if exists { existing(n) } else { format!("none{n:07}") };
            let (packet, question) = packet(&name, rtype(n), mix);
            Query { packet, question, answer: exists.then(|| answer(n)), signed: mix.signed }
        })
        .collect()
}

/// What a right server says to a query, without the sections that it may add.
pub fn reply(query: &Query) -> Vec<u8> {
    let mut reply = query.packet[..12 + query.question].to_vec();
    (reply[2], reply[11]) = (0x85, 0);
    match &query.answer {
        None => reply[3] = 3,
        Some(answer) => {
            reply[7] = 1;
            reply.extend_from_slice(&[0xc0, 12, 0, answer.rtype as u8, 0, 1, 0, 0, 0x0e, 0x10]);
            reply.extend_from_slice(&(answer.rdata.len() as u16).to_be_bytes());
            reply.extend_from_slice(&answer.rdata);
        }
    }
    reply
}

/// A name on the wire, not compressed.
pub fn wire_name(label: &str) -> Vec<u8> {
    let mut wire = vec![];
    for label in std::iter::once(label).chain(ORIGIN.split('.')) {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

fn existing(n: usize) -> String {
    format!("host{n:07}")
}

fn rtype(n: usize) -> RecordType {
    TYPES[n % TYPES.len()]
}

fn ipv4(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, (n >> 16) as u8, (n >> 8) as u8, n as u8)
}

fn ipv6(n: usize) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, (n >> 16) as u16, n as u16)
}

fn words(n: usize) -> String {
    format!("v=bench{n} include:{ORIGIN} -all")
}

fn answer(n: usize) -> Answer {
    let rdata = match rtype(n) {
        RecordType::A => ipv4(n).octets().to_vec(),
        RecordType::Aaaa => ipv6(n).octets().to_vec(),
        RecordType::Mx => [(n as u16).to_be_bytes().to_vec(), wire_name(&existing(n / 4 * 4))].concat(),
        RecordType::Txt => [vec![words(n).len() as u8], words(n).into_bytes()].concat(),
    };
    Answer { rtype: rtype(n), rdata }
}

/// A query packet, and the length of its question.
fn packet(label: &str, rtype: RecordType, mix: Mix) -> (Vec<u8>, usize) {
    let edns = mix.edns || mix.signed;
    // Id, flags with RD as dig and most resolvers' tests send it, one question.
    let mut packet = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    let name = wire_name(label);
    packet.extend_from_slice(&name);
    packet.extend_from_slice(&(rtype as u16).to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    if edns {
        // The root, OPT, a payload of 1,232 octets, perhaps the flag DO, no options.
        let flags = if mix.signed { 0x80 } else { 0 };
        packet.extend_from_slice(&[0, 0, 41, 0x04, 0xd0, 0, 0, flags, 0, 0, 0]);
    }
    (packet, name.len() + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_have_one_length_and_every_name_a_record() {
        let all = queries(Mix { missing: 30, edns: true, ..Mix::default() });
        assert!(all.iter().all(|query| query.packet.len() == all[0].packet.len()));
        let missing = all.iter().filter(|query| query.answer.is_none()).count();
        assert!((QUERIES / 4..QUERIES / 3 + QUERIES / 20).contains(&missing));
        assert_eq!(master_file(NAMES).lines().count(), NAMES + 5);
    }
}
