//! Sockets (socket(7)).

use crate::call::{Call, Outcome, unknown};
use crate::thread::Thread;
use alloc::rc::Rc;

/// Handles the calls of this subject.
pub async fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        _ => unknown(thread, call),
    }
}
