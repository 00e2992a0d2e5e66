/* Limits that take effect (setrlimit(2)), and what was used. Says the same on Linux, run by root. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define T(what) printf("%s: %ld\n", #what, (long)(what))

static long e(long r) { return r < 0 ? -errno : r; }
static volatile int got[65];
static void note(int number) { got[number]++; }

static void set(int kind, rlim_t soft, rlim_t hard) {
    struct rlimit l = {soft, hard};
    if (setrlimit(kind, &l)) printf("setrlimit %d: %d\n", kind, errno);
}

static void file_size(const char *what, int fd) {
    char bytes[300] = "";
    struct iovec two[2] = {{bytes, 60}, {bytes, 60}};
    printf("%s\n", what);
    got[SIGXFSZ] = 0;
    set(RLIMIT_FSIZE, 1000, RLIM_INFINITY);
    T(e(write(fd, bytes, 300)));
    T(e(pwrite(fd, bytes, 300, 900)));
    T(e(pwrite(fd, bytes, 300, 1000))), T(got[SIGXFSZ]);
    T(e(pwrite(fd, bytes, 0, 5000))), T(got[SIGXFSZ]);
    T(e(pwritev(fd, two, 2, 950)));
    T(e(ftruncate(fd, 2000))), T(got[SIGXFSZ]);
    T(e(ftruncate(fd, 1000)));
    T(e(fallocate(fd, 0, 0, 1000)));
    lseek(fd, 990, SEEK_SET);
    T(e(write(fd, bytes, 100)));
    T(e(write(fd, bytes, 100))), T(got[SIGXFSZ]);
    fcntl(fd, F_SETFL, O_RDWR | O_APPEND);
    T(e(write(fd, bytes, 100))), T(got[SIGXFSZ]);
    fcntl(fd, F_SETFL, O_RDWR);
    T(lseek(fd, 0, SEEK_END));
    /* What is larger already can be made smaller. */
    set(RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY);
    ftruncate(fd, 5000);
    set(RLIMIT_FSIZE, 1000, RLIM_INFINITY);
    T(e(ftruncate(fd, 4000)));
    T(e(pwrite(fd, bytes, 100, 900)));
    int two_ends[2];
    pipe(two_ends);
    T(e(write(two_ends[1], bytes, 300)));
    T(e(splice(two_ends[0], NULL, fd, &(off_t){950}, 300, 0)));
    signal(SIGXFSZ, SIG_IGN);
    T(e(pwrite(fd, bytes, 100, 1900)));
    signal(SIGXFSZ, note);
    set(RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY);
    close(fd);
}

static void *map(size_t length, int protection, int flags) {
    return mmap(NULL, length, protection, flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}
static int there(void *p, size_t length) {
    if (p == MAP_FAILED) return -errno;
    munmap(p, length);
    return 0;
}

#define MB (1ul << 20)

static void memory(void) {
    set(RLIMIT_AS, 512 * MB, RLIM_INFINITY);
    T(there(map(1024 * MB, PROT_NONE, MAP_PRIVATE), 1024 * MB));
    T(there(map(100 * MB, PROT_NONE, MAP_PRIVATE), 100 * MB));
    T(there(map(1024 * MB, PROT_READ | PROT_WRITE, MAP_SHARED), 1024 * MB));
    char *p = map(100 * MB, PROT_READ, MAP_PRIVATE);
    T(mremap(p, 100 * MB, 600 * MB, MREMAP_MAYMOVE) == MAP_FAILED ? errno : 0);
    T(mmap(p, 100 * MB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
    munmap(p, 100 * MB);
    char *before = sbrk(0);
    T(sbrk(600 * MB) == (void *)-1 ? errno : 0);
    T(sbrk(0) == before);
    set(RLIMIT_AS, RLIM_INFINITY, RLIM_INFINITY);
    set(RLIMIT_DATA, 64 * MB, RLIM_INFINITY);
    T(there(map(100 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE), 100 * MB));
    T(there(map(100 * MB, PROT_READ, MAP_PRIVATE), 100 * MB));
    T(there(map(100 * MB, PROT_READ | PROT_WRITE, MAP_SHARED), 100 * MB));
    T(there(map(10 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE), 10 * MB));
    T(sbrk(100 * MB) == (void *)-1 ? errno : 0);
    set(RLIMIT_DATA, RLIM_INFINITY, RLIM_INFINITY);
}

static void locked(void) {
    static char pages[65536] __attribute__((aligned(4096)));
    T(e(syscall(SYS_mlock2, pages, 4096, 2)));
    T(e(mlockall(0)));
    T(e(mlockall(MCL_ONFAULT)));
    T(e(mlockall(8)));
    set(RLIMIT_MEMLOCK, 16384, 16384);
    T(e(mlock(pages, 65536)));
    munlock(pages, 65536);
    T(e(setresuid(1000, 1000, 1000)));
    T(e(mlock(pages, 8192)));
    T(e(munlock(pages, 65536)));
    T(e(mlock(pages, 65536)));
    T(e(mlockall(MCL_CURRENT)));
    T(e(munlockall()));
    set(RLIMIT_MEMLOCK, 0, 0);
    T(e(mlock(pages, 4096)));
    T(e(mlockall(MCL_FUTURE)));
}

static long microseconds(struct timeval t) { return t.tv_sec * 1000000 + t.tv_usec; }

static void used(void) {
    struct rusage u;
    struct tms t;
    getrusage(RUSAGE_SELF, &u);
    long before = microseconds(u.ru_utime) + microseconds(u.ru_stime), system = microseconds(u.ru_stime), user = microseconds(u.ru_utime);
    int back = 0;
    do {
        for (volatile int i = 0; i < 100000; i++);
        getrusage(RUSAGE_SELF, &u);
        back += microseconds(u.ru_utime) < user || microseconds(u.ru_stime) < system;
        user = microseconds(u.ru_utime), system = microseconds(u.ru_stime);
    } while (user + system < before + 100000);
    T(back);
    times(&t);
    T(t.tms_utime > 0);
    T(u.ru_maxrss > 0), T(u.ru_minflt > 0), T(u.ru_majflt >= 0);
    char *p = map(40 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memset(p, 1, 40 * MB);
    getrusage(RUSAGE_SELF, &u);
    long most = u.ru_maxrss;
    T(most > 40000);
    munmap(p, 40 * MB);
    getrusage(RUSAGE_SELF, &u);
    T(u.ru_maxrss >= most);
}

/* Ends the program. */
static void cpu(void) {
    struct rlimit l;
    set(RLIMIT_CPU, 1, RLIM_INFINITY);
    T(e(getrlimit(RLIMIT_CPU, &l))), T(l.rlim_cur);
    while (!got[SIGXCPU]) for (volatile int i = 0; i < 100000; i++);
    T(got[SIGXCPU]);
    getrlimit(RLIMIT_CPU, &l);
    T(l.rlim_cur > 1 && l.rlim_cur < 10);
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    T(t.tv_sec >= 1 || t.tv_nsec > 900000000);
    set(RLIMIT_CPU, 1, t.tv_sec + 2);
    while (1) for (volatile int i = 0; i < 100000; i++);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    signal(SIGXFSZ, note), signal(SIGXCPU, note);
    char path[] = "/tmp/rlimits-XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    file_size("file", fd);
    file_size("memfd", memfd_create("rlimits", 0));
    used();
    memory();
    locked();
    cpu();
}
