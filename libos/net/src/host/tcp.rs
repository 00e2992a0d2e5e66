//! Published TCP ports and the streams that come in by them.

use super::{Watch, Watched};
use crate::{Shutdown, addr};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use kernlet_platform::Errno;
use kernlet_platform::cell::RefCell;
use kernlet_platform::socket::{self, HostListener, HostStream};
use kernlet_sync::{CpuLocal, SmallMap};

impl Watch for HostListener {
    fn watch(&self, token: u32) -> Result<(), Errno> {
        HostListener::watch(self, token)
    }
}

impl Watch for HostStream {
    fn watch(&self, token: u32) -> Result<(), Errno> {
        HostStream::watch(self, token)
    }
}

/// The host listeners of a published port: one for each address of the host at which it is published.
pub struct Published {
    pub(super) listeners: Vec<Watched<HostListener>>,
    /// Which one is asked first, so that a busy one does not shut the others out.
    first: Cell<usize>,
}

type Ports = RefCell<SmallMap<u16, Option<Rc<Published>>>>;
pub(super) static PUBLISHED: CpuLocal<Ports> = CpuLocal::new(RefCell::default);

/// The host's listeners for `port`, if the port is published.
pub fn published(port: u16) -> Option<Rc<Published>> {
    let mut all = PUBLISHED.get().borrow_mut();
    all.get_or_insert_with(port, || Published::new(socket::listeners(port)).map(Rc::new)).clone()
}

impl Published {
    pub(super) fn new(listeners: impl Iterator<Item = HostListener>) -> Option<Self> {
        let listeners: Vec<_> = listeners.map(Watched::new).collect();
        (!listeners.is_empty()).then_some(Self { listeners, first: Cell::new(0) })
    }

    /// Accepts a connection, or leaves a waker. A connection that ended before it was accepted is passed over.
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Result<Stream, Errno>> {
        let first = self.first.get();
        let (before, from) = self.listeners.split_at(first.min(self.listeners.len()));
        self.first.set(if from.len() > 1 { first + 1 } else { 0 });
        for listener in from.iter().chain(before) {
            let accepted = listener.poll_read(context, |listener| {
                loop {
                    match listener.accept() {
                        Err(Errno::ECONNABORTED) => {}
                        other => return other,
                    }
                }
            });
            if accepted.is_ready() {
                return accepted.map_ok(|(stream, peer)| Stream::new(stream, addr::canonical(peer)));
            }
        }
        Poll::Pending
    }
}

/// A stream of the host's.
pub struct Stream {
    pub(super) watched: Watched<HostStream>,
    peer: SocketAddr,
    /// The last reader took all that it had room for.
    pub(super) unsure: Cell<bool>,
}

impl Stream {
    /// A connected stream of the host's, with the other end's address.
    pub fn new(stream: HostStream, peer: SocketAddr) -> Self {
        Self { watched: Watched::new(stream), peer, unsure: Cell::new(false) }
    }

    /// Reads what is there; 0 bytes at the end.
    pub fn poll_read(&self, context: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize, Errno>> {
        self.watched.poll_read_stream(context, into, HostStream::read)
    }

    /// Writes what fits.
    pub fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Errno>> {
        self.watched.poll_write(context, |s| s.write(bytes))
    }

    /// Writes what fits of several pieces.
    pub fn poll_write_vectored(
        &self,
        context: &mut Context<'_>,
        pieces: &[&[u8]],
    ) -> Poll<Result<usize, Errno>> {
        self.watched.poll_write(context, |s| s.write_vectored(pieces))
    }

    /// Ends one or both directions.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        self.watched.socket.shutdown(how)
    }

    /// Sends small segments at once.
    pub fn set_nodelay(&self, on: bool) -> Result<(), Errno> {
        self.watched.socket.set_nodelay(on)
    }

    /// The local address, on the host.
    pub fn local(&self) -> Result<SocketAddr, Errno> {
        self.watched.socket.local_address().map(addr::canonical)
    }

    /// The other end's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }
}
