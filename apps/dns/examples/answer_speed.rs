//! How long an answer takes: `cargo run --release -p dns --example answer_speed [NAMES [FILE]]`.
//!
//! With FILE the zone is read from there, with the same names but signed, and the queries have DO; without it the zone's
//! text is written to standard error when NAMES is followed by `-`, so that it can be signed.
//!
//! Queries for a zone of 1,000 names are answered in turn, so that caches are warm but no branch is certain.

use dns::{Transport, Zones};
use std::fmt::Write;
use std::hint::black_box;
use std::time::Instant;

/// The names to ask for, by number.
type Names = fn(usize) -> String;

fn main() {
    let names: usize = std::env::args().nth(1).map_or(1000, |text| text.parse().expect("a number of names"));
    let mut text = String::from(
        "$TTL 3600\n@ SOA ns1 hostmaster 1 3600 900 604800 300\n NS ns1\n NS ns2\nns1 A 192.0.2.1\nns2 A 192.0.2.2\n\
         ns1 AAAA 2001:db8::1\nns2 AAAA 2001:db8::2\n",
    );
    for n in 0..names {
        writeln!(text, "host{n} A 10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255).expect("memory");
        if n % 10 == 0 {
            writeln!(text, "sub{n} NS ns.sub{n}\nns.sub{n} A 10.1.{}.{}", n >> 8 & 255, n & 255)
                .expect("memory");
        }
    }
    let file = std::env::args().nth(2);
    if file.as_deref() == Some("-") {
        eprint!("$ORIGIN example.com.\n{text}");
        return;
    }
    if let Some(file) = &file {
        text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
    let mut zones = Zones::new(0x1234_5678_9abc_def0);
    let origin = "example.com".parse().expect("a name");
    let start = Instant::now();
    let zone = zones.load(&origin, "example.com", &mut |_| Ok(text.as_bytes().into())).expect("a zone");
    println!("load {:>27.3?} for {} records", start.elapsed(), zone.records());
    zones.insert(zone);
    let kinds: [(&str, Names, u16, bool); 7] = [
        ("A", |n| format!("host{n}"), 1, false),
        ("A with EDNS", |n| format!("host{n}"), 1, true),
        ("no data (AAAA)", |n| format!("host{n}"), 28, true),
        ("no such name", |n| format!("none{n}"), 1, true),
        ("referral", |n| format!("www.sub{}", n / 10 * 10), 1, true),
        ("name server's A", |n| format!("ns{}", 1 + n % 2), 1, true),
        ("refused", |n| format!("host{n}.example.org."), 1, true),
    ];
    for (kind, name, qtype, edns) in kinds {
        let queries: Vec<Vec<u8>> =
            (0..names).map(|n| query(&name(n * 7919 % names), qtype, edns, file.is_some())).collect();
        let mut out = [0; 1232];
        let rounds = (2_000_000 / names).max(1);
        let mut best = f64::MAX;
        for _ in 0..5 {
            let start = Instant::now();
            for _ in 0..rounds {
                for query in &queries {
                    black_box(zones.answer(black_box(query), Transport::Udp, &mut out));
                }
            }
            best = best.min(start.elapsed().as_nanos() as f64 / (rounds * names) as f64);
        }
        let size = zones.answer(&queries[0], Transport::Udp, &mut out).expect("an answer");
        println!("{kind:<18} {best:>7.1} ns, {size} octets");
    }
}

/// A query for a name, below example.com unless it ends with a dot.
fn query(name: &str, qtype: u16, edns: bool, dnssec: bool) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    let full = if name.ends_with('.') { name.into() } else { format!("{name}.example.com.") };
    for label in full.trim_end_matches('.').split('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&qtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    if edns {
        packet.extend_from_slice(&[0, 0, 41, 4, 0xd0, 0, 0, u8::from(dnssec) << 7, 0, 0, 0]);
    }
    packet
}
