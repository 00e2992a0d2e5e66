//! Connections of the own stack as a program of descriptors uses them.

use super::stream::Stream;
use crate::memory::Memory;
use crate::ready;
use core::task::{Context, Poll, Waker};
use kernlet_platform::Errno;
use smoltcp::socket::tcp::{RecvError, State};

impl Stream {
    /// Reads what is there into a program's memory; 0 bytes at the end. With `peek` it stays there.
    pub fn poll_receive(
        &self,
        context: &Context<'_>,
        to: &mut dyn Memory,
        peek: bool,
    ) -> Poll<Result<usize, Errno>> {
        if self.connection.deaf.get() || to.remaining() == 0 {
            return Poll::Ready(Ok(0));
        }
        let mut done = 0;
        let result = self.connection.with(|socket| {
            if peek {
                // What wraps around the buffer's end is left for the next time.
                return match socket.peek(to.remaining()) {
                    Ok([]) => {
                        socket.register_recv_waker(context.waker());
                        Poll::Pending
                    }
                    Ok(bytes) => Poll::Ready(to.fill(bytes)),
                    Err(RecvError::Finished) => Poll::Ready(Ok(0)),
                    Err(RecvError::InvalidState) => Poll::Ready(Err(self.connection.error())),
                };
            }
            // The buffer is a ring: what wraps around comes in two.
            loop {
                let received = socket.recv(|bytes| {
                    let filled = to.fill(bytes);
                    (*filled.as_ref().unwrap_or(&0), filled)
                });
                match received {
                    Ok(Ok(0)) if done == 0 => {
                        socket.register_recv_waker(context.waker());
                        return Poll::Pending;
                    }
                    Ok(Ok(0)) => return Poll::Ready(Ok(done)),
                    Ok(Ok(length)) => done += length,
                    _ if done > 0 => return Poll::Ready(Ok(done)),
                    Ok(Err(error)) => return Poll::Ready(Err(error)),
                    Err(RecvError::Finished) => return Poll::Ready(Ok(0)),
                    Err(RecvError::InvalidState) => return Poll::Ready(Err(self.connection.error())),
                }
                if to.remaining() == 0 {
                    return Poll::Ready(Ok(done));
                }
            }
        });
        if done > 0 {
            // The other end may have to be told of the room.
            self.touch();
        }
        result
    }

    /// Writes what fits from a program's memory.
    pub fn poll_send(&self, context: &Context<'_>, from: &mut dyn Memory) -> Poll<Result<usize, Errno>> {
        let mut done = 0;
        let result = self.connection.with(|socket| {
            loop {
                let sent = socket.send(|room| {
                    let taken = from.take(room);
                    (*taken.as_ref().unwrap_or(&0), taken)
                });
                match sent {
                    Ok(Ok(0)) if done == 0 && from.remaining() > 0 => {
                        socket.register_send_waker(context.waker());
                        return Poll::Pending;
                    }
                    Ok(Ok(0)) => return Poll::Ready(Ok(done)),
                    Ok(Ok(length)) => done += length,
                    _ if done > 0 => return Poll::Ready(Ok(done)),
                    Ok(Err(error)) => return Poll::Ready(Err(error)),
                    Err(_) if socket.state() == State::Closed => {
                        return Poll::Ready(Err(self.connection.error()));
                    }
                    Err(_) => return Poll::Ready(Err(Errno::EPIPE)),
                }
            }
        });
        if done > 0 {
            self.touch();
        }
        result
    }

    /// What it is ready for, and wakers that are told of the next change.
    pub fn readiness(&self, readable: &Waker, writable: &Waker) -> u32 {
        let deaf = self.connection.deaf.get();
        self.connection.with(|socket| {
            socket.register_recv_waker(readable);
            socket.register_send_waker(writable);
            let closed = socket.state() == State::Closed;
            let broken = closed && (self.connection.reset.get() || socket.send_queue() > 0);
            let no_reading = deaf || !socket.may_recv();
            ready::when(ready::IN, no_reading || socket.can_recv())
                | ready::when(ready::OUT, socket.can_send() || !socket.may_send())
                | ready::when(ready::READ_HANG_UP, no_reading)
                | ready::when(ready::HANG_UP, closed || (no_reading && !socket.may_send()))
                | ready::when(ready::ERROR, broken)
        })
    }

    /// Bytes that can be read at once.
    pub fn available(&self) -> usize {
        self.connection.with(|socket| socket.recv_queue())
    }

    /// Bytes that the other end has not acknowledged.
    pub fn unsent(&self) -> usize {
        self.connection.with(|socket| socket.send_queue())
    }
}
