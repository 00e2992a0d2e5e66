//! The trusted loader: a static program without libc and without data that turns into an instance.
//!
//! The monitor executes it with everything open that the instance may have. It maps the image at a random place, closes
//! all that was not granted, gives up every way back (identity, limits, no_new_privs, Landlock, the seccomp filter), and
//! jumps. It runs no code of the image before it is locked in, trusts its configuration, which the monitor wrote into
//! its last segment, and ends with a status of [`status`] when a step fails: an instance is never half locked in.
#![no_std]
#![no_main]

mod config;
mod landlock;
#[path = "../../../wire/src/launch.rs"]
mod launch;
mod map;
mod refused;
mod system;

use config::{Config, MAGIC};
use core::arch::{asm, global_asm};
use launch::Launch;
use system::{call, die, number};

/// Exit statuses of a start that failed, one a step.
pub mod status {
    pub const CONFIGURATION: usize = 240;
    pub const MAP: usize = 241;
    pub const CLOSE: usize = 242;
    pub const IDENTITY: usize = 243;
    pub const PARENT: usize = 244;
    pub const LIMITS: usize = 245;
    pub const PRIVILEGES: usize = 246;
    pub const LANDLOCK: usize = 247;
    pub const FILTER: usize = 248;
}

global_asm!(
    ".globl _start",
    "_start:",
    "  mov rdi, rsp",
    "  lea rsi, [rip + __configuration]",
    "  xor ebp, ebp",
    "  and rsp, -16",
    "  call load",
    "  ud2",
);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    die(status::CONFIGURATION)
}

#[unsafe(no_mangle)]
extern "C" fn load(stack: *const usize, configuration: *const Config) -> ! {
    // SAFETY: the linker script puts the configuration there, and the launcher filled it in; nothing writes to it.
    let config = unsafe { &*configuration };
    if config.magic != MAGIC {
        die(status::CONFIGURATION);
    }
    let at = configuration as usize;
    let bias = map::image(config);
    close_all_but(at + config.kept_offset as usize, config.kept_count as usize);
    // Behind the kept ones, so that nothing else has its number. An image with a place of its own is a Linux program's.
    let usage = if config.base == 0 { -1 } else { open_usage() };
    if config.drop_identity == 1 {
        become_unprivileged(config.identity);
    }
    tie_to_parent(config.parent);
    for limit in config.limits.iter().take(config.limit_count as usize) {
        let value = [limit[1], limit[1]];
        // SAFETY: the kernel reads one rlimit64 of 16 bytes.
        if unsafe { call(number::PRLIMIT64, [0, limit[0] as usize, value.as_ptr() as usize, 0, 0]) } != 0 {
            die(status::LIMITS);
        }
    }
    // SAFETY: prctl(PR_SET_NO_NEW_PRIVS) touches no memory.
    if unsafe { call(number::PRCTL, [38, 1, 0, 0, 0]) } != 0 {
        die(status::PRIVILEGES);
    }
    landlock::restrict();
    ignore_broken_pipes();
    refused::tell();
    let top = (stack as usize).next_multiple_of(4096);
    let launch = Launch {
        magic: launch::MAGIC,
        blob: [at + config.blob_offset as usize, config.blob_length as usize],
        stack: [top - config.stack_size as usize, top],
        vdso: vdso(stack),
        usage,
    };
    // struct sock_fprog: a 16-bit count, then the address.
    let program = [config.filter_count as usize, at + config.filter_offset as usize];
    // SAFETY: seccomp(SECCOMP_SET_MODE_FILTER): the kernel reads the program, which lies in the configuration.
    if unsafe { call(number::SECCOMP, [1, 0, program.as_ptr() as usize, 0, 0]) } != 0 {
        die(status::FILTER);
    }
    // SAFETY: the entry is code of the image, mapped at its linked address plus the bias. It never returns, so `launch`
    // and all of this stack stay.
    unsafe {
        asm!(
            "xor ebp, ebp",
            "jmp {entry}",
            entry = in(reg) bias.wrapping_add(config.entry as usize),
            in("rdi") &raw const launch,
            options(noreturn),
        )
    }
}

/// Closes every descriptor that is not in the ascending list of `count` numbers at `list`.
fn close_all_but(list: usize, count: usize) {
    let mut next = 0usize;
    for i in 0..=count {
        // SAFETY: the launcher wrote `count` numbers there.
        let kept = if i < count { unsafe { *(list as *const i32).add(i) as usize } } else { 1 << 31 };
        // SAFETY: close_range(2) touches no memory, and the loader needs none of these descriptors any more.
        if kept > next && unsafe { call(number::CLOSE_RANGE, [next, kept - 1, 0, 0, 0]) } != 0 {
            die(status::CLOSE);
        }
        next = kept + 1;
    }
}

/// Opens the file that tells how much memory this process uses (proc(5)); -1 without one.
fn open_usage() -> i64 {
    let path = c"/proc/self/statm";
    const AT_FDCWD: usize = -100isize as usize;
    // SAFETY: the kernel reads the path, a constant; O_RDONLY is 0.
    unsafe { call(number::OPENAT, [AT_FDCWD, path.as_ptr() as usize, 0, 0, 0]) as i64 }
}

fn become_unprivileged([user, group]: [u32; 2]) {
    let (user, group) = (user as usize, group as usize);
    // SAFETY: setgroups(0, NULL), setresgid and setresuid touch no memory.
    let failed = unsafe {
        call(number::SETGROUPS, [0; 5]) != 0
            || call(number::SETRESGID, [group, group, group, 0, 0]) != 0
            || call(number::SETRESUID, [user, user, user, 0, 0]) != 0
    };
    if failed {
        die(status::IDENTITY);
    }
}

/// Asks for SIGKILL at the parent's end; it may have ended already. A change of identity clears this, so it comes
/// after that.
fn tie_to_parent(parent: u32) {
    // SAFETY: prctl(PR_SET_PDEATHSIG) and getppid touch no memory.
    let tied = unsafe {
        call(number::PRCTL, [1, 9, 0, 0, 0]) == 0 && call(number::GETPPID, [0; 5]) == parent as isize
    };
    if !tied {
        die(status::PARENT);
    }
}

/// A peer that closes its connection is an error of a write (EPIPE), and no signal.
fn ignore_broken_pipes() {
    // struct sigaction of the kernel: handler SIG_IGN, flags, restorer, mask.
    let ignore = [1usize, 0, 0, 0];
    // SAFETY: the kernel reads a live local of 32 bytes; 13 is SIGPIPE, and 8 the size of a signal set.
    if unsafe { call(number::RT_SIGACTION, [13, ignore.as_ptr() as usize, 0, 8, 0]) } != 0 {
        die(status::PRIVILEGES);
    }
}

/// AT_SYSINFO_EHDR of the auxiliary vector, which lies behind arguments and environment (getauxval(3)).
fn vdso(stack: *const usize) -> usize {
    const AT_SYSINFO_EHDR: usize = 33;
    // SAFETY: the kernel laid out count, arguments, 0, environment, 0, auxiliary vector, (0, 0) at the initial stack
    // pointer.
    unsafe {
        let mut at = stack.add(*stack + 2);
        while *at != 0 {
            at = at.add(1);
        }
        at = at.add(1);
        while *at != 0 {
            if *at == AT_SYSINFO_EHDR {
                return *at.add(1);
            }
            at = at.add(2);
        }
    }
    0
}
