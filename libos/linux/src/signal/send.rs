//! Sending signals (kill(2), tgkill(2), sigqueue(3)).

use super::information::{self, Information, code};
use super::kinds::{NEVER_BLOCKED, SIGCONT, SIGKILL, STOPPING, Set, only, valid};
use super::pending::Pending;
use crate::call::{Call, Outcome, number};
use crate::process::Process;
use crate::system::Limit;
use crate::thread::Thread;
use crate::wait::Events;
use crate::{Errno, user};
use alloc::rc::Rc;

/// What stops or continues takes effect when it is sent.
fn prepare(process: &Process, number: u8) {
    if number == SIGKILL {
        process.exit(128 + SIGKILL);
    }
    let forgotten = match only(number) {
        bit if bit & STOPPING != 0 => only(SIGCONT),
        bit if bit == only(SIGCONT) => STOPPING,
        _ => return,
    };
    process.signals.pending.forget(forgotten);
    let threads = process.threads.borrow();
    threads.values().filter_map(|t| t.upgrade()).for_each(|t| t.signals.pending.forget(forgotten));
    if number == SIGCONT && process.signals.stopped.replace(false) {
        process.signals.continued.wake_all();
    }
}

/// Whether one more signal may tell something.
fn room(process: &Process) -> bool {
    let threads = process.threads.borrow();
    let of_threads: usize =
        threads.values().filter_map(|t| t.upgrade()).map(|t| t.signals.pending.queued()).sum();
    ((process.signals.pending.queued() + of_threads) as u64) < process.limits.get(Limit::Signals)
}

fn add(process: &Process, pending: &Pending, information: Information) -> Result<(), Errno> {
    // One that is there already needs no room, which takes longer to find out.
    let known = pending.set() & only(information.number) != 0 && information.number < super::kinds::REAL_TIME;
    pending.add(information, !known && room(process))?;
    process.signals.watchers.notify(Events::IN);
    Ok(())
}

/// Whether a signal that is not blocked would do nothing.
fn ignored(process: &Process, number: u8) -> bool {
    only(number) & NEVER_BLOCKED == 0 && process.signals.action(number).ignores(number)
}

/// What a thread does not take now, though it may be waiting for it by sigwait(3).
fn blocked(thread: &Thread) -> Set {
    thread.signals.mask.get() | thread.signals.awaited.get()
}

/// Sends a signal to a thread.
///
/// # Errors
/// EAGAIN when too many are queued.
pub fn send_to_thread(thread: &Thread, information: Information) -> Result<(), Errno> {
    let (process, number) = (&thread.process, information.number);
    prepare(process, number);
    if ignored(process, number) && blocked(thread) & only(number) == 0 {
        return Ok(());
    }
    add(process, &thread.signals.pending, information)?;
    thread.interrupt();
    Ok(())
}

/// Sends a signal to a process: one of its threads that does not block it takes it.
///
/// # Errors
/// EAGAIN when too many are queued.
pub fn send_to_process(process: &Process, information: Information) -> Result<(), Errno> {
    let number = information.number;
    prepare(process, number);
    let taker = taker(process, only(number));
    if ignored(process, number) && taker.as_ref().is_some_and(|t| blocked(t) & only(number) == 0) {
        return Ok(());
    }
    add(process, &process.signals.pending, information)?;
    if let Some(taker) = taker {
        taker.interrupt();
    }
    Ok(())
}

/// The thread that a signal of the process is for: one that waits for it, else the first that does not block it, else any.
fn taker(process: &Process, set: Set) -> Option<Rc<Thread>> {
    let threads = process.threads.borrow();
    let mut any = None;
    for thread in threads.values().filter_map(|t| t.upgrade()).filter(|t| !t.ending.get()) {
        if thread.signals.awaited.get() & set != 0 {
            return Some(thread);
        }
        let takes = thread.signals.mask.get() & set == 0;
        if any.as_ref().is_none_or(|other: &Rc<Thread>| takes && other.signals.mask.get() & set != 0) {
            any = Some(thread);
        }
    }
    any
}

/// A thread does not take signals of the process any more that it took before: another one is to look at them.
pub fn retarget(thread: &Thread) {
    let process = &thread.process;
    if process.signals.pending.set() == 0 {
        return;
    }
    let threads = process.threads.borrow();
    for other in threads.values().filter_map(|t| t.upgrade()).filter(|t| t.id != thread.id) {
        if super::is_pending(&other) || process.signals.pending.set() & other.signals.awaited.get() != 0 {
            other.interrupt();
        }
    }
}

/// A signal that a thread sends to itself by what it does, such as SIGPIPE.
pub fn raise(thread: &Thread, number: u8) {
    let information = own(thread, number, code::USER);
    // One that is not queued is never refused.
    let _ = send_to_thread(thread, information);
}

/// What the caller sends, as kill(2) and its like have it.
pub fn own(thread: &Thread, number: u8, code: i32) -> Information {
    let user = thread.process.credentials.borrow().users[0];
    Information::sent(number, code, thread.process.id, user)
}

/// Whether a number that kill(2) was given means this process.
fn is_self(thread: &Thread, id: i32) -> Result<(), Errno> {
    let process = &thread.process;
    let found = match id {
        0 => true,
        1.. => id as u32 == process.id || process.thread(id as u32).is_some(),
        // All processes but this one.
        -1 => false,
        _ => id.unsigned_abs() == process.facts.group.get(),
    };
    if found { Ok(()) } else { Err(Errno::ESRCH) }
}

/// A signal's number as calls give it: 0 only asks.
///
/// # Errors
/// EINVAL.
pub fn asked(value: i32) -> Result<Option<u8>, Errno> {
    if value == 0 { Ok(None) } else { valid(value).map(Some).ok_or(Errno::EINVAL) }
}

fn to_thread(thread: &Thread, group: Option<i32>, id: i32, value: i32) -> Outcome {
    if id <= 0 || group.is_some_and(|group| group <= 0) {
        return Err(Errno::EINVAL);
    }
    let process = &thread.process;
    let other = process.thread(id as u32).filter(|_| group.is_none_or(|g| g as u32 == process.id));
    let other = other.ok_or(Errno::ESRCH)?;
    if let Some(number) = asked(value)? {
        send_to_thread(&other, own(thread, number, code::TKILL))?;
    }
    Ok(0)
}

/// Reads what sigqueue(3) gives, for a process or thread that is the caller's own.
fn given(number: u8, at: usize) -> Result<Information, Errno> {
    Information::given(number, &user::read::<{ information::LENGTH }>(at)?).ok_or(Errno::E2BIG)
}

/// Handles kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo.
pub fn call(thread: &Rc<Thread>, call: Call) -> Outcome {
    let process = &thread.process;
    match call.number {
        number::KILL => {
            is_self(thread, call.int(0))?;
            if let Some(number) = asked(call.int(1))? {
                send_to_process(process, own(thread, number, code::USER))?;
            }
        }
        number::TKILL => return to_thread(thread, None, call.int(0), call.int(1)),
        number::TGKILL => return to_thread(thread, Some(call.int(0)), call.int(1), call.int(2)),
        number::RT_SIGQUEUEINFO => {
            let asked = asked(call.int(1))?;
            let information = given(asked.unwrap_or_default(), call.size(2))?;
            if call.int(0) <= 0 {
                return Err(Errno::ESRCH);
            }
            is_self(thread, call.int(0))?;
            if asked.is_some() {
                send_to_process(process, information)?;
            }
        }
        _ => {
            let asked = asked(call.int(2))?;
            let information = given(asked.unwrap_or_default(), call.size(3))?;
            if call.int(0) <= 0 || call.int(1) <= 0 {
                return Err(Errno::EINVAL);
            }
            let other = process.thread(call.word(1)).filter(|_| call.word(0) == process.id);
            let other = other.ok_or(Errno::ESRCH)?;
            if asked.is_some() {
                send_to_thread(&other, information)?;
            }
        }
    }
    Ok(0)
}
