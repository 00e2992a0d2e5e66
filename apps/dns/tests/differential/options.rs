//! What a server says about itself, and cookies: NSID, the class CHAOS, RFC 7873 and RFC 9018.
//!
//! All servers have one secret for their cookies, so that each must take what the others made.

use crate::common::{Ask, server};
use crate::exchange::Exchange;
use crate::message::{Message, decode};
use crate::zones::handmade;
use crate::{knot, nsd};
use dns::{Asker, Cookies, Policy, Transport, Zones};
use std::net::{IpAddr, Ipv4Addr};

const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";
const CLIENT: [u8; 8] = [0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57];
const COOKIE: u16 = 10;
const BADCOOKIE: u16 = 23;

/// Our settings, as NSD and Knot have them.
fn policy() -> Policy {
    let octet = |n: usize| u8::from_str_radix(&SECRET[2 * n..2 * n + 2], 16).expect("hexadecimal");
    Policy {
        nsid: Some(b"one-of-three"[..].into()),
        identity: Some(b"the-identity"[..].into()),
        version: Some(b"the-version"[..].into()),
        cookies: Some(Cookies::new(std::array::from_fn(octet))),
        ..Policy::default()
    }
}

fn clock() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    now.as_secs() as u32
}

fn ours(zones: &Zones, policy: &Policy, packet: &[u8], transport: Transport) -> Option<Message> {
    let asker = Asker { transport, address: IpAddr::V4(Ipv4Addr::LOCALHOST), clock };
    let mut out = vec![0; 65535];
    let reply = zones.respond(packet, &asker, policy, &mut out)?;
    Some(decode(&out[..reply.length]).expect("our reply is well-formed"))
}

/// A peer, and how it is asked.
fn asked(peer: &mut Exchange<'_>, packets: &[Vec<u8>], transport: Transport) -> Vec<Option<Message>> {
    let packets: Vec<&[u8]> = packets.iter().map(|packet| &packet[..]).collect();
    let mut replies = vec![];
    for window in packets.chunks(crate::exchange::WINDOW) {
        let part = match transport {
            Transport::Udp => {
                peer.send_udp(window);
                peer.receive_udp(window, &vec![true; window.len()])
            }
            Transport::Tcp => {
                peer.send_tcp(window);
                peer.receive_tcp(window)
            }
        };
        replies
            .extend(part.into_iter().map(|reply| reply.map(|it| decode(&it).expect("a well-formed reply"))));
    }
    replies
}

fn option(code: u16, data: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &(data.len() as u16).to_be_bytes(), data].concat()
}

/// The server's part of a cookie has the time in it: it is cut off, once it is seen to be there.
fn without_time(message: &Option<Message>) -> Option<Message> {
    let mut message = message.clone()?;
    if let Some(cookie) = message.opt.as_mut().and_then(|opt| opt.options.get_mut(&COOKIE)) {
        assert_eq!(cookie.len(), 24, "a cookie of RFC 9018 has 24 octets");
        assert_eq!(cookie[8..12], [1, 0, 0, 0], "version 1");
        cookie.truncate(12);
    }
    Some(message)
}

fn cookie(message: &Option<Message>) -> Vec<u8> {
    let opt = message.as_ref().and_then(|it| it.opt.as_ref()).expect("a reply with OPT");
    opt.options.get(&COOKIE).expect("a cookie").clone()
}

/// Questions with all kinds of options.
fn questions() -> Vec<Vec<u8>> {
    let mut asks = vec![];
    let names = ["mail.traps.test.", "nothing.traps.test.", "deleg.traps.test.", "elsewhere.example."];
    let cookies = [0, 1, 7, 8, 9, 15, 16, 24, 32, 40, 41, 60];
    for name in names {
        for size in [512, 1232] {
            for data in [&b""[..], b"x"] {
                asks.push((Ask::new(name, 1), size, option(3, data)));
            }
            // NSD says that a packet is malformed a hundred times a second at most.
            let valid = |length: &usize| *length == 8 || (16..=40).contains(length);
            for length in cookies.into_iter().filter(|length| name == names[0] || valid(length)) {
                let data: Vec<u8> = CLIENT.iter().copied().chain(8..60).take(length).collect();
                asks.push((Ask::new(name, 1), size, option(COOKIE, &data)));
            }
            asks.push((Ask::new(name, 1), size, [option(3, b""), option(COOKIE, &CLIENT)].concat()));
        }
    }
    for name in
        ["id.server.", "hostname.bind.", "VERSION.bind.", "version.server.", "other.bind.", "x.id.server."]
    {
        for rtype in [16, 255, 1] {
            asks.push((Ask { class: 3, ..Ask::new(name, rtype) }, 1232, vec![]));
            asks.push((Ask { class: 3, ..Ask::new(name, rtype) }, 1232, option(COOKIE, &CLIENT)));
        }
    }
    let packet = |(n, (ask, size, options)): (usize, (Ask, u16, Vec<u8>))| {
        let mut packet = Ask { edns: Some((size, 0, false, options)), ..ask }.packet();
        packet[..2].copy_from_slice(&(n as u16).to_be_bytes());
        packet
    };
    asks.into_iter().enumerate().map(packet).collect()
}

#[test]
fn identity_and_cookies_are_those_of_nsd() {
    let sources = handmade();
    let texts: Vec<(&str, &str)> = sources.iter().map(|zone| (&zone.origin[..], &zone.text[..])).collect();
    let zones = server(&texts);
    let extra = format!(
        " nsid: \"ascii_one-of-three\"\n identity: \"the-identity\"\n version: \"the-version\"\n answer-cookie: yes\n \
         cookie-secret: \"{SECRET}\"\n hide-identity: no\n hide-version: no\n"
    );
    let nsd = nsd::start(&sources, &extra);
    let mut nsd = Exchange::new(&nsd, "traps.test");
    let policy = policy();
    let questions = questions();
    let mut differences = String::new();
    for transport in [Transport::Udp, Transport::Tcp] {
        let theirs = asked(&mut nsd, &questions, transport);
        for (packet, theirs) in questions.iter().zip(theirs) {
            let ours = ours(&zones, &policy, packet, transport);
            if without_time(&ours) != without_time(&theirs) {
                differences += &format!("\n{}\n  ours {ours:?}\n  NSD {theirs:?}", packet.escape_ascii());
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");

    // Each takes what the other made.
    let query = |options: &[u8]| Ask {
        edns: Some((1232, 0, false, options.to_vec())),
        ..Ask::new("mail.traps.test.", 1)
    };
    let first = query(&option(COOKIE, &CLIENT)).packet();
    let theirs = asked(&mut nsd, std::slice::from_ref(&first), Transport::Udp).remove(0);
    let strict = Policy { require_cookie: true, ..self::policy() };
    let made = ours(&zones, &strict, &first, Transport::Udp);
    assert_eq!(made.as_ref().map(|it| it.rcode), Some(BADCOOKIE));
    let taken = ours(&zones, &strict, &query(&option(COOKIE, &cookie(&theirs))).packet(), Transport::Udp);
    assert_eq!(taken.map(|it| it.rcode), Some(0), "a cookie that NSD made");
    let mut forged = cookie(&theirs);
    forged[20] ^= 1;
    let refused = ours(&zones, &strict, &query(&option(COOKIE, &forged)).packet(), Transport::Udp);
    assert_eq!(refused.map(|it| it.rcode), Some(BADCOOKIE), "a forged cookie");
}

#[test]
fn cookies_are_asked_for_and_taken_as_knot_does() {
    let sources = handmade();
    let texts: Vec<(&str, &str)> = sources.iter().map(|zone| (&zone.origin[..], &zone.text[..])).collect();
    let zones = server(&texts);
    let module = format!("mod-cookies:\n  - id: all\n    secret: 0x{SECRET}\n    badcookie-slip: 1\n");
    let knot =
        knot::start(&sources, "    nsid: one-of-three\n", &module, "    global-module: mod-cookies/all\n");
    let mut knot = Exchange::new(&knot, "traps.test");
    let strict = Policy { require_cookie: true, ..policy() };
    let query = |name: &str, options: &[u8]| {
        Ask { edns: Some((1232, 0, false, options.to_vec())), ..Ask::new(name, 1) }.packet()
    };
    for transport in [Transport::Udp, Transport::Tcp] {
        for name in ["mail.traps.test.", "nothing.traps.test."] {
            let mut packet = query(name, &option(COOKIE, &CLIENT));
            let mut codes = vec![];
            for _ in 0..2 {
                let theirs = asked(&mut knot, &[packet.clone()], transport).remove(0);
                let ours = ours(&zones, &strict, &packet, transport);
                let code = |it: &Option<Message>| it.as_ref().map(|it| it.rcode);
                assert_eq!(code(&ours), code(&theirs), "{name} {transport:?}\n{ours:?}\n{theirs:?}");
                let stripped = |it: &Option<Message>| without_time(it).and_then(|it| it.opt);
                assert_eq!(stripped(&ours), stripped(&theirs), "{name} {transport:?}");
                codes.push(code(&ours));
                // Then with what the other made.
                packet = query(name, &option(COOKIE, &cookie(&ours)));
            }
            let first = if transport == Transport::Udp { BADCOOKIE } else { 0 };
            let code = if name.starts_with("mail") { 0 } else { 3 };
            assert_eq!(codes[1], Some(code));
            assert_eq!(codes[0], Some(if first == 0 { code } else { first }));
        }
    }
}
