//! The sandbox, attacked by whatever a Linux process could try: each attack succeeds outside, as the control, and reaches
//! nothing inside; for an ordinary user, and the same when root started it.

use kernlet_tests::hostile::{ABSENT, BY_FAULT, BY_FILTER, REFUSED, inside, outside, users};
use kernlet_tests::{User, image, is_root};

/// Who succeeds with an attack outside.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outside {
    Anyone,
    /// Root does; whether an ordinary user may depends on the kernel and its settings.
    Root,
}
use Outside::{Anyone, Root};

/// Attacks by calls that are not in the list, with their numbers. Inside each ends the instance, and the log says which.
#[rustfmt::skip]
const NOT_LISTED: &[(&str, u32, Outside)] = &[
    // By a path.
    ("open", 2, Anyone), ("openat", 257, Anyone), ("openat2", 437, Anyone), ("creat", 85, Anyone),
    ("stat", 4, Anyone), ("statx", 332, Anyone), ("access", 21, Anyone), ("readlink", 89, Anyone),
    ("getcwd", 79, Anyone), ("chdir", 80, Anyone), ("mkdir", 83, Anyone), ("rename", 82, Anyone),
    ("unlink", 87, Anyone), ("link", 86, Anyone), ("symlink", 88, Anyone), ("mknod-fifo", 133, Anyone),
    ("chmod", 90, Anyone), ("truncate", 76, Anyone), ("setxattr", 188, Anyone), ("name_to_handle_at", 303, Anyone),
    ("execve", 59, Anyone), ("execveat", 322, Anyone), ("execveat-descriptor", 322, Anyone),
    ("chroot", 161, Root), ("pivot_root", 155, Root), ("mount", 165, Root), ("umount", 166, Root), ("fsopen", 430, Root),
    ("inotify_init", 294, Anyone), ("fanotify_init", 300, Root),
    // Sockets.
    ("socket", 41, Anyone), ("socket-netlink", 41, Anyone), ("socketpair", 53, Anyone), ("connect", 42, Anyone),
    ("bind", 49, Anyone), ("listen", 50, Anyone), ("accept", 43, Anyone), ("sendto", 44, Anyone),
    ("recvfrom", 45, Anyone), ("sendmsg-descriptor", 46, Anyone), ("getpeername", 52, Anyone), ("getsockopt", 55, Anyone),
    // Processes.
    ("fork", 57, Anyone), ("vfork-by-clone", 56, Anyone), ("thread-by-clone", 56, Anyone), ("clone3", 435, Anyone),
    ("ptrace", 101, Anyone), ("process_vm_readv", 310, Anyone), ("process_vm_writev", 311, Anyone),
    ("process_madvise", 440, Root), ("pidfd_open", 434, Anyone), ("pidfd_getfd", 438, Anyone),
    ("pidfd_send_signal", 424, Anyone), ("kill", 62, Anyone), ("kill-all", 62, Anyone), ("tkill", 200, Anyone),
    ("tgkill", 234, Anyone), ("rt_sigqueueinfo", 129, Anyone), ("wait4", 61, Anyone), ("getpid", 39, Anyone),
    ("getppid", 110, Anyone), ("setsid", 112, Anyone), ("sched_setaffinity", 203, Anyone), ("setpriority", 141, Anyone),
    ("prlimit", 302, Anyone), ("setrlimit", 160, Anyone), ("setuid", 105, Anyone), ("setgroups", 116, Root),
    ("capset", 126, Anyone), ("prctl-outlive", 157, Anyone), ("prctl-dumpable", 157, Anyone),
    ("prctl-seccomp", 157, Anyone), ("prctl-name", 157, Anyone), ("prctl-set-mm", 157, Anyone),
    ("prctl-no-new-privileges", 157, Anyone), ("arch_prctl", 158, Anyone), ("personality", 135, Anyone),
    ("seccomp", 317, Anyone), ("unshare", 272, Anyone), ("unshare-user", 272, Root), ("unshare-mounts", 272, Root),
    ("setns", 308, Root),
    // Large parts of the kernel.
    ("io_uring_setup", 425, Root), ("memfd_create", 319, Anyone), ("memfd_secret", 447, Anyone), ("bpf", 321, Root),
    ("perf_event_open", 298, Root), ("userfaultfd", 323, Anyone), ("keyctl", 250, Anyone), ("add_key", 248, Anyone),
    ("request_key", 249, Anyone), ("msgget", 68, Anyone), ("shmget", 29, Anyone), ("semget", 64, Anyone),
    ("mq_open", 240, Anyone), ("modify_ldt", 154, Anyone), ("iopl", 172, Anyone), ("ioperm", 173, Root),
    ("syslog", 103, Root), ("init_module", 175, Root), ("kexec_load", 246, Root), ("swapon", 167, Root),
    ("reboot", 169, Root), ("sethostname", 170, Root), ("adjtimex", 159, Anyone), ("settimeofday", 164, Root),
    ("mremap", 25, Anyone), ("mremap-code", 25, Anyone), ("mlock", 149, Anyone), ("futex", 202, Anyone),
    ("rseq", 334, Anyone), ("membarrier", 324, Anyone),
    // Descriptors.
    ("dup", 32, Anyone), ("dup2", 33, Anyone), ("pipe2", 293, Anyone), ("eventfd", 290, Anyone),
    ("timerfd_create", 283, Anyone), ("signalfd", 289, Anyone), ("epoll_create", 291, Anyone),
    ("fcntl-duplicate", 72, Anyone), ("fcntl-owner", 72, Anyone), ("fcntl-signal", 72, Anyone),
    ("fcntl-async", 72, Anyone), ("fcntl-lease", 72, Anyone), ("fcntl-lock", 72, Anyone), ("fcntl-pipe-size", 72, Anyone),
    ("tiocsti", 16, Root), ("ioctl", 16, Anyone), ("ioctl-interfaces", 16, Anyone), ("flock", 73, Anyone),
    ("fchmod", 91, Anyone), ("fchdir", 81, Anyone), ("fallocate", 285, Anyone), ("fsync", 74, Anyone),
    ("sendfile", 40, Anyone),
];

/// Attacks by calls that are in the list, with the end inside and what they say there.
const LISTED: &[(&str, i32, &str)] = &[
    ("mprotect-exec", REFUSED, "errno 001"),
    ("mprotect-exec-wide", REFUSED, "errno 001"),
    ("mmap-exec", REFUSED, "errno 001"),
    ("mmap-exec-file", REFUSED, "errno 001"),
    ("write-to-text", BY_FAULT, ""),
    ("memory-bomb", REFUSED, "errno 012"),
    ("memory-bomb-shared", REFUSED, "errno 001"),
    ("memory-bomb-stack", REFUSED, "errno 001"),
    ("huge-pages", REFUSED, "errno 001"),
    ("address-bomb", REFUSED, "errno 012"),
    ("connect-by-fastopen", REFUSED, "errno 001"),
    ("madvise", REFUSED, "errno 001"),
    ("clock", REFUSED, "errno 001"),
    ("handle-sigsys", REFUSED, "errno 001"),
    ("handle-sigterm", REFUSED, "errno 001"),
    ("handle-sigchld", REFUSED, "errno 001"),
    ("setsockopt-reuse", REFUSED, "errno 001"),
    ("setsockopt-fastopen", REFUSED, "errno 001"),
    ("setsockopt-ip", REFUSED, "errno 001"),
    ("guessed-descriptors", REFUSED, "errno 009"),
    // The other interfaces for system calls, whose numbers mean something else: ended without a word.
    ("getpid-x32", BY_FILTER, ""),
    ("open-x32", BY_FILTER, ""),
    ("getpid-int80", BY_FILTER, ""),
];

/// What is wrong with how an attack went outside, if anything is.
fn control_fails(user: &User, attack: &str, who: Outside) -> Option<String> {
    if who == Root && !user.is_root() {
        return None;
    }
    let finished = outside(user, attack);
    if finished.out.contains(ABSENT) {
        println!("{attack}: this kernel does not have the call (ENOSYS outside)");
        return None;
    }
    // A program that the attack has replaced says nothing.
    let succeeded =
        finished.out.contains("reached") || (finished.status == 0 && attack.starts_with("execve"));
    (!succeeded).then(|| format!("outside {attack} must succeed: {finished:?}"))
}

#[test]
fn calls_that_are_not_listed_end_the_instance_and_are_named() {
    let mut problems = Vec::new();
    for user in users() {
        for &(attack, number, who) in NOT_LISTED {
            problems.extend(control_fails(&user, attack, who));
            let finished = inside(&user, &[], attack);
            let named = finished.err.contains(&format!("refused host call {number}\n"));
            if finished.status != BY_FILTER || finished.out.contains("reached") || !named {
                problems.push(format!("inside {attack}: {finished:?}"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn listed_calls_do_what_they_are_meant_for_and_no_more() {
    let mut problems = Vec::new();
    for user in users() {
        for &(attack, status, says) in LISTED {
            problems.extend(control_fails(&user, attack, Anyone));
            let finished = inside(&user, &[], attack);
            if finished.status != status || finished.out.contains("reached") || !finished.out.contains(says) {
                problems.push(format!("inside {attack}: {finished:?}"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_number_that_is_not_listed_is_refused() {
    // host/sandbox/src/table.rs.
    let listed = [
        0, 1, 3, 5, 7, 9, 10, 11, 13, 15, 17, 18, 20, 28, 47, 48, 51, 54, 77, 131, 217, 228, 231, 233, 288,
        299, 307, 441,
    ];
    // uretprobe(2) and uprobe(2), which the kernel shows to no filter: outside of its own probes they do nothing but fail.
    let never_seen = [335, 336];
    let user = User::ordinary();
    let mut problems = Vec::new();
    for number in (0..480).filter(|number| !listed.contains(number) && !never_seen.contains(number)) {
        let finished = inside(&user, &[], &format!("number:{number}"));
        if finished.status != BY_FILTER || !finished.err.contains(&format!("refused host call {number}\n")) {
            problems.push(format!("{number}: {finished:?}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn files_in_volumes_belong_to_whoever_started_the_instance() {
    use std::os::unix::fs::MetadataExt;
    let image = image("tests/programs/probe");
    for user in users() {
        let volume = user.folder("volume");
        let owner = std::fs::metadata(&volume).expect("it exists").uid();
        let mount = format!("{}:/v", volume.display());
        user.ok([
            "run",
            "-v",
            &mount,
            image.to_str().expect("temporary paths are UTF-8"),
            "write",
            "/v/new",
            "text",
        ]);
        let new = std::fs::metadata(volume.join("new")).expect("the instance made it");
        assert_eq!(new.uid(), owner);
        assert_eq!(std::fs::read_to_string(volume.join("new")).expect("it is readable"), "text");
    }
}

#[test]
fn an_instance_that_root_started_is_not_root() {
    if !is_root() {
        return;
    }
    let user = User::myself();
    let image = image("tests/programs/probe");
    let name = user.detached([image.to_str().expect("temporary paths are UTF-8"), "sleep", "600000"]);
    let pid = user.inspect(&name)["pid"].as_u64().expect("a running instance has a process");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line =
        |name: &str| status.lines().find(|l| l.starts_with(name)).map(str::to_owned).unwrap_or_default();
    assert!(!line("Uid:").split_whitespace().any(|w| w == "0"), "{}", line("Uid:"));
    assert!(!line("Gid:").split_whitespace().any(|w| w == "0"), "{}", line("Gid:"));
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert!(line(set).ends_with("0000000000000000"), "{}", line(set));
    }
    assert!(line("NoNewPrivs:").ends_with('1') && line("Seccomp:").ends_with('2'));
    assert_eq!(line("Groups:").trim(), "Groups:");
}
