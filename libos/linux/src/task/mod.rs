//! Threads and processes: making, ending, waiting for one another (clone(2), futex(2), exit(2)).

use crate::Errno;
use crate::call::{Call, Outcome, number, unknown};
use crate::thread::Thread;
use alloc::rc::Rc;
use kernlet_platform::program::Context;

const ARCH_SET_FS: u64 = 0x1002;
const ARCH_GET_FS: u64 = 0x1003;

/// A thread has ended: clears its number for who joins it, and ends the process with the last one.
pub async fn end(thread: &Rc<Thread>) {
    thread.process.exit(0);
}

/// Handles the calls of this subject.
pub async fn call(thread: &Rc<Thread>, context: &mut Context, call: Call) -> Outcome {
    match call.number {
        number::EXIT | number::EXIT_GROUP => thread.process.exit(call.int(0) as u8),
        number::SET_TID_ADDRESS => {
            thread.clear_child_tid.set(call.size(0));
            Ok(thread.id.into())
        }
        number::SET_ROBUST_LIST => {
            if call.size(1) != 24 {
                return Err(Errno::EINVAL);
            }
            thread.robust_list.set(call.size(0));
            Ok(0)
        }
        number::GETTID => Ok(thread.id.into()),
        number::GETPID => Ok(thread.process.id.into()),
        number::GETPPID => Ok(0),
        number::ARCH_PRCTL => match call.arguments[0] {
            ARCH_SET_FS if context.set_thread_pointer(call.arguments[1]) => Ok(0),
            ARCH_SET_FS => Err(Errno::EPERM),
            ARCH_GET_FS => {
                let pointer = context.thread_pointer();
                crate::user::write(call.size(1), &pointer.to_le_bytes())?;
                Ok(0)
            }
            _ => Err(Errno::EINVAL),
        },
        // Restartable sequences are left out: a C library does without.
        number::RSEQ => Err(Errno::ENOSYS),
        _ => unknown(thread, call),
    }
}
