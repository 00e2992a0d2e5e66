//! The host calls of an instance: the whole list, each with its reason.
//!
//! Whatever is not here ends the instance with SIGSYS, and its log says which call it was; arguments outside of what is
//! checked give EPERM. No call takes a path or an address to connect to, none makes a process, and none makes memory
//! executable. Calls on the hot path are without checks, which cost 20 to 35 ns each.

/// A condition on an argument of a call.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// Argument `.0` and mask `.1` must equal `.2`.
    Masked(u8, u64, u64),
    /// Argument `.0` must be one of these.
    OneOf(u8, &'static [u64]),
    /// Argument `.0` must not have all of these bits, which lie in its lower half.
    NotAll(u8, u64),
    /// Arguments 1 and 2, level and name of a socket's option, must be a pair of these. It comes last.
    Option(&'static [(u64, &'static [u64])]),
}

/// Which calls an instance may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A native program: its code is all in the image.
    Native,
    /// An unmodified program: its calls trap wherever they are made, and it may make memory executable.
    Linux,
}

/// One call that passes.
#[derive(Clone, Copy, Debug)]
pub struct HostCall {
    /// Its number on x86-64.
    pub number: u32,
    /// Its name.
    pub name: &'static str,
    /// What must hold of its arguments, all of it.
    pub checks: &'static [Check],
    /// What the library OS needs it for.
    pub reason: &'static str,
}

const fn call(number: u32, name: &'static str, checks: &'static [Check], reason: &'static str) -> HostCall {
    HostCall { number, name, checks, reason }
}

/// MSG_DONTWAIT alone: above all never MSG_FASTOPEN, which connects a TCP socket to any address.
const SEND_FLAGS: &[Check] = &[Check::Masked(3, 0xffff_ffff, 0x40)];
/// No PROT_EXEC.
const NO_EXECUTE: &[Check] = &[Check::Masked(2, 4, 0)];
/// The flags of a mapping that the limit on memory counts: MAP_PRIVATE with any of MAP_FIXED, MAP_ANONYMOUS,
/// MAP_NORESERVE, MAP_POPULATE and MAP_FIXED_NOREPLACE. Shared memory and stacks (MAP_GROWSDOWN) are not counted by
/// RLIMIT_DATA, and huge pages (MAP_HUGETLB) are everybody's.
const COUNTED: u64 = !(0x10 | 0x20 | 0x4000 | 0x8000 | 0x10_0000);
const MAPPINGS: &[Check] = &[Check::Masked(2, 4, 0), Check::Masked(3, COUNTED, 0x02)];
/// IPPROTO_TCP with TCP_NODELAY or TCP_QUICKACK.
const TCP_OPTIONS: &[Check] = &[Check::Masked(1, 0xffff_ffff, 6), Check::OneOf(2, &[1, 12])];
/// MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_POPULATE_READ, MADV_POPULATE_WRITE.
const ADVICE: &[Check] = &[Check::OneOf(2, &[4, 8, 14, 15, 22, 23])];
/// CLOCK_REALTIME, CLOCK_MONOTONIC and CLOCK_BOOTTIME: where the vDSO cannot read them itself.
const CLOCKS: &[Check] = &[Check::OneOf(0, &[0, 1, 7])];

/// SIGILL, SIGBUS, SIGFPE and SIGSEGV; above all never SIGSYS, which ends the instance.
const FAULTS: &[Check] = &[Check::OneOf(0, &[4, 7, 8, 11])];

/// The list, the hottest first.
pub const HOST_CALLS: &[HostCall] = &[
    call(299, "recvmmsg", &[], "datagrams in"),
    call(307, "sendmmsg", SEND_FLAGS, "datagrams out"),
    call(441, "epoll_pwait2", &[], "the one way to wait"),
    call(0, "read", &[], "transfer on a granted descriptor"),
    call(1, "write", &[], "transfer on a granted descriptor"),
    call(20, "writev", &[], "transfer on a granted descriptor"),
    call(288, "accept4", &[], "connections to a published port"),
    call(3, "close", &[], "giving a descriptor up"),
    call(233, "epoll_ctl", &[], "watching a descriptor"),
    call(48, "shutdown", &[], "half-close of a connection"),
    call(54, "setsockopt", TCP_OPTIONS, "small segments at once"),
    call(51, "getsockname", &[], "the address of a published port"),
    call(17, "pread64", &[], "files of volumes"),
    call(18, "pwrite64", &[], "files of volumes"),
    call(5, "fstat", &[], "files of volumes"),
    call(77, "ftruncate", &[], "files of volumes"),
    call(217, "getdents64", &[], "directories of volumes"),
    call(47, "recvmsg", &[], "control messages; replies and descriptors of the broker"),
    call(7, "poll", &[], "waiting for a slow reader of standard output"),
    call(9, "mmap", MAPPINGS, "memory"),
    call(11, "munmap", &[], "memory"),
    call(10, "mprotect", NO_EXECUTE, "memory; protecting the image's relocated data"),
    call(28, "madvise", ADVICE, "memory"),
    call(228, "clock_gettime", CLOCKS, "time, where the vDSO cannot tell it"),
    call(13, "rt_sigaction", FAULTS, "faults are reported"),
    call(131, "sigaltstack", &[], "faults are reported, on a stack of their own"),
    call(15, "rt_sigreturn", &[], "return from a signal"),
    call(231, "exit_group", &[], "the end"),
];

/// MAP_SHARED beside [`COUNTED`]'s, for files.
const LINUX_FLAGS: u64 = COUNTED & !0x3;
/// Files of volumes may be shared; shared memory that no file backs (MAP_SHARED with MAP_ANONYMOUS) is in no limit.
const LINUX_MAPPINGS: &[Check] = &[Check::Masked(3, LINUX_FLAGS, 0), Check::NotAll(3, 0x21)];
/// As [`FAULTS`], with SIGTRAP, SIGPROF and SIGALRM, which end a thread's turn, and SIGSYS, by which its calls come in.
const LINUX_SIGNALS: &[Check] = &[Check::OneOf(0, &[4, 5, 7, 8, 11, 14, 27, 31])];
/// ITIMER_REAL and ITIMER_PROF.
const TURNS: &[Check] = &[Check::OneOf(0, &[0, 2])];

/// Those of [`kernlet_wire::options`], one by one.
const LINUX_OPTIONS: &[Check] = &[Check::Option(kernlet_wire::options::LISTED)];
/// IPPROTO_TCP with TCP_INFO.
const TCP_INFORMATION: &[Check] = &[Check::Masked(1, 0xffff_ffff, 6), Check::OneOf(2, &[11])];
/// FALLOC_FL_KEEP_SIZE with FALLOC_FL_PUNCH_HOLE: giving memory back, never taking it.
const HOLES: &[Check] = &[Check::OneOf(1, &[3])];

/// What an instance with a Linux program may do beside and instead of [`HOST_CALLS`].
pub const LINUX_CALLS: &[HostCall] = &[
    call(9, "mmap", LINUX_MAPPINGS, "the program's memory and code"),
    call(10, "mprotect", &[], "the program's memory and code"),
    call(13, "rt_sigaction", LINUX_SIGNALS, "the program's faults and calls come in by signals"),
    call(25, "mremap", &[], "the program's memory moves"),
    call(54, "setsockopt", LINUX_OPTIONS, "what the program sets of its connections"),
    call(55, "getsockopt", TCP_INFORMATION, "how a connection does"),
    call(285, "fallocate", HOLES, "shared memory is given back"),
    call(38, "setitimer", TURNS, "threads take turns"),
];

/// The whole list for a kind of instance.
pub fn calls(kind: Kind) -> Vec<HostCall> {
    let own = if kind == Kind::Linux { LINUX_CALLS } else { &[] };
    let rest = HOST_CALLS.iter().filter(|call| own.iter().all(|other| other.number != call.number));
    own.iter().chain(rest).copied().collect()
}
