//! The extended state (vector and floating-point registers) and the thread pointer, which stay in the CPU as long as only
//! one thread of the program runs.

use crate::program::Context;
use core::sync::atomic::{AtomicUsize, Ordering};
#[cfg(kernlet_image)]
use {
    crate::program::enter::disown,
    crate::program::{Held, state},
    core::arch::asm,
};

/// What is saved and restored: x87, SSE, AVX, MPX, AVX-512 (bits 0 to 7 of XCR0). Not protection keys, and not AMX, which
/// a program has to ask for and is refused.
const WANTED: u64 = 0xff;

#[cfg(kernlet_image)]
pub fn extended_features() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: `prepare` found that the CPU has XSAVE and that it is on.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack)) };
    (u64::from(low) | u64::from(high) << 32) & WANTED
}

#[cfg(not(kernlet_image))]
pub fn extended_features() -> u64 {
    WANTED & 7
}

/// Bytes of an area with AVX-512, which not all CPUs lay out alike; 0: not known yet.
static WIDE: AtomicUsize = AtomicUsize::new(0);

/// Asks the CPU how long an area is. Each such question is a way to the hypervisor, where there is one.
#[cfg(kernlet_image)]
pub fn prepare() -> Result<(), &'static str> {
    if extended_features() & 0xe0 != 0 {
        // The last component (Intel SDM volume 1, 13.5): its length, and where it begins.
        let last = core::arch::x86_64::__cpuid_count(0xd, 7);
        let length = (last.eax as usize).saturating_add(last.ebx as usize);
        if length > crate::program::EXTENDED_MOST {
            return Err("this CPU has longer vector registers than programs for Linux can have here");
        }
        WIDE.store(length, Ordering::Relaxed);
    }
    Ok(())
}

/// Bytes of an area in the standard format with these features.
pub fn extended_length() -> usize {
    match extended_features() {
        f if f & 0xe0 != 0 => WIDE.load(Ordering::Relaxed),
        f if f & 0x18 != 0 => 1088,
        f if f & 4 != 0 => 832,
        _ => 576,
    }
}

#[cfg(not(kernlet_image))]
pub fn save(_: &mut Context) {}

/// Moves a thread's extended state and thread pointer from the CPU to its context, if they are in the CPU.
#[cfg(kernlet_image)]
pub fn save(context: &mut Context) {
    if context.held != Held::Cpu {
        return;
    }
    // SAFETY: the state is in the CPU, and `prepare` found XSAVE and FSGSBASE.
    unsafe {
        state::save(context, extended_features());
        asm!("rdfsbase {}", out(reg) context.fs_base, options(nomem, nostack, preserves_flags));
    }
    disown();
}

/// Loads a thread's extended state and thread pointer into the CPU.
#[cfg(kernlet_image)]
pub fn restore(context: &mut Context) {
    // SAFETY: as above; whoever owned the CPU's state has it saved. FS is nothing to the library OS.
    unsafe {
        state::restore(context, extended_features());
        asm!("wrfsbase {}", in(reg) context.fs_base, options(nomem, nostack, preserves_flags));
    }
}
