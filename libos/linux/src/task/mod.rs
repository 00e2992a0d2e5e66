//! Threads and processes: making, ending, waiting for one another (clone(2), futex(2), exit(2)).

mod facts;
mod prctl;
mod schedule;

pub use facts::{ProcessFacts, ThreadFacts};

use crate::Errno;
use crate::call::{Call, Outcome, number, unknown};
use crate::thread::Thread;
use alloc::rc::Rc;
use kernlet_platform::program::Context;

/// Who waits for words of a process's memory.
#[derive(Debug, Default)]
pub struct Futexes {}

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
        number::PRCTL => prctl::prctl(thread, call),
        number::PERSONALITY => prctl::personality(thread, call.word(0)),
        number::ARCH_PRCTL => prctl::arch_prctl(context, call),
        number::SCHED_YIELD
        | number::SCHED_GETAFFINITY
        | number::SCHED_SETAFFINITY
        | number::SCHED_GETSCHEDULER
        | number::SCHED_SETSCHEDULER
        | number::SCHED_GETPARAM
        | number::SCHED_SETPARAM
        | number::SCHED_GET_PRIORITY_MIN
        | number::SCHED_GET_PRIORITY_MAX
        | number::SCHED_RR_GET_INTERVAL
        | number::SCHED_GETATTR
        | number::SCHED_SETATTR
        | number::GETCPU => schedule::call(thread, call).await,
        // Restartable sequences are left out: a C library does without.
        number::RSEQ => Err(Errno::ENOSYS),
        _ => unknown(thread, call),
    }
}
