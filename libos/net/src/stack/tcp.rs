//! TCP over the own stack: one smoltcp socket for each connection, each in a socket set of its own, so that smoltcp
//! never looks through sockets. A received segment finds its connection in a map; a connection is polled when a
//! segment came for it, when its user did something, or when its timer is due.

use super::connection::{Connection, Tuple};
use super::listener::Backlog;
use super::packet::Segment;
use super::time_wait::TimeWait;
use super::timers::Timers;
use super::tuple_map::TupleMap;
use super::{Inner, instant, moment};
use alloc::collections::VecDeque;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use kernlet_platform::cell::RefCell;
use kernlet_sync::SmallMap;
use kernlet_time::Instant;
use smoltcp::iface::PollResult;
use smoltcp::socket::tcp::{self, State};
use smoltcp::wire::{IpEndpoint, IpListenEndpoint};

/// Segments that one connection may send in one turn.
const BURST: usize = 64;
/// How long a dropped connection waits for the other end to close its side, too.
const LINGER: Duration = Duration::from_secs(60);
/// Dropped connections that still close; the oldest go first.
const MOST_ORPHANS: usize = 1024;

/// The connections of a stack.
#[derive(Default)]
pub struct Table {
    pub(super) connections: RefCell<TupleMap<Rc<Connection>>>,
    pub(super) listeners: RefCell<SmallMap<u16, Vec<Rc<Backlog>>>>,
    dirty: RefCell<VecDeque<Rc<Connection>>>,
    timers: RefCell<Timers>,
    /// Those that had something to send and could not: the neighbour was unknown, or the link full.
    stalled: RefCell<Vec<Rc<Connection>>>,
    orphans: RefCell<VecDeque<Weak<Connection>>>,
    time_wait: RefCell<TimeWait>,
}

impl Table {
    /// Takes in a segment; `false` when it belongs to nobody, and smoltcp is to answer with a reset.
    pub(super) fn ingress(&self, inner: &mut Inner, segment: &Segment, frame: &[u8], now: Instant) -> bool {
        let tuple = Tuple { local: segment.destination, remote: segment.source };
        let known = self.connections.borrow().get(&tuple).cloned();
        if let Some(connection) = known {
            self.feed(inner, &connection, segment, frame, now);
            return true;
        }
        if self.time_wait.borrow_mut().answers(inner, &tuple, segment, now) {
            return true;
        }
        if !segment.flags.opens() || !inner.is_own(segment.destination.ip()) {
            return false;
        }
        let Some(backlog) = self.listener(segment.destination) else { return false };
        if let Some(oldest) = backlog.make_room() {
            // Its other end never answered, and gets no reset either.
            let given_up = self.connections.borrow().get(&oldest).cloned();
            given_up.iter().for_each(|connection| self.remove(connection));
        } else if !backlog.has_room() {
            // Dropped, not refused: the other end asks again.
            return true;
        }
        let connection = Connection::new(tuple, Some(&backlog), None);
        connection.with(|socket| {
            // A new socket listens on any port but 0, which a listener never has.
            let _ = socket.listen(IpListenEndpoint::from(IpEndpoint::from(tuple.local)));
        });
        backlog.admit(tuple);
        self.connections.borrow_mut().insert(tuple, connection.clone());
        self.feed(inner, &connection, segment, frame, now);
        true
    }

    fn listener(&self, to: SocketAddr) -> Option<Rc<Backlog>> {
        let listeners = self.listeners.borrow();
        listeners.get(&to.port())?.iter().find(|l| l.takes(to.ip())).cloned()
    }

    fn feed(
        &self,
        inner: &mut Inner,
        connection: &Rc<Connection>,
        segment: &Segment,
        frame: &[u8],
        now: Instant,
    ) {
        let before = connection.with(|s| s.state());
        if before == State::SynSent && !connection.spoke.get() {
            // Nobody can answer what was not sent yet, and smoltcp reckons with a window that it has not told.
            return;
        }
        inner.ingress(frame, &mut connection.set.borrow_mut(), now);
        let after = connection.with(|s| s.state());
        connection.waits.set(None);
        if segment.flags.rst() && before != State::Closed && matches!(after, State::Closed | State::Listen) {
            connection.reset.set(true);
        }
        self.touch(connection);
    }

    /// Notes that the connection may have something to send or a new state.
    pub(super) fn touch(&self, connection: &Rc<Connection>) {
        if !connection.dirty.replace(true) {
            self.dirty.borrow_mut().push_back(connection.clone());
        }
    }

    /// Polls the connections that need it; tells whether some need it again at once.
    pub(super) fn egress(&self, inner: &mut Inner, now: Instant) -> bool {
        loop {
            let due = self.timers.borrow_mut().pop(now);
            let Some(connection) = due else { break };
            self.touch(&connection);
        }
        // Those that want another turn wait for the next call.
        let count = self.dirty.borrow().len();
        for _ in 0..count {
            let Some(connection) = self.dirty.borrow_mut().pop_front() else { break };
            connection.dirty.set(false);
            self.poll(inner, &connection, now);
        }
        !self.dirty.borrow().is_empty()
    }

    /// A neighbour has become known: those that waited try again.
    pub(super) fn unstall(&self) {
        let stalled = core::mem::take(&mut *self.stalled.borrow_mut());
        for connection in stalled {
            connection.stalled.set(false);
            self.touch(&connection);
        }
    }

    /// When the first timer is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.borrow().first()
    }

    fn poll(&self, inner: &mut Inner, connection: &Rc<Connection>, now: Instant) {
        let mut set = connection.set.borrow_mut();
        let wants = inner.iface.poll_at(instant(now), &set).is_some_and(|at| moment(at) <= now);
        let mut sent = 0;
        while sent < BURST && inner.egress(&mut set, now) == PollResult::SocketStateChanged {
            sent += 1;
        }
        if sent > 0 {
            connection.spoke.set(true);
        }
        let wanted = inner.iface.poll_at(instant(now), &set).map(moment);
        drop(set);
        if wants && sent == 0 && connection.with(|s| s.send_queue() > 0 || s.state() != State::Established) {
            inner.ask_for_neighbour(connection.tuple.remote.ip(), now);
            if !connection.stalled.replace(true) {
                self.stalled.borrow_mut().push(connection.clone());
            }
        }
        if connection.is_given_up(now) {
            connection.with(tcp::Socket::abort);
            self.touch(connection);
            return;
        }
        if !self.settle(connection, now) {
            return;
        }
        if sent == BURST {
            self.touch(connection);
            return;
        }
        // Asked for at once though nothing is sent: the link is full, or the neighbour unknown.
        let wanted = wanted.map(|at| at.max(now + super::PATIENCE));
        let linger = connection.dropped.get().map(|at| at + LINGER);
        let dead = connection.waits.get().map(|since| since + connection.patience());
        if let Some(at) = [wanted, linger, dead].into_iter().flatten().min() {
            self.timers.borrow_mut().set(connection, at);
        }
    }

    /// Acts on the connection's state; `false` when it is gone.
    fn settle(&self, connection: &Rc<Connection>, now: Instant) -> bool {
        if connection.deaf.get() {
            connection.with(|socket| while socket.recv(|b| (b.len(), b.len())).is_ok_and(|n| n > 0) {});
        }
        let state = connection.with(|s| s.state());
        let backlog = connection.backlog.borrow().as_ref().map(Weak::upgrade);
        match (backlog, state) {
            // A reset takes smoltcp's socket back to listening, but here each has one connection only.
            (Some(backlog), State::Closed | State::Listen) => {
                if let Some(backlog) = backlog {
                    backlog.dismiss(connection.tuple);
                }
                self.remove(connection);
                return false;
            }
            (Some(_), State::SynReceived) => return true,
            (Some(backlog), _) => {
                *connection.backlog.borrow_mut() = None;
                match backlog {
                    Some(backlog) => backlog.establish(connection),
                    None => connection.with(tcp::Socket::abort),
                }
                return true;
            }
            (None, State::Closed) => {
                self.remove(connection);
                return false;
            }
            (None, _) => {}
        }
        let Some(dropped) = connection.dropped.get() else { return true };
        if state == State::TimeWait {
            self.time_wait.borrow_mut().remember(connection.tuple, now);
            self.remove(connection);
            return false;
        }
        if now.since(dropped) >= LINGER {
            connection.with(tcp::Socket::abort);
            self.touch(connection);
        }
        true
    }

    fn remove(&self, connection: &Rc<Connection>) {
        self.timers.borrow_mut().remove(connection);
        if connection.stalled.take() {
            self.stalled.borrow_mut().retain(|c| !Rc::ptr_eq(c, connection));
        }
        let mut connections = self.connections.borrow_mut();
        if connections.get(&connection.tuple).is_some_and(|c| Rc::ptr_eq(c, connection)) {
            connections.remove(&connection.tuple);
        }
    }

    /// Closes a connection that its user has dropped.
    pub(super) fn orphan(&self, connection: &Rc<Connection>, now: Instant) {
        connection.dropped.set(Some(now));
        connection.with(|socket| {
            // As TCP does it: who closes with something unread resets the connection (RFC 9293, 3.10.4).
            if socket.recv_queue() > 0 { socket.abort() } else { socket.close() }
        });
        self.touch(connection);
        let mut orphans = self.orphans.borrow_mut();
        orphans.push_back(Rc::downgrade(connection));
        if orphans.len() > MOST_ORPHANS {
            orphans.retain(|o| o.strong_count() > 0);
        }
        if orphans.len() > MOST_ORPHANS
            && let Some(oldest) = orphans.pop_front().and_then(|o| o.upgrade())
        {
            oldest.with(tcp::Socket::abort);
            self.touch(&oldest);
        }
    }
}

#[cfg(test)]
impl Table {
    /// How many connections there are.
    pub fn len(&self) -> usize {
        self.connections.borrow().len()
    }

    /// Whether nothing is left of any connection but the memory of those in TIME-WAIT.
    pub fn is_idle(&self) -> bool {
        self.len() == 0
            && self.timers.borrow().is_empty()
            && self.stalled.borrow().is_empty()
            && self.dirty.borrow().is_empty()
    }

    /// How many are in TIME-WAIT.
    pub fn remembered(&self) -> usize {
        self.time_wait.borrow().len()
    }
}
