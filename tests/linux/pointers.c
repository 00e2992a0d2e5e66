/* Every system call that takes a pointer, with pointers that are none: what each answers is printed, and must be as on Linux.
   With an argument all numbers are called with nothing but bad arguments, which must only not end the program. */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define P 0x7070707070L /* The pointer under test. */
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static char *page, *none, *readonly; /* A page that others follow which cannot be touched; one of those; one to read only. */
static char buffer[65536] __attribute__((aligned(4096)));
static int zero, file, directory, pipes[2], epoll, datagram, stream, unixes[2], timer, notify, tube;

/* The library OS's block, where there is one. On Linux GS is 0, and an address where nothing is takes its place. */
static unsigned long block(void) {
    unsigned long gs;
    __asm__ volatile("rdgsbase %0" : "=r"(gs));
    return gs ? gs & ~0xfffUL : 0x680000000000;
}

static unsigned long entry(void) {
    unsigned long gs, value = 0x680000100000;
    __asm__ volatile("rdgsbase %0" : "=r"(gs));
    if (gs) __asm__ volatile("mov %%gs:0, %0" : "=r"(value));
    return value & ~0xfffUL;
}

static long call(long n, const long *a) {
    register long d __asm__("r10") = a[3], e __asm__("r8") = a[4], f __asm__("r9") = a[5];
    long r = n;
    __asm__ volatile("syscall" : "+a"(r) : "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(d), "r"(e), "r"(f) : "rcx", "r11", "memory");
    return r;
}

static long path, other, data, length, now, past, vector, word;

struct test {
    const char *name;
    long number, arguments[6];
    int writes; /* 1: the kernel writes there, read-only memory will not do; 2: a time, and no pointer means for ever. */
};

static void all(void) {
    const struct test tests[] = {
        {"read", SYS_read, {zero, P, 64}, 1}, {"write", SYS_write, {file, P, 64}},
        {"pread64", SYS_pread64, {file, P, 64, 0}, 1}, {"pwrite64", SYS_pwrite64, {file, P, 64, 0}},
        {"readv", SYS_readv, {zero, P, 1}}, {"writev", SYS_writev, {file, P, 1}},
        {"preadv", SYS_preadv, {zero, P, 1, 0, 0}}, {"pwritev", SYS_pwritev, {file, P, 1, 0, 0}},
        {"open", SYS_open, {P, 0}}, {"openat", SYS_openat, {AT_FDCWD, P, 0}}, {"creat", SYS_creat, {P, 0600}},
        {"stat path", SYS_stat, {P, data}}, {"stat", SYS_stat, {path, P}, 1}, {"fstat", SYS_fstat, {zero, P}, 1},
        {"lstat path", SYS_lstat, {P, data}}, {"lstat", SYS_lstat, {path, P}, 1},
        {"newfstatat path", SYS_newfstatat, {AT_FDCWD, P, data, 0}}, {"newfstatat", SYS_newfstatat, {AT_FDCWD, path, P, 0}, 1},
        {"statx path", SYS_statx, {AT_FDCWD, P, 0, 0xfff, data}}, {"statx", SYS_statx, {AT_FDCWD, path, 0, 0xfff, P}, 1},
        {"access", SYS_access, {P, 0}}, {"faccessat", SYS_faccessat, {AT_FDCWD, P, 0}},
        {"poll", SYS_poll, {P, 1, 0}, 1}, {"ppoll", SYS_ppoll, {P, 1, now, 0, 8}, 1}, {"ppoll time", SYS_ppoll, {data, 0, P, 0, 8}, 2},
        {"ppoll mask", SYS_ppoll, {data, 0, now, P, 8}}, {"select", SYS_select, {8, P, 0, 0, now}, 1},
        {"select time", SYS_select, {0, 0, 0, 0, P}, 2}, {"pselect6", SYS_pselect6, {8, P, 0, 0, now, 0}, 1},
        {"pselect6 time", SYS_pselect6, {0, 0, 0, 0, P, 0}, 2}, {"pselect6 mask", SYS_pselect6, {0, 0, 0, 0, now, P}},
        {"epoll_ctl", SYS_epoll_ctl, {epoll, EPOLL_CTL_MOD, pipes[1], P}}, {"epoll_wait", SYS_epoll_wait, {epoll, P, 4, 0}, 1},
        {"epoll_pwait mask", SYS_epoll_pwait, {epoll, data, 4, 0, P, 8}},
        {"epoll_pwait2 time", SYS_epoll_pwait2, {epoll, data, 4, P, 0, 8}, 2},
        {"pipe", SYS_pipe, {P}, 1}, {"pipe2", SYS_pipe2, {P, 0}, 1}, {"socketpair", SYS_socketpair, {1, 1, 0, P}, 1},
        {"rt_sigaction", SYS_rt_sigaction, {SIGUSR1, P, 0, 8}}, {"rt_sigaction old", SYS_rt_sigaction, {SIGUSR1, 0, P, 8}, 1},
        {"rt_sigprocmask", SYS_rt_sigprocmask, {SIG_BLOCK, P, 0, 8}}, {"rt_sigprocmask old", SYS_rt_sigprocmask, {0, 0, P, 8}, 1},
        {"rt_sigpending", SYS_rt_sigpending, {P, 8}, 1}, {"rt_sigtimedwait", SYS_rt_sigtimedwait, {P, 0, now, 8}},
        {"rt_sigqueueinfo", SYS_rt_sigqueueinfo, {getpid(), 0, P}}, {"sigaltstack", SYS_sigaltstack, {P, 0}},
        {"rt_tgsigqueueinfo", SYS_rt_tgsigqueueinfo, {getpid(), getpid(), 0, P}},
        {"sigaltstack old", SYS_sigaltstack, {0, P}, 1}, {"rt_sigsuspend size", SYS_rt_sigsuspend, {P, 4}},
        {"FIONREAD", SYS_ioctl, {pipes[0], 0x541b, P}, 1}, {"FIONBIO", SYS_ioctl, {pipes[0], 0x5421, P}},
        {"mincore", SYS_mincore, {(long)buffer, 4096, P}, 1}, {"nanosleep", SYS_nanosleep, {P, 0}},
        {"clock_nanosleep", SYS_clock_nanosleep, {1, 0, P, 0}}, {"getitimer", SYS_getitimer, {0, P}, 1},
        {"setitimer old", SYS_setitimer, {0, past, P}, 1}, {"gettimeofday", SYS_gettimeofday, {P, 0}, 1},
        {"clock_gettime", SYS_clock_gettime, {1, P}, 1}, {"clock_gettime cpu", SYS_clock_gettime, {2, P}, 1},
        {"clock_getres", SYS_clock_getres, {1, P}, 1}, {"time", SYS_time, {P}, 1}, {"times", SYS_times, {P}, 1},
        {"timer_create", SYS_timer_create, {1, 0, P}, 1},
        {"timerfd_settime", SYS_timerfd_settime, {timer, 0, P, 0}}, {"timerfd_settime old", SYS_timerfd_settime, {timer, 0, past, P}, 1},
        {"timerfd_gettime", SYS_timerfd_gettime, {timer, P}, 1},
        {"sendfile", SYS_sendfile, {file, file, P, 0}, 1}, {"splice", SYS_splice, {file, P, pipes[1], 0, 1, 0}, 1},
        {"connect", SYS_connect, {datagram, P, 16}}, {"bind", SYS_bind, {stream, P, 16}},
        {"sendto", SYS_sendto, {unixes[0], P, 64, MSG_DONTWAIT, 0, 0}}, {"sendto address", SYS_sendto, {datagram, data, 1, 0, P, 16}},
        {"recvfrom", SYS_recvfrom, {unixes[1], P, 64, MSG_DONTWAIT | MSG_PEEK, 0, 0}, 1},
        {"getsockname", SYS_getsockname, {datagram, P, length}, 1}, {"getsockname length", SYS_getsockname, {datagram, data, P}, 1},
        {"setsockopt", SYS_setsockopt, {stream, 1, 2, P, 4}}, {"getsockopt", SYS_getsockopt, {stream, 1, 2, P, length}, 1},
        {"getsockopt length", SYS_getsockopt, {stream, 1, 2, data, P}, 1}, {"sendmsg", SYS_sendmsg, {unixes[0], P, MSG_DONTWAIT}},
        {"recvmsg", SYS_recvmsg, {unixes[1], P, MSG_DONTWAIT | MSG_PEEK}}, {"sendmmsg", SYS_sendmmsg, {unixes[0], P, 1, MSG_DONTWAIT}},
        {"recvmmsg", SYS_recvmmsg, {unixes[1], P, 1, MSG_DONTWAIT | MSG_PEEK, 0}},
        {"uname", SYS_uname, {P}, 1}, {"sysinfo", SYS_sysinfo, {P}, 1}, {"getrusage", SYS_getrusage, {0, P}, 1},
        {"getrlimit", SYS_getrlimit, {7, P}, 1}, {"setrlimit", SYS_setrlimit, {7, P}},
        {"prlimit64", SYS_prlimit64, {0, 7, P, 0}}, {"prlimit64 old", SYS_prlimit64, {0, 7, 0, P}, 1},
        {"getresuid", SYS_getresuid, {P, data, data}, 1}, {"getresgid", SYS_getresgid, {data, data, P}, 1},
        {"capget", SYS_capget, {P, 0}, 1}, {"getcpu", SYS_getcpu, {P, 0}, 1}, {"getrandom", SYS_getrandom, {P, 64, 0}, 1},
        {"truncate", SYS_truncate, {P, 0}}, {"getdents64", SYS_getdents64, {directory, P, 1024}, 1}, {"getcwd", SYS_getcwd, {P, 4096}, 1},
        {"chdir", SYS_chdir, {P}}, {"rename", SYS_rename, {P, other}}, {"rename to", SYS_rename, {other, P}},
        {"renameat2", SYS_renameat2, {AT_FDCWD, P, AT_FDCWD, other, 0}}, {"mkdir", SYS_mkdir, {P, 0700}}, {"rmdir", SYS_rmdir, {P}},
        {"link", SYS_link, {P, other}}, {"linkat", SYS_linkat, {AT_FDCWD, P, AT_FDCWD, other, 0}}, {"unlink", SYS_unlink, {P}},
        {"unlinkat", SYS_unlinkat, {AT_FDCWD, P, 0}}, {"symlink", SYS_symlink, {P, other}},
        {"symlinkat", SYS_symlinkat, {P, AT_FDCWD, other}}, {"readlink", SYS_readlink, {P, data, 64}},
        {"readlink to", SYS_readlink, {(long)"/proc/self/exe", P, 64}, 1}, {"readlinkat", SYS_readlinkat, {AT_FDCWD, P, data, 64}},
        {"chmod", SYS_chmod, {P, 0600}}, {"fchmodat", SYS_fchmodat, {AT_FDCWD, P, 0600}}, {"chown", SYS_chown, {P, 0, 0}},
        {"lchown", SYS_lchown, {P, 0, 0}}, {"fchownat", SYS_fchownat, {AT_FDCWD, P, 0, 0, 0}}, {"mknod", SYS_mknod, {P, 0100600, 0}},
        {"mknodat", SYS_mknodat, {AT_FDCWD, P, 0100600, 0}}, {"mkdirat", SYS_mkdirat, {AT_FDCWD, P, 0700}},
        {"statfs path", SYS_statfs, {P, data}}, {"statfs", SYS_statfs, {path, P}, 1}, {"fstatfs", SYS_fstatfs, {zero, P}, 1},
        {"utimensat path", SYS_utimensat, {AT_FDCWD, P, past, 0}}, {"utimensat", SYS_utimensat, {AT_FDCWD, other, P, 0}},
        {"utime path", SYS_utime, {P, past}}, {"utimes path", SYS_utimes, {P, past}},
        {"getxattr path", SYS_getxattr, {P, (long)"user.x", data, 64}}, {"getxattr name", SYS_getxattr, {path, P, data, 64}},
        {"setxattr path", SYS_setxattr, {P, (long)"user.x", data, 1, 0}}, {"listxattr path", SYS_listxattr, {P, data, 64}},
        {"inotify_add_watch", SYS_inotify_add_watch, {notify, P, 0xfff}}, {"signalfd4", SYS_signalfd4, {-1, P, 8, 0}},
        {"futex wait", SYS_futex, {P, 128, 77, now}}, {"futex wait time", SYS_futex, {word, 128, 0, P}, 2},
        {"futex wake", SYS_futex, {P, 129, 1}}, {"futex requeue", SYS_futex, {word, 131, 1, 1, P}},
        {"futex compare", SYS_futex, {P, 132, 1, 1, word, 77}}, {"futex lock", SYS_futex, {P, 136, 0, 0}},
        {"set_robust_list size", SYS_set_robust_list, {P, 7}}, {"get_robust_list", SYS_get_robust_list, {0, P, length}, 1},
        {"prctl name", SYS_prctl, {15, P}}, {"prctl name out", SYS_prctl, {16, P}, 1}, {"ARCH_GET_FS", SYS_arch_prctl, {ARCH_GET_FS, P}, 1},
        {"sched_getparam", SYS_sched_getparam, {0, P}, 1}, {"sched_setparam", SYS_sched_setparam, {0, P}},
        {"sched_setscheduler", SYS_sched_setscheduler, {0, 0, P}}, {"sched_getaffinity", SYS_sched_getaffinity, {0, 128, P}, 1},
        {"sched_setaffinity", SYS_sched_setaffinity, {0, 128, P}}, {"sched_getattr", SYS_sched_getattr, {0, P, 48, 0}, 1},
        {"copy_file_range", SYS_copy_file_range, {file, P, file, 0, 0, 0}}, {"openat2", SYS_openat2, {AT_FDCWD, path, P, 24}},
        {"accept4", SYS_accept4, {tube, P, length, 0}, 1}, {"wait4", SYS_wait4, {-1, P, 1, 0}, 1},
        {"process_vm_readv", SYS_process_vm_readv, {getpid(), P, 1, vector, 1, 0}},
        {"process_vm_writev", SYS_process_vm_writev, {getpid(), vector, 1, P, 1, 0}},
        {"mremap", SYS_mremap, {P, 4096, 8192, 1}}, {"msync", SYS_msync, {P & ~4095, 4096, 4}},
    };
    struct {
        const char *name;
        unsigned long at;
        int kind; /* 1: can be read; 2: begins well. */
    } pointers[] = {
        {"null", 0}, {"one", 1}, {"below", 0xfff8}, {"none", (unsigned long)none}, {"readonly", (unsigned long)readonly, 1},
        {"end", (unsigned long)none - 2, 2}, {"top", 0x7ffffffff000}, {"noncanonical", 1UL << 63}, {"kernel", 0xffff800000000000},
        {"kernel text", 0xffffffff81000000}, {"last", -1UL}, {"wraps", -8UL}, {"block", block()}, {"entry", entry()},
    };
    for (unsigned t = 0; t < COUNT(tests); t++) {
        for (unsigned p = 0; p < COUNT(pointers); p++) {
            const struct test *test = &tests[t];
            if (pointers[p].kind == 1 && test->writes != 1) continue;
            if (!pointers[p].at && test->writes == 2) continue;
            long a[6];
            for (int i = 0; i < 6; i++) a[i] = test->arguments[i] == P ? (long)pointers[p].at : test->arguments[i];
            memset(page, 'x', 4096);
            long r = call(test->number, a);
            if (pointers[p].kind == 2 && (r == -EFAULT || (r > 0 && r < 64))) {
                /* Some calls tell of the part that was good, others do not. */
                printf("%s %s: not all\n", test->name, pointers[p].name);
            } else if (r >= 0) {
                printf("%s %s: %s\n", test->name, pointers[p].name, "done");
                if (test->number == SYS_open || test->number == SYS_signalfd4) close(r);
            } else {
                printf("%s %s: error %ld\n", test->name, pointers[p].name, -r);
            }
        }
    }
    /* Vectors and messages are fine; what they point to is not. */
    for (unsigned p = 0; p < COUNT(pointers); p++) {
        if (pointers[p].kind) continue;
        struct iovec two[2] = {{buffer, 16}, {(void *)pointers[p].at, 16}};
        struct msghdr message = {.msg_iov = two, .msg_iovlen = 2};
        struct msghdr named = {.msg_name = (void *)pointers[p].at, .msg_namelen = 16, .msg_iov = two, .msg_iovlen = 1};
        struct msghdr control = {.msg_iov = two, .msg_iovlen = 1, .msg_control = (void *)pointers[p].at, .msg_controllen = 64};
        long r[] = {writev(file, two, 2), errno, syscall(SYS_sendmsg, unixes[0], &message, MSG_DONTWAIT), errno, syscall(SYS_sendmsg, datagram, &named, 0), errno,
                    syscall(SYS_sendmsg, unixes[0], &control, MSG_DONTWAIT), errno};
        /* The library OS's memory is as far away as any other. */
        long moved[] = {process_vm_readv(getpid(), two, 1, two + 1, 1, 0), process_vm_writev(getpid(), two, 1, two + 1, 1, 0)};
        printf("between vectors %s: %ld %ld\n", pointers[p].name, moved[0], moved[1]);
        printf("in vectors %s:", pointers[p].name);
        for (int i = 0; i < 8; i += 2) printf(" %ld", r[i] < 0 ? r[i + 1] : 0);
        printf("\n");
    }
}

/* All numbers, all arguments bad. */
static void sweep(void) {
    static const short spared[] = {SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_pause, SYS_clone, SYS_vfork, SYS_fork, SYS_close,
                                   SYS_close_range, SYS_dup2, SYS_dup3, SYS_kill, SYS_tkill, SYS_tgkill, SYS_setuid, SYS_alarm,
                                   /* These wait for ever. */
                                   SYS_rt_sigsuspend, SYS_rt_sigtimedwait, SYS_ppoll, SYS_select, SYS_pselect6, SYS_msgrcv};
    unsigned long bad[] = {0, 1, (unsigned long)none, (unsigned long)none - 2, 1UL << 63, -1UL, -8UL, block(), entry() + 1, entry(), 0xffffffff81000000, 0x7fffffff};
    int count = 0;
    for (int n = 0; n < 480; n++) {
        int spare = 0;
        for (unsigned i = 0; i < COUNT(spared); i++) spare |= spared[i] == n;
        if (spare) continue;
        for (unsigned first = 0; first < COUNT(bad) + 5; first++) {
            for (unsigned p = 0; p < COUNT(bad); p++) {
                /* The first argument is often a descriptor. */
                long opened[] = {zero, file, datagram, pipes[0], epoll};
                long a[6] = {first < 5 ? opened[first] : (long)bad[first - 5], bad[p], bad[p], bad[p], bad[p], bad[p]};
                /* The page is to stay one that cannot be touched, and the stack may lie in the 2 GB above. */
                if ((n == SYS_munmap || n == SYS_mprotect) && a[0] == (long)none) continue;
                if (getenv("LOUD")) fprintf(stderr, "%d %lx %lx\n", n, a[0], a[1]);
                call(n, a);
            }
        }
        count++;
    }
    printf("%d calls came back\n", count);
}

int main(int argc, char **argv) {
    page = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    none = page + 4096, readonly = page + 8192;
    mprotect(none, 4096, PROT_NONE), mprotect(readonly, 4096, PROT_READ);
    static struct timespec no, old[2];
    static int size = 16;
    signal(SIGPIPE, SIG_IGN), signal(SIGALRM, SIG_IGN);
    static char folder[] = "/tmp/pointers-XXXXXX";
    chdir(mkdtemp(folder));
    path = (long)"/", other = (long)"file", data = (long)buffer, length = (long)&size, now = (long)&no, past = (long)old;
    static int futex;
    static struct iovec own = {buffer, 16};
    word = (long)&futex, vector = (long)&own;
    zero = open("/dev/zero", O_RDONLY), file = open("file", O_RDWR | O_CREAT, 0600), directory = open("/", O_RDONLY);
    write(file, buffer, 4096);
    pipe2(pipes, O_NONBLOCK), epoll = epoll_create1(0), datagram = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), stream = socket(AF_INET, SOCK_STREAM, 0);
    struct epoll_event one = {.events = EPOLLOUT};
    epoll_ctl(epoll, EPOLL_CTL_ADD, pipes[1], &one);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, unixes), send(unixes[0], buffer, 64, 0);
    timer = syscall(SYS_timerfd_create, 1, 0), notify = syscall(SYS_inotify_init1, 0);
    tube = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), listen(tube, 1);
    if (argc > 1) sweep();
    else all();
    unlink("file"), rmdir(folder);
    return 0;
}
