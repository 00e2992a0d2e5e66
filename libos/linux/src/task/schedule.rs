//! Scheduling (sched(7)): one CPU, time sharing.

use crate::call::{Call, Outcome, number, unknown};
use crate::thread::Thread;
use crate::time::write_timespec;
use crate::{Errno, PAGE, user};
use alloc::rc::Rc;

const SCHED_OTHER: u32 = 0;
const SCHED_FIFO: u32 = 1;
const SCHED_RR: u32 = 2;
const SCHED_BATCH: u32 = 3;
const SCHED_IDLE: u32 = 5;
const SCHED_DEADLINE: u32 = 6;
/// SCHED_RESET_ON_FORK.
const RESET: u32 = 0x4000_0000;
/// Bytes of a set of CPUs as the kernel has it, and the set: the first one.
const SET_LENGTH: usize = 8;
const SET: u64 = 1;
/// How long a thread runs before others have their turn, nanoseconds.
const TURN: u64 = 10_000_000;
/// Bytes of the first struct sched_attr.
const ATTRIBUTES: u32 = 48;
/// With the clamps of utilisation.
const ATTRIBUTES_NEWER: u32 = 56;
/// SCHED_FLAG_ALL.
const FLAGS: u64 = 0x7f;

/// The thread that a call is about; 0 is the caller.
fn of(thread: &Rc<Thread>, id: i32) -> Result<Rc<Thread>, Errno> {
    match u32::try_from(id) {
        Ok(0) => Ok(thread.clone()),
        Ok(id) => thread.process.thread(id).ok_or(Errno::ESRCH),
        Err(_) => Err(Errno::EINVAL),
    }
}

/// As [`of`] for the calls about sets of CPUs, to which a negative number is a thread that there is not.
fn with_set(thread: &Rc<Thread>, id: i32) -> Result<Rc<Thread>, Errno> {
    if id < 0 { Err(Errno::ESRCH) } else { of(thread, id) }
}

/// Sets a policy. Real-time policies are for who may have them, and nobody may.
fn set(thread: &Thread, policy: u32, priority: u32) -> Outcome {
    match policy & !RESET {
        policy @ (SCHED_OTHER | SCHED_BATCH | SCHED_IDLE) if priority == 0 => thread.facts.policy.set(policy),
        SCHED_FIFO | SCHED_RR if (1..=99).contains(&priority) => return Err(Errno::EPERM),
        SCHED_DEADLINE => return Err(Errno::EPERM),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

fn get_affinity(thread: &Rc<Thread>, call: Call) -> Outcome {
    let length = call.word(1) as usize;
    if length < SET_LENGTH || !length.is_multiple_of(8) {
        return Err(Errno::EINVAL);
    }
    with_set(thread, call.int(0))?;
    user::write(call.size(2), &SET.to_le_bytes())?;
    Ok(SET_LENGTH as u64)
}

fn set_affinity(thread: &Rc<Thread>, call: Call) -> Outcome {
    with_set(thread, call.int(0))?;
    let length = (call.word(1) as usize).min(SET_LENGTH);
    let mut set = [0; SET_LENGTH];
    kernlet_platform::program::read(call.size(2), &mut set[..length])?;
    if u64::from_le_bytes(set) & SET == 0 { Err(Errno::EINVAL) } else { Ok(0) }
}

/// These calls take no pointer for EINVAL.
fn given(at: usize) -> Result<usize, Errno> {
    if at == 0 { Err(Errno::EINVAL) } else { Ok(at) }
}

fn get_attributes(thread: &Rc<Thread>, call: Call) -> Outcome {
    if !(ATTRIBUTES..=PAGE as u32).contains(&call.word(2)) || call.word(3) != 0 {
        return Err(Errno::EINVAL);
    }
    given(call.size(1))?;
    let of = of(thread, call.int(0))?;
    let mut attributes = [0; ATTRIBUTES as usize];
    attributes[0..4].copy_from_slice(&ATTRIBUTES.to_le_bytes());
    attributes[4..8].copy_from_slice(&of.facts.policy.get().to_le_bytes());
    attributes[16..20].copy_from_slice(&i32::from(of.process.facts.nice.get()).to_le_bytes());
    user::write(call.size(1), &attributes).map(|()| 0)
}

fn set_attributes(thread: &Rc<Thread>, call: Call) -> Outcome {
    if call.word(2) != 0 {
        return Err(Errno::EINVAL);
    }
    let at = given(call.size(1))?;
    let size = user::read_u32(at)?;
    // What is newer than both known sizes is not looked for, though it could be 0 throughout.
    if !matches!(size, 0 | ATTRIBUTES | ATTRIBUTES_NEWER) {
        user::write(at, &ATTRIBUTES_NEWER.to_le_bytes())?;
        return Err(Errno::E2BIG);
    }
    let flags = user::read_u64(at.wrapping_add(8))?;
    if flags & !FLAGS != 0 {
        return Err(Errno::EINVAL);
    }
    let of = of(thread, call.int(0))?;
    let [policy, nice, priority] = [4, 16, 20].map(|place| user::read_u32(at.wrapping_add(place)));
    set(&of, policy?, priority?)?;
    if matches!(policy?, SCHED_OTHER | SCHED_BATCH) {
        crate::system::set_nice(&of.process, nice? as i32)?;
    }
    Ok(0)
}

fn range(policy: i32) -> Result<[u64; 2], Errno> {
    match policy as u32 {
        SCHED_FIFO | SCHED_RR => Ok([1, 99]),
        SCHED_OTHER | SCHED_BATCH | SCHED_IDLE | SCHED_DEADLINE => Ok([0, 0]),
        _ => Err(Errno::EINVAL),
    }
}

/// Handles the calls of this subject.
pub fn at_once(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::SCHED_GETAFFINITY => get_affinity(thread, call),
        number::SCHED_SETAFFINITY => set_affinity(thread, call),
        number::SCHED_GETSCHEDULER => Ok(of(thread, call.int(0))?.facts.policy.get().into()),
        number::SCHED_SETSCHEDULER => {
            let priority = user::read_u32(given(call.size(2))?)?;
            if call.int(1) < 0 {
                return Err(Errno::EINVAL);
            }
            set(&*of(thread, call.int(0))?, call.word(1), priority)
        }
        number::SCHED_GETPARAM => {
            of(thread, call.int(0))?;
            user::write(given(call.size(1))?, &[0; 4]).map(|()| 0)
        }
        number::SCHED_SETPARAM => {
            let of = of(thread, call.int(0))?;
            set(&of, of.facts.policy.get(), user::read_u32(given(call.size(1))?)?)
        }
        number::SCHED_GET_PRIORITY_MIN => range(call.int(0)).map(|r| r[0]),
        number::SCHED_GET_PRIORITY_MAX => range(call.int(0)).map(|r| r[1]),
        number::SCHED_RR_GET_INTERVAL => {
            of(thread, call.int(0))?;
            write_timespec(call.size(1), TURN).map(|()| 0)
        }
        number::SCHED_GETATTR => get_attributes(thread, call),
        number::SCHED_SETATTR => set_attributes(thread, call),
        number::GETCPU => {
            for at in [call.size(0), call.size(1)].into_iter().filter(|&at| at != 0) {
                user::write(at, &[0; 4])?;
            }
            Ok(0)
        }
        _ => unknown(thread, call),
    }
}
