/* A process about itself: descriptors of it, what it compares and copies, threads by number, flags of clone. Says the same on Linux. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define T(what) printf("%s: %ld\n", #what, (long)(what))

static long call(long n, long a, long b, long c, long d, long f, long g) {
    long r = syscall(n, a, b, c, d, f, g);
    return r < 0 ? -errno : r;
}

static volatile int got, code, value;
static volatile long from;
static void handler(int number, siginfo_t *information, void *context) {
    got = number, code = information->si_code, value = information->si_value.sival_int, from = information->si_pid == getpid();
}

static int tid, stop;
static void *other(void *nothing) {
    tid = syscall(SYS_gettid);
    while (!stop) usleep(1000);
    return NULL;
}

static void descriptors(void) {
    int fd = call(434, getpid(), 0, 0, 0, 0, 0);
    T(fd > 2);
    T(fcntl(fd, F_GETFD));
    T(call(434, 0, 0, 0, 0, 0, 0));
    T(call(434, -1, 0, 0, 0, 0, 0));
    T(call(434, 4194000, 0, 0, 0, 0, 0));
    T(call(434, getpid(), 1, 0, 0, 0, 0));
    int quick = call(434, getpid(), O_NONBLOCK, 0, 0, 0, 0);
    T(fcntl(quick, F_GETFL) & O_NONBLOCK);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    T(poll(&p, 1, 0));
    char byte;
    T(call(SYS_read, fd, (long)&byte, 1, 0, 0, 0));
    T(call(SYS_write, fd, (long)&byte, 1, 0, 0, 0));
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = epoll_create1(0);
    T(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    char name[64], link[64] = {0};
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    readlink(name, link, sizeof link - 1);
    printf("%d\n", !strcmp(link, "anon_inode:[pidfd]"));
    T(call(424, fd, 0, 0, 0, 0, 0));
    T(call(424, fd, 99, 0, 0, 0, 0));
    T(call(424, epoll, 0, 0, 0, 0, 0));
    T(call(424, 99, 0, 0, 0, 0, 0));
    T(call(424, fd, SIGUSR1, 0, 0, 0, 0));
    T(got), T(code), T(from);
    siginfo_t with;
    memset(&with, 0, sizeof with);
    with.si_signo = SIGUSR2, with.si_code = SI_QUEUE, with.si_value.sival_int = 77;
    T(call(424, fd, SIGUSR1, (long)&with, 0, 0, 0));
    T(call(424, fd, SIGUSR2, (long)&with, 0, 0, 0));
    T(got), T(code), T(value);
    int same = call(438, fd, fd, 0, 0, 0, 0);
    T(same > fd), T(fcntl(same, F_GETFD));
    T(call(438, fd, 99, 0, 0, 0, 0));
    T(call(438, fd, 0, 1, 0, 0, 0));
    T(call(438, epoll, 0, 0, 0, 0, 0));
    siginfo_t child;
    T(call(SYS_waitid, P_PIDFD, fd, (long)&child, WEXITED, 0, 0));
    T(call(SYS_waitid, P_PIDFD, epoll, (long)&child, WEXITED, 0, 0));
    T(call(SYS_waitid, P_PIDFD, -1, (long)&child, WEXITED, 0, 0));
    T(call(SYS_waitid, P_PID, 0, (long)&child, WEXITED, 0, 0));
    T(call(SYS_waitid, P_PGID, -1, (long)&child, WEXITED, 0, 0));
    T(call(SYS_waitid, 7, 0, (long)&child, WEXITED, 0, 0));
    T(call(SYS_waitid, P_ALL, 0, (long)&child, WEXITED | WNOHANG, 0, 0));
    T(call(SYS_waitid, P_ALL, 0, (long)&child, 0, 0, 0));
    T(call(SYS_wait4, INT_MIN, 0, 0, 0, 0, 0));
    T(call(SYS_wait4, -1, 0, WNOHANG, 0, 0, 0));
    T(call(SYS_wait4, -1, 0, 0x10, 0, 0, 0));
    /* Advice about its own memory. */
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct iovec two[2] = {{page, 4096}, {page + 4096, 4096}};
    T(call(440, fd, (long)two, 2, MADV_COLD, 0, 0));
    T(call(440, fd, (long)two, 2, MADV_COLD, 1, 0));
    T(call(440, 99, (long)two, 2, MADV_COLD, 0, 0));
    munmap(page + 4096, 4096);
    T(call(440, fd, (long)two, 2, MADV_COLD, 0, 0));
}

static void compared(void) {
    int one = open("/dev/null", O_RDONLY), copy = dup(one), again = open("/dev/null", O_RDONLY), me = getpid();
    T(call(SYS_kcmp, me, me, 0, one, copy, 0));
    long less = call(SYS_kcmp, me, me, 0, one, again, 0), more = call(SYS_kcmp, me, me, 0, again, one, 0);
    T(less + more);
    T(call(SYS_kcmp, me, me, 0, one, 99, 0));
    T(call(SYS_kcmp, me, tid, 1, 0, 0, 0));
    T(call(SYS_kcmp, me, tid, 2, 0, 0, 0));
    T(call(SYS_kcmp, me, tid, 4, 0, 0, 0));
    T(call(SYS_kcmp, me, me, 99, 0, 0, 0));
    T(call(SYS_kcmp, 4194000, me, 1, 0, 0, 0));
    char source[] = "copied", target[sizeof source] = "";
    struct iovec from = {source, sizeof source}, to = {target, sizeof target};
    T(call(SYS_process_vm_readv, me, (long)&to, 1, (long)&from, 1, 0));
    printf("%s\n", target);
    source[0] = 'C';
    T(call(SYS_process_vm_writev, tid, (long)&from, 1, (long)&to, 1, 0));
    printf("%s\n", target);
    T(call(SYS_process_vm_readv, me, (long)&to, 1, (long)&from, 1, 1));
    T(call(SYS_process_vm_readv, me, (long)&to, 1025, (long)&from, 1, 0));
    T(call(SYS_process_vm_readv, 4194000, (long)&to, 1, (long)&from, 1, 0));
    T(call(SYS_process_vm_readv, me, (long)&to, 0, (long)&from, 1, 0));
}

static void by_number(void) {
    int me = getpid();
    T(call(SYS_tgkill, me, tid, 0, 0, 0, 0));
    T(call(SYS_tgkill, me, 4194000, 0, 0, 0, 0));
    T(call(SYS_tgkill, tid, tid, 0, 0, 0, 0));
    T(call(SYS_tgkill, 0, tid, 0, 0, 0, 0));
    T(call(SYS_tgkill, me, -1, 0, 0, 0, 0));
    T(call(SYS_tgkill, me, tid, 65, 0, 0, 0));
    T(call(SYS_tgkill, me, tid, -1, 0, 0, 0));
    T(call(SYS_tkill, tid, 0, 0, 0, 0, 0));
    T(call(SYS_tkill, 0, 0, 0, 0, 0, 0));
    T(call(SYS_tkill, -5, 0, 0, 0, 0, 0));
    T(call(SYS_tkill, 4194000, 0, 0, 0, 0, 0));
    T(call(SYS_kill, me, 65, 0, 0, 0, 0));
    T(call(SYS_kill, 4194000, 0, 0, 0, 0, 0));
    T(call(SYS_kill, INT_MIN, 0, 0, 0, 0, 0));
    void *head = NULL;
    size_t length = 0;
    T(call(SYS_get_robust_list, 0, (long)&head, (long)&length, 0, 0, 0));
    T(length);
    T(call(SYS_get_robust_list, tid, (long)&head, (long)&length, 0, 0, 0));
    T(call(SYS_get_robust_list, 4194000, (long)&head, (long)&length, 0, 0, 0));
    T(call(SYS_set_robust_list, (long)&head, 8, 0, 0, 0, 0));
    T(call(SYS_sched_getscheduler, -1, 0, 0, 0, 0, 0));
    T(call(SYS_getpgid, -1, 0, 0, 0, 0, 0));
    T(call(SYS_getsid, 4194000, 0, 0, 0, 0, 0));
}

static void flags(void) {
    T(call(SYS_clone, CLONE_THREAD | SIGCHLD, 0, 0, 0, 0, 0));
    T(call(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, 0, 0, 0, 0));
    T(call(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0, 0));
    T(call(SYS_clone, CLONE_NEWNS | CLONE_FS, 0, 0, 0, 0, 0));
    T(call(SYS_clone, CLONE_NEWUSER | CLONE_FS, 0, 0, 0, 0, 0));
    T(call(SYS_clone, CLONE_NEWIPC | CLONE_SYSVSEM, 0, 0, 0, 0, 0));
    T(call(SYS_clone, CLONE_NEWPID | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, 0, 0, 0, 0, 0));
    T(call(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID, 0, 0, 0, 0, 0));
    T(call(SYS_clone, CLONE_PIDFD | CLONE_DETACHED, 0, 0, 0, 0, 0));
    uint64_t a[12] = {0};
    T(call(SYS_clone3, (long)a, 63, 0, 0, 0, 0));
    T(call(SYS_clone3, (long)a, 4097, 0, 0, 0, 0));
    a[0] = 0x8000000000000000;
    T(call(SYS_clone3, (long)a, 64, 0, 0, 0, 0));
    a[0] = 0x11;
    T(call(SYS_clone3, (long)a, 64, 0, 0, 0, 0));
    a[0] = 0x100000000 | CLONE_SIGHAND | CLONE_VM;
    T(call(SYS_clone3, (long)a, 64, 0, 0, 0, 0));
    a[0] = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, a[4] = SIGCHLD;
    T(call(SYS_clone3, (long)a, 64, 0, 0, 0, 0));
    a[4] = 99, a[0] = 0;
    T(call(SYS_clone3, (long)a, 64, 0, 0, 0, 0));
    a[4] = 0, a[5] = 4096;
    T(call(SYS_clone3, (long)a, 64, 0, 0, 0, 0));
    a[5] = 0, a[6] = 4096;
    T(call(SYS_clone3, (long)a, 64, 0, 0, 0, 0));
    a[6] = 0, a[9] = 40;
    T(call(SYS_clone3, (long)a, 88, 0, 0, 0, 0));
    a[9] = 0, a[8] = (long)a;
    T(call(SYS_clone3, (long)a, 88, 0, 0, 0, 0));
    a[8] = 0, a[11] = 1;
    T(call(SYS_clone3, (long)a, 96, 0, 0, 0, 0));
    T(call(SYS_clone3, 16, 64, 0, 0, 0, 0));
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL), sigaction(SIGUSR2, &action, NULL);
    pthread_t thread;
    pthread_create(&thread, NULL, other, NULL);
    while (!tid) usleep(1000);
    descriptors();
    compared();
    by_number();
    flags();
    stop = 1;
    pthread_join(thread, NULL);
    return 0;
}
