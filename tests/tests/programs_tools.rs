//! Debian's sqlite3, perl, lua, fio, openssl and curl, unmodified.

use kernlet_tests::programs::{
    DOORS, LONG, Server, certificate, folder_with, native, run, run_as, same, seal, source,
};
use kernlet_tests::{Running, User, finish_within, free_port, need};
use std::process::{Command, Stdio};

/// Runs a script of tests/linux/languages natively and in both doors.
fn check(interpreter: &str, package: &str, script: &str, status: i32) {
    need(interpreter, package);
    let program = source(&format!("languages/{script}"));
    let text = std::fs::read(&program).expect("it is there");
    let expected = native(interpreter, &[program.to_str().expect("UTF-8"), "argument"]);
    assert_eq!(expected.status, status, "{expected:?}");
    let image = seal(interpreter, &[], interpreter);
    for door in DOORS {
        let user = User::ordinary();
        let volume = format!("{}:/work:ro", folder_with(&user, "work", &[(script, &text)]).display());
        let path = format!("/work/{script}");
        let got = run_as(&user, door, &["-v", &volume], &image, &[&path, "argument"]);
        same(&format!("{script} in door {door}"), &expected, &got);
        assert_eq!(got.err.contains("standard error"), expected.err.contains("standard error"));
    }
}

#[test]
fn perl_says_the_same_as_natively() {
    check("perl", "perl", "modules.pl", 6);
}

#[test]
fn lua_says_the_same_as_natively() {
    check("lua5.4", "lua5.4", "modules.lua", 8);
}

#[test]
fn sqlite3_works_on_a_volume_and_natively_on_the_same_file() {
    need("sqlite3", "sqlite3");
    let image = seal("sqlite3", &[], "sqlite3");
    let fill = "pragma journal_mode = wal; create table t (n integer primary key, word text, x blob); \
                with recursive c(i) as (select 1 union all select i + 1 from c where i < 3000) \
                insert into t select i, 'word ' || (i % 97), zeroblob(i % 50) from c; \
                create index w on t (word); create virtual table f using fts5(body); \
                insert into f select word from t limit 100; select count(*) from f where f match 'word';";
    let ask = "select count(*), sum(n), max(word) from t; select word, count(*) from t group by 1 order by 2 desc, 1 limit 3; \
               pragma integrity_check; select json_extract('{\"a\":[1,2]}', '$.a[1]'), printf('%.3f', sqrt(2));";
    for door in DOORS {
        let user = User::ordinary();
        let folder = user.folder("data");
        let volume = format!("{}:/data", folder.display());
        let here = |text: &str| run_as(&user, door, &["-v", &volume], &image, &["/data/a.db", text]);
        let filled = here(fill);
        assert_eq!((filled.status, &*filled.out), (0, "wal\n100\n"), "{door}: {filled:?}");
        let file = folder.join("a.db");
        let mut command = user.command("sqlite3");
        let there = finish_within(command.arg(&file).arg(ask), LONG);
        assert!(there.out.contains("3000|4501500|word 96") && there.out.contains("\nok\n"), "{there:?}");
        same(&format!("sqlite3 in door {door}"), &there, &here(ask));
        let wrong = here("select nonsense;");
        assert!(wrong.status != 0 && wrong.err.contains("no such column"), "{wrong:?}");
        // What a transaction that is not ended wrote is not there.
        here("begin; delete from t;");
        assert!(here("select count(*) from t;").out.starts_with("3000"), "{door}");
        let dumped = here(".dump t");
        let mut command = user.command("sqlite3");
        let expected = finish_within(command.arg(&file).arg(".dump t"), LONG);
        same(&format!("a dump in door {door}"), &expected, &dumped);
    }
}

#[test]
fn fio_writes_to_a_volume_and_reads_back_what_it_wrote() {
    need("fio", "fio");
    let image = seal("fio", &[], "fio");
    let arguments = ["--directory=/v", "--size=4M", "--rw=randwrite", "--ioengine=psync", "--thread"];
    let checked = ["--verify=crc32c", "--verify_fatal=1", "--output-format=terse"];
    for door in DOORS {
        let user = User::ordinary();
        let folder = user.folder("v");
        let volume = format!("{}:/v", folder.display());
        let jobs = [&arguments[..], &checked, &["--name=one", "--name=two"]].concat();
        let done = run_as(&user, door, &["-m", "512M", "-v", &volume], &image, &jobs);
        // Each job's line: version, name of the program, name, group, error; then KiB that were read.
        let lines: Vec<Vec<&str>> = done.out.lines().map(|line| line.split(';').collect()).collect();
        let ended = lines.iter().filter(|line| line.len() > 100).map(|line| (line[2], line[4], line[5]));
        let expected = [("one", "0", "4096"), ("two", "0", "4096")];
        assert!(done.status == 0 && ended.eq(expected), "{door}: {done:?}");
        for job in ["one", "two"] {
            let file = std::fs::metadata(folder.join(format!("{job}.0.0"))).expect("it is there");
            assert_eq!(file.len(), 4 << 20, "{door}: {job}");
        }
    }
}

#[test]
fn openssl_computes_signs_and_serves_a_native_client() {
    openssl_in("process");
}

#[test]
fn openssl_computes_signs_and_serves_a_native_client_from_a_vm() {
    openssl_in("qemu");
}

fn openssl_in(door: &str) {
    let image = seal("openssl", &[], &format!("openssl-{door}"));
    let user = User::ordinary();
    let folder = folder_with(&user, "work", &[("text", b"what is signed\n")]);
    let volume = format!("{}:/work", folder.display());
    let openssl =
        |arguments: &[&str]| run_as(&user, door, &["-v", &volume, "-w", "/work"], &image, arguments);
    for digest in ["-sha256", "-sha3-512", "-blake2b512", "-md5"] {
        let expected =
            finish_within(Command::new("openssl").args(["dgst", digest, "text"]).current_dir(&folder), LONG);
        same(&format!("{digest} in door {door}"), &expected, &openssl(&["dgst", digest, "text"]));
    }
    let signed = openssl(&["dgst", "-sha256", "-sign", "key.pem", "-out", "signature", "text"]);
    assert_eq!(signed.status, 0, "{signed:?}");
    let fresh = openssl(&["genpkey", "-algorithm", "ed25519", "-out", "fresh.pem"]);
    assert_eq!(fresh.status, 0, "{fresh:?}");
    let public = finish_within(
        Command::new("openssl").args(["x509", "-in", "cert.pem", "-pubkey", "-noout"]).current_dir(&folder),
        LONG,
    );
    std::fs::write(folder.join("public.pem"), public.out).expect("the folder is writable");
    let verified = ["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "text"];
    let verified = finish_within(Command::new("openssl").args(verified).current_dir(&folder), LONG);
    assert_eq!(verified.out, "Verified OK\n", "{verified:?}");
    let speed = openssl(&["speed", "-seconds", "1", "-bytes", "1024", "sha256"]);
    assert!(speed.status == 0 && speed.out.lines().any(|line| line.starts_with("sha256 ")), "{speed:?}");

    let arguments =
        ["s_server", "-accept", "4433", "-cert", "/work/cert.pem", "-key", "/work/key.pem", "-www"];
    let served = User::ordinary();
    let folder = folder_with(&served, "work", &[]);
    let volume = format!("{}:/work:ro", folder.display());
    let server = Server::start(served, door, &[4433], &["-v", &volume], &image, &arguments);
    let at = format!("127.0.0.1:{}", server.ports[0]);
    let certificate = certificate();
    let cert = certificate[0].to_str().expect("UTF-8");
    for (version, name) in [("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")] {
        server.until(name, || {
            let arguments =
                ["s_client", "-connect", &at, "-CAfile", cert, "-verify_return_error", version, "-quiet"];
            let mut command = Command::new("openssl");
            command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut client = command.spawn().expect("openssl runs");
            let asked =
                std::io::Write::write_all(client.stdin.as_mut().expect("a pipe"), b"GET / HTTP/1.0\r\n\r\n");
            let output = client.wait_with_output().expect("it ends");
            asked.is_ok() && kernlet_tests::text(&output.stdout).contains(name)
        });
    }
    server.stop();
}

#[test]
fn curl_fetches_what_it_may_connect_to_and_nothing_else() {
    need("curl", "curl");
    let image = seal("curl", &[], "curl");
    let user = User::ordinary();
    let body: String = (0..100_000).map(|n| format!("{n}\n")).collect();
    let site = folder_with(&user, "site", &[("big.txt", body.as_bytes())]);
    let [port, other] = [free_port(), free_port()];
    let serve = |port: u16| {
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string()]);
        let server = Running::start(command.current_dir(&site).stdout(Stdio::null()).stderr(Stdio::null()));
        kernlet_tests::eventually("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    };
    let _servers = [serve(port), serve(other)];
    let allowed = format!("host.kernlet.internal:{port}");
    for door in DOORS {
        let get = |port: u16, path: &str| {
            let url = format!("http://host.kernlet.internal:{port}/{path}");
            run(door, &["--allow-connect", &allowed], &image, &["-sS", "--fail", "-m", "60", &url])
        };
        let got = get(port, "big.txt");
        assert!(got.status == 0 && got.out == body, "{door}: {} {}", got.status, got.err);
        assert_eq!(get(port, "missing").status, 22, "{door}");
        let refused = get(other, "big.txt");
        assert!(refused.status != 0 && refused.out.is_empty(), "{door}: {refused:?}");
        let refused =
            run(door, &[], &image, &["-sS", "-m", "60", &format!("http://host.kernlet.internal:{port}/")]);
        assert!(refused.status != 0 && refused.out.is_empty(), "{door}: {refused:?}");
    }
}
