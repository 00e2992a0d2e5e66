//! Replies decoded for comparison: sections as sets of records, OPT apart, and where each record ends.

use std::collections::{BTreeMap, BTreeSet};

pub const QR: u16 = 0x8000;
pub const AA: u16 = 0x400;
pub const TC: u16 = 0x200;

pub const ANSWER: usize = 0;
pub const AUTHORITY: usize = 1;
pub const ADDITIONAL: usize = 2;

/// A record, its owner and the names in its data expanded and in lower case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    pub owner: String,
    pub rtype: u16,
    pub class: u16,
    pub ttl: u32,
    pub data: Vec<u8>,
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { owner, rtype, class, ttl, data } = self;
        let most = data.len().min(60);
        write!(f, "{owner} {ttl} class {class} type {rtype} {}", data[..most].escape_ascii())?;
        if data.len() > most { write!(f, " and {} octets more", data.len() - most) } else { Ok(()) }
    }
}

impl Record {
    /// The name that is all of the data, as in CNAME and NS records.
    pub fn name(&self) -> &str {
        std::str::from_utf8(&self.data).unwrap_or_default().trim_end_matches(' ')
    }

    /// The type that an RRSIG record covers.
    pub fn covers(&self) -> Option<u16> {
        (self.rtype == 46).then(|| u16_at(&self.data, 0)).flatten()
    }
}

/// What the OPT record of a reply says; extended errors (RFC 8914) are each server's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opt {
    pub version: u8,
    pub flags: u16,
    pub payload: u16,
    pub options: BTreeMap<u16, Vec<u8>>,
}

/// A reply.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub id: u16,
    /// The second 16 bits, without the response code.
    pub flags: u16,
    /// With the upper bits from OPT.
    pub rcode: u16,
    pub question: Vec<u8>,
    pub sections: [BTreeSet<Record>; 3],
    pub opt: Option<Opt>,
    /// All but what is compared.
    pub shape: Shape,
}

/// What a reply looks like on the wire; it is equal to any other, since each server lays out replies as it likes.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    pub length: usize,
    /// Section, record, and where it ends.
    pub ends: Vec<(usize, Record, usize)>,
    /// The octets of OPT.
    pub opt: usize,
    /// Some record stands twice.
    pub repeats: bool,
    /// Tells replies apart.
    pub number: u64,
}

impl PartialEq for Shape {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Shape {}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { flags, rcode, question, opt, .. } = self;
        let names = [
            (QR, "QR"),
            (AA, "AA"),
            (TC, "TC"),
            (0x100, "RD"),
            (0x80, "RA"),
            (0x40, "Z"),
            (0x20, "AD"),
            (0x10, "CD"),
        ];
        let set: Vec<&str> =
            names.iter().filter(|(bit, _)| flags & bit != 0).map(|&(_, name)| name).collect();
        let opcode = flags >> 11 & 15;
        write!(
            f,
            "rcode {rcode} opcode {opcode} {} question {} bytes {}",
            set.join(" "),
            question.escape_ascii(),
            self.shape.length
        )?;
        if let Some(opt) = opt {
            write!(f, "; {opt:?}")?;
        }
        let [answer, authority, additional] = self.sections.each_ref().map(BTreeSet::len);
        write!(f, "; {answer} answer, {authority} authority, {additional} additional")?;
        Ok(())
    }
}

impl Message {
    pub fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

fn u16_at(packet: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]))
}

/// A name in lower case, and where it ends.
pub fn name_at(packet: &[u8], mut at: usize) -> Option<(String, usize)> {
    let (mut text, mut end, mut total) = (String::new(), None, 1);
    loop {
        let length = usize::from(*packet.get(at)?);
        match length {
            0 => return Some((if text.is_empty() { ".".into() } else { text }, end.unwrap_or(at + 1))),
            1..0x40 => {
                total += length + 1;
                for byte in packet.get(at + 1..at + 1 + length)? {
                    match byte.to_ascii_lowercase() {
                        b'.' => text += "\\.",
                        b'\\' => text += "\\\\",
                        byte @ 0x21..0x7f => text.push(byte.into()),
                        byte => text += &format!("\\{byte:03}"),
                    }
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
        if total > 255 {
            return None;
        }
    }
}

/// The octets before the names in a type's data, and how many names; only those in which case and compression may
/// differ between servers.
fn layout(rtype: u16) -> (usize, usize) {
    match rtype {
        2 | 3 | 4 | 5 | 7 | 8 | 9 | 12 | 39 => (0, 1),
        6 | 14 | 17 => (0, 2),
        15 | 18 | 21 | 36 | 107 => (2, 1),
        26 => (2, 2),
        33 => (6, 1),
        _ => (0, 0),
    }
}

fn next_number() -> u64 {
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// Decodes a reply; None if it is malformed in any way.
pub fn decode(packet: &[u8]) -> Option<Message> {
    let word = u16_at(packet, 2)?;
    let mut at = 12;
    let mut question = vec![];
    for _ in 0..u16_at(packet, 4)? {
        let (_, end) = name_at(packet, at)?;
        question.extend_from_slice(packet.get(at..end + 4)?);
        at = end + 4;
    }
    let mut message = Message {
        id: u16_at(packet, 0)?,
        flags: word & !15,
        rcode: word & 15,
        question,
        sections: [const { BTreeSet::new() }; 3],
        opt: None,
        shape: Shape { length: packet.len(), number: next_number(), ..Shape::default() },
    };
    for section in 0..3 {
        for _ in 0..u16_at(packet, 6 + 2 * section)? {
            let start = at;
            let (owner, end) = name_at(packet, at)?;
            let (rtype, class) = (u16_at(packet, end)?, u16_at(packet, end + 2)?);
            let ttl = u32::from(u16_at(packet, end + 4)?) << 16 | u32::from(u16_at(packet, end + 6)?);
            let data = end + 10;
            at = data + usize::from(u16_at(packet, end + 8)?);
            packet.get(data..at)?;
            if rtype == 41 {
                if message.opt.is_some() || section != ADDITIONAL || owner != "." {
                    return None;
                }
                message.rcode |= (ttl >> 24 << 4) as u16;
                message.shape.opt = at - start;
                let options = options(&packet[data..at])?;
                message.opt =
                    Some(Opt { version: (ttl >> 16) as u8, flags: ttl as u16, payload: class, options });
                continue;
            }
            let (prefix, names) = layout(rtype);
            let mut inner = (data + prefix).min(at);
            let mut canonical = packet[data..inner].to_vec();
            for _ in 0..if inner < at { names } else { 0 } {
                let (name, end) = name_at(packet, inner)?;
                canonical.extend_from_slice(name.as_bytes());
                canonical.push(b' ');
                inner = end;
            }
            canonical.extend_from_slice(packet.get(inner..at)?);
            let record = Record { owner, rtype, class, ttl, data: canonical };
            message.shape.ends.push((section, record.clone(), at));
            message.shape.repeats |= !message.sections[section].insert(record);
        }
    }
    (at == packet.len()).then_some(message)
}

fn options(mut octets: &[u8]) -> Option<BTreeMap<u16, Vec<u8>>> {
    let mut options = BTreeMap::new();
    while !octets.is_empty() {
        let end = 4 + usize::from(u16_at(octets, 2)?);
        let code = u16_at(octets, 0)?;
        // Extended errors.
        if code != 15 {
            options.insert(code, octets.get(4..end)?.to_vec());
        }
        octets = octets.get(end..)?;
    }
    Some(options)
}
