//! Making processes: the loader's, and a monitor's in the background.
//!
//! Starting the loader is clone(2) and execve(2), with nothing between them that a child of this kind does not need.
//!
//! `posix_spawn` sets every signal's action anew, which is 128 host calls and a third of a start. The kernel does it by
//! itself for a child that executes another program, and CLONE_CLEAR_SIGHAND does it for the moment before.

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::arch::asm;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::{Duration, Instant};

/// CLONE_VM and CLONE_VFORK, CLONE_PIDFD, CLONE_CLEAR_SIGHAND (linux/sched.h).
const FLAGS: u64 = 0x100 | 0x4000 | 0x1000 | 0x1_0000_0000;
const SIGCHLD: u64 = 17;
/// How long threads that have done their work may take to leave.
const LEAVING: Duration = Duration::from_secs(1);

/// struct clone_args, as the kernels know it that know CLONE_CLEAR_SIGHAND.
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
}

/// Executes `program` as the leader of a process group of its own, with the one argument `name`, an empty environment and
/// no blocked signal; a descriptor that tells its end comes with it.
///
/// # Errors
/// No process could be made, or the file not be executed; there is none then.
pub fn spawn(program: BorrowedFd<'_>, name: &CStr) -> Result<(Pid, OwnedFd), Errno> {
    let arguments = [name.as_ptr(), ptr::null()];
    let no_path = c"".as_ptr();
    let environment: [*const libc::c_char; 1] = [ptr::null()];
    let no_signals = 0u64;
    let mut pidfd: libc::c_int = -1;
    // What execve said, in the child, which shares this memory.
    let mut refused: isize = 0;
    let clone = CloneArguments {
        flags: FLAGS,
        pidfd: &raw mut pidfd as u64,
        exit_signal: SIGCHLD,
        ..CloneArguments::default()
    };
    let mut result = libc::SYS_clone3 as isize;
    // SAFETY: clone3 reads `clone` and writes `pidfd`. The child runs the instructions up to `2:` while this thread is
    // suspended (CLONE_VFORK) on the same stack, of which they touch nothing; they write to `refused` only, and end in
    // another program or in exit(2), which ends the child alone. Path, arguments, environment and mask are live.
    // The kernel keeps all registers but rax, rcx and r11.
    unsafe {
        asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, {setpgid}",
            "xor edi, edi",
            "xor esi, esi",
            "syscall",
            "mov eax, {sigprocmask}",
            "mov edi, {setmask}",
            "mov rsi, r12",
            "mov r8, rdx",
            "xor edx, edx",
            "mov r10d, 8",
            "syscall",
            "mov eax, {execveat}",
            "mov edi, r13d",
            "mov rsi, r8",
            "mov rdx, r14",
            "mov r10, r15",
            "mov r8d, {empty_path}",
            "syscall",
            "mov [r9], rax",
            "mov eax, {exit}",
            "mov edi, 127",
            "syscall",
            "ud2",
            "2:",
            setpgid = const libc::SYS_setpgid,
            sigprocmask = const libc::SYS_rt_sigprocmask,
            setmask = const libc::SIG_SETMASK,
            execveat = const libc::SYS_execveat,
            empty_path = const libc::AT_EMPTY_PATH,
            exit = const libc::SYS_exit,
            inlateout("rax") result,
            inlateout("rdi") &raw const clone => _,
            inlateout("rsi") size_of::<CloneArguments>() => _,
            inlateout("rdx") no_path => _,
            lateout("r10") _,
            lateout("r8") _,
            in("r9") &raw mut refused,
            in("r12") &raw const no_signals,
            in("r13") program.as_raw_fd(),
            in("r14") arguments.as_ptr(),
            in("r15") environment.as_ptr(),
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    if result < 0 {
        return Err(Errno::from_raw_os_error(-result as i32));
    }
    // SAFETY: clone3 succeeded, so it has stored a new descriptor there, which nobody else knows.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    if refused != 0 {
        let _ = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
        return Err(Errno::from_raw_os_error(-refused as i32));
    }
    let pid = Pid::from_raw(result as i32).ok_or(Errno::SRCH)?;
    Ok((pid, pidfd))
}

/// Splits this process; `None` in the new one, which holds the standard descriptors and `kept`, and nothing else that
/// was open.
///
/// # Errors
/// EBUSY while this process has other threads, which the new one would be without; what fork(2) says.
pub fn fork(kept: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<Option<Pid>> {
    let started = Instant::now();
    // Threads that have done their work may still be on their way out.
    while std::fs::read_dir("/proc/self/task")?.count() > 1 {
        if started.elapsed() > LEAVING {
            return Err(Errno::BUSY.into());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    // SAFETY: this thread is the only one, so the new process is whole.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(io::Error::last_os_error());
    }
    if pid > 0 {
        return Ok(Pid::from_raw(pid));
    }
    let (kept, other) = (kept.as_raw_fd() as u32, other.as_raw_fd() as u32);
    let (low, high) = (kept.min(other), kept.max(other));
    for (first, last) in [(3, low - 1), (low + 1, high.saturating_sub(1)), (high + 1, u32::MAX)] {
        if first <= last {
            // SAFETY: closes descriptors of which nothing in this process knows: it has opened the two only. Kernels
            // before 5.9 cannot do it; the instance is closed to what was inherited all the same.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn open(path: &str) -> File {
        File::open(path).unwrap()
    }

    #[test]
    fn a_program_runs_in_a_group_of_its_own_and_its_end_is_told() {
        let (pid, pidfd) = spawn(open("/bin/true").as_fd(), c"true").unwrap();
        let status = waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0));
        assert_ne!(rustix::process::getpgid(None).unwrap(), pid);
    }

    #[test]
    fn what_cannot_be_executed_leaves_no_process() {
        assert_eq!(spawn(open("/etc/passwd").as_fd(), c"x").unwrap_err(), Errno::ACCESS);
    }

    #[test]
    fn signals_that_are_blocked_here_are_not_blocked_in_it() {
        let mut blocked = std::mem::MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: a set of signals that is a live local; blocking one in this thread touches nothing else.
        unsafe {
            libc::sigaddset(blocked.as_mut_ptr(), libc::SIGUSR1);
            libc::pthread_sigmask(libc::SIG_BLOCK, blocked.as_ptr(), ptr::null_mut());
        }
        let (pid, pidfd) = spawn(open("/bin/true").as_fd(), c"true").unwrap();
        // A zombie still tells what it was.
        let end = || WaitId::PidFd(pidfd.as_fd());
        waitid(end(), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
        let mask = |process: &str| {
            let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
            status.lines().find_map(|line| line.strip_prefix("SigBlk:")).map(|mask| mask.trim().to_string())
        };
        assert_eq!(mask("thread-self").as_deref(), Some("0000000000000200"));
        assert_eq!(mask(&pid.as_raw_nonzero().to_string()).as_deref(), Some("0000000000000000"));
        waitid(end(), WaitIdOptions::EXITED).unwrap();
    }
}
