//! The server around the logic: sockets, files, time limits.

pub mod load;
pub mod metrics;
pub mod options;
pub mod tcp;
pub mod udp;

use core::cell::{Cell, RefCell};
use dns::{Counters, Limiter, Policy, Reply, Transport, Verdict};
use kernlet::alloc::vec::Vec;
use kernlet::task::WaitQueue;
use kernlet::time::Duration;
use options::Options;

/// What the server's tasks share.
pub struct Shared {
    /// The zones; borrowed only between two awaits, as all that is in cells.
    pub zones: RefCell<dns::Zones>,
    /// What is told to whom.
    pub policy: Policy,
    /// Bounds replies over UDP, if asked for.
    pub limiter: Option<RefCell<Limiter>>,
    /// Counts, if asked for.
    pub counters: Option<RefCell<Counters>>,
    /// Where answers over TCP are written before their length is known.
    pub scratch: RefCell<Vec<u8>>,
    /// Open TCP connections, and how many there may be.
    pub connections: Cell<usize>,
    pub most_connections: usize,
    /// How long a connection may be silent.
    pub idle: Duration,
    /// A NOTIFY came, so that the zone files are to be looked at.
    pub notified: Cell<bool>,
    /// Wakes who waits for that.
    pub changes: WaitQueue,
}

impl Shared {
    /// Begins without zones.
    pub fn new(options: Options) -> Self {
        let limiter = |rate| RefCell::new(Limiter::new(rate, options.slip, kernlet::random::u64()));
        Self {
            zones: RefCell::new(dns::Zones::new(kernlet::random::u64())),
            limiter: (options.rate > 0).then(|| limiter(options.rate)),
            counters: options.metrics.map(|_| RefCell::default()),
            policy: options.policy,
            scratch: RefCell::default(),
            connections: Cell::new(0),
            most_connections: options.connections,
            idle: Duration::from_secs(options.idle.into()),
            notified: Cell::new(false),
            changes: WaitQueue::new(),
        }
    }

    /// Does what every reply asks for: counts it, and looks at the zone files after a NOTIFY.
    #[inline]
    pub fn note(&self, transport: Transport, reply: Option<&Reply>, verdict: Verdict) {
        if let Some(counters) = &self.counters {
            counters.borrow_mut().count(transport, reply, verdict);
            if let Some(reply) = reply {
                self.zones.borrow().count(reply);
            }
        }
        if reply.is_some_and(|reply| reply.kind == dns::Kind::Notify) {
            self.notified.set(true);
            self.changes.wake_all();
        }
    }
}

/// Seconds since 1970.
pub fn clock() -> u32 {
    kernlet::time::unix_time().as_secs() as u32
}
