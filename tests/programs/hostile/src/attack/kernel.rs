//! Large parts of the kernel that a program seldom needs, and that often had holes.

use super::{Outcome, at, let_through, set_up, text};
use crate::call::{call, call32};

/// The attack of that name, if it is one of these.
pub fn run(name: &str) -> Option<Outcome> {
    Some(match name {
        "io_uring_setup" => call(425, [4, at(&mut [0u64; 15]), 0, 0, 0, 0]),
        "memfd_create" => call(319, [text(c"x"), 0, 0, 0, 0, 0]),
        "memfd_secret" => call(447, [0; 6]),
        // BPF_MAP_CREATE: an array of one value.
        "bpf" => {
            let mut attributes = [0u32; 18];
            attributes[..4].copy_from_slice(&[2, 4, 4, 1]);
            call(321, [0, at(&mut attributes), 72, 0, 0, 0])
        }
        // PERF_TYPE_SOFTWARE, of this process on any CPU, without the kernel.
        "perf_event_open" => {
            let mut attributes = [0u32; 32];
            (attributes[0], attributes[1], attributes[10]) = (1, 112, 1 << 5);
            call(298, [at(&mut attributes), 0, usize::MAX, usize::MAX, 0, 0])
        }
        // UFFD_USER_MODE_ONLY.
        "userfaultfd" => call(323, [1, 0, 0, 0, 0, 0]),
        // KEYCTL_GET_KEYRING_ID of the process's own keyring, which is made.
        "keyctl" => call(250, [0, -2isize as usize, 1, 0, 0, 0]),
        "add_key" => call(248, [text(c"user"), text(c"kernlet"), text(c"x"), 1, -2isize as usize, 0]),
        "request_key" => {
            call(249, [text(c"user"), text(c"kernlet-none"), 0, -2isize as usize, 0, 0]).or_else(let_through)
        }
        "msgget" => removed(call(68, [0, 0o1600, 0, 0, 0, 0]), 71),
        "shmget" => removed(call(29, [0, 4096, 0o1600, 0, 0, 0]), 31),
        "semget" => removed_set(call(64, [0, 1, 0o1600, 0, 0, 0])),
        "mq_open" => {
            let opened = call(240, [text(c"kernlet-hostile"), 0o102, 0o600, 0, 0, 0]);
            let _ = set_up(241, [text(c"kernlet-hostile"), 0, 0, 0, 0, 0]);
            opened
        }
        "modify_ldt" => call(154, [0, at(&mut [0u8; 16]), 16, 0, 0, 0]),
        "iopl" => call(172, [0; 6]),
        "ioperm" => call(173, [0x80, 1, 1, 0, 0, 0]),
        // SYSLOG_ACTION_SIZE_BUFFER.
        "syslog" => call(103, [10, 0, 0, 0, 0, 0]),
        "init_module" => call(175, [0, 0, text(c""), 0, 0, 0]).or_else(let_through),
        "kexec_load" => call(246, [0, 0, 0, 0xffff_0000, 0, 0]).or_else(let_through),
        "swapon" => call(167, [text(c"/nowhere"), 0, 0, 0, 0, 0]).or_else(let_through),
        "reboot" => call(169, [0; 6]).or_else(let_through),
        // CLONE_NEWUTS first.
        "sethostname" => set_up(272, [0x400_0000, 0, 0, 0, 0, 0])
            .and_then(|_| call(170, [text(c"hostile"), 7, 0, 0, 0, 0])),
        "adjtimex" => call(159, [at(&mut [0u64; 32]), 0, 0, 0, 0, 0]),
        "settimeofday" => call(164, [0; 6]),
        "mremap" => set_up(9, [0, 4096, 3, 0x22, usize::MAX, 0])
            .and_then(|page| call(25, [page, 4096, 8192, 1, 0, 0])),
        // Moves the code of this program itself to where the attacker wants it.
        "mremap-code" => {
            let code = run as *const () as usize & !4095;
            call(25, [code, 0, 4096, 1, 0, 0]).or_else(let_through)
        }
        "mlock" => {
            set_up(9, [0, 4096, 3, 0x22, usize::MAX, 0]).and_then(|page| call(149, [page, 4096, 0, 0, 0, 0]))
        }
        "futex" => call(202, [at(&mut 0u32), 1, 1, 0, 0, 0]),
        "rseq" => call(334, [0, 0, 0, 0, 0, 0]).or_else(let_through),
        "membarrier" => call(324, [0; 6]),
        "getpid-x32" => call(0x4000_0027, [0; 6]).or_else(absent),
        "open-x32" => call(0x4000_0002, [text(c"/etc/passwd"), 0, 0, 0, 0, 0]).or_else(absent),
        "getpid-int80" => call32(20, 0),
        _ => return None,
    })
}

/// A kernel without the x32 interface answers ENOSYS: it ran the call, and has none.
fn absent(error: i32) -> Outcome {
    if error == 38 { Ok(0) } else { Err(error) }
}

/// Leaves no object of System V behind: IPC_RMID.
fn removed(made: Outcome, control: usize) -> Outcome {
    set_up(control, [made?, 0, 0, 0, 0, 0])
}

fn removed_set(made: Outcome) -> Outcome {
    set_up(66, [made?, 0, 0, 0, 0, 0])
}
