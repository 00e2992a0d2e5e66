//! The memory limit (`-m`): what is touched counts, not what is reserved.
//!
//! A mapping that is larger than what is left fails. What fails only when it is touched ends the instance, since there is nobody
//! who could be told.

use super::{Object, Space};
use crate::Errno;
use crate::process::Process;
use crate::system::credentials::IPC_LOCK;
use crate::system::{INFINITE, Limit};
use crate::thread::Thread;
use core::ops::Range;
use kernlet_platform::control::Death;
use kernlet_platform::{boot, power, program};

/// Mappings below this size are let through unseen; the limit on what is touched holds all the same.
const SMALL: usize = 1 << 20;

/// Whether `more` bytes that may be written fit.
///
/// # Errors
/// ENOMEM.
pub fn check(more: usize) -> Result<(), Errno> {
    if more < SMALL {
        return Ok(());
    }
    let Some(limit) = boot::blob().memory() else { return Ok(()) };
    let used = program::resident() as u64;
    if used.saturating_add(more as u64) > limit || !program::has(more) { Err(Errno::ENOMEM) } else { Ok(()) }
}

/// Whether `more` bytes may be mapped beside what is: RLIMIT_AS, and RLIMIT_DATA when they are to be the process's own and to be
/// written (may_expand_vm of mm/mmap.c). What lies in `instead` goes.
///
/// # Errors
/// ENOMEM.
pub fn expand(
    process: &Process,
    space: &Space,
    more: usize,
    own: bool,
    instead: Range<usize>,
) -> Result<(), Errno> {
    let limits = [Limit::Space, Limit::Data].map(|kind| process.limits.get(kind));
    if limits == [INFINITE; 2] {
        return Ok(());
    }
    let [mut all, mut data] = [more as u64, if own { more as u64 } else { 0 }];
    for area in
        space.areas().iter().filter(|area| !matches!(area.object, Object::Stubs(_) | Object::Reserved))
    {
        let gone = area.pages.end.min(instead.end).saturating_sub(area.pages.start.max(instead.start));
        let length = (area.length() - gone) as u64;
        all += length;
        if area.protection.write && !area.shared && !matches!(area.object, Object::Stack) {
            data += length;
        }
    }
    if all > limits[0] || own && data > limits[1] { Err(Errno::ENOMEM) } else { Ok(()) }
}

/// Whether `length` bytes may be locked in memory (RLIMIT_MEMLOCK).
///
/// # Errors
/// EPERM when none may; ENOMEM.
pub fn lock(process: &Process, length: usize) -> Result<(), Errno> {
    let limit = process.limits.get(Limit::Locked);
    if process.credentials.borrow().can(IPC_LOCK) || length as u64 <= limit && limit > 0 {
        return Ok(());
    }
    Err(if limit == 0 { Errno::EPERM } else { Errno::ENOMEM })
}

/// Ends the instance when more is in use than it may have.
pub fn enforce(thread: &Thread) {
    let Some(limit) = boot::blob().memory() else { return };
    let used = program::resident() as u64;
    thread.process.facts.peak.update(|peak| peak.max(used as usize));
    if used > limit {
        crate::report!("out of memory: the program uses {} MiB of {} MiB (-m)", used >> 20, limit >> 20);
        power::die(Death::OutOfMemory);
    }
}
