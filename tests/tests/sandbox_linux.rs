//! The sandbox, attacked by unmodified Linux programs in the process door: the hostile program of `sandbox.rs` as an ordinary
//! program, and one that attacks below Linux's calls, by the library OS's own instructions. What the library OS answers is the
//! program's own world; the host shows no effect, and the monitor and other instances go on.

use kernlet_tests::hostile::{BY_FAULT, BY_FILTER, control, outside, users};
use kernlet_tests::programs::{DOORS, compile, run, seal, source};
use kernlet_tests::{Finished, Running, User, eventually, finish, is_root};
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// Attacks on what an instance has none of: each is refused with an error.
const REFUSED: &str = "name_to_handle_at pivot_root mount umount fsopen fanotify_init ptrace \
    arch_prctl seccomp unshare-user unshare-mounts setns io_uring_setup memfd_secret bpf \
    perf_event_open userfaultfd keyctl add_key request_key modify_ldt iopl ioperm init_module kexec_load swapon reboot \
    sethostname settimeofday tiocsti fcntl-lease memory-bomb memory-bomb-stack connect-by-fastopen";

/// Attacks that a program may be told have worked, in a world of its own, or that are not there.
const CONTAINED: &str = "open openat openat2 creat stat statx access readlink getcwd chdir mkdir rename unlink link symlink \
    mknod-fifo chmod truncate setxattr execve execveat execveat-descriptor chroot inotify_init socket socket-netlink socketpair \
    connect bind listen accept sendto recvfrom sendmsg-descriptor getpeername getsockopt fork vfork-by-clone thread-by-clone \
    clone3 process_vm_readv process_vm_writev pidfd_open pidfd_send_signal pidfd_getfd process_madvise kill kill-all tkill tgkill rt_sigqueueinfo wait4 getpid getppid setsid \
    sched_setaffinity setpriority prlimit setrlimit setuid setgroups capset prctl-outlive prctl-dumpable prctl-seccomp \
    prctl-name prctl-set-mm prctl-no-new-privileges personality unshare memfd_create msgget shmget semget mq_open syslog adjtimex \
    mremap mremap-code mlock futex rseq membarrier dup dup2 pipe2 eventfd timerfd_create signalfd epoll_create \
    fcntl-duplicate fcntl-owner fcntl-signal fcntl-async fcntl-lock fcntl-pipe-size ioctl ioctl-interfaces flock fchmod \
    fchdir fallocate fsync sendfile mprotect-exec mprotect-exec-wide mmap-exec mmap-exec-file write-to-text huge-pages \
    address-bomb madvise clock handle-sigsys handle-sigterm handle-sigchld setsockopt-reuse setsockopt-fastopen \
    setsockopt-ip guessed-descriptors getpid-x32 open-x32";

fn control_image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| seal(control(), &[], "hostile-control-linux"))
}

fn below() -> &'static Path {
    static PROGRAM: OnceLock<std::path::PathBuf> = OnceLock::new();
    let options = ["-O1", "-static", "-w"];
    PROGRAM.get_or_init(|| compile("gcc", "gcc", &options, &source("by_hand/hostile.c"), "hostile-below"))
}

fn below_image() -> &'static str {
    static IMAGE: OnceLock<String> = OnceLock::new();
    IMAGE.get_or_init(|| seal(below(), &[], "hostile-below"))
}

/// Runs an image, in an empty folder of the user's where a file would show.
fn inside(user: &User, image: &str, arguments: &[&str]) -> Finished {
    let all = [&["run", "-m", "32M", image], arguments].concat();
    let folder = user.folder("untouched");
    let finished = finish(user.kernlet(all).current_dir(&folder));
    let left: Vec<_> =
        std::fs::read_dir(&folder).expect("it is there").flatten().map(|e| e.file_name()).collect();
    assert!(left.is_empty(), "{arguments:?} left {left:?} on the host");
    finished
}

#[test]
fn what_the_sandbox_refuses_is_refused_to_linux_programs_or_their_own() {
    let mut problems = Vec::new();
    for user in users() {
        for attack in REFUSED.split_whitespace() {
            let done = inside(&user, control_image(), &[attack]);
            let refused = done.status == 1 && done.out.contains("errno ") && !done.out.contains("reached");
            // The processor's memory may run out before the library OS says no.
            let ended = attack.starts_with("memory-bomb") && done.status == 137;
            if !refused && !ended {
                problems.push(format!("{attack}: {done:?}"));
            }
        }
        for attack in CONTAINED.split_whitespace() {
            let done = inside(&user, control_image(), &[attack]);
            if !matches!(done.status, 0 | 1) || done.err.contains("refused host call") {
                problems.push(format!("{attack}: {done:?}"));
            }
        }
        let done = inside(&user, control_image(), &["memory-bomb-shared"]);
        if done.status != 137 || done.out.contains("reached") {
            problems.push(format!("memory-bomb-shared: {done:?}"));
        }
        let done = inside(&user, control_image(), &["getpid-int80"]);
        if done.status != BY_FILTER || done.out.contains("reached") {
            problems.push(format!("getpid-int80: {done:?}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn files_and_sockets_of_the_host_are_out_of_reach() {
    for user in users() {
        let secret = user.folder("playground").join("secret");
        std::fs::write(&secret, "secret").expect("it is writable");
        user.give(&secret);
        let path = format!("path:{}", secret.display());
        assert!(outside(&user, &path).out.contains("reached"));
        let done = inside(&user, control_image(), &[&path]);
        assert!(done.status == 1 && done.out.contains("errno 002"), "{done:?}");

        let socket = UdpSocket::bind("127.0.0.1:0").expect("there are ports");
        socket.set_nonblocking(true).expect("sockets can be made not to block");
        let port = socket.local_addr().expect("it is bound").port();
        let attack = format!("send-to:{port}");
        assert!(outside(&user, &attack).out.contains("reached") && socket.recv(&mut [0; 64]).is_ok());
        inside(&user, control_image(), &[&attack]);
        assert!(socket.recv(&mut [0; 64]).is_err(), "a datagram came out");
    }
}

/// Calls that the library OS may not make: by whose instruction, which, and its number.
const UNLISTED: &[(&str, &str, u32)] = &[
    ("library", "getpid", 39),
    ("library", "creat", 85),
    ("library", "openat", 257),
    ("library", "fork", 57),
    ("library", "execve", 59),
    ("library", "ptrace", 101),
    ("library", "kill", 62),
    ("library", "process_vm_readv", 310),
    ("library", "socket", 41),
    ("library", "prctl", 157),
    ("library", "memfd", 319),
    ("library", "forged", 85),
    ("overwritten", "creat", 85),
    ("replaced", "creat", 85),
];

/// The others: how they end, and what they say.
const OTHERS: &[(&str, &str, i32, &str)] = &[
    // Traps, and is answered inside, where the host's folders are not.
    ("raw", "getpid", 0, "reached"),
    ("raw", "creat", 1, "errno 002"),
    ("vdso", "getpid", 0, "reached"),
    ("vdso", "creat", 1, "errno 002"),
    ("raw", "shared", 0, "reached"),
    // Listed, but not with these arguments.
    ("library", "timer", 1, "errno 001"),
    // Options of sockets: of no descriptor, which is told only for those that are listed. SO_KEEPALIVE, SO_LINGER, TCP_KEEPIDLE,
    // IP_TTL, TCP_INFO; SO_MARK, SO_BINDTODEVICE, SO_ATTACH_FILTER, SO_ATTACH_BPF, SO_RCVBUFFORCE, SO_REUSEPORT, TCP_MD5SIG,
    // TCP_REPAIR, TCP_FASTOPEN_CONNECT, TCP_ULP, TCP_CONGESTION, IP_HDRINCL, IP_TRANSPARENT, IPV6_ADDRFORM, SO_PEERCRED.
    ("library", "option:1:9", 1, "errno 009"),
    ("library", "option:1:13", 1, "errno 009"),
    ("library", "option:6:4", 1, "errno 009"),
    ("library", "option:0:2", 1, "errno 009"),
    ("library", "ask-option:6:11", 1, "errno 009"),
    ("library", "option:1:36", 1, "errno 001"),
    ("library", "option:1:25", 1, "errno 001"),
    ("library", "option:1:26", 1, "errno 001"),
    ("library", "option:1:50", 1, "errno 001"),
    ("library", "option:1:33", 1, "errno 001"),
    ("library", "option:1:15", 1, "errno 001"),
    ("library", "option:6:14", 1, "errno 001"),
    ("library", "option:6:19", 1, "errno 001"),
    ("library", "option:6:30", 1, "errno 001"),
    ("library", "option:6:31", 1, "errno 001"),
    ("library", "option:6:13", 1, "errno 001"),
    ("library", "option:0:3", 1, "errno 001"),
    ("library", "option:0:19", 1, "errno 001"),
    ("library", "option:41:1", 1, "errno 001"),
    ("library", "ask-option:1:17", 1, "errno 001"),
    ("library", "shared", 1, "errno 001"),
    ("overwritten", "shared", 1, "errno 001"),
    // The clocks that may be asked from anywhere, with an address of the kernel's.
    ("raw", "clock", 0, "reached"),
    ("raw", "clock-kernel", 1, "errno 014"),
    ("library", "clock-kernel", 1, "errno 014"),
    // The other interfaces.
    ("library", "creat-x32", BY_FILTER, ""),
    ("raw", "creat-x32", BY_FILTER, ""),
    ("library", "creat-32", BY_FILTER, ""),
    // A handler for trapped calls: the call is not made. Ignoring the signal does not help either.
    ("handler", "creat", 7, ""),
    ("ignored", "creat", BY_FILTER, ""),
    ("library", "unmap", BY_FAULT, ""),
];

#[test]
fn the_library_os_own_instructions_reach_no_more_than_the_list() {
    let mut problems = Vec::new();
    for user in users() {
        let bystander = user.detached([control_image(), "race:/nothing"]);
        let victim = Running::start(user.command("sleep").arg("600"));
        let pid = victim.0.id().to_string();
        let file = user.folder("playground").join("made");
        let path = file.to_str().expect("temporary paths are UTF-8");
        let argument =
            |call: &str| if matches!(call, "kill" | "ptrace" | "process_vm_readv") { &pid[..] } else { path };
        for &(way, call, number) in UNLISTED {
            let done = inside(&user, below_image(), &[way, call, argument(call)]);
            let named = done.err.contains(&format!("refused host call {number}\n"));
            if done.status != BY_FAULT || !named || done.out.contains("reached") || file.exists() {
                problems.push(format!("{way} {call}: {done:?}"));
            }
        }
        for &(way, call, status, says) in OTHERS {
            let done = inside(&user, below_image(), &[way, call, path]);
            if done.status != status || !done.out.contains(says) || file.exists() {
                problems.push(format!("{way} {call}: {done:?}"));
            }
        }
        if user.inspect(&bystander)["state"] != "running" {
            problems.push("another instance ended".into());
        }
        drop(victim);
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The control: without a library OS the same program reaches what it wants.
#[test]
fn outside_of_the_sandbox_the_same_instructions_have_their_effect() {
    let user = User::myself();
    let file = user.folder("playground").join("made");
    let path = file.to_str().expect("temporary paths are UTF-8");
    let alone = |call: &str, argument: &str| finish(Command::new(below()).args(["library", call, argument]));
    for call in ["creat", "openat", "creat-32", "forged"] {
        let done = alone(call, path);
        assert!(file.exists(), "{call}: {done:?}");
        std::fs::remove_file(&file).expect("it is ours");
    }
    for call in ["getpid", "fork", "socket", "prctl", "memfd", "timer", "shared", "clock"] {
        let done = alone(call, path);
        assert!(done.out.contains("reached"), "{call}: {done:?}");
    }
    assert_eq!(alone("execve", path).status, 0);
    let mut victim = Running::start(Command::new("sleep").arg("600"));
    let pid = victim.0.id().to_string();
    // Whether an ordinary user may is a setting of the host's.
    if is_root() {
        assert!(alone("ptrace", &pid).out.contains("reached"));
        // Nothing is at that address of the victim's; the call itself was let through.
        assert!(alone("process_vm_readv", &pid).out.contains("errno 014"));
    }
    assert!(alone("kill", &pid).out.contains("reached"));
    assert!(!victim.0.wait().expect("it ends").success());
}

#[test]
fn memory_that_the_library_os_does_not_see_ends_the_instance() {
    for user in users() {
        for what in ["pages", "tables", "files"] {
            let done = inside(&user, below_image(), &["library", "endless", what]);
            assert!(done.status == 137 && !done.out.contains("reached"), "{what}: {done:?}");
        }
    }
}

#[test]
fn granted_descriptors_spoil_nothing_but_the_instance() {
    for user in users() {
        let before = std::fs::read(below_image()).expect("it is sealed");
        let done = inside(&user, below_image(), &["library", "spoil"]);
        assert_eq!(done.status, 5, "{done:?}");
        assert!(before == std::fs::read(below_image()).expect("it is still there"), "the image changed");
        let again = inside(&user, below_image(), &["raw", "getpid"]);
        assert!(again.status == 0 && again.out.contains("reached"), "{again:?}");
    }
}

/// Linux's own calls do nothing to memory that is not the program's: the library OS's, and what no program has.
#[test]
fn nothing_is_mapped_over_the_library_os() {
    for door in DOORS {
        let done = run(door, &["-m", "32M"], below_image(), &["library", "fixed"]);
        assert_eq!(
            (done.status, &done.out[..]),
            (0, &*("00000\n".repeat(6) + "reached\n")),
            "{door}: {done:?}"
        );
    }
}

#[test]
fn instances_end_without_leaving_a_process_behind() {
    let user = User::ordinary();
    let name = user.detached(["-m", "32M", below_image(), "library", "endless", "tables"]);
    eventually("the instance ends", || user.inspect(&name)["state"] != "running");
    assert_eq!(user.ok(["wait", &name]), "137");
    assert!(user.inspect(&name)["pid"].is_null(), "{}", user.inspect(&name));
}
