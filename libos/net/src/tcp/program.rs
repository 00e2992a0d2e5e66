//! Connections and listeners as a program of descriptors uses them: tried instead of awaited, asked what they are ready for.

use super::stream::Provider;
use super::{TcpListener, TcpStream};
use crate::memory::Memory;
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker};
use kernlet_platform::Errno;
use kernlet_platform::cell::RefCell;
use kernlet_sync::CpuLocal;

/// Who waits for connections to published ports.
static WAITING: CpuLocal<RefCell<Vec<(u16, Waker)>>> = CpuLocal::new(RefCell::default);

/// Calls the function of the same name of whoever carries the connection.
macro_rules! carried {
    ($stream:expr, $name:ident ( $($argument:expr),* )) => {
        match &$stream.provider {
            Provider::Inside(stream) => stream.$name($($argument),*),
            Provider::Host(stream) => stream.$name($($argument),*),
            Provider::Stack(stream) => stream.$name($($argument),*),
        }
    };
}

impl TcpStream {
    /// Reads what is there into a program's memory, or leaves a waker; 0 bytes at the end. With `peek` it stays there.
    ///
    /// # Errors
    /// As for [`Self::read`]; EFAULT.
    pub fn poll_receive(
        &self,
        context: &mut Context<'_>,
        to: &mut dyn Memory,
        peek: bool,
    ) -> Poll<Result<usize, Errno>> {
        carried!(self, poll_receive(context, to, peek))
    }

    /// Writes what fits from a program's memory, or leaves a waker.
    ///
    /// # Errors
    /// As for [`Self::write`]; EFAULT.
    pub fn poll_send(&self, context: &mut Context<'_>, from: &mut dyn Memory) -> Poll<Result<usize, Errno>> {
        if let Some(bytes) = from.bytes() {
            let written = self.poll_write(context, bytes);
            if let Poll::Ready(Ok(length)) = written {
                from.advance(length);
            }
            return written;
        }
        carried!(self, poll_send(context, from))
    }

    /// As [`Self::poll_receive`], into at most [`crate::PIECES`] pieces of a program's memory (address and length), if the host
    /// carries the connection.
    pub fn poll_receive_at(
        &self,
        context: &mut Context<'_>,
        pieces: &[[usize; 2]],
    ) -> Option<Poll<Result<usize, Errno>>> {
        match &self.provider {
            Provider::Host(stream) => Some(stream.poll_receive_at(context, pieces, false)),
            Provider::Inside(_) | Provider::Stack(_) => None,
        }
    }

    /// As [`Self::poll_send`], from such pieces, if the host carries the connection.
    pub fn poll_send_at(
        &self,
        context: &mut Context<'_>,
        pieces: &[[usize; 2]],
    ) -> Option<Poll<Result<usize, Errno>>> {
        match &self.provider {
            Provider::Host(stream) => Some(stream.poll_send_at(context, pieces)),
            Provider::Inside(_) | Provider::Stack(_) => None,
        }
    }

    /// What it is ready for now ([`crate::ready`]); the wakers are told of the next change.
    pub fn readiness(&self, readable: &Waker, writable: &Waker) -> u32 {
        carried!(self, readiness(readable, writable))
    }

    /// Bytes that can be read at once.
    pub fn available(&self) -> usize {
        carried!(self, available())
    }

    /// Bytes that were written and that the other end has not taken; unknown (0) for those that the host carries.
    pub fn unsent(&self) -> usize {
        match &self.provider {
            Provider::Inside(stream) => stream.unsent(),
            Provider::Host(_) => 0,
            Provider::Stack(stream) => stream.unsent(),
        }
    }

    /// The error that is there to be told, if the host knows one; the others tell it when reading.
    pub fn take_error(&self) -> Option<Errno> {
        match &self.provider {
            Provider::Host(stream) => stream.take_error(),
            Provider::Inside(stream) => stream.is_reset().then_some(Errno::ECONNRESET),
            Provider::Stack(_) => None,
        }
    }

    /// Sets an option of socket(7), tcp(7), ip(7) or ipv6(7), as far as whoever carries the connection knows it.
    ///
    /// # Errors
    /// What the host says.
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) -> Result<(), Errno> {
        match &self.provider {
            // Nothing is ever lost, late or held back there.
            Provider::Inside(_) => Ok(()),
            Provider::Host(stream) => stream.set_option(level, name, value),
            Provider::Stack(stream) => {
                stream.set_option(level, name, value[0]);
                Ok(())
            }
        }
    }

    /// Asks the other end whether it is there when it has been idle for so long, and breaks the connection off when it has been
    /// silent for so long in all (SO_KEEPALIVE), in seconds; `None`: it may be silent for ever. For the host its own options
    /// say so.
    pub fn keep_alive(&self, after: Option<[u32; 2]>) {
        if let Provider::Stack(stream) = &self.provider {
            stream.keep_alive(after);
        }
    }

    /// Breaks the connection off: the other end sees a reset, and what it has not taken is lost. Those that the host carries
    /// end so when their option SO_LINGER says so.
    pub fn break_off(&self) {
        match &self.provider {
            Provider::Inside(stream) => stream.reset(),
            Provider::Host(_) => {}
            Provider::Stack(stream) => stream.break_off(),
        }
    }

    /// Whether it is over: broken, or ended by both ends (TCP's state CLOSE).
    pub fn is_closed(&self) -> bool {
        carried!(self, is_closed())
    }

    /// How the connection does, as a `struct tcp_info`, whose length it tells.
    ///
    /// # Errors
    /// EOPNOTSUPP when nobody knows.
    pub fn information(&self, into: &mut [u8]) -> Result<usize, Errno> {
        match &self.provider {
            Provider::Host(stream) => stream.information(into),
            Provider::Inside(_) | Provider::Stack(_) => Err(Errno::EOPNOTSUPP),
        }
    }

    /// Whether the host carries it, so that this end's address is one of the host's.
    pub fn is_hosted(&self) -> bool {
        matches!(self.provider, Provider::Host(_))
    }
}

impl TcpListener {
    /// Sets an option of the host's listeners, if the port is published.
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) {
        if let Some(host) = &self.host {
            host.set_option(level, name, value);
        }
    }

    /// Accepts a connection, or leaves a waker. One task or relay at a time.
    ///
    /// # Errors
    /// As for [`Self::accept`].
    pub fn poll_connection(&self, context: &mut Context<'_>) -> Poll<Result<TcpStream, Errno>> {
        let accepted = self.poll_accept(context);
        if self.host.is_some() {
            self.share(context.waker(), accepted.is_ready());
        }
        accepted.map_ok(TcpStream::new)
    }

    /// Of several sockets at a published port the host wakes only the last that waited: when one has a connection, and may be busy
    /// with it while there are more, the others look, too.
    fn share(&self, own: &Waker, accepted: bool) {
        let port = self.bound.address().port();
        let mut waiting = WAITING.get().borrow_mut();
        if !accepted {
            if !waiting.iter().any(|(at, known)| *at == port && known.will_wake(own)) {
                waiting.push((port, own.clone()));
            }
            return;
        }
        let mut others = Vec::new();
        waiting.retain(|(at, known)| {
            if *at == port && !known.will_wake(own) {
                others.push(known.clone());
            }
            *at != port
        });
        drop(waiting);
        others.into_iter().for_each(Waker::wake);
    }
}
