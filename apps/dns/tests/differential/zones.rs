//! The zones that all servers serve: hand-made with every trap, signed, generated.

use crate::common::{file, thousand};
use crate::sign::{Denial, generic, sign};
use std::fmt::Write;

/// One zone, as a master file.
#[derive(Clone)]
pub struct Source {
    pub origin: String,
    pub text: String,
    /// How it is to be spelled for Knot.
    knot: Spelling,
}

/// Whether Knot reads a zone as it stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Same,
    /// Through ldns, which knows all types in it.
    Generic,
    /// The zone of all types, which has forms that ldns does not know.
    Types,
}

impl Source {
    fn new(origin: &str, text: impl Into<String>) -> Self {
        Self { origin: origin.into(), text: text.into(), knot: Spelling::Same }
    }

    fn spelled(mut self, knot: Spelling) -> Self {
        self.knot = knot;
        self
    }

    /// The zone as Knot reads it: the same records.
    pub fn for_knot(&self) -> String {
        match self.knot {
            Spelling::Same => self.text.clone(),
            Spelling::Generic => generic(&self.origin, &self.text),
            Spelling::Types => {
                let ours = |line: &&str| {
                    let rtype = line.split_whitespace().nth(1).unwrap_or_default();
                    !line.starts_with(' ') && crate::sign::UNKNOWN_TO_KNOT.contains(&rtype)
                };
                let unknown: Vec<&str> = self.text.lines().filter(ours).collect();
                let unknown =
                    generic(&self.origin, &format!("$TTL 1h\n@ SOA . . 1 1 1 1 1\n{}\n", unknown.join("\n")));
                let rest = self.text.lines().filter(|line| !ours(line)).collect::<Vec<_>>().join("\n");
                let rest = rest.replace("CLASS1 2h TYPE1 192", "IN 2h A 192").replace(
                    "avc     AVC     \"app-name:WOLFGANG\" \"app-class:OAM\"",
                    "avc TYPE258 \\# 32 116170702d6e616d653a574f4c4647414e470d6170702d636c6173733a4f414d",
                );
                // The generic records first, since what follows changes the origin.
                let unknown: Vec<&str> = unknown.lines().filter(|line| !line.contains("\tSOA\t")).collect();
                rest.replacen("\nns      A ", &format!("\n{}\nns      A ", unknown.join("\n")), 1)
            }
        }
    }

    /// Names to ask for: those of the records, and those that they name, each once.
    pub fn names(&self) -> Vec<String> {
        let label = |c: char| c.is_ascii_alphanumeric() || "-_*.\\".contains(c);
        let mut names = vec![format!("{}.", self.origin.trim_end_matches('.'))];
        // Of signed zones the owners alone: hashes, keys and signatures are no names to ask for, but for some.
        let signed = self.text.contains("RRSIG");
        let words =
            self.text.lines().filter(|line| !line.starts_with(';')).enumerate().flat_map(|(n, line)| {
                let hash = line.contains("NSEC3") && n % 8 != 0;
                line.split_whitespace().take(if hash {
                    0
                } else if signed {
                    1
                } else {
                    usize::MAX
                })
            });
        for word in words {
            let letters = word.chars().any(|c| c.is_ascii_alphabetic() || "*\\".contains(c));
            if letters && word.chars().all(label) && !word.starts_with("\\#") && !word.contains("..") {
                let relative = !word.ends_with('.') || word.ends_with("\\.");
                names.push(if relative {
                    format!("{word}.{}.", self.origin.trim_matches('.'))
                } else {
                    word.into()
                });
            }
        }
        names.retain_mut(|name| {
            *name = if name == ".." { ".".into() } else { name.replace("..", ".") };
            let wire = crate::common::wire_name(name);
            wire.len() <= 255 && crate::message::name_at(&wire, 0).is_some_and(|(_, end)| end == wire.len())
        });
        names.sort();
        names.dedup();
        names
    }
}

/// Zones made by hand, each for some traps; none is signed.
pub fn handmade() -> Vec<Source> {
    let zone = |origin: &str, name: &str| Source::new(origin, file(&format!("tests/zones/{name}.zone")));
    vec![
        zone("traps.test", "traps.test").spelled(Spelling::Generic),
        zone("child.traps.test", "child.traps.test"),
        zone("other.test", "other.test"),
        zone("types.test", "types.test").spelled(Spelling::Types),
        zone("svc.test", "svc.test"),
        zone("deleg.test", "deleg"),
        zone("both.deleg.test", "both.deleg"),
        zone("wild.test", "wild"),
        zone("one", "test"),
        Source::new("example.com", file("root/zones/example.com.zone")),
        Source::new("labels.test", labels()),
        Source::new("sizes.test", sizes()),
        Source::new("thousand.test", thousand(1000)),
    ]
}

/// The hand-made zones signed in each way, children beside their parents.
pub fn signed() -> Vec<Source> {
    let mut zones = vec![];
    for denial in [Denial::Nsec, Denial::Nsec3, Denial::OptOut] {
        for name in ["traps.test", "deleg", "both.deleg", "wild"] {
            let origin = format!("{}.{}", name.trim_end_matches(".test"), denial.label());
            let text = file(&format!("tests/zones/{name}.zone"));
            let text = if name == "deleg" { text + &delegations(0..150, Security::Some) } else { text };
            let mut text = sign(&origin, &text, denial);
            if name == "deleg" && denial == Denial::OptOut {
                // What opting out is for: these come and go without a change of the chain.
                text += &format!("$TTL 600\n$ORIGIN {origin}.\n");
                text += &delegations(150..300, Security::None);
            }
            zones.push(Source::new(&origin, text).spelled(Spelling::Generic));
        }
        let origin = format!("thousand.{}", denial.label());
        zones.push(Source::new(&origin, sign(&origin, &thousand(300), denial)).spelled(Spelling::Generic));
    }
    // A child that is not signed below a parent that is, and the other way round.
    zones.push(Source::new("bothplain.deleg.nsec", file("tests/zones/both.deleg.zone")));
    zones.push(Source::new("other.test", file("tests/zones/other.test.zone")));
    zones
}

/// Zones of many names.
pub fn generated() -> Vec<Source> {
    vec![Source::new("thousand.test", thousand(20_000))]
}

/// The root zone and one below it.
pub fn root() -> Vec<Source> {
    let zone = |origin: &str, name: &str| Source::new(origin, file(&format!("tests/zones/{name}.zone")));
    vec![zone(".", "root"), zone("test", "test"), zone("traps.test", "traps.test").spelled(Spelling::Generic)]
}

/// Which of the generated delegations have a DS record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Security {
    None,
    Some,
}

/// Delegations with glue; some are secure, some in names that are not there otherwise.
fn delegations(range: std::ops::Range<u32>, security: Security) -> String {
    let mut text = String::new();
    for n in range {
        let name = if n % 7 == 3 { format!("d{n}.ent{}", n / 7) } else { format!("d{n}") };
        let _ = writeln!(text, "{name} NS ns.{name}\n{name} NS ns\nns.{name} A 198.51.100.{}", n % 256);
        if security == Security::Some && n % 3 == 0 {
            let _ = writeln!(text, "{name} DS {n} 13 2 {:064x}", n + 1);
        }
    }
    text
}

/// Names as long as they get, labels as long and as many as they get, and octets that need an escape.
fn labels() -> String {
    let mut text = String::from(
        "$TTL 200\n@ SOA ns h 1 7200 3600 1209600 100\n NS ns\nns A 192.0.2.1\n*.w A 192.0.2.2\n*.w TXT \"w\"\n",
    );
    // The origin takes 13 octets, so three labels of 60 and one of 58 make 255.
    let long = |letter: &str, last: usize| {
        let label = |length: usize| letter.repeat(length);
        format!("{}.{}.{}.{}", label(last), label(60), label(60), label(60))
    };
    let full = long("f", 58);
    let _ = writeln!(text, "{full} A 192.0.2.3\n{} A 192.0.2.4", long("g", 57));
    let _ = writeln!(text, "*.{} TXT \"a wildcard whose names are full\"", long("h", 55));
    let _ = writeln!(text, "{} NS ns\ntofull CNAME {full}\nmxfull MX 1 {full}", long("i", 40));
    let _ = writeln!(text, "{} A 192.0.2.5\n*.{} A 192.0.2.6", "x".repeat(63), "y".repeat(63));
    let _ = writeln!(text, "{}z A 192.0.2.7", "a.".repeat(119));
    // A target of 199 octets: names of up to 56 octets in front still fit.
    let target = long("t", 2);
    let _ =
        writeln!(text, "over DNAME {target}\n*.{target} A 192.0.2.8\ntoover CNAME {}.over", "o".repeat(50));
    let _ =
        writeln!(text, "toolong CNAME {}.over\nupper A 192.0.2.9\nMiXeD.CaSe A 192.0.2.10", "o".repeat(60));
    let _ = writeln!(text, "tomixed CNAME mIxEd.cAsE\nUPPER TXT \"the same name\"");
    for octet in 0..=255u8 {
        let _ = writeln!(
            text,
            "\\{octet:03}.octets A 192.0.2.{octet}\n\\{octet:03}\\{octet:03}x A 192.0.2.{octet}"
        );
    }
    text
}

/// RRsets just below, at and above what messages hold, and one that no message holds.
fn sizes() -> String {
    let mut text = String::from("$TTL 100\n@ SOA ns h 1 7200 3600 1209600 50\n NS ns\nns A 192.0.2.1\n");
    let strings = |length: usize| {
        let mut left = length;
        let mut text = String::new();
        while left > 0 {
            let size = left.min(256) - 1;
            let _ = write!(text, " \"{}\"", "x".repeat(size));
            left -= size + 1;
        }
        text
    };
    // A reply is 12 octets, the name, 4, 12 for the record, the text, and 11 for OPT.
    for size in
        (380..520).step_by(3).chain((1120..1240).step_by(3)).chain([2000, 4000, 16_000, 60_000, 65_400])
    {
        let _ = writeln!(text, "t{size} TXT{}", strings(size));
    }
    for count in [20, 25, 28, 30, 31, 32, 65, 70, 75, 76, 80, 1000, 4000] {
        (0..count).for_each(|n| {
            let _ = writeln!(text, "a{count} A 10.0.{}.{}", n / 256, n % 256);
        });
    }
    (0..70).for_each(|n| {
        let _ = writeln!(text, "toomuch TXT \"{n}\"{}", strings(1000));
    });
    for (name, count) in [("ns5", 5), ("ns13", 13), ("ns25", 25), ("ns60", 60)] {
        for n in 0..count {
            let _ = writeln!(
                text,
                "{name} NS s{n}.{name}\ns{n}.{name} A 10.1.0.{n}\ns{n}.{name} AAAA 2001:db8::{n}"
            );
            let _ = writeln!(text, "x{name} NS s{n}.ns60\nmx{name} MX {n} s{n}.hosts");
        }
    }
    (0..60).for_each(|n| {
        let _ = writeln!(text, "s{n}.hosts A 10.2.0.{n}\ns{n}.hosts AAAA 2001:db8:1::{n}");
    });
    let _ = writeln!(text, "c CNAME t1198\ntoobig CNAME toomuch");
    text
}
