//! Questions at random around the names of the zones: as they are, and nearly as they are.

use crate::common::{Ask, Random, wire_name};
use crate::message::{ANSWER, decode};
use crate::zones::Source;
use dns::{Any, Asker, Policy, Transport, Zones};
use std::net::{IpAddr, Ipv4Addr};

/// One packet to be sent to all servers.
pub struct Question {
    pub packet: Vec<u8>,
    pub transport: Transport,
    /// What it asks, or asked before it was damaged.
    pub ask: Ask,
    /// It was damaged.
    pub malformed: bool,
    /// How it was made, for messages.
    pub kind: &'static str,
}

impl Question {
    pub fn new(ask: Ask, transport: Transport, kind: &'static str) -> Self {
        Self { packet: ask.packet(), transport, ask, malformed: false, kind }
    }

    /// Sets the message ID, if the packet has one.
    pub fn number(&mut self, id: u16) {
        if let Some(place) = self.packet.get_mut(..2) {
            place.copy_from_slice(&id.to_be_bytes());
        }
    }

    /// The type that is asked for.
    pub fn qtype(&self) -> u16 {
        self.ask.qtype
    }

    pub fn qclass(&self) -> u16 {
        self.ask.class
    }

    /// The packet for Knot, which says FORMERR where a payload size is below 512. That counts as 512 (RFC 6891
    /// section 6.2.3), so that is what Knot is asked with.
    pub fn for_knot(&self) -> Vec<u8> {
        let mut ask = self.ask.clone();
        match &mut ask.edns {
            Some(edns) if edns.0 < 512 && !self.malformed => edns.0 = 512,
            _ => return self.packet.clone(),
        }
        let mut packet = ask.packet();
        packet[..2].copy_from_slice(&self.packet[..2]);
        packet
    }

    /// How long the reply may be: RFC 1035 section 4.2.1, RFC 6891 section 6.2.3, and 1232 octets at most, as all
    /// three servers are set up.
    pub fn limit(&self) -> usize {
        match (self.transport, &self.ask.edns) {
            (Transport::Tcp, _) => 65535,
            (Transport::Udp, None) => 512,
            (Transport::Udp, Some(edns)) => usize::from(edns.0).clamp(512, 1232),
        }
    }
}

/// Payload sizes: below what is allowed, at the edges, usual ones, above.
const SIZES: [u16; 19] =
    [0, 1, 100, 511, 512, 513, 530, 560, 600, 700, 800, 900, 1000, 1100, 1231, 1232, 1233, 4096, 65535];
const COMMON: [u16; 10] = [1, 1, 28, 2, 15, 5, 6, 12, 16, 255];
const SECURITY: [u16; 7] = [43, 43, 48, 47, 50, 46, 51];
const RARE: [u16; 42] = [
    0, 3, 4, 7, 8, 9, 13, 14, 17, 18, 19, 20, 21, 26, 33, 35, 36, 38, 39, 41, 42, 44, 45, 52, 59, 60, 61, 62,
    63, 64, 65, 99, 107, 249, 250, 251, 252, 253, 254, 256, 257, 731,
];

/// Makes questions from a seed.
pub struct Questions {
    pub random: Random,
    names: Vec<Vec<u8>>,
    /// The types that some name has, so that all of them are asked for often.
    pairs: Vec<(usize, u16)>,
    signed: bool,
}

impl Questions {
    /// Around these zones, which `server` serves.
    pub fn new(zones: &[Source], server: &Zones, seed: u64) -> Self {
        let mut names: Vec<Vec<u8>> = vec![];
        for zone in zones {
            let mut of_zone = zone.names();
            // The many names that were generated are not to crowd out those that were thought of.
            let most = 1200;
            if of_zone.len() > most {
                let step = of_zone.len() / most + 1;
                of_zone = of_zone.into_iter().step_by(step).collect();
            }
            names.extend(of_zone.iter().map(|name| wire_name(name)));
        }
        for name in ["elsewhere.example.", "test.", "com.", ".", "xtraps.test.", "nsec.", "deleg."] {
            names.push(wire_name(name));
        }
        let signed = zones.iter().any(|zone| zone.text.contains("RRSIG"));
        let types = |(n, name): (usize, &Vec<u8>)| {
            types(server, name).into_iter().map(move |rtype| (n, rtype)).collect::<Vec<_>>()
        };
        let pairs = names.iter().enumerate().flat_map(types).collect();
        Self { random: Random::new(seed), names, pairs, signed }
    }

    /// The next question that is well-formed.
    pub fn ask(&mut self) -> Ask {
        let random = &mut self.random;
        let pair = random.chance(20).then(|| *random.pick(&self.pairs));
        let mut name = match pair {
            Some((n, _)) => self.names[n].clone(),
            None => random.pick(&self.names).clone(),
        };
        if pair.is_none() && random.chance(75) {
            name = near(random, name, &self.names);
        }
        if random.chance(25) {
            mix_case(random, &mut name);
        }
        let qtype = match random.below(100) {
            0..60 => *random.pick(&COMMON),
            60..80 if self.signed => *random.pick(&SECURITY),
            60..85 => *random.pick(&SECURITY[..4]),
            85..98 => *random.pick(&RARE),
            _ => random.below(65536) as u16,
        };
        let qtype = pair.map_or(qtype, |(_, rtype)| rtype);
        let likely = if self.signed { 80 } else { 60 };
        let edns = random.chance(likely).then(|| {
            let version = if random.chance(2) { 1 + random.below(255) as u8 } else { 0 };
            let options: &[&[u8]] = &[
                &[],
                &[],
                &[],
                &[0, 12, 0, 4, 0, 0, 0, 0],
                &[0, 3, 0, 0],
                &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 3, 0, 0],
                &[0, 11, 0, 0],
                &[0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2],
                &[0xfd, 0xe9, 0, 3, 1, 2, 3, 0xfd, 0xea, 0, 0],
            ];
            let options = random.pick(options).to_vec();
            (*random.pick(&SIZES), version, random.chance(if self.signed { 75 } else { 40 }), options)
        });
        let class = match random.below(60) {
            0 => 255,
            1 => 4,
            2 => 254,
            3 => 3,
            4 => random.below(65536) as u16,
            _ => 1,
        };
        let flags =
            [*random.pick(&[0u8, 1, 1, 1, 3, 5]), *random.pick(&[0u8, 0, 0, 0x10, 0x20, 0x30, 0x40, 0x80])];
        Ask { name, qtype, class, edns, flags }
    }

    /// A transport at random: UDP mostly.
    pub fn transport(&mut self) -> Transport {
        if self.random.chance(25) { Transport::Tcp } else { Transport::Udp }
    }
}

/// The types of the records at a name.
fn types(server: &Zones, name: &[u8]) -> Vec<u16> {
    let ask = Ask { name: name.to_vec(), edns: Some((1232, 0, true, vec![])), ..Ask::new(".", 255) };
    let asker = Asker { transport: Transport::Tcp, address: IpAddr::V4(Ipv4Addr::LOCALHOST), clock: || 0 };
    let policy = Policy { any: Any::All, ..Policy::default() };
    let mut out = vec![0; 65535];
    let reply = server.respond(&ask.packet(), &asker, &policy, &mut out).expect("a reply");
    let reply = decode(&out[..reply.length]).expect("our reply is well-formed");
    let mut types: Vec<u16> = reply.sections[ANSWER].iter().map(|record| record.rtype).collect();
    types.dedup();
    types
}

fn mix_case(random: &mut Random, name: &mut [u8]) {
    for byte in name {
        // Not the lengths: they are below all letters.
        if byte.is_ascii_alphabetic() && random.chance(50) {
            *byte ^= 0x20;
        }
    }
}

/// The labels of a name without the root, each with its length octet.
fn labels(name: &[u8]) -> Vec<Vec<u8>> {
    let mut labels = vec![];
    let mut rest = name;
    while let Some(&length) = rest.first().filter(|&&length| length != 0) {
        let (label, next) = rest.split_at(usize::from(length) + 1);
        labels.push(label.to_vec());
        rest = next;
    }
    labels
}

/// A name close to another: what off-by-one errors in trees, chains of NSEC and wildcards would confuse.
fn near(random: &mut Random, name: Vec<u8>, names: &[Vec<u8>]) -> Vec<u8> {
    let mut all = labels(&name);
    let fresh = |random: &mut Random| {
        let words: [&[u8]; 12] =
            [b"x", b"www", b"a", b"*", b"sub", b"host1", b"ns", b"\0", b"\xff", b"-", b"zzz", b"ns1"];
        let word = random.pick(&words);
        [&[word.len() as u8], *word].concat()
    };
    match random.below(14) {
        0..3 => all.insert(0, fresh(random)),
        3 => {
            all.insert(0, fresh(random));
            all.insert(0, fresh(random));
        }
        4 if !all.is_empty() => {
            all.remove(0);
        }
        // One octet changed, to a neighbour or any other.
        5..8 if !all.is_empty() => {
            let which = if random.chance(70) { 0 } else { random.below(all.len()) };
            let label = &mut all[which];
            let at = if random.chance(60) { label.len() - 1 } else { 1 + random.below(label.len() - 1) };
            label[at] = match random.below(3) {
                0 => label[at].wrapping_add(1),
                1 => label[at].wrapping_sub(1),
                _ => random.below(256) as u8,
            };
        }
        // One octet more: the name right behind in the order of NSEC; or less.
        8 if !all.is_empty() && all[0].len() < 64 => {
            all[0].push(*random.pick(b"\0-az\xff"));
            all[0][0] += 1;
        }
        9 if all.first().is_some_and(|label| label.len() > 2) => {
            all[0].pop();
            all[0][0] -= 1;
        }
        // Right behind a name, with all that is below it.
        10 => all.insert(0, vec![1, 0]),
        11 if !all.is_empty() => all[0] = b"\x01*".to_vec(),
        12 => all.insert(0, [&[63][..], &[b"lz\0\xff"[random.below(4)]; 63]].concat()),
        // The front of one name before the end of another.
        _ => {
            let other = labels(&random.pick::<Vec<u8>>(names)[..]);
            let from = random.below(other.len() + 1);
            all.truncate(1 + random.below(2));
            all.extend_from_slice(&other[from..]);
        }
    }
    let near = [&all.concat()[..], &[0]].concat();
    if near.len() > 255 { name } else { near }
}
