//! Signals: their names, and those that a monitor passes on.

use kernlet_wire::control::Message;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// SIGKILL, which no program sees.
pub const KILL: u8 = 9;
/// SIGTERM, which asks a program to end.
pub const TERMINATE: u8 = 15;
/// The greatest signal of Linux on x86-64.
const LAST: u8 = 64;

/// The signals that reach the program when a foreground monitor receives them.
const PASSED_ON: [Signal; 6] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

/// The number of a signal that is named as in Docker: `9`, `KILL` or `SIGKILL`.
#[must_use]
pub fn number(name: &str) -> Option<u8> {
    if let Ok(number) = name.parse::<u8>() {
        return (1..=LAST).contains(&number).then_some(number);
    }
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    format!("SIG{short}").parse::<Signal>().ok().and_then(|signal| u8::try_from(signal as i32).ok())
}

/// The name of a signal, or its number.
#[must_use]
pub fn name(number: u8) -> String {
    Signal::try_from(i32::from(number)).map_or_else(|_| number.to_string(), |signal| signal.as_str().into())
}

/// A reader who has left is an error of a write from now on (EPIPE), and no signal. Programs that the standard library
/// executes get the signal back.
pub fn block_broken_pipes() {
    let _ = SigSet::from(Signal::SIGPIPE).thread_block();
}

/// The signals of this process, as events.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

/// What a signal to the monitor means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Pass it on.
    Pass(u8),
    /// The terminal has another size.
    Resized,
}

impl Signals {
    /// From now on signals wait to be read.
    pub(crate) fn catch(with_resize: bool) -> io::Result<Self> {
        let mut set: SigSet = PASSED_ON.into_iter().collect();
        if with_resize {
            set.add(Signal::SIGWINCH);
        }
        set.thread_block()?;
        Ok(Self(SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    pub(crate) fn next(&self) -> Option<Event> {
        let signal = self.0.read_signal().ok().flatten()?.ssi_signo;
        if signal == Signal::SIGWINCH as u32 {
            return Some(Event::Resized);
        }
        u8::try_from(signal).ok().map(Event::Pass)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Whether whoever sends this signal wants the program to end for good.
pub(crate) const fn asks_to_end(signal: u8) -> bool {
    matches!(signal, 1 | 2 | KILL | TERMINATE)
}

/// The message that carries a signal.
pub(crate) const fn message(signal: u8) -> Message {
    Message::Signal(signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_named_as_in_docker() {
        for (text, expected) in
            [("9", 9), ("KILL", 9), ("SIGKILL", 9), ("usr1", 10), ("SIGQUIT", 3), ("64", 64)]
        {
            assert_eq!(number(text), Some(expected), "{text}");
        }
        for bad in ["", "0", "65", "SIG", "FOO", "-9"] {
            assert_eq!(number(bad), None, "{bad}");
        }
        assert_eq!((name(15), name(60)), ("SIGTERM".into(), "60".into()));
    }
}
