//! Blocking signals and waiting for them (sigprocmask(2), sigtimedwait(2), sigsuspend(2)).

use super::kinds::{NEVER_BLOCKED, Set};
use super::{Information, send, take};
use crate::call::{Call, Outcome, restart};
use crate::thread::Thread;
use crate::time::{Clock, read_timespec};
use crate::{Errno, user};
use alloc::rc::Rc;
use core::future::Future;
use core::pin::pin;
use core::task::Poll;
use kernlet_exec::sleep_until;
use kernlet_time::Instant;

const BLOCK: i32 = 0;
const UNBLOCK: i32 = 1;
const SETMASK: i32 = 2;
/// Bytes of a set.
const LENGTH: usize = 8;

/// Sets a thread's mask; signals of the process that it blocks now are another thread's.
pub fn set(thread: &Thread, mask: Set) {
    let old = thread.signals.mask.replace(mask & !NEVER_BLOCKED);
    if mask & !old != 0 {
        send::retarget(thread);
    }
}

/// Handles rt_sigprocmask.
pub fn sigprocmask(thread: &Rc<Thread>, call: Call) -> Outcome {
    if call.size(3) != LENGTH {
        return Err(Errno::EINVAL);
    }
    let old = thread.signals.mask.get();
    if call.size(1) != 0 {
        let given = user::read_u64(call.size(1))?;
        set(
            thread,
            match call.int(0) {
                BLOCK => old | given,
                UNBLOCK => old & !given,
                SETMASK => given,
                _ => return Err(Errno::EINVAL),
            },
        );
    }
    if call.size(2) != 0 {
        user::write(call.size(2), &old.to_le_bytes())?;
    }
    Ok(0)
}

/// Handles rt_sigpending.
pub fn sigpending(thread: &Rc<Thread>, call: Call) -> Outcome {
    if call.size(1) > LENGTH {
        return Err(Errno::EINVAL);
    }
    let all = thread.signals.pending.set() | thread.process.signals.pending.set();
    let blocked = all & thread.signals.mask.get();
    user::write(call.size(0), &blocked.to_le_bytes()[..call.size(1)]).map(|()| 0)
}

/// Handles rt_sigsuspend.
pub async fn sigsuspend(thread: &Rc<Thread>, call: Call) -> Outcome {
    if call.size(1) != LENGTH {
        return Err(Errno::EINVAL);
    }
    let mask = user::read_u64(call.size(0))?;
    thread.saved_mask.set(Some(thread.signals.mask.get()));
    set(thread, mask);
    pause(thread).await
}

/// Waits until a handler has run.
pub async fn pause(thread: &Rc<Thread>) -> Outcome {
    thread.interruptible(core::future::pending::<()>()).await.map_err(|_| restart::NO_HANDLER)?;
    Ok(0)
}

/// What a thread waits for, as long as it does.
struct Awaited<'t>(&'t Thread);

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.0.signals.awaited.set(0);
        // What came meanwhile and is not taken is for whoever does not block it.
        send::retarget(self.0);
    }
}

/// Waits for one of `set`; `None` when the deadline came first.
async fn next(thread: &Thread, set: Set, deadline: Option<u64>) -> Result<Option<Information>, Errno> {
    thread.signals.awaited.set(set);
    let awaited = Awaited(thread);
    let mut sleep = pin!(deadline.map(|at| sleep_until(Instant::from_nanoseconds(at))));
    let taken = core::future::poll_fn(|context| match take(awaited.0, set) {
        Some(information) => Poll::Ready(Some(information)),
        None => match sleep.as_mut().as_pin_mut() {
            Some(sleep) => sleep.poll(context).map(|()| None),
            None => Poll::Pending,
        },
    });
    thread.interruptible(taken).await
}

/// Handles rt_sigtimedwait.
pub async fn sigtimedwait(thread: &Rc<Thread>, call: Call) -> Outcome {
    if call.size(3) != LENGTH {
        return Err(Errno::EINVAL);
    }
    let set = user::read_u64(call.size(0))? & !NEVER_BLOCKED;
    let deadline = match call.size(2) {
        0 => None,
        at => Some(Clock::Steady.now().saturating_add(read_timespec(at)?)),
    };
    let taken = match take(thread, set) {
        Some(information) => Some(information),
        None => next(thread, set, deadline).await.map_err(|_| Errno::EINTR)?,
    };
    let information = taken.ok_or(Errno::EAGAIN)?;
    if call.size(1) != 0 {
        user::write(call.size(1), &information.bytes())?;
    }
    Ok(information.number.into())
}
