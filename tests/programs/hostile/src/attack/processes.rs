//! Other processes, and what a process is.

use super::{OUTSIDE, Outcome, SOME, at, let_through, own, set_up, text};
use crate::call::call;

/// The attack of that name, if it is one of these.
pub fn run(name: &str) -> Option<Outcome> {
    let mut byte = 0u64;
    let mut local = [at(&mut byte), 1];
    let mut remote = local;
    Some(match name {
        "fork" => fork(57, [0; 6]),
        "vfork-by-clone" => fork(56, [17, 0, 0, 0, 0, 0]),
        "thread-by-clone" => thread(),
        "clone3" => {
            let mut arguments = [0u64; 8];
            arguments[4] = 17;
            fork(435, [at(&mut arguments), 64, 0, 0, 0, 0])
        }
        // PTRACE_TRACEME.
        "ptrace" => call(101, [0; 6]),
        "process_vm_readv" => {
            own().and_then(|pid| call(310, [pid, at(&mut local), 1, at(&mut remote), 1, 0]))
        }
        "process_vm_writev" => {
            own().and_then(|pid| call(311, [pid, at(&mut local), 1, at(&mut remote), 1, 0]))
        }
        // MADV_COLD of a page of its own.
        "process_madvise" => pidfd().and_then(|pidfd| {
            let mut range = [set_up(9, [0, 4096, 3, 0x22, usize::MAX, 0])?, 4096];
            call(440, [pidfd, at(&mut range), 1, 20, 0, 0])
        }),
        "pidfd_open" => own().and_then(|pid| call(434, [pid, 0, 0, 0, 0, 0])),
        "pidfd_getfd" => pidfd().and_then(|pidfd| call(438, [pidfd, 0, 0, 0, 0, 0])),
        "pidfd_send_signal" => pidfd().and_then(|pidfd| call(424, [pidfd, 0, 0, 0, 0, 0])),
        "kill" => own().and_then(|pid| call(62, [pid, 0, 0, 0, 0, 0])),
        // Everybody whom it may.
        "kill-all" if OUTSIDE => call(62, [own().unwrap_or(SOME), 0, 0, 0, 0, 0]),
        "kill-all" => call(62, [usize::MAX, 9, 0, 0, 0, 0]),
        "tkill" => own().and_then(|pid| call(200, [pid, 0, 0, 0, 0, 0])),
        "tgkill" => own().and_then(|pid| call(234, [pid, pid, 0, 0, 0, 0])),
        "rt_sigqueueinfo" => own().and_then(|pid| {
            let mut information = [0u32; 32];
            information[2] = u32::MAX;
            call(129, [pid, 0, at(&mut information), 0, 0, 0])
        }),
        // WNOHANG.
        "wait4" => call(61, [usize::MAX, 0, 1, 0, 0, 0]).or_else(let_through),
        "getpid" => call(39, [0; 6]),
        "getppid" => call(110, [0; 6]),
        "setsid" => call(112, [0; 6]).or_else(|error| if error == 1 { Ok(0) } else { Err(error) }),
        "sched_setaffinity" => call(203, [0, 8, at(&mut 1u64), 0, 0, 0]),
        "setpriority" => call(141, [0, 0, 10, 0, 0, 0]),
        "prlimit" => call(302, [0, 7, 0, at(&mut [0u64; 2]), 0, 0]),
        "setrlimit" => call(160, [4, at(&mut [0u64; 2]), 0, 0, 0, 0]),
        "setuid" => call(105, [set_up(102, [0; 6]).unwrap_or(0), 0, 0, 0, 0, 0]),
        "setgroups" => call(116, [0; 6]),
        "capset" => call(126, [at(&mut [0x2008_0522u32, 0]), at(&mut [0u32; 6]), 0, 0, 0, 0]),
        // PR_SET_PDEATHSIG to none, PR_SET_DUMPABLE, PR_GET_SECCOMP, PR_SET_NAME, PR_SET_MM (PR_SET_MM_MAP_SIZE), PR_SET_NO_NEW_PRIVS.
        "prctl-outlive" => call(157, [1, 0, 0, 0, 0, 0]),
        "prctl-dumpable" => call(157, [4, 1, 0, 0, 0, 0]),
        "prctl-seccomp" => call(157, [21, 0, 0, 0, 0, 0]),
        "prctl-name" => call(157, [15, text(c"kernlet"), 0, 0, 0, 0]),
        "prctl-set-mm" => call(157, [35, 14, at(&mut 0u32), 0, 0, 0]).or_else(let_through),
        "prctl-no-new-privileges" => call(157, [38, 1, 0, 0, 0, 0]),
        // ARCH_SET_GS.
        "arch_prctl" => call(158, [0x1001, 0, 0, 0, 0, 0]),
        "personality" => call(135, [0xffff_ffff, 0, 0, 0, 0, 0]),
        // SECCOMP_GET_ACTION_AVAIL of SECCOMP_RET_ALLOW.
        "seccomp" => call(317, [2, 0, at(&mut 0x7fff_0000u32), 0, 0, 0]),
        // CLONE_FS, CLONE_NEWUSER, CLONE_NEWNS.
        "unshare" => call(272, [0x200, 0, 0, 0, 0, 0]),
        "unshare-user" => call(272, [0x1000_0000, 0, 0, 0, 0, 0]),
        "unshare-mounts" => call(272, [0x2_0000, 0, 0, 0, 0, 0]),
        "setns" => set_up(2, [text(c"/proc/self/ns/uts"), 0, 0, 0, 0, 0])
            .and_then(|namespace| call(308, [namespace, 0, 0, 0, 0, 0])),
        _ => return None,
    })
}

fn pidfd() -> Outcome {
    own().and_then(|pid| set_up(434, [pid, 0, 0, 0, 0, 0]))
}

/// Makes a process and lets it end at once.
fn fork(number: usize, arguments: [usize; 6]) -> Outcome {
    let child = call(number, arguments)?;
    if child == 0 {
        let _ = call(231, [0; 6]);
    }
    Ok(child)
}

/// Tries to make a thread: CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_THREAD. Outside one that shares nothing
/// and ends at once will do, as a stack would be needed.
fn thread() -> Outcome {
    if OUTSIDE { fork(56, [17, 0, 0, 0, 0, 0]) } else { call(56, [0x1_0f00, 0, 0, 0, 0, 0]) }
}
