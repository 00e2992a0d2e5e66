//! Terminals: the user's, and the one that an instance with `-t` sees.

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, Winsize, isatty, tcgetattr, tcgetpgrp,
    tcgetwinsize, tcsetattr, tcsetwinsize,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A pseudo-terminal whose outer side is the monitor's. The host's own terminal is never handed over: whoever has
/// a terminal can type into it.
#[derive(Debug)]
pub(crate) struct Pty {
    outside: OwnedFd,
    /// Held open, so that an instance's end does not hang it up before its output was read.
    inside: OwnedFd,
}

impl Pty {
    pub(crate) fn open() -> io::Result<Self> {
        let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&outside)?;
        unlockpt(&outside)?;
        let inside =
            ioctl_tiocgptpeer(&outside, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        let flags = rustix::fs::fcntl_getfl(&outside)?;
        rustix::fs::fcntl_setfl(&outside, flags | OFlags::NONBLOCK)?;
        Ok(Self { outside, inside })
    }

    /// A descriptor for the instance.
    pub(crate) fn inside(&self) -> io::Result<OwnedFd> {
        self.inside.try_clone()
    }

    /// Has it pass every byte as it is, without making the instance wait: a Linux program's library OS has a line
    /// discipline of its own.
    pub(crate) fn make_raw(&self) -> io::Result<()> {
        let flags = rustix::fs::fcntl_getfl(&self.inside)?;
        rustix::fs::fcntl_setfl(&self.inside, flags | OFlags::NONBLOCK)?;
        let mut modes = tcgetattr(&self.inside)?;
        modes.make_raw();
        Ok(tcsetattr(&self.inside, OptionalActions::Now, &modes)?)
    }

    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let _ = tcsetwinsize(&self.outside, size);
    }

    /// Takes the characters out of `input` that mean signals on this terminal, and gives their numbers. The kernel
    /// would send these signals to the terminal's session, and an instance has none.
    pub(crate) fn take_signals(&self, input: &mut Vec<u8>) -> Vec<u8> {
        let Ok(modes) = tcgetattr(&self.outside) else { return Vec::new() };
        if !modes.local_modes.contains(LocalModes::ISIG) {
            return Vec::new();
        }
        let interrupt = modes.special_codes[SpecialCodeIndex::VINTR];
        let quit = modes.special_codes[SpecialCodeIndex::VQUIT];
        let mut signals = Vec::new();
        input.retain(|&byte| {
            let signal = match byte {
                0 => None,
                _ if byte == interrupt => Some(2),
                _ if byte == quit => Some(3),
                _ => None,
            };
            signals.extend(signal);
            signal.is_none()
        });
        signals
    }
}

impl AsFd for Pty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.outside.as_fd()
    }
}

/// The user's terminal in raw mode; dropping it restores what was.
#[derive(Debug)]
pub(crate) struct Raw(Termios);

impl Raw {
    /// Of the standard input, when it is a terminal.
    pub(crate) fn enter() -> Option<Self> {
        let stdin = rustix::stdio::stdin();
        let before = tcgetattr(stdin).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin, OptionalActions::Drain, &raw).ok()?;
        Some(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, &self.0);
    }
}

/// The size of the user's terminal: rows and columns.
pub(crate) fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(rustix::stdio::stdin()).ok()?;
    (size.ws_row != 0 && size.ws_col != 0).then_some((size.ws_row, size.ws_col))
}

/// Whether kernlet was started by somebody who sits at a terminal and waits for it: input and output are one, and
/// this process is in its foreground.
#[must_use]
pub fn attended() -> bool {
    let (stdin, stdout) = (rustix::stdio::stdin(), rustix::stdio::stdout());
    isatty(stdin) && isatty(stdout) && tcgetpgrp(stdin).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// Whether the standard input can be read: a process in the background that reads its terminal is stopped.
pub(crate) fn may_read_input() -> bool {
    let stdin = rustix::stdio::stdin();
    !isatty(stdin) || tcgetpgrp(stdin).is_ok_and(|group| group == rustix::process::getpgrp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_characters_are_taken_out_unless_the_program_wants_them() {
        let pty = Pty::open().unwrap();
        let mut input = b"ab\x03c\x1c".to_vec();
        assert_eq!(pty.take_signals(&mut input), [2, 3]);
        assert_eq!(input, b"abc");
        pty.make_raw().unwrap();
        let mut input = b"\x03".to_vec();
        assert!(pty.take_signals(&mut input).is_empty());
        assert_eq!(input, b"\x03");
    }

    #[test]
    fn the_size_reaches_the_inside() {
        let pty = Pty::open().unwrap();
        pty.resize(24, 80);
        let size = tcgetwinsize(&pty.inside).unwrap();
        assert_eq!((size.ws_row, size.ws_col), (24, 80));
    }
}
