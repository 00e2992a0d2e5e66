/* Threads: what POSIX and Linux have for them. Says the same on Linux. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MANY 400

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t semaphore;
static long sum, turn;
static _Thread_local int own = 5;
static pthread_key_t key;
static atomic_int destroyed;

static void destroy(void *value) { destroyed += (int)(intptr_t)value; }

static void *adds(void *arg) {
    own += (int)(intptr_t)arg;
    pthread_setspecific(key, (void *)1);
    for (int i = 0; i < 1000; i++) {
        pthread_mutex_lock(&lock);
        long old = sum;
        if (i % 100 == 0) sched_yield();
        sum = old + 1;
        pthread_mutex_unlock(&lock);
    }
    return (void *)(intptr_t)own;
}

static void many(void) {
    static pthread_t t[MANY];
    pthread_key_create(&key, destroy);
    int failed = 0;
    long values = 0;
    for (int i = 0; i < MANY; i++) failed += pthread_create(&t[i], NULL, adds, (void *)(intptr_t)i) != 0;
    for (int i = 0; i < MANY; i++) {
        void *value;
        pthread_join(t[i], &value);
        values += (intptr_t)value;
    }
    printf("many: failed %d sum %ld values %ld own %d destroyed %d\n", failed, sum, values, own, destroyed);
}

static void *ping(void *arg) {
    long me = (intptr_t)arg;
    for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&lock);
        while (turn % 3 != me) pthread_cond_wait(&condition, &lock);
        turn++;
        pthread_cond_broadcast(&condition);
        pthread_mutex_unlock(&lock);
    }
    pthread_barrier_wait(&barrier);
    sem_post(&semaphore);
    return NULL;
}

static void in_turn(void) {
    pthread_t t[3];
    pthread_barrier_init(&barrier, NULL, 3);
    sem_init(&semaphore, 0, 0);
    for (int i = 0; i < 3; i++) pthread_create(&t[i], NULL, ping, (void *)(intptr_t)i);
    for (int i = 0; i < 3; i++) sem_wait(&semaphore);
    for (int i = 0; i < 3; i++) pthread_join(t[i], NULL);
    printf("in turn: %ld\n", turn);
    struct timespec t1;
    clock_gettime(CLOCK_REALTIME, &t1);
    t1.tv_nsec += 20000000;
    if (t1.tv_nsec >= 1000000000) t1.tv_nsec -= 1000000000, t1.tv_sec++;
    pthread_mutex_lock(&lock);
    printf("timed: wait %d", pthread_cond_timedwait(&condition, &lock, &t1) == ETIMEDOUT);
    pthread_mutex_unlock(&lock);
    printf(" sem %d", sem_timedwait(&semaphore, &t1));
    printf(" %d\n", errno == ETIMEDOUT);
}

static volatile int spinning = 1;

/* Never calls anything. */
static void *spins(void *arg) {
    long *n = arg;
    while (spinning) ++*n;
    return NULL;
}

static void preempted(void) {
    pthread_t t[2];
    static long n[2];
    for (int i = 0; i < 2; i++) pthread_create(&t[i], NULL, spins, &n[i]);
    struct timespec a = {0, 100000000};
    nanosleep(&a, NULL);
    spinning = 0;
    for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
    printf("both ran %d\n", n[0] > 0 && n[1] > 0);
}

static void *dies_with(void *arg) {
    pthread_mutex_lock(arg);
    return NULL;
}

static void robust(int protocol) {
    pthread_mutexattr_t a;
    pthread_mutex_t m;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutexattr_setprotocol(&a, protocol);
    pthread_mutex_init(&m, &a);
    pthread_t t;
    pthread_create(&t, NULL, dies_with, &m);
    pthread_join(t, NULL);
    int first = pthread_mutex_lock(&m);
    int consistent = pthread_mutex_consistent(&m), unlock = pthread_mutex_unlock(&m);
    int second = pthread_mutex_lock(&m);
    printf("robust: %d %d %d %d %d\n", first == EOWNERDEAD, consistent, unlock, second, pthread_mutex_unlock(&m));
}

static pthread_mutex_t inherited;

static void *adds_inherited(void *arg) {
    (void)arg;
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&inherited);
        long old = sum;
        if (i % 20 == 0) sched_yield();
        sum = old + 1;
        pthread_mutex_unlock(&inherited);
    }
    return NULL;
}

static void inherit(void) {
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
    pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&inherited, &a);
    sum = 0;
    pthread_t t[8];
    for (int i = 0; i < 8; i++) pthread_create(&t[i], NULL, adds_inherited, NULL);
    for (int i = 0; i < 8; i++) pthread_join(t[i], NULL);
    printf("inherited: %ld trylock %d", sum, pthread_mutex_trylock(&inherited));
    printf(" twice %d\n", pthread_mutex_lock(&inherited) == EDEADLK);
    pthread_mutex_unlock(&inherited);
}

static void cleanup(void *arg) { printf("cleaned up %s\n", (char *)arg); }

static void *waits(void *arg) {
    pthread_cleanup_push(cleanup, arg);
    struct timespec t = {100, 0};
    nanosleep(&t, NULL);
    pthread_cleanup_pop(0);
    return NULL;
}

static void *runs(void *arg) {
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
    (void)arg;
    for (;;) __asm__ volatile("");
    return NULL;
}

static void cancelled(void) {
    pthread_t t;
    void *value;
    struct timespec soon = {0, 20000000};
    pthread_create(&t, NULL, waits, "sleep");
    nanosleep(&soon, NULL);
    pthread_cancel(t);
    pthread_join(t, &value);
    printf("cancelled %d\n", value == PTHREAD_CANCELED);
    pthread_create(&t, NULL, runs, NULL);
    nanosleep(&soon, NULL);
    pthread_cancel(t);
    pthread_join(t, &value);
    printf("cancelled while it ran %d\n", value == PTHREAD_CANCELED);
}

static long futex(void *a, int op, unsigned v, void *t, void *b, unsigned v3) {
    long r = syscall(SYS_futex, a, op, v, t, b, v3);
    return r < 0 ? -errno : r;
}

static void words(void) {
    static uint32_t a = 0x3ffffff0, b = 2;
    struct timespec t = {0, 1000}, bad = {0, -1};
    printf("futex: %ld %ld %ld %ld %ld", futex(&a, FUTEX_WAIT, 2, NULL, NULL, 0), futex(&a, FUTEX_WAIT, 0x3ffffff0, &t, NULL, 0),
           futex(&a, FUTEX_WAIT, 0x3ffffff0, &bad, NULL, 0), futex((char *)&a + 1, FUTEX_WAIT, 1, NULL, NULL, 0),
           futex((void *)16, FUTEX_WAIT, 1, NULL, NULL, 0));
    printf(" %ld %ld %ld %ld %ld", futex(&a, FUTEX_WAKE, 1, NULL, NULL, 0), futex(&a, 77, 1, NULL, NULL, 0),
           futex(&a, FUTEX_WAIT_BITSET, 1, NULL, NULL, 0), futex(&a, FUTEX_CMP_REQUEUE, 1, (void *)1, &b, 9),
           futex(&a, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 2, NULL, NULL, 0));
    printf(" %ld %ld\n", futex(&a, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0), futex(&a, FUTEX_WAKE_OP, 1, (void *)1, &b, 0x10000000 | (3 << 12)));
    printf("wake_op: %u\n", b);
    t.tv_sec = 1, t.tv_nsec = 0;
    printf("past: %ld\n", futex(&a, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0x3ffffff0, &t, NULL, ~0u));
}

static long call(long n, long a, long b, long c, long d, long e) {
    long r = syscall(n, a, b, c, d, e);
    return r < 0 ? -errno : r;
}

static void refused(void) {
    printf("clone: %ld %ld\n", call(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), call(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0));
    struct {
        uint64_t w[12];
    } args = {{0}};
    printf("clone3: %ld %ld %ld\n", call(SYS_clone3, (long)&args, 8, 0, 0, 0), call(SYS_clone3, (long)&args, 5000, 0, 0, 0),
           call(SYS_clone3, 16, 64, 0, 0, 0));
    printf("wait: %ld %ld\n", call(SYS_wait4, -1, 0, 0, 0, 0), call(SYS_wait4, -1, 0, 4096, 0, 0));
    printf("tgkill: %ld %ld %ld\n", call(SYS_tgkill, getpid(), 0, 1, 0, 0), call(SYS_tgkill, getpid(), 4000000, 1, 0, 0),
           call(SYS_tgkill, getpid(), getpid(), 65, 0, 0));
    printf("robust: %ld tid %d\n", call(SYS_set_robust_list, 0, 23, 0, 0, 0), gettid() == getpid());
}

static void *named(void *arg) {
    char name[16] = "";
    prctl(PR_SET_NAME, "a name that is far too long");
    prctl(PR_GET_NAME, name);
    printf("named %s, gettid differs %d\n", name, gettid() != getpid());
    clockid_t clock;
    struct timespec t = {9, 9};
    pthread_getcpuclockid(pthread_self(), &clock);
    for (volatile int i = 0; i < 1000000; i++);
    printf("cpu clock %d", clock_gettime(clock, &t));
    printf(" %d\n", t.tv_sec == 0 && t.tv_nsec > 0);
    return arg;
}

static void *last_one(void *arg) {
    struct timespec t = {0, 50000000};
    pthread_join(*(pthread_t *)arg, NULL);
    nanosleep(&t, NULL);
    printf("the last one ends\n");
    exit(7);
}

static pthread_t first;

static void *forever(void *arg) {
    (void)arg;
    for (;;) pause();
    return NULL;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    pthread_t t;
    if (argc > 1 && !strcmp(argv[1], "exit-group")) {
        for (int i = 0; i < 10; i++) pthread_create(&t, NULL, forever, NULL);
        return 9;
    }
    if (argc > 1 && !strcmp(argv[1], "last")) {
        pthread_create(&t, NULL, adds, NULL);
        syscall(SYS_exit, 3);
    }
    many();
    in_turn();
    preempted();
    robust(PTHREAD_PRIO_NONE);
    robust(PTHREAD_PRIO_INHERIT);
    inherit();
    cancelled();
    words();
    refused();
    pthread_create(&t, NULL, named, NULL);
    pthread_join(t, NULL);
    first = pthread_self();
    pthread_create(&t, NULL, last_one, &first);
    pthread_exit(NULL);
}
