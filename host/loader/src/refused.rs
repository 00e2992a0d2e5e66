//! A refused host call is told before it ends the instance.
//!
//! The filter makes a call that is not in its list a SIGSYS, which the filter lets nobody handle but this. It is a one-shot
//! handler: a program that comes back from here all the same (having unmapped this code, it gets a SIGSEGV) has not made
//! the call, and ends by the next. Everything around this handler belongs to a program that may mean no good, which is
//! why it trusts nothing but the descriptor's number, and only writes a line and ends.

use crate::status;
use crate::system::{call, die, number};
use core::arch::{asm, global_asm};

const SIGSYS: usize = 31;
/// SA_SIGINFO, SA_RESTORER, SA_ONSTACK, SA_NODEFER, SA_RESETHAND.
const FLAGS: usize = 0x4 | 0x0400_0000 | 0x0800_0000 | 0x4000_0000 | 0x8000_0000;
/// What SIGSYS is as an exit status.
const STATUS: usize = 128 + SIGSYS;

// The handler gets siginfo_t in rsi. It has no configuration to look at but the loader's own, which stays mapped.
global_asm!(
    "refused_entry:",
    "  lea rdi, [rip + __configuration]",
    "  xor ebp, ebp",
    "  and rsp, -16",
    "  call refused",
    "  ud2",
);

/// Installs the handler.
pub fn tell() {
    let handler: usize;
    // SAFETY: computes an address. (As a Rust item it would need a table that somebody relocates.)
    unsafe { asm!("lea {}, [rip + refused_entry]", out(reg) handler, options(nomem, nostack)) };
    // struct sigaction of the kernel: handler, flags, restorer (never used, as the handler does not return), mask.
    let action = [handler, FLAGS, handler, 0];
    // SAFETY: the kernel reads a live local of 32 bytes; 8 is the size of a signal set.
    if unsafe { call(number::RT_SIGACTION, [SIGSYS, action.as_ptr() as usize, 0, 8, 0]) } != 0 {
        die(status::FILTER);
    }
}

#[unsafe(no_mangle)]
extern "C" fn refused(configuration: *const crate::config::Config, information: *const u32) -> ! {
    // SAFETY: the loader's configuration stays mapped and readable, and the kernel has just written a siginfo_t of 128
    // bytes; si_syscall is its seventh word. Where that does not hold this faults, and the instance ends so.
    let (stderr, refused) = unsafe { ((*configuration).stderr, *information.add(6)) };
    let text = b"kernlet: the sandbox refused host call ";
    let mut line = [b'\n'; 64];
    let digits = 1 + refused.checked_ilog10().unwrap_or(0) as usize;
    for (to, from) in line.iter_mut().zip(text) {
        *to = *from;
    }
    let mut rest = refused;
    for digit in line.iter_mut().skip(text.len()).take(digits).rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let length = text.len() + digits + 1;
    // SAFETY: the kernel reads a live local.
    unsafe { call(number::WRITE, [stderr as usize, line.as_ptr() as usize, length, 0, 0]) };
    // SAFETY: touches no memory. The handler was for one time: now SIGSYS ends the instance.
    unsafe { call(number::GETPPID, [0; 5]) };
    die(STATUS)
}
