/* Without arguments: sends each datagram that comes to port 7 back. With an address and a length: sends one of that length
   there until it comes back the same, at most ten times. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static char sent[70000], back[70000];

static int serve(void) {
    int both = 0, s = socket(AF_INET6, SOCK_DGRAM, 0);
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(7)}, peer;
    setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof both);
    if (bind(s, (struct sockaddr *)&any, sizeof any) != 0) return perror("bind"), 1;
    for (;;) {
        socklen_t size = sizeof peer;
        ssize_t length = recvfrom(s, back, sizeof back, 0, (struct sockaddr *)&peer, &size);
        if (length < 0) return perror("recvfrom"), 1;
        if (sendto(s, back, length, 0, (struct sockaddr *)&peer, size) != length) return perror("sendto"), 1;
    }
}

int main(int count, char **words) {
    if (count < 3) return serve();
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST}, *to;
    if (getaddrinfo(words[1], "7", &hints, &to) != 0) return fprintf(stderr, "no address: %s\n", words[1]), 2;
    int s = socket(to->ai_family, SOCK_DGRAM, 0);
    struct timeval second = {.tv_sec = 1};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second);
    if (connect(s, to->ai_addr, to->ai_addrlen) != 0) return perror("connect"), 1;
    size_t length = strtoul(words[2], NULL, 10);
    for (size_t i = 0; i < length; i++) sent[i] = (char)(i * 31 >> 3);
    for (int i = 0; i < 10; i++) {
        if (send(s, sent, length, 0) == (ssize_t)length) {
            ssize_t came = recv(s, back, sizeof back, 0);
            if (came == (ssize_t)length && memcmp(sent, back, length) == 0) return 0;
        }
        usleep(100000);
    }
    return fprintf(stderr, "%zu bytes never came back from %s\n", length, words[1]), 1;
}
