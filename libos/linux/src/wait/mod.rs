//! Waiting for descriptors (poll(2), epoll(7)).

mod relay;
mod watchers;

pub use relay::Relay;
pub use watchers::{Events, Place, Watch, Watchers};

use crate::Errno;
use crate::call::{Call, Outcome, number, unknown};
use crate::thread::Thread;
use alloc::rc::Rc;

/// Handles the calls of this subject.
pub async fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        // Programs fall back to threads and epoll.
        number::IO_URING_SETUP | number::IO_SETUP => Err(Errno::ENOSYS),
        _ => unknown(thread, call),
    }
}
