//! Published UDP ports.

use super::{Watch, Watched};
use crate::addr;
use alloc::rc::Rc;
use core::cell::RefCell;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use kernlet_platform::Errno;
use kernlet_platform::socket::{self, Batch, HostDatagram};
use kernlet_sync::{CpuLocal, SmallMap};

/// The host socket of a published port.
pub struct Published {
    watched: Watched<HostDatagram>,
    /// The host socket speaks IPv6, and IPv4 only mapped into it.
    six: bool,
}

impl Watch for HostDatagram {
    fn watch(&self, token: u32) -> Result<(), Errno> {
        HostDatagram::watch(self, token)
    }
}

type Sockets = RefCell<SmallMap<u16, Option<Rc<Published>>>>;
pub(super) static SOCKETS: CpuLocal<Sockets> = CpuLocal::new(RefCell::default);

/// The host's socket for `port`, if the port is published.
pub fn published(port: u16) -> Option<Rc<Published>> {
    let mut all = SOCKETS.get().borrow_mut();
    all.get_or_insert_with(port, || socket::datagram(port).map(|s| Rc::new(Published::new(s)))).clone()
}

impl Published {
    pub(super) fn new(socket: HostDatagram) -> Self {
        let six = socket.local_address().is_ok_and(|a| a.is_ipv6());
        Self { watched: Watched::new(socket), six }
    }

    /// Receives a datagram, or leaves a waker.
    pub fn poll_receive(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), Errno>> {
        let received = self.watched.poll_read(context, |s| s.receive_from(buffer));
        received.map_ok(|(length, peer)| (length, addr::canonical(peer)))
    }

    /// Sends a datagram, or leaves a waker.
    pub fn poll_send(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        to: SocketAddr,
    ) -> Poll<Result<usize, Errno>> {
        let to = if self.six { addr::mapped(to) } else { to };
        self.watched.poll_write(context, |s| s.send_to(bytes, to))
    }

    /// Receives a batch over what `batch` held, or leaves a waker.
    pub fn poll_receive_batch(
        &self,
        context: &mut Context<'_>,
        batch: &mut Batch,
    ) -> Poll<Result<usize, Errno>> {
        self.watched.poll_read(context, |s| s.receive_batch(batch))
    }

    /// Sends a batch's replies, or leaves a waker when some are left.
    pub fn poll_send_batch(&self, context: &mut Context<'_>, batch: &mut Batch) -> Poll<Result<(), Errno>> {
        self.watched.poll_write(context, |s| s.send_batch(batch))
    }
}
