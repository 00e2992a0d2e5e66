//! All connections with their deadlines.
//!
//! A deadline changes with every request, so it is a number in a table that is looked through once a second, and not a
//! timer. Whoever ran out of time is told when its task runs next, and woken for that.

use core::cell::{Cell, RefCell};
use core::task::Waker;
use kernlet::alloc::vec::Vec;
use kernlet::task::WaitQueue;
use kernlet::time::Instant;

/// Why a connection is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Its time is up.
    Deadline,
    /// Its place is needed.
    Room,
}

struct Slot {
    used: bool,
    call: Option<Call>,
    /// It waits for a request, and may be closed to make room.
    idle: bool,
    deadline: Instant,
    waker: Option<Waker>,
}

/// The table.
#[derive(Default)]
pub struct Table {
    slots: RefCell<Vec<Slot>>,
    free: RefCell<Vec<usize>>,
    count: Cell<usize>,
    /// Where the next search for somebody to close begins.
    hand: Cell<usize>,
    filled: WaitQueue,
}

impl Table {
    /// A place for a new connection.
    pub fn enter(&self, deadline: Instant) -> usize {
        let slot = Slot { used: true, call: None, idle: true, deadline, waker: None };
        let mut slots = self.slots.borrow_mut();
        let at = match self.free.borrow_mut().pop() {
            Some(at) => at,
            None => {
                slots.push(Slot { used: false, call: None, idle: false, deadline, waker: None });
                slots.len() - 1
            }
        };
        slots[at] = slot;
        self.count.set(self.count.get() + 1);
        self.filled.wake_all();
        at
    }

    /// The connection is gone.
    pub fn leave(&self, at: usize) {
        let waker = {
            let slot = &mut self.slots.borrow_mut()[at];
            slot.used = false;
            slot.waker.take()
        };
        drop(waker);
        self.free.borrow_mut().push(at);
        self.count.set(self.count.get() - 1);
    }

    /// Until when the connection may wait, for a request (`idle`) or something else, and how to wake it after that.
    pub fn wait(&self, at: usize, deadline: Instant, idle: bool, waker: &Waker) {
        let slot = &mut self.slots.borrow_mut()[at];
        (slot.deadline, slot.idle) = (deadline, idle);
        if !slot.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            slot.waker = Some(waker.clone());
        }
    }

    /// Whether the connection is to end. Tells once.
    pub fn take_call(&self, at: usize) -> Option<Call> {
        self.slots.borrow_mut()[at].call.take()
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        self.count.get()
    }

    /// Waits until there is a connection.
    pub async fn filled(&self) {
        self.filled.until(|| (self.count() > 0).then_some(())).await;
    }

    /// Tells those whose deadline has come.
    pub fn expire(&self, now: Instant) {
        for slot in self.slots.borrow_mut().iter_mut().filter(|s| s.used && s.deadline <= now) {
            slot.tell(Call::Deadline);
        }
    }

    /// Has up to `most` connections closed that wait for a request; `false` when none does.
    pub fn shed(&self, most: usize) -> bool {
        let mut slots = self.slots.borrow_mut();
        let length = slots.len();
        let mut shed = 0;
        for _ in 0..length {
            let at = self.hand.get() % length;
            self.hand.set(at + 1);
            let slot = &mut slots[at];
            if slot.used && slot.idle && slot.call.is_none() {
                slot.tell(Call::Room);
                shed += 1;
                if shed >= most {
                    break;
                }
            }
        }
        shed > 0
    }
}

impl Slot {
    fn tell(&mut self, call: Call) {
        self.call = Some(call);
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}
