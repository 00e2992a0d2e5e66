//! Taking turns: one task at a time per direction of a socket, and no task for ever.

use core::cell::Cell;
use core::task::{Context, Waker};
use kernlet_platform::cell::RefCell;
use kernlet_sync::WaitQueue;

/// How many turns may follow one another without waiting before other tasks run.
const STRAIGHT: u8 = 32;

/// One direction of a socket. Who has the turn is the only one to try and to leave a waker there.
#[derive(Default)]
pub struct Turn {
    taken: Cell<bool>,
    queue: WaitQueue,
    straight: Cell<u8>,
}

/// Held by who has the turn.
pub struct Taken<'t>(&'t Turn);

impl Turn {
    /// Waits until the turn is free and takes it. A socket that is always ready would never let its task wait:
    /// every [`STRAIGHT`] turns the others run.
    pub async fn take(&self) -> Taken<'_> {
        let straight = self.straight.get() + 1;
        if straight >= STRAIGHT {
            self.straight.set(0);
            kernlet_exec::yield_now().await;
        } else {
            self.straight.set(straight);
        }
        if self.taken.get() {
            self.queue.until(|| (!self.taken.get()).then_some(())).await;
        }
        self.taken.set(true);
        Taken(self)
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.0.taken.set(false);
        self.0.queue.wake_one();
    }
}

/// The waker of the one that has the turn.
#[derive(Default)]
pub struct Waiter(RefCell<Option<Waker>>);

impl Waiter {
    /// Leaves the waker of the task that is polled.
    pub fn register(&self, context: &Context<'_>) {
        let mut waker = self.0.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(context.waker()) => {}
            _ => *waker = Some(context.waker().clone()),
        }
    }

    /// Wakes it.
    pub fn wake(&self) {
        let waker = self.0.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
