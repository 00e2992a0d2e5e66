//! Landlock (Documentation/userspace-api/landlock.rst): a second wall behind the filter, which lets no call with a
//! path or an address pass anyway. Kernels without it start instances all the same.

use crate::status;
use crate::system::{call, die, number};

/// struct landlock_ruleset_attr: file system, network and scope rights that are taken away.
#[repr(C)]
struct Ruleset {
    files: u64,
    network: u64,
    scopes: u64,
}

/// Gives up all rights that this kernel's Landlock knows; nothing is granted back.
pub fn restrict() {
    // SAFETY: with the flag LANDLOCK_CREATE_RULESET_VERSION no memory is touched.
    let version = unsafe { call(number::LANDLOCK_CREATE_RULESET, [0, 0, 1, 0, 0]) };
    if version < 1 {
        return;
    }
    let files = match version {
        1 => 13,
        2 => 14,
        3 | 4 => 15,
        _ => 16,
    };
    let rules = Ruleset {
        files: (1 << files) - 1,
        network: if version >= 4 { 3 } else { 0 },
        scopes: if version >= 6 { 3 } else { 0 },
    };
    let size = match version {
        1..4 => 8,
        4 | 5 => 16,
        _ => 24,
    };
    // SAFETY: the kernel reads `size` bytes of a live local.
    let ruleset =
        unsafe { call(number::LANDLOCK_CREATE_RULESET, [&raw const rules as usize, size, 0, 0, 0]) };
    // SAFETY: touches no memory.
    if ruleset < 0 || unsafe { call(number::LANDLOCK_RESTRICT_SELF, [ruleset as usize, 0, 0, 0, 0]) } != 0 {
        die(status::LANDLOCK);
    }
    // SAFETY: closes the ruleset's descriptor, which nobody else uses.
    unsafe { call(number::CLOSE_RANGE, [ruleset as usize, ruleset as usize, 0, 0, 0]) };
}
