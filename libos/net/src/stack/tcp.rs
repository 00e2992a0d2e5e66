//! TCP over the own stack: one smoltcp socket for each connection, each in a socket set of its own, so that smoltcp
//! never looks through sockets. A received segment finds its connection in a map; a connection is polled when a
//! segment came for it, when its user did something, or when its timer is due.

use super::build::Ends;
use super::listener::Backlog;
use super::packet::Segment;
use super::{Inner, Stack, instant, moment};
use crate::Shutdown;
use crate::ports::Bound;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll};
use core::time::Duration;
use kernlet_platform::{Errno, boot};
use kernlet_time::Instant;
use smoltcp::iface::{PollResult, SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, RecvError, SocketBuffer, State};
use smoltcp::wire::{IpAddress, IpEndpoint, IpListenEndpoint};

/// Segments that one connection may send in one turn.
const BURST: usize = 64;
/// How long a silent peer is waited for while it owes an acknowledgement: how long a segment is repeated (RFC 9293, 3.8.3 asks for at least 100 seconds), and how long a
/// connection may take to come about.
const DEAD: Duration = Duration::from_secs(120);
const CONNECTING: Duration = Duration::from_secs(30);
/// How long a dropped connection waits for the other end to close its side, too.
const LINGER: Duration = Duration::from_secs(60);
/// How long segments of a closed connection may still come (smoltcp's figure; RFC 9293 has four minutes).
const TIME_WAIT: Duration = Duration::from_secs(10);
/// Dropped connections that still close, and closed ones that are remembered; the oldest go first.
const MOST_ORPHANS: usize = 1024;
const MOST_REMEMBERED: usize = 8192;

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tuple {
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

/// A connection.
pub struct Connection {
    tuple: Tuple,
    pub(super) set: RefCell<SocketSet<'static>>,
    handle: SocketHandle,
    /// Stands in [`Table::dirty`].
    dirty: Cell<bool>,
    /// Its entry in [`Table::timers`].
    timer: Cell<Option<Instant>>,
    /// The listener that has not seen it established yet.
    pub(super) backlog: RefCell<Option<Weak<Backlog>>>,
    /// Since when the other end owes an acknowledgement and is silent. smoltcp's own timeout would break off
    /// connections that are merely idle.
    waits: Cell<Option<Instant>>,
    /// The other end broke it off.
    reset: Cell<bool>,
    /// Nothing is read any more.
    deaf: Cell<bool>,
    /// When its user dropped it.
    dropped: Cell<Option<Instant>>,
    /// The port that it was opened from.
    #[expect(dead_code, reason = "held so that nobody else gets the port")]
    bound: Option<Bound>,
}

/// The connections of a stack.
#[derive(Default)]
pub struct Table {
    connections: RefCell<BTreeMap<Tuple, Rc<Connection>>>,
    pub(super) listeners: RefCell<BTreeMap<u16, Vec<Rc<Backlog>>>>,
    dirty: RefCell<VecDeque<Rc<Connection>>>,
    timers: RefCell<BTreeSet<(Instant, Tuple)>>,
    /// Those that had something to send and could not: the neighbour was unknown, or the link full.
    stalled: RefCell<BTreeSet<Tuple>>,
    orphans: RefCell<VecDeque<Weak<Connection>>>,
    /// Connections in TIME-WAIT that nobody holds any more, and in which order they came.
    remembered: RefCell<BTreeMap<Tuple, Instant>>,
    order: RefCell<VecDeque<(Instant, Tuple)>>,
}

/// The size of a connection's buffers: 64 KiB, less where memory is scarce.
fn buffer_size() -> usize {
    let memory = boot::blob().memory().unwrap_or(u64::MAX);
    usize::try_from(memory / 1024).unwrap_or(usize::MAX).clamp(8 * 1024, 64 * 1024)
}

impl Connection {
    pub(super) fn new(tuple: Tuple, backlog: Option<&Rc<Backlog>>, bound: Option<Bound>) -> Rc<Self> {
        let size = buffer_size();
        let buffer = || SocketBuffer::new(alloc::vec![0; size]);
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(tcp::Socket::new(buffer(), buffer()));
        Rc::new(Self {
            tuple,
            set: RefCell::new(set),
            handle,
            dirty: Cell::new(false),
            timer: Cell::new(None),
            backlog: RefCell::new(backlog.map(Rc::downgrade)),
            waits: Cell::new(None),
            reset: Cell::new(false),
            deaf: Cell::new(false),
            dropped: Cell::new(None),
            bound,
        })
    }

    pub(super) fn with<R>(&self, use_it: impl FnOnce(&mut tcp::Socket<'static>) -> R) -> R {
        use_it(self.set.borrow_mut().get_mut::<tcp::Socket<'_>>(self.handle))
    }

    /// Which connection it is.
    pub fn tuple(&self) -> Tuple {
        self.tuple
    }

    /// How long its peer may be silent when it owes an acknowledgement.
    fn patience(&self) -> Duration {
        if self.backlog.borrow().is_some() {
            return super::listener::HALF_OPEN;
        }
        if self.with(|s| s.state()) == State::SynSent { CONNECTING } else { DEAD }
    }

    /// Whether the other end has owed an acknowledgement for too long.
    fn is_given_up(&self, now: Instant) -> bool {
        let owes = self.with(|socket| match socket.state() {
            State::SynSent | State::SynReceived | State::FinWait1 | State::Closing | State::LastAck => true,
            State::Established | State::CloseWait => socket.send_queue() > 0,
            State::Closed | State::Listen | State::FinWait2 | State::TimeWait => false,
        });
        if !owes {
            self.waits.set(None);
            return false;
        }
        let since = self.waits.get().unwrap_or(now);
        self.waits.set(Some(since));
        now.since(since) >= self.patience()
    }

    /// Why there is nothing more to read or write.
    fn error(&self) -> Errno {
        if self.reset.get() { Errno::ECONNRESET } else { Errno::ETIMEDOUT }
    }
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
        if self.is_remembered(inner, &tuple, segment, now) {
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

    /// Whether the segment belongs to a connection in TIME-WAIT. A repeated end is acknowledged again; a new
    /// connection may take the place (RFC 9293, 3.10.7.4).
    fn is_remembered(&self, inner: &mut Inner, tuple: &Tuple, segment: &Segment, now: Instant) -> bool {
        let mut remembered = self.remembered.borrow_mut();
        let Some(&until) = remembered.get(tuple) else { return false };
        if until <= now || segment.flags.opens() {
            remembered.remove(tuple);
            return false;
        }
        if segment.flags.fin() {
            let facts = inner.link.facts();
            let ends = Ends { from_mac: facts.mac, to_mac: segment.mac, from: tuple.local, to: tuple.remote };
            let write = &mut |frame: &mut [u8]| {
                ends.write_acknowledgement(frame, segment.acknowledged, segment.next, facts.checksums)
            };
            // When there is no room the other end repeats it once more.
            let _ = inner.link.transmit(ends.acknowledgement_length(), write);
        }
        true
    }

    fn remember(&self, tuple: Tuple, now: Instant) {
        let (mut remembered, mut order) = (self.remembered.borrow_mut(), self.order.borrow_mut());
        while let Some(&(until, oldest)) = order.front()
            && (until <= now || order.len() >= MOST_REMEMBERED)
        {
            order.pop_front();
            // It may have been replaced by a newer one.
            if remembered.get(&oldest) == Some(&until) {
                remembered.remove(&oldest);
            }
        }
        remembered.insert(tuple, now + TIME_WAIT);
        order.push_back((now + TIME_WAIT, tuple));
    }

    /// Polls the connections that need it; tells whether some need it again at once.
    pub(super) fn egress(&self, inner: &mut Inner, now: Instant) -> bool {
        loop {
            let first = self.timers.borrow().first().copied().filter(|(at, _)| *at <= now);
            let Some((_, tuple)) = first else { break };
            self.timers.borrow_mut().pop_first();
            let due = self.connections.borrow().get(&tuple).cloned();
            if let Some(connection) = due {
                connection.timer.set(None);
                self.touch(&connection);
            }
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
        let connections = self.connections.borrow();
        stalled.iter().filter_map(|tuple| connections.get(tuple)).for_each(|c| self.touch(c));
    }

    /// When the first timer is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.borrow().first().map(|(at, _)| *at)
    }

    fn poll(&self, inner: &mut Inner, connection: &Rc<Connection>, now: Instant) {
        let mut set = connection.set.borrow_mut();
        let wants = inner.iface.poll_at(instant(now), &set).is_some_and(|at| moment(at) <= now);
        let mut sent = 0;
        while sent < BURST && inner.egress(&mut set, now) == PollResult::SocketStateChanged {
            sent += 1;
        }
        let wanted = inner.iface.poll_at(instant(now), &set).map(moment);
        drop(set);
        if wants && sent == 0 && connection.with(|s| s.send_queue() > 0 || s.state() != State::Established) {
            inner.ask_for_neighbour(connection.tuple.remote.ip(), now);
            self.stalled.borrow_mut().insert(connection.tuple);
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
            self.set_timer(connection, at);
        }
    }

    /// An entry is only ever moved forward; one that comes too early costs a poll.
    fn set_timer(&self, connection: &Connection, at: Instant) {
        if connection.timer.get().is_none_or(|known| at < known) {
            self.forget_timer(connection);
            self.timers.borrow_mut().insert((at, connection.tuple));
            connection.timer.set(Some(at));
        }
    }

    fn forget_timer(&self, connection: &Connection) {
        if let Some(known) = connection.timer.take() {
            self.timers.borrow_mut().remove(&(known, connection.tuple));
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
            self.remember(connection.tuple, now);
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
        self.forget_timer(connection);
        self.stalled.borrow_mut().remove(&connection.tuple);
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
        self.remembered.borrow().len()
    }
}

/// A connection in its user's hands.
pub struct Stream {
    stack: Rc<Stack>,
    connection: Rc<Connection>,
}

impl Stream {
    pub(super) fn new(stack: Rc<Stack>, connection: Rc<Connection>) -> Self {
        Self { stack, connection }
    }

    /// Opens a connection from the port `bound`, which it keeps.
    ///
    /// # Errors
    /// EADDRNOTAVAIL when this stack has no address to speak from, EADDRINUSE when there is such a connection.
    pub fn open(stack: &Rc<Stack>, bound: Bound, to: SocketAddr) -> Result<Self, Errno> {
        let mut inner = stack.inner.borrow_mut();
        let from: IpAddr =
            inner.iface.get_source_address(&IpAddress::from(to.ip())).ok_or(Errno::EADDRNOTAVAIL)?.into();
        let local = SocketAddr::new(from, bound.address().port());
        let tuple = Tuple { local, remote: to };
        if stack.tcp.connections.borrow().contains_key(&tuple) {
            return Err(Errno::EADDRINUSE);
        }
        let connection = Connection::new(tuple, None, Some(bound));
        connection
            .with(|socket| {
                socket.connect(inner.iface.context(), IpEndpoint::from(to), IpEndpoint::from(local))
            })
            .map_err(|_| Errno::EADDRNOTAVAIL)?;
        drop(inner);
        stack.tcp.connections.borrow_mut().insert(tuple, connection.clone());
        let stream = Self::new(stack.clone(), connection);
        stream.touch();
        Ok(stream)
    }

    fn touch(&self) {
        self.stack.tcp.touch(&self.connection);
        self.stack.kick();
    }

    /// Ready when the connection has come about.
    pub fn poll_connected(&self, context: &Context<'_>) -> Poll<Result<(), Errno>> {
        self.connection.with(|socket| match socket.state() {
            State::SynSent | State::SynReceived => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            State::Closed if self.connection.reset.get() => Poll::Ready(Err(Errno::ECONNREFUSED)),
            State::Closed => Poll::Ready(Err(Errno::ETIMEDOUT)),
            _ => Poll::Ready(Ok(())),
        })
    }

    /// Reads what is there; 0 bytes at the end.
    pub fn poll_read(&self, context: &Context<'_>, into: &mut [u8]) -> Poll<Result<usize, Errno>> {
        if self.connection.deaf.get() || into.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let result = self.connection.with(|socket| match socket.recv_slice(into) {
            Ok(0) => {
                socket.register_recv_waker(context.waker());
                Poll::Pending
            }
            Ok(length) => Poll::Ready(Ok(length)),
            Err(RecvError::Finished) => Poll::Ready(Ok(0)),
            Err(RecvError::InvalidState) => Poll::Ready(Err(self.connection.error())),
        });
        if matches!(result, Poll::Ready(Ok(1..))) {
            // The other end may have to be told of the room.
            self.touch();
        }
        result
    }

    /// Writes what fits.
    pub fn poll_write(&self, context: &Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Errno>> {
        let result = self.connection.with(|socket| match socket.send_slice(bytes) {
            Ok(0) if !bytes.is_empty() => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            Ok(length) => Poll::Ready(Ok(length)),
            Err(_) if socket.state() == State::Closed => Poll::Ready(Err(self.connection.error())),
            Err(_) => Poll::Ready(Err(Errno::EPIPE)),
        });
        if result.is_ready() {
            self.touch();
        }
        result
    }

    /// Ends one or both directions.
    pub fn shutdown(&self, how: Shutdown) -> Result<(), Errno> {
        if self.connection.with(|s| s.state()) == State::Closed {
            return Err(Errno::ENOTCONN);
        }
        if how != Shutdown::Write {
            self.connection.deaf.set(true);
        }
        if how != Shutdown::Read {
            self.connection.with(tcp::Socket::close);
        }
        self.touch();
        Ok(())
    }

    /// Sends small segments at once.
    pub fn set_nodelay(&self, on: bool) {
        self.connection.with(|s| s.set_nagle_enabled(!on));
    }

    /// The two ends.
    pub fn tuple(&self) -> Tuple {
        self.connection.tuple
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stack.tcp.orphan(&self.connection, self.stack.now());
        self.stack.kick();
    }
}
