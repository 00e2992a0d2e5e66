//! One direction of a stream inside the instance: a bounded buffer with two ends.

use crate::turn::Waiter;
use alloc::collections::VecDeque;
use core::cell::Cell;
use core::task::{Context, Poll};
use kernlet_platform::Errno;
use kernlet_platform::cell::RefCell;

/// What a pipe holds at most.
pub const CAPACITY: usize = 64 * 1024;

/// The pipe; its two ends share it.
#[derive(Default)]
pub struct Pipe {
    pub(super) buffer: RefCell<VecDeque<u8>>,
    /// Nothing more will be written.
    pub(super) ended: Cell<bool>,
    /// Nothing more will be read.
    pub(super) deaf: Cell<bool>,
    /// Something was written after the reader had gone.
    pub(super) in_vain: Cell<bool>,
    /// The connection was reset.
    pub(super) reset: Cell<bool>,
    pub(super) reader: Waiter,
    pub(super) writer: Waiter,
}

impl Pipe {
    /// Reads what is there; 0 bytes at the end.
    pub fn poll_read(&self, context: &Context<'_>, into: &mut [u8]) -> Poll<Result<usize, Errno>> {
        let mut buffer = self.buffer.borrow_mut();
        // What had come before a reset is read all the same (tcp_reset in net/ipv4/tcp_input.c).
        if self.reset.get() && buffer.is_empty() {
            return Poll::Ready(Err(Errno::ECONNRESET));
        }
        if into.is_empty() || self.deaf.get() {
            return Poll::Ready(Ok(0));
        }
        let (first, second) = buffer.as_slices();
        let one = first.len().min(into.len());
        into[..one].copy_from_slice(&first[..one]);
        let two = second.len().min(into.len() - one);
        into[one..one + two].copy_from_slice(&second[..two]);
        buffer.drain(..one + two);
        if one + two > 0 {
            drop(buffer);
            self.writer.wake();
            return Poll::Ready(Ok(one + two));
        }
        if self.ended.get() {
            return Poll::Ready(Ok(0));
        }
        self.reader.register(context);
        Poll::Pending
    }

    /// Writes what fits.
    pub fn poll_write(&self, context: &Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Errno>> {
        let mut buffer = self.buffer.borrow_mut();
        if self.reset.get() {
            return Poll::Ready(Err(Errno::ECONNRESET));
        }
        if self.ended.get() || self.deaf.get() {
            return Poll::Ready(Err(Errno::EPIPE));
        }
        let room = (CAPACITY - buffer.len()).min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            self.writer.register(context);
            return Poll::Pending;
        }
        buffer.extend(&bytes[..room]);
        drop(buffer);
        self.reader.wake();
        Poll::Ready(Ok(room))
    }

    /// The writer has no more: the reader sees the end after what is there.
    pub fn end(&self) {
        self.ended.set(true);
        self.wake();
    }

    /// The reader wants no more: the writer sees EPIPE. Tells whether something was left unread.
    pub fn deafen(&self) -> bool {
        self.deaf.set(true);
        let mut buffer = self.buffer.borrow_mut();
        let unread = !buffer.is_empty();
        *buffer = VecDeque::new();
        drop(buffer);
        self.wake();
        unread
    }

    /// Both sides see ECONNRESET, a reader after what is there.
    pub fn reset(&self) {
        self.reset.set(true);
        self.wake();
    }

    fn wake(&self) {
        self.reader.wake();
        self.writer.wake();
    }
}
