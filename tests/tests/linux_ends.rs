//! How Linux programs end, signals from outside, and threads of other languages than C: on Linux and by kernlet they must
//! say the same, and end the same way.

use kernlet_tests::{Finished, PATIENCE, User, finish, repository};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What makes a program of a source, and the flags.
type Tool<'a> = (&'a str, &'a [&'a str]);

const STATIC: Tool = ("cc", &["-O1", "-static", "-pthread", "-w", "-o"]);
const FIXED: Tool = ("cc", &["-O1", "-pthread", "-w", "-no-pie", "-o"]);

fn source(name: &str) -> PathBuf {
    repository().join("tests/linux").join(name)
}

/// Makes a program in a folder of the user's.
fn program(user: &User, name: &str, (tool, flags): Tool) -> PathBuf {
    let output = user.folder("programs").join(Path::new(name).file_stem().expect("it has a name"));
    let mut command = Command::new(tool);
    command.args(flags).arg(&output).arg(source(name)).env("CGO_ENABLED", "0");
    let built = finish(&mut command);
    assert_eq!(built.status, 0, "{built:#?}");
    output
}

/// Runs a command on Linux as whoever runs the tests.
fn native(program: &Path, arguments: &[&str]) -> Finished {
    finish(Command::new(program).args(arguments))
}

/// Runs it by kernlet, as the same user inside.
fn kernlet(user: &User, backend: &str, program: &Path, arguments: &[&str]) -> Finished {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let mut all = vec!["run".to_owned(), "-b".to_owned(), backend.to_owned(), "-u".to_owned()];
    all.push(format!("{uid}:{gid}"));
    all.push(program.to_str().expect("temporary paths are UTF-8").to_owned());
    all.extend(arguments.iter().map(|&a| a.to_owned()));
    user.run(all)
}

/// Both say the same.
fn same(backend: &str, name: &str, tool: Tool, arguments: &[&str]) {
    let user = User::ordinary();
    let program = program(&user, name, tool);
    compare(&user, backend, &program, arguments);
}

fn compare(user: &User, backend: &str, program: &Path, arguments: &[&str]) {
    let (there, here) = (native(program, arguments), kernlet(user, backend, program, arguments));
    let differ = there.out.lines().zip(here.out.lines()).find(|(a, b)| a != b);
    let told = format!("{backend} {program:?} {arguments:?}: {differ:#?}\n{here:#?}");
    assert!(there.out == here.out && there.status == here.status, "Linux: {}\n{told}", there.status);
}

/// All ways to end that signals.c knows; those that fault are told of, with the address and what is mapped there.
#[test]
fn programs_end_by_signals_with_the_status_that_linux_gives() {
    let user = User::ordinary();
    let program = program(&user, "signals.c", STATIC);
    let faults = [
        ("segv", "writing to 0x10 (nothing is mapped there)"),
        ("fpe", "ended by SIGFPE at"),
        ("ill", "ended by SIGILL at"),
        ("overflow", "ended by SIGSEGV at"),
        ("nowhere", "executing 0x0 (nothing is mapped there)"),
        ("in-handler", "executing 0x10"),
        ("blocked", "signals+0x"),
        ("ignored", "signals+0x"),
        ("no-stack", "ended by SIGSEGV at"),
        ("bad-frame", "ended by SIGSEGV at"),
        ("unmap", "(nothing is mapped there)"),
    ];
    let quiet = ["sse", "abort", "term", "quit", "kill", "rt", "alarm"];
    for (how, text) in faults.into_iter().chain(quiet.map(|how| (how, ""))) {
        compare(&user, "process", &program, &[how]);
        let here = kernlet(&user, "process", &program, &[how]);
        assert!(here.err.contains(text), "{how}: {here:#?}");
    }
}

#[test]
fn a_program_at_a_fixed_address_has_threads() {
    same("process", "threads.c", FIXED, &[]);
}

#[test]
fn a_process_ends_with_its_last_thread_or_all_at_once() {
    let user = User::ordinary();
    let program = program(&user, "threads.c", STATIC);
    for how in ["exit-group", "last"] {
        compare(&user, "process", &program, &[how]);
    }
}

#[test]
fn programs_of_other_languages_are_as_on_linux() {
    same("process", "threads.cc", ("c++", &["-O1", "-pthread", "-o"]), &[]);
    same("process", "threads.rs", ("rustc", &["-O", "--edition=2024", "-o"]), &[]);
    same(
        "process",
        "threads.rs",
        ("rustc", &["-O", "--edition=2024", "-Ctarget-feature=+crt-static", "-o"]),
        &[],
    );
    same("process", "goroutines.go", ("go", &["build", "-o"]), &[]);
    same("process", "signals.c", ("musl-gcc", &["-O1", "-static", "-w", "-o"]), &[]);
}

#[test]
fn python_has_threads_signals_and_timers() {
    let user = User::ordinary();
    let script = std::fs::read_to_string(source("threads.py")).expect("it is there");
    compare(&user, "process", Path::new("/usr/bin/python3"), &["-c", &script]);
}

#[test]
fn a_signal_from_outside_reaches_a_handler_and_ends_a_program_without() {
    let user = User::ordinary();
    let handler = "import signal, sys, time\n\
                   signal.signal(signal.SIGTERM, lambda n, f: (print('got', n, flush=True), sys.exit(5)))\n\
                   print('ready', flush=True)\ntime.sleep(100)";
    for (script, status, last) in
        [(handler, 5, "got 15"), ("import time; print('ready', flush=True); time.sleep(100)", 143, "ready")]
    {
        let name = user.detached(["/usr/bin/python3", "-c", script]);
        let start = std::time::Instant::now();
        while !user.logs(&name).contains("ready") {
            assert!(start.elapsed() < PATIENCE, "{}", user.logs(&name));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        user.ok(["kill", "-s", "TERM", &name]);
        assert_eq!(user.ok(["wait", &name]), status.to_string());
        assert!(user.logs(&name).trim_end().ends_with(last), "{}", user.logs(&name));
    }
}
