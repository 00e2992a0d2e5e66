//! Connections of the own stack as a program of descriptors uses them.

use super::connection::DEAD;
use super::stream::Stream;
use crate::memory::Memory;
use crate::ready;
use core::task::{Context, Poll, Waker};
use kernlet_platform::Errno;
use smoltcp::socket::tcp::{self, RecvError, State};
use smoltcp::time::Duration;

/// IPPROTO_IP, IPPROTO_TCP, IPPROTO_IPV6.
const IP: u32 = 0;
const TCP: u32 = 6;
const IPV6: u32 = 41;

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

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        self.connection.with(|socket| matches!(socket.state(), State::Closed | State::TimeWait))
    }

    /// Breaks it off: the other end sees a reset.
    pub fn break_off(&self) {
        self.connection.with(tcp::Socket::abort);
        self.touch();
    }

    /// Sets TCP_NODELAY, TCP_USER_TIMEOUT, IP_TTL or IPV6_UNICAST_HOPS; others are without effect here.
    pub fn set_option(&self, level: u32, name: u32, value: u32) {
        let six = self.tuple().remote.is_ipv6();
        match (level, name) {
            (TCP, 1) => self.set_nodelay(value != 0),
            (TCP, 18) => self.connection.dead.set(match value {
                0 => DEAD,
                milliseconds => core::time::Duration::from_millis(milliseconds.into()),
            }),
            (IP, 2) if !six => self.set_hops(value),
            (IPV6, 16) if six => self.set_hops(value),
            _ => {}
        }
    }

    fn set_hops(&self, value: u32) {
        // smoltcp refuses 0, which nobody can set; what is no byte is the system's own.
        let hops = u8::try_from(value).ok().filter(|hops| *hops > 0);
        self.connection.with(|socket| socket.set_hop_limit(hops));
    }

    /// See [`crate::TcpStream::keep_alive`].
    pub fn keep_alive(&self, after: Option<[u32; 2]>) {
        let after = after.map(|both| both.map(|seconds| Duration::from_secs(seconds.into())));
        self.connection.with(|socket| {
            socket.set_keep_alive(after.map(|[idle, _]| idle));
            socket.set_timeout(after.map(|[_, silent]| silent));
        });
        self.touch();
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
