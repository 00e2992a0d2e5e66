//! What is answered to what, rule by rule; the comparison with NSD asks the same at random.

mod common;

use common::{Ask, Reply, answer, ask, file, server};
use dns::{Transport, Zones};

const A: u16 = 1;
const NS: u16 = 2;
const CNAME: u16 = 5;
const SOA: u16 = 6;
const MX: u16 = 15;
const TXT: u16 = 16;
const SRV: u16 = 33;
const DS: u16 = 43;
const ANY: u16 = 255;

fn example() -> Zones {
    server(&[("example.com", &file("root/zones/example.com.zone"))])
}

fn traps() -> Zones {
    server(&[
        ("traps.test", &file("tests/zones/traps.test.zone")),
        ("child.traps.test", &file("tests/zones/child.traps.test.zone")),
        ("other.test", &file("tests/zones/other.test.zone")),
    ])
}

fn owners(reply: &Reply, section: usize) -> Vec<&str> {
    reply.sections[section].iter().map(|record| record.owner.as_str()).collect()
}

#[test]
fn an_answer_brings_the_zones_servers_and_their_addresses() {
    let reply = ask(&example(), &Ask::new("mail.example.com.", A));
    assert!(reply.authoritative() && reply.rcode() == 0 && !reply.truncated());
    assert_eq!(reply.lines(0), ["mail.example.com. 1 c0000219"]);
    assert_eq!(reply.sections[1].len(), 3);
    assert_eq!(owners(&reply, 2).len(), 4);
}

#[test]
fn the_question_comes_back_in_its_own_case() {
    let reply = ask(&example(), &Ask::new("MaIl.eXaMpLe.CoM.", A));
    assert!(reply.question.starts_with(b"\x04MaIl\x07eXaMpLe\x03CoM\x00"));
    assert_eq!(reply.lines(0), ["mail.example.com. 1 c0000219"]);
}

#[test]
fn what_is_not_there_is_said_with_the_smaller_time_of_the_soa() {
    let zones = example();
    for (name, rtype, rcode) in [("nothing", A, 3), ("mail", TXT, 0), ("_tcp", A, 0), ("prod.apps", A, 0)] {
        let reply = ask(&zones, &Ask::new(&format!("{name}.example.com."), rtype));
        assert_eq!((reply.rcode(), reply.authoritative()), (rcode, true), "{name}");
        let soa = reply.sections[1].iter().next().expect("an SOA record");
        assert_eq!((soa.rtype, soa.ttl), (SOA, 600), "{name}");
    }
}

#[test]
fn wildcards_answer_only_where_nothing_else_is() {
    let zones = example();
    let addresses = |name: &str| ask(&zones, &Ask::new(&format!("{name}.example.com."), A)).lines(0);
    assert_eq!(addresses("x.apps"), ["x.apps.example.com. 1 c000025a"]);
    assert_eq!(addresses("a.b.apps"), ["a.b.apps.example.com. 1 c000025a"]);
    assert_eq!(addresses("*.apps"), ["*.apps.example.com. 1 c000025a"]);
    assert!(addresses("x.prod.apps").is_empty(), "an empty non-terminal is the closest encloser");
    assert_eq!(ask(&zones, &Ask::new("x.prod.apps.example.com.", A)).rcode(), 3);
    assert_eq!(ask(&zones, &Ask::new("x.apps.example.com.", SRV)).rcode(), 0);
}

#[test]
fn aliases_are_followed_within_and_across_zones() {
    let zones = traps();
    let chain = |name: &str| {
        let reply = ask(&zones, &Ask::new(&format!("{name}.traps.test."), A).edns(1232));
        (reply.rcode(), owners(&reply, 0).len())
    };
    assert_eq!(chain("c1"), (0, 4));
    assert_eq!(chain("cother2"), (0, 3));
    assert_eq!(chain("cback"), (0, 3));
    assert_eq!(chain("cchild"), (0, 2));
    assert_eq!(chain("cout"), (0, 1));
    assert_eq!(chain("cnx"), (3, 1));
    assert_eq!(chain("cwild"), (0, 2));
    assert_eq!(chain("l1"), (0, 3), "a loop is said once");
    assert_eq!(chain("x.loop"), (0, 2), "also a wildcard's");
}

#[test]
fn a_loop_that_a_dname_leads_into_is_said_once() {
    let zone = "$TTL 60\n@ SOA ns h 1 2 3 4 5\n NS ns\nns A 192.0.2.1\ndn DNAME to\nself.to CNAME self.to\n\
                one.to CNAME two.to\ntwo.to CNAME one.to\n";
    let zones = server(&[("l.test", zone)]);
    for (name, records) in [("self", 3), ("one", 4), ("two", 4)] {
        let packet = Ask::new(&format!("{name}.dn.l.test."), A).packet();
        let mut out = [0; 512];
        zones.answer(&packet, Transport::Udp, &mut out).expect("a reply");
        assert_eq!(u16::from_be_bytes([out[6], out[7]]), records, "{name}");
    }
}

#[test]
fn delegations_are_referred_with_their_glue() {
    let zones = example();
    let reply = ask(&zones, &Ask::new("www.lab.example.com.", A));
    assert!(!reply.authoritative() && reply.rcode() == 0 && reply.sections[0].is_empty());
    assert_eq!(owners(&reply, 1), ["lab.example.com."; 3]);
    assert_eq!(reply.sections[2].len(), 5);
    let at_cut = ask(&zones, &Ask::new("lab.example.com.", NS));
    assert!(!at_cut.authoritative() && at_cut.sections[0].is_empty());
    let ds = ask(&zones, &Ask::new("lab.example.com.", DS));
    assert!(ds.authoritative() && ds.sections[0].len() == 1, "the parent has the DS records");
    let none = ask(&zones, &Ask::new("partner.example.com.", DS));
    assert!(none.authoritative() && none.sections[0].is_empty() && none.lines(1)[0].contains(" 6 "));
}

#[test]
fn glue_that_a_delegation_needs_comes_before_other_addresses() {
    let mut zone = String::from("$TTL 60\n@ SOA ns h 1 2 3 4 5\n NS ns\nns A 192.0.2.1\n");
    for n in 0..8 {
        zone += &format!("cut NS a{n}\na{n} A 192.0.2.{n}\na{n} AAAA 2001:db8::{n}\n");
    }
    zone += "cut NS z.cut\nz.cut A 198.51.100.1\nz.cut AAAA 2001:db8:100::1\n";
    let reply = ask(&server(&[("g.test", &zone)]), &Ask::new("www.cut.g.test.", A));
    assert!(!reply.truncated(), "what is required fits: {reply:?}");
    let of = |owner: &str| owners(&reply, 2).iter().filter(|&&it| it == owner).count();
    assert_eq!(of("z.cut.g.test."), 2, "RFC 9471 section 3: {reply:?}");
    let all = (0..8).map(|n| of(&format!("a{n}.g.test."))).sum::<usize>();
    assert!((1..16).contains(&all), "the rest is what fits, which is not all: {reply:?}");
}

#[test]
fn the_longest_zone_answers_but_the_parent_has_its_ds() {
    let zones = traps();
    let child = ask(&zones, &Ask::new("www.child.traps.test.", A));
    assert!(child.authoritative() && child.sections[0].len() == 1);
    let ds = ask(&zones, &Ask::new("child.traps.test.", DS));
    assert!(ds.authoritative() && ds.sections[0].len() == 1);
    let top = ask(&zones, &Ask::new("traps.test.", DS));
    assert!(top.authoritative() && top.sections[0].is_empty());
}

#[test]
fn names_below_a_dname_are_rewritten() {
    let zones = traps();
    let reply = ask(&zones, &Ask::new("x.y.dn.traps.test.", A).edns(1232));
    assert_eq!(owners(&reply, 0), ["dn.traps.test.", "x.y.dn.traps.test.", "x.y.target.traps.test."]);
    assert_eq!(ask(&zones, &Ask::new("dn.traps.test.", A)).sections[0].len(), 0, "not the name itself");
    let long = format!("{}.dlong.traps.test.", "x".repeat(63));
    assert_eq!(ask(&zones, &Ask::new(&long, A)).rcode(), 6);
    let only = ask(&zones, &Ask::new("x.y.dn.traps.test.", CNAME));
    assert_eq!(only.sections[0].len(), 2);
}

#[test]
fn additional_data_comes_once_and_not_from_below_a_delegation() {
    let zones = traps();
    let mx = ask(&zones, &Ask::new("twice.traps.test.", MX).edns(1232));
    assert_eq!(owners(&mx, 2).iter().filter(|owner| **owner == "mail.traps.test.").count(), 3);
    let apex = ask(&zones, &Ask::new("traps.test.", MX).edns(1232));
    assert!(!owners(&apex, 2).contains(&"inside.deleg.traps.test."));
    assert!(owners(&apex, 2).contains(&"wild.card.mx.traps.test."), "a wildcard's addresses");
}

#[test]
fn a_question_for_any_gets_one_rrset() {
    let zones = traps();
    assert_eq!(ask(&zones, &Ask::new("any1.traps.test.", ANY)).lines(0).len(), 1);
    assert!(ask(&zones, &Ask::new("any1.traps.test.", ANY)).lines(0)[0].contains(" 28 "));
}

#[test]
fn what_does_not_fit_is_truncated_and_tcp_has_it() {
    let zones = traps();
    let question = Ask::new("big.traps.test.", TXT);
    assert!(ask(&zones, &question).truncated());
    assert!(ask(&zones, &question.clone().edns(100)).truncated(), "sizes below 512 count as 512");
    assert!(!ask(&zones, &question.clone().edns(1232)).truncated());
    let larger = Ask::new("bigger.traps.test.", TXT);
    assert!(ask(&zones, &larger.clone().edns(65535)).truncated(), "nothing above 1232 goes over UDP");
    let tcp = answer(&zones, &larger.packet(), Transport::Tcp).expect("a reply");
    assert!(!tcp.truncated() && tcp.sections[0].len() == 1);
}

#[test]
fn missing_glue_is_said_but_missing_extras_are_not() {
    let zones = traps();
    let referral = Ask::new("www.many.traps.test.", A);
    assert!(ask(&zones, &referral).truncated(), "the servers cannot be reached without their addresses");
    assert!(!answer(&zones, &referral.packet(), Transport::Tcp).expect("a reply").truncated());
    let extras = ask(&zones, &Ask::new("mxmany.traps.test.", MX));
    assert!(!extras.truncated());
}

#[test]
fn edns_is_answered_where_it_was_asked_for() {
    let zones = example();
    let opt = |reply: &Reply| reply.sections[2].iter().find(|record| record.rtype == 41).cloned();
    assert!(opt(&ask(&zones, &Ask::new("mail.example.com.", A))).is_none());
    let plain = opt(&ask(&zones, &Ask::new("mail.example.com.", A).edns(4096))).expect("an OPT record");
    assert_eq!((plain.class, plain.ttl), (1232, 0));
    let mut question = Ask::new("mail.example.com.", A);
    question.edns = Some((4096, 0, true, vec![]));
    assert_eq!(opt(&ask(&zones, &question)).expect("an OPT record").ttl, 0x8000, "the DO bit comes back");
    question.edns = Some((4096, 1, false, vec![]));
    let bad = ask(&zones, &question);
    assert_eq!(opt(&bad).expect("an OPT record").ttl, 0x0100_0000, "BADVERS");
    assert!(bad.sections[0].is_empty());
}

#[test]
fn what_is_not_ours_is_refused_with_its_code() {
    let zones = example();
    assert_eq!(ask(&zones, &Ask::new("example.org.", A)).rcode(), 5);
    assert_eq!(ask(&zones, &Ask::new("com.", A)).rcode(), 5);
    let mut chaos = Ask::new("example.com.", TXT);
    chaos.class = 3;
    assert_eq!(ask(&zones, &chaos).rcode(), 5);
    for (rtype, transport, rcode) in
        [(252, Transport::Tcp, 5), (252, Transport::Udp, 4), (251, Transport::Udp, 5)]
    {
        let reply = answer(&zones, &Ask::new("example.com.", rtype).packet(), transport).expect("a reply");
        assert_eq!(reply.rcode(), rcode, "{rtype}");
    }
}

#[test]
fn malformed_packets_get_a_header_or_nothing() {
    let zones = example();
    let good = Ask::new("mail.example.com.", A).edns(1232).packet();
    let changed = |at: usize, to: u8| {
        let mut packet = good.clone();
        packet[at] = to;
        answer(&zones, &packet, Transport::Udp).map(|reply| reply.rcode())
    };
    assert_eq!(answer(&zones, &good[..11], Transport::Udp), None, "shorter than a header");
    assert_eq!(changed(2, 0x80), None, "a response");
    assert_eq!(changed(2, 0x28), Some(4), "UPDATE");
    assert_eq!(changed(2, 0x20), Some(9), "NOTIFY for no zone");
    assert_eq!(changed(5, 2), Some(1), "two questions");
    assert_eq!(changed(7, 1), Some(1), "an answer");
    assert_eq!(changed(9, 1), Some(1), "an authority record");
    assert_eq!(changed(11, 2), Some(1), "two additional records of which one is missing");
    assert_eq!(changed(12, 0xc0), Some(1), "a compressed question");
    let cut = answer(&zones, &good[..20], Transport::Udp).expect("a reply");
    assert_eq!((cut.rcode(), cut.question.len()), (1, 0));
}

#[test]
fn a_buffer_that_is_too_small_gets_nothing() {
    let packet = Ask::new("mail.example.com.", A).packet();
    assert_eq!(example().answer(&packet, Transport::Udp, &mut [0; 511]), None);
    assert!(example().answer(&packet, Transport::Udp, &mut [0; 512]).is_some());
}
