//! Host sockets: the ports that the monitor published on the process door.
//!
//! A port of the program may be published at several addresses of the host: each has a host socket of its own, and
//! one socket of the program is served by all of them. Their descriptors are taken once and kept, so that a program
//! may bind the port, drop the socket and bind it again.

mod connect;
pub mod outgoing;
mod program;
pub mod tcp;
pub mod udp;

pub use connect::{connect, resolve};

use core::cell::Cell;
use core::task::{Context, Poll};
use kernlet_exec::Source;
use kernlet_platform::Errno;

/// A host socket with its readiness, watched from the first time that somebody has to wait: what is always ready
/// costs nothing, and short connections often are.
pub struct Watched<T> {
    pub socket: T,
    source: Source,
    watched: Cell<bool>,
}

/// The sockets that can be watched.
pub trait Watch {
    fn watch(&self, token: u32) -> Result<(), Errno>;
}

impl<T: Watch> Watched<T> {
    pub fn new(socket: T) -> Self {
        Self { socket, source: Source::new(), watched: Cell::new(false) }
    }

    /// Tries to read (or accept) as long as there may be something, and leaves a waker after EAGAIN.
    pub fn poll_read<R>(
        &self,
        context: &mut Context<'_>,
        mut attempt: impl FnMut(&T) -> Result<R, Errno>,
    ) -> Poll<Result<R, Errno>> {
        while self.source.poll_readable(context).is_ready() {
            match attempt(&self.socket) {
                Err(Errno::EAGAIN) => self.confirm(Source::clear_readable)?,
                result => return Poll::Ready(result),
            }
        }
        Poll::Pending
    }

    /// Reads as [`Self::poll_read`] does. A stream that gave less than there was room for is empty (epoll(7)), so that
    /// the next attempt need not be made to find that out.
    pub fn poll_read_stream(
        &self,
        context: &mut Context<'_>,
        into: &mut [u8],
        mut read: impl FnMut(&T, &mut [u8]) -> Result<usize, Errno>,
    ) -> Poll<Result<usize, Errno>> {
        let result = self.poll_read(context, |socket| read(socket, into));
        if let Poll::Ready(Ok(length)) = result
            && length > 0
            && length < into.len()
            && self.watched.get()
        {
            self.source.clear_drained();
        }
        result
    }

    /// Tries to write as long as there may be room, and leaves a waker after EAGAIN.
    pub fn poll_write<R>(
        &self,
        context: &mut Context<'_>,
        mut attempt: impl FnMut(&T) -> Result<R, Errno>,
    ) -> Poll<Result<R, Errno>> {
        while self.source.poll_writable(context).is_ready() {
            match attempt(&self.socket) {
                Err(Errno::EAGAIN) => self.confirm(Source::clear_writable)?,
                result => return Poll::Ready(result),
            }
        }
        Poll::Pending
    }

    /// EAGAIN was seen. What became ready between it and the start of watching is reported at the start, so only
    /// an attempt on a watched socket need not be repeated.
    fn confirm(&self, clear: impl FnOnce(&Source)) -> Result<(), Errno> {
        if !self.watched.replace(true) {
            self.socket.watch(self.source.token())?;
        }
        clear(&self.source);
        Ok(())
    }
}

/// Stands in for the monitor on a host build: publishes ports of this thread's instance, for tests.
#[cfg(not(kernlet_image))]
pub mod publish {
    use super::{tcp, udp};
    use alloc::rc::Rc;
    use kernlet_platform::socket::{HostDatagram, HostListener};

    /// Publishes TCP port `port` by listeners of the host.
    pub fn tcp(port: u16, listeners: impl IntoIterator<Item = std::net::TcpListener>) {
        let listeners = listeners.into_iter().map(HostListener::from_std);
        tcp::PUBLISHED.get().borrow_mut().insert(port, tcp::Published::new(listeners).map(Rc::new));
    }

    /// Publishes UDP port `port` by sockets of the host.
    pub fn udp(port: u16, sockets: impl IntoIterator<Item = std::net::UdpSocket>) {
        let sockets = sockets.into_iter().map(HostDatagram::from_std);
        udp::PUBLISHED.get().borrow_mut().insert(port, udp::Published::new(sockets).map(Rc::new));
    }
}
