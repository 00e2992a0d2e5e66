//! Wakers that tell watchers: how readiness of drivers and sockets, which leave a waker, reaches everybody who watches.

use super::watchers::{Events, Watchers};
use alloc::rc::{Rc, Weak};
use alloc::vec::Vec;
use core::task::Waker;
use kernlet_platform::cell::RefCell;
use kernlet_platform::cpu::CpuLocal;
use kernlet_platform::waker::{Numbered, numbered};

/// A number is a place in the list of relays, above that which use of the place it is, and in the lowest bit the direction.
const PLACE_BITS: u32 = 31;

/// A waker may be used from anywhere, so it is a number only.
struct Told;

impl Numbered for Told {
    fn wake(number: usize) {
        let watchers = RELAYS.get().borrow().find(number >> 1);
        if let Some(watchers) = watchers {
            watchers.notify(if number & 1 == 0 { Events::IN } else { Events::OUT });
        }
    }
}

#[derive(Default)]
struct Relays {
    places: Vec<(usize, Weak<Watchers>)>,
    free: Vec<usize>,
}

static RELAYS: CpuLocal<RefCell<Relays>> = CpuLocal::new(RefCell::default);

impl Relays {
    fn find(&self, number: usize) -> Option<Rc<Watchers>> {
        let (turn, watchers) = self.places.get(number & ((1 << PLACE_BITS) - 1))?;
        if *turn == number >> PLACE_BITS { watchers.upgrade() } else { None }
    }

    fn insert(&mut self, watchers: Weak<Watchers>) -> usize {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, Weak::new()));
            self.places.len() - 1
        });
        self.places[place].1 = watchers;
        place | self.places[place].0 << PLACE_BITS
    }

    fn remove(&mut self, number: usize) {
        let place = number & ((1 << PLACE_BITS) - 1);
        // A waker that is left over is not confused with those of the next.
        let turn = (number >> PLACE_BITS).wrapping_add(1) & u32::MAX as usize;
        self.places[place] = (turn, Weak::new());
        self.free.push(place);
    }
}

/// Watchers with wakers that tell them.
pub struct Relay {
    number: usize,
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
        let watchers = Rc::new(Watchers::new());
        let number = RELAYS.get().borrow_mut().insert(Rc::downgrade(&watchers));
        let wakers = [0, 1].map(|direction| numbered::<Told>(number << 1 | direction));
        Self { number, watchers, wakers }
    }

    /// Its number, which no other has at the same time.
    pub fn number(&self) -> u64 {
        self.number as u64
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
        RELAYS.get().borrow_mut().remove(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::sync::Arc;
    use alloc::task::Wake;
    use core::sync::atomic::{AtomicU32, Ordering};

    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_waker_outlives_its_relay_and_does_nothing_then() {
        let woken = Arc::new(Woken(0.into()));
        let relay = Relay::new();
        let waker = relay.readable().clone();
        relay.watchers().wake(&Waker::from(woken.clone()));
        waker.wake_by_ref();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        drop(relay);
        // The place has a new user, whom the old waker does not know.
        let next = Relay::new();
        next.watchers().wake(&Waker::from(woken.clone()));
        waker.wake();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        next.writable().wake_by_ref();
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
    }
}
