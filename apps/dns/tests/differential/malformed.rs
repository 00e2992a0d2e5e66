//! Packets as senders damage them, by accident or on purpose.

use crate::common::{Ask, Random};

/// One way of damaging a packet, and its name.
type Damage = (&'static str, fn(&mut Random, &Ask) -> Vec<u8>);

/// All of them.
pub const DAMAGES: [Damage; 24] = [
    ("cut short", |random, ask| {
        let packet = ask.packet();
        packet[..random.below(packet.len())].to_vec()
    }),
    ("cut within OPT", |random, ask| {
        let packet = with_opt(ask, &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
        let least = packet.len() - 22;
        packet[..least + random.below(22)].to_vec()
    }),
    ("a wrong count", |random, ask| {
        let mut packet = ask.packet();
        let at = 4 + 2 * random.below(4);
        packet[at..at + 2].copy_from_slice(&random.pick(&[0u16, 1, 2, 3, 255, 0x100, 65535]).to_be_bytes());
        packet
    }),
    ("no question", |_, ask| {
        let mut packet = ask.packet();
        packet[5] = 0;
        packet.drain(12..12 + ask.name.len() + 4);
        packet
    }),
    ("two questions", |random, ask| {
        let mut packet = ask.packet();
        packet[5] = 2;
        let question = packet[12..12 + ask.name.len() + 4].to_vec();
        let second =
            if random.chance(50) { question } else { b"\x03www\x05other\x04test\0\0\x01\0\x01".to_vec() };
        let at = 12 + ask.name.len() + 4;
        packet.splice(at..at, second);
        packet
    }),
    ("a label of an unknown kind", |random, ask| {
        let mut packet = ask.packet();
        packet[12] = *random.pick(&[0x40u8, 0x41, 0x80, 0xbf, 0x7f]);
        packet
    }),
    ("a pointer in the question", |random, ask| {
        let mut packet = ask.packet();
        let targets = [0u16, 4, 11, 12, 13, 14, 200, 0x3fff];
        let pointer = (0xc000 | random.pick(&targets)).to_be_bytes();
        let end = 12 + ask.name.len() - 1;
        let at = if random.chance(50) { 12 } else { end };
        packet.splice(at..end + 1, pointer);
        packet
    }),
    ("a name that is too long", |random, ask| {
        let mut packet = ask.packet();
        let label = [&[63][..], &[b'n'; 63]].concat();
        let count = 4 + random.below(3);
        packet.splice(12..12, label.repeat(count));
        packet
    }),
    ("junk behind", |random, ask| {
        let mut packet = ask.packet();
        let length = 1 + random.below(600);
        packet.extend((0..length).map(|_| random.below(256) as u8));
        packet
    }),
    ("zeros behind", |random, ask| {
        let mut packet = ask.packet();
        packet.extend_from_slice(&[0; 40][..1 + random.below(40)]);
        packet
    }),
    ("another opcode", |random, ask| {
        let mut packet = ask.packet();
        packet[2] = packet[2] & 0x87 | random.pick(&[1u8, 2, 3, 4, 5, 6, 7, 8, 15]) << 3;
        packet
    }),
    ("a response", |random, ask| {
        let mut packet = ask.packet();
        packet[2] = 0x80 | random.below(128) as u8;
        packet
    }),
    ("flags at random", |random, ask| {
        let mut packet = ask.packet();
        packet[3] = random.below(256) as u8;
        packet[2] = packet[2] & 0xf8 | random.below(8) as u8;
        packet
    }),
    ("OPT twice", |_, ask| {
        let mut packet = with_opt(ask, &[]);
        packet[11] = 2;
        packet.extend_from_slice(&[0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0]);
        packet
    }),
    ("OPT with a name", |_, ask| {
        let mut packet = with_opt(ask, &[]);
        let at = packet.len() - 11;
        packet.splice(at..=at, *b"\x01x\0");
        packet
    }),
    ("OPT of a wrong length", |random, ask| {
        let mut packet = with_opt(ask, &[0, 3, 0, 0]);
        let at = packet.len() - 6;
        packet[at..at + 2].copy_from_slice(&random.pick(&[0u16, 1, 3, 5, 6, 200, 65535]).to_be_bytes());
        packet
    }),
    ("an option of a wrong length", |random, ask| {
        let mut packet = with_opt(ask, &[0, 12, 0, 4, 0, 0, 0, 0]);
        let at = packet.len() - 6;
        packet[at..at + 2].copy_from_slice(&random.pick(&[0u16, 1, 3, 5, 8, 200, 65535]).to_be_bytes());
        packet
    }),
    ("OPT in another section", |random, ask| {
        let mut packet = with_opt(ask, &[]);
        packet[11] = 0;
        packet[if random.chance(50) { 7 } else { 9 }] = 1;
        packet
    }),
    ("OPT with unknown flags and codes", |random, ask| {
        let mut packet = with_opt(ask, &[]);
        let at = packet.len() - 6;
        packet[at] = if random.chance(50) { random.below(256) as u8 } else { 0 };
        (packet[at + 2], packet[at + 3]) = (random.below(256) as u8, random.below(256) as u8);
        packet
    }),
    ("a record like TSIG", |random, ask| {
        let mut packet =
            if random.chance(50) { with_opt(ask, &[]) } else { Ask { edns: None, ..ask.clone() }.packet() };
        packet[11] += 1;
        let data = b"\x08hmac-md5\x07sig-alg\x03reg\x03int\0\0\0\x68\0\0\0\x01\x2c\0\x100123456789abcdef\0\0\0\0\0\0";
        packet.extend_from_slice(b"\x03key\0\0\xfa\0\xff\0\0\0\0");
        packet.extend_from_slice(&(data.len() as u16).to_be_bytes());
        packet.extend_from_slice(data);
        if random.chance(30) {
            packet.truncate(packet.len() - 1 - random.below(30));
        }
        packet
    }),
    ("a record like SIG(0)", |_, ask| {
        let mut packet = Ask { edns: None, ..ask.clone() }.packet();
        packet[11] = 1;
        packet.extend_from_slice(
            b"\0\0\x18\0\xff\0\0\0\0\0\x17\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03key\0",
        );
        packet
    }),
    ("records in a query", |random, ask| {
        let mut packet = Ask { edns: None, ..ask.clone() }.packet();
        packet[7 + 2 * random.below(3)] = 1;
        packet.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\xc0\0\x02\x01");
        packet
    }),
    ("an octet at random", |random, ask| {
        let mut packet = ask.packet();
        let at = 2 + random.below(packet.len() - 2);
        packet[at] = random.below(256) as u8;
        packet
    }),
    ("octets at random", |random, _| {
        let length = random.below(100);
        let mut packet: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        if let Some(flags) = packet.get_mut(2) {
            *flags &= 0x07;
        }
        packet
    }),
];

/// The query with an OPT record at its end.
fn with_opt(ask: &Ask, options: &[u8]) -> Vec<u8> {
    let edns = ask.edns.as_ref().map_or((1232, 0, false), |&(size, _, dnssec, _)| (size, 0, dnssec));
    Ask { edns: Some((edns.0, edns.1, edns.2, options.to_vec())), ..ask.clone() }.packet()
}

/// A damaged packet, and how it was damaged.
pub fn damage(random: &mut Random, ask: &Ask) -> (&'static str, Vec<u8>) {
    let (name, make) = random.pick(&DAMAGES);
    (name, make(random, ask))
}
