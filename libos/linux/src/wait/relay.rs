//! Wakers that tell watchers: how readiness of drivers and sockets, which leave a waker, reaches everybody who watches.

use super::watchers::{Events, Watchers};
use alloc::rc::{Rc, Weak};
use alloc::sync::Arc;
use alloc::task::Wake;
use core::cell::Cell;
use core::task::Waker;
use kernlet_platform::cell::RefCell;
use kernlet_platform::cpu::CpuLocal;
use kernlet_sync::SmallMap;

/// A waker may be used from anywhere, so it holds a number only.
struct Number {
    number: u64,
    events: Events,
}

impl Wake for Number {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let watchers = RELAYS.get().known.borrow().get(&self.number).and_then(Weak::upgrade);
        if let Some(watchers) = watchers {
            watchers.notify(self.events);
        }
    }
}

#[derive(Default)]
struct Relays {
    next: Cell<u64>,
    known: RefCell<SmallMap<u64, Weak<Watchers>>>,
}

static RELAYS: CpuLocal<Relays> = CpuLocal::new(Relays::default);

/// Watchers with wakers that tell them.
pub struct Relay {
    number: u64,
    watchers: Rc<Watchers>,
    /// For reading and for writing.
    wakers: [Waker; 2],
}

impl Default for Relay {
    fn default() -> Self {
        Self::new()
    }
}

impl Relay {
    /// Watchers of which there are none yet.
    pub fn new() -> Self {
        let relays = RELAYS.get();
        let number = relays.next.get();
        relays.next.set(number + 1);
        let watchers = Rc::new(Watchers::new());
        relays.known.borrow_mut().insert(number, Rc::downgrade(&watchers));
        let waker = |events| Waker::from(Arc::new(Number { number, events }));
        Self { number, watchers, wakers: [waker(Events::IN), waker(Events::OUT)] }
    }

    /// The watchers.
    pub fn watchers(&self) -> &Watchers {
        &self.watchers
    }

    /// A waker that tells them that reading may be possible.
    pub fn readable(&self) -> &Waker {
        &self.wakers[0]
    }

    /// A waker that tells them that writing may be possible.
    pub fn writable(&self) -> &Waker {
        &self.wakers[1]
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        RELAYS.get().known.borrow_mut().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waker_outlives_its_relay_and_does_nothing_then() {
        struct Woken(core::sync::atomic::AtomicU32);
        impl Wake for Woken {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
            }
        }
        let woken = Arc::new(Woken(0.into()));
        let relay = Relay::new();
        let waker = relay.readable().clone();
        relay.watchers().wake(&Waker::from(woken.clone()));
        waker.wake_by_ref();
        assert_eq!(woken.0.load(core::sync::atomic::Ordering::Relaxed), 1);
        drop(relay);
        waker.wake();
        assert_eq!(woken.0.load(core::sync::atomic::Ordering::Relaxed), 1);
    }
}
