//! prctl(2), personality(2), arch_prctl(2).

use super::facts::TIMER_SLACK;
use crate::call::{Call, Outcome};
use crate::system::credentials::{LAST, SETPCAP};
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;
use kernlet_platform::program::Context;

const ARCH_SET_FS: u64 = 0x1002;
const ARCH_GET_FS: u64 = 0x1003;

/// The options, by their names without PR_.
mod option {
    pub const SET_PDEATHSIG: i32 = 1;
    pub const GET_PDEATHSIG: i32 = 2;
    pub const GET_DUMPABLE: i32 = 3;
    pub const SET_DUMPABLE: i32 = 4;
    pub const GET_KEEPCAPS: i32 = 7;
    pub const SET_KEEPCAPS: i32 = 8;
    pub const GET_TIMING: i32 = 13;
    pub const SET_NAME: i32 = 15;
    pub const GET_NAME: i32 = 16;
    pub const GET_SECCOMP: i32 = 21;
    pub const CAPBSET_READ: i32 = 23;
    pub const CAPBSET_DROP: i32 = 24;
    pub const GET_TSC: i32 = 25;
    pub const GET_SECUREBITS: i32 = 27;
    pub const SET_TIMING: i32 = 14;
    pub const SET_TSC: i32 = 26;
    pub const SET_SECUREBITS: i32 = 28;
    pub const PERF_DISABLE: i32 = 31;
    pub const PERF_ENABLE: i32 = 32;
    pub const SET_TIMERSLACK: i32 = 29;
    pub const GET_TIMERSLACK: i32 = 30;
    pub const SET_CHILD_SUBREAPER: i32 = 36;
    pub const GET_CHILD_SUBREAPER: i32 = 37;
    pub const SET_NO_NEW_PRIVS: i32 = 38;
    pub const GET_NO_NEW_PRIVS: i32 = 39;
    pub const GET_TID_ADDRESS: i32 = 40;
    pub const SET_THP_DISABLE: i32 = 41;
    pub const GET_THP_DISABLE: i32 = 42;
    pub const CAP_AMBIENT: i32 = 47;
    pub const SET_VMA: i32 = 0x5356_4d41;
    pub const SET_PTRACER: i32 = 0x5961_6d61;
}

/// SECURE_ALL_BITS and SECURE_ALL_LOCKS.
const SECURE_BITS: u64 = 0xff;
/// PR_CAP_AMBIENT_IS_SET, RAISE, LOWER and CLEAR_ALL.
const AMBIENT_IS_SET: u64 = 1;
const AMBIENT_RAISE: u64 = 2;
const AMBIENT_LOWER: u64 = 3;
const AMBIENT_CLEAR_ALL: u64 = 4;
const SIGNALS: u64 = 64;

fn write_int(at: usize, value: u32) -> Outcome {
    user::write(at, &value.to_le_bytes()).map(|()| 0)
}

/// Handles prctl.
pub fn prctl(thread: &Rc<Thread>, call: Call) -> Outcome {
    let (process, facts) = (&thread.process, &thread.facts);
    let [_, value, third, fourth, fifth, _] = call.arguments;
    let flag = |value: u64| if value <= 1 { Ok(value == 1) } else { Err(Errno::EINVAL) };
    match call.int(0) {
        option::SET_PDEATHSIG if value <= SIGNALS => facts.death_signal.set(value as u8),
        option::GET_PDEATHSIG => return write_int(call.size(1), facts.death_signal.get().into()),
        option::GET_DUMPABLE => return Ok(process.facts.dumpable.get().into()),
        option::SET_DUMPABLE => process.facts.dumpable.set(flag(value)?.into()),
        option::GET_KEEPCAPS => return Ok(process.credentials.borrow().keep.into()),
        option::SET_KEEPCAPS => process.credentials.borrow_mut().keep = flag(value)?,
        option::GET_TIMING | option::GET_SECCOMP => {}
        // PR_TIMING_STATISTICAL, PR_TSC_ENABLE: as it is.
        option::SET_TIMING if value == 0 => {}
        option::SET_TSC if value == 1 => {}
        // There is nothing that could be counted.
        option::PERF_DISABLE | option::PERF_ENABLE => {}
        option::SET_SECUREBITS => {
            process.credentials.borrow().need(SETPCAP)?;
            if value & !SECURE_BITS != 0 {
                return Err(Errno::EPERM);
            }
            facts.secure_bits.set(value as u32);
        }
        option::SET_NAME => {
            let mut name = [0; 16];
            match kernlet_platform::program::string(call.size(1), &mut name[..15]) {
                Ok(length) => name[length..].fill(0),
                // Longer ones are cut.
                Err(Errno::ENAMETOOLONG) => {}
                Err(error) => return Err(error),
            }
            thread.name.set(name);
        }
        option::GET_NAME => user::write(call.size(1), &thread.name.get())?,
        option::CAPBSET_READ if value <= LAST.into() => {
            return Ok(process.credentials.borrow().capabilities.bounding >> value & 1);
        }
        option::CAPBSET_DROP if value <= LAST.into() => {
            let mut who = process.credentials.borrow_mut();
            who.need(SETPCAP)?;
            who.capabilities.bounding &= !(1 << value);
        }
        // PR_TSC_ENABLE.
        option::GET_TSC => return write_int(call.size(1), 1),
        option::GET_SECUREBITS => return Ok(facts.secure_bits.get().into()),
        option::SET_TIMERSLACK => facts.timer_slack.set(if value == 0 { TIMER_SLACK } else { value }),
        option::GET_TIMERSLACK => return Ok(facts.timer_slack.get()),
        option::SET_CHILD_SUBREAPER => process.facts.reaper.set(value != 0),
        option::GET_CHILD_SUBREAPER => return write_int(call.size(1), process.facts.reaper.get().into()),
        option::SET_NO_NEW_PRIVS if (value, third, fourth, fifth) == (1, 0, 0, 0) => {
            facts.no_new_privileges.set(true);
        }
        option::GET_NO_NEW_PRIVS if value == 0 => return Ok(facts.no_new_privileges.get().into()),
        option::GET_TID_ADDRESS => {
            user::write(call.size(1), &(thread.clear_child_tid.get() as u64).to_le_bytes())?;
        }
        option::SET_THP_DISABLE if third == 0 => process.facts.small_pages.set(value != 0),
        option::GET_THP_DISABLE if value == 0 => return Ok(process.facts.small_pages.get().into()),
        // There are no ambient capabilities.
        option::CAP_AMBIENT => match value {
            _ if fourth | fifth != 0 => return Err(Errno::EINVAL),
            AMBIENT_IS_SET if third <= LAST.into() => {}
            AMBIENT_CLEAR_ALL if third == 0 => {}
            AMBIENT_RAISE if third <= LAST.into() => return Err(Errno::EPERM),
            AMBIENT_LOWER if third <= LAST.into() => {}
            _ => return Err(Errno::EINVAL),
        },
        // PR_SET_VMA_ANON_NAME: names of anonymous memory, which nobody is shown.
        option::SET_VMA if value == 0 => {}
        // Who may trace this process: nobody can.
        option::SET_PTRACER => {}
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// Handles personality. Whatever is set is told again (kernel/exec_domain.c); only exec would heed it.
pub fn personality(thread: &Rc<Thread>, to: u32) -> Outcome {
    let old = thread.process.facts.personality.get();
    if to != u32::MAX {
        thread.process.facts.personality.set(to);
    }
    Ok(old.into())
}

/// Handles arch_prctl. GS is the library OS's.
pub fn arch_prctl(context: &mut Context, call: Call) -> Outcome {
    match call.arguments[0] {
        ARCH_SET_FS if context.set_thread_pointer(call.arguments[1]) => Ok(0),
        ARCH_SET_FS => Err(Errno::EPERM),
        ARCH_GET_FS => {
            let pointer = context.thread_pointer();
            user::write(call.size(1), &pointer.to_le_bytes()).map(|()| 0)
        }
        _ => Err(Errno::EINVAL),
    }
}
