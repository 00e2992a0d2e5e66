/* Who is told of readiness: signals (O_ASYNC), sockets that share a port, exclusive watches. Says the same on Linux. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "loopback.h"

static volatile sig_atomic_t came;
static volatile int from_fd, band;

static void arrived(int number, siginfo_t *info, void *context) {
    came = number;
    from_fd = info->si_fd;
    band = info->si_band;
}

static void signals_of(const char *what, int reads, int writes) {
    struct sigaction action = {0};
    action.sa_sigaction = arrived;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(SIGIO, &action, NULL), sigaction(SIGRTMIN + 3, &action, NULL);
    printf("%s: owner %ld", what, e(fcntl(reads, F_GETOWN)));
    long done = e(fcntl(reads, F_SETOWN, getpid()));
    printf(" %ld %d", done, fcntl(reads, F_GETOWN) == getpid());
    done = e(fcntl(reads, F_SETFL, fcntl(reads, F_GETFL) | O_ASYNC));
    printf(" on %ld %d", done, (fcntl(reads, F_GETFL) & O_ASYNC) != 0);
    came = 0;
    write(writes, "x", 1);
    for (int i = 0; i < 1000 && !came; i++) usleep(1000);
    printf(" came %d", came == SIGIO);
    done = e(fcntl(reads, F_SETSIG, SIGRTMIN + 3));
    printf(" signal %ld %d", done, fcntl(reads, F_GETSIG) == SIGRTMIN + 3);
    came = 0;
    write(writes, "y", 1);
    for (int i = 0; i < 1000 && !came; i++) usleep(1000);
    printf(" came %d from %d band %x", came == SIGRTMIN + 3, from_fd == reads, band & 0x41);
    fcntl(reads, F_SETFL, fcntl(reads, F_GETFL) & ~O_ASYNC);
    came = 0;
    write(writes, "z", 1);
    usleep(20000);
    printf(" off %d\n", came == 0);
}

static void signals(void) {
    int fd[2];
    ends(fd);
    signals_of("TCP", fd[1], fd[0]);
    struct f_owner_ex owner = {9, 9};
    T(e(fcntl(fd[1], F_GETOWN_EX, &owner))), T(owner.type), T(owner.pid == getpid());
    owner.type = F_OWNER_TID, owner.pid = gettid();
    T(e(fcntl(fd[1], F_SETOWN_EX, &owner)));
    owner.type = 7;
    T(e(fcntl(fd[1], F_SETOWN_EX, &owner)));
    T(e(fcntl(fd[1], F_SETSIG, 65)));
    T(e(fcntl(fd[1], F_SETOWN, 0))), T(e(fcntl(fd[1], F_GETOWN)));
    T(e(fcntl(fd[1], F_SETOWN, 999999)));
    close(fd[0]), close(fd[1]);
    socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
    signals_of("UNIX", fd[1], fd[0]);
    int on = 1;
    T(e(ioctl(fd[1], FIOASYNC, &on))), T((fcntl(fd[1], F_GETFL) & O_ASYNC) != 0);
    close(fd[0]), close(fd[1]);
    pipe(fd);
    signals_of("pipe", fd[0], fd[1]);
    close(fd[0]), close(fd[1]);
    int one = bound(SOCK_DGRAM), other = to(SOCK_DGRAM, address(one));
    signals_of("UDP", one, other);
    close(one), close(other);
}

static void balanced(void) {
    int a = socket(AF_INET, SOCK_STREAM, 0), b = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in at = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
    set(a, SOL_SOCKET, SO_REUSEPORT, 1), set(b, SOL_SOCKET, SO_REUSEPORT, 1);
    T(e(bind(a, (void *)&at, sizeof at)));
    at = address(a);
    T(e(bind(b, (void *)&at, sizeof at)));
    T(e(listen(a, 64))), T(e(listen(b, 64)));
    fcntl(a, F_SETFL, O_NONBLOCK), fcntl(b, F_SETFL, O_NONBLOCK);
    int clients[40], counts[2] = {0, 0};
    for (int i = 0; i < 40; i++) clients[i] = to(SOCK_STREAM, at);
    usleep(20000);
    for (int fd; (fd = accept(a, NULL, NULL)) >= 0; counts[0]++) close(fd);
    for (int fd; (fd = accept(b, NULL, NULL)) >= 0; counts[1]++) close(fd);
    printf("both served %d, all of them %d\n", counts[0] > 0 && counts[1] > 0, counts[0] + counts[1] == 40);
    for (int i = 0; i < 40; i++) close(clients[i]);
    close(a), close(b);
    a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0);
    set(a, SOL_SOCKET, SO_REUSEPORT, 1), set(b, SOL_SOCKET, SO_REUSEPORT, 1);
    at.sin_port = 0;
    bind(a, (void *)&at, sizeof at);
    at = address(a);
    T(e(bind(b, (void *)&at, sizeof at)));
    counts[0] = counts[1] = 0;
    for (int i = 0; i < 40; i++) {
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        sendto(fd, "x", 1, 0, (void *)&at, sizeof at), sendto(fd, "x", 1, 0, (void *)&at, sizeof at);
        close(fd);
    }
    char c;
    while (recv(a, &c, 1, MSG_DONTWAIT) == 1) counts[0]++;
    while (recv(b, &c, 1, MSG_DONTWAIT) == 1) counts[1]++;
    /* What one sender sends comes to the same socket. */
    printf("both served %d, all of them %d, in pairs %d\n", counts[0] > 0 && counts[1] > 0, counts[0] + counts[1] == 80, counts[0] % 2 == 0);
    close(a), close(b);
}

static int shared, woken;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *waits(void *how) {
    int set = epoll_create1(0);
    struct epoll_event event = {EPOLLIN | (uintptr_t)how, {0}};
    epoll_ctl(set, EPOLL_CTL_ADD, shared, &event);
    int count = epoll_wait(set, &event, 1, 1500);
    pthread_mutex_lock(&lock);
    woken += count;
    pthread_mutex_unlock(&lock);
    close(set);
    return NULL;
}

static void exclusive(void) {
    for (int round = 0; round < 2; round++) {
        pthread_t threads[4];
        shared = eventfd(0, 0), woken = 0;
        for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, waits, (void *)(uintptr_t)(round ? 0 : EPOLLEXCLUSIVE));
        usleep(300000);
        uint64_t one = 1;
        write(shared, &one, sizeof one);
        for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
        printf("%s: %d woken\n", round ? "shared" : "exclusive", woken);
        close(shared);
    }
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    signals(), balanced(), exclusive();
    return 0;
}
