//! Streams inside the instance as a program of descriptors uses them.

use super::pipe::{CAPACITY, Pipe};
use super::tcp::Stream;
use crate::memory::Memory;
use crate::ready;
use core::task::{Context, Poll, Waker};
use kernlet_platform::Errno;

/// What is copied at a time.
const CHUNK: usize = 4096;

impl Pipe {
    /// Reads what is there into a program's memory; 0 bytes at the end.
    pub fn poll_receive(
        &self,
        context: &Context<'_>,
        to: &mut dyn Memory,
        peek: bool,
    ) -> Poll<Result<usize, Errno>> {
        if self.reset.get() && self.len() == 0 {
            return Poll::Ready(Err(Errno::ECONNRESET));
        }
        if to.remaining() == 0 || self.deaf.get() {
            return Poll::Ready(Ok(0));
        }
        let mut done = 0;
        {
            let buffer = self.buffer.borrow();
            let (first, second) = buffer.as_slices();
            for part in [first, second] {
                match to.fill(part) {
                    Ok(length) => {
                        done += length;
                        if length < part.len() {
                            break;
                        }
                    }
                    Err(_) if done > 0 => break,
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        }
        if done > 0 {
            if !peek {
                self.buffer.borrow_mut().drain(..done);
                self.writer.wake();
            }
            return Poll::Ready(Ok(done));
        }
        if self.ended.get() {
            return Poll::Ready(Ok(0));
        }
        self.reader.register(context);
        Poll::Pending
    }

    /// Writes what fits from a program's memory.
    pub fn poll_send(&self, context: &Context<'_>, from: &mut dyn Memory) -> Poll<Result<usize, Errno>> {
        if self.reset.get() {
            return Poll::Ready(Err(Errno::ECONNRESET));
        }
        if self.deaf.get() && !self.ended.get() && !self.in_vain.replace(true) {
            // Between two hosts the first that is written after the other end has closed goes out, and a reset comes back:
            // as much as there is room for.
            let length = from.remaining().min(CAPACITY);
            from.advance(length);
            return Poll::Ready(Ok(length));
        }
        if self.ended.get() || self.deaf.get() {
            return Poll::Ready(Err(Errno::EPIPE));
        }
        let mut done = 0;
        while from.remaining() > 0 {
            let room = CAPACITY - self.buffer.borrow().len();
            if room == 0 {
                break;
            }
            let mut chunk = [0; CHUNK];
            match from.take(&mut chunk[..room.min(CHUNK)]) {
                Ok(length) => {
                    self.buffer.borrow_mut().extend(&chunk[..length]);
                    done += length;
                }
                Err(_) if done > 0 => break,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        if done > 0 {
            self.reader.wake();
        } else if from.remaining() > 0 {
            self.writer.register(context);
            return Poll::Pending;
        }
        Poll::Ready(Ok(done))
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.buffer.borrow().len()
    }
}

impl Stream {
    /// Reads what is there into a program's memory; 0 bytes at the end. With `peek` it stays there.
    pub fn poll_receive(
        &self,
        context: &Context<'_>,
        to: &mut dyn Memory,
        peek: bool,
    ) -> Poll<Result<usize, Errno>> {
        self.read.poll_receive(context, to, peek)
    }

    /// Writes what fits from a program's memory.
    pub fn poll_send(&self, context: &Context<'_>, from: &mut dyn Memory) -> Poll<Result<usize, Errno>> {
        self.write.poll_send(context, from)
    }

    /// What it is ready for, and wakers that are told of the next change.
    pub fn readiness(&self, readable: &Waker, writable: &Waker) -> u32 {
        let (read, write) = (&*self.read, &*self.write);
        read.reader.register(&Context::from_waker(readable));
        write.writer.register(&Context::from_waker(writable));
        let reset = read.reset.get();
        let (no_reading, no_writing) = (read.ended.get() || read.deaf.get() || reset, write.ended.get());
        let in_vain = no_writing || write.deaf.get() || reset;
        ready::when(ready::IN, no_reading || read.len() > 0)
            | ready::when(ready::OUT, in_vain || write.len() < CAPACITY)
            | ready::when(ready::READ_HANG_UP, no_reading)
            | ready::when(ready::HANG_UP, reset || (no_reading && no_writing))
            | ready::when(ready::ERROR, reset)
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.read.reset.get() || (self.read.ended.get() && self.write.ended.get())
    }

    /// Whether the other end has reset it.
    pub fn is_reset(&self) -> bool {
        self.read.reset.get()
    }

    /// Bytes that can be read at once.
    pub fn available(&self) -> usize {
        self.read.len()
    }

    /// Bytes that were written and not read yet.
    pub fn unsent(&self) -> usize {
        self.write.len()
    }
}
