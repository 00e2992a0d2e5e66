//! Datagram sockets as a program of descriptors uses them. The next datagram is taken in when it is asked whether there is one,
//! so that what is told is so by whichever provider it came.

use super::{UdpSocket, Way};
use crate::ports::{self, Share};
use crate::stack;
use crate::{addr, loopback};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::task::{Context, Poll};
use kernlet_platform::Errno;
use kernlet_platform::cell::RefCell;
use kernlet_sync::CpuLocal;

/// Room for the largest datagram.
const LARGEST: usize = 65_535;
/// What a socket keeps of its buffer when a large datagram has been read.
const KEPT: usize = 4096;

/// Where datagrams are received before it is known how long they are.
static LANDING: CpuLocal<RefCell<Vec<u8>>> = CpuLocal::new(RefCell::default);

/// The datagram that is read next.
#[derive(Default)]
pub struct Next {
    bytes: Vec<u8>,
    peer: Option<SocketAddr>,
}

impl Next {
    /// The datagram and who sent it.
    pub fn get(&self) -> Option<(&[u8], SocketAddr)> {
        self.peer.map(|peer| (&self.bytes[..], peer))
    }

    /// It has been read.
    pub fn pop(&mut self) {
        self.peer = None;
        self.bytes.clear();
        self.bytes.shrink_to(KEPT);
    }
}

impl UdpSocket {
    /// Binds `address`, which others may have as far as both say so.
    ///
    /// # Errors
    /// As for [`Self::bind`].
    pub fn bind_shared(address: SocketAddr, share: Share) -> Result<Self, Errno> {
        let address = addr::canonical(address);
        addr::check_local(address.ip())?;
        ports::UDP.get().bind_shared(address, share).map(Self::at)
    }

    /// Takes the next datagram in, unless one is there, or leaves a waker.
    ///
    /// # Errors
    /// What the host says about its socket.
    pub fn poll_next(&self, context: &mut Context<'_>, next: &mut Next) -> Poll<Result<(), Errno>> {
        // Who watches is told of each that comes, also behind one that nobody has read.
        self.inside.register(context);
        if next.peer.is_some() {
            return Poll::Ready(Ok(()));
        }
        let mut landing = LANDING.get().borrow_mut();
        landing.resize(LARGEST, 0);
        match self.poll_recv_from(context, &mut landing) {
            Poll::Ready(Ok((length, peer))) => {
                next.bytes.clear();
                next.bytes.extend_from_slice(&landing[..length]);
                next.peer = Some(peer);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Gets a way to `to` ready, which may have to be asked for; then [`Self::poll_send_to`] finds it.
    ///
    /// # Errors
    /// As for [`Self::send_to`].
    pub async fn prepare(&self, to: SocketAddr) -> Result<(), Errno> {
        let to = addr::destination(to);
        match self.way_to(to)? {
            Way::Host(_) if self.host.is_none() => {
                self.outgoing.towards(to).await?;
                // Who waits to receive does not know the new socket yet.
                self.inside.wake();
                Ok(())
            }
            Way::Stack => match stack::get() {
                Some(stack) if stack.leads_to(to.ip()).await => Ok(()),
                _ => Err(Errno::ENETUNREACH),
            },
            Way::Inside | Way::Host(_) => Ok(()),
        }
    }

    /// Whether [`Self::prepare`] would have to wait.
    pub fn is_prepared(&self, to: SocketAddr) -> bool {
        let to = addr::destination(to);
        match self.way_to(to) {
            Ok(Way::Host(_)) => self.host.is_some() || self.outgoing.known(to).is_some(),
            Ok(Way::Stack) => stack::get().is_some_and(|stack| stack.leads_now(to.ip())),
            Ok(Way::Inside) | Err(_) => true,
        }
    }

    /// Sends a datagram to `to`, to which the way is ready, or leaves a waker.
    ///
    /// # Errors
    /// As for [`Self::send_to`].
    pub fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        bytes: &[u8],
        to: SocketAddr,
    ) -> Poll<Result<usize, Errno>> {
        let to = addr::destination(to);
        match self.way_to(to)? {
            Way::Inside => {
                loopback::udp::choose(to, self.bound.address().port());
                Poll::Ready(self.inside.send(bytes, to).map(|()| bytes.len()))
            }
            Way::Host(number) => match (&self.host, self.outgoing.known(to)) {
                (Some(host), _) => host.poll_send(context, bytes, to, number),
                (None, Some(socket)) => socket.poll_write(context, |s| s.send(bytes)),
                (None, None) => Poll::Ready(Err(Errno::ENETUNREACH)),
            },
            Way::Stack => match &self.stack {
                Some(socket) => socket.poll_send(context, bytes, to),
                None => Poll::Ready(Err(Errno::ENETUNREACH)),
            },
        }
    }

    /// Sets an option of the host's sockets, if the port is published.
    pub fn set_option(&self, level: u32, name: u32, value: [u32; 2]) {
        if let Some(host) = &self.host {
            host.set_option(level, name, value);
        }
    }

    fn way_to(&self, to: SocketAddr) -> Result<Way, Errno> {
        let bound = self.bound.address().ip();
        let known = self.host.as_ref().and_then(|_| self.peers.way(to));
        let speaks = bound.is_ipv4() == to.is_ipv4() || bound == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        if !speaks && known.is_none() {
            return Err(Errno::EAFNOSUPPORT);
        }
        Ok(known.unwrap_or_else(|| self.way(to)))
    }
}
