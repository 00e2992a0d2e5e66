//! Into the program and out of it, in ring 0.

use super::super::port::{rdmsr, wrmsr};
use super::super::{apic, clock, trap};
use super::memory::{Outcome, fault};
use super::{state, vdso};
use crate::program::enter::{Left, Way, block, cannot_go, run, trap as trapped, ways};
use crate::program::{Context, Exit, quick};
use core::arch::global_asm;
use core::mem::offset_of;

// Interrupts are let in by the last instruction but one, which takes effect behind the jump. A call first shuts them out: one
// that strikes before finds the library OS's text, and is noted.
ways!("kernlet_vm_program",
    flags: "  and qword ptr [rsp], -0x201", go: "  sti", come: "  cli", came: "  or qword ptr [rsp], 0x200");

// By SYSCALL: rcx = where it goes on, r11 = the flags, of which those in `MASKED` are off.
global_asm!(
    ".pushsection .text.kernlet_vm_syscall, \"ax\"",
    ".globl kernlet_vm_syscall",
    "kernlet_vm_syscall:",
    "  mov gs:[{scratch}], rsp",
    "  mov rsp, gs:[{stack}]",
    "  push r11",
    "  jmp kernlet_vm_program_called",
    ".popsection",
    scratch = const offset_of!(crate::program::Block, scratch),
    stack = const offset_of!(crate::program::Block, stack),
);

// SAFETY: defined above with these signatures.
unsafe extern "C" {
    fn kernlet_vm_program_enter(context: *mut Context) -> u32;
    static kernlet_vm_program_call: u8;
    static kernlet_vm_syscall: u8;
}

const EFER: u32 = 0xc000_0080;
const EFER_SYSCALL: u64 = 1;
const STAR: u32 = 0xc000_0081;
const LSTAR: u32 = 0xc000_0082;
const SYSCALL_MASK: u32 = 0xc000_0084;
const GS_BASE: u32 = 0xc000_0101;
/// The library OS's code segment, behind which its stack segment lies.
const CODE: u64 = 8;
/// What SYSCALL clears: TF, IF, DF, IOPL, NT, AC.
const MASKED: u64 = 0x4_7700;
/// How long a thread runs before others have their turn, in nanoseconds.
const TURN: u32 = 10_000_000;
const PAGE_FAULT: u64 = 14;
/// The error code's bit for an access from ring 3, which programs for Linux expect.
const ERROR_USER: u32 = 4;

/// Points GS to the block, and SYSCALL to the entry.
pub fn prepare() {
    // SAFETY: nobody else refers to the block yet. GS is the library OS's own; every x86-64 CPU has these registers.
    unsafe {
        (*block()).entry = quick::entry(&raw const kernlet_vm_program_call as usize);
        wrmsr(GS_BASE, block() as u64);
        wrmsr(STAR, CODE << 32);
        wrmsr(LSTAR, &raw const kernlet_vm_syscall as u64);
        wrmsr(SYSCALL_MASK, MASKED);
        wrmsr(EFER, rdmsr(EFER) | EFER_SYSCALL);
    }
}

/// See [`Context::enter`].
pub fn enter(context: &mut Context) -> Exit {
    loop {
        if let Some(exit) = cannot_go(context) {
            return exit;
        }
        // What struck in the library OS has waited long enough: it is looked at after a turn.
        if trap::is_pending() {
            return Exit::Preempted;
        }
        clock::tick(TURN);
        vdso::publish();
        match run(context, &Way { enter: kernlet_vm_program_enter, restore: state::restore }) {
            Left::Call => return Exit::Call,
            Left::Handler => {}
            // Nothing strikes in the library OS here, which is asked above.
            Left::Over => return Exit::Preempted,
        }
        // SAFETY: the handler has left it there, and the program does not run.
        let [vector, error, address] = unsafe { (*block()).found };
        let (error, address) = (error as u32, address as usize);
        if vector >= trap::FIRST_INTERRUPT as u64 {
            trap::end_of_interrupt();
            // The turn is over: of the timer nobody else needs to know, of a device whoever looks next.
            if vector == u64::from(apic::TIMER_VECTOR) {
                clock::struck();
            } else {
                trap::note(vector as usize);
            }
            return Exit::Preempted;
        }
        if vector != PAGE_FAULT {
            return trapped(vector as u8, error, 0, false);
        }
        let beyond = match fault(address, error) {
            Outcome::Filled => continue,
            Outcome::Refused => false,
            Outcome::Beyond => true,
        };
        return trapped(vector as u8, error | ERROR_USER, address, beyond);
    }
}
