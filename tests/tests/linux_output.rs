//! Standard output of Linux programs: slow readers, readers that go away, and terminals that are held.

use kernlet_tests::programs::{DOORS, compile, seal, source};
use kernlet_tests::terminal::Terminal;
use kernlet_tests::{Running, User};
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

/// Runs the program that has a slow reader; what it says, and how much it wrote.
fn read_slowly(command: &mut Command) -> (String, usize) {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut running = Running(child);
    let mut out = running.0.stdout.take().expect("it is a pipe");
    let mut said = BufReader::new(running.0.stderr.take().expect("it is a pipe"));
    let mut text = String::new();
    while !text.ends_with("read now\n") {
        assert_ne!(said.read_line(&mut text).expect("it is text"), 0, "it ended: {text}");
    }
    let rest = std::thread::spawn(move || {
        said.read_to_string(&mut text).expect("it is text");
        text
    });
    let mut written = Vec::new();
    out.read_to_end(&mut written).expect("it can be read");
    assert_eq!(running.0.wait().expect("it ends").code(), Some(0));
    (rest.join().expect("it reads"), written.len())
}

#[test]
fn a_slow_reader_holds_up_the_thread_that_writes_and_no_other() {
    let program = compile(
        "gcc",
        "gcc",
        &["-O2", "-static", "-pthread"],
        &source("by_hand/slow_reader.c"),
        "slow_reader",
    );
    let expected = read_slowly(&mut Command::new(&program));
    let image = seal(&program, &[], "slow_reader");
    let user = User::ordinary();
    for door in DOORS {
        assert_eq!(read_slowly(&mut user.kernlet(["run", "-b", door, &image])), expected, "{door}");
    }
}

#[test]
fn who_writes_for_nobody_gets_a_broken_pipe() {
    let image = seal("busybox", &[], "busybox-output");
    let user = User::ordinary();
    for door in DOORS {
        let mut command = user.kernlet(["run", "-b", door, &image, "yes"]);
        let child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut running = Running(child);
        let mut first = [0; 4];
        let mut out = running.0.stdout.take().expect("it is a pipe");
        out.read_exact(&mut first).expect("it writes");
        drop(out);
        // 128 and SIGPIPE.
        assert_eq!(running.0.wait().expect("it ends").code(), Some(141), "{door}");
    }
}

#[test]
fn control_s_holds_output_until_control_q() {
    let image = seal("busybox", &[], "busybox-held");
    let user = User::ordinary();
    for door in DOORS {
        let script = ["run", "-b", door, &image, "awk", "{ print \"got \" $0; fflush() }"];
        let mut terminal = Terminal::start(&user, &script);
        terminal.types("one\n");
        terminal.shows("got one\r\n");
        // Neither the echo nor the answer is shown, but what is typed is not lost.
        terminal.types("\x13two\n");
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(terminal.rest(), "", "{door}");
        terminal.types("\x11");
        terminal.shows("two\r\n");
        terminal.shows("got two\r\n");
        terminal.types("\x04");
        assert_eq!(terminal.ends(), 0, "{door}");
    }
}
