//! What the DNS server's options, signals and zone files do, with clients that nobody here wrote.

use kernlet_tests::{Running, User, dig, eventually, finish, free_port, image, need};
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A running server.
struct Server {
    user: User,
    name: String,
    port: u16,
    zones: PathBuf,
}

const HEAD: &str = "$TTL 60\n@ SOA ns h 1 7200 3600 1209600 60\n NS ns\nns A 192.0.2.1\n";

impl Server {
    /// Serves one zone, good.test, with `options` of the program.
    fn start(zone: &str, options: &[&str]) -> Self {
        Self::with(zone, options, &[])
    }

    /// The same with options of kernlet, too.
    fn with(zone: &str, options: &[&str], kernlet: &[&str]) -> Self {
        let user = User::ordinary();
        let zones = user.folder("zones");
        write(&zones, zone);
        let port = free_port();
        let (udp, tcp) = (format!("{port}:53/udp"), format!("{port}:53/tcp"));
        let volume = format!("{}:/zones:ro", zones.display());
        let image = image("apps/dns");
        let mut all = vec!["-p", &udp, "-p", &tcp, "-v", &volume];
        all.extend(kernlet);
        all.extend([image.to_str().expect("temporary paths are UTF-8"), "--"]);
        all.extend(options);
        let name = user.detached(all);
        let server = Self { user, name, port, zones };
        eventually("the server answers", || server.dig(&["good.test", "SOA"]).contains("status:"));
        server
    }

    fn dig(&self, arguments: &[&str]) -> String {
        dig(self.port, arguments)
    }

    fn address(&self, name: &str) -> String {
        self.dig(&["+short", name, "A"]).trim().into()
    }

    fn hang_up(&self) {
        self.user.ok(["kill", "-s", "HUP", &self.name]);
    }
}

/// Replaces the zone file at once, as editors and tools do.
fn write(zones: &Path, text: &str) {
    let new = zones.join("new");
    std::fs::write(&new, text).expect("writable");
    std::fs::rename(new, zones.join("good.test.zone")).expect("writable");
}

fn zone(last: u8) -> String {
    format!("{HEAD}www A 192.0.2.{last}\n")
}

#[test]
fn options_that_are_wrong_are_named_and_end_the_program() {
    let user = User::ordinary();
    let image = image("apps/dns");
    for (options, problem) in [
        (&["--bogus", "1"][..], "unknown option `--bogus`"),
        (&["--port", "0"], "--port: `0` is not a number from 1 to 65535"),
        (&["--metrics"], "--metrics needs a value"),
        (&["--allow-axfr", "10.0.0.0/33"], "--allow-axfr: `10.0.0.0/33` is not a list of networks"),
        (&["--any=some"], "--any: `some` is not `one` or `all`"),
        (&["--cookie-secret", "12"], "--cookie-secret: `12` is not 32 hexadecimal digits"),
        (&["--require-cookie=1"], "--require-cookie takes no value"),
        (&["--no-cookies", "--require-cookie"], "--no-cookies contradicts"),
        (&["zones"], "unknown option `zones`"),
    ] {
        let all = ["run", image.to_str().expect("UTF-8"), "--"].into_iter().chain(options.iter().copied());
        let finished = user.run(all);
        assert_eq!(finished.status, 2, "{options:?}: {}", finished.err);
        assert!(finished.err.contains(problem), "{options:?}: {}", finished.err);
    }
    let help = user.run(["run", image.to_str().expect("UTF-8"), "--", "--help"]);
    assert_eq!(help.status, 0);
    for option in ["--allow-axfr", "--rate-limit", "--metrics", "--watch"] {
        assert!(help.out.contains(option), "{}", help.out);
    }
}

#[test]
fn dig_gets_cookies_nsid_chaos_and_signatures() {
    need("ldns-signzone", "ldnsutils");
    let server = Server::start(
        &signed(),
        &["--nsid", "here", "--chaos-id", "me", "--chaos-version=v7", "--any", "all"],
    );
    let answer = server.dig(&["+nsid", "+dnssec", "ns.good.test", "A"]);
    for part in ["(\"here\")", "(good)", "RRSIG\tA 13 3 60", "flags: do"] {
        assert!(answer.contains(part), "{part}: {answer}");
    }
    let missing = server.dig(&["+dnssec", "none.good.test", "A"]);
    assert!(missing.contains("status: NXDOMAIN") && missing.contains("NSEC\t"), "{missing}");
    assert_eq!(server.dig(&["+short", "ch", "txt", "version.bind"]).trim(), "\"v7\"");
    assert_eq!(server.dig(&["+short", "ch", "txt", "id.server"]).trim(), "\"me\"");
    assert!(server.dig(&["ch", "txt", "authors.bind"]).contains("status: REFUSED"));
    assert!(server.dig(&["+edns=1", "+noednsnegotiation", "good.test", "SOA"]).contains("BADVERS"));
    let any = server.dig(&["+tcp", "good.test", "ANY"]);
    assert!(any.contains("SOA\t") && any.contains("DNSKEY\t"), "{any}");
}

/// A zone that ldns-signzone signed.
fn signed() -> String {
    let user = User::myself();
    let folder = user.folder("sign");
    std::fs::write(folder.join("zone"), format!("$ORIGIN good.test.\n{HEAD}")).expect("writable");
    let key =
        finish(Command::new("ldns-keygen").args(["-a", "ECDSAP256SHA256", "good.test"]).current_dir(&folder));
    let mut sign = Command::new("ldns-signzone");
    assert_eq!(finish(sign.args(["-f", "out", "zone", key.out.trim()]).current_dir(&folder)).status, 0);
    std::fs::read_to_string(folder.join("out")).expect("a signed zone")
}

#[test]
fn a_zone_is_transferred_to_who_may_have_it() {
    let mut text = zone(7);
    (0..3000).for_each(|n| text += &format!("host{n} TXT \"number {n}\"\n"));
    let server = Server::start(&text, &["--allow-axfr", "127.0.0.0/8,10.0.0.0/8"]);
    let whole = server.dig(&["good.test", "AXFR"]);
    assert!(whole.contains("XFR size: 3005 records (messages "), "{}", &whole[whole.len() - 300..]);
    let nothing_new = server.dig(&["+tcp", "good.test", "IXFR=1"]);
    assert!(nothing_new.contains("XFR size: 1 records"), "{nothing_new}");
    let refusing = Server::start(&text, &[]);
    assert!(refusing.dig(&["good.test", "AXFR"]).contains("Transfer failed"));
}

#[test]
fn nsd_follows_as_a_secondary() {
    need("nsd", "nsd");
    let server = Server::start(&signed(), &["--allow-axfr", "127.0.0.1"]);
    let user = User::myself();
    let (folder, port) = (user.folder("nsd"), free_port());
    let path = folder.display();
    let config = format!(
        "server:\n server-count: 1\n ip-address: 127.0.0.1\n port: {port}\n username: \"\"\n database: \"\"\n zonesdir: \"{path}\"\n \
         pidfile: \"{path}/pid\"\n xfrdfile: \"{path}/xfrd\"\n zonelistfile: \"{path}/list\"\n xfrdir: \"{path}\"\n \
         logfile: \"{path}/log\"\nremote-control:\n control-enable: no\n\
         zone:\n name: good.test\n zonefile: good\n request-xfr: AXFR 127.0.0.1@{} NOKEY\n",
        server.port
    );
    std::fs::write(folder.join("nsd.conf"), config).expect("writable");
    let nsd = ["/usr/sbin/nsd", "/usr/local/sbin/nsd"].into_iter().find(|path| Path::new(path).exists());
    let mut command = Command::new(nsd.expect("nsd"));
    let _nsd = Running::start(command.args(["-d", "-c"]).arg(folder.join("nsd.conf")));
    let ask = |port| dig(port, &["+dnssec", "+noall", "+answer", "ns.good.test", "A"]);
    eventually("NSD has the zone", || ask(port).contains("RRSIG"));
    let sorted = |text: String| {
        let mut lines: Vec<String> = text.lines().map(String::from).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(ask(port)), sorted(ask(server.port)));
}

#[test]
fn counters_are_read_by_curl() {
    need("curl", "curl");
    let metrics = free_port();
    let published = format!("{metrics}:9153/tcp");
    let server = Server::with(&zone(7), &["--metrics", "9153"], &["-p", &published]);
    let curl = |path: &str| {
        let mut command = Command::new("curl");
        finish(command.args(["-s", "-i", "-m", "10", &format!("http://127.0.0.1:{metrics}{path}")])).out
    };
    let value = |name: &str| {
        let text = curl("/metrics");
        let line =
            text.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().parse::<u64>());
        line.transpose().expect("a number").unwrap_or(0)
    };
    let before = value("dns_queries_total{type=\"MX\"}");
    for _ in 0..3 {
        server.dig(&["good.test", "MX"]);
    }
    server.dig(&["+tcp", "none.good.test", "MX"]);
    assert_eq!(value("dns_queries_total{type=\"MX\"}"), before + 4);
    assert_eq!(value("dns_transport_queries_total{transport=\"tcp\"}"), 1);
    assert_eq!(value("dns_responses_total{rcode=\"NXDOMAIN\"}"), 1);
    assert!(value("dns_zone_queries_total{zone=\"good.test.\"}") >= 4);
    assert_eq!(value("dns_zone_serial{zone=\"good.test.\"}"), 1);
    assert!(curl("/metrics").starts_with("HTTP/1.1 200 OK\r\n"));
    assert!(curl("/else").starts_with("HTTP/1.1 404 "));
    // One who says nothing does not keep others from it.
    let _silent = TcpStream::connect(("127.0.0.1", metrics)).expect("it listens");
    assert!(curl("/metrics").contains("dns_zone_records"));
}

/// Asks for an address again and again until it is told to end; which addresses came, and how many times none did.
fn keep_asking(port: u16, name: &[u8], end: &AtomicBool) -> (Vec<[u8; 4]>, usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(("127.0.0.1", port)).expect("connected");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a valid time");
    let mut query = b"\0\0\x01\0\0\x01\0\0\0\0\0\0".to_vec();
    query.extend_from_slice(name);
    query.extend_from_slice(b"\0\x01\0\x01");
    let (mut seen, mut lost, mut number) = (Vec::new(), 0, 0u16);
    let mut reply = [0; 1500];
    while !end.load(Ordering::Relaxed) {
        number = number.wrapping_add(1);
        query[..2].copy_from_slice(&number.to_be_bytes());
        socket.send(&query).expect("sent");
        match socket.recv(&mut reply) {
            Ok(length) => {
                assert_eq!(
                    (&reply[..2], reply[3] & 15, reply[7]),
                    (&query[..2], 0, 1),
                    "{:?}",
                    &reply[..length]
                );
                // The question, then a pointer, type, class, time to live and length.
                let at = query.len() + 12;
                let address = [reply[at], reply[at + 1], reply[at + 2], reply[at + 3]];
                if seen.last() != Some(&address) {
                    seen.push(address);
                }
            }
            Err(_) => lost += 1,
        }
    }
    (seen, lost)
}

#[test]
fn no_query_is_lost_or_wrong_while_a_large_zone_is_read_again() {
    let large = |last: u8| {
        let mut text = zone(last);
        (0..200_000).for_each(|n| text += &format!("host{n} A 10.0.{}.{}\n", n >> 8 & 255, n & 255));
        text
    };
    let server = Server::start(&large(7), &[]);
    let end = AtomicBool::new(false);
    let (seen, lost) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| keep_asking(server.port, b"\x03www\x04good\x04test\0", &end));
        for last in [8, 9] {
            write(&server.zones, &large(last));
            server.hang_up();
            eventually("the new zone is served", || {
                server.address("www.good.test") == format!("192.0.2.{last}")
            });
        }
        write(&server.zones, &(large(10) + "broken FOO bar\n"));
        server.hang_up();
        eventually("the broken zone is reported", || {
            server.user.logs(&server.name).contains("goes on being served")
        });
        end.store(true, Ordering::Relaxed);
        asking.join().expect("right answers")
    });
    assert_eq!(seen, [[192, 0, 2, 7], [192, 0, 2, 8], [192, 0, 2, 9]]);
    assert_eq!(lost, 0);
    let log = server.user.logs(&server.name);
    assert!(log.contains("good.test.zone:200006: unknown record type FOO"), "{log}");
}

#[test]
fn a_zone_that_does_not_fit_into_memory_is_refused_and_others_are_served() {
    let large: String = (0..300_000).map(|n| format!("host{n} A 10.0.0.1\n")).collect();
    let server = Server::with(&zone(7), &[], &["-m", "16M"]);
    for origin in ["large.test", "good.test"] {
        std::fs::write(server.zones.join("new"), zone(8) + &large).expect("writable");
        std::fs::rename(server.zones.join("new"), server.zones.join(format!("{origin}.zone")))
            .expect("writable");
        server.hang_up();
        let refused = format!("the zone {origin}. ");
        eventually("the zone is refused", || server.user.logs(&server.name).contains(&refused));
    }
    let log = server.user.logs(&server.name);
    assert!(
        log.contains("does not fit into memory") && log.contains("good.test. goes on being served"),
        "{log}"
    );
    assert_eq!(server.address("www.good.test"), "192.0.2.7");
    assert!(server.dig(&["large.test", "SOA"]).contains("status: REFUSED"));
}

#[test]
fn a_changed_zone_is_noticed_by_notify_and_by_looking() {
    let server = Server::start(&zone(7), &["--allow-notify", "127.0.0.1"]);
    write(&server.zones, &zone(8));
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(Duration::from_secs(10))).expect("a valid time");
    let notify = b"\x12\x34\x24\0\0\x01\0\0\0\0\0\0\x04good\x04test\0\0\x06\0\x01";
    socket.send_to(notify, ("127.0.0.1", server.port)).expect("sent");
    let mut reply = [0; 600];
    let length = socket.recv(&mut reply).expect("a reply");
    assert_eq!(
        &reply[..length],
        [b"\x12\x34\xa4\0", &notify[4..]].concat(),
        "opcode, AA, no error, the question"
    );
    eventually("the new zone is served", || server.address("www.good.test") == "192.0.2.8");

    let watching = Server::start(&zone(7), &["--watch", "1"]);
    write(&watching.zones, &zone(9));
    eventually("the new zone is served", || watching.address("www.good.test") == "192.0.2.9");
    std::fs::remove_file(watching.zones.join("good.test.zone")).expect("it is there");
    eventually("the zone is served no longer", || watching.dig(&["good.test"]).contains("status: REFUSED"));
}

#[test]
fn equal_replies_are_limited_over_udp_and_tcp_still_answers() {
    let server = Server::start(&zone(7), &["--rate-limit", "5", "--rate-limit-slip", "2"]);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.connect(("127.0.0.1", server.port)).expect("connected");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a valid time");
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x04good\x04test\0\0\x01\0\x01";
    for _ in 0..200 {
        socket.send(query).expect("sent");
    }
    let (mut whole, mut truncated, mut reply) = (0, 0, [0; 600]);
    while socket.recv(&mut reply).is_ok() {
        match reply[2] & 2 {
            0 => whole += 1,
            _ => truncated += 1,
        }
    }
    assert!((1..100).contains(&whole), "{whole} whole replies");
    assert!((20..=100).contains(&truncated), "{truncated} truncated ones");
    // dig shows a cookie, so that the second time it is known to be where it says.
    assert_eq!(server.dig(&["+short", "+tcp", "www.good.test", "A"]).trim(), "192.0.2.7");
}

#[test]
fn tcp_connections_are_bounded() {
    let server = Server::start(&zone(7), &["--tcp-connections", "3", "--tcp-idle", "60"]);
    let open = || {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a valid time");
        let query = b"\0\x1b\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04good\x04test\0\0\x06\0\x01";
        let query = [&((query.len() - 2) as u16).to_be_bytes()[..], &query[2..]].concat();
        let _ = stream.write_all(&query);
        let answered = stream.read(&mut [0; 600]).is_ok_and(|count| count > 0);
        (stream, answered)
    };
    let held: Vec<_> = (0..3).map(|_| open()).collect();
    assert!(held.iter().all(|(_, answered)| *answered));
    assert!(!open().1, "one too many");
    drop(held);
    eventually("there is room again", || open().1);
}
