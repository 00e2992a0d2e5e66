//! Programs that never have to wait: now and then they look at what the host has to tell all the same.

use core::cell::Cell;
use kernlet_platform::cpu::CpuLocal;

/// So many calls in a row find something without waiting before the host is asked, too.
const STRAIGHT: u8 = 16;

static STRAIGHT_CALLS: CpuLocal<Cell<u8>> = CpuLocal::new(|| Cell::new(0));

/// Begins a call that may wait: something that is always ready must not keep everything else from being seen.
pub async fn turn() {
    let calls = STRAIGHT_CALLS.get();
    calls.set(calls.get() + 1);
    if calls.get() >= STRAIGHT {
        waits();
        kernlet_exec::look();
        kernlet_exec::yield_now().await;
    }
}

/// The call has to wait, so that the executor looks.
pub fn waits() {
    STRAIGHT_CALLS.get().set(0);
}

/// Looks at what has happened, for a call that does not wait; now and then it lets others run. Were that each time, they would
/// always find the caller at the same place: Go's runtime asks like that while its world is stopped, and who watches over its
/// turns would see nothing else.
pub async fn look() {
    kernlet_exec::look();
    let calls = STRAIGHT_CALLS.get();
    calls.set(calls.get() + 1);
    if calls.get() >= STRAIGHT {
        waits();
        kernlet_exec::yield_now().await;
    }
}
