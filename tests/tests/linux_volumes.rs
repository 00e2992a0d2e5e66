//! Volumes under Linux programs: what is on the host's disk is as natively, also with several instances at work on it.

use kernlet_tests::programs::{DOORS, LONG, Server, compile, left_out, native, run_as, same, seal, source};
use kernlet_tests::{Finished, Running, User, finish_within, is_root, need};
use std::path::Path;
use std::process::{Command, Stdio};

fn mounted(folder: &Path) -> String {
    format!("{}:/data", folder.display())
}

#[test]
fn a_program_finds_in_a_volume_what_it_finds_in_a_folder() {
    let options = ["-O1", "-static", "-pthread", "-w"];
    let program = compile("gcc", "gcc", &options, &source("volumes/volume.c"), "volume");
    let image = seal(&program, &[], "volume");
    // Where the volumes will be: what a file system can do is asked of the same one.
    let user = User::ordinary();
    let folder = user.folder("natively");
    let mut command = user.command(&program);
    let expected = finish_within(command.arg(&folder), LONG);
    assert!(expected.status == 0 && expected.out.lines().count() > 150, "{expected:?}");
    for door in DOORS {
        let folder = user.folder(&format!("volume-{door}"));
        let mut done = run_as(&user, door, &["-v", &mounted(&folder)], &image, &["/data"]);
        if door == "qemu" {
            // What lies behind the end of a file that is cut while it is mapped is zeros there, as the pages are not the host's.
            done.out = done.out.replace("written behind the end", "signal 7");
            left_out(
                "SIGBUS behind the end of a mapped file in a VM",
                "its pages are copies, which do not go away",
            );
        }
        same(&format!("volume.c in door {door}"), &expected, &done);
    }
}

/// Starts a shell of sqlite3 in an instance, which does what it is told.
fn sqlite(user: &User, door: &str, image: &str, folder: &Path, commands: &str) -> Running {
    let mut command =
        user.kernlet(["run", "-q", "-i", "-b", door, "-v", &mounted(folder), image, "/data/db"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = Running::start(&mut command);
    use std::io::Write;
    let mut input = running.0.stdin.take().expect("it was asked for");
    input.write_all(commands.as_bytes()).expect("the instance reads");
    running
}

#[test]
fn two_instances_write_one_database_and_lose_nothing() {
    const ROWS: usize = 60;
    need("sqlite3", "sqlite3");
    let image = seal("sqlite3", &[], "sqlite3-shared");
    // A VM has no memory in common with anybody, which a write-ahead log needs.
    for (mode, doors) in
        [("delete", ["process", "process"]), ("wal", ["process", "process"]), ("delete", ["process", "qemu"])]
    {
        let user = User::ordinary();
        let folder = user.folder("data");
        let database = folder.join("db");
        let natively = |text: &str| -> Finished {
            finish_within(user.command("sqlite3").arg(&database).arg(text), LONG)
        };
        let made = natively(&format!("pragma journal_mode={mode}; create table t(who text, n integer);"));
        assert_eq!((made.status, made.out.trim()), (0, mode), "{made:?}");
        let writers: Vec<Running> = (doors.iter().enumerate())
            .map(|(who, door)| {
                let insert = |n| format!("insert into t values('{who}', {n});\n");
                let all: String = (0..ROWS).map(insert).collect();
                sqlite(&user, door, &image, &folder, &format!(".timeout 60000\n{all}.print done\n"))
            })
            .collect();
        for writer in writers {
            let out = writer.end();
            assert!(out.ends_with("done\n"), "{mode} {doors:?}: {out}");
        }
        let count = "pragma integrity_check; select who, count(*), sum(n) from t group by who order by who;";
        let sum = ROWS * (ROWS - 1) / 2;
        let expected = format!("ok\n0|{ROWS}|{sum}\n1|{ROWS}|{sum}\n");
        assert_eq!(natively(count).out, expected, "{mode} {doors:?}");
    }
}

#[test]
fn a_lock_of_the_host_holds_an_instance_up_until_it_is_given_back() {
    need("sqlite3", "sqlite3");
    need("flock", "util-linux");
    let options = ["-O1", "-static", "-w"];
    let program = compile("gcc", "gcc", &options, &source("volumes/waits.c"), "waits");
    let image = seal(&program, &[], "waits");
    for door in DOORS {
        let user = User::ordinary();
        let folder = user.folder("data");
        let file = folder.join("lock");
        std::fs::write(&file, "").expect("the folder is writable");
        user.give(&file);
        let held = std::fs::File::open(&file).expect("it was made");
        held.lock().expect("nobody else has it");
        let mut command =
            user.kernlet(["run", "-q", "-b", door, "-v", &mounted(&folder), &image, "/data/lock"]);
        let mut running = Running::start(command.stdout(Stdio::piped()));
        let output = running.0.stdout.take().expect("it was asked for");
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(output));
        let mut line = || lines.next().map(|line| line.expect("text")).unwrap_or_default();
        assert_eq!(line(), "somebody has it", "{door}");
        held.unlock().expect("it was had");
        assert_eq!(line(), "mine", "{door}");
        // It has both now, and the host does not.
        assert!(held.try_lock_shared().is_err(), "{door}");
        assert!(running.0.wait().expect("it ends").success(), "{door}");
        assert!(held.try_lock().is_ok(), "{door}: what ends gives its locks back");
    }
}

#[test]
fn what_redis_acknowledged_is_there_after_it_was_killed() {
    need("redis-server", "redis-server");
    let image = seal("redis-server", &[], "redis-killed");
    let user = User::ordinary();
    let folder = user.folder("data");
    let start = |user: User| {
        let volume = mounted(&folder);
        let arguments =
            ["--appendonly", "yes", "--appendfsync", "always", "--protected-mode", "no", "--save", ""];
        let server =
            Server::start(user, "process", &[6379], &["-v", &volume, "-w", "/data"], &image, &arguments);
        let port = server.ports[0].to_string();
        server.until("the server answers", || {
            finish_within(Command::new("redis-cli").args(["-p", &port, "ping"]), LONG).out.trim() == "PONG"
        });
        server
    };
    let server = start(user);
    let port = server.ports[0].to_string();
    let mut writer = Command::new("redis-cli");
    // It counts up until the server is gone, and says each number that was acknowledged.
    writer.args(["-p", &port, "-r", "-1", "incr", "n"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut writer = Running::start(&mut writer);
    let said = std::io::BufReader::new(writer.0.stdout.take().expect("it was asked for"));
    let mut said = std::io::BufRead::lines(said);
    let mut last = 0;
    while last < 200 {
        let line = said.next().expect("it goes on counting").expect("text");
        last = line.parse().expect("a number");
    }
    server.user.ok(["kill", "-s", "KILL", &server.name]);
    for line in said.map_while(Result::ok) {
        match line.parse() {
            Ok(number) => last = number,
            Err(_) => break,
        }
    }
    drop(writer);
    let user = server.user;
    let again = start(user);
    let port = again.ports[0].to_string();
    let found: u64 = again.client("redis-cli", &["-p", &port, "get", "n"]).trim().parse().expect("a number");
    assert!(found >= last && found <= last + 1, "{found} after {last}");
    again.stop();
}

#[test]
fn a_full_volume_says_so_and_holds_what_found_room() {
    if !is_root() {
        left_out("a full volume", "mounting a small file system wants root");
        return;
    }
    let options = ["-O1", "-static", "-w"];
    let program = compile("gcc", "gcc", &options, &source("volumes/full.c"), "full");
    let image = seal(&program, &[], "full");
    let expect_of = |folder: &Path, finished: Finished| {
        assert_eq!(finished.status, 0, "{finished:?}");
        let kept = std::fs::read(folder.join("file")).expect("it was made");
        assert!(kept.len() >= 1 << 19 && kept.iter().all(|byte| *byte == b'x'), "{}", kept.len());
        assert_eq!(finished.out, format!("ENOSPC\n{} bytes\nreserving: ENOSPC\nthen 1\n", kept.len()));
    };
    for door in ["natively", "process", "qemu"] {
        let user = User::myself();
        let folder = user.folder(&format!("full-{door}"));
        let mount = finish_within(
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&folder),
            LONG,
        );
        assert_eq!(mount.status, 0, "{mount:?}");
        let done = match door {
            "natively" => native(&program, &[folder.to_str().expect("text")]),
            _ => run_as(&user, door, &["-v", &mounted(&folder)], &image, &["/data"]),
        };
        let seen = std::panic::catch_unwind(|| expect_of(&folder, done));
        let gone = finish_within(Command::new("umount").arg(&folder), LONG);
        assert_eq!(gone.status, 0, "{gone:?}");
        seen.unwrap_or_else(|_| panic!("door {door}"));
    }
}

#[test]
fn nothing_in_a_read_only_volume_is_changed() {
    let options = ["-O1", "-static", "-w"];
    let program = compile("gcc", "gcc", &options, &source("volumes/sealed.c"), "sealed");
    let image = seal(&program, &[], "sealed");
    for door in DOORS {
        let user = User::ordinary();
        let folder = user.folder("data");
        let file = folder.join("file");
        std::fs::write(&file, "contents").expect("the folder is writable");
        user.give(&file);
        let volume = format!("{}:ro", mounted(&folder));
        let done = run_as(&user, door, &["-v", &volume], &image, &["/data"]);
        assert_eq!(done.status, 0, "{door}: {done:?}");
        let bad: Vec<_> = done.out.lines().filter(|line| !line.ends_with(" EROFS")).collect();
        assert!(bad.is_empty() && done.out.lines().count() > 15, "{door}: {bad:?}");
        assert_eq!(std::fs::read_dir(&folder).expect("it is there").count(), 1, "{door}");
        assert_eq!(std::fs::read(&file).expect("it is there"), b"contents", "{door}");
    }
}
