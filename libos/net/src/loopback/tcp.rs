//! Streams inside the instance.

use super::pipe::Pipe;
use crate::ports::{Bound, Local};
use crate::turn::Waiter;
use crate::{Shutdown, addr};
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::Cell;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use kernlet_platform::Errno;
use kernlet_platform::cell::RefCell;
use kernlet_sync::{CpuLocal, SmallMap, WaitQueue};

/// How many connections wait for `accept` at most.
pub const BACKLOG: usize = 128;

/// The accepting end of a bound listener.
pub struct Listener(Rc<Shared>);

struct Shared {
    bound: Local,
    closed: Cell<bool>,
    pending: RefCell<VecDeque<Stream>>,
    waiter: Waiter,
    /// How many wait to be accepted at most.
    backlog: Cell<usize>,
    /// Connections that wait for a place in `pending`.
    room: WaitQueue,
}

type Listeners = RefCell<SmallMap<u16, Vec<Rc<Shared>>>>;
static LISTENERS: CpuLocal<Listeners> = CpuLocal::new(RefCell::default);

impl Listener {
    /// Listens at an address that [`crate::ports`] has given out.
    pub fn new(bound: impl Into<Local>) -> Self {
        let bound = bound.into();
        let shared = Rc::new(Shared {
            bound,
            closed: Cell::new(false),
            pending: RefCell::default(),
            waiter: Waiter::default(),
            backlog: Cell::new(BACKLOG),
            room: WaitQueue::new(),
        });
        LISTENERS.get().borrow_mut().get_or_insert_with(bound.address.port(), Vec::new).push(shared.clone());
        Self(shared)
    }

    /// Has so many connections wait at most.
    pub fn set_backlog(&self, backlog: usize) {
        self.0.backlog.set(backlog);
        self.0.room.wake_all();
    }

    /// Accepts a connection, or leaves a waker.
    pub fn poll_accept(&self, context: &Context<'_>) -> Poll<Stream> {
        let stream = self.0.pending.borrow_mut().pop_front();
        match stream {
            Some(stream) => {
                self.0.room.wake_one();
                Poll::Ready(stream)
            }
            None => {
                self.0.waiter.register(context);
                Poll::Pending
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut all = LISTENERS.get().borrow_mut();
        if let Some(listeners) = all.get_mut(&self.0.bound.address.port()) {
            listeners.retain(|l| !Rc::ptr_eq(l, &self.0));
            if listeners.is_empty() {
                all.remove(&self.0.bound.address.port());
            }
        }
        drop(all);
        self.0.closed.set(true);
        self.0.room.wake_all();
        let pending = core::mem::take(&mut *self.0.pending.borrow_mut());
        for stream in pending {
            stream.reset();
        }
    }
}

fn find(to: SocketAddr) -> Option<Rc<Shared>> {
    let all = LISTENERS.get().borrow();
    all.get(&to.port())?.iter().find(|l| l.bound.takes(to.ip())).cloned()
}

/// Of several listeners that share an address (SO_REUSEPORT) one is found next, by the port `from` that connects.
pub fn choose(to: SocketAddr, from: u16) {
    if let Some(all) = LISTENERS.get().borrow_mut().get_mut(&to.port()) {
        super::choose(all, from, |l| if l.bound.takes(to.ip()) { Rc::as_ptr(l).addr() } else { 0 });
    }
}

/// Connects to a listener of this instance. `bound` is the port spoken from, held as long as the stream lives.
///
/// # Errors
/// ECONNREFUSED when nobody listens there.
pub async fn connect(bound: Bound, to: SocketAddr) -> Result<Stream, Errno> {
    let from = SocketAddr::new(addr::source_inside(bound.address().ip(), to.ip()), bound.address().port());
    let listener = find(to).ok_or(Errno::ECONNREFUSED)?;
    let ready =
        || (listener.closed.get() || listener.pending.borrow().len() < listener.backlog.get()).then_some(());
    listener.room.until(ready).await;
    if listener.closed.get() {
        return Err(Errno::ECONNREFUSED);
    }
    let (there, back) = (Rc::new(Pipe::default()), Rc::new(Pipe::default()));
    let accepted = Stream { read: there.clone(), write: back.clone(), local: to, peer: from, bound: None };
    listener.pending.borrow_mut().push_back(accepted);
    listener.waiter.wake();
    Ok(Stream { read: back, write: there, local: from, peer: to, bound: Some(bound) })
}

/// One end of a stream.
pub struct Stream {
    pub(super) read: Rc<Pipe>,
    pub(super) write: Rc<Pipe>,
    local: SocketAddr,
    peer: SocketAddr,
    /// The ephemeral port of the connecting end.
    #[expect(dead_code, reason = "held so that nobody else gets the port")]
    bound: Option<Bound>,
}

impl Stream {
    /// Reads what is there; 0 bytes at the end.
    pub fn poll_read(&self, context: &Context<'_>, into: &mut [u8]) -> Poll<Result<usize, Errno>> {
        self.read.poll_read(context, into)
    }

    /// Writes what fits.
    pub fn poll_write(&self, context: &Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Errno>> {
        self.write.poll_write(context, bytes)
    }

    /// Ends one or both directions.
    pub fn shutdown(&self, how: Shutdown) {
        if how != Shutdown::Write {
            self.read.deafen();
        }
        if how != Shutdown::Read {
            self.write.end();
        }
    }

    /// The local address.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// The other end's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Breaks it off: both ends see ECONNRESET.
    pub fn reset(&self) {
        self.read.reset();
        self.write.reset();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // As TCP does it: who closes with something unread resets the connection (RFC 9293, 3.10.4).
        if self.read.deafen() {
            self.reset();
        } else {
            self.write.end();
        }
    }
}
