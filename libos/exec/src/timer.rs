//! Deadlines.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use kernlet_platform::cell::RefCell;
use kernlet_platform::cpu::CpuLocal;
use kernlet_sync::trace;
use kernlet_time::{Duration, Instant};

/// A sleeper's place: the slot and which use of it this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ticket {
    slot: u32,
    turn: u32,
}

/// Deadlines in a heap whose entries name slots. A sleeper that goes away only empties its slot: its entry stays until
/// it comes up, or until such entries are most of the heap.
#[derive(Default)]
struct Timers {
    heap: BinaryHeap<Reverse<(Instant, Ticket)>>,
    slots: Vec<(u32, Option<Waker>)>,
    free: Vec<u32>,
}

/// Below this size the heap is not worth cleaning.
const SMALL: usize = 64;

impl Timers {
    fn insert(&mut self, at: Instant, waker: Waker) -> Ticket {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            self.slots.len() as u32 - 1
        });
        let (turn, place) = &mut self.slots[slot as usize];
        *place = Some(waker);
        let ticket = Ticket { slot, turn: *turn };
        self.heap.push(Reverse((at, ticket)));
        ticket
    }

    /// The sleeper's waker, while it waits.
    fn waiting(&mut self, ticket: Ticket) -> Option<&mut Option<Waker>> {
        let (turn, waker) = &mut self.slots[ticket.slot as usize];
        (*turn == ticket.turn).then_some(waker)
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Waker> {
        let (turn, waker) = &mut self.slots[ticket.slot as usize];
        if *turn != ticket.turn {
            return None;
        }
        *turn = turn.wrapping_add(1);
        let waker = waker.take();
        self.free.push(ticket.slot);
        let used = self.slots.len() - self.free.len();
        if self.heap.len() > SMALL && self.heap.len() / 2 > used {
            let slots = &self.slots;
            self.heap.retain(|Reverse((_, t))| slots[t.slot as usize].0 == t.turn);
        }
        waker
    }

    /// The earliest deadline of a sleeper that is still there.
    fn first(&mut self) -> Option<(Instant, Ticket)> {
        while let Some(&Reverse((at, ticket))) = self.heap.peek() {
            if self.waiting(ticket).is_some() {
                return Some((at, ticket));
            }
            self.heap.pop();
        }
        None
    }
}

static TIMERS: CpuLocal<RefCell<Timers>> = CpuLocal::new(RefCell::default);

/// The earliest deadline for which somebody waits.
pub fn next_deadline() -> Option<Instant> {
    TIMERS.get().borrow_mut().first().map(|(at, _)| at)
}

/// Wakes all whose deadline has come. Reads the clock only when somebody waits.
pub(crate) fn fire() {
    if next_deadline().is_none() {
        return;
    }
    let now = Instant::now();
    loop {
        let waker = {
            let mut timers = TIMERS.get().borrow_mut();
            match timers.first() {
                Some((at, ticket)) if at <= now => timers.remove(ticket),
                _ => return,
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Waits for a moment; see [`sleep`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    at: Instant,
    ticket: Option<Ticket>,
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
        let waker = context.waker();
        match self.ticket.and_then(|ticket| timers.waiting(ticket)) {
            Some(place) => *place = Some(waker.clone()),
            None => self.ticket = Some(timers.insert(at, waker.clone())),
        }
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
            TIMERS.get().borrow_mut().remove(ticket);
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
