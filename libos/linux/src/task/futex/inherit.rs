//! Locks whose word names their owner and which are handed over to a waiter (FUTEX_LOCK_PI and its like). All threads have the
//! same priority, so what is inherited is the lock alone.

use super::queue::{Heir, Queued, Waiter, Word};
use super::{ANY, Deadline, park};
use crate::Errno;
use crate::call::{Call, Outcome, restart};
use crate::process::Process;
use crate::thread::Thread;
use kernlet_platform::program::{exchange_u32, load_u32, or_u32};

/// FUTEX_TID_MASK.
pub const OWNER: u32 = 0x3fff_ffff;
/// FUTEX_OWNER_DIED.
pub const OWNER_DIED: u32 = 0x4000_0000;
/// FUTEX_WAITERS.
pub const WAITERS: u32 = 0x8000_0000;

fn heir(heir: Heir) -> Option<u32> {
    if let Heir::Of(id) = heir { Some(id) } else { None }
}

/// Takes a lock that is free for a thread. `false`: it has an owner, and is marked as waited for when it is to be.
///
/// # Errors
/// EDEADLK; ESRCH when its owner does not exist; EINVAL when ordinary waiters stand in its queue.
fn take(process: &Process, lock: Word, id: u32, mark: bool) -> Result<bool, Errno> {
    let Word { address, key } = lock;
    let word = load_u32(address)?;
    let owner = word & OWNER;
    if owner == id {
        return Err(Errno::EDEADLK);
    }
    if process.futexes.any(key, |waiter| heir(waiter.heir).is_none()) {
        return Err(Errno::EINVAL);
    }
    if owner == 0 {
        let waiters = if process.futexes.any(key, |_| true) { WAITERS } else { 0 };
        exchange_u32(address, id | word & OWNER_DIED | waiters)?;
        return Ok(true);
    }
    if process.thread(owner).is_none() {
        return Err(Errno::ESRCH);
    }
    if mark {
        or_u32(address, WAITERS)?;
    }
    Ok(false)
}

/// FUTEX_LOCK_PI, FUTEX_TRYLOCK_PI.
pub async fn lock(thread: &Thread, word: Word, only_try: bool, deadline: Option<Deadline>) -> Outcome {
    if take(&thread.process, word, thread.id, !only_try)? {
        return Ok(0);
    }
    if only_try {
        return Err(Errno::EAGAIN);
    }
    let queued = Queued::one(&thread.process, word, ANY, Heir::Of(thread.id));
    match park(thread, &queued.turn, deadline.as_ref()).await {
        // Who unlocked it has written our number into the word.
        Ok(Some(_)) => Ok(0),
        Ok(None) => Err(Errno::ETIMEDOUT),
        Err(_) => Err(restart::NO_INTERRUPT),
    }
}

/// Hands a lock over to the first that waits for it; `false` when nobody does.
pub fn hand_over(process: &Process, lock: Word, marks: u32) -> Result<bool, Errno> {
    let next = process.futexes.pop(lock.key, |waiter| heir(waiter.heir).is_some());
    let Some(next) = next else { return Ok(false) };
    let id = heir(next.heir).unwrap_or_default();
    let written = exchange_u32(lock.address, id | WAITERS | marks);
    next.wake();
    written.map(|_| true)
}

/// FUTEX_UNLOCK_PI.
pub fn unlock(thread: &Thread, word: Word) -> Outcome {
    if load_u32(word.address)? & OWNER != thread.id {
        return Err(Errno::EPERM);
    }
    if !hand_over(&thread.process, word, 0)? {
        exchange_u32(word.address, 0)?;
    }
    Ok(0)
}

/// FUTEX_WAIT_REQUEUE_PI: waits for the first word, to be moved to the lock of the second and to get it.
pub async fn wait(
    thread: &Thread,
    call: Call,
    [word, lock]: [Word; 2],
    deadline: Option<Deadline>,
) -> Outcome {
    if word.key == lock.key || call.word(5) == 0 {
        return Err(Errno::EINVAL);
    }
    if load_u32(word.address)? != call.word(2) {
        return Err(Errno::EAGAIN);
    }
    let heir = Heir::Moving(thread.id, lock.key);
    let queued = Queued::one(&thread.process, word, call.word(5), heir);
    match park(thread, &queued.turn, deadline.as_ref()).await {
        Ok(Some(_)) => Ok(0),
        Ok(None) => Err(Errno::ETIMEDOUT),
        Err(_) if thread.process.futexes.any(word.key, |waiter| waiter.heir == heir) => {
            Err(restart::NO_INTERRUPT)
        }
        // It was moved: the program looks at its condition again.
        Err(_) => Err(Errno::EAGAIN),
    }
}

/// FUTEX_CMP_REQUEUE_PI: gives the lock to the first waiter if it is free, and moves the others to it.
pub fn requeue(thread: &Thread, call: Call, [word, lock]: [Word; 2]) -> Outcome {
    let (wake, most) = (call.int(2), call.int(3));
    if wake != 1 || most < 0 || word.key == lock.key {
        return Err(Errno::EINVAL);
    }
    if load_u32(word.address)? != call.word(5) {
        return Err(Errno::EAGAIN);
    }
    let process = &thread.process;
    let (from, to) = (word.key, lock.key);
    let moving = |heir| if let Heir::Moving(id, target) = heir { Some((id, target)) } else { None };
    if process.futexes.any(from, |w| moving(w.heir).is_none_or(|(_, target)| target != to)) {
        return Err(Errno::EINVAL);
    }
    let mut done = 0;
    while done <= most as u64
        && let Some(waiter) = process.futexes.pop(from, |_| true)
    {
        let id = moving(waiter.heir).map_or(0, |(id, _)| id);
        match take(process, lock, id, true) {
            Ok(true) => waiter.wake(),
            Ok(false) => {
                let waiter = Waiter { heir: Heir::Of(id), address: lock.address, ..waiter };
                process.futexes.push(to, waiter);
            }
            Err(error) => {
                process.futexes.push(from, waiter);
                return if done > 0 { Ok(done) } else { Err(error) };
            }
        }
        done += 1;
    }
    Ok(done)
}
