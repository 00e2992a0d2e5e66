//! Debian's memcached, unmodified, as another user inside, by its text protocol.

use kernlet_tests::programs::{DOORS, Server, seal};
use kernlet_tests::{User, http, need};
use std::io::{BufRead, BufReader, Write};

#[test]
fn memcached_drops_its_privileges_and_serves_many_clients() {
    need("memcached", "memcached");
    let image = seal("memcached", &[], "memcached");
    for door in DOORS {
        let arguments = ["-u", "nobody", "-m", "32", "-t", "4"];
        let server = Server::start(User::ordinary(), door, &[11211], &[], &image, &arguments);
        let port = server.ports[0];
        let asked =
            |text: &str| kernlet_tests::text(&http::exchange(port, format!("{text}quit\r\n").as_bytes()));
        server.until("the server answers", || asked("version\r\n").starts_with("VERSION 1."));
        assert_eq!(asked("set a 5 0 5\r\nhello\r\nget a\r\n"), "STORED\r\nVALUE a 5 5\r\nhello\r\nEND\r\n");
        assert_eq!(
            asked("set n 0 0 2\r\n41\r\nincr n 1\r\ndelete n\r\nget n\r\n"),
            "STORED\r\n42\r\nDELETED\r\nEND\r\n"
        );
        let statistics = asked("stats\r\nstats settings\r\n");
        assert!(
            statistics.contains("STAT threads 4") && statistics.contains("STAT num_threads 4"),
            "{statistics}"
        );
        // A value of half a megabyte, and others until the least used are thrown out.
        let large = "x".repeat(500_000);
        let stored = asked(&format!("set large 0 0 {}\r\n{large}\r\n", large.len()));
        assert_eq!(stored, "STORED\r\n", "{}", server.log());
        assert!(asked("get large\r\n").contains(&large));
        let (clients, each) = if door == "process" { (16, 200) } else { (6, 30) };
        let threads: Vec<_> = (0..clients)
            .map(|client| {
                std::thread::spawn(move || {
                    let mut stream = http::connect(port);
                    let mut lines = BufReader::new(stream.try_clone().expect("descriptors are left")).lines();
                    let mut line = move || lines.next().expect("it goes on").expect("it is text");
                    for n in 0..each {
                        let value = format!("{client} {n}").repeat(100);
                        write!(
                            stream,
                            "set key{client} 0 0 {}\r\n{value}\r\nget key{client}\r\n",
                            value.len()
                        )
                        .expect("it takes requests");
                        assert_eq!(line(), "STORED");
                        assert!(line().starts_with(&format!("VALUE key{client} 0 ")));
                        assert!(line() == value, "each client has what it stored");
                        assert_eq!(line(), "END");
                    }
                })
            })
            .collect();
        for thread in threads {
            assert!(thread.join().is_ok(), "{door}: {}", server.log());
        }
        let (_user, status) = server.stop();
        assert_eq!(status, "0", "{door}");
    }
}
