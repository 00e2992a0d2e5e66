//! Published UDP ports.

use super::{Watch, Watched};
use crate::addr;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use kernlet_platform::Errno;
use kernlet_platform::cell::RefCell;
use kernlet_platform::socket::{self, Batch, HostDatagram};
use kernlet_sync::{CpuLocal, SmallMap};

/// The host sockets of a published port: one for each address of the host at which it is published.
pub struct Published {
    pub(super) sockets: Vec<Socket>,
    /// The socket by which the replies that a batch still holds leave.
    unsent: Cell<usize>,
}

/// One of them.
pub(super) struct Socket {
    pub(super) watched: Watched<HostDatagram>,
    /// It speaks IPv6, and IPv4 only mapped into it.
    six: bool,
}

impl Watch for HostDatagram {
    fn watch(&self, token: u32) -> Result<(), Errno> {
        HostDatagram::watch(self, token)
    }
}

type Ports = RefCell<SmallMap<u16, Option<Rc<Published>>>>;
pub(super) static PUBLISHED: CpuLocal<Ports> = CpuLocal::new(RefCell::default);

/// The host's sockets for `port`, if the port is published.
pub fn published(port: u16) -> Option<Rc<Published>> {
    let mut all = PUBLISHED.get().borrow_mut();
    all.get_or_insert_with(port, || Published::new(socket::datagrams(port)).map(Rc::new)).clone()
}

impl Published {
    pub(super) fn new(sockets: impl Iterator<Item = HostDatagram>) -> Option<Self> {
        let six = |s: &HostDatagram| s.local_address().is_ok_and(|a| a.is_ipv6());
        let sockets: Vec<_> = sockets.map(|s| Socket { six: six(&s), watched: Watched::new(s) }).collect();
        (!sockets.is_empty()).then_some(Self { sockets, unsent: Cell::new(0) })
    }

    /// Whether there are several, so that it matters by which a peer came.
    pub fn several(&self) -> bool {
        self.sockets.len() > 1
    }

    /// Receives a datagram, or leaves a waker; tells the number of the socket by which it came, too. `first` is
    /// asked first.
    pub fn poll_receive(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        first: usize,
    ) -> Poll<Result<(usize, SocketAddr, usize), Errno>> {
        let count = self.sockets.len();
        for number in 0..count {
            let number = (first + number) % count;
            let received = self.sockets[number].watched.poll_read(context, |s| s.receive_from(buffer));
            if received.is_ready() {
                return received.map_ok(|(length, peer)| (length, addr::canonical(peer), number));
            }
        }
        Poll::Pending
    }

    /// Sends a datagram, or leaves a waker: by the socket of that number if there is one, else by the first that
    /// speaks the destination's family.
    pub fn poll_send(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        to: SocketAddr,
        by: usize,
    ) -> Poll<Result<usize, Errno>> {
        let fits = |socket: &&Socket| socket.six == to.is_ipv6();
        let chosen = self.sockets.get(by).or_else(|| self.sockets.iter().find(fits));
        let chosen = chosen.or(self.sockets.first());
        let Some(socket) = chosen else { return Poll::Ready(Err(Errno::ENETUNREACH)) };
        let to = if socket.six { addr::mapped(to) } else { to };
        socket.watched.poll_write(context, |s| s.send_to(bytes, to))
    }

    /// Serves one batch of each socket: receives it over what `batch` held, has it answered, and sends the replies by
    /// the socket by which the datagrams came. Pending, with a waker left, when nothing was there or replies are left.
    pub fn poll_serve(
        &self,
        context: &mut Context<'_>,
        batch: &mut Batch,
        mut answer: impl FnMut(&[u8], SocketAddr, &mut [u8]) -> usize,
    ) -> Poll<Result<(), Errno>> {
        let mut served = Poll::Pending;
        // Replies that found no room (a cancelled call may have left some, too) go first, as the next batch overwrites
        // them.
        if batch.unsent() > 0
            && let Some(socket) = self.sockets.get(self.unsent.get())
        {
            if socket.watched.poll_write(context, |s| s.send_batch(batch))?.is_pending() {
                return Poll::Pending;
            }
            served = Poll::Ready(Ok(()));
        }
        for (number, socket) in self.sockets.iter().enumerate() {
            if socket.watched.poll_read(context, |s| s.receive_batch(batch))?.is_pending() {
                continue;
            }
            batch.answer(|datagram, peer, reply| answer(datagram, addr::canonical(peer), reply));
            if socket.watched.poll_write(context, |s| s.send_batch(batch))?.is_pending() {
                self.unsent.set(number);
                return Poll::Pending;
            }
            served = Poll::Ready(Ok(()));
        }
        served
    }
}
