//! The DNS server as its users meet it: dig and dnsperf, through both doors.

use kernlet_tests::{User, dig, eventually, finish, free_port, image, need};
use std::process::Command;

/// Starts the DNS server on a free port and returns instance and port.
fn start(user: &User, backend: &str, options: &[&str]) -> (String, u16) {
    let image = image("apps/dns");
    let port = free_port();
    let (udp, tcp) = (format!("{port}:53/udp"), format!("{port}:53/tcp"));
    let mut all = vec!["-b", backend, "-p", &udp, "-p", &tcp];
    all.extend(options);
    all.push(image.to_str().expect("temporary paths are UTF-8"));
    let name = user.detached(all);
    eventually("the server answers", || ready(port));
    (name, port)
}

fn ready(port: u16) -> bool {
    dig(port, &["example.com", "SOA"]).contains("status:")
}

#[test]
fn both_doors_answer_dig_with_the_sealed_example_zone() {
    for backend in ["process", "qemu"] {
        let user = User::ordinary();
        let (_, port) = start(&user, backend, &[]);
        assert_eq!(dig(port, &["+short", "host.example.com", "A"]).lines().count(), 3, "{backend}");
        assert!(dig(port, &["example.com", "MX"]).contains("flags: qr aa rd"), "{backend}");
        assert!(dig(port, &["nothing.here.example.com"]).contains("status: NXDOMAIN"), "{backend}");
        assert!(dig(port, &["example.net"]).contains("status: REFUSED"), "{backend}");
        let tcp = dig(port, &["+tcp", "example.com", "TXT"]);
        assert!(tcp.contains("status: NOERROR") && tcp.contains("(TCP)"), "{backend}: {tcp}");
    }
}

#[test]
fn a_port_that_is_published_at_several_addresses_answers_at_each() {
    let user = User::ordinary();
    let port = free_port();
    let published: Vec<String> = ["127.0.0.1", "[::1]", "127.0.0.2"]
        .iter()
        .flat_map(|a| ["udp", "tcp"].map(|p| format!("{a}:{port}:53/{p}")))
        .collect();
    let image = image("apps/dns");
    let mut all: Vec<&str> = published.iter().flat_map(|p| ["-p", p]).collect();
    all.push(image.to_str().expect("temporary paths are UTF-8"));
    let name = user.detached(all);
    for server in ["@127.0.0.1", "@::1", "@127.0.0.2"] {
        for transport in ["+notcp", "+tcp"] {
            let arguments = [server, "-p", &port.to_string(), transport, "+short", "host.example.com", "A"];
            let answered = || finish(Command::new("dig").args(arguments)).out.lines().count() == 3;
            eventually(&format!("an answer of {server} {transport}"), answered);
        }
    }
    let ports = user.inspect(&name)["ports"].as_array().map_or(0, Vec::len);
    assert_eq!(ports, published.len());
}

#[test]
fn plain_qemu_answers_dig_with_no_kernlet_around_it() {
    need("qemu-system-x86_64", "qemu-system-x86");
    let port = free_port();
    let forward = format!("user,id=n,hostfwd=udp:127.0.0.1:{port}-:53,hostfwd=tcp:127.0.0.1:{port}-:53");
    let mut command = Command::new("qemu-system-x86_64");
    command.args(["-M", "microvm", "-accel", "tcg", "-cpu", "max", "-m", "32M", "-nographic", "-no-reboot"]);
    command
        .args(["-netdev", &forward, "-device", "virtio-net-device,netdev=n", "-kernel"])
        .arg(image("apps/dns"));
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    let _qemu = kernlet_tests::Running::start(&mut command);
    eventually("the server answers", || ready(port));
    assert_eq!(dig(port, &["+short", "host.example.com", "A"]).lines().count(), 3);
    assert!(dig(port, &["+tcp", "example.com", "TXT"]).contains("status: NOERROR"));
}

#[test]
fn zones_come_from_a_volume_in_both_doors_and_a_broken_one_is_named() {
    for backend in ["process", "qemu"] {
        let user = User::ordinary();
        let zones = user.folder("zones");
        std::fs::write(zones.join("good.test.zone"), "@ 60 SOA ns h 1 2 3 4 5\n NS ns\nns A 192.0.2.7\n")
            .expect("writable");
        std::fs::write(zones.join("bad.test.zone"), "@ 60 SOA ns h 1 2 3 4 5\n NS ns\nns A 192.0.2.700\n")
            .expect("writable");
        let (name, port) = start(&user, backend, &["-v", &format!("{}:/zones:ro", zones.display())]);
        assert_eq!(dig(port, &["+short", "ns.good.test", "A"]).trim(), "192.0.2.7", "{backend}");
        assert!(dig(port, &["ns.bad.test", "A"]).contains("status: REFUSED"), "{backend}");
        let log = user.logs(&name);
        assert!(log.contains("bad.test.zone:3:"), "{backend}: {log}");
    }
}

#[test]
fn a_changed_zone_is_read_at_a_hangup() {
    let user = User::ordinary();
    let zones = user.folder("zones");
    let write = |last: u8| {
        let text = format!("@ 60 SOA ns h {last} 2 3 4 5\n NS ns\nns A 192.0.2.{last}\n");
        std::fs::write(zones.join("good.test.zone"), text).expect("writable");
    };
    write(7);
    let (name, port) = start(&user, "process", &["-v", &format!("{}:/zones", zones.display())]);
    assert_eq!(dig(port, &["+short", "ns.good.test", "A"]).trim(), "192.0.2.7");
    write(8);
    user.ok(["kill", "-s", "HUP", &name]);
    eventually("the new zone is served", || {
        dig(port, &["+short", "ns.good.test", "A"]).trim() == "192.0.2.8"
    });
    std::fs::write(zones.join("good.test.zone"), "nonsense").expect("writable");
    user.ok(["kill", "-s", "HUP", &name]);
    eventually("the broken zone is reported", || user.logs(&name).contains("goes on being served"));
    assert_eq!(dig(port, &["+short", "ns.good.test", "A"]).trim(), "192.0.2.8");
}

#[test]
fn several_queries_go_over_one_tcp_connection() {
    use std::io::{Read, Write};
    let user = User::ordinary();
    let (_, port) = start(&user, "process", &[]);
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let query = b"\0\x1d\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x06\0\x01";
    // All at once, and the last one byte by byte.
    stream.write_all(&query.repeat(9)).expect("it reads");
    for byte in query {
        stream.write_all(&[*byte]).expect("it reads");
    }
    for _ in 0..10 {
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("it answers");
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).expect("it answers");
        assert_eq!((&answer[..2], answer[3] & 15), (&[0x12, 0x34][..], 0));
    }
}

#[test]
fn malformed_packets_never_stop_the_server() {
    let user = User::ordinary();
    let (name, port) = start(&user, "process", &[]);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("there are ports");
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for length in 0..4000usize {
        let packet: Vec<u8> = (0..length % 1500)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        let _ = socket.send_to(&packet, ("127.0.0.1", port));
    }
    assert!(ready(port));
    assert_eq!(user.inspect(&name)["state"], "running");
}

#[test]
fn dnsperf_gets_an_answer_to_every_query() {
    need("dnsperf", "dnsperf");
    let user = User::ordinary();
    let (_, port) = start(&user, "process", &[]);
    let queries = user.folder("queries").join("list");
    std::fs::write(
        &queries,
        "example.com SOA\nhost.example.com A\nnothing.example.com AAAA\nexample.com MX\n",
    )
    .expect("writable");
    for mode in ["udp", "tcp"] {
        let mut command = Command::new("dnsperf");
        command.args(["-s", "127.0.0.1", "-p", &port.to_string(), "-m", mode, "-l", "2", "-d"]).arg(&queries);
        let finished = finish(&mut command);
        assert!(finished.out.contains("Queries lost:         0 "), "{mode}: {}", finished.out);
        assert!(finished.out.contains("NOERROR"), "{mode}: {}", finished.out);
    }
}

#[test]
fn an_idle_tcp_connection_is_closed() {
    use std::io::Read;
    let user = User::ordinary();
    let (_, port) = start(&user, "process", &[]);
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).expect("a valid time");
    assert_eq!(stream.read(&mut [0; 1]).expect("closed in time"), 0);
}
