/* What other systems' test suites found: each call as Linux has it. Says the same on Linux, run by root. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

/* One call a line, in this order. */
#define T(what) printf("%d %s: %ld\n", __LINE__, #what, e((long)(what)))

static long e(long result) { return result == -1 ? -errno : result; }

static void small_things(void) {
    unsigned long set;
    T(syscall(SYS_sched_getaffinity, -1, sizeof set, &set));
    T(syscall(SYS_sched_setaffinity, -1, sizeof set, &set));
    T(personality(0xffffffea));
    T(personality(0xffffffff));
    T(personality(0));
    int fd = open("/tmp", O_RDONLY | O_DIRECTORY);
    T(syscall(SYS_fadvise64, fd, 0l, -1l, 0));
    T(syscall(SYS_fadvise64, fd, 0l, 1l, 0));
    close(fd);
    struct itimerval off = {{10, 20}, {0, 0}}, was;
    for (int kind = 0; kind < 3; kind++) {
        T(setitimer(kind, &off, NULL));
        T(getitimer(kind, &was));
        printf("%ld %ld\n", (long)was.it_interval.tv_sec, (long)was.it_value.tv_sec);
        setitimer(kind, &(struct itimerval){0}, NULL);
    }
    struct timespec now = {1000000000, 0}, bad = {0, 1000000000};
    for (int clock = 1; clock < 5; clock++) T(clock_settime(clock, &now));
    T(clock_settime(CLOCK_REALTIME, &bad));
    T(syscall(SYS_clock_settime, CLOCK_REALTIME, 16));
    T(clock_settime(99, &now));
    struct timex left = {.modes = 0xa001}, wrong = {.modes = 0x8000};
    T(adjtimex(&left) >= 0);
    T(adjtimex(&wrong));
    struct statfs root;
    T(statfs("/", &root));
    T(root.f_blocks > root.f_bfree);
}

/* A TCP connection inside the machine. */
static void connection(int both[2]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&address, sizeof address);
    listen(listener, 1);
    getsockname(listener, (struct sockaddr *)&address, &length);
    both[0] = socket(AF_INET, SOCK_STREAM, 0);
    connect(both[0], (struct sockaddr *)&address, sizeof address);
    both[1] = accept(listener, NULL, NULL);
    close(listener);
}

/* Who closes with something unread resets the connection; what had been sent before is read all the same. */
static void reset_behind_data(void) {
    int both[2];
    char bytes[16];
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    connection(both);
    T(send(both[1], "unread", 6, 0));
    T(send(both[0], "last words", 10, 0));
    close(both[0]);
    struct pollfd wait = {.fd = both[1], .events = POLLIN};
    T(poll(&wait, 1, 1000));
    usleep(10000);
    T(poll(&wait, 1, 0));
    T(wait.revents);
    T(getpeername(both[1], (struct sockaddr *)&peer, &length));
    T(recv(both[1], bytes, 4, MSG_PEEK));
    T(recv(both[1], bytes, sizeof bytes, 0));
    T(recv(both[1], bytes, sizeof bytes, 0));
    T(recv(both[1], bytes, sizeof bytes, 0));
    close(both[1]);
    /* The error is told by SO_ERROR; what is there is read then as well. */
    connection(both);
    send(both[1], "unread", 6, 0);
    send(both[0], "last words", 10, 0);
    close(both[0]);
    usleep(10000);
    int error = 0;
    length = sizeof error;
    T(getsockopt(both[1], SOL_SOCKET, SO_ERROR, &error, &length));
    T(error);
    T(recv(both[1], bytes, sizeof bytes, 0));
    T(recv(both[1], bytes, sizeof bytes, 0));
    close(both[1]);
}

/* POSIX message queues: as glibc calls them, without the slash. */
struct attributes {
    long flags, most, longest, messages, reserved[4];
};
#define Q_OPEN(...) syscall(SYS_mq_open, __VA_ARGS__)
#define Q_SEND(...) syscall(SYS_mq_timedsend, __VA_ARGS__)
#define Q_RECEIVE(...) syscall(SYS_mq_timedreceive, __VA_ARGS__)
#define Q_NOTIFY(...) syscall(SYS_mq_notify, __VA_ARGS__)
#define Q_ATTRIBUTES(...) syscall(SYS_mq_getsetattr, __VA_ARGS__)
#define Q_UNLINK(name) syscall(SYS_mq_unlink, name)

static volatile int told, told_code, told_value;

static void note(int number, siginfo_t *information, void *context) {
    told = number, told_code = information->si_code, told_value = information->si_value.sival_int;
}

static void *sender(void *queue) {
    usleep(20000);
    Q_SEND(*(int *)queue, "late", 4, 3, NULL);
    return NULL;
}

static void queues(void) {
    char bytes[32];
    unsigned priority;
    struct attributes wanted = {0, 3, 16}, got;
    struct stat st;
    Q_UNLINK("suites-queue");
    T(Q_OPEN("suites-queue", O_RDWR, 0, NULL));
    T(Q_OPEN("", O_RDWR | O_CREAT, 0600, NULL));
    T(Q_OPEN("a/b", O_RDWR | O_CREAT, 0600, NULL));
    T(Q_OPEN("..", O_RDWR | O_CREAT, 0600, NULL));
    T(Q_OPEN("suites-queue", O_RDWR | O_CREAT, 0600, &(struct attributes){0, 0, 16}));
    T(Q_OPEN("suites-queue", O_RDWR | O_CREAT, 0600, &(struct attributes){0, 10, -1}));
    T(Q_OPEN("suites-queue", O_RDWR | O_CREAT, 0600, &(struct attributes){0, 100000, 16}));
    int queue = Q_OPEN("suites-queue", O_RDWR | O_CREAT | O_NONBLOCK, 0640, &wanted);
    T(queue >= 0);
    T(fcntl(queue, F_GETFD));
    T(fcntl(queue, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
    T(fstat(queue, &st));
    printf("%o %ld\n", st.st_mode, (long)st.st_size);
    T(Q_OPEN("suites-queue", O_RDWR | O_CREAT | O_EXCL, 0600, NULL));
    T(Q_OPEN("suites-queue", O_ACCMODE, 0, NULL));
    T(Q_ATTRIBUTES(queue, NULL, &got));
    printf("%ld %ld %ld %ld\n", got.flags, got.most, got.longest, got.messages);
    T(Q_ATTRIBUTES(0, NULL, &got));
    T(Q_ATTRIBUTES(queue, &(struct attributes){O_APPEND}, NULL));

    T(Q_RECEIVE(queue, bytes, 32, &priority, NULL));
    T(Q_RECEIVE(queue, bytes, 8, &priority, NULL));
    T(Q_SEND(queue, bytes, 17, 0, NULL));
    T(Q_SEND(queue, bytes, 1, 32768, NULL));
    T(Q_SEND(queue, (char *)16, 1, 0, NULL));
    struct pollfd wait = {.fd = queue, .events = POLLIN | POLLOUT};
    T(poll(&wait, 1, 0));
    T(wait.revents);
    T(Q_SEND(queue, "low", 3, 1, NULL));
    T(Q_SEND(queue, "high", 4, 9, NULL));
    T(Q_SEND(queue, "low too", 7, 1, NULL));
    T(Q_SEND(queue, "more", 4, 1, NULL));
    T(poll(&wait, 1, 0));
    T(wait.revents);
    T(Q_ATTRIBUTES(queue, NULL, &got));
    printf("%ld %ld %ld %ld\n", got.flags, got.most, got.longest, got.messages);
    for (int i = 0; i < 3; i++) {
        memset(bytes, 0, sizeof bytes);
        T(Q_RECEIVE(queue, bytes, 32, &priority, NULL));
        printf("%s %u\n", bytes, priority);
    }
    T(Q_SEND(queue, "", 0, 0, NULL));
    T(Q_RECEIVE(queue, bytes, 32, NULL, NULL));

    /* Being told. */
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77};
    T(Q_NOTIFY(queue, &event));
    T(Q_NOTIFY(queue, &event));
    T(Q_SEND(queue, "x", 1, 0, NULL));
    printf("%d %d %d\n", told, told_code, told_value);
    told = 0;
    T(Q_NOTIFY(queue, &event));
    T(Q_SEND(queue, "x", 1, 0, NULL));
    printf("%d\n", told);
    T(Q_NOTIFY(queue, NULL));
    T(Q_NOTIFY(queue, NULL));
    T(Q_RECEIVE(queue, bytes, 32, NULL, NULL));
    T(Q_RECEIVE(queue, bytes, 32, NULL, NULL));
    event.sigev_signo = 100;
    T(Q_NOTIFY(queue, &event));
    event.sigev_notify = 9;
    T(Q_NOTIFY(queue, &event));
    T(Q_NOTIFY(0, NULL));

    /* Waiting. */
    T(Q_ATTRIBUTES(queue, &(struct attributes){0}, &got));
    T(got.flags);
    struct timespec past = {1, 0}, bad = {1, 1000000000};
    T(Q_RECEIVE(queue, bytes, 32, NULL, &past));
    T(Q_RECEIVE(queue, bytes, 32, NULL, &bad));
    pthread_t thread;
    pthread_create(&thread, NULL, sender, &queue);
    T(Q_RECEIVE(queue, bytes, 32, &priority, NULL));
    printf("%.4s %u\n", bytes, priority);
    pthread_join(thread, NULL);

    int reader = Q_OPEN("suites-queue", O_RDONLY, 0, NULL);
    T(Q_SEND(reader, "x", 1, 0, NULL));
    T(Q_UNLINK("suites-queue"));
    T(Q_UNLINK("suites-queue"));
    T(Q_OPEN("suites-queue", O_RDONLY, 0, NULL));
    T(Q_SEND(queue, "still", 5, 0, NULL));
    T(Q_RECEIVE(reader, bytes, 32, NULL, NULL));
    close(reader);
    close(queue);
    T(Q_SEND(queue, "x", 1, 0, NULL));
}

#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_SEAL 1
#define F_SEAL_SHRINK 2
#define F_SEAL_GROW 4
#define F_SEAL_WRITE 8
#endif

static int sealed(unsigned flags) { return syscall(SYS_memfd_create, "suites", flags); }

/* What can never be done with a file in memory any more. */
static void seals(void) {
    int none = sealed(0), fd = sealed(2), device = open("/dev/null", O_RDWR);
    T(fcntl(none, F_GET_SEALS));
    T(fcntl(none, F_ADD_SEALS, F_SEAL_GROW));
    T(fcntl(device, F_GET_SEALS));
    T(fcntl(device, F_ADD_SEALS, F_SEAL_GROW));
    T(fcntl(fd, F_GET_SEALS));
    T(fcntl(fd, F_ADD_SEALS, 0x1000));
    T(write(fd, "0123456789", 10));
    T(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK));
    T(fcntl(fd, F_GET_SEALS));
    T(ftruncate(fd, 5));
    T(ftruncate(fd, 20));
    T(ftruncate(fd, 10));
    T(pwrite(fd, "x", 1, 0));
    T(pwrite(fd, "xx", 2, 9));
    T(fallocate(fd, 0, 0, 4096));
    T(fallocate(fd, 0, 0, 10));
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    T(map != MAP_FAILED);
    T(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    munmap(map, 4096);
    T(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    T(pwrite(fd, "y", 1, 0));
    T(fallocate(fd, 3, 0, 10));
    T(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? errno : 0);
    map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    T(map != MAP_FAILED && map[0] == 'x');
    T(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    T(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    T(fcntl(fd, F_GET_SEALS));
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", none);
    int reader = open(path, O_RDONLY);
    T(ftruncate(none, 4096));
    T(fcntl(reader, F_ADD_SEALS, F_SEAL_GROW));
    /* What was opened for reading is not written by a mapping either. */
    map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, reader, 0);
    T(map != MAP_FAILED);
    T(mprotect(map, 4096, PROT_READ | PROT_WRITE));
    T(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reader, 0) == MAP_FAILED ? errno : 0);
}

/* A process's directory of /proc stands for it where signals are sent by a descriptor. */
static void signal_by_directory(void) {
    struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR2, &action, NULL);
    int own = open("/proc/self", O_RDONLY | O_DIRECTORY), other = open("/proc", O_RDONLY | O_DIRECTORY);
    int path = open("/proc/self", O_PATH);
    T(syscall(SYS_pidfd_send_signal, own, SIGUSR2, NULL, 0));
    T(told);
    T(syscall(SYS_pidfd_send_signal, other, SIGUSR2, NULL, 0));
    T(syscall(SYS_pidfd_send_signal, path, SIGUSR2, NULL, 0));
    T(syscall(SYS_pidfd_send_signal, 0, SIGUSR2, NULL, 0));
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    small_things();
    reset_behind_data();
    queues();
    seals();
    signal_by_directory();
    return 0;
}
