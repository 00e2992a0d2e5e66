//! Zone transfers: every record once, the SOA record first and last, however large the zone.

mod common;

use common::{Ask, Record, Reply, decode, load};
use dns::{Asker, Kind, Network, Networks, Policy, Transport, Zones};
use std::collections::BTreeSet;

/// The sum of a zone's records, from text: as many as it has lines.
fn text(hosts: usize) -> String {
    let mut text = String::from("$TTL 60\n@ SOA ns mail 5 2 3 4 6\n NS ns\nns A 192.0.2.1\n");
    for n in 0..hosts {
        text += &format!("host{n}.sub{} TXT \"{n}\" \"{}\"\n", n % 50, "x".repeat(n % 200));
    }
    (0..2000).for_each(|n| text += &format!("large PTR target{n}.elsewhere.\n"));
    // One record of nearly all that a message holds.
    text + "huge TYPE4711 \\# 60000 " + &"ab".repeat(60000) + "\nlast MX 1 ns\n"
}

fn asked(zones: &Zones, packet: &[u8], from: &str, transport: Transport) -> (Reply, dns::Reply) {
    let networks = vec!["192.0.2.0/24".parse::<Network>().expect("a network")];
    let policy = Policy { transfer: Networks(networks), ..Policy::default() };
    let asker = Asker { transport, address: from.parse().expect("an address"), clock: || 0 };
    let mut out = vec![0; 65535];
    let reply = zones.respond(packet, &asker, &policy, &mut out).expect("a reply");
    if reply.kind == Kind::Transfer {
        // It is written message by message.
        out[..12].fill(0);
        return (decode(&out[..12]).expect("nothing"), reply);
    }
    (decode(&out[..reply.length]).expect("well formed"), reply)
}

fn zones(text: &str) -> Zones {
    let mut zones = Zones::new(3);
    zones.insert(load(&zones, "x.test", text).unwrap_or_else(|errors| panic!("{errors}")));
    zones
}

/// All records of a transfer, in messages.
fn transfer(zones: &Zones, packet: &[u8]) -> Vec<Vec<Record>> {
    let (_, reply) = asked(zones, packet, "192.0.2.5", Transport::Tcp);
    assert_eq!(reply.kind, Kind::Transfer);
    let mut transfer = zones.transfer(packet, &reply).expect("a transfer");
    let (mut messages, mut out) = (vec![], vec![0; 65535]);
    while let Some(length) = transfer.next(&mut out) {
        let reply = decode(&out[..length]).expect("well formed");
        assert!(reply.authoritative() && reply.rcode() == 0 && reply.id == 0xabcd);
        assert_eq!(reply.question.is_empty(), !messages.is_empty(), "the first has the question");
        assert!(reply.sections[1].is_empty());
        // The decoder sorts, so that the order is looked at below.
        messages.push(reply.sections[0].iter().cloned().collect());
        assert!(messages.len() < 1000);
    }
    messages
}

#[test]
fn a_transfer_brings_every_record_once() {
    for (hosts, least) in [(0, 4), (3000, 25)] {
        let zones = zones(&text(hosts));
        let messages = transfer(&zones, &Ask::new("x.test.", 252).edns(4096).packet());
        assert!(messages.len() >= least, "{} messages", messages.len());
        let all: Vec<&Record> = messages.iter().flatten().collect();
        let distinct: BTreeSet<&Record> = all.iter().copied().collect();
        let records = zones.iter().next().expect("a zone").records();
        assert_eq!((distinct.len(), records), (hosts + 2005, hosts + 2005));
        // The SOA record is there twice, in the first message and in the last.
        assert_eq!(all.len(), records + 1);
        for end in [messages.first(), messages.last()] {
            assert!(end.expect("a message").iter().any(|record| record.rtype == 6));
        }
    }
}

#[test]
fn a_zone_of_one_message_has_its_soa_first_and_last() {
    let zones = zones("@ 60 SOA ns mail 5 2 3 4 6\n 60 NS ns\nns 60 A 192.0.2.1\n");
    let packet = Ask::new("x.test.", 252).packet();
    let (_, reply) = asked(&zones, &packet, "192.0.2.5", Transport::Tcp);
    let mut transfer = zones.transfer(&packet, &reply).expect("a transfer");
    let mut out = vec![0; 65535];
    let length = transfer.next(&mut out).expect("a message");
    assert_eq!(u16::from_be_bytes([out[6], out[7]]), 4);
    // Type SOA follows the pointer of the first owner, and numbers end the last record.
    assert_eq!(out[packet.len() + 2..packet.len() + 4], [0, 6]);
    assert_eq!(out[length - 20..length], [0, 0, 0, 5, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 6]);
    assert_eq!(transfer.next(&mut out), None);
}

#[test]
fn a_transfer_is_of_the_zone_as_it_was_when_it_began() {
    let mut zones = zones(&text(3000));
    let packet = Ask::new("x.test.", 252).packet();
    let (_, reply) = asked(&zones, &packet, "192.0.2.5", Transport::Tcp);
    let mut transfer = zones.transfer(&packet, &reply).expect("a transfer");
    let mut out = vec![0; 65535];
    let mut records = 0;
    while let Some(length) = transfer.next(&mut out) {
        records += decode(&out[..length]).expect("well formed").sections[0].len();
        zones.remove(&"x.test".parse().expect("a name"));
    }
    assert_eq!(records, 5006);
}

#[test]
fn transfers_are_for_those_who_may() {
    let zones = zones(&text(0));
    let packet = Ask::new("x.test.", 252).packet();
    let rcode = |packet: &[u8], from, transport| asked(&zones, packet, from, transport).0.rcode();
    assert_eq!(rcode(&packet, "192.0.3.5", Transport::Tcp), 5);
    assert_eq!(rcode(&packet, "192.0.2.5", Transport::Udp), 4, "not over UDP");
    assert_eq!(rcode(&Ask::new("ns.x.test.", 252).packet(), "192.0.2.5", Transport::Tcp), 9);
    assert_eq!(rcode(&Ask::new("y.test.", 252).packet(), "192.0.2.5", Transport::Tcp), 9);
}

#[test]
fn an_incremental_transfer_is_whole_or_says_that_nothing_is_new() {
    let zones = zones(&text(0));
    let ixfr = |serial: u32| {
        let mut packet = Ask::new("x.test.", 251).packet();
        packet[9] = 1;
        packet.extend_from_slice(b"\xc0\x0c\0\x06\0\x01\0\0\0\0\0\x16\0\0");
        packet.extend_from_slice(&serial.to_be_bytes());
        packet.extend_from_slice(&[0; 16]);
        packet
    };
    assert!(transfer(&zones, &ixfr(4)).len() > 1);
    assert!(transfer(&zones, &ixfr(0xffff_fff0)).len() > 1, "serial numbers wrap");
    for (serial, transport) in [(5, Transport::Tcp), (6, Transport::Tcp), (4, Transport::Udp)] {
        let (reply, _) = asked(&zones, &ixfr(serial), "192.0.2.5", transport);
        let types: Vec<u16> = reply.sections[0].iter().map(|record| record.rtype).collect();
        assert_eq!((reply.rcode(), types), (0, vec![6]), "{serial}");
    }
}
