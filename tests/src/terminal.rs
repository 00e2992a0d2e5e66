//! A terminal with somebody at it: types, and reads what the program shows.

use crate::{User, binary, programs::LONG, text};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A program at a terminal of its own.
pub struct Terminal {
    keyboard: File,
    shown: Arc<Mutex<Vec<u8>>>,
    /// How much of it has been looked at.
    seen: usize,
    child: Child,
}

impl Terminal {
    /// Starts `kernlet` with these arguments at a terminal of 80 columns and 24 rows.
    pub fn start(user: &User, arguments: &[&str]) -> Self {
        let control = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
        grantpt(&control).and_then(|()| unlockpt(&control)).expect("it is ours");
        let path = ptsname(&control, Vec::new()).expect("it has a name");
        let path = std::path::PathBuf::from(path.to_str().expect("its name is ASCII"));
        user.give(&path);
        let keyboard = File::from(control);
        let open = || File::options().read(true).write(true).open(&path).expect("it can be opened");
        let mut command = user.command("setsid");
        command.args(["--ctty", "--wait"]).arg(binary()).args(arguments).env("TERM", "xterm");
        command.stdin(Stdio::from(open())).stdout(Stdio::from(open())).stderr(Stdio::from(open()));
        let mut terminal =
            Self { child: command.spawn().expect("setsid runs"), shown: Arc::default(), seen: 0, keyboard };
        terminal.resize(80, 24);
        let (mut screen, shown) =
            (terminal.keyboard.try_clone().expect("descriptors are left"), terminal.shown.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = screen.read(&mut buffer) {
                shown.lock().expect("nobody panics with it").extend(&buffer[..length]);
            }
        });
        terminal
    }

    /// Gives the window another size.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.keyboard, size).expect("it is a terminal");
    }

    /// Types.
    pub fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Waits until this is shown, after what was waited for before.
    pub fn shows(&mut self, wanted: &str) {
        let start = Instant::now();
        loop {
            let shown = text(&self.shown.lock().expect("nobody panics with it")[self.seen..]);
            if let Some(at) = shown.find(wanted) {
                self.seen += at + wanted.len();
                return;
            }
            assert!(start.elapsed() < LONG, "`{wanted}` is not shown after `{shown}`");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What is shown and was not waited for yet.
    pub fn rest(&self) -> String {
        text(&self.shown.lock().expect("nobody panics with it")[self.seen..])
    }

    /// Waits for the end and gives the status.
    pub fn ends(mut self) -> i32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status.code().unwrap_or(-1);
            }
            let shown = text(&self.shown.lock().expect("nobody panics with it"));
            assert!(start.elapsed() < LONG, "it does not end: {shown}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
