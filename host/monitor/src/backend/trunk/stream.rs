//! A connection of the instance's.

use super::Stop;
use super::line::Line;
use kernlet_wire::trunk::{STREAM_WINDOW, kind};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The most data in one frame, so that others get their turn.
const PIECE: usize = 32 << 10;
/// What went out is reported when it is a quarter of the window.
const REPORT: u32 = STREAM_WINDOW / 4;

#[derive(Debug)]
pub(super) struct Stream {
    socket: OwnedFd,
    /// How much the instance has room for.
    credit: u32,
    /// What the socket has not taken yet.
    pending: VecDeque<u8>,
    /// What it took and the instance was not told of.
    unreported: u32,
    /// Nothing more will come from the socket.
    silent: bool,
    /// The instance has ended writing; the socket is told behind what is pending.
    ends: bool,
    /// The instance has closed it.
    closed: bool,
    /// The socket takes nothing any more.
    failed: bool,
}

impl Stream {
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            credit: STREAM_WINDOW,
            pending: VecDeque::new(),
            unreported: 0,
            silent: false,
            ends: false,
            closed: false,
            failed: false,
        }
    }

    /// Whether to wait for something to read, and for room to write.
    pub(super) fn interest(&self) -> (bool, bool) {
        (!self.silent && !self.closed && self.credit > 0, !self.pending.is_empty())
    }

    /// Whether nothing is left to be done.
    pub(super) fn is_done(&self) -> bool {
        self.closed && self.pending.is_empty()
    }

    pub(super) fn grant(&mut self, more: u32) {
        self.credit = self.credit.saturating_add(more).min(STREAM_WINDOW);
    }

    /// Reads once, as far as the instance has room.
    pub(super) fn receive(&mut self, id: u32, line: &mut Line) {
        if !self.interest().0 || !line.has_room() {
            return;
        }
        let mut buffer = [0; PIECE];
        let most = PIECE.min(self.credit as usize);
        match recv(&self.socket, &mut buffer[..most], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => {
                self.silent = true;
                line.put(kind::END, id, &[]);
            }
            Ok((_, count)) => {
                let count = count.min(most);
                self.credit -= count as u32;
                line.put(kind::DATA, id, &[&buffer[..count]]);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => self.fail(id, error, line),
        }
    }

    fn fail(&mut self, id: u32, error: Errno, line: &mut Line) {
        (self.silent, self.failed) = (true, true);
        self.pending.clear();
        if !self.closed {
            line.put(kind::ERROR, id, &[&(error.raw_os_error() as u32).to_le_bytes()]);
        }
    }

    /// Takes data of the instance's.
    pub(super) fn take(&mut self, id: u32, bytes: &[u8], line: &mut Line) -> Result<(), Stop> {
        let waiting = self.pending.len() + self.unreported as usize;
        if self.closed || self.ends || waiting + bytes.len() > STREAM_WINDOW as usize {
            return Err(Stop::Broken);
        }
        if self.failed {
            return Ok(());
        }
        self.pending.extend(bytes);
        self.send(id, line);
        Ok(())
    }

    /// Writes what the socket takes.
    pub(super) fn send(&mut self, id: u32, line: &mut Line) {
        while !self.pending.is_empty() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match send(&self.socket, self.pending.as_slices().0, flags) {
                Ok(count) => {
                    self.pending.drain(..count);
                    self.unreported += count as u32;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return self.fail(id, error, line),
            }
        }
        if self.unreported >= REPORT && !self.closed {
            line.put(kind::CREDIT, id, &[&self.unreported.to_le_bytes()]);
            self.unreported = 0;
        }
        self.end_if_due();
    }

    /// The instance writes no more.
    pub(super) fn end(&mut self) {
        self.ends = true;
        self.end_if_due();
    }

    fn end_if_due(&self) {
        if self.ends && self.pending.is_empty() {
            // A connection that is gone has no writing to end.
            let _ = shutdown(&self.socket, Shutdown::Write);
        }
    }

    /// The instance is done with it. With something `unread` the other end is told by a reset, as TCP does it
    /// (RFC 9293, 3.10.4).
    pub(super) fn close(&mut self, unread: bool) {
        self.closed = true;
        if unread {
            self.pending.clear();
            let _ = sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO));
        }
    }

    pub(super) fn set_nodelay(&self, on: bool) {
        // It is a hint.
        let _ = sockopt::set_tcp_nodelay(&self.socket, on);
    }

    /// The instance is gone: writes what is left; `true` when some of it has to wait.
    pub(super) fn last_words(&mut self) -> bool {
        while !self.pending.is_empty() {
            match send(&self.socket, self.pending.as_slices().0, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(count) => drop(self.pending.drain(..count)),
                Err(Errno::AGAIN) => return true,
                Err(Errno::INTR) => {}
                Err(_) => self.pending.clear(),
            }
        }
        false
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
