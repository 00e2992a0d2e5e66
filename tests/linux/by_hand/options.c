/* Accepts connections at port 7000, each with options that the host's socket is to have, and breaks them off when told to. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void set(int fd, int level, int name, int value) {
    if (setsockopt(fd, level, name, &value, sizeof value)) perror("setsockopt");
}

int main(void) {
    struct sockaddr_in any = {AF_INET, htons(7000), {0}};
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    /* What connections have from here. */
    set(listener, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (bind(listener, (void *)&any, sizeof any) || listen(listener, 8)) return perror("listen"), 1;
    for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; close(fd)) {
        struct tcp_info info;
        socklen_t length = sizeof info;
        char said[64], c;
        set(fd, IPPROTO_TCP, TCP_KEEPIDLE, 77);
        memset(&info, 0, sizeof info);
        int told = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length);
        int l = sprintf(said, "state %d told %d measured %d\n", info.tcpi_state, told, info.tcpi_rto > 0 && info.tcpi_snd_mss > 0);
        if (write(fd, said, l) != l || read(fd, &c, 1) != 1) continue;
        struct linger hard = {c == 'r', 0};
        if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard)) perror("SO_LINGER");
    }
    return perror("accept"), 1;
}
