/* Sockets inside a machine: options, flags, control messages, ends. Says the same on Linux. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>

#include "loopback.h"

static long get(int fd, int level, int name) {
    int value = -7;
    socklen_t length = sizeof value;
    return getsockopt(fd, level, name, &value, &length) ? -errno : value;
}

static void options(void) {
    static const struct { const char *what; int level, name, values[4]; } all[] = {
        {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, {1, 0, 7, -1}}, {"TCP_KEEPIDLE", 6, TCP_KEEPIDLE, {1, 60, 0, 32768}},
        {"TCP_KEEPINTVL", 6, TCP_KEEPINTVL, {1, 60, 0, 32768}}, {"TCP_KEEPCNT", 6, TCP_KEEPCNT, {1, 5, 0, 128}},
        {"SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, {1, 10000, 100000, 0}}, {"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, {1, 10000, 100000, 0}},
        {"IP_TTL", 0, IP_TTL, {1, 255, 0, 256}}, {"IP_TOS", 0, IP_TOS, {0x10, 0x88, 0, 4}},
        {"TCP_USER_TIMEOUT", 6, TCP_USER_TIMEOUT, {1000, 0, 5, -1}}, {"TCP_DEFER_ACCEPT", 6, TCP_DEFER_ACCEPT, {1, 2, 5, 0}},
        {"SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, {5, 0, 9, 1}}, {"SO_OOBINLINE", SOL_SOCKET, SO_OOBINLINE, {1, 0, 2, 0}},
        {"IP_MTU_DISCOVER", 0, IP_MTU_DISCOVER, {0, 2, 3, 9}}, {"TCP_NODELAY", 6, TCP_NODELAY, {1, 0, 3, -1}},
        {"SO_TIMESTAMP", SOL_SOCKET, SO_TIMESTAMP, {1, 0, 2, 0}}, {"SO_TIMESTAMPNS", SOL_SOCKET, SO_TIMESTAMPNS, {1, 0, 2, 0}},
    };
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        printf("%s: %ld", all[i].what, get(fd, all[i].level, all[i].name));
        for (int k = 0; k < 4; k++) {
            long done = set(fd, all[i].level, all[i].name, all[i].values[k]);
            printf(", %ld %ld", done, get(fd, all[i].level, all[i].name));
        }
        printf("\n");
        close(fd);
    }
    int six = socket(AF_INET6, SOCK_STREAM, 0);
    T(set(six, 41, IPV6_UNICAST_HOPS, 9)), T(get(six, 41, IPV6_UNICAST_HOPS)), T(set(six, 41, IPV6_UNICAST_HOPS, 256));
    T(set(six, 41, IPV6_UNICAST_HOPS, -1)), T(get(six, 41, IPV6_UNICAST_HOPS));
    T(set(six, 41, IPV6_TCLASS, 0x20)), T(get(six, 41, IPV6_TCLASS)), T(set(six, 41, IPV6_TCLASS, 256));
    close(six);
    int fd[2];
    ends(fd);
    struct tcp_info info;
    socklen_t length = sizeof info;
    T(e(getsockopt(fd[0], 6, TCP_INFO, &info, &length))), T(info.tcpi_state);
    length = 1;
    T(e(getsockopt(fd[0], 6, TCP_INFO, &info, &length))), T(length);
    shutdown(fd[0], SHUT_WR);
    length = sizeof info;
    T(e(getsockopt(fd[1], 6, TCP_INFO, &info, &length))), T(info.tcpi_state);
    struct linger linger = {1, 3}, told;
    length = sizeof told;
    T(e(setsockopt(fd[0], SOL_SOCKET, SO_LINGER, &linger, 4)));
    T(e(setsockopt(fd[0], SOL_SOCKET, SO_LINGER, &linger, sizeof linger)));
    T(e(getsockopt(fd[0], SOL_SOCKET, SO_LINGER, &told, &length))), T(told.l_onoff), T(told.l_linger);
    close(fd[0]), close(fd[1]);
    /* What a connection has from its listener. */
    int listener = bound(SOCK_STREAM);
    set(listener, SOL_SOCKET, SO_KEEPALIVE, 1), set(listener, 6, TCP_KEEPIDLE, 33), set(listener, 6, TCP_NODELAY, 1);
    listen(listener, 1);
    fd[0] = to(SOCK_STREAM, address(listener));
    fd[1] = accept(listener, NULL, NULL);
    T(get(fd[1], SOL_SOCKET, SO_KEEPALIVE)), T(get(fd[1], 6, TCP_KEEPIDLE)), T(get(fd[1], 6, TCP_NODELAY));
    close(fd[0]), close(fd[1]), close(listener);
}

/* A reset by SO_LINGER: what had come is read, then it is told once. */
static void resets(void) {
    int fd[2];
    char buffer[16];
    struct linger hard = {1, 0};
    struct sockaddr_in a;
    socklen_t length = sizeof a;
    ends(fd);
    send(fd[0], "left", 4, 0);
    setsockopt(fd[0], SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd[0]);
    struct pollfd p = {fd[1], POLLIN | POLLOUT | POLLRDHUP, 0};
    T(poll(&p, 1, 5000)), printf("events %x\n", p.revents);
    T(e(getpeername(fd[1], (void *)&a, &length)));
    T(e(recv(fd[1], buffer, sizeof buffer, 0)));
    T(e(recv(fd[1], buffer, sizeof buffer, 0)));
    T(e(recv(fd[1], buffer, sizeof buffer, 0)));
    T(e(send(fd[1], "x", 1, MSG_NOSIGNAL)));
    T(e(getpeername(fd[1], (void *)&a, &length)));
    close(fd[1]);
    ends(fd);
    shutdown(fd[0], SHUT_WR), shutdown(fd[1], SHUT_WR);
    usleep(20000);
    T(e(getpeername(fd[0], (void *)&a, &length)));
    T(e(recv(fd[0], buffer, 9, 0)));
    T(e(shutdown(fd[0], SHUT_RD)));
    close(fd[0]), close(fd[1]);
}

static void low_water(void) {
    int fd[2];
    char buffer[16];
    ends(fd);
    set(fd[1], SOL_SOCKET, SO_RCVLOWAT, 6);
    struct pollfd p = {fd[1], POLLIN, 0};
    send(fd[0], "abc", 3, 0);
    usleep(20000);
    T(poll(&p, 1, 50));
    T(e(recv(fd[1], buffer, 3, MSG_DONTWAIT | MSG_PEEK)));
    send(fd[0], "def", 3, 0);
    T(poll(&p, 1, 5000));
    T(e(recv(fd[1], buffer, 16, 0)));
    send(fd[0], "x", 1, 0), shutdown(fd[0], SHUT_WR);
    T(poll(&p, 1, 5000));
    T(e(recv(fd[1], buffer, 16, 0)));
    close(fd[0]), close(fd[1]);
}

static void connecting_again(void) {
    int fd[2], listener = bound(SOCK_STREAM);
    struct sockaddr_in a = address(listener), none = {AF_UNSPEC};
    ends(fd);
    T(e(connect(fd[0], (void *)&a, sizeof a)));
    T(e(connect(fd[0], (void *)&none, sizeof none)));
    T(e(send(fd[0], "x", 1, MSG_NOSIGNAL)));
    char c;
    T(e(recv(fd[1], &c, 1, 0)));
    listen(listener, 4);
    T(e(connect(fd[0], (void *)&a, sizeof a)));
    close(fd[0]), close(fd[1]);
    int refused = socket(AF_INET, SOCK_STREAM, 0);
    close(listener);
    T(e(connect(refused, (void *)&a, sizeof a)));
    T(get(refused, SOL_SOCKET, SO_ERROR));
    T(e(connect(refused, (void *)&a, sizeof a)));
    close(refused);
    T(e(listen(socket(AF_INET, SOCK_DGRAM, 0), 1)));
}

static void datagrams(void) {
    int one = bound(SOCK_DGRAM), other = bound(SOCK_DGRAM);
    struct sockaddr_in a = address(one), b = address(other), none = {AF_UNSPEC}, from;
    socklen_t length = sizeof from;
    static char large[70000];
    char buffer[64];
    T(e(connect(one, (void *)&b, sizeof b)));
    T(e(send(one, "hello", 5, 0)));
    T(e(recv(other, buffer, 2, MSG_PEEK)));
    T(e(recv(other, buffer, 2, MSG_PEEK | MSG_TRUNC)));
    T(e(recv(other, buffer, 64, MSG_WAITALL)));
    T(e(recv(other, buffer, 64, MSG_DONTWAIT)));
    T(e(recv(other, buffer, 64, MSG_ERRQUEUE)));
    /* Only from whom it is connected to. */
    int third = bound(SOCK_DGRAM);
    sendto(third, "stranger", 8, 0, (void *)&a, sizeof a);
    sendto(other, "friend", 6, 0, (void *)&a, sizeof a);
    T(e(recv(one, buffer, 64, 0)));
    T(e(connect(one, (void *)&none, sizeof none)));
    T(e(getpeername(one, (void *)&from, &length)));
    /* A port that the system chose is given up with the peer; one that was asked for stays. */
    T(address(one).sin_port), T(address(one).sin_addr.s_addr == htonl(INADDR_LOOPBACK));
    T(e(send(one, "x", 1, 0)));
    close(one);
    one = socket(AF_INET, SOCK_DGRAM, 0);
    T(e(bind(one, (void *)&a, sizeof a)));
    T(e(connect(one, (void *)&b, sizeof b)));
    T(e(connect(one, (void *)&none, sizeof none)));
    T(e(sendto(third, "stranger", 8, 0, (void *)&a, sizeof a)));
    length = sizeof from;
    T(e(recvfrom(one, buffer, 64, 0, (void *)&from, &length))), T(from.sin_port == address(third).sin_port);
    T(address(one).sin_port == a.sin_port);
    memset(large, 'x', sizeof large);
    T(e(sendto(one, large, 65507, 0, (void *)&b, sizeof b)));
    T(e(recv(other, large, sizeof large, 0)));
    T(e(sendto(one, large, 65508, 0, (void *)&b, sizeof b)));
    T(e(sendto(one, large, 0, 0, (void *)&b, sizeof b)));
    T(e(recv(other, buffer, 64, 0)));
    /* Nobody is there: told to who is connected, once. */
    close(other);
    T(e(connect(one, (void *)&b, sizeof b)));
    T(e(send(one, "x", 1, 0)));
    struct pollfd p = {one, POLLIN | POLLOUT, 0};
    usleep(20000);
    T(poll(&p, 1, 1000)), printf("events %x\n", p.revents);
    T(e(recv(one, buffer, 64, MSG_DONTWAIT)));
    T(e(recv(one, buffer, 64, MSG_DONTWAIT)));
    T(e(send(one, "x", 1, 0)));
    usleep(20000);
    T(get(one, SOL_SOCKET, SO_ERROR)), T(get(one, SOL_SOCKET, SO_ERROR));
    T(e(sendto(third, "x", 1, 0, (void *)&b, sizeof b)));
    usleep(20000);
    T(e(recv(third, buffer, 64, MSG_DONTWAIT)));
    T(e(shutdown(third, SHUT_RD)));
    T(e(shutdown(one, SHUT_RD))), T(e(recv(one, buffer, 64, 0)));
    T(e(shutdown(one, SHUT_WR))), T(e(send(one, "x", 1, MSG_NOSIGNAL)));
    close(one), close(third);
}

/* Control messages that come with a datagram: kinds, lengths, flags. */
static void told(const char *what, int fd, size_t room) {
    char data[16], control[256];
    struct iovec piece = {data, sizeof data};
    struct msghdr m = {NULL, 0, &piece, 1, control, room, 0};
    long got = e(recvmsg(fd, &m, MSG_DONTWAIT));
    printf("%s: %ld flags %x control %zu", what, got, m.msg_flags, m.msg_controllen);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); got >= 0 && c; c = CMSG_NXTHDR(&m, c)) {
        printf(" [%d %d %zu", c->cmsg_level, c->cmsg_type, c->cmsg_len);
        int number;
        memcpy(&number, CMSG_DATA(c), sizeof number);
        if (c->cmsg_level == 0 && c->cmsg_type != IP_PKTINFO) printf(" %d", c->cmsg_type == IP_TOS ? *(unsigned char *)CMSG_DATA(c) : number);
        if (c->cmsg_level == 0 && c->cmsg_type == IP_PKTINFO && c->cmsg_len >= CMSG_LEN(sizeof(struct in_pktinfo))) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            printf(" %d %x %x", info.ipi_ifindex, ntohl(info.ipi_spec_dst.s_addr), ntohl(info.ipi_addr.s_addr));
        }
        if (c->cmsg_level == 41) printf(" %d", number);
        if (c->cmsg_level == SOL_SOCKET && (c->cmsg_type == SO_TIMESTAMP || c->cmsg_type == SO_TIMESTAMPNS)) {
            struct timespec t, now;
            memcpy(&t, CMSG_DATA(c), sizeof t);
            clock_gettime(CLOCK_REALTIME, &now);
            printf(" recent %d", now.tv_sec - t.tv_sec >= 0 && now.tv_sec - t.tv_sec < 20);
        }
        printf("]");
    }
    printf("\n");
}

static void control_messages(void) {
    int one = bound(SOCK_DGRAM), other = bound(SOCK_DGRAM);
    struct sockaddr_in a = address(one);
    sendto(other, "x", 1, 0, (void *)&a, sizeof a);
    told("nothing asked for", one, 256);
    set(one, 0, IP_PKTINFO, 1);
    sendto(other, "x", 1, 0, (void *)&a, sizeof a);
    told("IP_PKTINFO", one, 256);
    for (size_t room = 0; room < 32; room += 9) {
        sendto(other, "x", 1, 0, (void *)&a, sizeof a);
        told("cut off", one, room);
    }
    set(one, 0, IP_PKTINFO, 0);
    set(one, SOL_SOCKET, SO_TIMESTAMP, 1);
    sendto(other, "x", 1, 0, (void *)&a, sizeof a);
    told("SO_TIMESTAMP", one, 256);
    set(one, SOL_SOCKET, SO_TIMESTAMPNS, 1);
    sendto(other, "x", 1, 0, (void *)&a, sizeof a);
    told("SO_TIMESTAMPNS", one, 256);
    T(get(one, SOL_SOCKET, SO_TIMESTAMP));
    close(one), close(other);
    struct sockaddr_in6 any = {AF_INET6, 0, 0, IN6ADDR_LOOPBACK_INIT}, at;
    socklen_t length = sizeof at;
    one = socket(AF_INET6, SOCK_DGRAM, 0), other = socket(AF_INET6, SOCK_DGRAM, 0);
    if (bind(one, (void *)&any, sizeof any) == 0) {
        getsockname(one, (void *)&at, &length);
        set(one, 41, IPV6_RECVPKTINFO, 1);
        sendto(other, "x", 1, 0, (void *)&at, sizeof at);
        told("IPV6_RECVPKTINFO", one, 256);
    }
    close(one), close(other);
}

static void waiting_for_all(void) {
    int fd[2];
    char buffer[16] = {0};
    ends(fd);
    send(fd[0], "abcdef", 6, 0);
    usleep(20000);
    T(e(recv(fd[1], buffer, 3, MSG_PEEK | MSG_WAITALL)));
    T(e(recv(fd[1], buffer, 2, MSG_TRUNC)));
    T(e(recv(fd[1], buffer, 16, MSG_WAITALL | MSG_DONTWAIT))), printf("%.4s\n", buffer);
    T(e(recv(fd[1], buffer, 16, MSG_DONTWAIT | MSG_PEEK)));
    send(fd[0], "12", 2, 0), shutdown(fd[0], SHUT_WR);
    T(e(recv(fd[1], buffer, 16, MSG_WAITALL)));
    T(e(recv(fd[1], buffer, 16, MSG_PEEK)));
    T(e(recv(fd[1], buffer, 16, MSG_ERRQUEUE)));
    T(e(recv(fd[1], NULL, 0, 0)));
    T(e(recv(fd[1], (void *)8, 1, MSG_DONTWAIT)));
    close(fd[0]), close(fd[1]);
}

static void shutting_down(void) {
    int fd[2], there;
    char c;
    ends(fd);
    send(fd[0], "abc", 3, 0);
    usleep(20000);
    T(e(ioctl(fd[1], FIONREAD, &there))), T(there);
    T(e(shutdown(fd[1], SHUT_RD)));
    T(e(recv(fd[1], &c, 1, 0)));
    T(e(send(fd[0], "d", 1, MSG_NOSIGNAL)));
    T(e(shutdown(fd[0], 3)));
    T(e(shutdown(fd[0], SHUT_WR)));
    T(e(send(fd[0], "d", 1, MSG_NOSIGNAL)));
    T(e(shutdown(fd[0], SHUT_WR)));
    T(e(send(fd[1], "e", 1, MSG_NOSIGNAL)));
    T(e(recv(fd[0], &c, 1, 0)));
    T(e(ioctl(fd[1], 0x5411, &there))), T(there);
    close(fd[0]), close(fd[1]);
    int fresh = socket(AF_INET, SOCK_STREAM, 0);
    T(e(shutdown(fresh, SHUT_RDWR)));
    T(e(ioctl(fresh, FIONREAD, &there)));
    T(e(recv(fresh, &c, 1, 0)));
    T(e(send(fresh, &c, 1, MSG_NOSIGNAL)));
    close(fresh);
}

static void local_sockets(void) {
    int fd[2], on = 1;
    struct ucred who;
    socklen_t length = sizeof who;
    socketpair(AF_UNIX, SOCK_STREAM, 0, fd);
    T(e(getsockopt(fd[0], SOL_SOCKET, SO_PEERCRED, &who, &length)));
    T(who.pid == getpid()), T(who.uid == getuid()), T(who.gid == getgid());
    T(set(fd[1], SOL_SOCKET, SO_PASSCRED, 1));
    send(fd[0], "x", 1, 0);
    char data[8], control[CMSG_SPACE(sizeof who) + CMSG_SPACE(4 * sizeof(int))];
    struct iovec piece = {data, sizeof data};
    struct msghdr m = {NULL, 0, &piece, 1, control, sizeof control, 0};
    T(e(recvmsg(fd[1], &m, 0)));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    T(c && c->cmsg_type == SCM_CREDENTIALS);
    if (c) memcpy(&who, CMSG_DATA(c), sizeof who), T(who.pid == getpid());
    /* More descriptors than there is room for. */
    int many[4] = {fd[0], fd[0], fd[1], fd[1]};
    char out[CMSG_SPACE(sizeof many)];
    memset(out, 0, sizeof out);
    struct iovec byte = {"y", 1};
    struct msghdr s = {NULL, 0, &byte, 1, out, sizeof out, 0};
    c = CMSG_FIRSTHDR(&s);
    c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof many);
    memcpy(CMSG_DATA(c), many, sizeof many);
    T(set(fd[1], SOL_SOCKET, SO_PASSCRED, 0));
    T(e(sendmsg(fd[0], &s, 0)));
    m.msg_controllen = CMSG_LEN(2 * sizeof(int));
    T(e(recvmsg(fd[1], &m, 0)));
    T(m.msg_flags), T(m.msg_controllen);
    c = CMSG_FIRSTHDR(&m);
    if (c) T(c->cmsg_len), memcpy(many, CMSG_DATA(c), 8), T(close(many[0])), T(close(many[1]));
    T(e(sendmsg(fd[0], &s, 0)));
    m.msg_controllen = 0, m.msg_flags = 0;
    T(e(recvmsg(fd[1], &m, 0))), T(m.msg_flags);
    close(fd[0]), close(fd[1]);
    /* Abstract names: any bytes, as many as were given. */
    struct sockaddr_un name = {AF_UNIX, "\0kernlet\0test"}, got;
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + 13;
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    T(e(bind(listener, (void *)&name, size)));
    T(e(listen(listener, 2)));
    int client = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    T(e(connect(client, (void *)&name, size - 1)));
    T(e(connect(client, (void *)&name, size)));
    length = sizeof got;
    T(e(getpeername(client, (void *)&got, &length))), T(length == size && !memcmp(&got, &name, size));
    int second = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    T(e(bind(second, (void *)&name, size)));
    T(e(bind(second, (void *)&name, 2)));
    length = sizeof got;
    T(e(getsockname(second, (void *)&got, &length))), T(length), T(got.sun_path[0]);
    int server = accept(listener, NULL, NULL);
    send(client, "packet", 6, 0);
    T(e(recv(server, data, 3, MSG_TRUNC)));
    T(e(recv(server, data, 3, MSG_DONTWAIT)));
    close(listener), close(client), close(server), close(second);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    T(e(connect(listener, (void *)&name, size)));
    close(listener);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, fd);
    send(fd[0], "datagram", 8, 0);
    T(e(recv(fd[1], data, 4, MSG_PEEK | MSG_TRUNC))), T(e(recv(fd[1], data, 4, 0))), T(e(recv(fd[1], data, 4, MSG_DONTWAIT)));
    close(fd[1]);
    T(e(send(fd[0], "x", 1, MSG_NOSIGNAL)));
    close(fd[0]);
}

static void interfaces(void) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0), found = 0;
    struct ifreq all[16], one;
    struct ifconf list = {sizeof all, {(void *)all}};
    T(e(ioctl(fd, 0x8912, &list)));
    for (unsigned i = 0; i < list.ifc_len / sizeof *all; i++)
        if (!strcmp(all[i].ifr_name, "lo")) found = ((struct sockaddr_in *)&all[i].ifr_addr)->sin_addr.s_addr == htonl(INADDR_LOOPBACK);
    T(found);
    list.ifc_len = sizeof *all - 1;
    T(e(ioctl(fd, 0x8912, &list))), T(list.ifc_len);
    memset(&one, 0, sizeof one);
    strcpy(one.ifr_name, "lo");
    T(e(ioctl(fd, 0x8913, &one))), T(one.ifr_flags & (IFF_UP | IFF_LOOPBACK | IFF_RUNNING));
    T(e(ioctl(fd, 0x8921, &one))), T(one.ifr_mtu);
    T(e(ioctl(fd, 0x8933, &one))), T(one.ifr_ifindex);
    strcpy(one.ifr_name, "nothing0");
    T(e(ioctl(fd, 0x8913, &one)));
    close(fd);
}

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    options(), resets(), low_water(), connecting_again(), datagrams(), control_messages(), waiting_for_all(), shutting_down();
    local_sockets(), interfaces();
    return 0;
}
