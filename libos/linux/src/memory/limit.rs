//! The memory limit (`-m`): what is touched counts, not what is reserved.
//!
//! A mapping that is larger than what is left fails. What fails only when it is touched ends the instance, since there is nobody
//! who could be told.

use crate::Errno;
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
    if used.saturating_add(more as u64) > limit { Err(Errno::ENOMEM) } else { Ok(()) }
}

/// Ends the instance when more is in use than it may have.
pub fn enforce() {
    let Some(limit) = boot::blob().memory() else { return };
    let used = program::resident() as u64;
    if used > limit {
        crate::report!("out of memory: the program uses {} MiB of {} MiB (-m)", used >> 20, limit >> 20);
        power::die(Death::OutOfMemory);
    }
}
