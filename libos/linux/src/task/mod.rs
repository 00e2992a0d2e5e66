//! Threads and processes: making, ending, waiting for one another (clone(2), futex(2), exit(2)).

mod clone;
mod facts;
mod futex;
mod pidfd;
mod prctl;
mod schedule;
mod transfer;

pub use facts::{ProcessFacts, ThreadFacts};
pub use futex::Futexes;
pub use pidfd::PidFd;

use crate::call::{Call, Outcome, WAITS, boxed, number, unknown};
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use kernlet_platform::program::Context;

/// Bytes of struct robust_list_head.
const ROBUST_LIST: u64 = 24;
/// WEXITED, WSTOPPED (WUNTRACED) and WCONTINUED.
const WAIT_STATES: u32 = 4 | 2 | 8;
/// Those, WNOHANG, WNOWAIT, __WNOTHREAD, __WALL and __WCLONE.
const WAIT_OPTIONS: u32 = WAIT_STATES | 1 | 0x0100_0000 | 0xe000_0000;
const EXITED: u32 = 4;

/// A thread has ended: its locks are given up, its number is cleared for who joins it, and the process ends with the last one.
pub fn end(thread: &Rc<Thread>) {
    let process = &thread.process;
    futex::end(thread);
    let last = {
        let mut threads = process.threads.borrow_mut();
        threads.remove(&thread.id);
        threads.is_empty()
    };
    if last {
        process.exit(thread.status.get());
    }
}

fn get_robust_list(thread: &Rc<Thread>, call: Call) -> Outcome {
    let of = match call.word(0) {
        0 => thread.clone(),
        id => thread.process.thread(id).ok_or(Errno::ESRCH)?,
    };
    user::write(call.size(1), &(of.robust_list.get() as u64).to_le_bytes())?;
    user::write(call.size(2), &ROBUST_LIST.to_le_bytes()).map(|()| 0)
}

/// Handles the calls about process groups and sessions, of which there is one.
fn group(thread: &Rc<Thread>, call: Call) -> Outcome {
    let facts = &thread.process.facts;
    let own = |id: u32| id == 0 || thread.process.thread(id).is_some();
    match call.number {
        number::GETPGRP => Ok(facts.group.get().into()),
        number::GETPGID if own(call.word(0)) => Ok(facts.group.get().into()),
        number::GETSID if own(call.word(0)) => Ok(facts.session.get().into()),
        number::SETPGID if call.int(1) < 0 => Err(Errno::EINVAL),
        // It leads its session and its group, as every process does that somebody started by itself.
        number::SETPGID if own(call.word(0)) => Err(Errno::EPERM),
        number::SETSID => Err(Errno::EPERM),
        _ => Err(Errno::ESRCH),
    }
}

/// Handles the calls of this subject that never wait.
#[inline(never)]
pub fn at_once(thread: &Rc<Thread>, context: &mut Context, call: Call) -> Outcome {
    match call.number {
        number::EXIT => {
            thread.status.set(call.int(0) as u8);
            thread.ending.set(true);
            Ok(0)
        }
        number::EXIT_GROUP if crate::memory::is_finished(thread) => thread.process.exit(call.int(0) as u8),
        number::CLONE => clone::clone(thread, context, call),
        number::CLONE3 => clone::clone3(thread, context, call),
        number::FORK | number::VFORK => clone::no_processes(thread, "fork"),
        number::EXECVE | number::EXECVEAT => clone::no_processes(thread, "execve"),
        number::WAIT4 if call.word(2) & !WAIT_OPTIONS | call.word(2) & EXITED != 0 => Err(Errno::EINVAL),
        number::WAITID if call.word(3) & !WAIT_OPTIONS != 0 || call.word(3) & WAIT_STATES == 0 => {
            Err(Errno::EINVAL)
        }
        number::WAITID => pidfd::wait_for(thread, call.int(0), call.int(1)),
        number::WAIT4 if call.int(0) == i32::MIN => Err(Errno::ESRCH),
        number::WAIT4 => Err(Errno::ECHILD),
        number::PIDFD_OPEN
        | number::PIDFD_SEND_SIGNAL
        | number::PIDFD_GETFD
        | number::PROCESS_MADVISE
        | number::PROCESS_MRELEASE
        | number::KCMP => pidfd::call(thread, call),
        number::PROCESS_VM_READV | number::PROCESS_VM_WRITEV => transfer::call(thread, call),
        number::SET_TID_ADDRESS => {
            thread.clear_child_tid.set(call.size(0));
            Ok(thread.id.into())
        }
        number::SET_ROBUST_LIST => {
            if call.size(1) as u64 != ROBUST_LIST {
                return Err(Errno::EINVAL);
            }
            thread.robust_list.set(call.size(0));
            Ok(0)
        }
        number::GET_ROBUST_LIST => get_robust_list(thread, call),
        number::GETPGRP | number::GETPGID | number::GETSID | number::SETPGID | number::SETSID => {
            group(thread, call)
        }
        number::GETTID => Ok(thread.id.into()),
        number::GETPID => Ok(thread.process.id.into()),
        number::GETPPID => Ok(0),
        number::PRCTL => prctl::prctl(thread, call),
        number::PERSONALITY => prctl::personality(thread, call.word(0)),
        number::ARCH_PRCTL => prctl::arch_prctl(context, call),
        number::SCHED_GETAFFINITY
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
        | number::GETCPU => schedule::at_once(thread, call),
        // Restartable sequences are left out: a C library does without. The others are newer than the release that is told,
        // or not of this architecture.
        number::PTRACE | number::UNSHARE | number::SETNS => Err(Errno::EPERM),
        number::RSEQ
        | number::FUTEX_WAKE
        | number::FUTEX_WAIT
        | number::FUTEX_REQUEUE
        | number::SET_THREAD_AREA
        | number::GET_THREAD_AREA => Err(Errno::ENOSYS),
        _ => Err(WAITS),
    }
}

/// Handles those that may wait.
pub async fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::FUTEX => futex::futex(thread, call).await,
        number::FUTEX_WAITV => boxed(futex::wait_vector(thread, call)).await,
        number::SCHED_YIELD => {
            kernlet_exec::yield_now().await;
            Ok(0)
        }
        number::EXIT_GROUP => {
            crate::memory::finish(thread).await;
            thread.process.exit(call.int(0) as u8)
        }
        _ => unknown(thread, call),
    }
}
