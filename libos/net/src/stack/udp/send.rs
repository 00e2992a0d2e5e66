//! Datagrams that are sent unasked: to the next hop's MAC address at once if it is known and the link has room, else out
//! of a queue when that is so.

use super::Endpoint;
use crate::stack::build::Ends;
use crate::stack::inner::Inner;
use crate::stack::packet::{ETHERNET, UDP};
use crate::stack::{PATIENCE, STUCK};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll};
use kernlet_platform::Errno;
use kernlet_time::Instant;
use smoltcp::wire::IpAddress;

/// What waits in an endpoint's queue, in number and bytes; one of any size finds room when there is none.
const MOST: usize = 32;
const MOST_BYTES: usize = 32 * 1024;

/// A datagram that waits.
struct Unsent {
    from: SocketAddr,
    to: SocketAddr,
    payload: Box<[u8]>,
    until: Instant,
}

/// What an endpoint has to send.
#[derive(Default)]
pub struct Queue(VecDeque<Unsent>);

/// Why a datagram cannot be sent now.
enum Wait {
    /// The link is full.
    Room,
    /// The neighbour is unknown; it is asked for again then.
    Neighbour(Instant),
    /// Nothing leads there.
    Forever,
}

/// What the longest datagram holds: IPv4's length takes in its header, IPv6's does not.
pub fn longest(address: IpAddr) -> usize {
    if address.is_ipv4() { 65_535 - 28 } else { 65_535 - 8 }
}

impl Queue {
    fn has_room(&self, length: usize) -> bool {
        let bytes: usize = self.0.iter().map(|unsent| unsent.payload.len()).sum();
        self.0.is_empty() || (self.0.len() < MOST && bytes + length <= MOST_BYTES)
    }
}

impl Inner {
    /// Sends a datagram, in fragments if it must be.
    fn send_datagram(
        &mut self,
        from: SocketAddr,
        to: SocketAddr,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), Wait> {
        let to_mac =
            self.mac_towards(to.ip(), now).map_err(|at| at.map_or(Wait::Forever, Wait::Neighbour))?;
        // What came before it goes before it.
        if !self.outgoing.is_empty() || !self.link.has_room() {
            return Err(Wait::Room);
        }
        let facts = self.link.facts();
        let ends = Ends { from_mac: facts.mac, to_mac, from, to };
        let length = ends.datagram_length(payload.len());
        if length > usize::from(facts.mtu) + ETHERNET {
            self.outgoing.push(&*self.link, ends, UDP, ends.datagram(payload), now);
            return Ok(());
        }
        let write = &mut |frame: &mut [u8]| ends.write_datagram(frame, payload, facts.checksums);
        match self.link.transmit(length, write) {
            Err(Errno::EAGAIN) => Err(Wait::Room),
            // What a device refuses is lost.
            _ => Ok(()),
        }
    }
}

impl Endpoint {
    /// Sends a datagram, or leaves a waker while the queue is full.
    ///
    /// # Errors
    /// EMSGSIZE when it is longer than any, EINVAL when nobody can be at `to`, ENETUNREACH when nothing leads there.
    pub fn poll_send(
        self: &Rc<Self>,
        context: &Context<'_>,
        bytes: &[u8],
        to: SocketAddr,
    ) -> Poll<Result<usize, Errno>> {
        if bytes.len() > longest(to.ip()) {
            return Poll::Ready(Err(Errno::EMSGSIZE));
        }
        let bound = self.bound.address.ip();
        let wrong = !bound.is_unspecified() && bound.is_ipv4() != to.is_ipv4();
        if to.port() == 0 || to.ip().is_unspecified() || wrong {
            return Poll::Ready(Err(Errno::EINVAL));
        }
        let mut queue = self.unsent.borrow_mut();
        if !queue.has_room(bytes.len()) {
            self.writer.register(context);
            return Poll::Pending;
        }
        let now = self.stack.now();
        let inner = &mut *self.stack.inner.borrow_mut();
        let own = Some(bound).filter(|ip| !ip.is_unspecified());
        let source = || inner.iface.get_source_address(&IpAddress::from(to.ip())).map(IpAddr::from);
        let Some(own) = own.or_else(source) else { return Poll::Ready(Err(Errno::ENETUNREACH)) };
        let from = SocketAddr::new(own, self.bound.address.port());
        let waits = if queue.0.is_empty() {
            match inner.send_datagram(from, to, bytes, now) {
                Ok(()) => false,
                Err(Wait::Forever) => return Poll::Ready(Err(Errno::ENETUNREACH)),
                Err(_) => true,
            }
        } else {
            true
        };
        if waits {
            queue.0.push_back(Unsent { from, to, payload: bytes.into(), until: now + STUCK });
            if !self.pending.replace(true) {
                self.stack.udp.pending.borrow_mut().push(self.clone());
            }
        }
        // The stack's task tells the device, once of all that is sent until it runs.
        self.stack.kick();
        Poll::Ready(Ok(bytes.len()))
    }

    /// Sends what is queued; returns when to try again if something is left.
    pub(super) fn egress(&self, inner: &mut Inner, now: Instant) -> Option<Instant> {
        let mut queue = self.unsent.borrow_mut();
        let (before, mut full, mut next) = (queue.0.len(), false, None::<Instant>);
        queue.0.retain(|unsent| {
            if unsent.until <= now {
                return false;
            }
            // Behind one that finds no room nothing is sent; one whose neighbour is unknown holds nobody up.
            let again = if full {
                unsent.until
            } else {
                match inner.send_datagram(unsent.from, unsent.to, &unsent.payload, now) {
                    Ok(()) | Err(Wait::Forever) => return false,
                    Err(Wait::Neighbour(at)) => at,
                    Err(Wait::Room) => {
                        full = true;
                        now + PATIENCE
                    }
                }
            };
            next = [next, Some(again.min(unsent.until))].into_iter().flatten().min();
            true
        });
        if queue.0.len() < before {
            self.writer.wake();
        }
        next
    }
}
