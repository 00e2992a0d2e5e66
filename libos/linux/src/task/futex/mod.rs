//! Waiting for a word of memory (futex(2)).
//!
//! Nothing of the program runs while a call is handled, so looking at a word and queueing is one step.

mod inherit;
mod queue;
mod robust;
#[cfg(test)]
mod tests;

pub use queue::{Futexes, Word};
pub use robust::end;

use crate::call::{Call, Outcome, restart};
use crate::thread::Thread;
use crate::time::{self, Clock, read_timespec};
use crate::{Errno, user};
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::pin::pin;
use core::task::Poll;
use kernlet_platform::program::{add_u32, and_u32, exchange_u32, load_u32, or_u32, xor_u32};
use queue::{Heir, Queued, Turn};

const WAIT: u32 = 0;
const WAKE: u32 = 1;
/// Linux has it no more.
const FD: u32 = 2;
const REQUEUE: u32 = 3;
const CMP_REQUEUE: u32 = 4;
const WAKE_OP: u32 = 5;
const LOCK_PI: u32 = 6;
const UNLOCK_PI: u32 = 7;
const TRYLOCK_PI: u32 = 8;
const WAIT_BITSET: u32 = 9;
const WAKE_BITSET: u32 = 10;
const WAIT_REQUEUE_PI: u32 = 11;
const CMP_REQUEUE_PI: u32 = 12;
const LOCK_PI2: u32 = 13;
/// FUTEX_PRIVATE_FLAG: the word is known by its address.
const PRIVATE: u32 = 128;
const CLOCK_REALTIME: u32 = 256;
/// FUTEX_BITSET_MATCH_ANY.
const ANY: u32 = u32::MAX;
/// FUTEX_WAITV_MAX, and FUTEX_32, the only size.
const WORDS_MOST: usize = 128;
const SIZE_32: u32 = 2;

/// Until when a wait lasts.
struct Deadline {
    clock: Clock,
    at: u64,
    /// The call says how long, not until when.
    relative: bool,
}

/// Waits until `turn` is woken: `false` when the deadline came first.
///
/// # Errors
/// [`restart::SYS`] when a signal came first.
async fn park(thread: &Thread, turn: &Turn, deadline: Option<&Deadline>) -> Result<Option<usize>, Errno> {
    let mut expiry = pin!(async {
        match deadline {
            Some(deadline) => time::until(&deadline.clock, deadline.at).await,
            None => core::future::pending().await,
        }
    });
    let woken = core::future::poll_fn(|context| match turn.poll(context.waker()) {
        Some(index) => Poll::Ready(Some(index)),
        None => expiry.as_mut().poll(context).map(|()| None),
    });
    thread.interruptible(woken).await
}

/// How a wait that a signal interrupted goes on.
fn interrupted(thread: &Thread, deadline: Option<&Deadline>) -> Errno {
    match deadline {
        None => restart::SYS,
        Some(deadline) if deadline.relative => {
            thread.resume_until(deadline.at);
            restart::BLOCK
        }
        Some(_) => restart::NO_HANDLER,
    }
}

async fn wait(thread: &Thread, word: Word, value: u32, bits: u32, deadline: Option<Deadline>) -> Outcome {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    if load_u32(word.address)? != value {
        return Err(Errno::EAGAIN);
    }
    let queued = Queued::one(&thread.process, word, bits, Heir::None);
    match park(thread, &queued.turn, deadline.as_ref()).await {
        Ok(Some(_)) => Ok(0),
        Ok(None) => Err(Errno::ETIMEDOUT),
        Err(_) => Err(interrupted(thread, deadline.as_ref())),
    }
}

fn wake(thread: &Thread, word: Word, most: i32, bits: u32) -> Outcome {
    if bits == 0 {
        return Err(Errno::EINVAL);
    }
    let futexes = &thread.process.futexes;
    if futexes.inherit(word.key) {
        return Err(Errno::EINVAL);
    }
    // Asked for none, Linux wakes one.
    Ok(futexes.wake(word.key, most.max(1) as usize, bits) as u64)
}

/// Wakes some and moves others, if the word has the value that it should have.
fn requeue(thread: &Thread, call: Call, [from, to]: [Word; 2], wanted: Option<u32>) -> Outcome {
    let (wake, most) = (call.int(2), call.int(3));
    if wake < 0 || most < 0 {
        return Err(Errno::EINVAL);
    }
    if let Some(wanted) = wanted
        && load_u32(from.address)? != wanted
    {
        return Err(Errno::EAGAIN);
    }
    let futexes = &thread.process.futexes;
    let woken = futexes.wake(from.key, wake as usize, ANY);
    Ok((woken + futexes.requeue(from.key, to, most as usize)) as u64)
}

/// Changes the second word, wakes waiters of the first, and of the second when it was as the comparison says.
fn wake_op(thread: &Thread, call: Call, [first, second]: [Word; 2]) -> Outcome {
    let code = call.word(5);
    let signed = |value: u32| ((value & 0xfff) << 20) as i32 >> 20;
    let (operation, comparison) = (code >> 28, code >> 24 & 0xf);
    let (operand, compared) = (signed(code >> 12), signed(code));
    let operand = if operation & 8 != 0 { 1u32 << (operand & 31) } else { operand as u32 };
    if comparison > 5 {
        return Err(Errno::ENOSYS);
    }
    let old = match operation & 7 {
        0 => exchange_u32(second.address, operand),
        1 => add_u32(second.address, operand),
        2 => or_u32(second.address, operand),
        3 => and_u32(second.address, !operand),
        4 => xor_u32(second.address, operand),
        _ => Err(Errno::ENOSYS),
    }? as i32;
    let futexes = &thread.process.futexes;
    let mut woken = futexes.wake(first.key, call.int(2).max(1) as usize, ANY);
    let so = match comparison {
        0 => old == compared,
        1 => old != compared,
        2 => old < compared,
        3 => old <= compared,
        4 => old > compared,
        _ => old >= compared,
    };
    if so {
        woken += futexes.wake(second.key, call.int(3).max(1) as usize, ANY);
    }
    Ok(woken as u64)
}

/// Reads the deadline of a call.
fn deadline(thread: &Thread, call: Call, command: u32) -> Result<Option<Deadline>, Errno> {
    let waits = matches!(command, WAIT | WAIT_BITSET | WAIT_REQUEUE_PI | LOCK_PI | LOCK_PI2);
    if !waits || call.size(3) == 0 {
        return Ok(None);
    }
    let time = read_timespec(call.size(3))?;
    if command == WAIT {
        let at = thread.resumed().unwrap_or_else(|| Clock::Steady.now().saturating_add(time));
        return Ok(Some(Deadline { clock: Clock::Steady, at, relative: true }));
    }
    let wall = command == LOCK_PI || call.word(1) & CLOCK_REALTIME != 0;
    let clock = if wall { Clock::Wall } else { Clock::Steady };
    Ok(Some(Deadline { clock, at: time, relative: false }))
}

/// Handles futex.
pub async fn futex(thread: &Rc<Thread>, call: Call) -> Outcome {
    let command = call.word(1) & !(PRIVATE | CLOCK_REALTIME);
    if call.word(1) & CLOCK_REALTIME != 0 && !matches!(command, WAIT_BITSET | WAIT_REQUEUE_PI | LOCK_PI2) {
        return Err(Errno::ENOSYS);
    }
    let deadline = deadline(thread, call, command)?;
    let (address, value) = (call.size(0), call.word(2));
    let second = matches!(command, REQUEUE | CMP_REQUEUE | WAKE_OP | WAIT_REQUEUE_PI | CMP_REQUEUE_PI);
    let beyond = |at: usize| at.is_multiple_of(4) && at as u64 > user::END;
    if beyond(address) || second && beyond(call.size(4)) {
        return Err(Errno::EFAULT);
    }
    if command > LOCK_PI2 || command == FD {
        return Err(Errno::ENOSYS);
    }
    let word_at = |at: usize| {
        if !at.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        Word::at(&thread.process, at, call.word(1) & PRIVATE != 0)
    };
    let word = word_at(address)?;
    let two = [word, if second { word_at(call.size(4))? } else { word }];
    match command {
        WAIT => wait(thread, word, value, ANY, deadline).await,
        WAIT_BITSET => wait(thread, word, value, call.word(5), deadline).await,
        WAKE => wake(thread, word, call.int(2), ANY),
        WAKE_BITSET => wake(thread, word, call.int(2), call.word(5)),
        REQUEUE => requeue(thread, call, two, None),
        CMP_REQUEUE => requeue(thread, call, two, Some(call.word(5))),
        WAKE_OP => wake_op(thread, call, two),
        LOCK_PI | LOCK_PI2 => inherit::lock(thread, word, false, deadline).await,
        TRYLOCK_PI => inherit::lock(thread, word, true, None).await,
        UNLOCK_PI => inherit::unlock(thread, word),
        WAIT_REQUEUE_PI => inherit::wait(thread, call, two, deadline).await,
        _ => inherit::requeue(thread, call, two),
    }
}

/// Handles futex_waitv.
pub async fn wait_vector(thread: &Rc<Thread>, call: Call) -> Outcome {
    let count = call.word(1) as usize;
    if call.word(2) != 0 || !(1..=WORDS_MOST).contains(&count) || call.size(0) == 0 {
        return Err(Errno::EINVAL);
    }
    let deadline = match call.size(3) {
        0 => None,
        at => {
            let clock = match call.int(4) {
                0 => Clock::Wall,
                1 => Clock::Steady,
                _ => return Err(Errno::EINVAL),
            };
            Some(Deadline { clock, at: read_timespec(at)?, relative: false })
        }
    };
    let mut words = Vec::with_capacity(count);
    for i in 0..count {
        let [value, address, rest] = user::read_words(call.size(0).wrapping_add(24 * i))?;
        let (flags, reserved) = (rest as u32, rest >> 32);
        if flags & !PRIVATE != SIZE_32 || reserved != 0 {
            return Err(Errno::EINVAL);
        }
        words.push((Word::at(&thread.process, address as usize, flags & PRIVATE != 0)?, value as u32));
    }
    for &(word, value) in &words {
        if load_u32(word.address)? != value {
            return Err(Errno::EAGAIN);
        }
    }
    let queued = Queued::several(&thread.process, words.iter().map(|(word, _)| *word));
    match park(thread, &queued.turn, deadline.as_ref()).await {
        Ok(Some(index)) => Ok(index as u64),
        Ok(None) => Err(Errno::ETIMEDOUT),
        Err(_) => Err(interrupted(thread, deadline.as_ref())),
    }
}
