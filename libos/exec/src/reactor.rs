//! Readiness of whatever the platform watches.

use alloc::vec::Vec;
use core::task::{Context, Poll, Waker};
use kernlet_platform::cell::RefCell;
use kernlet_platform::cpu::CpuLocal;
use kernlet_platform::event::Ready;
use kernlet_sync::trace;

/// A token is a slot's index with, above these bits, the generation of its use.
const INDEX_BITS: u32 = 20;

#[derive(Default)]
struct Slot {
    generation: u32,
    used: bool,
    /// The other end was reported to have ended.
    ended: bool,
    /// For reading and for writing: may it succeed, and who waits.
    ready: [bool; 2],
    waiting: [Option<Waker>; 2],
}

#[derive(Default)]
struct Reactor {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

static REACTOR: CpuLocal<RefCell<Reactor>> = CpuLocal::new(RefCell::default);

impl Reactor {
    fn slot(&mut self, token: u32) -> Option<&mut Slot> {
        let slot = self.slots.get_mut((token & ((1 << INDEX_BITS) - 1)) as usize)?;
        (slot.used && slot.generation == token >> INDEX_BITS).then_some(slot)
    }
}

/// Notes what the platform reported, and wakes who waits for it.
pub(crate) fn dispatch(event: Ready) {
    let wakers = {
        let mut reactor = REACTOR.get().borrow_mut();
        let Some(slot) = reactor.slot(event.token) else { return };
        slot.ended |= event.ended;
        let mut wakers = [None, None];
        // Whoever reads is told each time that more has come. Room to write is told when there was none.
        let room = event.writable && !slot.ready[1];
        for (i, now) in [event.readable, room].into_iter().enumerate() {
            if now {
                slot.ready[i] = true;
                wakers[i] = slot.waiting[i].take();
            }
        }
        wakers
    };
    for waker in wakers.into_iter().flatten() {
        waker.wake();
    }
}

/// Something that the platform watches. Its user tries first, and when that gives EAGAIN clears the readiness and
/// waits for the next edge. One task waits for each direction.
#[derive(Debug)]
pub struct Source {
    token: u32,
}

impl Default for Source {
    fn default() -> Self {
        Self::new()
    }
}

impl Source {
    /// A source that counts as ready until it is cleared. Hand its token to the platform's `watch`.
    pub fn new() -> Self {
        let mut reactor = REACTOR.get().borrow_mut();
        let index = reactor.free.pop().unwrap_or_else(|| {
            reactor.slots.push(Slot::default());
            reactor.slots.len() as u32 - 1
        });
        assert!(index < 1 << INDEX_BITS, "more than a million sources");
        let slot = &mut reactor.slots[index as usize];
        *slot = Slot { generation: slot.generation, used: true, ready: [true; 2], ..Slot::default() };
        Self { token: index | slot.generation << INDEX_BITS }
    }

    /// The token under which the platform reports.
    pub fn token(&self) -> u32 {
        self.token
    }

    fn poll(&self, direction: usize, context: &mut Context<'_>) -> Poll<()> {
        if trace::leaf() {
            return Poll::Pending;
        }
        let mut reactor = REACTOR.get().borrow_mut();
        let Some(slot) = reactor.slot(self.token) else { return Poll::Ready(()) };
        if slot.ready[direction] {
            return Poll::Ready(());
        }
        slot.waiting[direction] = Some(context.waker().clone());
        Poll::Pending
    }

    /// Whether reading may succeed.
    pub fn is_readable(&self) -> bool {
        REACTOR.get().borrow_mut().slot(self.token).is_none_or(|slot| slot.ready[0])
    }

    /// Whether writing may succeed.
    pub fn is_writable(&self) -> bool {
        REACTOR.get().borrow_mut().slot(self.token).is_none_or(|slot| slot.ready[1])
    }

    /// Whether the other end was reported to have ended.
    pub fn is_ended(&self) -> bool {
        REACTOR.get().borrow_mut().slot(self.token).is_some_and(|slot| slot.ended)
    }

    /// Whether reading may succeed, whether writing may, and whether the other end was reported to have ended. Wakers are
    /// left for the next report, whether or not it is ready already; there is none of room to write as long as there is some.
    pub fn ask(&self, readable: &Waker, writable: &Waker) -> [bool; 3] {
        let mut reactor = REACTOR.get().borrow_mut();
        let Some(slot) = reactor.slot(self.token) else { return [true; 3] };
        for (place, waker) in slot.waiting.iter_mut().zip([readable, writable]) {
            if !place.as_ref().is_some_and(|known| known.will_wake(waker)) {
                *place = Some(waker.clone());
            }
        }
        [slot.ready[0], slot.ready[1], slot.ended]
    }

    /// Says what it is ready for now, as its user has found out.
    pub fn set(&self, readable: bool, writable: bool) {
        if let Some(slot) = REACTOR.get().borrow_mut().slot(self.token) {
            slot.ready = [readable, writable];
        }
    }

    /// Ready when reading may succeed.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll(0, context)
    }

    /// Ready when writing may succeed.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.poll(1, context)
    }

    /// Reading gave EAGAIN: not readable until the platform reports again.
    pub fn clear_readable(&self) {
        self.clear(0);
    }

    /// Reading took all that was there, so that it would give EAGAIN now: not readable until the platform reports
    /// again. When the end has been reported already no other report comes, and it stays readable.
    pub fn clear_drained(&self) {
        if let Some(slot) = REACTOR.get().borrow_mut().slot(self.token) {
            slot.ready[0] = slot.ended;
        }
    }

    /// Writing gave EAGAIN: not writable until the platform reports again.
    pub fn clear_writable(&self) {
        self.clear(1);
    }

    fn clear(&self, direction: usize) {
        if let Some(slot) = REACTOR.get().borrow_mut().slot(self.token) {
            slot.ready[direction] = false;
        }
    }

    /// Waits until reading may succeed.
    pub async fn readable(&self) {
        core::future::poll_fn(|context| self.poll_readable(context)).await;
    }

    /// Waits until writing may succeed.
    pub async fn writable(&self) {
        core::future::poll_fn(|context| self.poll_writable(context)).await;
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let mut reactor = REACTOR.get().borrow_mut();
        if let Some(slot) = reactor.slot(self.token) {
            // The next user of the slot is not confused with this one.
            slot.generation = (slot.generation + 1) & ((1 << (32 - INDEX_BITS)) - 1);
            slot.used = false;
            slot.waiting = [None, None];
            let index = self.token & ((1 << INDEX_BITS) - 1);
            reactor.free.push(index);
        }
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
    fn more_to_read_is_told_each_time_and_room_to_write_when_there_was_none() {
        let [reads, writes] = [0, 1].map(|_| Arc::new(Woken(0.into())));
        let (reader, writer) = (Waker::from(reads.clone()), Waker::from(writes.clone()));
        let told = || [&reads, &writes].map(|w| w.0.load(Ordering::Relaxed));
        let source = Source::new();
        let report = || {
            dispatch(Ready { token: source.token(), readable: true, writable: true, ended: false });
        };
        assert_eq!(source.ask(&reader, &writer), [true, true, false]);
        report();
        assert_eq!(told(), [1, 0]);
        source.clear_writable();
        assert_eq!(source.ask(&reader, &writer), [true, false, false]);
        report();
        assert_eq!(told(), [2, 1]);
    }
}
