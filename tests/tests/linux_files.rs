//! Files and terminals of Linux programs.

use kernlet_tests::{User, finish, is_root, repository};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const BACKENDS: [&str; 2] = ["process", "qemu"];

/// Compiles a program of `tests/linux` into the user's folder.
fn compiled(user: &User, name: &str) -> PathBuf {
    let output = user.folder("programs").join(name.rsplit('/').next().unwrap_or(name));
    let source = repository().join("tests/linux").join(name).with_extension("c");
    let built = finish(Command::new("cc").args(["-O1", "-w", "-static", "-o"]).arg(&output).arg(source));
    assert_eq!(built.status, 0, "{built:#?}");
    output
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

#[test]
fn the_layer_over_the_root_says_what_a_tmpfs_says() {
    if !is_root() {
        kernlet_tests::programs::left_out(
            "files.c in the layer over the root",
            "what Linux says is asked as root",
        );
        return;
    }
    let user = User::myself();
    let program = compiled(&user, "files");
    let native = finish(Command::new(&program).env_clear());
    assert_eq!(native.status, 0, "{native:#?}");
    assert!(native.out.lines().count() > 400, "{}", native.out);
    for backend in BACKENDS {
        let ours = user.run(["run", "-b", backend, text(&program), "--", "/srv/files"]);
        assert_eq!(ours.status, 0, "{backend}: {ours:#?}");
        let lines = native.out.lines().zip(ours.out.lines());
        // Only what the file system is called differs.
        let differ: Vec<_> = lines.filter(|(a, b)| a != b && !a.contains("f_type")).collect();
        assert!(differ.is_empty(), "{backend}: {differ:#?}");
        assert_eq!(native.out.lines().count(), ours.out.lines().count(), "{backend}");
    }
}

/// A terminal at which somebody sits.
struct Seat {
    outside: File,
    seen: String,
}

impl Seat {
    fn new() -> (Self, OwnedFd) {
        let outside =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("pseudo-terminals");
        grantpt(&outside).expect("ours");
        unlockpt(&outside).expect("ours");
        let inside =
            ioctl_tiocgptpeer(&outside, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
                .expect("ours");
        let seat = Self { outside: outside.into(), seen: String::new() };
        seat.resize(30, 90);
        (seat, inside)
    }

    fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(self.outside.as_fd(), size).expect("ours");
    }

    fn types(&mut self, bytes: &[u8]) {
        self.outside.write_all(bytes).expect("somebody reads");
    }

    /// Reads until `what` is shown; gives what came with it.
    fn sees(&mut self, what: &str) -> String {
        loop {
            if let Some(at) = self.seen.find(what) {
                let rest = self.seen.split_off(at + what.len());
                return std::mem::replace(&mut self.seen, rest);
            }
            let mut ready = [PollFd::new(&self.outside, PollFlags::IN)];
            let patience = Timespec { tv_sec: kernlet_tests::PATIENCE.as_secs() as i64, tv_nsec: 0 };
            let count = poll(&mut ready, Some(&patience)).expect("it can be waited for");
            assert!(count > 0, "nothing more came before {what:?}: {:?}", self.seen);
            let mut bytes = [0; 1024];
            let length = self.outside.read(&mut bytes).unwrap_or(0);
            assert!(length > 0, "it ended before {what:?}: {:?}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
    }
}

#[test]
fn a_terminal_edits_lines_and_passes_bytes_and_signals() {
    let user = User::ordinary();
    let program = compiled(&user, "by_hand/terminal");
    for backend in BACKENDS {
        let (mut seat, inside) = Seat::new();
        let stdio = || Stdio::from(inside.try_clone().expect("descriptors"));
        // In the foreground of the terminal, as what a shell starts.
        let mut command = user.command("setsid");
        command.args(["--ctty", "--wait", text(&kernlet_tests::binary()), "run", "-q"]);
        command.args(["-b", backend, "-i", "-t", text(&program)]);
        let child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().expect("kernlet runs");
        let mut child = kernlet_tests::Running(child);
        drop((command, inside));
        seat.sees("terminal 111 ");
        seat.sees("line> ");
        seat.types(b"helko\x7f\x7flo\r");
        assert_eq!(seat.sees("got "), "helko\x08 \x08\x08 \x08lo\r\ngot ", "{backend}");
        seat.sees("hello\r\n");
        seat.sees("interrupt> ");
        seat.types(b"gone");
        seat.sees("gone");
        // A signal that comes before the program reads would not interrupt its reading, on Linux neither.
        std::thread::sleep(std::time::Duration::from_millis(500));
        seat.types(b"\x03");
        seat.sees("^C-1 1 1\r\n");
        seat.sees("raw> ");
        seat.types(b"\x03\rx");
        seat.sees("[03][0d][78]\r\n");
        seat.sees("end> ");
        seat.types(b"\x04");
        seat.sees("0\r\n");
        seat.sees("resize> ");
        seat.resize(24, 132);
        kernlet_tests::kill(child.0.id(), Signal::WINCH);
        seat.sees("24 x 132\r\n");
        assert_eq!(child.0.wait().expect("it ends").code(), Some(7), "{backend}");
    }
}
