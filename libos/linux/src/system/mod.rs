//! What describes the system and the process: identity, limits, usage (credentials(7), getrlimit(2), uname(2)).

pub mod credentials;
mod identity;
mod limits;
mod names;
mod usage;

pub use credentials::{Capabilities, Credentials};
pub use limits::{INFINITE, Limit, Limits, resizable, writable};
pub use names::{RELEASE, VERSION, hostname};
pub use usage::{memory, peak};

use crate::call::{Call, Outcome, number, unknown};
use crate::process::Process;
use crate::thread::Thread;
use crate::{Errno, user};
use alloc::rc::Rc;

/// GRND_NONBLOCK, GRND_RANDOM, GRND_INSECURE.
const RANDOM_FLAGS: u32 = 7;
const GRND_RANDOM_INSECURE: u32 = 6;
const PRIO_USER: i32 = 2;
/// IOPRIO_WHO_USER, and the bits of a class.
const IOPRIO_WHO_USER: i32 = 3;
const IOPRIO_CLASS_SHIFT: u32 = 13;
const SYSLOG_READ_ALL: i32 = 3;
const SYSLOG_SIZE_BUFFER: i32 = 10;

fn getrandom(call: Call) -> Outcome {
    let flags = call.word(2);
    if flags & !RANDOM_FLAGS != 0 || flags & GRND_RANDOM_INSECURE == GRND_RANDOM_INSECURE {
        return Err(Errno::EINVAL);
    }
    let length = call.size(1).min(i32::MAX as usize);
    let mut chunk = [0; 256];
    let mut done = 0;
    while done < length {
        let piece = &mut chunk[..(length - done).min(256)];
        kernlet_entropy::fill(piece);
        match user::write(call.size(0).wrapping_add(done), piece) {
            Ok(()) => done += piece.len(),
            Err(_) if done > 0 => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done as u64)
}

/// Checks that getpriority(2) and its like are about the caller: its process, group or user.
fn about_self(thread: &Rc<Thread>, which: i32, who: u32) -> Result<(), Errno> {
    let process = &thread.process;
    let own = match which {
        0 => who == 0 || process.thread(who).is_some(),
        1 => who == 0 || who == process.facts.group.get(),
        PRIO_USER => who == 0 || who == process.credentials.borrow().users[0],
        _ => return Err(Errno::EINVAL),
    };
    if own { Ok(()) } else { Err(Errno::ESRCH) }
}

fn setpriority(thread: &Rc<Thread>, call: Call) -> Outcome {
    about_self(thread, call.int(0), call.word(1))?;
    set_nice(&thread.process, call.int(2)).map(|()| 0)
}

/// Sets the nice value.
///
/// # Errors
/// EACCES when it may not be lowered so far.
pub fn set_nice(process: &Process, nice: i32) -> Result<(), Errno> {
    let nice = nice.clamp(-20, 19) as i8;
    let least = 20 - process.limits.get(Limit::Nice).min(40) as i8;
    if nice < process.facts.nice.get()
        && nice < least
        && !process.credentials.borrow().can(credentials::SYS_NICE)
    {
        return Err(Errno::EACCES);
    }
    process.facts.nice.set(nice);
    Ok(())
}

fn ioprio(thread: &Rc<Thread>, call: Call) -> Outcome {
    if !(1..=IOPRIO_WHO_USER).contains(&call.int(0)) {
        return Err(Errno::EINVAL);
    }
    about_self(thread, call.int(0) - 1, call.word(1))?;
    let place = &thread.process.facts.io_priority;
    if call.number == number::IOPRIO_GET {
        return Ok(place.get().into());
    }
    match call.word(2) >> IOPRIO_CLASS_SHIFT {
        1 if !thread.process.credentials.borrow().can(credentials::SYS_NICE) => return Err(Errno::EPERM),
        // Of no class there are no levels.
        0 if call.word(2) != 0 => return Err(Errno::EINVAL),
        0..=3 => place.set(call.word(2) as u16),
        _ => return Err(Errno::EINVAL),
    }
    Ok(0)
}

/// The kernel's log, which is empty.
fn syslog(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.int(0) {
        SYSLOG_READ_ALL | SYSLOG_SIZE_BUFFER => Ok(0),
        0..=9 => thread.process.credentials.borrow().need(credentials::SYSLOG).map(|()| 0),
        _ => Err(Errno::EINVAL),
    }
}

/// Handles the calls of this subject, none of which waits.
#[inline(never)]
pub fn at_once(thread: &Rc<Thread>, call: Call) -> Outcome {
    match call.number {
        number::GETRANDOM => getrandom(call),
        number::UNAME | number::SETHOSTNAME | number::SETDOMAINNAME => names::call(thread, call),
        number::GETRLIMIT | number::SETRLIMIT | number::PRLIMIT64 => limits::call(thread, call),
        number::GETRUSAGE | number::TIMES | number::SYSINFO => usage::call(thread, call),
        number::GETPRIORITY => {
            about_self(thread, call.int(0), call.word(1))?;
            Ok((20 - i64::from(thread.process.facts.nice.get())) as u64)
        }
        number::SETPRIORITY => setpriority(thread, call),
        number::IOPRIO_GET | number::IOPRIO_SET => ioprio(thread, call),
        number::SYSLOG => syslog(thread, call),
        // As of a kernel without filters: programs do without.
        number::SECCOMP => Err(Errno::EINVAL),
        // What an unprivileged program, or root in a container, is told.
        number::MOUNT
        | number::UMOUNT2
        | number::PIVOT_ROOT
        | number::SWAPON
        | number::SWAPOFF
        | number::REBOOT
        | number::ACCT
        | number::IOPL
        | number::IOPERM
        | number::INIT_MODULE
        | number::FINIT_MODULE
        | number::DELETE_MODULE
        | number::KEXEC_LOAD
        | number::KEXEC_FILE_LOAD
        | number::QUOTACTL
        | number::QUOTACTL_FD
        | number::VHANGUP
        | number::BPF
        | number::PERF_EVENT_OPEN
        | number::USERFAULTFD
        | number::FANOTIFY_INIT
        | number::OPEN_TREE
        | number::MOVE_MOUNT
        | number::FSOPEN
        | number::FSPICK
        | number::MOUNT_SETATTR => Err(Errno::EPERM),
        // What Linux does not have any more, and what is newer than the release that is told or may be left out of a kernel:
        // programs ask and do without.
        number::USELIB
        | number::_SYSCTL
        | number::CREATE_MODULE
        | number::GET_KERNEL_SYMS
        | number::QUERY_MODULE
        | number::NFSSERVCTL
        | number::GETPMSG
        | number::PUTPMSG
        | number::AFS_SYSCALL
        | number::TUXCALL
        | number::SECURITY
        | number::LOOKUP_DCOOKIE
        | number::EPOLL_CTL_OLD
        | number::EPOLL_WAIT_OLD
        | number::VSERVER
        | number::ADD_KEY
        | number::REQUEST_KEY
        | number::KEYCTL
        | number::LANDLOCK_CREATE_RULESET
        | number::LANDLOCK_ADD_RULE
        | number::LANDLOCK_RESTRICT_SELF
        | number::MEMFD_SECRET
        | number::SET_MEMPOLICY_HOME_NODE
        | number::MSEAL
        | number::CACHESTAT
        | number::MAP_SHADOW_STACK
        | number::STATMOUNT
        | number::LISTMOUNT
        | number::LSM_GET_SELF_ATTR
        | number::LSM_SET_SELF_ATTR
        | number::LSM_LIST_MODULES => Err(Errno::ENOSYS),
        number::GETUID
        | number::GETEUID
        | number::GETGID
        | number::GETEGID
        | number::GETRESUID
        | number::GETRESGID
        | number::SETUID
        | number::SETGID
        | number::SETREUID
        | number::SETREGID
        | number::SETRESUID
        | number::SETRESGID
        | number::SETFSUID
        | number::SETFSGID
        | number::GETGROUPS
        | number::SETGROUPS
        | number::CAPGET
        | number::CAPSET => identity::call(thread, call),
        _ => unknown(thread, call),
    }
}
