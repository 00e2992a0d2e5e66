/* One futex at two addresses, of memory that is mapped shared, and what belongs to one address alone. Says the same on Linux. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long futex(void *at, int op, long value, long time, void *second, long third) {
    long r = syscall(SYS_futex, at, op, value, time, second, third);
    return r < 0 ? -errno : r;
}

struct wait {
    void *at, *second;
    int op, value;
    volatile int tid;
    long result;
};

static void *waits(void *argument) {
    struct wait *w = argument;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 20;
    w->tid = syscall(SYS_gettid);
    w->result = futex(w->at, w->op, w->value, w->op == FUTEX_LOCK_PI ? 0 : (long)&until, w->second, FUTEX_BITSET_MATCH_ANY);
    return NULL;
}

/* Starts a wait, and leaves it the time to begin. */
static pthread_t start(struct wait *w) {
    pthread_t thread;
    w->tid = 0;
    pthread_create(&thread, NULL, waits, w);
    while (!w->tid) usleep(1000);
    usleep(150000);
    return thread;
}

static void two_places(const char *what, int fd) {
    if (ftruncate(fd, 8192)) perror("ftruncate");
    int *one = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int *other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
    int *here = one + 1030, *there = other + 6;
    struct wait w = {here, NULL, FUTEX_WAIT_BITSET, 0};
    pthread_t thread = start(&w);
    printf("%s: by its own address alone nobody waits: %ld %ld\n", what, futex(there, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 9, 0, NULL, 0),
           futex(there + 1, FUTEX_WAKE, 9, 0, NULL, 0));
    printf("%s: woken from the other place: %ld\n", what, futex(there, FUTEX_WAKE, 9, 0, NULL, 0));
    pthread_join(thread, NULL);
    printf("%s: waited: %ld\n", what, w.result);
    /* Moved from one place to another, and woken there under its second name. */
    thread = start(&w);
    printf("%s: moved: %ld", what, futex(there, FUTEX_CMP_REQUEUE, 0, 9, one + 1, 0));
    printf(" left: %ld", futex(here, FUTEX_WAKE, 9, 0, NULL, 0));
    printf(" woken: %ld\n", futex(one + 1, FUTEX_WAKE, 9, 0, NULL, 0));
    pthread_join(thread, NULL);
    /* The word is one: a wait sees what is written at the other place. */
    *there = 7;
    printf("%s: changed: %ld\n", what, futex(here, FUTEX_WAIT, 0, 0, NULL, 0));
    /* A lock that is handed over. */
    *there = 0;
    printf("%s: locked: %ld\n", what, futex(here, FUTEX_LOCK_PI, 0, 0, NULL, 0));
    struct wait l = {there, NULL, FUTEX_LOCK_PI, 0};
    thread = start(&l);
    printf("%s: waited for: %d, unlocked: %ld\n", what, *here < 0, futex(here, FUTEX_UNLOCK_PI, 0, 0, NULL, 0));
    pthread_join(thread, NULL);
    printf("%s: locked by the other: %ld, who is gone: %d\n", what, l.result, (*here & FUTEX_OWNER_DIED) != 0);
    munmap(one, 8192);
    munmap(other, 4096);
    close(fd);
}

/* Mutexes and conditions between processes, in memory that is mapped twice. */
struct between {
    pthread_mutex_t mutex, robust;
    pthread_cond_t condition;
    int said;
};
static struct between *first, *second;
static void *says(void *nothing) {
    pthread_mutex_lock(&second->mutex);
    second->said = 1;
    pthread_cond_signal(&second->condition);
    pthread_mutex_unlock(&second->mutex);
    return NULL;
}
static void *dies(void *nothing) {
    pthread_mutex_lock(&second->robust);
    second->said = 2;
    return NULL;
}
static void pthreads(void) {
    int fd = memfd_create("between", 0);
    ftruncate(fd, 4096);
    first = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    second = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    pthread_mutexattr_t m;
    pthread_condattr_t c;
    pthread_mutexattr_init(&m), pthread_condattr_init(&c);
    pthread_mutexattr_setpshared(&m, PTHREAD_PROCESS_SHARED), pthread_condattr_setpshared(&c, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&first->mutex, &m), pthread_cond_init(&first->condition, &c);
    pthread_mutexattr_setrobust(&m, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&first->robust, &m);
    pthread_t thread;
    pthread_mutex_lock(&first->mutex);
    pthread_create(&thread, NULL, says, NULL);
    while (!first->said) pthread_cond_wait(&first->condition, &first->mutex);
    pthread_mutex_unlock(&first->mutex);
    pthread_join(thread, NULL);
    printf("condition at two places: %d\n", first->said);
    pthread_create(&thread, NULL, dies, NULL);
    while (first->said != 2) usleep(1000);
    int r = pthread_mutex_lock(&first->robust);
    printf("robust lock of one who died: %d %d\n", r == EOWNERDEAD, pthread_mutex_consistent(&first->robust));
    pthread_mutex_unlock(&first->robust);
    pthread_join(thread, NULL);
}

static void vector(void) {
    int fd = memfd_create("vector", 0);
    ftruncate(fd, 4096);
    int *one = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *other = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    static int own;
    struct {
        uint64_t value, address;
        uint32_t flags, reserved;
    } words[2] = {{0, (uint64_t)&own, 2 | 128, 0}, {0, (uint64_t)(one + 3), 2, 0}};
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 50000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    long r = syscall(449, words, 2, 0, &until, CLOCK_MONOTONIC);
    printf("several: %d\n", r < 0 && (errno == ETIMEDOUT || errno == ENOSYS));
    other[3] = 1;
    r = syscall(449, words, 2, 0, &until, CLOCK_MONOTONIC);
    printf("several, one of which is another: %d\n", r < 0 && (errno == EAGAIN || errno == ENOSYS));
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    char path[] = "/tmp/futexes-XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    two_places("file", fd);
    two_places("memfd", memfd_create("name", 0));
    fd = shm_open("/futexes", O_RDWR | O_CREAT, 0600);
    shm_unlink("/futexes");
    two_places("shm", fd);
    pthreads();
    vector();
    /* Memory of its own is known by its address, by whichever name. */
    int *own = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct wait w = {own, NULL, FUTEX_WAIT_BITSET, 0};
    pthread_t thread = start(&w);
    printf("anonymous: %ld\n", futex(own, FUTEX_WAKE, 1, 0, NULL, 0));
    pthread_join(thread, NULL);
    munmap(own, 4096);
    printf("gone: %ld %ld\n", futex(own, FUTEX_WAKE, 1, 0, NULL, 0), futex(own, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, 0, NULL, 0));
    printf("crooked: %ld %ld %ld\n", futex((char *)&w + 1, FUTEX_WAKE, 1, 0, NULL, 0), futex((char *)&w + 2, FUTEX_WAIT, 1, 0, NULL, 0),
           futex(&w, FUTEX_FD, 1, 0, NULL, 0));
    return 0;
}
