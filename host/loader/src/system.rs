//! System calls.

use core::arch::asm;

/// Numbers (arch/x86/entry/syscalls/syscall_64.tbl).
pub mod number {
    pub const WRITE: usize = 1;
    pub const MMAP: usize = 9;
    pub const RT_SIGACTION: usize = 13;
    pub const GETPPID: usize = 110;
    pub const SETGROUPS: usize = 116;
    pub const SETRESUID: usize = 117;
    pub const SETRESGID: usize = 119;
    pub const PRCTL: usize = 157;
    pub const EXIT_GROUP: usize = 231;
    pub const OPENAT: usize = 257;
    pub const PRLIMIT64: usize = 302;
    pub const SECCOMP: usize = 317;
    pub const CLOSE_RANGE: usize = 436;
    pub const LANDLOCK_CREATE_RULESET: usize = 444;
    pub const LANDLOCK_RESTRICT_SELF: usize = 446;
}

/// A system call of up to five arguments.
///
/// # Safety
/// The arguments must be valid for the call.
pub unsafe fn call(number: usize, arguments: [usize; 5]) -> isize {
    let [a, b, c, d, e] = arguments;
    // SAFETY: passed on from the caller.
    unsafe { call6(number, [a, b, c, d, e, 0]) }
}

/// A system call of up to six arguments.
///
/// # Safety
/// The arguments must be valid for the call.
pub unsafe fn call6(number: usize, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: the instruction clobbers rax, rcx and r11, as declared; the rest is the caller's word.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Ends the process.
pub fn die(status: usize) -> ! {
    loop {
        // SAFETY: touches no memory.
        unsafe { call(number::EXIT_GROUP, [status, 0, 0, 0, 0]) };
    }
}
