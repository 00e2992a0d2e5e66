//! The web server as its users meet it: curl, wrk and ab, through both doors.

use kernlet_tests::http::{connect, read_answer, start, status};
use kernlet_tests::{User, eventually, finish, image, need};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

/// What curl prints.
fn curl(port: u16, path: &str, arguments: &[&str]) -> String {
    need("curl", "curl");
    let mut command = Command::new("curl");
    command.args(["-s", "--max-time", "50", "--path-as-is"]).args(arguments);
    finish(command.arg(format!("http://127.0.0.1:{port}{path}"))).out
}

/// The status that curl sees.
fn curl_status(port: u16, path: &str, arguments: &[&str]) -> String {
    curl(port, path, &[&["-o", "/dev/null", "-w", "%{http_code}"], arguments].concat())
}

fn write(folder: &Path, name: &str, contents: impl AsRef<[u8]>) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("it lies in a folder")).expect("writable");
    std::fs::write(path, contents).expect("writable");
}

#[test]
fn both_doors_serve_the_sealed_site() {
    for backend in ["process", "qemu"] {
        let user = User::ordinary();
        let (_, port) = start(&user, &["-b", backend], &[]);
        let page = curl(port, "/", &[]);
        assert!(page.contains("<h1>It works.</h1>"), "{backend}: {page}");
        assert_eq!(curl(port, "/index.html", &[]), page, "{backend}");
        assert_eq!(curl(port, "/index.html", &["-r", "0-14"]), "<!DOCTYPE html>", "{backend}");
        let several = curl(port, "/index.html", &["-r", "0-1,9-12", "-i"]);
        assert!(several.contains("206") && several.contains("multipart/byteranges"), "{backend}: {several}");
        let head = curl(port, "/style.css", &["-I"]).to_lowercase();
        assert!(head.contains("content-type: text/css; charset=utf-8\r\n"), "{backend}: {head}");
        assert_eq!(curl_status(port, "/nothing", &[]), "404", "{backend}");
        assert_eq!(curl_status(port, "/index.html/", &[]), "404", "{backend}");
        assert_eq!(curl_status(port, "/", &["-d", "x"]), "405", "{backend}");
        assert_eq!(curl_status(port, "/", &["-X", "BREW"]), "501", "{backend}");
        assert_eq!(curl_status(port, "/../etc", &[]), "400", "{backend}");
        assert_eq!(curl_status(port, "/", &["-0"]), "200", "{backend}");
        assert_eq!(
            curl_status(port, "/", &["-X", "GET", "-d", "x", "-H", "Expect: 100-continue"]),
            "200",
            "{backend}"
        );
        let tag = head
            .split("etag: ")
            .nth(1)
            .expect("there is a tag")
            .split('\r')
            .next()
            .expect("and its end")
            .to_owned();
        assert_eq!(
            curl_status(port, "/style.css", &["-H", &format!("If-None-Match: {tag}")]),
            "304",
            "{backend}"
        );
        assert_eq!(curl_status(port, "/style.css", &["-H", "If-Match: \"x\""]), "412", "{backend}");
    }
}

#[test]
fn both_doors_serve_a_volume_as_it_is_now() {
    for backend in ["process", "qemu"] {
        let user = User::ordinary();
        let www = user.folder("www");
        write(&www, "a/index.html", "index of a");
        write(&www, "page.html", "plain page");
        write(&www, "page.html.gz", "compressed page");
        write(&www, "x y&z.txt", "odd name");
        let (_, port) = start(&user, &["-b", backend, "-v", &format!("{}:/www:ro", www.display())], &[]);
        assert_eq!(curl(port, "/a/", &[]), "index of a", "{backend}");
        assert_eq!(curl(port, "/x%20y%26z.txt", &[]), "odd name", "{backend}");
        let moved = curl(port, "/a?b=c", &["-i"]);
        assert!(moved.contains("301") && moved.contains("Location: /a/?b=c\r\n"), "{backend}: {moved}");
        assert_eq!(curl_status(port, "/", &[]), "403", "{backend}");

        let plain = curl(port, "/page.html", &["-i"]);
        assert!(
            plain.ends_with("plain page") && plain.contains("Vary: Accept-Encoding"),
            "{backend}: {plain}"
        );
        let compressed = curl(port, "/page.html", &["-i", "-H", "Accept-Encoding: br, gzip"]);
        assert!(compressed.ends_with("compressed page"), "{backend}: {compressed}");
        assert!(
            compressed.contains("Content-Encoding: gzip") && compressed.contains("Vary: "),
            "{backend}: {compressed}"
        );
        assert!(compressed.contains("Content-Type: text/html"), "{backend}: {compressed}");
        let refused = curl(port, "/page.html", &["-H", "Accept-Encoding: gzip;q=0"]);
        assert_eq!(refused, "plain page", "{backend}");

        // Every kind of change is seen by the next request, however often the file was asked for before.
        let settle = || std::thread::sleep(std::time::Duration::from_millis(60));
        let is = |text: &str| {
            for _ in 0..3 {
                assert_eq!(curl(port, "/page.html", &[]), text, "{backend}");
            }
            settle();
            assert_eq!(curl(port, "/page.html", &[]), text, "{backend}");
        };
        is("plain page");
        write(&www, "page.html", "other page");
        is("other page");
        write(&www, "new", "moved page");
        std::fs::rename(www.join("new"), www.join("page.html")).expect("writable");
        is("moved page");
        std::fs::rename(www.join("a"), www.join("b")).expect("writable");
        assert_eq!(curl_status(port, "/a/", &[]), "404", "{backend}");
        assert_eq!(curl(port, "/b/", &[]), "index of a", "{backend}");
        std::fs::remove_file(www.join("page.html.gz")).expect("writable");
        assert!(!curl(port, "/page.html", &["-i"]).contains("Vary"), "{backend}");
        std::fs::remove_file(www.join("page.html")).expect("writable");
        assert_eq!(curl_status(port, "/page.html", &[]), "404", "{backend}");
    }
}

#[test]
fn links_lead_within_the_volume_and_a_changed_link_is_followed_anew() {
    let user = User::ordinary();
    let www = user.folder("www");
    write(&www, "one/f.txt", "first");
    write(&www, "two/f.txt", "second");
    symlink("one", www.join("current")).expect("writable");
    symlink("/etc/passwd", www.join("out")).expect("writable");
    symlink("../../../../etc", www.join("up")).expect("writable");
    symlink("loop", www.join("loop")).expect("writable");
    write(&www, "secret.txt", "x");
    std::fs::set_permissions(www.join("secret.txt"), std::fs::Permissions::from_mode(0o000))
        .expect("it is ours");
    need("mkfifo", "coreutils");
    assert!(Command::new("mkfifo").arg(www.join("pipe")).status().expect("it runs").success());
    let (_, port) = start(&user, &["-v", &format!("{}:/www:ro", www.display())], &[]);
    std::thread::sleep(std::time::Duration::from_millis(60));
    for _ in 0..3 {
        assert_eq!(curl(port, "/current/f.txt", &[]), "first");
    }
    symlink("two", www.join("next")).expect("writable");
    std::fs::rename(www.join("next"), www.join("current")).expect("writable");
    assert_eq!(curl(port, "/current/f.txt", &[]), "second");
    assert_eq!(curl_status(port, "/pipe", &[]), "403");
    assert_eq!(curl_status(port, "/out", &[]), "403");
    assert_ne!(curl_status(port, "/up/passwd", &[]), "200");
    assert_eq!(curl_status(port, "/loop", &[]), "404");
    assert_eq!(curl_status(port, "/secret.txt", &[]), "403");
}

#[test]
fn directories_are_listed_when_asked_for() {
    let user = User::ordinary();
    let www = user.folder("www");
    write(&www, "sub/<b>.txt", "x");
    write(&www, "sub/dir/f", "x");
    let volume = format!("{}:/www:ro", www.display());
    let (_, port) = start(&user, &["-v", &volume], &["--list"]);
    let page = curl(port, "/sub/", &[]);
    assert!(page.contains("&lt;b&gt;.txt") && page.contains("\"dir/\"") && page.contains("../"), "{page}");
    assert_eq!(status(port, "HEAD /sub/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), 200);
}

#[test]
fn a_gigabyte_goes_through_little_memory_and_ranges_of_it_too() {
    let user = User::ordinary();
    let www = user.folder("www");
    let file = std::fs::File::create(www.join("large.bin")).expect("writable");
    file.set_len(1 << 30).expect("sparse files cost nothing");
    std::os::unix::fs::FileExt::write_all_at(&file, b"middle", 700 << 20).expect("writable");
    let volume = format!("{}:/www:ro", www.display());
    let (name, port) = start(&user, &["-m", "8M", "-v", &volume], &[]);
    let size = curl(port, "/large.bin", &["-o", "/dev/null", "-w", "%{http_code} %{size_download}"]);
    assert_eq!(size, format!("200 {}", 1 << 30));
    assert_eq!(curl(port, "/large.bin", &["-r", "734003200-734003205"]), "middle");
    assert_eq!(user.inspect(&name)["state"], "running");
}

#[test]
fn a_file_that_changes_on_its_way_never_looks_whole() {
    use std::io::Read;
    let user = User::ordinary();
    let www = user.folder("www");
    let volume = format!("{}:/www:ro", www.display());
    let (_, port) = start(&user, &["-v", &volume], &[]);
    let length = 64usize << 20;
    for change in ["cut", "overwrite"] {
        write(&www, "f.bin", vec![b'a'; length]);
        let mut stream = connect(port);
        stream.write_all(b"GET /f.bin HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
        let mut first = [0; 1000];
        stream.read_exact(&mut first).expect("it answers");
        assert!(String::from_utf8_lossy(&first).contains(&format!("Content-Length: {length}\r\n")));
        if change == "cut" {
            let file = std::fs::OpenOptions::new().write(true).open(www.join("f.bin")).expect("it is there");
            file.set_len(100).expect("writable");
        } else {
            write(&www, "f.bin", vec![b'b'; length]);
        }
        let mut rest = vec![];
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() + 500 < length, "{change}: {}", rest.len());
        assert!(!rest.contains(&b'b'), "{change}");
    }
    // Who replaces a file by renaming disturbs nobody: the download goes on with the old one.
    write(&www, "f.bin", vec![b'a'; length]);
    let mut stream = connect(port);
    stream.write_all(b"GET /f.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut first = [0; 100];
    stream.read_exact(&mut first).expect("it answers");
    write(&www, "g.bin", vec![b'b'; length]);
    std::fs::rename(www.join("g.bin"), www.join("f.bin")).expect("writable");
    let mut rest = vec![];
    stream.read_to_end(&mut rest).expect("it goes on to its end");
    let body = first.iter().chain(&rest).rev().take(length);
    assert!(rest.len() + first.len() > length && body.into_iter().all(|&octet| octet == b'a'));
}

#[test]
fn small_files_written_all_the_time_are_served_whole() {
    let user = User::ordinary();
    let www = user.folder("www");
    write(&www, "f.txt", "0".repeat(1000));
    let volume = format!("{}:/www:ro", www.display());
    let (_, port) = start(&user, &["-v", &volume], &[]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut round = 0usize;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                round += 1;
                let digit = char::from(b'0' + (round % 10) as u8);
                write(&www, "f.new", digit.to_string().repeat(500 + round % 1000));
                std::fs::rename(www.join("f.new"), www.join("f.txt")).expect("writable");
            }
        });
        let mut stream = connect(port);
        let mut kinds = std::collections::BTreeSet::new();
        for _ in 0..2000 {
            stream.write_all(b"GET /f.txt HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
            let answer = read_answer(&mut stream);
            assert_eq!(answer.status, 200, "{}", answer.head);
            assert!(answer.body.iter().all(|&b| b == answer.body[0]), "torn");
            kinds.insert(answer.body[0]);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(kinds.len() > 1, "the changes were not seen");
    });
}

#[test]
fn wrk_and_ab_get_nothing_but_answers_through_both_doors() {
    need("wrk", "wrk");
    need("ab", "apache2-utils");
    for (backend, requests) in [("process", "20000"), ("qemu", "500")] {
        let user = User::ordinary();
        let (name, port) = start(&user, &["-b", backend], &[]);
        let url = format!("http://127.0.0.1:{port}/index.html");
        let wrk = finish(Command::new("wrk").args(["-t1", "-c20", "-d1", &url]));
        assert!(wrk.out.contains("Requests/sec") && !wrk.out.contains("Non-2xx"), "{backend}: {}", wrk.out);
        assert!(!wrk.out.contains("Socket errors"), "{backend}: {}", wrk.out);
        for keep_alive in [&["-k"][..], &[]] {
            let ab =
                finish(Command::new("ab").args(keep_alive).args(["-q", "-n", requests, "-c", "20", &url]));
            assert!(ab.out.contains(&format!("Complete requests:      {requests}")), "{backend}: {ab:#?}");
            assert!(
                ab.out.contains("Failed requests:        0") && !ab.out.contains("Non-2xx"),
                "{backend}: {}",
                ab.out
            );
            if !keep_alive.is_empty() {
                assert!(
                    ab.out.contains(&format!("Keep-Alive requests:    {requests}")),
                    "{backend}: {}",
                    ab.out
                );
            }
        }
        assert_eq!(user.inspect(&name)["state"], "running");
    }
}

#[test]
fn requests_are_logged_when_asked_for() {
    let user = User::ordinary();
    let (name, port) = start(&user, &[], &["--log"]);
    curl(port, "/style.css?a=%22", &[]);
    status(port, "GET /\u{1}\" HTTP/1.1\r\n\r\n");
    eventually("both requests are in the log", || {
        let log = user.logs(&name);
        log.contains("\"GET /style.css?a=%22 HTTP/1.1\" 200 164") && log.contains("] \"-\" 400 0")
    });
}

#[test]
fn wrong_arguments_are_named() {
    let user = User::ordinary();
    let image = image("apps/http");
    let image = image.to_str().expect("temporary paths are UTF-8");
    for (arguments, text) in [
        (&["--port", "0"][..], "--port: `0` is not a number from 1 to 65535"),
        (&["--keep-alive"], "--keep-alive needs a value"),
        (&["--root", "www"], "--root: `www` is no absolute path"),
        (&["--frobnicate"], "unknown argument `--frobnicate`"),
    ] {
        let finished = user.run([&["run", image], arguments].concat());
        assert_eq!(finished.status, 2, "{finished:#?}");
        assert!(finished.err.contains(text), "{finished:#?}");
    }
    let finished = user.run(["run", image, "--root", "/nowhere"]);
    assert!(finished.status == 1 && finished.err.contains("/nowhere: no such file"), "{finished:#?}");
    let help = user.run(["run", image, "--help"]);
    assert!(help.status == 0 && help.out.contains("--keep-alive"), "{help:#?}");
}

#[test]
fn it_ends_when_told_to() {
    let user = User::ordinary();
    let (name, port) = start(&user, &[], &[]);
    let mut idle = connect(port);
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
    assert_eq!(read_answer(&mut idle).status, 200);
    user.ok(["stop", &name]);
    assert_eq!(user.ok(["wait", &name]), "0");
}
