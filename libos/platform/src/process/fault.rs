//! CPU faults arrive as signals on a stack of their own, are reported, and end the instance.

use super::call::{call, number};
use crate::fault::{Access, Fault, report};
use core::arch::global_asm;

const SIGILL: usize = 4;
const SIGBUS: usize = 7;
const SIGFPE: usize = 8;
const SIGSEGV: usize = 11;
/// SA_SIGINFO, SA_ONSTACK, SA_RESTORER and SA_RESETHAND: a fault in the handler ends the process.
const FLAGS: u64 = 0x4 | 0x0800_0000 | 0x0400_0000 | 0x8000_0000;
/// Room for the host's frame with all vector state (AMX included) and for the report.
const STACK: usize = 32 << 10;

#[repr(C, align(16))]
struct Stack([u8; STACK]);

static mut FAULT_STACK: Stack = Stack([0; STACK]);

/// struct sigaction as the kernel takes it.
#[repr(C)]
pub struct Action {
    pub handler: usize,
    pub flags: u64,
    pub restorer: usize,
    pub mask: u64,
}

// SAFETY: defined below; only its address is used.
unsafe extern "C" {
    fn kernlet_no_return();
}

global_asm!(
    ".pushsection .text.kernlet_no_return, \"ax\"",
    ".globl kernlet_no_return",
    "kernlet_no_return: ud2",
    ".popsection",
);

/// Installs the handler for the four signals of faults.
pub fn install() {
    // stack_t: address, flags, size.
    let stack = [&raw mut FAULT_STACK as usize, 0, STACK];
    let action = Action {
        handler: handle as *const () as usize,
        flags: FLAGS,
        restorer: kernlet_no_return as *const () as usize,
        mask: !0,
    };
    // SAFETY: the host reads two live locals; the stack is a static that nothing else uses; the handler has the
    // type that SA_SIGINFO asks for and never returns.
    unsafe {
        let _ = call(number::SIGALTSTACK, [stack.as_ptr() as usize, 0, 0, 0, 0, 0]);
        for signal in [SIGSEGV, SIGBUS, SIGILL, SIGFPE] {
            let arguments = [signal, &raw const action as usize, 0, 8, 0, 0];
            let _ = call(number::RT_SIGACTION, arguments);
        }
    }
}

/// Word offsets of registers in ucontext_t (struct sigcontext of x86-64).
pub mod register {
    pub const RBP: usize = 15;
    pub const RSP: usize = 20;
    pub const RIP: usize = 21;
    pub const ERROR: usize = 24;
    pub const TRAP: usize = 25;
    pub const CR2: usize = 27;
    pub const WORDS: usize = 28;
}

const PAGE_FAULT: usize = 14;

extern "C" fn handle(signal: i32, _information: *const u8, context: *const [usize; register::WORDS]) -> ! {
    // SAFETY: the host hands a ucontext_t that lives as long as the handler runs.
    let context = unsafe { &*context };
    reported(signal as usize, context)
}

/// Reports the fault that a signal brought, by the words of its ucontext_t.
pub fn reported(signal: usize, context: &[usize; register::WORDS]) -> ! {
    let error = context[register::ERROR];
    let access = match error {
        _ if error & 16 != 0 => Access::Execute,
        _ if error & 2 != 0 => Access::Write,
        _ => Access::Read,
    };
    let name = match (signal, context[register::TRAP]) {
        (SIGFPE, _) => "division error",
        (SIGILL, _) => "invalid instruction",
        (SIGBUS, _) => "bus error (the image's file was cut short?)",
        _ => "general protection (an address that is not canonical?)",
    };
    let memory = signal == SIGSEGV && context[register::TRAP] == PAGE_FAULT;
    report(&Fault {
        memory: memory.then_some((access, context[register::CR2])),
        name,
        instruction: context[register::RIP],
        frame: context[register::RBP],
        stack: context[register::RSP],
    })
}
