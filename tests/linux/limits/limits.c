/* Runs into a limit and tells what the system said: descriptors, threads, memory, a full volume, unknown calls. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *waits(void *arg) {
    pthread_mutex_lock(&lock);
    pthread_mutex_unlock(&lock);
    return arg;
}

static void descriptors(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    int count = 0, fd;
    while ((fd = open("/dev/null", O_RDONLY)) >= 0) count = fd + 1;
    printf("open: %s, as many as the limit %d\n", strerror(errno), (rlim_t)count == limit.rlim_cur);
    printf("socket: %s\n", socket(AF_INET, SOCK_STREAM, 0) < 0 ? strerror(errno) : "made");
    int two[2];
    printf("pipe: %s\n", pipe(two) < 0 ? strerror(errno) : "made");
    printf("dup: %s\n", dup(0) < 0 ? strerror(errno) : "made");
    close(count - 1);
    printf("after one was closed: %d\n", open("/dev/null", O_RDONLY) == count - 1);
}

static void threads(void) {
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 16384);
    static pthread_t all[1 << 20];
    int count = 0, error = 0;
    pthread_mutex_lock(&lock);
    while (count < 1 << 20 && (error = pthread_create(&all[count], &small, waits, NULL)) == 0) count++;
    fprintf(stderr, "%d threads\n", count);
    printf("threads: %s\n", strerror(error));
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < count; i++) pthread_join(all[i], NULL);
    printf("again: %s\n", strerror(pthread_create(&all[0], &small, waits, NULL)));
    pthread_join(all[0], NULL);
}

static void memory(void) {
    size_t size = 1ul << 30;
    void *volatile large = malloc(size);
    printf("malloc of a gigabyte: %s\n", large == NULL ? strerror(errno) : "given");
    void *reserved = mmap(NULL, 1ul << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    printf("a terabyte reserved: %s\n", reserved == MAP_FAILED ? strerror(errno) : "given");
    void *volatile small = malloc(1 << 20);
    printf("malloc of a megabyte: %s\n", small ? "given" : strerror(errno));
}

static void touch(void) {
    size_t size = 1ul << 30;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    printf("given %d\n", p != MAP_FAILED);
    fflush(stdout);
    for (size_t i = 0; i < size; i += 4096) p[i] = 1;
    puts("touched");
}

static void fill(const char *path) {
    static char block[65536];
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    long total = 0, n;
    while ((n = write(fd, block, sizeof block)) > 0) total += n;
    printf("write: %s, some fitted %d\n", strerror(errno), total > 0);
    printf("sync %d, end %d\n", fsync(fd), lseek(fd, 0, SEEK_END) == total);
    ftruncate(fd, 0);
    printf("after it was cut: %ld\n", (long)write(fd, block, 4096));
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "descriptors")) descriptors();
    else if (!strcmp(what, "threads")) threads();
    else if (!strcmp(what, "memory")) memory();
    else if (!strcmp(what, "touch")) touch();
    else if (!strcmp(what, "fill")) fill(argv[2]);
    else if (!strcmp(what, "unknown")) {
        long result = syscall(9999);
        printf("unknown: %ld %s\n", result, strerror(errno));
    }
    else return 2;
    return 0;
}
