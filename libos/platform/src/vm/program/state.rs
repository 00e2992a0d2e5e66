//! The extended state and the thread pointer in a VM, on whatever CPU the monitor shows: with XSAVE or only FXSAVE, with
//! FSGSBASE or by model-specific registers.

use super::super::port::{cpuid, rdmsr, wrmsr};
use crate::program::enter::disown;
use crate::program::{Context, EXTENDED_MOST, Held, state};
use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// x87, SSE, AVX, AVX-512 (XCR0's bits 0 to 2 and 5 to 7). AVX-512's come together.
const LEGACY: u64 = 3;
const WANTED: [u64; 3] = [0xe7, 7, LEGACY];
const CR4_OSXSAVE: u64 = 1 << 18;
const FS_BASE: u32 = 0xc000_0100;
/// The legacy area and the header.
const LEAST: u32 = 576;

/// XCR0; 0: the CPU has no XSAVE.
static FEATURES: AtomicU32 = AtomicU32::new(0);
/// Bytes of an area with them.
static LENGTH: AtomicU32 = AtomicU32::new(LEAST);
static FSGSBASE: AtomicBool = AtomicBool::new(false);

/// Switches on what the CPU has.
pub fn prepare() {
    let [most, ..] = cpuid(0, 0);
    FSGSBASE.store(most >= 7 && cpuid(7, 0)[1] & 1 != 0, Ordering::Relaxed);
    if most < 0xd || cpuid(1, 0)[2] & 1 << 26 == 0 {
        return;
    }
    // SAFETY: the CPU has XSAVE.
    unsafe {
        asm!("mov {0}, cr4", "or {0}, {1}", "mov cr4, {0}", out(reg) _, in(reg) CR4_OSXSAVE, options(nostack));
    }
    let had = u64::from(cpuid(0xd, 0)[0]);
    for wanted in WANTED {
        if had & wanted != wanted {
            continue;
        }
        // SAFETY: the CPU has these components, and they are what the manual lets one switch on together.
        unsafe { asm!("xsetbv", in("ecx") 0, in("eax") wanted as u32, in("edx") 0, options(nostack)) };
        let length = cpuid(0xd, 0)[1];
        if length as usize <= EXTENDED_MOST {
            FEATURES.store(wanted as u32, Ordering::Relaxed);
            LENGTH.store(length.max(LEAST), Ordering::Relaxed);
            return;
        }
    }
}

pub fn extended_features() -> u64 {
    u64::from(FEATURES.load(Ordering::Relaxed)).max(LEGACY)
}

pub fn extended_length() -> usize {
    LENGTH.load(Ordering::Relaxed) as usize
}

/// Moves a thread's extended state and thread pointer from the CPU to its context, if they are in the CPU.
pub fn save(context: &mut Context) {
    if context.held != Held::Cpu {
        return;
    }
    // SAFETY: the state is in the CPU; `prepare` switched on what `FEATURES` says.
    unsafe { state::save(context, FEATURES.load(Ordering::Relaxed).into()) };
    context.fs_base = if FSGSBASE.load(Ordering::Relaxed) {
        let base;
        // SAFETY: the CPU has it, and trap.rs switched it on.
        unsafe { asm!("rdfsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
        base
    } else {
        rdmsr(FS_BASE)
    };
    disown();
}

/// Loads a thread's extended state and thread pointer into the CPU.
pub fn restore(context: &mut Context) {
    // SAFETY: as above; whoever owned the CPU's state has it saved. FS is nothing to the library OS.
    unsafe {
        state::restore(context, FEATURES.load(Ordering::Relaxed).into());
        if FSGSBASE.load(Ordering::Relaxed) {
            asm!("wrfsbase {}", in(reg) context.fs_base, options(nomem, nostack, preserves_flags));
        } else {
            wrmsr(FS_BASE, context.fs_base);
        }
    }
}
