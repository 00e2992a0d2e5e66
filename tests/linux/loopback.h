/* What the programs about sockets have in common: one call a line, and sockets of the loopback address. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* One call a line, in this order. */
#define T(what) printf("%s: %ld\n", #what, (long)(what))

static long e(long result) { return result < 0 ? -errno : result; }

static struct sockaddr_in address(int fd) {
    struct sockaddr_in a;
    socklen_t length = sizeof a;
    memset(&a, 0, sizeof a);
    getsockname(fd, (void *)&a, &length);
    return a;
}

static int bound(int type) {
    struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, type, 0);
    if (bind(fd, (void *)&a, sizeof a)) perror("bind");
    return fd;
}

static int to(int type, struct sockaddr_in a) {
    int fd = socket(AF_INET, type, 0);
    if (connect(fd, (void *)&a, sizeof a)) printf("connect: %d\n", errno);
    return fd;
}

/* Two ends of a TCP connection. */
static void ends(int fd[2]) {
    int listener = bound(SOCK_STREAM);
    listen(listener, 4);
    fd[0] = to(SOCK_STREAM, address(listener));
    fd[1] = accept(listener, NULL, NULL);
    close(listener);
}

static long set(int fd, int level, int name, int value) { return e(setsockopt(fd, level, name, &value, sizeof value)); }
