//! Options that a Linux program sets of its sockets, as seen on the host's: kept alive, broken off.

use kernlet_tests::programs::{DOORS, Server, compile, seal, source};
use kernlet_tests::{User, eventually, http};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;

/// The timer of the host's connection at this port with that peer, as /proc/net/tcp has it: which one it is (2: the other end is
/// to be asked whether it is there), and when it runs out, in hundredths of a second.
fn timer(port: u16, peer: u16) -> Option<(u32, u64)> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("Linux has it");
    let line = table.lines().find(|line| {
        let mut ends = line.split_whitespace().skip(1).map(|end| end.rsplit(':').next().unwrap_or_default());
        let mut is = |port: u16| ends.next().is_some_and(|end| end == format!("{port:04X}"));
        is(port) && is(peer)
    })?;
    let (kind, when) = line.split_whitespace().nth(5)?.split_once(':')?;
    Some((kind.parse().ok()?, u64::from_str_radix(when, 16).ok()?))
}

fn connect(port: u16) -> (TcpStream, String) {
    let stream = http::connect(port);
    let mut said = String::new();
    BufReader::new(stream.try_clone().expect("descriptors are left"))
        .read_line(&mut said)
        .expect("it speaks");
    (stream, said)
}

#[test]
fn connections_are_kept_alive_and_broken_off_as_their_options_say() {
    let program = compile("gcc", "gcc", &["-O2", "-static"], &source("by_hand/options.c"), "options");
    let image = seal(&program, &[], "options");
    for door in DOORS {
        let server = Server::start(User::ordinary(), door, &[7000], &[], &image, &[]);
        let port = server.ports[0];
        server.until("it listens", || connect(port).1.starts_with("state"));
        let (mut stream, said) = connect(port);
        // What the host measures a process may ask; in a VM the state is what is known.
        let measured = u8::from(door == "process");
        assert_eq!(said, format!("state 1 told 0 measured {measured}\n"), "{door}");
        let peer = stream.local_addr().expect("it is connected").port();
        let is_kept = || matches!(timer(port, peer), Some((2, 7000..=7700)));
        eventually("the host keeps the connection alive, by the time that was set", is_kept);
        stream.write_all(b"r").expect("it takes requests");
        let error = stream.read(&mut [0; 8]).expect_err("it is broken off");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{door}");
        let (mut stream, _) = connect(port);
        stream.write_all(b"e").expect("it takes requests");
        assert_eq!(stream.read(&mut [0; 8]).expect("it ends in order"), 0, "{door}");
    }
}
