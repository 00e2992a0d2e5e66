//! The same questions to this server, to NSD 4 and to Knot 3: response code, flags, all sections and OPT are equal,
//! or differ as a rule in `excuses` says, with its reason.
//!
//! `DNS_SEED` repeats a run that failed, `DNS_COUNT` asks for longer; a failure says which, and has the packet.
#![allow(missing_docs, reason = "a test, read here")]

#[path = "../common/mod.rs"]
mod common;
mod compare;
mod exchange;
mod excuses;
mod knot;
mod malformed;
mod message;
mod nsd;
mod options;
mod peer;
mod proof;
mod queries;
mod sign;
mod zones;

use common::{Ask, server};
use compare::Case;
use dns::{Transport, Zones};
use exchange::{Exchange, WINDOW};
use excuses::Whose;
use message::{Message, decode};
use queries::{Question, Questions};
use std::collections::BTreeMap;
use zones::Source;

/// How many kinds of differences are told, each with an example.
const MOST_TOLD: usize = 25;

/// All three servers with the same zones.
struct Servers<'p> {
    ours: Zones,
    nsd: Exchange<'p>,
    knot: Exchange<'p>,
    origins: Vec<String>,
    /// How often each rule was used.
    used: BTreeMap<(&'static str, bool), usize>,
    asked: usize,
    /// How the questions under way can be asked again.
    again: String,
    differences: BTreeMap<String, (usize, String)>,
}

impl Servers<'_> {
    fn answer(&self, packet: &[u8], transport: Transport) -> Option<Message> {
        let mut out = vec![0; 65535];
        let length = self.ours.answer(packet, transport, &mut out)?;
        Some(decode(&out[..length]).unwrap_or_else(|| {
            panic!(
                "our reply to {} is malformed: {}; again: {}",
                hex(packet),
                hex(&out[..length]),
                self.again
            )
        }))
    }

    /// Asks all servers, by the window, and judges. What did not fit over UDP is asked over TCP too.
    fn ask(&mut self, mut questions: Vec<Question>) {
        while !questions.is_empty() {
            let rest = questions.split_off(questions.len().min(WINDOW));
            let again = self.window(questions);
            questions = rest;
            questions.extend(again);
        }
    }

    fn window(&mut self, mut questions: Vec<Question>) -> Vec<Question> {
        for (n, question) in questions.iter_mut().enumerate() {
            question.number(((self.asked + n) % 0xfff0) as u16);
        }
        self.asked += questions.len();
        let mut again = vec![];
        for transport in [Transport::Udp, Transport::Tcp] {
            let mine: Vec<&Question> = questions.iter().filter(|it| it.transport == transport).collect();
            if mine.is_empty() {
                continue;
            }
            let packets: Vec<&[u8]> = mine.iter().map(|question| &question.packet[..]).collect();
            let for_knot: Vec<Vec<u8>> = mine.iter().map(|question| question.for_knot()).collect();
            let for_knot: Vec<&[u8]> = for_knot.iter().map(|packet| &packet[..]).collect();
            let udp = transport == Transport::Udp;
            for (peer, packets) in [(&mut self.nsd, &packets), (&mut self.knot, &for_knot)] {
                if udp { peer.send_udp(packets) } else { peer.send_tcp(packets) }
            }
            let ours: Vec<_> = packets.iter().map(|packet| self.answer(packet, transport)).collect();
            let expected: Vec<bool> = ours.iter().map(Option::is_some).collect();
            let [nsd, knot] =
                [(&mut self.nsd, &packets), (&mut self.knot, &for_knot)].map(|(peer, packets)| {
                    if udp { peer.receive_udp(packets, &expected) } else { peer.receive_tcp(packets) }
                });
            for (((question, ours), nsd), knot) in mine.into_iter().zip(ours).zip(nsd).zip(knot) {
                let theirs = |reply: Option<Vec<u8>>| {
                    let message = decode(reply.as_ref()?);
                    // NSD sends back some of a damaged packet as it was: then it has said nothing.
                    assert!(
                        message.is_some() || question.malformed,
                        "a peer's reply to {} is malformed: {}; again: {}",
                        hex(&question.packet),
                        hex(&reply?),
                        self.again
                    );
                    message
                };
                let full = if udp { self.answer(&question.packet, Transport::Tcp) } else { None };
                let (nsd, knot) = (theirs(nsd), theirs(knot));
                let case = Case { question, origins: &self.origins, ours, full, nsd, knot };
                if case.tight() && !question.malformed {
                    again.push(Question::new(question.ask.clone(), Transport::Tcp, "what did not fit"));
                }
                match case.judge() {
                    Ok(used) => used.into_iter().for_each(|(whose, name)| {
                        *self.used.entry((name, whose == Whose::Nsd)).or_default() += 1;
                    }),
                    Err(difference) => {
                        let told = self.differences.entry(difference.kind).or_default();
                        told.0 += 1;
                        if told.0 == 1 {
                            let hex = hex(&question.packet);
                            told.1 = format!(
                                "{} over {transport:?}: {:?}\n    packet: {hex}\n    again: {}\n    ours: {:?}\n    NSD: {:?}\n    \
                                 Knot: {:?}{}",
                                question.kind,
                                question.ask,
                                self.again,
                                case.ours,
                                case.nsd,
                                case.knot,
                                difference.detail,
                            );
                        }
                    }
                }
            }
        }
        again
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|it| format!("{it:02x}")).collect()
}

/// Serves zones by all three, asks, and tells.
fn with(zones: &[Source], ask: impl FnOnce(&mut Servers<'_>)) {
    let texts: Vec<(&str, &str)> = zones.iter().map(|zone| (&zone.origin[..], &zone.text[..])).collect();
    let (nsd, knot) = (
        nsd::start(zones, " hide-identity: yes\n hide-version: yes\n"),
        knot::start(zones, "    nsid: \"\"\n", "", ""),
    );
    let origin = &zones[0].origin;
    let origins = zones.iter().map(|zone| format!("{}.", zone.origin.trim_end_matches('.'))).collect();
    let mut servers = Servers {
        ours: server(&texts),
        nsd: Exchange::new(&nsd, origin),
        knot: Exchange::new(&knot, origin),
        origins,
        used: BTreeMap::new(),
        asked: 0,
        again: String::from("the same test"),
        differences: BTreeMap::new(),
    };
    ask(&mut servers);
    println!("{} questions; rules used:", servers.asked);
    for whose in [Whose::Nsd, Whose::Knot] {
        for excuse in excuses::of(whose) {
            let used = servers.used.get(&(excuse.name, whose == Whose::Nsd)).copied().unwrap_or(0);
            println!("{used:8}  {whose:?}, {}: {}", excuse.name, excuse.reason);
        }
    }
    let mut told = String::new();
    let mut differences: Vec<_> = servers.differences.iter().collect();
    differences.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    for (kind, (count, example)) in differences.iter().take(MOST_TOLD) {
        told += &format!("\n\n{count} times: {kind}\n{example}");
    }
    assert!(differences.is_empty(), "{} kinds of differences:{told}", differences.len());
}

/// Questions at random from a seed, some of them malformed.
fn random(servers: &mut Servers<'_>, zones: &[Source], seed: u64, count: usize) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    servers.again =
        format!("DNS_SEED={seed} DNS_COUNT={count} cargo test -p dns --test differential -- --exact {test}");
    println!("{}", servers.again);
    let mut questions = Questions::new(zones, &servers.ours, seed);
    let mut next = || {
        let ask = questions.ask();
        let transport = questions.transport();
        if questions.random.chance(12) {
            let (kind, packet) = malformed::damage(&mut questions.random, &ask);
            // A shorter frame is no message: the connection is closed, which has a test of its own.
            let transport = if packet.len() < 12 { Transport::Udp } else { transport };
            return Question { packet, transport, ask, malformed: true, kind };
        }
        Question::new(ask, transport, "a question")
    };
    for _ in 0..count.div_ceil(WINDOW) {
        servers.ask((0..WINDOW).map(|_| next()).collect());
    }
}

/// A fixed seed, which every run must pass alike, and a fresh one for as long as that takes little time: what nobody has
/// seen before fails too, and says how to see it again.
fn known_and_fresh(zones: &[Source], count: usize) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    with(zones, |servers| match (number("DNS_SEED"), number("DNS_COUNT")) {
        (Some(seed), asked) => random(servers, zones, seed, asked.map_or(count, |count| count as usize)),
        (None, asked) => {
            random(servers, zones, 1, count);
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
            let fresh = asked.map_or(count / 8, |count| count as usize);
            random(servers, zones, now.as_nanos() as u64 >> 8, fresh);
        }
    });
}

#[test]
fn answers_of_handmade_zones_equal_those_of_nsd_and_knot() {
    known_and_fresh(&zones::handmade(), 16_000);
}

#[test]
fn answers_of_signed_zones_equal_those_of_nsd_and_knot() {
    known_and_fresh(&zones::signed(), 16_000);
}

#[test]
fn answers_of_a_zone_of_many_names_equal_those_of_nsd_and_knot() {
    known_and_fresh(&zones::generated(), 5000);
}

#[test]
fn answers_of_the_root_zone_equal_those_of_nsd_and_knot() {
    known_and_fresh(&zones::root(), 5000);
}

#[test]
fn every_record_type_has_the_data_that_nsd_and_knot_read() {
    let zones = zones::handmade();
    let types = (1..=65).chain(99..110).chain(256..265).chain([731, 1234, 4711, 4712, 32769]);
    let types: Vec<u16> = types.filter(|&rtype| rtype != 41).collect();
    with(&zones, |servers| {
        let names = zones.iter().find(|zone| zone.origin == "types.test").expect("it is one of them").names();
        for name in names {
            let ask = |&rtype: &u16| Ask::new(&name, rtype).edns(1232);
            servers.ask(
                types.iter().map(ask).map(|ask| Question::new(ask, Transport::Udp, "each type")).collect(),
            );
        }
    });
}
