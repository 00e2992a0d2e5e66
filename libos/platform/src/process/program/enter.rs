//! In and out by calls, in a process.

use super::super::clock;
use super::state;
use crate::program::enter::{Left, Way, block, cannot_go, run, ways};
use crate::program::{Context, Exit, quick};
use core::arch::asm;
use core::ops::Range;

ways!("kernlet_program", flags: "", go: "", come: "", came: "");

// SAFETY: defined above with these signatures.
unsafe extern "C" {
    fn kernlet_program_enter(context: *mut Context) -> u32;
    static kernlet_program_go: u8;
    static kernlet_program_call: u8;
}

/// The way into the program behind its look at [`super::turn`]'s note: nothing has changed there but what is in the CPU.
pub fn last_instructions() -> Range<usize> {
    &raw const kernlet_program_go as usize..&raw const kernlet_program_call as usize
}

/// Points GS to the block.
pub fn prepare() -> Result<(), &'static str> {
    let has = |leaf, bit: u32, register: usize| cpuid(leaf)[register] >> bit & 1 == 1;
    if !has(7, 0, 1) {
        return Err("this CPU, or the host's kernel, has no FSGSBASE, which programs for Linux need here");
    }
    if !has(1, 27, 2) {
        return Err("this CPU, or the host's kernel, has no XSAVE, which programs for Linux need here");
    }
    // SAFETY: nobody else refers to the block yet. GS is the library OS's own.
    unsafe {
        (*block()).entry = quick::entry(&raw const kernlet_program_call as usize);
        // Its clocks are the host's, so they are those of the library OS; where it asks the host, that call traps.
        (*block()).clock.host = clock::function().unwrap_or(0);
        asm!("wrgsbase {}", in(reg) block(), options(nostack, preserves_flags));
    }
    Ok(())
}

fn cpuid(leaf: u32) -> [u32; 4] {
    let r = core::arch::x86_64::__cpuid_count(leaf, 0);
    [r.eax, r.ebx, r.ecx, r.edx]
}

/// See [`Context::enter`].
pub fn enter(context: &mut Context) -> Exit {
    if let Some(exit) = cannot_go(context) {
        return exit;
    }
    match run(context, &Way { enter: kernlet_program_enter, restore: state::restore }) {
        Left::Call => Exit::Call,
        // SAFETY: the handler has left it there, and the program does not run.
        Left::Handler => unsafe { (*block()).exit },
        Left::Over => Exit::Preempted,
    }
}
