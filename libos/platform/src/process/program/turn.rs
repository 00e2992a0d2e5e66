//! How long a thread runs: the host's timers, of which the signals end its turn.
//!
//! One that strikes in the program leaves it. One that strikes in the library OS is noted in the block, where the way into the
//! program looks last of all; what strikes behind that look, on the instructions up to the program's first, leaves there.

use super::super::call::{call, number};
use crate::program::enter::block;
use core::sync::atomic::{AtomicU64, Ordering};

/// ITIMER_PROF, which counts CPU time: an instance that waits is not woken.
const ITIMER_PROF: usize = 2;
/// ITIMER_REAL, for what is to happen sooner than that.
const ITIMER_REAL: usize = 0;
/// How long a thread runs before others have their turn, in microseconds.
const TURN: u64 = 10_000;

/// The moment for which the host's timer is set.
static ARMED: AtomicU64 = AtomicU64::new(0);

fn set(timer: usize, every: u64, microseconds: u64) {
    let value = [0, every, microseconds / 1_000_000, microseconds % 1_000_000];
    // SAFETY: the host reads a live itimerval.
    let _ = unsafe { call(number::SETITIMER, [timer, value.as_ptr() as usize, 0, 0, 0, 0]) };
}

/// Has turns end.
pub fn install() {
    set(ITIMER_PROF, TURN, TURN);
}

/// Ticks of [`TURN`] microseconds of CPU time that met the program, and that met the library OS.
static TICKS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// A tick met the library OS, or the program; called by the handler.
pub fn tick(within: bool) {
    TICKS[usize::from(within)].fetch_add(1, Ordering::Relaxed);
}

/// See [`crate::program::ticks`].
pub fn ticks() -> [u64; 2] {
    TICKS.each_ref().map(|ticks| ticks.load(Ordering::Relaxed))
}

/// See [`crate::program::turn`].
pub fn turn(until: Option<u64>) {
    // SAFETY: one host thread uses the block, and its handler writes whole words.
    unsafe { (&raw mut (*block()).over).write_volatile(0) };
    let Some(at) = until else { return };
    if ARMED.swap(at, Ordering::Relaxed) != at {
        set(ITIMER_REAL, 0, at.saturating_sub(crate::clock::monotonic()) / 1000 + 1);
    }
}

/// The turn ended in the library OS; called by the handler. The way into the program tells of it.
pub fn note() {
    // SAFETY: one host thread uses the block, and this handler runs in it.
    unsafe { (&raw mut (*block()).over).write_volatile(1) };
}
