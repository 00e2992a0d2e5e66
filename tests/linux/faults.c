/* Transfers into and out of memory that ends in their midst: what was moved before counts. Says the same on Linux. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char *pages, *none;

static long e(long r) { return r < 0 ? -errno : r; }

/* `good` bytes that are there, before bytes that are not. */
static char *before(int good) { return none - good; }

static void files(const char *what, int fd) {
    ftruncate(fd, 0);
    memset(pages, 'a', 8192);
    printf("%s: write %ld", what, e(write(fd, before(5000), 9000)));
    printf(" %ld", e(write(fd, before(10), 20)));
    printf(" %ld", e(write(fd, none, 20)));
    printf(", length %ld", (long)lseek(fd, 0, SEEK_END));
    printf(", pwrite %ld", e(pwrite(fd, before(4096), 5000, 100)));
    struct iovec three[3] = {{pages, 10}, {before(6), 12}, {pages, 10}};
    printf(", writev %ld", e(writev(fd, three, 3)));
    printf(", length %ld\n", (long)lseek(fd, 0, SEEK_END));
    lseek(fd, 0, SEEK_SET);
    printf("%s: read %ld", what, e(read(fd, before(100), 200)));
    printf(" %ld", e(read(fd, before(4100), 4200)));
    printf(" %ld", e(read(fd, none, 20)));
    printf(" %ld", e(read(fd, none, 0)));
    printf(", at %ld", (long)lseek(fd, 0, SEEK_CUR));
    printf(", pread %ld %ld", e(pread(fd, before(8000), 8100, 0)), e(pread(fd, none, 10, 0)));
    printf(", readv %ld", e(readv(fd, three, 3)));
    printf(", at %ld\n", (long)lseek(fd, 0, SEEK_CUR));
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    pages = mmap(NULL, 12288, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    none = pages + 8192;
    munmap(none, 4096);
    char path[] = "/tmp/faults-XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    files("file", fd);
    files("memfd", memfd_create("faults", 0));
    int map = memfd_create("mapped", 0);
    ftruncate(map, 20000);
    mmap(NULL, 20000, PROT_READ | PROT_WRITE, MAP_SHARED, map, 0);
    files("mapped memfd", map);

    int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY), random = open("/dev/urandom", O_RDONLY);
    printf("zero %ld %ld", e(read(zero, before(5000), 6000)), e(read(zero, none, 10)));
    printf(", random %ld", e(read(random, none, 10)));
    printf(", null %ld\n", e(write(null, none, 10)));

    int two[2];
    pipe2(two, O_NONBLOCK);
    printf("pipe: write %ld", e(write(two[1], before(10), 20)));
    printf(" %ld", e(write(two[1], before(8192), 10000)));
    printf(", read %ld", e(read(two[0], before(4096 + 50), 8000)));
    printf(" %ld", e(read(two[0], before(50), 100)));
    printf(" %ld\n", e(read(two[0], pages, 8192)));

    static char long_enough[3000];
    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, two);
    printf("datagram: send %ld", e(send(two[0], before(10), 20, 0)));
    send(two[0], long_enough, 100, 0);
    printf(", receive %ld\n", e(recv(two[1], before(10), 100, 0)));

    char folder[] = "/tmp/faults-XXXXXX", name[64];
    mkdtemp(folder);
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "%s/file%d", folder, i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    fd = open(folder, O_RDONLY | O_DIRECTORY);
    int all = 0;
    for (long n, got = 0; (n = e(syscall(SYS_getdents64, fd, before(100), 1000))) > 0;) {
        for (long at = 0; at < n; all++) at += *(unsigned short *)(before(100) + at + 16);
        if (got++ > 20) break;
    }
    printf("names: %d", all);
    lseek(fd, 0, SEEK_SET);
    printf(", %ld\n", e(syscall(SYS_getdents64, fd, before(10), 1000)));

    int notify = inotify_init1(IN_NONBLOCK);
    inotify_add_watch(notify, folder, IN_CREATE);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s/new%d", folder, i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    printf("events: %ld", e(read(notify, before(70), 1000)));
    printf(" %ld\n", e(read(notify, none, 1000)));
    sigset_t set;
    sigemptyset(&set), sigaddset(&set, SIGUSR1), sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_NONBLOCK);
    kill(getpid(), SIGUSR1), kill(getpid(), SIGUSR2);
    printf("signals: %ld\n", e(read(signals, before(200), 1000)));
    printf("random: %ld %ld\n", e(syscall(SYS_getrandom, before(4096), 5000, 0)), e(syscall(SYS_getrandom, none, 10, 0)));
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "%s/file%d", folder, i), unlink(name);
        snprintf(name, sizeof name, "%s/new%d", folder, i), unlink(name);
    }
    rmdir(folder);
    return 0;
}
