//! Datagrams inside the instance.

use crate::addr;
use crate::ports::Local;
use crate::turn::Waiter;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::cell::Cell;
use core::net::SocketAddr;
use core::task::Context;
use kernlet_platform::Errno;
use kernlet_platform::cell::RefCell;
use kernlet_sync::{CpuLocal, SmallMap};

/// What a receiver holds at most, in datagrams and in bytes; more is dropped, as UDP may.
const MOST: usize = 1024;
const MOST_BYTES: usize = 256 * 1024;
/// The largest UDP payload over IPv4.
pub const LONGEST: usize = 65507;

/// The receiving end of a bound socket.
pub struct Endpoint {
    bound: Local,
    queue: RefCell<VecDeque<(Box<[u8]>, SocketAddr)>>,
    bytes: Cell<usize>,
    waiter: Waiter,
}

type Endpoints = RefCell<SmallMap<u16, Vec<Weak<Endpoint>>>>;
static ENDPOINTS: CpuLocal<Endpoints> = CpuLocal::new(RefCell::default);

impl Endpoint {
    /// Listens at an address that [`crate::ports`] has given out.
    pub fn new(bound: impl Into<Local>) -> Rc<Self> {
        let bound = bound.into();
        let endpoint = Rc::new(Self {
            bound,
            queue: RefCell::default(),
            bytes: Cell::new(0),
            waiter: Waiter::default(),
        });
        let mut all = ENDPOINTS.get().borrow_mut();
        all.get_or_insert_with(bound.address.port(), Vec::new).push(Rc::downgrade(&endpoint));
        endpoint
    }

    /// Takes the next datagram.
    pub fn take(&self) -> Option<(Box<[u8]>, SocketAddr)> {
        let taken = self.queue.borrow_mut().pop_front()?;
        self.bytes.set(self.bytes.get() - taken.0.len());
        Some(taken)
    }

    /// Leaves a waker for the next datagram.
    pub fn register(&self, context: &Context<'_>) {
        self.waiter.register(context);
    }

    /// Wakes who waits, to look again.
    pub fn wake(&self) {
        self.waiter.wake();
    }

    /// Sends from here to `to`, which must be an address of this instance.
    ///
    /// # Errors
    /// EMSGSIZE when `bytes` is more than a datagram.
    pub fn send(&self, bytes: &[u8], to: SocketAddr) -> Result<(), Errno> {
        if bytes.len() > LONGEST {
            return Err(Errno::EMSGSIZE);
        }
        let from =
            SocketAddr::new(addr::source_inside(self.bound.address.ip(), to.ip()), self.bound.address.port());
        let receiver = {
            let all = ENDPOINTS.get().borrow();
            let mut at_port = all.get(&to.port()).into_iter().flatten().filter_map(Weak::upgrade);
            at_port.find(|e| e.bound.takes(to.ip()))
        };
        let Some(receiver) = receiver else { return Ok(()) };
        let mut queue = receiver.queue.borrow_mut();
        let bytes_after = receiver.bytes.get() + bytes.len();
        if queue.len() < MOST && bytes_after <= MOST_BYTES {
            queue.push_back((bytes.into(), from));
            receiver.bytes.set(bytes_after);
            drop(queue);
            receiver.waiter.wake();
        }
        Ok(())
    }
}

/// Of several that share an address (SO_REUSEPORT) one is found next, by the port `from` that sends.
pub fn choose(to: SocketAddr, from: u16) {
    if let Some(all) = ENDPOINTS.get().borrow_mut().get_mut(&to.port()) {
        let takes = |one: &Weak<Endpoint>| one.upgrade().is_some_and(|e| e.bound.takes(to.ip()));
        super::choose(all, from, |one| if takes(one) { one.as_ptr().addr() } else { 0 });
    }
}

/// Whether somebody receives what is sent to `to`.
pub fn is_taken(to: SocketAddr) -> bool {
    let all = ENDPOINTS.get().borrow();
    let mut at_port = all.get(&to.port()).into_iter().flatten().filter_map(Weak::upgrade);
    at_port.any(|e| e.bound.takes(to.ip()))
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let mut all = ENDPOINTS.get().borrow_mut();
        if let Some(endpoints) = all.get_mut(&self.bound.address.port()) {
            endpoints.retain(|e| e.strong_count() > 0);
            if endpoints.is_empty() {
                all.remove(&self.bound.address.port());
            }
        }
    }
}
