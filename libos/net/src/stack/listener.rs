//! A listener's connections that nobody has accepted yet, which smoltcp does not know. A socket is made when a SYN
//! comes; how many may be half open and how many may wait is bounded.

use super::Stack;
use super::connection::{Connection, Tuple};
use super::stream::Stream;
use crate::ports::Local;
use crate::turn::Waiter;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::task::{Context, Poll};
use core::time::Duration;
use kernlet_platform::cell::RefCell;

/// Established connections that wait for `accept`; a SYN beyond is not answered.
pub const BACKLOG: usize = 128;
/// Connections whose handshake is not done. Under a flood the oldest makes room, so that an honest client, who answers
/// within a round trip, still comes through.
pub const MOST_HALF_OPEN: usize = 64;
/// How long a handshake may take.
pub const HALF_OPEN: Duration = Duration::from_secs(10);

/// The waiting room of one listener.
pub struct Backlog {
    bound: Local,
    half_open: RefCell<VecDeque<Tuple>>,
    ready: RefCell<VecDeque<Rc<Connection>>>,
    waiter: Waiter,
}

impl Backlog {
    /// Whether connections to `to` are for this listener.
    pub fn takes(&self, to: IpAddr) -> bool {
        self.bound.takes(to)
    }

    /// Whether another handshake may begin.
    pub fn has_room(&self) -> bool {
        self.ready.borrow().len() < BACKLOG
    }

    /// Gives up the oldest handshake when there are too many.
    pub fn make_room(&self) -> Option<Tuple> {
        let mut half_open = self.half_open.borrow_mut();
        if self.has_room() && half_open.len() >= MOST_HALF_OPEN { half_open.pop_front() } else { None }
    }

    /// A handshake begins.
    pub fn admit(&self, tuple: Tuple) {
        self.half_open.borrow_mut().push_back(tuple);
    }

    /// A handshake came to nothing.
    pub fn dismiss(&self, tuple: Tuple) {
        self.half_open.borrow_mut().retain(|t| *t != tuple);
    }

    /// A handshake is done.
    pub fn establish(&self, connection: &Rc<Connection>) {
        self.dismiss(connection.tuple());
        self.ready.borrow_mut().push_back(connection.clone());
        self.waiter.wake();
    }
}

/// The accepting end of a bound listener.
pub struct Listener {
    stack: Rc<Stack>,
    backlog: Rc<Backlog>,
}

impl Listener {
    /// Listens at an address that [`crate::ports`] has given out.
    pub fn new(stack: &Rc<Stack>, bound: impl Into<Local>) -> Self {
        let bound = bound.into();
        let backlog = Rc::new(Backlog {
            bound,
            half_open: RefCell::default(),
            ready: RefCell::default(),
            waiter: Waiter::default(),
        });
        stack
            .tcp
            .listeners
            .borrow_mut()
            .get_or_insert_with(bound.address.port(), Vec::new)
            .push(backlog.clone());
        Self { stack: stack.clone(), backlog }
    }

    /// Accepts a connection, or leaves a waker.
    pub fn poll_accept(&self, context: &Context<'_>) -> Poll<Stream> {
        match self.backlog.ready.borrow_mut().pop_front() {
            Some(connection) => Poll::Ready(Stream::new(self.stack.clone(), connection)),
            None => {
                self.backlog.waiter.register(context);
                Poll::Pending
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut listeners = self.stack.tcp.listeners.borrow_mut();
        let port = self.backlog.bound.address.port();
        if let Some(at_port) = listeners.get_mut(&port) {
            at_port.retain(|b| !Rc::ptr_eq(b, &self.backlog));
            if at_port.is_empty() {
                listeners.remove(&port);
            }
        }
        drop(listeners);
        // Nobody will accept them. Handshakes that end after this are broken off then.
        let ready = core::mem::take(&mut *self.backlog.ready.borrow_mut());
        for connection in ready {
            connection.with(|s| s.abort());
            self.stack.tcp.orphan(&connection, self.stack.now());
        }
        self.stack.kick();
    }
}
