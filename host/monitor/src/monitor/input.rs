//! What the user types, on its way to the instance.

use crate::terminal::Pty;
use rustix::io::{Errno, read, write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How much is read at once.
const STEP: usize = 4096;
/// The end of the input, typed.
const END_OF_TEXT: u8 = 4;

/// The standard input's way into the instance.
#[derive(Debug, Default)]
pub(super) struct Input {
    source: Option<BorrowedFd<'static>>,
    sink: Option<OwnedFd>,
    pending: Vec<u8>,
    /// The source is at its end: the sink closes when all was taken.
    ended: bool,
}

impl Input {
    pub(super) fn new(source: Option<BorrowedFd<'static>>) -> Self {
        Self { source, ..Self::default() }
    }

    /// Takes the descriptor of a new life of the instance.
    pub(super) fn connect(&mut self, sink: Option<OwnedFd>) {
        self.pending.clear();
        self.sink = sink.filter(|_| !self.ended);
    }

    /// The source, when more may be read from it.
    pub(super) fn readable(&self) -> Option<BorrowedFd<'static>> {
        self.source.filter(|_| self.pending.is_empty() && self.sink.is_some())
    }

    /// The sink, when something waits for it.
    pub(super) fn writable(&self) -> Option<BorrowedFd<'_>> {
        self.sink.as_ref().filter(|_| !self.pending.is_empty()).map(AsFd::as_fd)
    }

    /// Reads once from the source, which is ready. Gives the signals that were typed on a terminal.
    pub(super) fn read(&mut self, terminal: Option<&Pty>) -> Vec<u8> {
        let Some(source) = self.source else { return Vec::new() };
        let mut bytes = [0; STEP];
        let mut signals = Vec::new();
        match read(source, &mut bytes) {
            Ok(length) if length > 0 => {
                self.pending.extend_from_slice(&bytes[..length.min(STEP)]);
                if let Some(pty) = terminal {
                    signals = pty.take_signals(&mut self.pending);
                }
            }
            Err(Errno::INTR | Errno::AGAIN) => {}
            _ => {
                self.source = None;
                self.ended = true;
                if terminal.is_some() {
                    self.pending.push(END_OF_TEXT);
                }
            }
        }
        self.flush();
        signals
    }

    /// Gives the instance what waits, as far as it takes it: the sink does not block.
    pub(super) fn flush(&mut self) {
        if let Some(sink) = self.sink.as_ref().filter(|_| !self.pending.is_empty()) {
            match write(sink, &self.pending) {
                Ok(length) => drop(self.pending.drain(..length)),
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(_) => {
                    // The program has closed its input.
                    self.pending.clear();
                    self.sink = None;
                }
            }
        }
        if self.ended && self.pending.is_empty() {
            self.sink = None;
        }
    }
}
