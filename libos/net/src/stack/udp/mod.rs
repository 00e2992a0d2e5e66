//! UDP over the own stack, without smoltcp. Datagrams are taken out of received frames by port, and a batch server's reply
//! goes straight to the MAC address that asked.

mod send;

use super::build::Ends;
use super::packet::Datagram;
use super::{Inner, Stack, Taken};
use crate::ports::Local;
use crate::turn::Waiter;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::Cell;
use core::net::{IpAddr, SocketAddr};
use core::ops::Deref;
use core::task::{Context, Poll};
use kernlet_platform::cell::RefCell;
use kernlet_sync::SmallMap;
use kernlet_time::Instant;
use smoltcp::storage::{PacketBuffer, PacketMetadata};
use smoltcp::wire::IpAddress;

/// What a socket holds of received datagrams, in number and bytes; more is dropped, as UDP may.
const RECEIVE: (usize, usize) = (512, 256 * 1024);
/// Where a datagram came from.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    peer: SocketAddr,
    /// The address that it was sent to.
    local: IpAddr,
    mac: [u8; 6],
}

impl From<&Datagram> for Origin {
    fn from(datagram: &Datagram) -> Self {
        Self { peer: datagram.source, local: datagram.destination.ip(), mac: datagram.mac }
    }
}

type Queue = PacketBuffer<'static, Origin>;

fn buffer<H: Clone>((count, bytes): (usize, usize)) -> PacketBuffer<'static, H> {
    let metadata: Vec<PacketMetadata<H>> = (0..count).map(|_| PacketMetadata::EMPTY).collect();
    PacketBuffer::new(metadata, alloc::vec![0; bytes])
}

/// A bound socket's place in the stack.
pub struct Endpoint {
    stack: Rc<Stack>,
    bound: Local,
    /// Made when the first datagram comes.
    received: RefCell<Option<Queue>>,
    reader: Waiter,
    unsent: RefCell<send::Queue>,
    /// Whether the table knows that something waits.
    pending: Cell<bool>,
    writer: Waiter,
}

/// The endpoints of a stack.
#[derive(Default)]
pub struct Table {
    ports: RefCell<SmallMap<u16, Vec<Rc<Endpoint>>>>,
    /// Those with something unsent.
    pending: RefCell<Vec<Rc<Endpoint>>>,
    /// The server that waits for datagrams, of several the one that came last.
    waiting: RefCell<Weak<Endpoint>>,
}

impl Table {
    /// The endpoint that datagrams to `destination` are for.
    pub(super) fn endpoint(&self, destination: SocketAddr) -> Option<Rc<Endpoint>> {
        let ports = self.ports.borrow();
        let mut at_port = ports.get(&destination.port()).into_iter().flatten();
        at_port.find(|e| e.bound.takes(destination.ip())).cloned()
    }

    /// Wakes the server that waits, so that it takes frames in by itself; `false` when there is none.
    pub(super) fn offer(&self) -> bool {
        let waiting = self.waiting.take().upgrade();
        waiting.inspect(|endpoint| endpoint.reader.wake()).is_some()
    }

    /// Sends what is pending; returns when to try again at the latest.
    pub(super) fn egress(&self, inner: &mut Inner, now: Instant) -> Option<Instant> {
        if self.pending.borrow().is_empty() {
            return None;
        }
        let mut next = None;
        let mut pending = core::mem::take(&mut *self.pending.borrow_mut());
        pending.retain(|endpoint| {
            let again = endpoint.egress(inner, now);
            endpoint.pending.set(again.is_some());
            next = [next, again].into_iter().flatten().min();
            again.is_some()
        });
        self.pending.borrow_mut().extend(pending);
        next
    }
}

/// The socket's hold on its endpoint. Dropping it ends receiving; what waits to be sent still is.
pub struct Socket(Rc<Endpoint>);

impl Socket {
    /// Listens at an address that [`crate::ports`] has given out.
    pub fn new(stack: &Rc<Stack>, bound: impl Into<Local>) -> Self {
        let bound = bound.into();
        let endpoint = Rc::new(Endpoint {
            stack: stack.clone(),
            bound,
            received: RefCell::new(None),
            reader: Waiter::default(),
            unsent: RefCell::default(),
            pending: Cell::new(false),
            writer: Waiter::default(),
        });
        stack
            .udp
            .ports
            .borrow_mut()
            .get_or_insert_with(bound.address.port(), Vec::new)
            .push(endpoint.clone());
        Self(endpoint)
    }
}

impl Deref for Socket {
    type Target = Rc<Endpoint>;

    fn deref(&self) -> &Rc<Endpoint> {
        &self.0
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut ports = self.stack.udp.ports.borrow_mut();
        if let Some(endpoints) = ports.get_mut(&self.bound.address.port()) {
            endpoints.retain(|e| !Rc::ptr_eq(e, &self.0));
            if endpoints.is_empty() {
                ports.remove(&self.bound.address.port());
            }
        }
    }
}

impl Endpoint {
    /// Queues a datagram.
    pub(super) fn deliver(&self, payload: &[u8], origin: Origin) {
        let mut received = self.received.borrow_mut();
        let queue = received.get_or_insert_with(|| buffer(RECEIVE));
        if let Ok(place) = queue.enqueue(payload.len(), origin) {
            place.copy_from_slice(payload);
            drop(received);
            self.reader.wake();
        }
    }

    /// Receives a datagram, or leaves a waker.
    pub fn poll_receive(&self, context: &Context<'_>, into: &mut [u8]) -> Poll<(usize, SocketAddr)> {
        if let Some(queue) = &mut *self.received.borrow_mut()
            && let Ok((origin, payload)) = queue.dequeue()
        {
            let length = payload.len().min(into.len());
            into[..length].copy_from_slice(&payload[..length]);
            return Poll::Ready((length, origin.peer));
        }
        self.reader.register(context);
        Poll::Pending
    }

    /// Answers what is there, and takes in at most `most` frames; leaves a waker when there is nothing or no room to
    /// send.
    pub fn poll_serve(
        self: &Rc<Self>,
        context: &Context<'_>,
        most: usize,
        reply: &mut [u8],
        mut answer: impl FnMut(&[u8], SocketAddr, &mut [u8]) -> usize,
    ) -> Poll<()> {
        let mut served = 0;
        let mut serve = |datagram: &[u8], origin: Origin| {
            let datagram = &datagram[..datagram.len().min(reply.len())];
            let length = answer(datagram, origin.peer, reply).min(reply.len());
            if length > 0 {
                self.reply(origin, &reply[..length]);
            }
        };
        // What came before goes first. Nothing is borrowed while `answer` runs, which is free to use sockets.
        let mut queue = self.received.take();
        while let Some(queue) = &mut queue
            && served < most
            && self.stack.has_room()
        {
            let Ok((origin, datagram)) = queue.dequeue() else { break };
            serve(datagram, origin);
            served += 1;
        }
        self.received.replace(queue);
        let now = self.stack.now();
        while served < most && self.stack.has_room() {
            match self.stack.receive(now, Some((self, &mut serve))) {
                Taken::Nothing => break,
                Taken::Answered => {}
                // The stack's task sends what others have to say.
                Taken::Otherwise => self.stack.kick(),
            }
            served += 1;
        }
        if served > 0 {
            self.stack.link.flush();
            return Poll::Ready(());
        }
        if self.stack.has_room() {
            self.reader.register(context);
            self.stack.udp.waiting.replace(Rc::downgrade(self));
        } else {
            self.stack.waits_for_room(&self.reader, context);
        }
        Poll::Pending
    }

    /// Sends a reply back to where the question came from.
    fn reply(self: &Rc<Self>, origin: Origin, payload: &[u8]) {
        let facts = self.stack.facts;
        let inner = self.stack.inner.borrow();
        // What was sent to a group is answered from an address of ours.
        let local = if inner.is_own(origin.local) {
            Some(origin.local)
        } else {
            inner.iface.get_source_address(&IpAddress::from(origin.peer.ip())).map(IpAddr::from)
        };
        drop(inner);
        let Some(local) = local.filter(|l| l.is_ipv4() == origin.peer.is_ipv4()) else { return };
        if payload.len() > send::longest(local) {
            return;
        }
        let ends = Ends {
            from_mac: facts.mac,
            to_mac: origin.mac,
            from: SocketAddr::new(local, self.bound.address.port()),
            to: origin.peer,
        };
        let length = ends.datagram_length(payload.len());
        if length > usize::from(facts.mtu) + super::packet::ETHERNET {
            let inner = &mut *self.stack.inner.borrow_mut();
            let (link, now) = (&*self.stack.link, self.stack.now());
            inner.outgoing.push(link, ends, super::packet::UDP, ends.datagram(payload), now);
            // The stack's task sends the rest when there is room.
            self.stack.kick();
            return;
        }
        // There was room; what a device refuses all the same is lost.
        let _ = self
            .stack
            .link
            .transmit(length, &mut |frame| ends.write_datagram(frame, payload, facts.checksums));
    }
}
