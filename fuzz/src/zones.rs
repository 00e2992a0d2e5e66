//! The zones that the targets serve: those of the DNS server's own tests, and two that are signed.

use dns::{Asker, Cookies, Kind, Network, Networks, Policy, Transport, Zones};
use std::net::{IpAddr, Ipv4Addr};

const FILES: [(&str, &str); 7] = [
    ("signed.test", include_str!("../zones/nsec.zone")),
    ("hashed.test", include_str!("../zones/nsec3.zone")),
    ("traps.test", include_str!("../../apps/dns/tests/zones/traps.test.zone")),
    ("child.traps.test", include_str!("../../apps/dns/tests/zones/child.traps.test.zone")),
    ("other.test", include_str!("../../apps/dns/tests/zones/other.test.zone")),
    ("types.test", include_str!("../../apps/dns/tests/zones/types.test.zone")),
    ("example.com", include_str!("../../apps/dns/root/zones/example.com.zone")),
];

/// A server of these zones, and of one with more names than compression pointers reach.
pub fn served() -> Zones {
    let mut zones = Zones::new(0x6b65_726e_6c65_7421);
    let large = large();
    for (origin, text) in FILES.into_iter().chain([("large.test", &large[..])]) {
        let origin = origin.parse().expect("the name of a zone");
        let zone = zones.load(&origin, "zone", &mut |_| Ok(text.as_bytes().into()));
        let zone = zone.unwrap_or_else(|errors| panic!("{origin}: {errors}"));
        zones.insert(zone);
    }
    zones
}

fn large() -> String {
    let mut text =
        String::from("$TTL 60\n@ SOA ns hostmaster 1 3600 900 604800 300\n NS ns\nns A 192.0.2.1\n");
    (0..1500).for_each(|n| text += &format!("huge PTR host{n}\n"));
    (0..300).for_each(|n| text += &format!("host{n} A 10.0.{}.{}\n", n >> 8, n & 255));
    text
}

/// A policy that lets the server do all that it can.
pub fn policy() -> Policy {
    let text = |text: &str| Some(text.as_bytes().into());
    Policy {
        nsid: text("fuzzed"),
        identity: text("fuzzed"),
        version: text("1"),
        cookies: Some(Cookies::new([7; 16])),
        transfer: Networks(vec![Network::ALL]),
        notify: Networks(vec![Network::ALL]),
        ..Policy::default()
    }
}

/// Has a query answered, and checks the answer; with a transfer, all of its messages. `None` when there is none.
pub fn ask(
    zones: &Zones,
    policy: &Policy,
    query: &[u8],
    transport: Transport,
    out: &mut [u8],
) -> Option<usize> {
    let asker = Asker { transport, address: IpAddr::V4(Ipv4Addr::LOCALHOST), clock: || 1_700_000_000 };
    let reply = zones.respond(query, &asker, policy, out)?;
    let limit = if transport == Transport::Tcp { 65535 } else { allowed(query) };
    if reply.kind != Kind::Transfer {
        check(query, &out[..reply.length], limit.min(out.len()));
    } else {
        assert_eq!(transport, Transport::Tcp, "a zone goes over TCP only");
        let mut transfer = zones.transfer(query, &reply).expect("what was announced comes");
        let mut messages = 0;
        while let Some(length) = transfer.next(out) {
            messages += 1;
            check(query, &out[..length], 65535);
        }
        assert!(messages > 0);
    }
    Some(reply.length)
}

/// What RFC 1035 (4.2.1) and RFC 6891 (6.2.3) allow for a reply over UDP.
fn allowed(query: &[u8]) -> usize {
    let message = domain::base::Message::from_octets(query).expect("what was answered");
    message.opt().map_or(512, |opt| usize::from(opt.udp_payload_size()).clamp(512, 1232))
}

/// Checks a reply by what anybody would read in it.
///
/// # Panics
/// It is not the reply to `query`, or none that the `domain` crate reads, or longer than `limit`.
pub fn check(query: &[u8], reply: &[u8], limit: usize) {
    use domain::base::{Message, ParsedName};
    use domain::rdata::AllRecordData;
    assert!(reply.len() <= limit, "{} octets, of which {limit} are allowed", reply.len());
    let message = Message::from_octets(reply).expect("a message");
    let header = message.header();
    assert_eq!(reply[..2], query[..2], "the id is the query's");
    assert!(header.qr(), "a reply");
    assert_eq!(header.opcode(), Message::from_octets(query).expect("what was answered").header().opcode());
    let counts = message.header_counts();
    assert!(counts.qdcount() <= 1);
    if counts.qdcount() == 1 {
        let asked = Message::from_octets(query).expect("what was answered");
        let (asked, answered) =
            (asked.first_question().expect("it asked"), message.first_question().expect("one"));
        assert_eq!(asked.qname(), answered.qname());
        assert_eq!((asked.qtype(), asked.qclass()), (answered.qtype(), answered.qclass()));
    }
    let (_, answer, authority, additional) = message.sections().expect("sections");
    let mut records = 0;
    for section in [answer, authority, additional] {
        for record in section.limit_to::<AllRecordData<&[u8], ParsedName<&[u8]>>>() {
            let record = record.unwrap_or_else(|error| panic!("a record is malformed: {error}"));
            let _ = record.data();
            records += 1;
        }
    }
    let all = [counts.ancount(), counts.nscount(), counts.arcount()].map(usize::from);
    assert!(records <= all.iter().sum::<usize>());
    // Nothing lies behind the last record.
    assert_eq!(end(reply, 1.min(counts.qdcount()), all.iter().sum()), Some(reply.len()));
}

/// Where the records of a message end, by a reader of its own.
fn end(message: &[u8], questions: u16, records: usize) -> Option<usize> {
    let name = |mut at: usize| loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            0xc0.. => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    };
    let mut at = 12;
    for _ in 0..questions {
        at = name(at)? + 4;
    }
    for _ in 0..records {
        at = name(at)?;
        let length = message.get(at + 8..at + 10)?;
        at += 10 + usize::from(u16::from_be_bytes([length[0], length[1]]));
    }
    Some(at)
}
