//! The executor: tasks, timers and readiness of one vCPU.
//!
//! 1. Waiting is one mechanism: whatever makes a task wait ends in a `Waker`, and when no task is ready the
//!    executor halts in [`kernlet_platform::event::wait`] until an event or the next deadline.
//! 2. Tasks take turns; none is preempted. While tasks keep each other busy, events are looked at every
//!    [`TURNS`] polls.
//! 3. A task belongs to the vCPU that spawned it, so it needs no `Send`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod reactor;
mod task;
mod timer;

pub use reactor::Source;
pub use task::{Task, block_on, dump, look, spawn, yield_now};
pub use timer::{Elapsed, Sleep, next_deadline, sleep, sleep_until, timeout};

/// How many tasks are polled between two looks at events and timers.
pub const TURNS: usize = 32;
