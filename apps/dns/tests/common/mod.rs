//! What the tests share: loading zones, building queries, and a decoder of its own for replies.
#![allow(dead_code, missing_docs, reason = "each test uses a part, and reads it here")]

use dns::{Zone, ZoneErrors, Zones};
use std::collections::BTreeSet;
use std::path::Path;

/// A small generator of pseudo-random numbers (xorshift64*), so that a printed seed repeats a run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// A zone of `count` names, with some delegations, as text.
pub fn thousand(count: usize) -> String {
    let mut text = String::from(
        "$TTL 3600\n@ SOA ns1 hostmaster 1 3600 900 604800 300\n NS ns1\n NS ns2\nns1 A 192.0.2.1\nns2 A 192.0.2.2\n\
         ns1 AAAA 2001:db8::1\n",
    );
    // More than pointers reach, over TCP.
    (0..2000).for_each(|n| text += &format!("huge PTR host{n}\n"));
    for n in 0..count {
        text += &format!("host{n} A 10.{}.{}.{}\n", n >> 16 & 255, n >> 8 & 255, n & 255);
        match n % 10 {
            0 => text += &format!("sub{n} NS ns.sub{n}\nns.sub{n} A 10.1.{}.{}\n", n >> 8 & 255, n & 255),
            1 => text += &format!("alias{n} CNAME host{n}\n"),
            2 => text += &format!("host{n} MX 10 host{}\n", n / 2),
            _ => {}
        }
    }
    text
}

/// Loads a zone from text, with no includes.
pub fn load(zones: &Zones, origin: &str, text: &str) -> Result<Zone, ZoneErrors> {
    zones.load(&origin.parse().expect("a name"), "zone", &mut |file| match file {
        "zone" => Ok(text.as_bytes().into()),
        _ => Err("not found".into()),
    })
}

/// A server of zones given as text.
pub fn server(zones: &[(&str, &str)]) -> Zones {
    let mut server = Zones::new(0x6b65_726e_6c65_7421);
    for (origin, text) in zones {
        let zone = load(&server, origin, text).unwrap_or_else(|errors| panic!("{origin}:\n{errors}"));
        server.insert(zone);
    }
    server
}

/// A file of this package.
pub fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The labels of a name in text form, where a backslash and three digits are an octet.
pub fn wire_name(text: &str) -> Vec<u8> {
    let mut wire = vec![0];
    let (mut start, mut at) = (0, 0);
    let bytes = text.as_bytes();
    if text == "." {
        return wire;
    }
    while at < bytes.len() {
        match bytes[at] {
            b'.' => {
                start = wire.len();
                wire.push(0);
                at += 1;
            }
            b'\\' if bytes[at + 1].is_ascii_digit() => {
                wire.push(text[at + 1..at + 4].parse().expect("an octet"));
                wire[start] += 1;
                at += 4;
            }
            byte => {
                let escaped = usize::from(byte == b'\\');
                wire.push(bytes[at + escaped]);
                wire[start] += 1;
                at += 1 + escaped;
            }
        }
    }
    if wire[start] != 0 {
        wire.push(0);
    }
    wire
}

/// A query as it can vary.
#[derive(Clone)]
pub struct Ask {
    pub name: Vec<u8>,
    pub qtype: u16,
    pub class: u16,
    /// Payload size, version, DO bit, options.
    pub edns: Option<(u16, u8, bool, Vec<u8>)>,
    pub flags: [u8; 2],
}

impl std::fmt::Debug for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, qtype, class, edns, flags } = self;
        write!(f, "{} type {qtype} class {class} edns {edns:?} flags {flags:02x?}", name.escape_ascii())
    }
}

impl Ask {
    pub fn new(name: &str, qtype: u16) -> Self {
        Self { name: wire_name(name), qtype, class: 1, edns: None, flags: [1, 0] }
    }

    pub fn edns(mut self, size: u16) -> Self {
        self.edns = Some((size, 0, false, vec![]));
        self
    }

    pub fn packet(&self) -> Vec<u8> {
        let mut packet = vec![0xab, 0xcd, self.flags[0], self.flags[1], 0, 1, 0, 0, 0, 0, 0, 0];
        packet.extend_from_slice(&self.name);
        packet.extend_from_slice(&self.qtype.to_be_bytes());
        packet.extend_from_slice(&self.class.to_be_bytes());
        if let Some((size, version, dnssec, options)) = &self.edns {
            packet[11] = 1;
            packet.extend_from_slice(&[0, 0, 41]);
            packet.extend_from_slice(&size.to_be_bytes());
            packet.extend_from_slice(&[0, *version, u8::from(*dnssec) << 7, 0]);
            packet.extend_from_slice(&(options.len() as u16).to_be_bytes());
            packet.extend_from_slice(options);
        }
        packet
    }
}

/// A record with its names expanded, in lower case and readable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub owner: String,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub data: String,
}

/// A decoded reply.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    pub id: u16,
    pub flags: u16,
    pub question: Vec<u8>,
    /// Answer, authority, additional.
    pub sections: [BTreeSet<Record>; 3],
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "id {:x} flags {:04x} question {:02x?}", self.id, self.flags, self.question)?;
        for (section, records) in ["answer", "authority", "additional"].iter().zip(&self.sections) {
            for Record { owner, rtype, class, ttl, data } in records {
                write!(f, "\n    {section}: {owner} {ttl} class {class} type {rtype} {data}")?;
            }
        }
        Ok(())
    }
}

impl Reply {
    pub fn rcode(&self) -> u16 {
        self.flags & 15
    }

    pub fn authoritative(&self) -> bool {
        self.flags & 0x400 != 0
    }

    pub fn truncated(&self) -> bool {
        self.flags & 0x200 != 0
    }

    /// A section as "owner type data" lines.
    pub fn lines(&self, section: usize) -> Vec<String> {
        self.sections[section].iter().map(|r| format!("{} {} {}", r.owner, r.rtype, r.data)).collect()
    }
}

fn u16_at(packet: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]))
}

/// A name, and where it ends.
fn name_at(packet: &[u8], mut at: usize) -> Option<(String, usize)> {
    let (mut text, mut end) = (String::new(), None);
    for _ in 0..200 {
        let length = usize::from(*packet.get(at)?);
        match length {
            0 => return Some((if text.is_empty() { ".".into() } else { text }, end.unwrap_or(at + 1))),
            1..0x40 => {
                for byte in packet.get(at + 1..at + 1 + length)? {
                    text += &std::ascii::escape_default(byte.to_ascii_lowercase()).to_string();
                }
                text.push('.');
                at += 1 + length;
            }
            0xc0.. => {
                let to = usize::from(u16_at(packet, at)? & 0x3fff);
                end = end.or(Some(at + 2));
                // Pointers go back.
                if to >= at {
                    return None;
                }
                at = to;
            }
            _ => return None,
        }
    }
    None
}

/// Decodes a reply; None if it is malformed in any way.
pub fn decode(packet: &[u8]) -> Option<Reply> {
    let mut at = 12;
    let mut question = vec![];
    for _ in 0..u16_at(packet, 4)? {
        let (_, end) = name_at(packet, at)?;
        question.extend_from_slice(packet.get(at..end + 4)?);
        at = end + 4;
    }
    let mut sections = [const { BTreeSet::new() }; 3];
    for (n, section) in sections.iter_mut().enumerate() {
        for _ in 0..u16_at(packet, 6 + 2 * n)? {
            let (owner, end) = name_at(packet, at)?;
            let rtype = u16_at(packet, end)?;
            let class = u16_at(packet, end + 2)?;
            let ttl = u32::from(u16_at(packet, end + 4)?) << 16 | u32::from(u16_at(packet, end + 6)?);
            let start = end + 10;
            at = start + usize::from(u16_at(packet, end + 8)?);
            packet.get(start..at)?;
            let (prefix, names) = match rtype {
                2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 39 => (0, 1),
                6 | 14 | 17 => (0, 2),
                15 | 18 | 21 | 36 => (2, 1),
                33 => (6, 1),
                _ => (0, 0),
            };
            let hex = |from: usize, to: usize| {
                packet[from..to].iter().map(|byte| format!("{byte:02x}")).collect::<String>()
            };
            let mut data = hex(start, start + prefix);
            let mut inner = start + prefix;
            for _ in 0..names {
                let (name, end) = name_at(packet, inner)?;
                data += &format!(" {name} ");
                inner = end;
            }
            if inner > at {
                return None;
            }
            data += &hex(inner, at);
            section.insert(Record { owner, rtype, class, ttl, data: data.trim().into() });
        }
    }
    (at == packet.len()).then_some(Reply {
        id: u16_at(packet, 0)?,
        flags: u16_at(packet, 2)?,
        question,
        sections,
    })
}

/// Asks over UDP, and decodes.
pub fn ask(zones: &Zones, ask: &Ask) -> Reply {
    answer(zones, &ask.packet(), dns::Transport::Udp).expect("a reply")
}

/// Answers a packet, and decodes.
pub fn answer(zones: &Zones, packet: &[u8], transport: dns::Transport) -> Option<Reply> {
    let mut out = vec![0; 65535];
    let length = zones.answer(packet, transport, &mut out)?;
    Some(decode(&out[..length]).unwrap_or_else(|| panic!("a malformed reply: {:02x?}", &out[..length])))
}
