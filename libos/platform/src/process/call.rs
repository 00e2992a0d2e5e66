//! The raw host call, and the numbers of those that the library OS uses.

use crate::Errno;
use core::arch::asm;

/// Linux x86-64 system call numbers (arch/x86/entry/syscalls/syscall_64.tbl).
pub mod number {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const FSTAT: usize = 5;
    pub const POLL: usize = 7;
    pub const MMAP: usize = 9;
    pub const MPROTECT: usize = 10;
    pub const MUNMAP: usize = 11;
    #[cfg(kernlet_image)]
    pub const RT_SIGACTION: usize = 13;
    pub const PREAD64: usize = 17;
    pub const PWRITE64: usize = 18;
    pub const WRITEV: usize = 20;
    pub const MREMAP: usize = 25;
    pub const MADVISE: usize = 28;
    #[cfg(kernlet_image)]
    pub const SETITIMER: usize = 38;
    pub const RECVMSG: usize = 47;
    pub const SHUTDOWN: usize = 48;
    pub const GETSOCKNAME: usize = 51;
    pub const SETSOCKOPT: usize = 54;
    pub const GETSOCKOPT: usize = 55;
    pub const FTRUNCATE: usize = 77;
    #[cfg(kernlet_image)]
    pub const SIGALTSTACK: usize = 131;
    pub const GETDENTS64: usize = 217;
    pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT_GROUP: usize = 231;
    pub const EPOLL_CTL: usize = 233;
    pub const FALLOCATE: usize = 285;
    pub const ACCEPT4: usize = 288;
    #[cfg(not(kernlet_image))]
    pub const EPOLL_CREATE1: usize = 291;
    pub const RECVMMSG: usize = 299;
    pub const SENDMMSG: usize = 307;
    #[cfg(not(kernlet_image))]
    pub const GETRANDOM: usize = 318;
    pub const EPOLL_PWAIT2: usize = 441;
}

/// Makes a host call.
///
/// # Errors
/// The host's error number.
///
/// # Safety
/// The arguments must be valid for the call: memory that it reads or writes must be the caller's to lend.
#[inline(always)]
pub unsafe fn call(number: usize, arguments: [usize; 6]) -> Result<usize, Errno> {
    #[cfg(not(kernlet_image))]
    let arguments = super::inject::before(number, arguments)?;
    let [a, b, c, d, e, f] = arguments;
    let result: isize;
    // SAFETY: the instruction clobbers only rax, rcx and r11, which is declared; what the host does to memory
    // is what the caller vouches for.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    if (-4095..0).contains(&result) { Err(Errno(-result as i32)) } else { Ok(result as usize) }
}

/// Makes a host call again as long as it was interrupted.
///
/// # Errors
/// The host's error number, never EINTR.
///
/// # Safety
/// As for [`call`].
#[inline(always)]
pub unsafe fn retried(number: usize, arguments: [usize; 6]) -> Result<usize, Errno> {
    loop {
        // SAFETY: passed on from the caller.
        match unsafe { call(number, arguments) } {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}
