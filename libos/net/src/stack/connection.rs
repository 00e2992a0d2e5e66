//! One TCP connection: smoltcp's socket in a set of its own, and what smoltcp does not know of it.

use super::listener::{Backlog, HALF_OPEN};
use crate::ports::Bound;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::Cell;
use core::net::SocketAddr;
use core::time::Duration;
use kernlet_platform::cell::RefCell;
use kernlet_platform::{Errno, boot};
use kernlet_time::Instant;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp::{self, SocketBuffer, State};

/// How long a silent peer is waited for while it owes an acknowledgement (RFC 9293, 3.8.3 asks for at least 100
/// seconds), and while the connection comes about.
pub const DEAD: Duration = Duration::from_secs(120);
const CONNECTING: Duration = Duration::from_secs(30);

/// The two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

/// A connection.
pub struct Connection {
    pub(super) tuple: Tuple,
    pub(super) set: RefCell<SocketSet<'static>>,
    pub(super) handle: SocketHandle,
    /// Stands in [`Table::dirty`].
    pub(super) dirty: Cell<bool>,
    /// Stands in [`Table::stalled`].
    pub(super) stalled: Cell<bool>,
    /// Where its timer stands in [`super::timers::Timers`].
    pub(super) timer: Cell<Option<usize>>,
    /// The listener that has not seen it established yet.
    pub(super) backlog: RefCell<Option<Weak<Backlog>>>,
    /// Since when the other end owes an acknowledgement and is silent. smoltcp's own timeout would break off
    /// connections that are merely idle.
    pub(super) waits: Cell<Option<Instant>>,
    /// Something was sent by it.
    pub(super) spoke: Cell<bool>,
    /// The other end broke it off.
    pub(super) reset: Cell<bool>,
    /// Nothing is read any more.
    pub(super) deaf: Cell<bool>,
    /// How long its peer may owe an acknowledgement (TCP_USER_TIMEOUT).
    pub(super) dead: Cell<Duration>,
    /// When its user dropped it.
    pub(super) dropped: Cell<Option<Instant>>,
    /// The port that it was opened from.
    #[expect(dead_code, reason = "held so that nobody else gets the port")]
    pub(super) bound: Option<Bound>,
}

/// The size of a connection's buffers: 64 KiB, less where memory is scarce.
fn buffer_size() -> usize {
    let memory = boot::blob().memory().unwrap_or(u64::MAX);
    usize::try_from(memory / 1024).unwrap_or(usize::MAX).clamp(8 * 1024, 64 * 1024)
}

impl Connection {
    pub fn new(tuple: Tuple, backlog: Option<&Rc<Backlog>>, bound: Option<Bound>) -> Rc<Self> {
        let size = buffer_size();
        let buffer = || SocketBuffer::new(alloc::vec![0; size]);
        let mut set = SocketSet::new(Vec::with_capacity(1));
        let handle = set.add(tcp::Socket::new(buffer(), buffer()));
        Rc::new(Self {
            tuple,
            set: RefCell::new(set),
            handle,
            dirty: Cell::new(false),
            stalled: Cell::new(false),
            timer: Cell::new(None),
            backlog: RefCell::new(backlog.map(Rc::downgrade)),
            waits: Cell::new(None),
            spoke: Cell::new(false),
            reset: Cell::new(false),
            deaf: Cell::new(false),
            dead: Cell::new(DEAD),
            dropped: Cell::new(None),
            bound,
        })
    }

    pub fn with<R>(&self, use_it: impl FnOnce(&mut tcp::Socket<'static>) -> R) -> R {
        use_it(self.set.borrow_mut().get_mut::<tcp::Socket<'_>>(self.handle))
    }

    /// Which connection it is.
    pub fn tuple(&self) -> Tuple {
        self.tuple
    }

    /// How long its peer may be silent when it owes an acknowledgement.
    pub fn patience(&self) -> Duration {
        if self.backlog.borrow().is_some() {
            return HALF_OPEN;
        }
        if self.with(|s| s.state()) == State::SynSent { CONNECTING } else { self.dead.get() }
    }

    /// Whether the other end has owed an acknowledgement for too long.
    pub fn is_given_up(&self, now: Instant) -> bool {
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
    pub fn error(&self) -> Errno {
        if self.reset.get() { Errno::ECONNRESET } else { Errno::ETIMEDOUT }
    }
}
