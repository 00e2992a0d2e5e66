/* Whoever reads standard output is slow: the thread that writes waits, and no other. What was seen goes to standard error. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ALL (3 << 20)

static volatile long done;

static void *writes(void *nothing) {
    char *bytes = malloc(ALL);
    memset(bytes, 'x', ALL);
    for (long at = 0; at < ALL;) {
        long n = write(1, bytes + at, ALL - at);
        if (n < 0) {
            dprintf(2, "error %d\n", errno);
            exit(1);
        }
        at += n;
    }
    done = 1;
    return NULL;
}

int main(int argc, char **argv) {
    pthread_t thread;
    int epoll = epoll_create1(0);
    struct pollfd out = {.fd = 1, .events = POLLOUT};
    struct epoll_event event = {.events = EPOLLOUT}, got;
    epoll_ctl(epoll, EPOLL_CTL_ADD, 1, &event);
    dprintf(2, "at first: %d %d\n", poll(&out, 1, 0), epoll_wait(epoll, &got, 1, 0));
    pthread_create(&thread, NULL, writes, NULL);
    /* While the reader waits for this, nothing more is taken. */
    int calm = 0;
    while (calm < 20) {
        usleep(20000);
        calm = poll(&out, 1, 0) == 0 ? calm + 1 : 0;
    }
    dprintf(2, "full: %d %d\n", epoll_wait(epoll, &got, 1, 0), (int)done);
    fcntl(1, F_SETFL, O_WRONLY | O_NONBLOCK);
    long n = write(1, "y", 1);
    dprintf(2, "no waiting: %ld %d\n", n, n < 0 && errno == EAGAIN);
    fcntl(1, F_SETFL, O_WRONLY);
    dprintf(2, "read now\n");
    dprintf(2, "room: %d\n", epoll_wait(epoll, &got, 1, -1));
    pthread_join(thread, NULL);
    dprintf(2, "written: %d\n", (int)done);
    return 0;
}
