//! The web server among clients that mean it no good, and among very many.

use kernlet_tests::http::{connect, exchange, is_closed, read_answer, serves, start, status, status_of};
use kernlet_tests::{User, eventually, text};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write;
use std::net::TcpStream;

const GET: &[u8] = b"GET /index.html HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn pipelined_requests_are_answered_in_order_however_they_are_cut() {
    let user = User::ordinary();
    let (_, port) = start(&user, &[], &[]);
    let paths = ["/index.html", "/style.css", "/nothing", "/index.html"];
    let requests: Vec<u8> = (0..400)
        .flat_map(|i| format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", paths[i % 4]).into_bytes())
        .collect();
    for size in [requests.len(), 1000, 37] {
        let mut stream = connect(port);
        let mut writer = stream.try_clone().expect("sockets can be shared");
        let requests = requests.clone();
        let writing = std::thread::spawn(move || {
            for part in requests.chunks(size) {
                writer.write_all(part).expect("it reads");
            }
        });
        for i in 0..400 {
            let answer = read_answer(&mut stream);
            let (wanted, length) = [(200, 292), (200, 164), (404, 14), (200, 292)][i % 4];
            assert_eq!(
                (answer.status, answer.body.len()),
                (wanted, length),
                "{i} of {size}: {}",
                answer.head
            );
        }
        writing.join().expect("all was written");
    }
    // One after the other for longer than a single request may take, always with a part of the next one.
    let mut stream = connect(port);
    stream.write_all(&GET[..10]).expect("it reads");
    let start = std::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_secs(13) {
        stream.write_all(&[&GET[10..], &GET[..10]].concat()).expect("it reads");
        assert_eq!(read_answer(&mut stream).status, 200);
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    // One octet at a time.
    let mut stream = connect(port);
    for octet in GET.repeat(2) {
        stream.write_all(&[octet]).expect("it reads");
    }
    assert_eq!((read_answer(&mut stream).status, read_answer(&mut stream).status), (200, 200));
}

#[test]
fn requests_that_could_be_read_in_two_ways_are_refused_and_the_rest_is_not_answered() {
    let user = User::ordinary();
    let (_, port) = start(&user, &[], &[]);
    let smuggled = "GET /style.css HTTP/1.1\r\nHost: a\r\n\r\n";
    for (fields, body, wanted) in [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked", "0\r\n\r\n", 400),
        ("Content-Length: 3\r\nContent-Length: 4", "abcd", 400),
        ("Transfer-Encoding: chunked, identity", "0\r\n\r\n", 400),
        ("Transfer-Encoding: gzip, chunked", "0\r\n\r\n", 501),
        ("Transfer-Encoding: chunked", "x\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", "1\r\nab\r\n0\r\n\r\n", 400),
        ("Transfer-Encoding : chunked", "0\r\n\r\n", 400),
        ("Content-Length: 70000", "abc", 413),
        ("Expect: tea", "", 417),
        ("A: b\r\n folded", "", 400),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}{smuggled}");
        let answer = exchange(port, request.as_bytes());
        assert_eq!(status_of(&answer), wanted, "{fields}: {}", text(&answer));
        assert_eq!(text(&answer).matches("HTTP/1.1 ").count(), 1, "{fields}: {}", text(&answer));
        assert!(text(&answer).contains("Connection: close"), "{fields}");
    }
    // What is well-formed is read over, and the next request answered.
    for (fields, body) in [
        ("Content-Length: 4", "GET "),
        ("Transfer-Encoding: chunked", "4;x=y\r\nGET \r\n0\r\nTrailer: z\r\n\r\n"),
    ] {
        let mut stream = connect(port);
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}{smuggled}");
        stream.write_all(request.as_bytes()).expect("it reads");
        assert_eq!(
            (read_answer(&mut stream).status, read_answer(&mut stream).body.len()),
            (200, 164),
            "{fields}"
        );
    }
}

#[test]
fn malformed_and_oversized_requests_are_told_what_is_wrong() {
    let user = User::ordinary();
    let (name, port) = start(&user, &[], &[]);
    for (request, wanted) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
        ("GET /\r\n\r\n".to_owned(), 400),
        ("nonsense\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_owned(), 505),
        ("GET /%00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(), 400),
        ("GET /a/../../b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(), 400),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(), 400),
        ("GET http://b/index.html HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".to_owned(), 200),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(10_000)), 414),
        (format!("GET /{}", "a".repeat(1 << 20)), 414),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "A: b\r\n".repeat(100_000)), 431),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}", "b".repeat(1 << 20)), 431),
    ] {
        let shown: String = request.chars().take(60).collect();
        assert_eq!(status(port, &request), wanted, "{shown:?}");
    }
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for length in 0..500usize {
        let octets: Vec<u8> = (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        let mut stream = connect(port);
        let _ = stream.write_all(&octets);
        let _ = stream.write_all(b"\r\n\r\n");
    }
    assert!(serves(port));
    assert_eq!(user.inspect(&name)["state"], "running");
}

#[test]
fn clients_that_are_slow_on_purpose_are_closed_while_others_are_served() {
    let user = User::ordinary();
    let www = user.folder("www");
    std::fs::write(www.join("index.html"), "x").expect("writable");
    std::fs::File::create(www.join("large")).expect("writable").set_len(1 << 30).expect("sparse");
    let volume = format!("{}:/www:ro", www.display());
    let (name, port) = start(&user, &["-m", "64M", "-v", &volume], &["--keep-alive", "1"]);
    // One that sends a field now and then, for ever; one that says nothing; one that stays; one that takes nothing.
    let mut slow = connect(port);
    slow.write_all(b"GET / HTTP/1.1\r\n").expect("it reads");
    let mut silent = connect(port);
    let mut idle = connect(port);
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
    assert_eq!(read_answer(&mut idle).status, 200);
    let takers: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = connect(port);
            stream.write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
            stream
        })
        .collect();
    eventually("the idle one is closed", || is_closed(&mut idle));
    let mut answer = vec![];
    eventually("the slow one is told so and closed", || {
        assert!(serves(port));
        let _ = slow.write_all(b"A: b\r\n");
        slow.set_read_timeout(Some(std::time::Duration::from_millis(100))).expect("a time can be set");
        let mut buffer = [0; 1000];
        match std::io::Read::read(&mut slow, &mut buffer) {
            Ok(0) => true,
            Ok(count) => {
                answer.extend_from_slice(&buffer[..count]);
                false
            }
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    });
    assert_eq!(status_of(&answer), 408, "{}", text(&answer));
    eventually("the silent one is closed", || is_closed(&mut silent));
    // A server that has given up on them has no descriptors for them any more.
    let pid = user.inspect(&name)["pid"].as_u64().expect("it runs");
    let open = || std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    eventually("those that take nothing are closed", || open() < 100);
    drop(takers);
    assert!(serves(port));
}

#[test]
fn resets_in_the_middle_of_answers_and_half_open_clients_leave_nothing_behind() {
    let user = User::ordinary();
    let www = user.folder("www");
    std::fs::write(www.join("index.html"), "x").expect("writable");
    std::fs::File::create(www.join("large")).expect("writable").set_len(64 << 20).expect("sparse");
    let volume = format!("{}:/www:ro", www.display());
    let (name, port) = start(&user, &["-m", "32M", "-v", &volume], &[]);
    for i in 0..300 {
        let mut stream = connect(port);
        let request: &[u8] = if i % 3 == 0 { b"GET /lar" } else { b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n" };
        stream.write_all(request).expect("it reads");
        if i % 3 == 1 {
            // Closing with something unread resets.
            let _ = std::io::Read::read(&mut stream, &mut [0; 1]);
        }
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
    let pid = user.inspect(&name)["pid"].as_u64().expect("it runs");
    let open = || std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    eventually("all are gone", || open() < 50);
    assert!(serves(port));
}

#[test]
fn ten_thousand_connections_are_served_and_many_more_are_survived() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("up to the hard limit");
    let most = limit.maximum.unwrap_or(u64::MAX);
    let count = usize::try_from(most.saturating_sub(500)).unwrap_or(usize::MAX).min(10_000);
    if count < 10_000 {
        eprintln!("the hard limit of descriptors here is {most}: {count} connections instead of 10000");
    }
    let user = User::ordinary();
    let (name, port) = start(&user, &["-m", "64M"], &[]);
    let mut streams: Vec<TcpStream> = (0..count).map(|_| connect(port)).collect();
    for round in 0..2 {
        for stream in &mut streams {
            stream.write_all(GET).expect("it reads");
        }
        for (i, stream) in streams.iter_mut().enumerate() {
            assert_eq!(read_answer(stream).status, 200, "{i} in round {round}");
        }
    }
    assert!(serves(port));
    // Half of a request each, with as much of it as may be.
    let head = [b"GET / HTTP/1.1\r\nA: ", &[b'b'; 12_000][..]].concat();
    for stream in &mut streams {
        // Those for which there is no memory are closed.
        let _ = stream.set_nonblocking(true);
        let _ = stream.write(&head);
    }
    eventually("somebody else is served", || serves(port));
    assert_eq!(user.inspect(&name)["state"], "running", "{}", user.logs(&name));
}

#[test]
fn connections_cannot_take_more_memory_than_there_is() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .expect("up to the hard limit");
    let user = User::ordinary();
    let (name, port) = start(&user, &["-m", "6M"], &[]);
    let head = [b"GET / HTTP/1.1\r\nA: ", &[b'b'; 3000][..]].concat();
    let streams: Vec<TcpStream> = (0..6000)
        .filter_map(|i| {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
            if i % 2 == 0 {
                let _ = stream.write_all(&head);
            }
            Some(stream)
        })
        .collect();
    eventually("somebody else is served", || serves(port));
    drop(streams);
    assert_eq!(user.inspect(&name)["state"], "running", "{}", user.logs(&name));
}

#[test]
fn a_server_without_descriptors_closes_idle_connections_instead_of_ending() {
    let user = User::ordinary();
    let image = kernlet_tests::image("apps/http");
    let port = kernlet_tests::free_port();
    let mut command = user.command("prlimit");
    command.args(["--nofile=80:80"]).arg(kernlet_tests::binary());
    command.args(["run", "-d", "--name", "few", "-p", &format!("{port}:80")]).arg(image);
    let started = kernlet_tests::finish(&mut command);
    assert_eq!(started.status, 0, "{started:#?}");
    eventually("the server answers", || serves(port));
    let mut streams = vec![];
    for i in 0..400 {
        let mut stream = connect(port);
        stream.write_all(GET).expect("it reads");
        assert_eq!(read_answer(&mut stream).status, 200, "{i}");
        streams.push(stream);
    }
    assert!(serves(port));
    assert!(streams.iter_mut().filter_map(|s| is_closed(s).then_some(())).count() >= 300);
    assert_eq!(user.inspect("few")["state"], "running");
}

#[test]
fn a_low_soft_limit_of_descriptors_is_no_limit_of_connections() {
    let user = User::ordinary();
    let image = kernlet_tests::image("apps/http");
    let port = kernlet_tests::free_port();
    let mut command = user.command("prlimit");
    command.args(["--nofile=64:1000"]).arg(kernlet_tests::binary());
    command.args(["run", "-d", "--name", "soft", "-p", &format!("{port}:80")]).arg(image);
    let started = kernlet_tests::finish(&mut command);
    assert_eq!(started.status, 0, "{started:#?}");
    eventually("the server answers", || serves(port));
    let mut streams: Vec<TcpStream> = (0..300).map(|_| connect(port)).collect();
    for stream in &mut streams {
        stream.write_all(GET).expect("it reads");
    }
    assert!(streams.iter_mut().all(|stream| read_answer(stream).status == 200));
}

#[test]
fn more_connections_than_allowed_take_the_place_of_idle_ones() {
    let user = User::ordinary();
    let (_, port) = start(&user, &[], &["--connections", "20"]);
    let mut streams = vec![];
    for i in 0..100 {
        let mut stream = connect(port);
        stream.write_all(GET).expect("it reads");
        assert_eq!(read_answer(&mut stream).status, 200, "{i}");
        streams.push(stream);
    }
    assert!(streams.iter_mut().filter_map(|s| is_closed(s).then_some(())).count() >= 70);
}
