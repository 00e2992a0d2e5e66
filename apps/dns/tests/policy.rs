//! What a server decides for itself: cookies, NSID, CHAOS, ANY, NOTIFY, versions of EDNS.

mod common;

use common::{Ask, Reply, decode, load};
use dns::{Any, Asker, Cookies, Kind, Network, Networks, Policy, Transport, Zones};
use std::net::IpAddr;

const ZONE: &str = "$TTL 300\n@ SOA ns h 1 2 3 4 5\n NS ns\nns A 192.0.2.1\nmany A 192.0.2.2\n TXT t\n MX 1 ns\n\
    svc HTTPS 1 . alpn=h2\n HTTPS 2 other\n A 192.0.2.3\n AAAA 2001:db8::3\nother A 192.0.2.4\n HTTPS 0 far.example.\n\
    als SVCB 0 svc\nnull MX 0 .\n\
    u NAPTR 1 1 \"s\" \"SIP+D2U\" \"\" _sip._udp\n NAPTR 2 2 \"A\" \"SIP\" \"\" other\n NAPTR 3 3 \"u\" \"E2U\" \"!x!y!\" .\n\
    _sip._udp SRV 1 2 3 ns\n";

fn zones() -> Zones {
    let mut zones = Zones::new(7);
    zones.insert(load(&zones, "p.test", ZONE).unwrap_or_else(|errors| panic!("{errors}")));
    zones
}

/// The reply to a packet, with what is told about it.
fn respond(policy: &Policy, packet: &[u8], from: &str, transport: Transport) -> (Reply, dns::Reply, Vec<u8>) {
    let asker = Asker { transport, address: from.parse().expect("an address"), clock: || 1_000_000 };
    let mut out = vec![0; 65535];
    let reply = zones().respond(packet, &asker, policy, &mut out).expect("a reply");
    out.truncate(reply.length);
    (decode(&out).expect("well formed"), reply, out)
}

fn with_option(name: &str, code: u16, data: &[u8]) -> Ask {
    let mut ask = Ask::new(name, 1);
    let mut options = [code.to_be_bytes(), (data.len() as u16).to_be_bytes()].concat();
    options.extend_from_slice(data);
    ask.edns = Some((1232, 0, false, options));
    ask
}

/// The data of the OPT record, and the upper bits of the response code.
fn opt(reply: &Reply) -> (String, u32) {
    let opt = reply.sections[2].iter().find(|record| record.rtype == 41).expect("OPT");
    (opt.data.clone(), opt.ttl >> 24)
}

const HERE: &str = "192.0.2.9";

#[test]
fn cookies_are_made_and_taken_back() {
    let policy = Policy { cookies: Some(Cookies::new([3; 16])), ..Policy::default() };
    let first = with_option("ns.p.test.", 10, b"12345678").packet();
    let (reply, told, _) = respond(&policy, &first, HERE, Transport::Udp);
    let (data, _) = opt(&reply);
    assert!(!told.proven && data.starts_with("000a00183132333435363738") && data.len() == 56, "{data}");
    let whole: Vec<u8> =
        (8..56).step_by(2).map(|at| u8::from_str_radix(&data[at..at + 2], 16).expect("hex")).collect();
    let again = with_option("ns.p.test.", 10, &whole).packet();
    assert!(respond(&policy, &again, HERE, Transport::Udp).1.proven);
    assert!(!respond(&policy, &again, "192.0.2.10", Transport::Udp).1.proven);
    for length in [0, 7, 9, 15, 41] {
        let bad = with_option("ns.p.test.", 10, &vec![1; length]).packet();
        assert_eq!(respond(&policy, &bad, HERE, Transport::Udp).0.rcode(), 1, "{length} octets");
        assert_eq!(respond(&Policy::default(), &bad, HERE, Transport::Udp).0.rcode(), 0, "not known");
    }
}

#[test]
fn a_required_cookie_is_asked_for_over_udp_only() {
    let policy = Policy { cookies: Some(Cookies::new([3; 16])), require_cookie: true, ..Policy::default() };
    let packet = with_option("ns.p.test.", 10, b"12345678").packet();
    let (reply, told, _) = respond(&policy, &packet, HERE, Transport::Udp);
    assert_eq!((reply.rcode(), opt(&reply).1, told.rcode), (23 & 15, 1, 23));
    assert!(reply.sections[0].is_empty() && opt(&reply).0.len() == 56);
    assert_eq!(respond(&policy, &packet, HERE, Transport::Tcp).0.sections[0].len(), 1);
    let plain = Ask::new("ns.p.test.", 1).packet();
    assert_eq!(respond(&policy, &plain, HERE, Transport::Udp).0.sections[0].len(), 1);
}

#[test]
fn a_query_without_a_question_is_for_its_options() {
    let policy = Policy { cookies: Some(Cookies::new([3; 16])), ..Policy::default() };
    let mut packet =
        vec![1, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8];
    packet.extend_from_slice(b"12345678");
    let (reply, ..) = respond(&policy, &packet, HERE, Transport::Udp);
    assert_eq!((reply.rcode(), reply.question.len(), opt(&reply).0.len()), (0, 0, 56));
}

#[test]
fn versions_of_edns_that_are_not_known_are_refused() {
    let mut ask = Ask::new("ns.p.test.", 1);
    ask.edns = Some((1232, 1, true, vec![]));
    let (reply, told, _) = respond(&Policy::default(), &ask.packet(), HERE, Transport::Udp);
    assert_eq!((reply.rcode(), opt(&reply).1, told.rcode), (0, 1, 16));
    assert!(reply.sections[0].is_empty());
}

#[test]
fn nsid_and_chaos_tell_only_what_they_may() {
    let packet = with_option("ns.p.test.", 3, b"").packet();
    let policy = Policy {
        nsid: Some(b"one"[..].into()),
        identity: Some(b"me"[..].into()),
        version: Some(b"v1"[..].into()),
        ..Policy::default()
    };
    assert_eq!(opt(&respond(&policy, &packet, HERE, Transport::Udp).0).0, "000300036f6e65");
    assert_eq!(opt(&respond(&Policy::default(), &packet, HERE, Transport::Udp).0).0, "");
    for (name, text) in [
        ("id.server.", "026d65"),
        ("HostName.bind.", "026d65"),
        ("version.bind.", "027631"),
        ("version.server.", "027631"),
    ] {
        let mut ask = Ask::new(name, 16);
        ask.class = 3;
        let (reply, ..) = respond(&policy, &ask.packet(), HERE, Transport::Udp);
        let record = reply.sections[0].first().expect("a record");
        assert_eq!(
            (reply.rcode(), record.class, record.ttl, record.data.as_str()),
            (0, 3, 0, text),
            "{name}"
        );
        let (silent, ..) = respond(&Policy::default(), &ask.packet(), HERE, Transport::Udp);
        assert_eq!((silent.rcode(), silent.sections[0].len()), (5, 0), "{name}");
        ask.qtype = 1;
        assert_eq!(respond(&policy, &ask.packet(), HERE, Transport::Udp).0.rcode(), 5, "{name}");
    }
}

#[test]
fn any_is_one_set_or_all() {
    let packet = Ask::new("many.p.test.", 255).packet();
    let types = |any| {
        let policy = Policy { any, ..Policy::default() };
        let (reply, ..) = respond(&policy, &packet, HERE, Transport::Udp);
        reply.sections[0].iter().map(|record| record.rtype).collect::<Vec<_>>()
    };
    assert_eq!(types(Any::One), [1]);
    assert_eq!(types(Any::All), [1, 15, 16]);
}

#[test]
fn notifications_are_taken_for_zones_that_are_served_from_who_may() {
    let notify = |name: &str, from: &str, networks: &[&str]| {
        let mut packet = Ask::new(name, 6).packet();
        packet[2] = 0x24;
        let networks = networks.iter().map(|text| text.parse::<Network>().expect("a network")).collect();
        let policy = Policy { notify: Networks(networks), ..Policy::default() };
        let (reply, told, out) = respond(&policy, &packet, from, Transport::Udp);
        assert_eq!((out[2] & 0xf8, reply.question.len()), (0xa0, packet.len() - 12));
        (reply.rcode(), told.kind == Kind::Notify)
    };
    assert_eq!(notify("p.test.", HERE, &["192.0.2.0/24"]), (0, true));
    assert_eq!(notify("p.test.", "192.0.3.1", &["192.0.2.0/24"]), (5, false));
    assert_eq!(notify("ns.p.test.", HERE, &["0.0.0.0/0"]), (9, false));
    assert_eq!(notify("q.test.", HERE, &["0.0.0.0/0"]), (9, false));
}

#[test]
fn notifications_are_answered_with_their_flags_and_options() {
    let policy =
        Policy { notify: Networks(vec!["192.0.2.0/24".parse().expect("a network")]), ..Policy::default() };
    let respond = |packet: &[u8]| respond(&policy, packet, HERE, Transport::Udp);
    // As a primary server sends them: authoritative, maybe with EDNS and the SOA record that is new (RFC 1996 section 3.7).
    let notify = |ask: Ask| Ask { flags: [0x24, 0], ..ask }.packet();
    let (reply, ..) = respond(&notify(Ask::new("p.test.", 6)));
    assert_eq!(reply.flags, 0xa400, "an authoritative answer");
    let (reply, ..) = respond(&notify(Ask::new("elsewhere.test.", 6)));
    assert_eq!(reply.flags, 0xa009, "authoritative for nothing");
    let (reply, told, _) = respond(&notify(Ask::new("p.test.", 6).edns(4096)));
    assert_eq!(
        (reply.flags, opt(&reply)),
        (0xa400, (String::new(), 0)),
        "OPT for OPT (RFC 6891 section 6.1.1)"
    );
    assert_eq!(told.kind, Kind::Notify);
    let mut version = Ask::new("p.test.", 6);
    version.edns = Some((1232, 1, false, vec![]));
    let (reply, told, _) = respond(&notify(version));
    assert_eq!((reply.flags, opt(&reply).1, told.kind), (0xa000, 1, Kind::Error), "BADVERS");

    let with_answer = |data: &[u8]| {
        let mut packet = notify(Ask::new("p.test.", 6));
        packet[7] = 1;
        packet.extend_from_slice(&[0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 1, 0, 22]);
        packet.extend_from_slice(data);
        respond(&packet).1
    };
    assert_eq!(with_answer(&[0; 22]).kind, Kind::Notify, "the new SOA record");
    let cut = with_answer(&[0; 21]);
    assert_eq!((cut.kind, cut.rcode), (Kind::Error, 1), "FORMERR for a part of one");
    let mut none = notify(Ask::new("p.test.", 6));
    none[5] = 0;
    let (reply, ..) = respond(&none);
    assert_eq!(reply.flags, 0xa001, "FORMERR, in a reply to a notification");
}

#[test]
fn services_bring_what_their_targets_have() {
    let additional = |name: &str, rtype| {
        let packet = Ask::new(&format!("{name}.p.test."), rtype).edns(1232).packet();
        let (reply, ..) = respond(&Policy::default(), &packet, HERE, Transport::Udp);
        let own = |r: &&common::Record| r.rtype != 41 && r.owner != "ns.p.test.";
        let records = reply.sections[2].iter().filter(own);
        records.map(|r| format!("{} {}", r.owner.trim_end_matches(".p.test."), r.rtype)).collect::<Vec<_>>()
    };
    assert_eq!(additional("svc", 65), ["other 1", "other 65", "svc 1", "svc 28"]);
    assert_eq!(additional("als", 64), ["svc 1", "svc 28"]);
    assert_eq!(additional("u", 35), ["_sip._udp 33", "other 1"]);
    assert!(additional("null", 15).is_empty(), "no mail is no host");
}

#[test]
fn addresses_are_the_same_however_they_are_written() {
    let networks = Networks(vec!["192.0.2.0/24".parse().expect("a network")]);
    assert!(networks.contain("::ffff:192.0.2.7".parse::<IpAddr>().expect("an address")));
}
