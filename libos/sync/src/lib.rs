//! Waiting for one another: everything that makes a task wait goes through these types.
//!
//! 1. A task waits for a condition: it asks, and when the answer is no it leaves its waker and asks again when
//!    woken. So no wake-up is lost, and a spurious one does no harm.
//! 2. State is shared between tasks of one vCPU in `RefCell`s, which are never borrowed across an await.
//! 3. Every place where a task can wait calls [`trace::leaf`] first, so that the backtrace of a waiting task can be
//!    taken (see there).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod channel;
mod small_map;
pub mod trace;
mod wait;

pub use channel::{Receiver, Sender, channel};
pub use kernlet_platform::cpu::CpuLocal;
pub use small_map::SmallMap;
pub use wait::{WaitQueue, poll_fn};
