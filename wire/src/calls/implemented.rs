//! Written by a test of the crate that handles the calls (libos/linux/tests/implemented.rs).

/// The numbers of the system calls that the library OS has, rising.
pub const IMPLEMENTED: &[u16] = &[
    0,   // read
    1,   // write
    3,   // close
    9,   // mmap
    10,  // mprotect
    11,  // munmap
    12,  // brk
    13,  // rt_sigaction
    14,  // rt_sigprocmask
    16,  // ioctl
    19,  // readv
    20,  // writev
    28,  // madvise
    39,  // getpid
    60,  // exit
    102, // getuid
    104, // getgid
    107, // geteuid
    108, // getegid
    110, // getppid
    131, // sigaltstack
    158, // arch_prctl
    186, // gettid
    218, // set_tid_address
    231, // exit_group
    273, // set_robust_list
    318, // getrandom
];
