//! Whether a signed reply proves what it says, worked out from its records alone as a resolver does: RFC 4035 section 5.4
//! and RFC 5155 section 8. So ours is judged where peers prove less, or look into other zones than we do.

use crate::common::wire_name;
use crate::message::{ANSWER, AUTHORITY, Message, name_at};
use sha1::{Digest, Sha1};

const CNAME: u16 = 5;
const SOA: u16 = 6;
const NSEC: u16 = 47;
const NSEC3: u16 = 50;
const NOERROR: u16 = 0;
const NXDOMAIN: u16 = 3;

/// The labels of a name from the root on, so that they compare in canonical order (RFC 4034 section 6.1).
type Labels = Vec<Vec<u8>>;

fn labels(name: &str) -> Labels {
    let wire = wire_name(name);
    let (mut labels, mut at) = (vec![], 0);
    while wire[at] != 0 {
        let end = at + 1 + usize::from(wire[at]);
        labels.push(wire[at + 1..end].to_ascii_lowercase());
        at = end;
    }
    labels.reverse();
    labels
}

fn below(name: &Labels, label: &[u8]) -> Labels {
    name.iter().cloned().chain([label.to_vec()]).collect()
}

/// A name before the wildcard's or next closer name that is to be covered: from one record's name to the next.
struct Span {
    from: Labels,
    to: Labels,
}

impl Span {
    fn covers(&self, name: &Labels) -> bool {
        // The last record of a chain names the apex.
        let last = self.to <= self.from;
        self.from < *name && (*name < self.to || (last && name.starts_with(&self.to)))
    }
}

/// An NSEC3 record: its own hash and the next one.
struct Hashes {
    zone: Labels,
    iterations: u16,
    salt: Vec<u8>,
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Hashes {
    fn read(owner: &str, data: &[u8]) -> Option<Self> {
        let all = labels(owner);
        let (own, zone) = all.split_last()?;
        let iterations = u16::from_be_bytes([*data.get(2)?, *data.get(3)?]);
        let salt = data.get(5..5 + usize::from(*data.get(4)?))?;
        let next = &data[5 + salt.len()..];
        let to = next.get(1..1 + usize::from(*next.first()?))?.to_vec();
        let digit = |&it: &u8| match it {
            b'0'..=b'9' => Some(it - b'0'),
            b'a'..=b'v' => Some(it - b'a' + 10),
            _ => None,
        };
        let digits = own.iter().map(digit).collect::<Option<Vec<u8>>>()?;
        let bits = |n: usize| digits[n / 5] >> (4 - n % 5) & 1;
        let from =
            (0..digits.len() * 5 / 8).map(|n| (0..8).fold(0, |octet, bit| octet << 1 | bits(8 * n + bit)));
        Some(Self { zone: zone.to_vec(), iterations, salt: salt.to_vec(), from: from.collect(), to })
    }

    fn hash(&self, name: &Labels) -> Vec<u8> {
        let mut wire = vec![];
        for label in name.iter().rev() {
            wire.push(label.len() as u8);
            wire.extend_from_slice(label);
        }
        wire.push(0);
        for _ in 0..=self.iterations {
            wire.extend_from_slice(&self.salt);
            wire = Sha1::digest(&wire).to_vec();
        }
        wire
    }

    fn matches(&self, name: &Labels) -> bool {
        name.starts_with(&self.zone) && self.hash(name) == self.from
    }

    fn covers(&self, name: &Labels) -> bool {
        let hash = self.hash(name);
        let (after, before) = (self.from < hash, hash < self.to);
        let last = self.to <= self.from;
        name.starts_with(&self.zone) && if last { after || before } else { after && before }
    }
}

/// What a reply proves with.
struct Proofs {
    spans: Vec<Span>,
    hashes: Vec<Hashes>,
}

impl Proofs {
    fn of(reply: &Message) -> Self {
        let of = |rtype| reply.sections[AUTHORITY].iter().filter(move |it| it.rtype == rtype);
        let span =
            |owner: &str, data: &[u8]| Some(Span { from: labels(owner), to: labels(&name_at(data, 0)?.0) });
        Self {
            spans: of(NSEC).filter_map(|it| span(&it.owner, &it.data)).collect(),
            hashes: of(NSEC3).filter_map(|it| Hashes::read(&it.owner, &it.data)).collect(),
        }
    }

    fn covers(&self, name: &Labels) -> bool {
        self.spans.iter().any(|it| it.covers(name)) || self.hashes.iter().any(|it| it.covers(name))
    }

    /// That there is no such name, and no wildcard for it.
    fn no_name(&self, name: &Labels) -> Result<(), String> {
        if let Some(span) = self.spans.iter().find(|it| it.covers(name)) {
            if span.to.starts_with(name) {
                return Err("there are names below the one that is denied".into());
            }
            let common = |other: &Labels| name.iter().zip(other).take_while(|(a, b)| a == b).count();
            let encloser = name[..common(&span.from).max(common(&span.to))].to_vec();
            let wildcard = below(&encloser, b"*");
            return if self.spans.iter().any(|it| it.covers(&wildcard)) {
                Ok(())
            } else {
                Err("no NSEC record denies the wildcard".into())
            };
        }
        if self.hashes.is_empty() {
            return Err("no NSEC record denies the name".into());
        }
        let encloser = (0..name.len()).rev().find(|&count| {
            let name = name[..count].to_vec();
            self.hashes.iter().any(|it| it.matches(&name))
        });
        let Some(encloser) = encloser else { return Err("no NSEC3 record is a closest encloser's".into()) };
        if !self.covers(&name[..=encloser].to_vec()) {
            return Err("no NSEC3 record denies the next closer name".into());
        }
        if !self.covers(&below(&name[..encloser].to_vec(), b"*")) {
            return Err("no NSEC3 record denies the wildcard".into());
        }
        Ok(())
    }
}

impl Proofs {
    /// That a name, or the wildcard for it, is there without the type that was asked for, or that nothing needs to be there
    /// for being opted out. Which types a record has is compared with peers.
    fn no_type(&self, name: &Labels) -> Result<(), String> {
        // A name that is only above others is denied by the record that leads to them.
        let there = |name: &Labels| {
            self.spans.iter().any(|it| it.from == *name || (it.covers(name) && it.to.starts_with(name)))
        };
        let wildcard = self.spans.iter().find(|it| it.covers(name)).map(|span| {
            let common = |other: &Labels| name.iter().zip(other).take_while(|(a, b)| a == b).count();
            below(&name[..common(&span.from).max(common(&span.to))].to_vec(), b"*")
        });
        let matched = |name: &Labels| self.hashes.iter().any(|it| it.matches(name));
        let encloser = (0..name.len()).rev().find(|&count| matched(&name[..count].to_vec()));
        let hashed = matched(name) || encloser.is_some_and(|count| self.covers(&name[..=count].to_vec()));
        if there(name) || wildcard.is_some_and(|it| there(&it)) || hashed {
            Ok(())
        } else {
            Err("no record is that of the name or of its wildcard".into())
        }
    }
}

/// Checks a whole reply to a question for `name`: where it is signed, what a wildcard answered has the proof that the name
/// is not there (RFC 4035 section 5.3.4), and so have NXDOMAIN and NODATA.
pub fn check(reply: &Message, name: &str) -> Result<(), String> {
    let proofs = Proofs::of(reply);
    for signature in reply.sections[ANSWER].iter().filter(|it| it.covers().is_some()) {
        let owner = labels(&signature.owner);
        let signed = usize::from(signature.data[3]);
        let star = owner.last().is_some_and(|label| label == b"*");
        if signed < owner.len() - usize::from(star) && !proofs.covers(&owner[..=signed].to_vec()) {
            return Err(format!("{} is from a wildcard, but not proven to be", signature.owner));
        }
    }
    let authority = &reply.sections[AUTHORITY];
    // For class ANY there is no SOA record; then an alias might have led into a zone that is not signed.
    let plain = reply.sections[ANSWER].is_empty() && authority.iter().all(|it| it.rtype != SOA);
    let signed = authority.iter().any(|it| it.covers() == Some(SOA) || (plain && it.covers().is_some()));
    let negative =
        reply.rcode == NXDOMAIN || (reply.rcode == NOERROR && authority.iter().any(|it| it.rtype == SOA));
    if !negative || !signed {
        return Ok(());
    }
    let mut name = name.to_owned();
    let mut steps = 0;
    while let Some(alias) = reply.sections[ANSWER].iter().find(|it| it.rtype == CNAME && it.owner == name) {
        name = alias.name().to_owned();
        steps += 1;
        if steps > 100 {
            return Err("a loop of aliases that ends".into());
        }
    }
    if reply.rcode == NXDOMAIN { proofs.no_name(&labels(&name)) } else { proofs.no_type(&labels(&name)) }
}

#[test]
fn proofs_are_told_from_what_is_none() {
    let span = |from: &str, to: &str| Span { from: labels(from), to: labels(to) };
    let proofs = |spans| Proofs { spans, hashes: vec![] };
    let both = proofs(vec![span("z.", "b.z."), span("b.z.", "d.z.")]);
    assert!(both.no_name(&labels("c.z.")).is_ok());
    assert!(both.no_name(&labels("x.b.z.")).is_ok(), "one record for name and wildcard");
    assert!(proofs(vec![span("b.z.", "d.z.")]).no_name(&labels("c.z.")).is_err(), "nor that below z");
    assert!(proofs(vec![span("z.", "b.z.")]).no_name(&labels("c.z.")).is_err(), "the name");
    assert!(proofs(vec![span("z.", "x.c.z.")]).no_name(&labels("c.z.")).is_err(), "names below");
    let last = proofs(vec![span("d.z.", "z."), span("z.", "b.z.")]);
    assert!(last.no_name(&labels("e.z.")).is_ok(), "the end of the chain");
    assert!(last.no_name(&labels("e.zz.")).is_err(), "another zone");
    let star = proofs(vec![span("z.", "*.z."), span("*.z.", "b.z."), span("b.z.", "x.d.z.")]);
    for name in ["b.z.", "c.z.", "d.z."] {
        assert!(star.no_type(&labels(name)).is_ok(), "{name}: the name, a wildcard, above others");
    }
    assert!(both.no_type(&labels("c.z.")).is_err(), "no wildcard");
    // RFC 5155 appendix B.1: a.c.x.w.example, with the closest encloser x.w.example.
    let hashes = |own: &str, next: &str| {
        let next = Hashes::read(&format!("{next}.example."), &[1, 1, 0, 12, 4, 0xaa, 0xbb, 0xcc, 0xdd, 0]);
        let mut data = vec![1, 1, 0, 12, 4, 0xaa, 0xbb, 0xcc, 0xdd, 20];
        data.extend(next.expect("a hash").from);
        Hashes::read(&format!("{own}.example."), &data).expect("a record")
    };
    let of = |all: &[(&str, &str)]| Proofs {
        spans: vec![],
        hashes: all.iter().map(|(own, next)| hashes(own, next)).collect(),
    };
    let all = [
        ("0p9mhaveqvm6t7vbl5lop2u3t2rp3tom", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"),
        ("b4um86eghhds6nea196smvmlo4ors995", "gjeqe526plbf1g8mklp59enfd789njgi"),
        ("35mthgpgcu1qg68fab165klnsnk3dpvl", "b4um86eghhds6nea196smvmlo4ors995"),
    ];
    let name = labels("a.c.x.w.example.");
    assert_eq!(of(&all).no_name(&name), Ok(()));
    for without in 0..3 {
        let mut some = all.to_vec();
        some.remove(without);
        assert!(of(&some).no_name(&name).is_err(), "without {without}");
    }
}
