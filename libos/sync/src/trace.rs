//! Backtraces of tasks that wait.
//!
//! A future that waits has no stack. So to see where, it is polled once more while tracing is on: its outer
//! futures poll the inner ones down to the place that waits, which takes a backtrace there instead of looking
//! whether it is ready, and stays pending. Whoever traces wakes all tasks afterwards.

use core::cell::Cell;
use kernlet_platform::backtrace::{Frames, capture};
use kernlet_platform::cell::RefCell;
use kernlet_platform::cpu::CpuLocal;

static TRACING: CpuLocal<Cell<bool>> = CpuLocal::new(|| Cell::new(false));
static FOUND: CpuLocal<RefCell<alloc::vec::Vec<Frames>>> =
    CpuLocal::new(|| RefCell::new(alloc::vec::Vec::new()));

/// How many waiting places one task can show (a task that joins or selects has several).
const MOST: usize = 8;

/// Called first by every future that can wait for something outside of it: when it returns `true`, return
/// `Poll::Pending` at once and change nothing.
#[inline]
pub fn leaf() -> bool {
    let tracing = TRACING.get().get();
    if tracing {
        note();
    }
    tracing
}

/// Apart from [`leaf`], which stands in many places.
#[cold]
#[inline(never)]
fn note() {
    let mut found = FOUND.get().borrow_mut();
    if found.len() < MOST {
        found.push(capture());
    }
}

/// Runs `poll` with tracing on, and returns the backtraces of the places that it waits at, up to here: what lies
/// further out is of whoever traces.
pub fn trace(poll: impl FnOnce()) -> alloc::vec::Vec<Frames> {
    let here = capture();
    TRACING.get().set(true);
    poll();
    TRACING.get().set(false);
    let found = core::mem::take(&mut *FOUND.get().borrow_mut());
    found.into_iter().map(|frames| frames.inside(&here)).collect()
}
