//! Whatever takes a path.

use super::{AT_CWD, Outcome, at, file, let_through, set_up, text};
use crate::call::call;

/// The attack of that name, if it is one of these.
pub fn run(name: &str) -> Option<Outcome> {
    Some(match name {
        "open" => call(2, [text(c"/etc/passwd"), 0, 0, 0, 0, 0]),
        "openat" => call(257, [AT_CWD, text(c"/etc/passwd"), 0, 0, 0, 0]),
        "openat2" => {
            let mut how = [0u64; 3];
            call(437, [AT_CWD, text(c"/etc/passwd"), at(&mut how), 24, 0, 0])
        }
        "creat" => call(85, [text(c"victim"), 0o600, 0, 0, 0, 0]),
        "stat" => call(4, [text(c"/etc/passwd"), at(&mut [0u64; 18]), 0, 0, 0, 0]),
        "statx" => call(332, [AT_CWD, text(c"/etc/passwd"), 0, 0xfff, at(&mut [0u64; 32]), 0]),
        "access" => call(21, [text(c"/etc/passwd"), 4, 0, 0, 0, 0]),
        "readlink" => call(89, [text(c"/proc/self/exe"), at(&mut [0u8; 64]), 64, 0, 0, 0]),
        "getcwd" => call(79, [at(&mut [0u8; 4096]), 4096, 0, 0, 0, 0]),
        "chdir" => call(80, [text(c"/"), 0, 0, 0, 0, 0]),
        "mkdir" => set_up(84, [text(c"folder"), 0, 0, 0, 0, 0])
            .or(Ok(0))
            .and_then(|_| call(83, [text(c"folder"), 0o700, 0, 0, 0, 0])),
        "rename" => file().and_then(|_| call(82, [text(c"victim"), text(c"moved"), 0, 0, 0, 0])),
        "unlink" => file().and_then(|_| call(87, [text(c"victim"), 0, 0, 0, 0, 0])),
        "link" => {
            let _ = set_up(87, [text(c"linked"), 0, 0, 0, 0, 0]);
            file().and_then(|_| call(86, [text(c"victim"), text(c"linked"), 0, 0, 0, 0]))
        }
        "symlink" => {
            let _ = set_up(87, [text(c"soft"), 0, 0, 0, 0, 0]);
            call(88, [text(c"/etc/passwd"), text(c"soft"), 0, 0, 0, 0])
        }
        "mknod-fifo" => {
            let _ = set_up(87, [text(c"fifo"), 0, 0, 0, 0, 0]);
            call(133, [text(c"fifo"), 0o010600, 0, 0, 0, 0])
        }
        "chmod" => file().and_then(|_| call(90, [text(c"victim"), 0o4755, 0, 0, 0, 0])),
        "truncate" => file().and_then(|_| call(76, [text(c"victim"), 0, 0, 0, 0, 0])),
        "setxattr" => file().and_then(|_| {
            let arguments = [text(c"victim"), text(c"user.x"), text(c"y"), 1, 0, 0];
            call(188, arguments).or_else(let_through)
        }),
        "name_to_handle_at" => {
            let mut handle = [0u8; 136];
            handle[0] = 128;
            call(303, [AT_CWD, text(c"/etc"), at(&mut handle), at(&mut 0u64), 0, 0])
        }
        "execve" => {
            let mut arguments = [text(c"/bin/true"), 0];
            call(59, [text(c"/bin/true"), at(&mut arguments), 0, 0, 0, 0])
        }
        "execveat" => {
            let mut arguments = [text(c"/bin/true"), 0];
            call(322, [AT_CWD, text(c"/bin/true"), at(&mut arguments), 0, 0, 0])
        }
        "execveat-descriptor" => {
            let mut arguments = [text(c"true"), 0];
            // AT_EMPTY_PATH.
            set_up(2, [text(c"/bin/true"), 0, 0, 0, 0, 0])
                .and_then(|d| call(322, [d, text(c""), at(&mut arguments), 0, 0x1000, 0]))
        }
        "chroot" => call(161, [text(c"."), 0, 0, 0, 0, 0]),
        // No mount point is given: that is an error, but not of permission.
        "pivot_root" => call(155, [text(c"/"), text(c"/"), 0, 0, 0, 0]).or_else(let_through),
        "mount" => {
            private_mounts().and_then(|_| call(165, [text(c"none"), text(c"/mnt"), text(c"tmpfs"), 0, 0, 0]))
        }
        "umount" => private_mounts()
            .and_then(|_| set_up(165, [text(c"none"), text(c"/mnt"), text(c"tmpfs"), 0, 0, 0]))
            .and_then(|_| call(166, [text(c"/mnt"), 0, 0, 0, 0, 0])),
        "fsopen" => call(430, [text(c"tmpfs"), 0, 0, 0, 0, 0]),
        "inotify_init" => call(294, [0; 6]),
        "fanotify_init" => call(300, [0; 6]),
        _ => return None,
    })
}

/// What is mounted from here on is nobody else's: CLONE_NEWNS, and all mounts private.
fn private_mounts() -> Outcome {
    set_up(272, [0x2_0000, 0, 0, 0, 0, 0])?;
    set_up(165, [text(c"none"), text(c"/"), 0, 0x4_4000, 0, 0])
}
