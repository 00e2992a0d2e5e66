/* Clocks, identity, limits and what else describes a process. Says the same on Linux, run by root. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* One call a line, in this order. */
#define T(what) printf("%s: %ld\n", #what, (long)(what))

static long call(long n, long a, long b, long c, long d) {
    long r = syscall(n, a, b, c, d);
    return r < 0 ? -errno : r;
}

static int e(int result) { return result < 0 ? -errno : result; }

static void clocks(void) {
    static const int all[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
                              CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI, 10, 12, 99, -1};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        struct timespec a = {0, 0}, b = {0, 0}, r = {0, 0};
        int first = e(clock_gettime(all[i], &a)), res = e(clock_getres(all[i], &r));
        for (volatile int k = 0; k < 200000; k++);
        clock_gettime(all[i], &b);
        int64_t d = (b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec;
        printf("clock %d: %d res %d %ld %d not back %d nanosleep %ld\n", all[i], first, res, (long)r.tv_sec, r.tv_nsec > 0 && r.tv_nsec <= 10000000,
               first == 0 && d >= 0,
               all[i] == CLOCK_PROCESS_CPUTIME_ID ? 0 : call(SYS_clock_nanosleep, all[i], 0, (long)&(struct timespec){0, 1}, 0));
    }
    struct timespec bad = {0, 1000000000}, real;
    printf("bad time: %ld %ld\n", call(SYS_nanosleep, (long)&bad, 0, 0, 0), call(SYS_nanosleep, 16, 0, 0, 0));
    struct timeval tv;
    gettimeofday(&tv, NULL);
    clock_gettime(CLOCK_REALTIME, &real);
    printf("the same time of day: %d %d\n", real.tv_sec - tv.tv_sec <= 1, (int)(time(NULL) - real.tv_sec) <= 1);
    struct timespec past = {1, 0};
    printf("past: %d\n", clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &past, NULL));
    struct timespec a, b, short_time = {0, 20000000};
    clock_gettime(CLOCK_MONOTONIC, &a);
    nanosleep(&short_time, NULL);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("slept long enough: %d\n", (b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec >= 20000000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    nanosleep(&short_time, NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    printf("sleeping takes no CPU: %d\n", (b.tv_sec - a.tv_sec) * 1000000000ll + b.tv_nsec - a.tv_nsec < 15000000);
    struct tms t;
    printf("times: %d\n", times(&t) > 0);
}

static void identity(void) {
    uid_t r, f, s;
    gid_t groups[4] = {30, 10, 20}, got[4];
    T(e(setgroups(3, groups)));
    T(e(getgroups(0, NULL)));
    T(e(getgroups(2, got)));
    T(e(getgroups(4, got)));
    T(got[0]), T(got[2]);
    T(e(setresgid(500, 500, 500)));
    T(e(seteuid(1000)));
    T(e(setuid(7)));
    T(geteuid()), T(getuid());
    T(e(setgroups(0, NULL)));
    T(e(seteuid(0)));
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct d[2];
    T(call(SYS_capget, (long)&h, (long)d, 0, 0));
    T(d[0].effective >> CAP_SETUID & 1);
    h.version = 5;
    T(call(SYS_capget, (long)&h, (long)d, 0, 0));
    T(h.version);
    T(call(SYS_capget, (long)&h, 0, 0, 0));
    T(prctl(PR_SET_KEEPCAPS, 1));
    T(e(setuid(1000)));
    T(call(SYS_capget, (long)&h, (long)d, 0, 0));
    T(d[0].effective), T(d[0].permitted >> CAP_SETUID & 1);
    d[0].permitted = d[0].effective = d[1].permitted = d[1].effective = 0;
    T(call(SYS_capset, (long)&h, (long)d, 0, 0));
    d[0].permitted = 1;
    T(call(SYS_capset, (long)&h, (long)d, 0, 0));
    T(e(getresuid(&r, &f, &s)));
    T(r), T(f), T(s), T(getuid()), T(geteuid()), T(getgid());
    T(e(setuid(0)));
    T(e(setgroups(1, groups)));
    T(e(setresgid(0, -1, -1)));
    T(e(sethostname("x", 1)));
    T(e(setpriority(PRIO_PROCESS, 0, -5)));
    T(e(setuid(1000)));
    T(e(setreuid(-1, 1000)));
    T(call(SYS_setfsuid, -1, 0, 0, 0));
    T(call(SYS_setfsgid, -1, 0, 0, 0));
    T(e(clock_settime(CLOCK_REALTIME, &(struct timespec){1, 1})));
    T(e(settimeofday(&(struct timeval){1, 1}, NULL)));
    struct rlimit n = {90, 90};
    T(e(setrlimit(RLIMIT_NOFILE, &n)));
}

static void limits(void) {
    struct rlimit l, n = {2000, 1000}, m = {50, 80};
    T(e(setrlimit(RLIMIT_NOFILE, &n)));
    n.rlim_cur = 64, n.rlim_max = 100;
    T(e(setrlimit(RLIMIT_NOFILE, &n)));
    T(e(getrlimit(RLIMIT_NOFILE, &l)));
    T(l.rlim_cur), T(l.rlim_max);
    T(e(prlimit(0, RLIMIT_NOFILE, &m, &l)));
    T(l.rlim_cur);
    n.rlim_cur = 90, n.rlim_max = 85;
    T(e(setrlimit(RLIMIT_NOFILE, &n)));
    T(e(getrlimit(77, &l)));
    T(e(prlimit(4000000, RLIMIT_CPU, NULL, &l)));
    T(e(getrlimit(RLIMIT_STACK, &l)));
    T(l.rlim_cur);
    struct rusage u;
    T(e(getrusage(RUSAGE_SELF, &u)));
    T(u.ru_utime.tv_sec);
    T(e(getrusage(RUSAGE_CHILDREN, &u)));
    T(u.ru_utime.tv_usec);
    T(e(getrusage(RUSAGE_THREAD, &u)));
    T(e(getrusage(5, &u)));
    struct sysinfo i;
    T(e(sysinfo(&i)));
    T(i.totalram > 0 && i.freeram <= i.totalram);
    T(i.mem_unit);
    T(getpriority(PRIO_PROCESS, 0));
    T(e(setpriority(PRIO_PROCESS, 0, 5)));
    T(getpriority(PRIO_PROCESS, 0));
    T(e(getpriority(9, 0)));
}

static void scheduling(void) {
    struct sched_param p = {0};
    struct timespec t;
    cpu_set_t set, none;
    CPU_ZERO(&none);
    T(e(sched_getscheduler(0)));
    T(e(sched_getparam(0, &p)));
    T(e(sched_setscheduler(0, SCHED_BATCH, &p)));
    T(e(sched_getscheduler(0)));
    T(e(sched_setscheduler(0, SCHED_OTHER, &p)));
    p.sched_priority = 5;
    T(e(sched_setscheduler(0, SCHED_OTHER, &p)));
    T(sched_get_priority_max(SCHED_FIFO)), T(sched_get_priority_min(SCHED_RR)), T(e(sched_get_priority_max(9)));
    T(e(sched_getscheduler(4000000)));
    T(e(sched_rr_get_interval(0, &t)));
    T(e(sched_getaffinity(0, sizeof set, &set)));
    T(CPU_ISSET(0, &set) != 0);
    T(e(sched_setaffinity(0, sizeof none, &none)));
    T(call(SYS_sched_getaffinity, 0, 4, (long)&set, 0));
    T(sched_yield());
}

static void process(void) {
    char name[16];
    int value = -1;
    T(prctl(PR_SET_NAME, "short"));
    T(prctl(PR_GET_NAME, name));
    printf("%s\n", name);
    T(prctl(PR_GET_DUMPABLE));
    T(e(prctl(PR_SET_DUMPABLE, 7)));
    T(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    T(e(prctl(PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0)));
    T(e(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
    T(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    T(e(prctl(PR_SET_PDEATHSIG, 77)));
    T(e(prctl(PR_SET_PDEATHSIG, SIGTERM)));
    T(prctl(PR_GET_PDEATHSIG, &value));
    T(value);
    T(prctl(PR_CAPBSET_READ, CAP_SETUID));
    T(e(prctl(PR_CAPBSET_READ, 77)));
    T(e(prctl(PR_SET_TIMERSLACK, 1234)));
    T(prctl(PR_GET_TIMERSLACK));
    T(e(prctl(12345)));
    T(e(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0)));
    T(e(prctl(PR_SET_CHILD_SUBREAPER, 1)));
    T(e(personality(ADDR_NO_RANDOMIZE)));
    T(personality(0xffffffff));
    unsigned cpu = 9, node = 9;
    T(call(SYS_getcpu, (long)&cpu, (long)&node, 0, 0));
    T(node);
    char random[5000];
    memset(random, 0, sizeof random);
    int zeros = 0;
    T(getrandom(random, sizeof random, 0));
    for (unsigned i = 0; i < sizeof random; i++) zeros += random[i] == 0;
    T(zeros < 100);
    T(e(getrandom(random, 1, 77)));
    T(call(SYS_getrandom, 16, 10, 0, 0));
    struct utsname u;
    T(uname(&u));
    printf("%s %s\n", u.sysname, u.machine);
    T(call(SYS_uname, 16, 0, 0, 0));
    struct timex x = {.modes = 0};
    T(adjtimex(&x) >= 0 && x.time.tv_sec > 0);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    clocks();
    scheduling();
    process();
    limits();
    identity();
    return 0;
}
