//! In by host signals.

use super::super::call::{call, number};
use super::enter::{is_way, last_instructions};
use super::turn;
use crate::entry;
use crate::process::fault::{Action, register, reported};
use crate::program::enter::{block, disown, trap};
use crate::program::state::set_vectors;
use crate::program::{Context, Exit, Held, fixup, initial};
use core::arch::global_asm;
use core::fmt::Write;

const SIGILL: usize = 4;
const SIGTRAP: usize = 5;
const SIGBUS: usize = 7;
const SIGFPE: usize = 8;
const SIGSEGV: usize = 11;
const SIGALRM: usize = 14;
const SIGPROF: usize = 27;
const SIGSYS: usize = 31;
/// SA_SIGINFO, SA_ONSTACK, SA_RESTORER, SA_RESTART and SA_NODEFER: none is ever blocked, as handlers do not return.
const FLAGS: u64 = 0x4 | 0x0800_0000 | 0x0400_0000 | 0x1000_0000 | 0x4000_0000;

// SAFETY: defined below; only their addresses are used.
unsafe extern "C" {
    fn kernlet_program_restorer();
    fn kernlet_program_signal();
}

// The handler: asks `kernlet_program_interrupted` whether to return to what was interrupted.
global_asm!(
    ".pushsection .text.kernlet_program_signal, \"ax\"",
    ".globl kernlet_program_signal",
    "kernlet_program_signal:",
    "  push rbp",
    "  mov rbp, rsp",
    "  and rsp, -16",
    "  call kernlet_program_interrupted",
    "  test eax, eax",
    "  jnz kernlet_program_leave",
    "  mov rsp, rbp",
    "  pop rbp",
    "  ret",
    ".globl kernlet_program_restorer",
    "kernlet_program_restorer:",
    "  mov eax, 15",
    "  syscall",
    "  ud2",
    ".popsection",
);

/// Installs the handlers; those for faults replace the ones that only report.
pub fn install() {
    let action = Action {
        handler: kernlet_program_signal as *const () as usize,
        flags: FLAGS,
        restorer: kernlet_program_restorer as *const () as usize,
        mask: 0,
    };
    for signal in [SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGALRM, SIGPROF, SIGSYS] {
        // SAFETY: the host reads a live local; the handler has the type that SA_SIGINFO asks for.
        let _ = unsafe { call(number::RT_SIGACTION, [signal, &raw const action as usize, 0, 8, 0, 0]) };
    }
    turn::install();
}

/// The vector of a single step, and the flag that asks for it.
const DEBUG: u8 = 1;
const TRAP_FLAG: u64 = 0x100;

/// Word offsets in ucontext_t, whose mcontext_t begins at word 5.
mod word {
    pub const R8: usize = 5;
    pub const RIP: usize = 21;
    pub const FLAGS: usize = 22;
    pub const ERROR: usize = 24;
    pub const TRAP: usize = 25;
    pub const CR2: usize = 27;
    pub const FPSTATE: usize = 28;
    pub const WORDS: usize = 29;
}

/// Returns 0 when the interrupted code goes on.
#[unsafe(no_mangle)]
extern "C" fn kernlet_program_interrupted(
    signal: usize,
    information: *const i32,
    machine: *mut [u64; word::WORDS],
) -> u32 {
    // SAFETY: the host hands a siginfo_t and a ucontext_t that live as long as the handler runs.
    let machine = unsafe { &mut *machine };
    // SAFETY: as above; si_code is the third word.
    let code = unsafe { *information.add(2) };
    let rip = machine[word::RIP] as usize;
    // SAFETY: one host thread uses the block, and this handler runs in it. Without a stack to go back to no program runs.
    let within = entry::text().contains(&rip) || unsafe { (*block()).stack } == 0;
    if signal == SIGPROF {
        turn::tick(within);
    }
    if matches!(signal, SIGPROF | SIGALRM) && last_instructions().contains(&rip) {
        // SAFETY: the way in was taken, so the block's context is the thread's that is about to run, and `enter`, which borrows
        // it, waits.
        unsafe {
            let context = &mut *(*block()).context;
            (*block()).exit = Exit::Preempted;
            let sse = context.sse;
            take_state(context, machine);
            set_vectors(context, &sse);
        }
        return 1;
    }
    if within {
        return within_library(signal, information, machine);
    }
    let vector = machine[word::TRAP] as u8;
    // SAFETY: as above.
    if signal == SIGTRAP && vector == DEBUG && unsafe { core::mem::take(&mut (*block()).arriving) } != 0 {
        return 0;
    }
    let error = machine[word::ERROR] as u32;
    let exit = match signal {
        SIGSYS => Exit::Call,
        SIGPROF | SIGALRM => Exit::Preempted,
        SIGBUS => trap(14, error, machine[word::CR2] as usize, code == 2),
        SIGSEGV if vector == 14 => trap(14, error, machine[word::CR2] as usize, false),
        SIGSEGV => trap(13, error, 0, false),
        _ => trap(vector, error, 0, false),
    };
    // SAFETY: the program runs, so the block's context is the running thread's, and nobody else refers to it: `enter`,
    // which borrows it, waits.
    unsafe {
        let context = &mut *(*block()).context;
        (*block()).exit = exit;
        take_over(context, machine);
    }
    1
}

/// The library OS itself was interrupted.
fn within_library(signal: usize, information: *const i32, machine: &mut [u64; word::WORDS]) -> u32 {
    match signal {
        SIGPROF | SIGALRM => {
            turn::note();
            0
        }
        SIGTRAP if machine[word::TRAP] as u8 == DEBUG => {
            // The program set the trap flag and came in with it. It keeps it, but the library OS makes no single steps.
            if is_way(machine[word::RIP] as usize) {
                // SAFETY: one host thread uses the block, and this handler runs in it.
                unsafe { (*block()).arriving = 1 };
            } else {
                machine[word::FLAGS] &= !TRAP_FLAG;
            }
            0
        }
        SIGSEGV | SIGBUS if let Some(to) = fixup(machine[word::RIP] as usize) => {
            machine[word::RIP] = to as u64;
            0
        }
        SIGSYS => {
            // SAFETY: si_syscall is the seventh word of siginfo_t.
            refused(unsafe { *information.add(6) })
        }
        _ => {
            let mut words = [0; register::WORDS];
            words.iter_mut().zip(&*machine).for_each(|(to, &from)| *to = from as usize);
            reported(signal, &words)
        }
    }
}

/// The filter refused a host call of the library OS.
fn refused(number: i32) -> ! {
    let mut out = crate::panic::Report::new();
    let _ = writeln!(out, "kernlet: the sandbox refused host call {number}");
    drop(out);
    crate::power::die(crate::control::Death::Fault)
}

/// Copies the interrupted registers to the thread's context.
///
/// # Safety
/// `machine` is the ucontext_t of a signal that interrupted that thread.
unsafe fn take_over(context: &mut Context, machine: &[u64; word::WORDS]) {
    let r = &mut context.registers;
    let [r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp] =
        *machine[word::R8..].first_chunk::<16>().expect("there are more words");
    *r = crate::program::Registers {
        rax,
        rbx,
        rcx,
        rdx,
        rsi,
        rdi,
        rbp,
        rsp,
        r8,
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        rip: machine[word::RIP],
        rflags: machine[word::FLAGS],
    };
    // SAFETY: as the caller says.
    unsafe { take_state(context, machine) };
}

/// Copies the extended state and the thread pointer of what was interrupted to the thread's context.
///
/// # Safety
/// As for [`take_over`].
unsafe fn take_state(context: &mut Context, machine: &[u64; word::WORDS]) {
    let area = context.area.get_or_insert_with(|| alloc::boxed::Box::new(initial()));
    let length = super::state::extended_length();
    // SAFETY: the host saved the extended state there (in the standard format), at least as much of it as there is.
    let saved = unsafe { core::slice::from_raw_parts(machine[word::FPSTATE] as *const u8, length) };
    area.0[..length].copy_from_slice(saved);
    // The header (Intel SDM volume 1, 13.4.2): only what we restore, in the standard format.
    let features = saved.get(512..520).and_then(|b| b.try_into().ok()).map_or(3, u64::from_le_bytes);
    area.0[512..576].fill(0);
    area.0[512..520].copy_from_slice(&(features & super::state::extended_features()).to_le_bytes());
    // SAFETY: FSGSBASE was found by `prepare`.
    unsafe {
        core::arch::asm!("rdfsbase {}", out(reg) context.fs_base, options(nomem, nostack, preserves_flags))
    };
    context.held = Held::Area;
    disown();
}
