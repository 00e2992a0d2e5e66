//! A connection as its user has it.

use super::Stack;
use super::connection::{Connection, Tuple};
use crate::Shutdown;
use crate::ports::Bound;
use alloc::rc::Rc;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll};
use kernlet_platform::Errno;
use smoltcp::socket::tcp::{self, RecvError, State};
use smoltcp::wire::{IpAddress, IpEndpoint};

/// A connection in its user's hands.
pub struct Stream {
    stack: Rc<Stack>,
    pub(super) connection: Rc<Connection>,
}

impl Stream {
    pub(super) fn new(stack: Rc<Stack>, connection: Rc<Connection>) -> Self {
        Self { stack, connection }
    }

    /// Opens a connection from the port `bound`, which it keeps.
    ///
    /// # Errors
    /// EADDRNOTAVAIL when this stack has no address to speak from, EADDRINUSE when there is such a connection.
    pub fn open(stack: &Rc<Stack>, bound: Bound, to: SocketAddr) -> Result<Self, Errno> {
        let mut inner = stack.inner.borrow_mut();
        let from: IpAddr =
            inner.iface.get_source_address(&IpAddress::from(to.ip())).ok_or(Errno::EADDRNOTAVAIL)?.into();
        let local = SocketAddr::new(from, bound.address().port());
        let tuple = Tuple { local, remote: to };
        if stack.tcp.connections.borrow().get(&tuple).is_some() {
            return Err(Errno::EADDRINUSE);
        }
        let connection = Connection::new(tuple, None, Some(bound));
        connection
            .with(|socket| {
                socket.connect(inner.iface.context(), IpEndpoint::from(to), IpEndpoint::from(local))
            })
            .map_err(|_| Errno::EADDRNOTAVAIL)?;
        drop(inner);
        stack.tcp.connections.borrow_mut().insert(tuple, connection.clone());
        let stream = Self::new(stack.clone(), connection);
        stream.touch();
        Ok(stream)
    }

    pub(super) fn touch(&self) {
        self.stack.tcp.touch(&self.connection);
        self.stack.kick();
    }

    /// Ready when the connection has come about.
    pub fn poll_connected(&self, context: &Context<'_>) -> Poll<Result<(), Errno>> {
        self.connection.with(|socket| match socket.state() {
            State::SynSent | State::SynReceived => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            State::Closed if self.connection.reset.get() => Poll::Ready(Err(Errno::ECONNREFUSED)),
            State::Closed => Poll::Ready(Err(Errno::ETIMEDOUT)),
            _ => Poll::Ready(Ok(())),
        })
    }

    /// Reads what is there; 0 bytes at the end.
    pub fn poll_read(&self, context: &Context<'_>, into: &mut [u8]) -> Poll<Result<usize, Errno>> {
        if self.connection.deaf.get() || into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let result = self.connection.with(|socket| match socket.recv_slice(into) {
            Ok(0) => {
                socket.register_recv_waker(context.waker());
                Poll::Pending
            }
            Ok(length) => Poll::Ready(Ok(length)),
            Err(RecvError::Finished) => Poll::Ready(Ok(0)),
            Err(RecvError::InvalidState) => Poll::Ready(Err(self.connection.error())),
        });
        if matches!(result, Poll::Ready(Ok(1..))) {
            // The other end may have to be told of the room.
            self.touch();
        }
        result
    }

    /// Writes what fits.
    pub fn poll_write(&self, context: &Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Errno>> {
        let result = self.connection.with(|socket| match socket.send_slice(bytes) {
            Ok(0) if !bytes.is_empty() => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            Ok(length) => Poll::Ready(Ok(length)),
            Err(_) if socket.state() == State::Closed => Poll::Ready(Err(self.connection.error())),
            Err(_) => Poll::Ready(Err(Errno::EPIPE)),
        });
        if result.is_ready() {
            self.touch();
        }
        result
    }

    /// Ends one or both directions.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        if self.connection.with(|s| s.state()) == State::Closed {
            return Err(Errno::ENOTCONN);
        }
        if how != Shutdown::Write {
            self.connection.deaf.set(true);
        }
        if how != Shutdown::Read {
            self.connection.with(tcp::Socket::close);
        }
        self.touch();
        Ok(())
    }

    /// Sends small segments at once.
    pub fn set_nodelay(&self, on: bool) {
        self.connection.with(|s| s.set_nagle_enabled(!on));
    }

    /// The two ends.
    pub fn tuple(&self) -> Tuple {
        self.connection.tuple
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stack.tcp.orphan(&self.connection, self.stack.now());
        self.stack.kick();
    }
}
