/* System V IPC: shared memory, semaphores and message queues. Says the same on Linux. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

/* One call a line, in this order. */
#define T(what) printf("%s: %ld\n", #what, (long)(what))

static long e(long result) { return result == -1 ? -errno : result; }
/* An identifier or an address: whether it is one, or why not. */
static long ok(long result) { return result == -1 ? -errno : 1; }

static char folder[] = "/tmp/sysvXXXXXX";
static key_t key(int n) { return ftok(folder, n); }

static long recent(long seconds) { return labs(time(NULL) - seconds) < 100; }

static struct shmid_ds shm_of(int id) {
    struct shmid_ds d;
    memset(&d, 0xff, sizeof d);
    if (shmctl(id, IPC_STAT, &d)) memset(&d, 0, sizeof d), d.shm_nattch = 9999;
    return d;
}

static void show_shm(int id) {
    struct shmid_ds d = shm_of(id);
    printf("  segment of %ld: %ld attached, mode %o, key %d, owner %d, cpid %d lpid %d, times %ld %ld %ld\n", (long)d.shm_segsz,
           (long)d.shm_nattch, d.shm_perm.mode, d.shm_perm.__key != IPC_PRIVATE,
           d.shm_perm.uid == geteuid() && d.shm_perm.cgid == getegid(), d.shm_cpid == getpid(),
           d.shm_lpid ? d.shm_lpid == getpid() ? 1 : 2 : 0, d.shm_atime ? recent(d.shm_atime) : -1,
           d.shm_dtime ? recent(d.shm_dtime) : -1, recent(d.shm_ctime));
}

/* How the maps show it. */
static void show_maps(void *at, int id) {
    char line[300], want[40];
    FILE *f = fopen("/proc/self/maps", "r");
    snprintf(want, sizeof want, "%lx-", (long)at);
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, want, strlen(want))) {
            char mode[8], name[100] = "";
            long inode, offset;
            sscanf(line, "%*s %7s %lx %*s %ld %99[^\n]", mode, &offset, &inode, name);
            printf("  %s %lx inode %d %s\n", mode, offset, inode == id, strncmp(name, "/SYSV", 5) ? name : "/SYSV");
            if (strstr(name, "SYSV00000000")) printf("  without a key%s\n", strstr(name, " (deleted)") ? ", deleted" : "");
        }
    if (f) fclose(f);
}

static void segments(void) {
    T(ok(shmget(key(1), 0, IPC_CREAT | 0600)));
    T(ok(shmget(key(1), -1L, IPC_CREAT | 0600)));
    T(ok(shmget(key(1), 5000, 0)));
    int id = shmget(key(1), 5000, IPC_CREAT | 0640);
    T(ok(id));
    show_shm(id);
    T(shmget(key(1), 0, 0) == id), T(shmget(key(1), 5000, IPC_CREAT | 0600) == id);
    T(ok(shmget(key(1), 5001, 0))), T(ok(shmget(key(1), 5000, IPC_CREAT | IPC_EXCL)));
    T(ok(shmget(key(1), 9999, IPC_CREAT | IPC_EXCL)));
    char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);
    T(ok((long)a)), T(ok((long)b)), T(a != b);
    show_shm(id);
    show_maps(b, id);
    strcpy(a + 4990, "across the pages");
    T(a[0]), T(a[8191]), T(strcmp(b + 4990, "across the pages"));
    T(e(mprotect(b, 4096, PROT_READ | PROT_WRITE)));
    T(e(mprotect(a, 4096, PROT_READ)));
    show_shm(id);
    T(e(munmap(a, 4096)));
    show_shm(id);
    T(e(shmdt(a + 4096))), T(e(shmdt(a + 1))), T(e(shmdt(a)));
    show_shm(id);
    T(e(shmdt(a))), T(e(shmdt(NULL)));
    /* Where it is said. */
    char *at = mmap(NULL, 16384, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    T(ok((long)shmat(id, at, 0))), T(ok((long)shmat(id, at + 1, SHM_REMAP)));
    T(ok((long)shmat(id, NULL, SHM_REMAP)));
    T(shmat(id, at, SHM_REMAP) == at), T(strcmp(at + 4990, "across the pages"));
    T(shmat(id, at + 8192 + 77, SHM_REMAP | SHM_RND) == at + 8192);
    show_shm(id);
    at[8192] = 7;
    T(at[0]), T(b[0]);
    /* A fixed mapping takes one away, and half of another one. */
    T(mmap(at + 4096, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at + 4096);
    show_shm(id);
    T(e(shmdt(at + 8192)));
    show_shm(id);
    munmap(at, 16384);
    T(shmat(id, at, 0) == at), T(ok((long)shmat(id, at + 4096, 0)));
    T(ok((long)shmat(id, (void *)(1L << 47), 0))), T(ok((long)shmat(id, (void *)-4096L, 0)));
    T(ok((long)shmat(-1, NULL, 0))), T(ok((long)shmat(id + (1 << 20), NULL, 0)));
    char *moved = mremap(at, 8192, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, at + 8192);
    T(moved == at + 8192), T(moved[0]), T(e(shmdt(at)));
    show_shm(id);
    T(e(shmdt(moved)));
    show_shm(id);
    /* Removed, it stays while it is attached. */
    T(e(shmctl(id, IPC_RMID, NULL)));
    show_shm(id);
    T(ok(shmget(key(1), 0, 0)));
    int other = shmget(key(1), 100, IPC_CREAT | 0600);
    T(ok(other)), T(other != id);
    a = shmat(id, NULL, SHM_EXEC);
    T(ok((long)a)), T(a[0]), a[1] = 8, T(b[1]);
    T(e(shmctl(id, IPC_RMID, NULL)));
    T(e(shmdt(a)));
    T(e(munmap(b, 8192)));
    show_shm(id);
    T(e(shmctl(id, IPC_RMID, NULL)));
    T(e(shmctl(other, IPC_RMID, NULL))), T(e(shmctl(other, IPC_STAT, &(struct shmid_ds){})));
}

static void about_segments(void) {
    int id = shmget(IPC_PRIVATE, 1 << 20, 0);
    struct shmid_ds d = shm_of(id);
    T(d.shm_perm.mode), T(d.shm_segsz);
    T(e(shmctl(id, IPC_STAT, (void *)8))), T(e(shmctl(id, IPC_SET, (void *)8))), T(e(shmctl(id, 99, &d)));
    T(e(shmctl(id, -1, &d))), T(e(shmctl(-1, IPC_STAT, &d))), T(e(shmctl(id ^ 1 << 16, IPC_STAT, &d)));
    d.shm_perm.mode = 07644, d.shm_perm.uid = 12, d.shm_perm.gid = 13;
    T(e(shmctl(id, IPC_SET, &d)));
    d = shm_of(id);
    printf("mode %o uid %d gid %d cuid %d\n", d.shm_perm.mode, d.shm_perm.uid, d.shm_perm.gid, d.shm_perm.cuid == geteuid());
    d.shm_perm.uid = -1;
    T(e(shmctl(id, IPC_SET, &d)));
    T(e(shmctl(id, SHM_LOCK, NULL)));
    printf("mode %o\n", shm_of(id).shm_perm.mode);
    T(e(shmctl(id, SHM_UNLOCK, NULL)));
    printf("mode %o\n", shm_of(id).shm_perm.mode);
    struct shminfo info;
    T(shmctl(0, IPC_INFO, (void *)&info) >= 0);
    printf("shmmax %lx shmmin %ld shmmni %ld shmseg %ld shmall %lx\n", info.shmmax, info.shmmin, info.shmmni, info.shmseg, info.shmall);
    struct shm_info now;
    int highest = shmctl(0, SHM_INFO, (void *)&now), found = -1;
    T(now.used_ids >= 1), T(now.shm_tot >= 256);
    for (int i = 0; i <= highest; i++)
        if (shmctl(i, SHM_STAT, &d) == id) found = i;
    T(found >= 0 && found == (id & 0x7fff)), T(d.shm_segsz);
    T(shmctl(found, 15, &d) == id);
    /* Others may not what the mode does not say. */
    char *at = shmat(id, NULL, 0);
    memset(at, 1, 1 << 20);
    T(setegid(7)), T(seteuid(7));
    T(ok((long)shmat(id, NULL, 0))), T(ok((long)shmat(id, NULL, SHM_RDONLY)));
    T(e(shmctl(id, IPC_RMID, NULL))), T(e(shmctl(id, IPC_SET, &d))), T(e(shmctl(id, SHM_LOCK, NULL)));
    T(e(shmctl(id, IPC_STAT, &d)));
    T(seteuid(0)), T(setegid(0));
    d.shm_perm.mode = 0;
    T(e(shmctl(id, IPC_SET, &d)));
    T(seteuid(7));
    T(e(shmctl(id, IPC_STAT, &d))), T(e(shmctl(found, SHM_STAT, &d))), T(shmctl(found, 15, &d) == id);
    T(seteuid(0));
    d.shm_perm.uid = 7, d.shm_perm.mode = 0400;
    T(e(shmctl(id, IPC_SET, &d)));
    T(seteuid(7));
    T(ok((long)shmat(id, NULL, 0))), T(ok((long)shmat(id, NULL, SHM_RDONLY)));
    T(e(shmctl(id, IPC_RMID, NULL)));
    T(seteuid(0));
}

/* An address space that is limited. */
static void limited(void) {
    int id = shmget(IPC_PRIVATE, 64 << 20, 0600);
    struct rlimit old, few = {32 << 20, RLIM_INFINITY};
    getrlimit(RLIMIT_AS, &old);
    setrlimit(RLIMIT_AS, &few);
    T(ok((long)shmat(id, NULL, 0)));
    setrlimit(RLIMIT_AS, &old);
    T(e(shmctl(id, IPC_RMID, NULL)));
}

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
    struct seminfo *info;
};

static int set;

static long get(int n) { return e(semctl(set, n, GETVAL)); }

static long op(int n, int change, int flags) {
    struct sembuf one = {n, change, flags};
    return e(semop(set, &one, 1));
}

static void show_set(const char *what) {
    printf("%s:", what);
    for (int i = 0; i < 3; i++)
        printf(" %ld (pid %d, %ld more, %ld zero)", get(i), semctl(set, i, GETPID) == getpid(), e(semctl(set, i, GETNCNT)), e(semctl(set, i, GETZCNT)));
    puts("");
}

static volatile int went;
static pthread_t waiter;

struct wait {
    struct sembuf ops[4];
    int count, milliseconds;
};

static void *waits(void *of) {
    struct wait *w = of;
    struct timespec limit = {w->milliseconds / 1000, w->milliseconds % 1000 * 1000000L};
    long done = e(w->milliseconds ? semtimedop(set, w->ops, w->count, &limit) : semop(set, w->ops, w->count));
    __sync_fetch_and_add(&went, 1);
    return (void *)done;
}

/* A thread that waits until there are so many for the semaphore. */
static pthread_t start(struct wait *w, int n, int kind, int until) {
    pthread_t thread;
    pthread_create(&thread, NULL, waits, w);
    for (int i = 0; i < 5000 && semctl(set, n, kind) != until; i++) usleep(1000);
    return thread;
}

static long joined(pthread_t thread) {
    void *result;
    pthread_join(thread, &result);
    return (long)result;
}

static void nothing(int number) {}

static void semaphores(void) {
    union semun u;
    T(ok(semget(IPC_PRIVATE, 0, 0600))), T(ok(semget(IPC_PRIVATE, -1, 0600))), T(ok(semget(IPC_PRIVATE, 32001, 0600)));
    set = semget(key(2), 3, IPC_CREAT | 0600);
    T(ok(set)), T(semget(key(2), 0, 0) == set), T(ok(semget(key(2), 4, 0))), T(ok(semget(key(2), 3, IPC_CREAT | IPC_EXCL)));
    struct semid_ds d;
    u.buf = &d;
    T(e(semctl(set, 0, IPC_STAT, u)));
    printf("mode %o nsems %ld otime %ld ctime %ld\n", d.sem_perm.mode, (long)d.sem_nsems, (long)d.sem_otime, recent(d.sem_ctime));
    show_set("new");
    T(op(0, 3, 0)), T(op(1, 0, 0)), T(op(0, -4, IPC_NOWAIT)), T(op(0, 0, IPC_NOWAIT)), T(op(3, 1, 0));
    T(op(0, 32767, 0)), T(op(0, 32764, 0)), T(get(0)), T(op(0, -32764, 0));
    T(e(semctl(set, 0, IPC_STAT, u))), T(recent(d.sem_otime));
    show_set("operated");
    /* All or nothing, in their order. */
    struct sembuf some[4] = {{0, -2, 0}, {1, 5, 0}, {2, -1, IPC_NOWAIT}};
    T(e(semop(set, some, 3))), T(get(0)), T(get(1));
    some[2].sem_op = 0;
    T(e(semop(set, some, 3))), T(get(0)), T(get(1));
    struct sembuf twice[3] = {{2, 1, 0}, {2, -1, 0}, {2, 0, 0}};
    T(e(semop(set, twice, 3))), T(get(2));
    struct sembuf wrong[3] = {{2, 1, 0}, {2, 32767, 0}};
    T(e(semop(set, wrong, 2))), T(get(2));
    T(e(semop(set, some, 0))), T(e(semop(set, some, 501))), T(e(semop(set, (void *)8, 1))), T(e(semop(-1, some, 1)));
    T(e(semop(set + (1 << 20), some, 1))), T(e(semtimedop(set, some, 1, (void *)8)));
    T(e(semtimedop(set, some, 1, &(struct timespec){0, 1000000000}))), T(e(semtimedop(set, some, 1, &(struct timespec){-1, 0})));
    /* Values. */
    unsigned short all[3] = {4, 5, 6};
    u.array = all;
    T(e(semctl(set, 0, SETALL, u))), memset(all, 0, 6), T(e(semctl(set, 77, GETALL, u))), T(all[0] * 100 + all[1] * 10 + all[2]);
    all[1] = 32768;
    T(e(semctl(set, 0, SETALL, u))), T(get(0));
    u.val = 32767;
    T(e(semctl(set, 2, SETVAL, u))), T(get(2)), u.val = 32768, T(e(semctl(set, 2, SETVAL, u))), u.val = -1, T(e(semctl(set, 2, SETVAL, u)));
    u.val = 0;
    T(e(semctl(set, 3, SETVAL, u))), T(e(semctl(set, 3, GETVAL))), T(e(semctl(set, -1, GETVAL))), T(e(semctl(set, 0, 99)));
    u.array = (void *)8;
    T(e(semctl(set, 0, GETALL, u))), T(e(semctl(set, 0, SETALL, u))), T(e(semctl(set, 0, IPC_STAT, u))), T(e(semctl(-1, 0, GETVAL)));
    struct seminfo info;
    u.info = &info;
    T(semctl(0, 0, IPC_INFO, u) >= 0);
    printf("semmni %d semmns %d semmsl %d semopm %d semvmx %d semaem %d semusz %d\n", info.semmni, info.semmns, info.semmsl, info.semopm,
           info.semvmx, info.semaem, info.semusz);
    T(semctl(0, 0, SEM_INFO, u) >= 0), T(info.semusz >= 1), T(info.semaem >= 3);
    u.buf = &d;
    T(semctl(set & 0x7fff, 0, SEM_STAT, u) == set), T((long)d.sem_nsems);
    T(e(semctl(set, 0, IPC_STAT, u))), d.sem_perm.mode = 0444;
    T(e(semctl(set, 0, IPC_SET, u)));
    T(seteuid(7)), T(get(0)), T(op(0, 1, 0)), T(op(0, 0, IPC_NOWAIT)), u.val = 1, T(e(semctl(set, 0, SETVAL, u)));
    T(e(semctl(set, 3, SETVAL, u))), T(e(semctl(set, 0, IPC_RMID))), T(seteuid(0));
    T(e(semctl(set, 0, IPC_RMID))), T(e(semctl(set, 0, GETVAL))), T(op(0, 1, 0));
}

static void waiting(void) {
    union semun u = {.val = 0};
    set = semget(IPC_PRIVATE, 3, 0600);
    /* Who waits for more, and who for zero. */
    struct wait more = {{{0, -2, 0}}, 1}, both = {{{1, 0, 0}, {0, -1, 0}, {2, 1, 0}}, 3}, zero = {{{0, 0, 0}}, 1};
    pthread_t a = start(&more, 0, GETNCNT, 1);
    T(op(0, 1, 0)), usleep(10000), T(went);
    show_set("waits");
    T(op(0, 1, 0)), T(get(0)), T(joined(a)), show_set("done");
    op(1, 1, 0), op(0, 1, 0);
    a = start(&both, 1, GETZCNT, 1);
    show_set("waits for zero");
    T(op(0, -1, 0)), show_set("still");
    T(op(1, -1, 0)), show_set("now for more");
    T(op(0, 3, 0)), T(get(2)), T(get(0)), T(joined(a));
    a = start(&zero, 0, GETZCNT, 1);
    u.val = 0;
    T(e(semctl(set, 0, SETVAL, u))), T(joined(a));
    show_set("set to zero");
    /* In turn, but who can go goes. */
    struct wait five = {{{0, -5, 0}}, 1}, one = {{{0, -1, 0}}, 1};
    a = start(&five, 0, GETNCNT, 1);
    pthread_t b = start(&one, 0, GETNCNT, 2);
    T(op(0, 2, 0)), T(get(0)), T(joined(b)), T(semctl(set, 0, GETNCNT));
    T(op(0, 5, 0)), T(get(0)), T(joined(a));
    unsigned short all[3] = {0, 0, 0};
    u.array = all;
    T(e(semctl(set, 0, SETALL, u)));
    /* Limits of time, signals, removal. */
    struct wait soon = {{{0, -1, 0}}, 1, 20};
    T(joined(start(&soon, 0, GETNCNT, 1)));
    T(e(semtimedop(set, soon.ops, 1, &(struct timespec){0, 0})));
    struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    a = start(&more, 0, GETNCNT, 1);
    pthread_kill(a, SIGUSR1);
    T(joined(a)), T(semctl(set, 0, GETNCNT));
    a = start(&more, 0, GETNCNT, 1), b = start(&both, 0, GETNCNT, 2);
    T(e(semctl(set, 0, IPC_RMID))), T(joined(a)), T(joined(b)), T(get(0));
}

static void undo(void) {
    union semun u;
    set = semget(IPC_PRIVATE, 3, 0600);
    T(op(0, 5, SEM_UNDO)), T(op(0, -2, SEM_UNDO | IPC_NOWAIT)), T(get(0));
    /* An adjustment has its limits as well. */
    T(op(0, -3, 0)), T(op(0, 32767, SEM_UNDO)), T(get(0)), T(op(0, 32760, SEM_UNDO)), T(get(0)), T(op(0, -32760, 0));
    T(op(0, 10, SEM_UNDO)), T(get(0));
    struct sembuf two[2] = {{1, 1, SEM_UNDO}, {0, 10, SEM_UNDO}};
    T(e(semop(set, two, 2))), T(get(1));
    u.val = 0;
    T(e(semctl(set, 0, SETVAL, u))), T(op(0, 32767, SEM_UNDO)), T(get(0));
    T(e(semctl(set, 0, IPC_RMID)));
}

struct message {
    long kind;
    char text[9000];
};

static int queue;

static long send(long kind, const char *text, int flags) {
    struct message m = {kind};
    strcpy(m.text, text);
    return e(msgsnd(queue, &m, strlen(text), flags));
}

static char *receive(long kind, int size, int flags) {
    static char said[9100];
    struct message m;
    memset(&m, 0, sizeof m);
    long done = e(msgrcv(queue, &m, size, kind, flags));
    if (done < 0) sprintf(said, "%ld", done);
    else sprintf(said, "%ld of type %ld: %.20s", done, m.kind, m.text);
    return said;
}

static void show_queue(const char *what) {
    struct msqid_ds d;
    long done = e(msgctl(queue, IPC_STAT, &d));
    printf("%s: %ld: %ld messages, %ld of %ld bytes, mode %o, pids %d %d, times %ld %ld %ld\n", what, done, (long)d.msg_qnum,
           (long)d.__msg_cbytes, (long)d.msg_qbytes, d.msg_perm.mode, d.msg_lspid ? d.msg_lspid == getpid() ? 1 : 2 : 0,
           d.msg_lrpid ? d.msg_lrpid == getpid() ? 1 : 2 : 0, d.msg_stime ? recent(d.msg_stime) : -1,
           d.msg_rtime ? recent(d.msg_rtime) : -1, recent(d.msg_ctime));
}
#define R(...) printf("receive(%s): %s\n", #__VA_ARGS__, receive(__VA_ARGS__))

static volatile pid_t tid;
static void *sends(void *text) {
    tid = syscall(SYS_gettid);
    return (void *)send(5, text, 0);
}
static void *receives(void *kind) {
    tid = syscall(SYS_gettid);
    return strdup(receive((long)kind, 10, 0));
}

/* Starts a thread, and waits until it sleeps in its call: nothing else tells. */
static pthread_t thread(void *(*f)(void *), void *of) {
    pthread_t t;
    tid = 0;
    pthread_create(&t, NULL, f, of);
    for (int i = 0; i < 1000 && !tid; i++) usleep(1000);
    usleep(50000);
    return t;
}

static const char *text_of(pthread_t t) {
    void *result;
    pthread_join(t, &result);
    return result;
}

static void queues(void) {
    queue = msgget(key(3), IPC_CREAT | 0640);
    T(ok(queue)), T(msgget(key(3), 0) == queue), T(ok(msgget(key(3), IPC_CREAT | IPC_EXCL))), T(ok(msgget(key(4), 0600)));
    show_queue("new");
    T(send(0, "x", 0)), T(send(-1, "x", 0)), T(send(3, "three", 0)), T(send(1, "one", 0)), T(send(2, "two", 0)), T(send(1, "another", 0)), T(send(7, "", 0));
    show_queue("five");
    R(4, 10, IPC_NOWAIT), R(0, 3, 0), R(0, 3, MSG_NOERROR), R(-2, 10, 0), R(1, 10, MSG_EXCEPT), R(-100, 10, 0), R(7, 0, 0), R(0, 10, IPC_NOWAIT);
    show_queue("empty");
    send(5, "a", 0), send(LONG_MAX, "b", 0), send(6, "c", 0);
    R(1, 10, MSG_COPY | IPC_NOWAIT), R(0, 10, MSG_COPY | IPC_NOWAIT), R(3, 10, MSG_COPY | IPC_NOWAIT), R(0, 0, MSG_COPY | IPC_NOWAIT);
    R(0, 0, MSG_COPY | IPC_NOWAIT | MSG_NOERROR), R(0, 10, MSG_COPY), R(0, 10, MSG_COPY | IPC_NOWAIT | MSG_EXCEPT);
    R(LONG_MIN, 10, IPC_NOWAIT), R(LONG_MIN, 10, IPC_NOWAIT), R(LONG_MIN, 10, IPC_NOWAIT), R(LONG_MIN, 10, IPC_NOWAIT);
    /* Bad arguments. */
    struct message m = {1, "text"};
    T(e(msgsnd(queue, &m, 8193, 0))), T(e(msgsnd(queue, &m, -1L, 0))), T(e(msgsnd(queue, (void *)8, 1, 0))), T(e(msgsnd(-1, &m, 1, 0)));
    T(e(msgsnd(queue + (1 << 20), &m, 1, 0))), T(e(msgrcv(queue, &m, -1L, 0, IPC_NOWAIT))), T(e(msgrcv(-1, &m, 1, 0, IPC_NOWAIT)));
    send(1, "lost", 0);
    T(e(msgrcv(queue, (void *)8, 10, 0, 0)));
    show_queue("after one that nobody could take");
    /* Who waits gets what comes, at once. */
    pthread_t t = thread(receives, (void *)9), o = thread(receives, (void *)-9);
    T(send(10, "for nobody", 0)), T(send(9, "nine", 0)), show_queue("handed over");
    T(send(8, "longer than ten bytes", 0)), printf("%s\n", text_of(t)), printf("%s\n", text_of(o));
    show_queue("one too long");
    R(0, 10, IPC_NOWAIT), R(0, 100, IPC_NOWAIT);
    /* Full. */
    memset(m.text, 'x', sizeof m.text);
    T(e(msgsnd(queue, &m, 8192, IPC_NOWAIT))), T(e(msgsnd(queue, &m, 8190, IPC_NOWAIT))), T(send(5, "xyz", IPC_NOWAIT)), T(send(5, "xy", IPC_NOWAIT)), T(send(5, "", IPC_NOWAIT));
    t = thread(sends, "waits");
    show_queue("full");
    R(0, 8192, 0), T((long)text_of(t)), show_queue("sent");
    struct msqid_ds d;
    T(e(msgctl(queue, IPC_STAT, &d)));
    d.msg_qbytes = 3, d.msg_perm.mode = 0777;
    T(e(msgctl(queue, IPC_SET, &d))), T(send(1, "", IPC_NOWAIT)), show_queue("little");
    t = thread(sends, "x");
    d.msg_qbytes = 16000;
    T(e(msgctl(queue, IPC_SET, &d))), T((long)text_of(t)), show_queue("more");
    d.msg_qbytes = 16385, T(seteuid(7)), T(e(msgctl(queue, IPC_SET, &d))), T(seteuid(0)), d.msg_qbytes = 16000;
    d.msg_perm.mode = 0600, T(e(msgctl(queue, IPC_SET, &d)));
    T(seteuid(7)), T(send(1, "x", 0)), R(0, 10, IPC_NOWAIT), T(e(msgctl(queue, IPC_STAT, &d))), T(ok(msgget(key(3), 0600))), T(e(msgctl(queue, IPC_RMID, NULL))), T(seteuid(0));
    struct msginfo info;
    T(msgctl(0, IPC_INFO, (void *)&info) >= 0);
    printf("msgpool %d msgmap %d msgmax %d msgmnb %d msgmni %d msgssz %d msgtql %d msgseg %d\n", info.msgpool, info.msgmap, info.msgmax,
           info.msgmnb, info.msgmni, info.msgssz, info.msgtql, info.msgseg);
    T(msgctl(0, MSG_INFO, (void *)&info) >= 0), T(info.msgpool >= 1), T(info.msgmap >= 3), T(info.msgtql >= 8190);
    T(msgctl(queue & 0x7fff, MSG_STAT, &d) == queue), T(e(msgctl(queue, 99, &d))), T(e(msgctl(queue, IPC_STAT, (void *)8)));
    /* Signals and removal. */
    t = thread(receives, (void *)77);
    pthread_kill(t, SIGUSR1);
    printf("%s\n", text_of(t));
    d.msg_qbytes = 1, d.msg_perm.mode = 0600, T(e(msgctl(queue, IPC_SET, &d)));
    t = thread(sends, "much");
    pthread_kill(t, SIGUSR1);
    T((long)text_of(t));
    t = thread(receives, (void *)77), o = thread(sends, "much");
    T(e(msgctl(queue, IPC_RMID, NULL))), printf("%s\n", text_of(t)), T((long)text_of(o)), T(e(msgctl(queue, IPC_STAT, &d))), R(0, 10, 0);
}

/* What sysctl(8) tells. */
static void limits(void) {
    for (const char **f = (const char *[]){"sem", "shmmax", "shmall", "shmmni", "msgmax", "msgmnb", "msgmni", NULL}; *f; f++) {
        char path[64], text[64] = "";
        sprintf(path, "/proc/sys/kernel/%s", *f);
        FILE *file = fopen(path, "r");
        if (file) fgets(text, sizeof text, file), fclose(file);
        printf("%s %s", *f, text);
    }
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!mkdtemp(folder)) perror("mkdtemp");
    segments();
    about_segments();
    limited();
    semaphores();
    waiting();
    undo();
    queues();
    limits();
    rmdir(folder);
    return 0;
}
