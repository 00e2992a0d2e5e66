//! What an instance writes: shown at once when somebody looks, kept in the log always.
//!
//! While a slow reader has not taken what is there, no more is read from the instance: nothing is lost, and the
//! program waits as it would on any terminal.

use crate::log::{Stream, Writer};
use crate::symbolise::Symboliser;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::SystemTime;

/// A reader that is ready takes as much without blocking (PIPE_BUF).
const STEP: usize = 4096;
/// The capacity of a pipe.
const CHUNK: usize = 1 << 16;
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// One stream out of the instance.
#[derive(Debug)]
pub(super) struct Outlet {
    stream: Stream,
    source: Option<OwnedFd>,
    show: Option<BorrowedFd<'static>>,
    pending: Vec<u8>,
    shown: usize,
}

/// What outlets write to and work with.
pub(super) struct Means {
    pub log: Writer,
    pub symboliser: Symboliser,
    pub buffer: Vec<u8>,
}

impl Outlet {
    pub(super) const fn new(stream: Stream, show: Option<BorrowedFd<'static>>) -> Self {
        Self { stream, source: None, show, pending: Vec::new(), shown: 0 }
    }

    /// Takes the descriptor of a new life of the instance.
    pub(super) fn connect(&mut self, source: Option<OwnedFd>) {
        self.source = source;
    }

    /// The source, when more may be read from it.
    pub(super) fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().filter(|_| self.pending.is_empty()).map(AsFd::as_fd)
    }

    /// The reader, when something waits for it.
    pub(super) fn writable(&self) -> Option<BorrowedFd<'static>> {
        self.show.filter(|_| !self.pending.is_empty())
    }

    /// Reads once from the source, which is ready; `false` at its end.
    pub(super) fn read(&mut self, means: &mut Means) -> bool {
        let Some(source) = &self.source else { return false };
        let Means { log, symboliser, buffer } = means;
        buffer.clear();
        buffer.reserve(CHUNK);
        match read(source, spare_capacity(buffer)) {
            Ok(length) if length > 0 => {}
            Err(Errno::INTR | Errno::AGAIN) => return true,
            _ => {
                self.source = None;
                let rest = if self.stream == Stream::Error { symboliser.finish() } else { Vec::new() };
                self.emit(&rest, log);
                return false;
            }
        }
        if self.stream == Stream::Error {
            let text = symboliser.feed(buffer);
            self.emit(&text, log);
        } else {
            self.emit(buffer, log);
        }
        true
    }

    fn emit(&mut self, text: &[u8], log: &mut Writer) {
        if text.is_empty() {
            return;
        }
        let shown = self.write(text);
        log.append(self.stream, text, SystemTime::now());
        if self.show.is_some() && shown < text.len() {
            self.pending.extend_from_slice(&text[shown..]);
        }
    }

    /// Shows what waits, as far as the reader takes it.
    pub(super) fn flush(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        self.shown += self.write(&pending[self.shown..]);
        if self.show.is_some() && self.shown < pending.len() {
            self.pending = pending;
        } else {
            self.shown = 0;
        }
    }

    /// Writes what the reader takes without blocking.
    fn write(&mut self, text: &[u8]) -> usize {
        let mut written = 0;
        while let Some(show) = self.show
            && written < text.len()
        {
            let mut ready = [PollFd::new(&show, PollFlags::OUT)];
            match poll(&mut ready, Some(&NOW)) {
                Ok(1) => {}
                _ => break,
            }
            match write(show, &text[written..text.len().min(written + STEP)]) {
                Ok(length) => written += length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    // Nobody reads any more: the program is to learn it as it would without kernlet.
                    self.show = None;
                    self.source = None;
                }
            }
        }
        written
    }

    /// After the instance's end: whether there is something that can be read now.
    pub(super) fn has_more(&self) -> bool {
        self.readable().is_some_and(|source| {
            let mut ready = [PollFd::new(&source, PollFlags::IN)];
            poll(&mut ready, Some(&NOW)) == Ok(1)
        })
    }

    /// Forgets the source of a life that has ended.
    pub(super) fn disconnect(&mut self) {
        self.source = None;
    }
}
