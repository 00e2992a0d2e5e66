// What a program sees of files in a volume: the same as in a folder of the host's. The folder is the first argument.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>
#ifndef SEEK_DATA
#define SEEK_DATA 3
#define SEEK_HOLE 4
#endif

static const char *outcome(long result) {
    static char text[8][64];
    static int turn;
    char *to = text[turn++ % 8];
    if (result < 0)
        sprintf(to, "-%s", strerrorname_np(errno));
    else
        sprintf(to, "%ld", result);
    return to;
}

#define SAY(what) printf("%-60s %s\n", #what, outcome(what))

static struct stat about(const char *path) {
    struct stat st;
    memset(&st, 0, sizeof st);
    lstat(path, &st);
    return st;
}

static void durable(void) {
    int file = open("durable", O_RDWR | O_CREAT | O_EXCL, 0640);
    SAY(write(file, "x", 1));
    SAY(fsync(file));
    SAY(fdatasync(file));
    int folder = open(".", O_RDONLY | O_DIRECTORY);
    SAY(fsync(folder));
    SAY(fdatasync(folder));
    SAY(syncfs(folder));
    struct stat one = about("durable"), two;
    fstat(file, &two);
    printf("same file %d, one name %d, mode %o\n", one.st_ino == two.st_ino && one.st_dev == two.st_dev,
           (int)one.st_nlink, one.st_mode & 0777);
    struct stat top;
    fstat(folder, &top);
    printf("same device %d\n", top.st_dev == one.st_dev);
    close(folder);
    close(file);
}

static void room(void) {
    int file = open("room", O_RDWR | O_CREAT, 0600);
    SAY(fallocate(file, FALLOC_FL_KEEP_SIZE, 0, 1 << 20));
    printf("%ld bytes, blocks %d\n", (long)about("room").st_size, about("room").st_blocks >= 2048);
    SAY(fallocate(file, 0, 0, 1 << 20));
    printf("%ld bytes\n", (long)about("room").st_size);
    char *page = malloc(4096);
    memset(page, 'a', 4096);
    for (int i = 0; i < 16; i++)
        pwrite(file, page, 4096, i * 4096);
    SAY(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192));
    SAY(pread(file, page, 4096, 4096));
    printf("holes are zeros %d\n", page[0] == 0 && page[4095] == 0);
    SAY(fallocate(file, FALLOC_FL_PUNCH_HOLE, 0, 4096));
    SAY(fallocate(file, 0, -1, 4096));
    SAY(fallocate(file, 0, 0, 0));
    SAY(fallocate(file, 0x4000, 0, 4096));
    close(file);
    file = open("reserved", O_RDWR | O_CREAT, 0600);
    printf("posix_fallocate %d\n", posix_fallocate(file, 0, 100000));
    printf("%ld bytes, blocks %d\n", (long)about("reserved").st_size, about("reserved").st_blocks >= 196);
    // Nobody has this much.
    printf("posix_fallocate of everything %s\n", strerrorname_np(posix_fallocate(file, 0, 1L << 50)));
    int reading = open("reserved", O_RDONLY);
    SAY(fallocate(reading, 0, 0, 4096));
    close(reading);
    close(file);
}

static void holes(void) {
    int file = open("holes", O_RDWR | O_CREAT, 0600);
    SAY(pwrite(file, "data", 4, 1 << 20));
    SAY(ftruncate(file, 2 << 20));
    SAY(lseek(file, 0, SEEK_DATA));
    SAY(lseek(file, 0, SEEK_HOLE));
    SAY(lseek(file, 1 << 20, SEEK_HOLE));
    SAY(lseek(file, (1 << 20) + 8192, SEEK_DATA));
    SAY(lseek(file, 3 << 20, SEEK_HOLE));
    printf("sparse %d\n", about("holes").st_blocks < 64);
    int reading = open("holes", O_RDONLY);
    SAY(lseek(reading, 0, SEEK_DATA));
    close(reading);
    close(file);
}

static void times(void) {
    struct timespec set[2] = {{1000000001, 123456789}, {1500000002, 987654321}};
    int file = open("times", O_RDWR | O_CREAT, 0600);
    SAY(futimens(file, set));
    struct stat st = about("times");
    printf("%ld.%09ld %ld.%09ld\n", st.st_atim.tv_sec, st.st_atim.tv_nsec, st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    SAY(symlink("times", "times-link"));
    set[1].tv_sec = 7;
    SAY(utimensat(AT_FDCWD, "times-link", set, AT_SYMLINK_NOFOLLOW));
    printf("%ld %ld\n", (long)about("times-link").st_mtime, (long)about("times").st_mtime);
    set[0].tv_nsec = UTIME_OMIT;
    SAY(utimensat(AT_FDCWD, "times-link", set, 0));
    st = about("times");
    printf("%ld.%09ld %ld\n", st.st_atim.tv_sec, st.st_atim.tv_nsec, (long)st.st_mtime);
    close(file);
}

static void *write_to_pipe(void *path) {
    int end = open(path, O_WRONLY);
    write(end, "through the pipe", 16);
    close(end);
    return 0;
}

static void pipes(void) {
    SAY(mkfifo("pipe", 0644));
    SAY(mkfifo("pipe", 0644));
    printf("a pipe %d, mode %o\n", S_ISFIFO(about("pipe").st_mode), about("pipe").st_mode & 0777);
    SAY(open("pipe", O_WRONLY | O_NONBLOCK));
    pthread_t thread;
    pthread_create(&thread, 0, write_to_pipe, "pipe");
    int end = open("pipe", O_RDONLY);
    char text[64] = "";
    SAY(read(end, text, 63));
    printf("%s\n", text);
    pthread_join(thread, 0);
    SAY(read(end, text, 63));
    struct stat st;
    fstat(end, &st);
    printf("%d\n", S_ISFIFO(st.st_mode));
    close(end);
    SAY(rename("pipe", "moved-pipe"));
    pthread_create(&thread, 0, write_to_pipe, "moved-pipe");
    end = open("moved-pipe", O_RDONLY);
    SAY(read(end, text, 63));
    pthread_join(thread, 0);
    close(end);
    SAY(unlink("moved-pipe"));
    SAY(mknod("plain", S_IFREG | 0600, 0));
    printf("%o\n", about("plain").st_mode);
}

static struct sockaddr_un name(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    return address;
}

static void sockets(void) {
    struct sockaddr_un here = name("socket"), there = name("moved-socket"), nobody = name("nobody");
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    SAY(bind(listener, (void *)&here, sizeof here));
    SAY(listen(listener, 5));
    printf("a socket %d\n", S_ISSOCK(about("socket").st_mode));
    SAY(open("socket", O_RDONLY));
    SAY(connect(client, (void *)&nobody, sizeof nobody));
    SAY(rename("socket", "moved-socket"));
    SAY(connect(client, (void *)&here, sizeof here));
    SAY(connect(client, (void *)&there, sizeof there));
    int served = accept(listener, 0, 0);
    SAY(write(client, "hello", 5));
    char text[64];
    SAY(read(served, text, 64));
    close(served), close(client), close(listener);
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    SAY(connect(client, (void *)&there, sizeof there));
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    SAY(bind(listener, (void *)&there, sizeof there));
    SAY(unlink("moved-socket"));
    SAY(bind(listener, (void *)&there, sizeof there));
    SAY(connect(client, (void *)&there, sizeof there));
    SAY(listen(listener, 5));
    SAY(connect(client, (void *)&there, sizeof there));
    close(client), close(listener);
    int datagrams = socket(AF_UNIX, SOCK_DGRAM, 0), sender = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr_un log = name("log");
    SAY(bind(datagrams, (void *)&log, sizeof log));
    SAY(sendto(sender, "line", 4, 0, (void *)&log, sizeof log));
    SAY(recv(datagrams, text, 64, 0));
    int plain = open("plain-file", O_CREAT | O_RDWR, 0600);
    struct sockaddr_un file = name("plain-file");
    SAY(sendto(sender, "line", 4, 0, (void *)&file, sizeof file));
    close(plain), close(datagrams), close(sender);
}

static void names(void) {
    close(open("a", O_CREAT | O_RDWR, 0600));
    close(open("b", O_CREAT | O_RDWR, 0640));
    SAY(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "b", 1));
    SAY(syscall(SYS_renameat2, AT_FDCWD, "a", AT_FDCWD, "c", 1));
    SAY(syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "b", 2));
    printf("%o %o\n", about("c").st_mode & 0777, about("b").st_mode & 0777);
    SAY(syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "none", 2));
    SAY(syscall(SYS_renameat2, AT_FDCWD, "c", AT_FDCWD, "b", 3));
    SAY(link("c", "d"));
    SAY(link("c", "d"));
    printf("%d names\n", (int)about("c").st_nlink);
    SAY(mkdir("folder", 0755));
    SAY(link("folder", "other-folder"));
    SAY(rename("folder", "c"));
    SAY(rename("c", "folder"));
    SAY(rename("d", "folder/d"));
    SAY(rmdir("folder"));
    SAY(unlink("folder"));
    SAY(unlink("folder/d"));
    printf("%d names\n", (int)about("c").st_nlink);
    SAY(rmdir("folder"));
    SAY(symlink("nowhere", "dangling"));
    SAY(open("dangling", O_RDONLY));
    SAY(open("dangling", O_RDONLY | O_NOFOLLOW));
    SAY(open("dangling", O_CREAT | O_EXCL | O_RDWR, 0600));
    SAY(open("c/inside", O_RDONLY));
    SAY(symlink("loop", "loop"));
    SAY(open("loop", O_RDONLY));
}

static void without_a_name(void) {
    int file = open("gone", O_CREAT | O_RDWR, 0600);
    SAY(unlink("gone"));
    SAY(write(file, "still here", 10));
    struct stat st;
    SAY(fstat(file, &st));
    printf("%d names, %ld bytes\n", (int)st.st_nlink, (long)st.st_size);
    // Another with its name is not changed in its place.
    close(open("gone", O_CREAT | O_RDWR, 0644));
    SAY(fchmod(file, 0400));
    struct timespec set[2] = {{5, 0}, {6, 0}};
    SAY(ftruncate(file, 3));
    SAY(futimens(file, set));
    SAY(fchown(file, getuid() ? -1 : st.st_uid, -1));
    fstat(file, &st);
    printf("%o %ld %ld, %o %d\n", st.st_mode & 0777, (long)st.st_mtime, (long)st.st_size, about("gone").st_mode & 0777,
           about("gone").st_mtime > 1000);
    SAY(fsync(file));
    close(file);
}

static void appending(void) {
    int one = open("log-file", O_CREAT | O_WRONLY | O_APPEND, 0600), two = open("log-file", O_RDWR | O_APPEND);
    for (int i = 0; i < 50; i++) {
        write(one, "one\n", 4);
        write(two, "two\n", 4);
    }
    printf("%ld bytes\n", (long)about("log-file").st_size);
    char text[8];
    SAY(pread(two, text, 8, 392));
    printf("%.8s", text);
    SAY(lseek(one, 0, SEEK_CUR));
    SAY(open("log-file", O_WRONLY | O_TRUNC));
    SAY(write(two, "x", 1));
    printf("%ld bytes\n", (long)about("log-file").st_size);
}

static int won;
static void *race(void *unused) {
    for (int i = 0; i < 40; i++) {
        char path[32];
        sprintf(path, "race-%d", i);
        int file = open(path, O_CREAT | O_EXCL | O_RDWR, 0600);
        if (file >= 0) {
            __sync_fetch_and_add(&won, 1);
            close(file);
        } else if (errno != EEXIST)
            printf("race: %s\n", strerror(errno));
    }
    return 0;
}

static void races(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], 0, race, 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], 0);
    printf("%d of 40 made\n", won);
}

static sigjmp_buf back;
static void on_bus(int number, siginfo_t *info, void *context) { siglongjmp(back, number); }

static void mapped(void) {
    int file = open("mapped", O_CREAT | O_RDWR, 0600);
    SAY(ftruncate(file, 3 * 4096 + 100));
    char *at = mmap(0, 4 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    printf("mapped %d\n", at != MAP_FAILED);
    if (at == MAP_FAILED)
        return;
    strcpy(at, "by memory");
    strcpy(at + 8192, "further on");
    // Behind the end it is nobody's.
    at[3 * 4096 + 200] = 'x';
    SAY(msync(at, 4 * 4096, MS_SYNC));
    char text[16] = "";
    SAY(pread(file, text, 9, 0));
    printf("%s\n", text);
    SAY(pwrite(file, "BY", 2, 0));
    printf("%s\n", at);
    int other = open("mapped", O_RDONLY);
    char *reading = mmap(0, 4096, PROT_READ, MAP_SHARED, other, 0);
    printf("%s\n", reading);
    at[3] = 'M';
    printf("%s\n", reading);
    SAY(munmap(at, 4 * 4096));
    printf("%ld bytes\n", (long)about("mapped").st_size);
    SAY(pread(other, text, 11, 8192));
    printf("%s\n", text);
    munmap(reading, 4096);
    close(other);
    at = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    SAY(ftruncate(file, 4096));
    struct sigaction action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &action, 0);
    int number = sigsetjmp(back, 1);
    if (number == 0) {
        at[8192] = 'x';
        printf("written behind the end\n");
    } else
        printf("signal %d\n", number);
    at[10] = '!';
    SAY(munmap(at, 3 * 4096));
    close(file);
    file = open("mapped", O_RDONLY);
    SAY(pread(file, text, 12, 0));
    printf("%.12s\n", text);
    printf("%d\n", mmap(0, 4096, PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED && errno == EACCES);
    close(file);
}

static struct flock lock(short type, long start, long length) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return lock;
}

static void locks(void) {
    int one = open("locked", O_CREAT | O_RDWR, 0600), two = open("locked", O_RDWR), three = open("locked", O_RDONLY);
    struct flock all = lock(F_WRLCK, 0, 0), part = lock(F_RDLCK, 10, 5), none = lock(F_UNLCK, 0, 0);
    SAY(fcntl(one, F_SETLK, &all));
    // The same process by another descriptor.
    SAY(fcntl(two, F_SETLK, &part));
    SAY(fcntl(three, F_SETLK, &all));
    SAY(fcntl(three, F_SETLK, &part));
    struct flock other = lock(F_RDLCK, 0, 0);
    SAY(fcntl(two, F_OFD_SETLK, &other));
    other = lock(F_WRLCK, 0, 0);
    SAY(fcntl(two, F_OFD_GETLK, &other));
    printf("%d %ld %ld %d\n", other.l_type, (long)other.l_start, (long)other.l_len, other.l_pid == getpid());
    SAY(fcntl(one, F_SETLK, &none));
    other = lock(F_WRLCK, 0, 0);
    SAY(fcntl(two, F_OFD_SETLK, &other));
    SAY(fcntl(one, F_OFD_SETLK, &other));
    close(two);
    SAY(fcntl(one, F_OFD_SETLK, &other));
    SAY(flock(one, LOCK_EX));
    two = open("locked", O_RDONLY);
    SAY(flock(two, LOCK_SH | LOCK_NB));
    SAY(flock(one, LOCK_SH));
    SAY(flock(two, LOCK_SH | LOCK_NB));
    SAY(flock(one, LOCK_EX | LOCK_NB));
    close(one), close(two), close(three);
    int folder = open(".", O_RDONLY);
    SAY(flock(folder, LOCK_EX | LOCK_NB));
    close(folder);
}

static void told(int queue) {
    char buffer[4096] __attribute__((aligned(8)));
    struct pollfd ready = {queue, POLLIN, 0};
    while (poll(&ready, 1, 0) > 0) {
        long length = read(queue, buffer, sizeof buffer);
        for (char *at = buffer; at < buffer + length;) {
            struct inotify_event *event = (void *)at;
            printf("  %d %x %s\n", event->wd, event->mask, event->len ? event->name : "");
            at += sizeof *event + event->len;
        }
    }
}

static void watching(void) {
    mkdir("watched", 0755);
    int queue = inotify_init1(IN_NONBLOCK);
    SAY(inotify_add_watch(queue, "watched", IN_ALL_EVENTS & ~(IN_ACCESS | IN_OPEN | IN_CLOSE_NOWRITE)));
    SAY(inotify_add_watch(queue, "watched/none", IN_ALL_EVENTS));
    int file = open("watched/file", O_CREAT | O_RDWR, 0600);
    write(file, "x", 1);
    told(queue);
    SAY(inotify_add_watch(queue, "watched/file", IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF));
    write(file, "y", 1);
    fchmod(file, 0640);
    close(file);
    told(queue);
    rename("watched/file", "watched/other");
    told(queue);
    mkdir("watched/folder", 0700);
    symlink("x", "watched/link");
    link("watched/other", "watched/again");
    told(queue);
    close(open("watched/other", O_WRONLY | O_TRUNC));
    unlink("watched/again");
    unlink("watched/other");
    rmdir("watched/folder");
    told(queue);
    close(queue);
}

static void listing(void) {
    DIR *folder = opendir(".");
    int known = 1, count = 0;
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct stat st = about(entry->d_name);
        count++;
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            known &= st.st_ino == entry->d_ino && (entry->d_type == DT_UNKNOWN || entry->d_type == st.st_mode >> 12);
    }
    closedir(folder);
    printf("%d names, all known %d\n", count, known);
    struct statvfs space;
    SAY(statvfs(".", &space));
    printf("%d %d\n", space.f_blocks >= space.f_bfree && space.f_bfree >= space.f_bavail, space.f_namemax >= 255);
}

int main(int count, char **arguments) {
    setvbuf(stdout, 0, _IOLBF, 0);
    umask(022);
    if (chdir(arguments[1]) != 0)
        return perror(arguments[1]), 1;
    void (*all[])(void) = {durable, room, holes, times, pipes, sockets, names, without_a_name, appending,
                           races, mapped, locks, watching, listing};
    const char *called[] = {"durable", "room", "holes", "times", "pipes", "sockets", "names", "without a name",
                            "appending", "races", "mapped", "locks", "watching", "listing"};
    for (int i = 0; i < sizeof all / sizeof *all; i++) {
        printf("== %s\n", called[i]);
        all[i]();
    }
    return 0;
}
