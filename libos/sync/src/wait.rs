//! Waiting until a condition holds.

use crate::trace;
use alloc::collections::VecDeque;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use kernlet_platform::cell::RefCell;

/// Tasks that wait for a condition, in the order in which they came.
#[derive(Default)]
pub struct WaitQueue {
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    /// By ascending ticket.
    waiting: VecDeque<(u64, Waker)>,
}

impl Inner {
    fn place(&self, ticket: u64) -> Result<usize, usize> {
        self.waiting.binary_search_by_key(&ticket, |(t, _)| *t)
    }
}

impl core::fmt::Debug for WaitQueue {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("WaitQueue").field("waiting", &self.inner.borrow().waiting.len()).finish()
    }
}

impl WaitQueue {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self { inner: RefCell::new(Inner { next: 0, waiting: VecDeque::new() }) }
    }

    /// Wakes the first that waits, to ask its condition again.
    pub fn wake_one(&self) {
        let first = self.inner.borrow_mut().waiting.pop_front();
        if let Some((_, waker)) = first {
            waker.wake();
        }
    }

    /// Wakes all that wait.
    pub fn wake_all(&self) {
        let all = core::mem::take(&mut self.inner.borrow_mut().waiting);
        for (_, waker) in all {
            waker.wake();
        }
    }

    /// Waits until `condition` gives something. It is asked at once, and again after each wake-up.
    pub fn until<T, F: FnMut() -> Option<T> + Unpin>(&self, condition: F) -> Until<'_, F> {
        Until { queue: self, condition, ticket: None }
    }
}

/// The future of [`WaitQueue::until`].
pub struct Until<'q, F> {
    queue: &'q WaitQueue,
    condition: F,
    ticket: Option<u64>,
}

impl<T, F: FnMut() -> Option<T> + Unpin> Future for Until<'_, F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if trace::leaf() {
            return Poll::Pending;
        }
        if let Some(value) = (self.condition)() {
            self.leave();
            return Poll::Ready(value);
        }
        let mut inner = self.queue.inner.borrow_mut();
        let ticket = self.ticket.unwrap_or(inner.next);
        if self.ticket.is_none() {
            inner.next += 1;
        }
        let waiter = (ticket, context.waker().clone());
        match inner.place(ticket) {
            Ok(at) => inner.waiting[at] = waiter,
            Err(at) => inner.waiting.insert(at, waiter),
        }
        drop(inner);
        self.ticket = Some(ticket);
        Poll::Pending
    }
}

impl<F> Until<'_, F> {
    /// Takes this waiter out of the queue; tells whether it still stood there.
    fn leave(&mut self) -> bool {
        let Some(ticket) = self.ticket.take() else { return true };
        let mut inner = self.queue.inner.borrow_mut();
        inner.place(ticket).is_ok_and(|at| inner.waiting.remove(at).is_some())
    }
}

impl<F> Drop for Until<'_, F> {
    fn drop(&mut self) {
        // A waiter that was woken and then cancelled passes its wake-up on.
        if !self.leave() {
            self.queue.wake_one();
        }
    }
}

/// A future from a poll function that is a place to wait: while tasks are traced it is not called.
pub fn poll_fn<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> impl Future<Output = T> {
    core::future::poll_fn(move |context| if trace::leaf() { Poll::Pending } else { poll(context) })
}
