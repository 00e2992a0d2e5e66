//! Deadlines.

use alloc::collections::BTreeMap;
use core::cell::RefCell;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use kernlet_platform::cpu::CpuLocal;
use kernlet_sync::trace;
use kernlet_time::{Duration, Instant};

#[derive(Default)]
struct Timers {
    next: u64,
    waiting: BTreeMap<(Instant, u64), Waker>,
}

static TIMERS: CpuLocal<RefCell<Timers>> = CpuLocal::new(RefCell::default);

/// The earliest deadline for which somebody waits.
pub(crate) fn next_deadline() -> Option<Instant> {
    TIMERS.get().borrow().waiting.first_key_value().map(|((at, _), _)| *at)
}

/// Wakes all whose deadline has come. Reads the clock only when somebody waits.
pub(crate) fn fire() {
    if next_deadline().is_none() {
        return;
    }
    let now = Instant::now();
    while next_deadline().is_some_and(|at| at <= now) {
        let first = TIMERS.get().borrow_mut().waiting.pop_first();
        if let Some((_, waker)) = first {
            waker.wake();
        }
    }
}

/// Waits for a moment; see [`sleep`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    at: Instant,
    ticket: Option<u64>,
}

/// Waits for `duration`.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now() + duration)
}

/// Waits until `at`.
pub fn sleep_until(at: Instant) -> Sleep {
    Sleep { at, ticket: None }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if trace::leaf() {
            return Poll::Pending;
        }
        let at = self.at;
        if Instant::now() >= at {
            self.leave();
            return Poll::Ready(());
        }
        let mut timers = TIMERS.get().borrow_mut();
        let ticket = self.ticket.unwrap_or(timers.next);
        if self.ticket.is_none() {
            timers.next += 1;
        }
        timers.waiting.insert((at, ticket), context.waker().clone());
        self.ticket = Some(ticket);
        Poll::Pending
    }
}

impl Sleep {
    /// Sets a new moment.
    pub fn reset(&mut self, at: Instant) {
        self.leave();
        self.at = at;
    }

    fn leave(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            TIMERS.get().borrow_mut().waiting.remove(&(self.at, ticket));
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The time was up first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl core::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("timed out")
    }
}

impl core::error::Error for Elapsed {}

/// Waits for `future`, but not longer than `duration`; then the future is dropped, which cancels it.
///
/// # Errors
/// [`Elapsed`] when the time was up first.
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut sleep = pin!(sleep(duration));
    core::future::poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(value));
        }
        sleep.as_mut().poll(context).map(|()| Err(Elapsed))
    })
    .await
}
