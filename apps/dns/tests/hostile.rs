//! Random text and random packets: nothing panics, every reply is well formed, and other people's decoder agrees.

mod common;

use common::{Ask, decode, file, server, thousand};
use dns::{Transport, Zones};
use domain::base::iana::Rcode;
use domain::base::{Message, ParsedName};
use domain::rdata::AllRecordData;
use proptest::prelude::*;
use std::sync::LazyLock;

static ZONES: LazyLock<Zones> = LazyLock::new(|| {
    server(&[
        ("traps.test", &file("tests/zones/traps.test.zone")),
        ("child.traps.test", &file("tests/zones/child.traps.test.zone")),
        ("other.test", &file("tests/zones/other.test.zone")),
        ("types.test", &file("tests/zones/types.test.zone")),
        ("example.com", &file("root/zones/example.com.zone")),
        ("thousand.test", &thousand(1000)),
    ])
});

/// Names that are often in the zones, and often nearly so.
fn name() -> impl Strategy<Value = String> {
    let label = prop_oneof![
        Just("www".to_string()),
        Just("mail".into()),
        Just("*".into()),
        Just("deleg".into()),
        Just("child".into()),
        Just("dn".into()),
        Just("x".into()),
        Just("y".into()),
        Just("wild".into()),
        Just("apps".into()),
        Just("many".into()),
        Just("loop".into()),
        (0..1100u32).prop_map(|n| format!("host{n}")),
        "[a-zA-Z0-9-]{1,63}",
    ];
    let origin = prop_oneof![
        Just("traps.test."),
        Just("child.traps.test."),
        Just("other.test."),
        Just("types.test."),
        Just("example.com."),
        Just("thousand.test."),
        Just("test."),
    ];
    (prop::collection::vec(label, 0..3), origin)
        .prop_map(|(labels, origin)| labels.into_iter().map(|label| label + ".").collect::<String>() + origin)
}

fn question() -> impl Strategy<Value = Ask> {
    let edns = prop::option::of((any::<u16>(), 0..2u8, any::<bool>(), Just(vec![])));
    let rtype = prop_oneof![0..70u16, 250..260u16, any::<u16>()];
    (name(), rtype, edns, any::<[u8; 2]>()).prop_map(|(name, rtype, edns, flags)| {
        let mut ask = Ask::new(&name, rtype);
        (ask.edns, ask.flags) = (edns, [flags[0] & 1, flags[1] & 0xf0]);
        ask
    })
}

/// A packet's reply, which must be well formed and within its bound.
fn check(packet: &[u8], transport: Transport) {
    let mut out = vec![0xee; 65535];
    if let Some(length) = ZONES.answer(packet, transport, &mut out) {
        assert!(transport == Transport::Tcp || length <= 1232);
        assert!(
            transport == Transport::Tcp || out[1232..].iter().all(|&byte| byte == 0xee),
            "written too far"
        );
        let reply = decode(&out[..length]).expect("a well-formed reply");
        assert_eq!(reply.id.to_be_bytes(), packet[..2]);
        assert!(reply.flags & 0x8000 != 0);
    }
}

/// Zone text that is nearly right: words that mean something, thrown together.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "@",
        "a",
        "b.c",
        "*",
        "$TTL",
        "$ORIGIN",
        "$INCLUDE",
        "3600",
        "1h",
        "IN",
        "CH",
        "A",
        "AAAA",
        "NS",
        "SOA",
        "MX",
        "TXT",
        "CNAME",
        "DNAME",
        "SRV",
        "LOC",
        "APL",
        "SVCB",
        "NSEC",
        "NSEC3",
        "RRSIG",
        "TYPE1",
        "TYPE65280",
        "\\#",
        "4",
        "0",
        "7f000001",
        "1.2.3.4",
        "::1",
        "(",
        ")",
        "\"q\"",
        "\"",
        ";",
        "\\",
        "\\065",
        "\n",
        "\n",
        "\n",
        " ",
        "\t",
        "alpn=h2",
        "key1=",
        "!1:1.2.3.4/8",
        "-",
        "N",
        "E",
        "1m",
        "AQID",
        "a.",
        ".",
        "..",
        "20200101000000",
        "HIP",
        "WKS",
        "IPSECKEY",
        "NAPTR",
        "URI",
        "CAA",
        "issue",
        "EUI48",
        "00-11-22-33-44-55",
        "NXT",
        "NSAP",
        "0x47",
    ]);
    prop::collection::vec((word, prop::sample::select(vec![" ", "", "\n", "\t"])), 0..60)
        .prop_map(|parts| parts.into_iter().map(|(word, gap)| format!("{word}{gap}")).collect())
}

fn load(text: &[u8]) {
    let zones = Zones::new(7);
    let mut left = 20;
    let _ = zones.load(&"example.com".parse().expect("a name"), "zone", &mut |_| {
        left -= 1;
        if left == 0 { Err("no more".into()) } else { Ok(text.to_vec().into()) }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_octets_are_no_zone_and_no_harm(text in prop::collection::vec(any::<u8>(), 0..400)) {
        load(&text);
    }

    #[test]
    fn words_thrown_together_are_no_harm(text in words()) {
        load(text.as_bytes());
        load(format!("$TTL 1\n@ SOA a b 1 2 3 4 5\n NS a\n{text}").as_bytes());
    }

    #[test]
    fn damaged_zones_are_no_harm(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        static TEXT: LazyLock<String> = LazyLock::new(|| file("tests/zones/types.test.zone"));
        let mut text = TEXT.clone().into_bytes();
        let place = at.index(text.len());
        text[place] = byte;
        text.truncate(cut.index(text.len()).max(place));
        load(&text);
    }

    #[test]
    fn random_packets_are_no_harm(packet in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&packet, Transport::Udp);
        check(&packet, Transport::Tcp);
    }

    #[test]
    fn questions_with_damage_are_no_harm(
        ask in question(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut packet = ask.packet();
        for (at, byte) in damage {
            let place = at.index(packet.len());
            packet[place] = byte;
        }
        if let Some(cut) = cut {
            packet.truncate(cut.index(packet.len()));
        }
        check(&packet, Transport::Udp);
        check(&packet, Transport::Tcp);
    }

    #[test]
    fn any_octets_come_back_from_text(
        strings in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..5),
        labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 1..5),
    ) {
        let escaped = |octets: &[u8]| octets.iter().map(|octet| format!("\\{octet:03}")).collect::<String>();
        let owner = labels.iter().map(|label| escaped(label)).collect::<Vec<_>>().join(".");
        let words = strings.iter().map(|string| format!("\"{}\"", escaped(string))).collect::<Vec<_>>().join(" ");
        let wire: Vec<u8> = strings.iter().flat_map(|string| [&[string.len() as u8][..], string].concat()).collect();
        let hex: String = wire.iter().map(|octet| format!("{octet:02x}")).collect();
        let text = format!("$TTL 1\n@ SOA a b 1 2 3 4 5\n NS a\n{owner} TXT {words}\n TYPE65280 \\# {} {hex}\n", wire.len());
        let zones = server(&[("example.com", &text)]);
        for rtype in [16, 65280] {
            let mut ask = Ask::new("example.com.", rtype);
            ask.name = labels.iter().flat_map(|label| [&[label.len() as u8][..], label].concat()).chain(ask.name).collect();
            let reply = common::answer(&zones, &ask.packet(), Transport::Tcp).expect("a reply");
            prop_assert_eq!(reply.sections[0].iter().map(|record| &record.data).collect::<Vec<_>>(), [&hex]);
        }
    }

    #[test]
    fn another_decoder_reads_what_ours_reads(ask in question()) {
        let mut out = vec![0; 65535];
        let length = ZONES.answer(&ask.packet(), Transport::Tcp, &mut out).expect("a reply");
        let ours = decode(&out[..length]).expect("a reply");
        let theirs = Message::from_octets(&out[..length]).expect("a message");
        prop_assert_eq!(u16::from(theirs.header().rcode().to_int()), ours.rcode());
        prop_assert!(theirs.header().qr());
        prop_assert_eq!(theirs.header().aa(), ours.authoritative());
        let (_, answer, authority, additional) = theirs.sections().expect("sections");
        for (n, section) in [answer, authority, additional].into_iter().enumerate() {
            let records: Vec<_> = section
                .limit_to::<AllRecordData<&[u8], ParsedName<&[u8]>>>()
                .map(|record| record.expect("valid data"))
                .collect();
            // Sets, since a loop of wildcards may say a record twice.
            prop_assert!(records.len() >= ours.sections[n].len());
            for record in records {
                let owner = format!("{}.", record.owner()).to_lowercase().replace("..", ".");
                let rtype = record.rtype().to_int();
                let found = ours.sections[n].iter().any(|other| {
                    other.rtype == rtype && (other.ttl == record.ttl().as_secs()) && (other.owner == owner || owner.contains('\\') || other.owner.contains('\\'))
                });
                prop_assert!(found, "{owner} {rtype} is not in {ours:?}");
            }
        }
        if theirs.header().rcode() == Rcode::NXDOMAIN {
            prop_assert_eq!(ours.sections[1].iter().filter(|record| record.rtype == 6).count(), 1);
        }
    }
}

#[test]
fn hostile_text_costs_no_more_than_its_length() {
    // Each would take minutes if anything grew with the square of its length.
    let many = 200_000;
    let head = "$TTL 1\n@ SOA a b 1 2 3 4 5\n NS a\n";
    let repeated: [(&str, String); 6] = [
        (
            "one name",
            (0..many).map(|n| format!("x A 1.{}.{}.{}\n", n >> 16, n >> 8 & 255, n & 255)).collect(),
        ),
        ("one record", "x TXT a\n".repeat(many)),
        ("types", (40_000..65_000).map(|n| format!("x TYPE{n} \\# 0\n")).collect()),
        ("parentheses", format!("x TXT {}", "( ".repeat(many))),
        ("labels", "a.".repeat(120).trim_end_matches('.').to_string() + " A 1.2.3.4\n"),
        (
            "parameters",
            format!("x SVCB 1 . {}\n", (100..6000).map(|n| format!("key{n}=a ")).collect::<String>()),
        ),
    ];
    for (what, text) in repeated {
        let zones = Zones::new(1);
        let text = format!("{head}{text}");
        let result = common::load(&zones, "example.com", &text);
        // 200,000 records of one type are more than an RRset may have; the rest is odd but right.
        assert_eq!(result.is_err(), what == "one name" || what == "parentheses", "{what}");
    }
}
