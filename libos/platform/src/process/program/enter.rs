//! In and out by calls, in a process.

use super::super::clock;
use super::state;
use crate::program::enter::{Left, Way, block, cannot_go, run, ways};
use crate::program::{Context, Exit, known, quick};
use core::arch::asm;
use core::ops::Range;

ways!("kernlet_program", flags: "", go: "", come: "", came: "");

// SAFETY: defined above with these signatures.
unsafe extern "C" {
    fn kernlet_program_enter(context: *mut Context) -> u32;
    static kernlet_program_go: u8;
    static kernlet_program_call: u8;
    static kernlet_program_called: u8;
}

/// Whether the program's flags count at `address`, which is in the library OS's text: on the way in and out.
pub fn is_way(address: usize) -> bool {
    let way = kernlet_program_enter as *const () as usize..&raw const kernlet_program_called as usize;
    way.contains(&address) || quick::text().contains(&address)
}

/// The way into the program behind its look at [`super::turn`]'s note: nothing has changed there but what is in the CPU.
pub fn last_instructions() -> Range<usize> {
    &raw const kernlet_program_go as usize..&raw const kernlet_program_call as usize
}

/// Points GS to the block.
pub fn prepare() -> Result<(), &'static str> {
    let [_, features, more] = known();
    if more & 1 == 0 {
        return Err("this CPU, or the host's kernel, has no FSGSBASE, which programs for Linux need here");
    }
    if features >> 27 & 1 == 0 {
        return Err("this CPU, or the host's kernel, has no XSAVE, which programs for Linux need here");
    }
    state::prepare()?;
    // SAFETY: nobody else refers to the block yet. GS is the library OS's own.
    unsafe {
        (*block()).entry = quick::entry(&raw const kernlet_program_call as usize);
        // Its clocks are the host's, so they are those of the library OS; where it asks the host, that call traps.
        (*block()).clock.host = clock::function();
        asm!("wrgsbase {}", in(reg) block(), options(nostack, preserves_flags));
    }
    Ok(())
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
