//! Accepting connections.

use super::TcpStream;
use super::stream::Provider;
use crate::ports::{self, Bound};
use crate::turn::Turn;
use crate::{addr, host, loopback, stack};
use alloc::rc::Rc;
use core::cell::Cell;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use kernlet_platform::Errno;
use kernlet_sync::poll_fn;

/// So many hold what a published port is served by, when one socket does: the list of them, too.
const SOLE: usize = 2;

/// A listening TCP socket, as `std::net::TcpListener`, but asynchronous. Dropping it closes it.
pub struct TcpListener {
    pub(super) bound: Bound,
    pub(super) inside: loopback::tcp::Listener,
    pub(super) host: Option<Rc<host::tcp::Published>>,
    stack: Option<stack::listener::Listener>,
    accepting: Turn,
    /// Which provider is asked first, so that a busy one does not shut the others out.
    first: Cell<u8>,
}

impl TcpListener {
    /// Binds `address` and listens; port 0 chooses one. `0.0.0.0` accepts IPv4 from everywhere, `[::]` both
    /// families. A port that the monitor did not publish is bound all the same, and reachable inside the instance.
    ///
    /// # Errors
    /// EADDRINUSE when the port is taken, EADDRNOTAVAIL when the address is not one of this instance.
    #[expect(clippy::unused_async, reason = "binding may come to wait for the network's configuration")]
    pub async fn bind(address: impl Into<SocketAddr>) -> Result<Self, Errno> {
        let address = addr::canonical(address.into());
        addr::check_local(address.ip())?;
        ports::TCP.get().bind(address).map(Self::at)
    }

    /// Listens at a bound address.
    pub(super) fn at(bound: Bound) -> Self {
        let (address, local) = (bound.address(), bound.local());
        Self {
            inside: loopback::tcp::Listener::new(local),
            host: address
                .ip()
                .is_unspecified()
                .then(|| host::tcp::published(address.port()))
                .flatten()
                .filter(|host| local.shares(Rc::strong_count(host) > SOLE)),
            stack: stack::get()
                .filter(|_| !address.ip().is_loopback())
                .map(|s| stack::listener::Listener::new(s, local)),
            bound,
            accepting: Turn::default(),
            first: Cell::new(0),
        }
    }

    /// Waits for a connection; gives it with the other end's address.
    ///
    /// # Errors
    /// What the host says about its listener (EMFILE, ...). The listener stays usable; after such an error wait a
    /// little before the next call.
    pub async fn accept(&self) -> Result<(TcpStream, SocketAddr), Errno> {
        let _turn = self.accepting.take().await;
        let provider = poll_fn(|context| self.poll_accept(context)).await?;
        let stream = TcpStream::new(provider);
        let peer = stream.peer_addr()?;
        Ok((stream, peer))
    }

    pub(super) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Result<Provider, Errno>> {
        let first = self.first.get();
        self.first.set((first + 1) % 3);
        for which in (first..first + 3).map(|i| i % 3) {
            let accepted = match which {
                0 => self.inside.poll_accept(context).map(|s| Ok(Provider::Inside(s))),
                1 => match &self.host {
                    Some(host) => host.poll_accept(context).map_ok(Provider::Host),
                    None => Poll::Pending,
                },
                _ => match &self.stack {
                    Some(stack) => stack.poll_accept(context).map(|s| Ok(Provider::Stack(s))),
                    None => Poll::Pending,
                },
            };
            if accepted.is_ready() {
                return accepted;
            }
        }
        Poll::Pending
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// None today.
    pub fn local_addr(&self) -> Result<SocketAddr, Errno> {
        Ok(self.bound.address())
    }
}
