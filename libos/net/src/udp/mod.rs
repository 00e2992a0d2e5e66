//! UDP sockets.

mod batch;
mod peers;
mod program;

pub use batch::Batch;
pub use program::Next;

use crate::host::outgoing::Outgoing;
use crate::host::udp::Published;
use crate::loopback::udp::Endpoint;
use crate::ports::{self, Bound};
use crate::turn::Turn;
use crate::{addr, host, stack};
use alloc::rc::Rc;
use core::cell::Cell;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::task::{Context, Poll};
use kernlet_platform::Errno;
use kernlet_sync::poll_fn;
use peers::{Peers, Way};

/// So many hold what a published port is served by, when one socket does: the list of them, too.
const SOLE: usize = 2;

/// A UDP socket, as `std::net::UdpSocket`, but asynchronous. Dropping it closes it.
pub struct UdpSocket {
    bound: Bound,
    inside: Rc<Endpoint>,
    host: Option<Rc<Published>>,
    stack: Option<stack::udp::Socket>,
    outgoing: Outgoing,
    /// Counts up, and says which provider and which host socket is asked first, so that a busy one does not shut the
    /// others out.
    turn: Cell<usize>,
    receiving: Turn,
    sending: Turn,
    peers: Peers,
}

impl UdpSocket {
    /// Binds `address`; port 0 chooses one. `0.0.0.0` receives IPv4 from everywhere, `[::]` both families. A port
    /// that the monitor did not publish is bound all the same, and reachable inside the instance.
    ///
    /// # Errors
    /// EADDRINUSE when the port is taken, EADDRNOTAVAIL when the address is not one of this instance.
    #[expect(clippy::unused_async, reason = "binding may come to wait for the network's configuration")]
    pub async fn bind(address: impl Into<SocketAddr>) -> Result<Self, Errno> {
        let address = addr::canonical(address.into());
        addr::check_local(address.ip())?;
        ports::UDP.get().bind(address).map(Self::at)
    }

    /// A socket at a bound address.
    fn at(bound: Bound) -> Self {
        let (address, local) = (bound.address(), bound.local());
        Self {
            inside: Endpoint::new(local),
            host: address
                .ip()
                .is_unspecified()
                .then(|| host::udp::published(address.port()))
                .flatten()
                .filter(|host| local.shares(Rc::strong_count(host) > SOLE)),
            stack: stack::get()
                .filter(|_| !address.ip().is_loopback())
                .map(|s| stack::udp::Socket::new(s, local)),
            outgoing: Outgoing::default(),
            turn: Cell::new(0),
            bound,
            receiving: Turn::default(),
            sending: Turn::default(),
            peers: Peers::default(),
        }
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    /// None today.
    pub fn local_addr(&self) -> Result<SocketAddr, Errno> {
        Ok(self.bound.address())
    }

    /// Waits for a datagram; what does not fit into `buffer` is cut off.
    ///
    /// # Errors
    /// What the host says about its socket.
    pub async fn recv_from(&self, buffer: &mut [u8]) -> Result<(usize, SocketAddr), Errno> {
        let _turn = self.receiving.take().await;
        poll_fn(|context| self.poll_recv_from(context, buffer)).await
    }

    fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), Errno>> {
        let turn = self.turn.replace(self.turn.get().wrapping_add(1));
        let ways = [Way::Inside, Way::Host(turn / 3), Way::Stack];
        for way in ways.into_iter().cycle().skip(turn % 3).take(3) {
            if let Poll::Ready(received) = self.poll_way(way, context, buffer) {
                return Poll::Ready(received.map(|(length, peer, way)| {
                    self.came(peer, way);
                    (length, peer)
                }));
            }
        }
        Poll::Pending
    }

    /// Receives by one way; tells by which one, as there may be several host sockets.
    fn poll_way(
        &self,
        way: Way,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr, Way), Errno>> {
        let by = |(length, peer)| Ok((length, peer, way));
        match way {
            Way::Inside => {
                let Some((datagram, peer)) = self.inside.take() else {
                    self.inside.register(context);
                    return Poll::Pending;
                };
                let length = datagram.len().min(buffer.len());
                buffer[..length].copy_from_slice(&datagram[..length]);
                Poll::Ready(by((length, peer)))
            }
            Way::Host(first) => match &self.host {
                Some(host) => host
                    .poll_receive(context, buffer, first)
                    .map_ok(|(length, peer, number)| (length, peer, Way::Host(number))),
                None => self.outgoing.poll_receive(context, buffer).map(by),
            },
            Way::Stack => {
                self.stack.as_ref().map_or(Poll::Pending, |stack| stack.poll_receive(context, buffer).map(by))
            }
        }
    }

    /// Remembers by which way `peer` came, if there are several to its address.
    fn came(&self, peer: SocketAddr, way: Way) {
        if let Some(host) = &self.host
            && (host.several() || self.stack.is_some() || addr::is_inside(peer.ip()))
        {
            self.peers.note(peer, way);
        }
    }

    /// The way to an address.
    fn way(&self, to: SocketAddr) -> Way {
        match (&self.stack, &self.host) {
            _ if addr::is_inside(to.ip()) => Way::Inside,
            (Some(_), _) => Way::Stack,
            _ => Way::Host(usize::MAX),
        }
    }

    /// Sends a datagram to `to`, waiting while the sending side is full. As with UDP everywhere, success does not
    /// mean that it arrives.
    ///
    /// # Errors
    /// EMSGSIZE when it is too long, ENETUNREACH when nothing leads there, EACCES when the monitor was not told to let
    /// it (`--allow-connect`), EAFNOSUPPORT when `to` is of a family that the socket does not speak.
    pub async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> Result<usize, Errno> {
        let to = addr::destination(to);
        let bound = self.bound.address().ip();
        let known = self.host.as_ref().and_then(|_| self.peers.way(to));
        let speaks = bound.is_ipv4() == to.is_ipv4() || bound == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        if !speaks && known.is_none() {
            return Err(Errno::EAFNOSUPPORT);
        }
        match known.unwrap_or_else(|| self.way(to)) {
            Way::Inside => self.inside.send(bytes, to).map(|()| bytes.len()),
            Way::Host(number) => {
                if let Some(host) = &self.host {
                    let _turn = self.sending.take().await;
                    return poll_fn(|context| host.poll_send(context, bytes, to, number)).await;
                }
                let socket = self.outgoing.towards(to).await?;
                let _turn = self.sending.take().await;
                // Who waits to receive does not know the new socket yet.
                self.inside.wake();
                poll_fn(|context| socket.poll_write(context, |s| s.send(bytes))).await
            }
            Way::Stack => {
                let (Some(socket), Some(stack)) = (&self.stack, stack::get()) else {
                    return Err(Errno::ENETUNREACH);
                };
                if !stack.leads_to(to.ip()).await {
                    return Err(Errno::ENETUNREACH);
                }
                let _turn = self.sending.take().await;
                poll_fn(|context| socket.poll_send(context, bytes, to)).await
            }
        }
    }

    /// Serves one batch: waits for datagrams, hands each with its sender to `answer`, which writes a reply into
    /// the buffer and returns its length (0: no reply), and sends the replies to where the datagrams came from.
    ///
    /// A server calls it in a loop with the same `batch`. Nothing is allocated, many datagrams share one host
    /// call, and other tasks run now and then even when datagrams never stop coming.
    ///
    /// # Errors
    /// What the host says about its socket.
    pub async fn serve_batch(
        &self,
        batch: &mut Batch,
        mut answer: impl FnMut(&[u8], SocketAddr, &mut [u8]) -> usize,
    ) -> Result<(), Errno> {
        let _turn = self.receiving.take().await;
        poll_fn(|context| {
            let mut served = batch.serve_inside(&self.inside, &mut answer);
            if let Some(stack) = &self.stack {
                served |= stack.poll_serve(context, batch.slots, &mut batch.reply, &mut answer).is_ready();
            }
            if let Some(host) = &self.host {
                match host.poll_serve(context, &mut batch.host, &mut answer)? {
                    Poll::Ready(()) => served = true,
                    // The buffers are taken by replies that found no room.
                    Poll::Pending if batch.host.unsent() > 0 => return Poll::Pending,
                    Poll::Pending => {}
                }
            }
            if served {
                return Poll::Ready(Ok(()));
            }
            self.inside.register(context);
            Poll::Pending
        })
        .await
    }
}
