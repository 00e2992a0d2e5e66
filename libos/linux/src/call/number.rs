//! The numbers of system calls (arch/x86/entry/syscalls/syscall_64.tbl), and which module each belongs to.

pub use kernlet_wire::calls::name;

/// A module of this crate that handles system calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// [`crate::memory`].
    Memory,
    /// [`crate::task`].
    Task,
    /// [`crate::signal`].
    Signal,
    /// [`crate::time`].
    Time,
    /// [`crate::wait`].
    Wait,
    /// [`crate::sockets`].
    Sockets,
    /// [`crate::files`].
    Files,
    /// [`crate::system`].
    System,
    /// [`crate::ipc`].
    Ipc,
}

macro_rules! calls {
    ($($name:ident = $number:literal, $subject:ident;)*) => {
        $(#[allow(missing_docs, reason = "each is the call of its name")] pub const $name: u64 = $number;)*

        /// The module that handles a call; `None` when there is no such number.
        pub const fn subject(number: u64) -> Option<Subject> {
            match number {
                $($number => Some(Subject::$subject),)*
                _ => None,
            }
        }
    };
}

calls! {
    READ = 0, Files;
    WRITE = 1, Files;
    OPEN = 2, Files;
    CLOSE = 3, Files;
    STAT = 4, Files;
    FSTAT = 5, Files;
    LSTAT = 6, Files;
    POLL = 7, Wait;
    LSEEK = 8, Files;
    MMAP = 9, Memory;
    MPROTECT = 10, Memory;
    MUNMAP = 11, Memory;
    BRK = 12, Memory;
    RT_SIGACTION = 13, Signal;
    RT_SIGPROCMASK = 14, Signal;
    RT_SIGRETURN = 15, Signal;
    IOCTL = 16, Files;
    PREAD64 = 17, Files;
    PWRITE64 = 18, Files;
    READV = 19, Files;
    WRITEV = 20, Files;
    ACCESS = 21, Files;
    PIPE = 22, Files;
    SELECT = 23, Wait;
    SCHED_YIELD = 24, Task;
    MREMAP = 25, Memory;
    MSYNC = 26, Memory;
    MINCORE = 27, Memory;
    MADVISE = 28, Memory;
    SHMGET = 29, Ipc;
    SHMAT = 30, Ipc;
    SHMCTL = 31, Ipc;
    DUP = 32, Files;
    DUP2 = 33, Files;
    PAUSE = 34, Signal;
    NANOSLEEP = 35, Time;
    GETITIMER = 36, Signal;
    ALARM = 37, Signal;
    SETITIMER = 38, Signal;
    GETPID = 39, Task;
    SENDFILE = 40, Files;
    SOCKET = 41, Sockets;
    CONNECT = 42, Sockets;
    ACCEPT = 43, Sockets;
    SENDTO = 44, Sockets;
    RECVFROM = 45, Sockets;
    SENDMSG = 46, Sockets;
    RECVMSG = 47, Sockets;
    SHUTDOWN = 48, Sockets;
    BIND = 49, Sockets;
    LISTEN = 50, Sockets;
    GETSOCKNAME = 51, Sockets;
    GETPEERNAME = 52, Sockets;
    SOCKETPAIR = 53, Sockets;
    SETSOCKOPT = 54, Sockets;
    GETSOCKOPT = 55, Sockets;
    CLONE = 56, Task;
    FORK = 57, Task;
    VFORK = 58, Task;
    EXECVE = 59, Task;
    EXIT = 60, Task;
    WAIT4 = 61, Task;
    KILL = 62, Signal;
    UNAME = 63, System;
    SEMGET = 64, Ipc;
    SEMOP = 65, Ipc;
    SEMCTL = 66, Ipc;
    SHMDT = 67, Ipc;
    MSGGET = 68, Ipc;
    MSGSND = 69, Ipc;
    MSGRCV = 70, Ipc;
    MSGCTL = 71, Ipc;
    FCNTL = 72, Files;
    FLOCK = 73, Files;
    FSYNC = 74, Files;
    FDATASYNC = 75, Files;
    TRUNCATE = 76, Files;
    FTRUNCATE = 77, Files;
    GETDENTS = 78, Files;
    GETCWD = 79, Files;
    CHDIR = 80, Files;
    FCHDIR = 81, Files;
    RENAME = 82, Files;
    MKDIR = 83, Files;
    RMDIR = 84, Files;
    CREAT = 85, Files;
    LINK = 86, Files;
    UNLINK = 87, Files;
    SYMLINK = 88, Files;
    READLINK = 89, Files;
    CHMOD = 90, Files;
    FCHMOD = 91, Files;
    CHOWN = 92, Files;
    FCHOWN = 93, Files;
    LCHOWN = 94, Files;
    UMASK = 95, Files;
    GETTIMEOFDAY = 96, Time;
    GETRLIMIT = 97, System;
    GETRUSAGE = 98, System;
    SYSINFO = 99, System;
    TIMES = 100, System;
    PTRACE = 101, Task;
    GETUID = 102, System;
    SYSLOG = 103, System;
    GETGID = 104, System;
    SETUID = 105, System;
    SETGID = 106, System;
    GETEUID = 107, System;
    GETEGID = 108, System;
    SETPGID = 109, Task;
    GETPPID = 110, Task;
    GETPGRP = 111, Task;
    SETSID = 112, Task;
    SETREUID = 113, System;
    SETREGID = 114, System;
    GETGROUPS = 115, System;
    SETGROUPS = 116, System;
    SETRESUID = 117, System;
    GETRESUID = 118, System;
    SETRESGID = 119, System;
    GETRESGID = 120, System;
    GETPGID = 121, Task;
    SETFSUID = 122, System;
    SETFSGID = 123, System;
    GETSID = 124, Task;
    CAPGET = 125, System;
    CAPSET = 126, System;
    RT_SIGPENDING = 127, Signal;
    RT_SIGTIMEDWAIT = 128, Signal;
    RT_SIGQUEUEINFO = 129, Signal;
    RT_SIGSUSPEND = 130, Signal;
    SIGALTSTACK = 131, Signal;
    UTIME = 132, Files;
    MKNOD = 133, Files;
    USELIB = 134, System;
    PERSONALITY = 135, Task;
    USTAT = 136, System;
    STATFS = 137, Files;
    FSTATFS = 138, Files;
    SYSFS = 139, System;
    GETPRIORITY = 140, System;
    SETPRIORITY = 141, System;
    SCHED_SETPARAM = 142, Task;
    SCHED_GETPARAM = 143, Task;
    SCHED_SETSCHEDULER = 144, Task;
    SCHED_GETSCHEDULER = 145, Task;
    SCHED_GET_PRIORITY_MAX = 146, Task;
    SCHED_GET_PRIORITY_MIN = 147, Task;
    SCHED_RR_GET_INTERVAL = 148, Task;
    MLOCK = 149, Memory;
    MUNLOCK = 150, Memory;
    MLOCKALL = 151, Memory;
    MUNLOCKALL = 152, Memory;
    VHANGUP = 153, System;
    MODIFY_LDT = 154, Task;
    PIVOT_ROOT = 155, System;
    _SYSCTL = 156, System;
    PRCTL = 157, Task;
    ARCH_PRCTL = 158, Task;
    ADJTIMEX = 159, Time;
    SETRLIMIT = 160, System;
    CHROOT = 161, System;
    SYNC = 162, Files;
    ACCT = 163, System;
    SETTIMEOFDAY = 164, Time;
    MOUNT = 165, System;
    UMOUNT2 = 166, System;
    SWAPON = 167, System;
    SWAPOFF = 168, System;
    REBOOT = 169, System;
    SETHOSTNAME = 170, System;
    SETDOMAINNAME = 171, System;
    IOPL = 172, System;
    IOPERM = 173, System;
    CREATE_MODULE = 174, System;
    INIT_MODULE = 175, System;
    DELETE_MODULE = 176, System;
    GET_KERNEL_SYMS = 177, System;
    QUERY_MODULE = 178, System;
    QUOTACTL = 179, System;
    NFSSERVCTL = 180, System;
    GETPMSG = 181, System;
    PUTPMSG = 182, System;
    AFS_SYSCALL = 183, System;
    TUXCALL = 184, System;
    SECURITY = 185, System;
    GETTID = 186, Task;
    READAHEAD = 187, Files;
    SETXATTR = 188, Files;
    LSETXATTR = 189, Files;
    FSETXATTR = 190, Files;
    GETXATTR = 191, Files;
    LGETXATTR = 192, Files;
    FGETXATTR = 193, Files;
    LISTXATTR = 194, Files;
    LLISTXATTR = 195, Files;
    FLISTXATTR = 196, Files;
    REMOVEXATTR = 197, Files;
    LREMOVEXATTR = 198, Files;
    FREMOVEXATTR = 199, Files;
    TKILL = 200, Signal;
    TIME = 201, Time;
    FUTEX = 202, Task;
    SCHED_SETAFFINITY = 203, Task;
    SCHED_GETAFFINITY = 204, Task;
    SET_THREAD_AREA = 205, Task;
    IO_SETUP = 206, Wait;
    IO_DESTROY = 207, Wait;
    IO_GETEVENTS = 208, Wait;
    IO_SUBMIT = 209, Wait;
    IO_CANCEL = 210, Wait;
    GET_THREAD_AREA = 211, Task;
    LOOKUP_DCOOKIE = 212, System;
    EPOLL_CREATE = 213, Wait;
    EPOLL_CTL_OLD = 214, System;
    EPOLL_WAIT_OLD = 215, System;
    REMAP_FILE_PAGES = 216, Memory;
    GETDENTS64 = 217, Files;
    SET_TID_ADDRESS = 218, Task;
    RESTART_SYSCALL = 219, Signal;
    SEMTIMEDOP = 220, Ipc;
    FADVISE64 = 221, Files;
    TIMER_CREATE = 222, Signal;
    TIMER_SETTIME = 223, Signal;
    TIMER_GETTIME = 224, Signal;
    TIMER_GETOVERRUN = 225, Signal;
    TIMER_DELETE = 226, Signal;
    CLOCK_SETTIME = 227, Time;
    CLOCK_GETTIME = 228, Time;
    CLOCK_GETRES = 229, Time;
    CLOCK_NANOSLEEP = 230, Time;
    EXIT_GROUP = 231, Task;
    EPOLL_WAIT = 232, Wait;
    EPOLL_CTL = 233, Wait;
    TGKILL = 234, Signal;
    UTIMES = 235, Files;
    VSERVER = 236, System;
    MBIND = 237, Memory;
    SET_MEMPOLICY = 238, Memory;
    GET_MEMPOLICY = 239, Memory;
    MQ_OPEN = 240, Files;
    MQ_UNLINK = 241, Files;
    MQ_TIMEDSEND = 242, Files;
    MQ_TIMEDRECEIVE = 243, Files;
    MQ_NOTIFY = 244, Files;
    MQ_GETSETATTR = 245, Files;
    KEXEC_LOAD = 246, System;
    WAITID = 247, Task;
    ADD_KEY = 248, System;
    REQUEST_KEY = 249, System;
    KEYCTL = 250, System;
    IOPRIO_SET = 251, System;
    IOPRIO_GET = 252, System;
    INOTIFY_INIT = 253, Files;
    INOTIFY_ADD_WATCH = 254, Files;
    INOTIFY_RM_WATCH = 255, Files;
    MIGRATE_PAGES = 256, Memory;
    OPENAT = 257, Files;
    MKDIRAT = 258, Files;
    MKNODAT = 259, Files;
    FCHOWNAT = 260, Files;
    FUTIMESAT = 261, Files;
    NEWFSTATAT = 262, Files;
    UNLINKAT = 263, Files;
    RENAMEAT = 264, Files;
    LINKAT = 265, Files;
    SYMLINKAT = 266, Files;
    READLINKAT = 267, Files;
    FCHMODAT = 268, Files;
    FACCESSAT = 269, Files;
    PSELECT6 = 270, Wait;
    PPOLL = 271, Wait;
    UNSHARE = 272, Task;
    SET_ROBUST_LIST = 273, Task;
    GET_ROBUST_LIST = 274, Task;
    SPLICE = 275, Files;
    TEE = 276, Files;
    SYNC_FILE_RANGE = 277, Files;
    VMSPLICE = 278, Files;
    MOVE_PAGES = 279, Memory;
    UTIMENSAT = 280, Files;
    EPOLL_PWAIT = 281, Wait;
    SIGNALFD = 282, Wait;
    TIMERFD_CREATE = 283, Wait;
    EVENTFD = 284, Wait;
    FALLOCATE = 285, Files;
    TIMERFD_SETTIME = 286, Wait;
    TIMERFD_GETTIME = 287, Wait;
    ACCEPT4 = 288, Sockets;
    SIGNALFD4 = 289, Wait;
    EVENTFD2 = 290, Wait;
    EPOLL_CREATE1 = 291, Wait;
    DUP3 = 292, Files;
    PIPE2 = 293, Files;
    INOTIFY_INIT1 = 294, Files;
    PREADV = 295, Files;
    PWRITEV = 296, Files;
    RT_TGSIGQUEUEINFO = 297, Signal;
    PERF_EVENT_OPEN = 298, System;
    RECVMMSG = 299, Sockets;
    FANOTIFY_INIT = 300, System;
    FANOTIFY_MARK = 301, System;
    PRLIMIT64 = 302, System;
    NAME_TO_HANDLE_AT = 303, Files;
    OPEN_BY_HANDLE_AT = 304, Files;
    CLOCK_ADJTIME = 305, Time;
    SYNCFS = 306, Files;
    SENDMMSG = 307, Sockets;
    SETNS = 308, Task;
    GETCPU = 309, Task;
    PROCESS_VM_READV = 310, Task;
    PROCESS_VM_WRITEV = 311, Task;
    KCMP = 312, Task;
    FINIT_MODULE = 313, System;
    SCHED_SETATTR = 314, Task;
    SCHED_GETATTR = 315, Task;
    RENAMEAT2 = 316, Files;
    SECCOMP = 317, System;
    GETRANDOM = 318, System;
    MEMFD_CREATE = 319, Memory;
    KEXEC_FILE_LOAD = 320, System;
    BPF = 321, System;
    EXECVEAT = 322, Task;
    USERFAULTFD = 323, System;
    MEMBARRIER = 324, Memory;
    MLOCK2 = 325, Memory;
    COPY_FILE_RANGE = 326, Files;
    PREADV2 = 327, Files;
    PWRITEV2 = 328, Files;
    PKEY_MPROTECT = 329, Memory;
    PKEY_ALLOC = 330, Memory;
    PKEY_FREE = 331, Memory;
    STATX = 332, Files;
    IO_PGETEVENTS = 333, Wait;
    RSEQ = 334, Task;
    PIDFD_SEND_SIGNAL = 424, Task;
    IO_URING_SETUP = 425, Wait;
    IO_URING_ENTER = 426, Wait;
    IO_URING_REGISTER = 427, Wait;
    OPEN_TREE = 428, System;
    MOVE_MOUNT = 429, System;
    FSOPEN = 430, System;
    FSCONFIG = 431, System;
    FSMOUNT = 432, System;
    FSPICK = 433, System;
    PIDFD_OPEN = 434, Task;
    CLONE3 = 435, Task;
    CLOSE_RANGE = 436, Files;
    OPENAT2 = 437, Files;
    PIDFD_GETFD = 438, Task;
    FACCESSAT2 = 439, Files;
    PROCESS_MADVISE = 440, Task;
    EPOLL_PWAIT2 = 441, Wait;
    MOUNT_SETATTR = 442, System;
    QUOTACTL_FD = 443, System;
    LANDLOCK_CREATE_RULESET = 444, System;
    LANDLOCK_ADD_RULE = 445, System;
    LANDLOCK_RESTRICT_SELF = 446, System;
    MEMFD_SECRET = 447, System;
    PROCESS_MRELEASE = 448, Task;
    FUTEX_WAITV = 449, Task;
    SET_MEMPOLICY_HOME_NODE = 450, System;
    CACHESTAT = 451, System;
    FCHMODAT2 = 452, Files;
    MAP_SHADOW_STACK = 453, System;
    FUTEX_WAKE = 454, Task;
    FUTEX_WAIT = 455, Task;
    FUTEX_REQUEUE = 456, Task;
    STATMOUNT = 457, System;
    LISTMOUNT = 458, System;
    LSM_GET_SELF_ATTR = 459, System;
    LSM_SET_SELF_ATTR = 460, System;
    LSM_LIST_MODULES = 461, System;
    MSEAL = 462, System;
}
