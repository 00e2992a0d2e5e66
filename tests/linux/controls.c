/* What prctl, capabilities, scheduling, priorities and execution domains take and refuse. Says the same on Linux, run by root. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define T(what) printf("%s: %ld\n", #what, (long)(what))

static long call(long n, long a, long b, long c, long d, long f) {
    long r = syscall(n, a, b, c, d, f);
    return r < 0 ? -errno : r;
}
static long p(int option, long a, long b, long c, long d) { return call(SYS_prctl, option, a, b, c, d); }

static void options(void) {
    int value = 0;
    char name[32] = "";
    T(p(PR_SET_NAME, (long)"a name that is much too long", 0, 0, 0)), T(p(PR_GET_NAME, (long)name, 0, 0, 0)), printf("%s\n", name);
    T(p(PR_SET_NAME, 16, 0, 0, 0));
    T(p(PR_SET_PDEATHSIG, -1, 0, 0, 0)), T(p(PR_SET_PDEATHSIG, 65, 0, 0, 0)), T(p(PR_SET_PDEATHSIG, 64, 0, 0, 0)), T(p(PR_GET_PDEATHSIG, (long)&value, 0, 0, 0)), T(value);
    T(p(PR_SET_DUMPABLE, 2, 0, 0, 0)), T(p(PR_SET_DUMPABLE, 0, 0, 0, 0)), T(p(PR_GET_DUMPABLE, 0, 0, 0, 0)), T(p(PR_SET_DUMPABLE, 1, 0, 0, 0));
    T(p(PR_SET_KEEPCAPS, 2, 0, 0, 0)), T(p(PR_SET_KEEPCAPS, 1, 0, 0, 0)), T(p(PR_GET_KEEPCAPS, 0, 0, 0, 0)), T(p(PR_SET_KEEPCAPS, 0, 0, 0, 0));
    T(p(PR_GET_TIMING, 0, 0, 0, 0)), T(p(PR_SET_TIMING, 0, 0, 0, 0)), T(p(PR_SET_TIMING, 1, 0, 0, 0));
    T(p(PR_GET_SECCOMP, 0, 0, 0, 0)), T(p(PR_SET_SECCOMP, 77, 0, 0, 0));
    T(p(PR_CAPBSET_READ, CAP_CHOWN, 0, 0, 0)), T(p(PR_CAPBSET_READ, 64, 0, 0, 0)), T(p(PR_CAPBSET_DROP, 64, 0, 0, 0));
    T(p(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0)), T(p(PR_CAPBSET_READ, CAP_CHOWN, 0, 0, 0));
    T(p(PR_GET_SECUREBITS, 0, 0, 0, 0)), T(p(PR_SET_SECUREBITS, 1 << 20, 0, 0, 0)), T(p(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)), T(p(PR_GET_SECUREBITS, 0, 0, 0, 0));
    T(p(PR_SET_SECUREBITS, 0, 0, 0, 0));
    T(p(PR_SET_TIMERSLACK, 0, 0, 0, 0)), T(p(PR_GET_TIMERSLACK, 0, 0, 0, 0));
    T(p(PR_TASK_PERF_EVENTS_DISABLE, 0, 0, 0, 0)), T(p(PR_TASK_PERF_EVENTS_ENABLE, 0, 0, 0, 0));
    T(p(PR_SET_CHILD_SUBREAPER, 7, 0, 0, 0)), T(p(PR_GET_CHILD_SUBREAPER, (long)&value, 0, 0, 0)), T(value);
    T(p(PR_SET_NO_NEW_PRIVS, 1, 1, 0, 0)), T(p(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0)), T(p(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    T(p(PR_SET_THP_DISABLE, 1, 0, 0, 0)), T(p(PR_GET_THP_DISABLE, 0, 0, 0, 0)), T(p(PR_GET_THP_DISABLE, 1, 0, 0, 0)), T(p(PR_SET_THP_DISABLE, 0, 0, 0, 0));
    T(p(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_SETUID, 0, 0)), T(p(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 77, 0, 0)), T(p(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
    T(p(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0)), T(p(PR_CAP_AMBIENT, 9, 0, 0, 0)), T(p(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SETUID, 0, 0));
    T(p(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_SETUID, 0, 0)), T(p(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_SETUID, 1, 0));
    T(p(PR_GET_UNALIGN, (long)&value, 0, 0, 0)), T(p(PR_SET_FPEMU, 0, 0, 0, 0)), T(p(PR_GET_ENDIAN, (long)&value, 0, 0, 0));
    T(p(PR_GET_TSC, (long)&value, 0, 0, 0)), T(value), T(p(PR_SET_TSC, 9, 0, 0, 0)), T(p(PR_SET_TSC, PR_TSC_ENABLE, 0, 0, 0));
    T(p(0x7777, 0, 0, 0, 0)), T(p(-1, 0, 0, 0, 0));
}

static void capabilities(void) {
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2], none[2];
    T(call(SYS_capget, (long)&h, (long)d, 0, 0, 0));
    memset(none, 0, sizeof none);
    h.pid = -1;
    T(call(SYS_capget, (long)&h, (long)d, 0, 0, 0));
    h.pid = 4194000;
    T(call(SYS_capget, (long)&h, (long)d, 0, 0, 0)), T(call(SYS_capset, (long)&h, (long)d, 0, 0, 0));
    h.pid = getpid();
    d[0].inheritable |= 1 << CAP_SETUID;
    T(call(SYS_capset, (long)&h, (long)d, 0, 0, 0));
    d[0].inheritable = 0;
    T(call(SYS_capset, (long)&h, (long)d, 0, 0, 0)), T(p(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_SETUID, 0, 0));
    d[0].effective |= 1 << CAP_SETGID, d[0].permitted &= ~(1 << CAP_SETGID);
    T(call(SYS_capset, (long)&h, (long)d, 0, 0, 0));
    h.version = 0x19980330, h.pid = 0;
    T(call(SYS_capget, (long)&h, (long)d, 0, 0, 0));
    h.version = 7;
    T(call(SYS_capset, (long)&h, (long)d, 0, 0, 0)), T(h.version), T(call(SYS_capget, 16, (long)d, 0, 0, 0));
}

static void scheduling(void) {
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
        uint32_t least, most;
    } a = {sizeof a};
    T(call(SYS_sched_getattr, 0, (long)&a, sizeof a, 0, 0)), T(a.policy), T(a.nice), T(a.priority);
    T(call(SYS_sched_getattr, 0, (long)&a, 47, 0, 0)), T(call(SYS_sched_getattr, 0, (long)&a, 48, 1, 0)), T(call(SYS_sched_getattr, 0, (long)&a, 5000, 0, 0));
    T(call(SYS_sched_getattr, -1, (long)&a, 48, 0, 0)), T(call(SYS_sched_getattr, 4194000, (long)&a, 48, 0, 0)), T(call(SYS_sched_getattr, 0, 0, 48, 0, 0));
    memset(&a, 0, sizeof a), a.size = 48, a.policy = SCHED_BATCH, a.nice = 5;
    T(call(SYS_sched_setattr, 0, (long)&a, 0, 0, 0)), T(sched_getscheduler(0)), T(getpriority(PRIO_PROCESS, 0));
    a.policy = 99;
    T(call(SYS_sched_setattr, 0, (long)&a, 0, 0, 0));
    a.policy = SCHED_OTHER, a.priority = 1;
    T(call(SYS_sched_setattr, 0, (long)&a, 0, 0, 0));
    a.priority = 0, a.flags = 1ull << 40;
    T(call(SYS_sched_setattr, 0, (long)&a, 0, 0, 0)), T(call(SYS_sched_setattr, 0, (long)&a, 1, 0, 0)), T(call(SYS_sched_setattr, 0, 0, 0, 0, 0));
    a.flags = 0, a.size = 4000;
    T(call(SYS_sched_setattr, 0, (long)&a, 0, 0, 0));
    a.size = 0, a.nice = 6;
    T(call(SYS_sched_setattr, 0, (long)&a, 0, 0, 0)), T(getpriority(PRIO_PROCESS, 0));
    a.size = 48, a.policy = SCHED_IDLE, a.nice = 7;
    T(call(SYS_sched_setattr, 0, (long)&a, 0, 0, 0)), T(sched_getscheduler(0));
    a.policy = SCHED_OTHER;
    T(call(SYS_sched_setattr, 0, (long)&a, 0, 0, 0)), T(getpriority(PRIO_PROCESS, 0));
    T(call(SYS_sched_setscheduler, 0, SCHED_OTHER, 0, 0, 0)), T(call(SYS_sched_getparam, 0, 0, 0, 0, 0)), T(call(SYS_sched_getparam, -1, (long)&a, 0, 0, 0));
    T(call(SYS_sched_rr_get_interval, -1, (long)&a, 0, 0, 0)), T(call(SYS_sched_rr_get_interval, 4194000, (long)&a, 0, 0, 0));
    unsigned cpu = 77;
    T(call(SYS_getcpu, (long)&cpu, 0, 0, 0, 0)), T(cpu < 1000), T(call(SYS_getcpu, 0, 0, 0, 0, 0)), T(call(SYS_getcpu, 16, 0, 0, 0, 0));
    T(call(SYS_getpriority, PRIO_PROCESS, 4194000, 0, 0, 0)), T(call(SYS_getpriority, PRIO_USER, 0, 0, 0, 0) > 0), T(call(SYS_setpriority, PRIO_PROCESS, 0, 100, 0, 0)), T(call(SYS_getpriority, PRIO_PROCESS, 0, 0, 0, 0));
    T(call(SYS_ioprio_get, 1, 0, 0, 0, 0) >= 0), T(call(SYS_ioprio_set, 1, 0, 2 << 13 | 5, 0, 0)), T(call(SYS_ioprio_get, 1, 0, 0, 0, 0));
    T(call(SYS_ioprio_set, 0, 0, 2 << 13, 0, 0)), T(call(SYS_ioprio_set, 1, 0, 2 << 13 | 9, 0, 0)), T(call(SYS_ioprio_set, 1, 0, 3 << 13 | 0, 0, 0));
    T(call(SYS_ioprio_set, 1, 0, 0 << 13 | 4, 0, 0)), T(call(SYS_ioprio_set, 1, 4194000, 2 << 13, 0, 0)), T(call(SYS_ioprio_get, 9, 0, 0, 0, 0));
    T(call(SYS_membarrier, 0, 0, 0, 0, 0) > 0), T(call(SYS_membarrier, 0, 1, 0, 0, 0)), T(call(SYS_membarrier, 1 << 20, 0, 0, 0, 0)), T(call(SYS_membarrier, 3, 0, 0, 0, 0));
    T(call(SYS_membarrier, 1, 0, 0, 0, 0)), T(call(SYS_membarrier, 16, 0, 0, 0, 0)), T(call(SYS_membarrier, 8, 0, 0, 0, 0));
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    options();
    capabilities();
    scheduling();
    T(personality(0xffffffff)), T(personality(ADDR_NO_RANDOMIZE | 0)), T(personality(0xffffffff)), T(personality(0));
    return 0;
}
