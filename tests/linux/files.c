/* Files: what each call says, one a line. Says the same on Linux, run by root, in the directory that the first argument names
   (on a tmpfs; without one: one of its own in /dev/shm), which it removes. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

/* One call a line, in this order. */
#define T(what) printf("%d %s: %ld\n", __LINE__, #what, e((long)(what)))

static long e(long result) { return result == -1 ? -errno : result; }

/* What not every C library has. */
#define closefrom(first) syscall(SYS_close_range, first, ~0u, 0)
#define preadv2(fd, v, n, at, flags) syscall(SYS_preadv2, fd, v, n, at, 0, flags)
#define pwritev2(fd, v, n, at, flags) syscall(SYS_pwritev2, fd, v, n, at, 0, flags)
#ifndef STATX_BASIC_STATS
#include <linux/stat.h>
#define statx(...) syscall(SYS_statx, __VA_ARGS__)
#define AT_STATX_SYNC_TYPE 0x6000
#endif
#ifndef RWF_APPEND
#define RWF_APPEND 16
#endif

static struct stat st;
static char buf[70000];

static int mode_of(const char *path) { return lstat(path, &st) ? -errno : (int)st.st_mode; }

static void put(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) perror(path);
    close(fd);
}

static const char *get(const char *path) {
    int fd = open(path, O_RDONLY);
    if (fd < 0) return "?";
    int n = read(fd, buf, 1000);
    buf[n < 0 ? 0 : n] = 0;
    close(fd);
    return buf;
}

static void opening(void) {
    int fd, dir;
    T(open("none", O_RDONLY));
    T(open("", O_RDONLY));
    T(open("none/x", O_RDONLY | O_CREAT, 0644));
    T(open("new/", O_RDWR | O_CREAT, 0644));
    T(open(".", O_RDWR));
    T(open(".", O_RDONLY | O_CREAT, 0644));
    T(open((char *)16, O_RDONLY));
    umask(027);
    T(close(open("a", O_RDWR | O_CREAT | O_EXCL, 06777)));
    T(mode_of("a"));
    umask(022);
    T(open("a", O_RDWR | O_CREAT | O_EXCL, 0644));
    T(open("a/", O_RDONLY));
    T(open("a/b", O_RDONLY));
    T(open("a/../a", O_RDONLY));
    T(open("a", O_DIRECTORY));
    T(open("a", O_DIRECTORY | O_CREAT, 0644));
    T(symlink("a", "l"));
    T(symlink("loop", "loop"));
    T(symlink("later", "m"));
    T(symlink("", "n"));
    T(symlink("x", "l"));
    T(symlink("x", "d/"));
    T(open("l", O_RDONLY | O_NOFOLLOW));
    T(open("loop", O_RDONLY));
    T(open("l", O_RDWR | O_CREAT | O_EXCL, 0644));
    T(close(open("m", O_WRONLY | O_CREAT, 0600)));
    T(mode_of("later"));
    memset(buf, 'n', 300), buf[256] = 0;
    T(open(buf, O_RDONLY | O_CREAT, 0644));
    buf[255] = 0;
    T(close(open(buf, O_RDWR | O_CREAT, 0644)));
    T(unlink(buf));
    memset(buf, '/', 5000), buf[4990] = 0;
    T(open(buf, O_RDONLY));
    T(mkdir("d", 0755));
    T(mkdir("d/", 0755));
    T(mkdir("d2/", 0755));
    T(mkdir("l", 0755));
    T(mkdir("m/x", 0755));
    T(dir = open("d", O_PATH | O_CLOEXEC));
    T(fcntl(dir, F_GETFL) == (O_PATH | O_CLOEXEC));
    T(fcntl(dir, F_GETFD));
    T(read(dir, buf, 1));
    T(write(dir, buf, 1));
    T(fchmod(dir, 0700));
    T(ioctl(dir, FIONREAD, buf));
    T(fcntl(dir, F_GETLK, buf));
    T(fsync(dir));
    T(ftruncate(dir, 0));
    T(fstat(dir, &st));
    T(openat(dir, "x", O_RDONLY));
    T(close(openat(dir, "x", O_WRONLY | O_CREAT, 0644)));
    T(openat(99, "x", O_RDONLY));
    T(fd = openat(dir, "x", O_RDONLY));
    T(openat(fd, "x", O_RDONLY));
    T(fcntl(fd, F_GETFL) == 0100000);
    T(write(fd, "x", 1));
    T(ftruncate(fd, 1));
    T(pread(fd, buf, 1, -1));
    T(lseek(fd, -1, SEEK_SET));
    T(lseek(fd, 5, 9));
    T(openat(dir, "", O_RDONLY));
    T(readlinkat(dir, "", buf, 10));
    T(fd = open("l", O_PATH | O_NOFOLLOW));
    T(readlinkat(fd, "", buf, 10));
    T(fstatat(fd, "", &st, AT_EMPTY_PATH));
    T(S_ISLNK(st.st_mode));
    T(open("d", O_TMPFILE | O_RDONLY, 0644));
    T(fd = open("d", O_TMPFILE | O_RDWR, 0644));
    T(write(fd, "tmp", 3));
    snprintf(buf, 100, "/proc/self/fd/%d", fd);
    T(linkat(AT_FDCWD, buf, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    T(strcmp(get("named"), "tmp"));
    T(open("a", O_RDONLY | O_TRUNC | 077000000));
    closefrom(3);
}

static void beneath(void) {
    static const struct { const char *path; uint64_t resolve; } all[] = {
        {"d/x", RESOLVE_BENEATH}, {"../x", RESOLVE_BENEATH}, {"/etc", RESOLVE_BENEATH}, {"d/../../x", RESOLVE_BENEATH}, {"d/../d/x", RESOLVE_BENEATH},
        {"/d/x", RESOLVE_IN_ROOT}, {"../../d/x", RESOLVE_IN_ROOT}, {"l", RESOLVE_NO_SYMLINKS}, {"l", RESOLVE_BENEATH}, {"l", 0},
        {"/proc/self/fd/0", RESOLVE_NO_MAGICLINKS}, {"/proc/self/status", RESOLVE_NO_XDEV}, {"d", RESOLVE_BENEATH | RESOLVE_IN_ROOT}, {"d", 1 << 20}};
    int dir = open(".", O_RDONLY);
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) {
        struct open_how how = {.flags = O_RDONLY, .resolve = all[i].resolve};
        int fd = syscall(SYS_openat2, dir, all[i].path, &how, sizeof how);
        printf("openat2 %s %#lx: %d\n", all[i].path, (long)all[i].resolve, fd < 0 ? -errno : 0);
        if (fd >= 0) close(fd);
    }
    struct { struct open_how how; uint64_t more; } later = {{.flags = O_RDONLY}, 1};
    T(syscall(SYS_openat2, dir, "d", &later, sizeof later));
    later.more = 0;
    T(close(syscall(SYS_openat2, dir, "d", &later, sizeof later)));
    struct open_how how = {.flags = 1ull << 40};
    T(syscall(SYS_openat2, dir, "d", &how, sizeof how));
    how.flags = O_RDONLY, how.mode = 0644;
    T(syscall(SYS_openat2, dir, "d", &how, sizeof how));
    T(syscall(SYS_openat2, dir, "d", &how, 8));
    close(dir);
}

static void moving(void) {
    int fd, other;
    T(fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0644));
    T(write(fd, "hello world", 11));
    T(write(fd, (char *)16, 5));
    T(write(fd, NULL, 0));
    T(lseek(fd, 6, SEEK_SET));
    T(read(fd, buf, 100));
    T(memcmp(buf, "world", 5));
    T(read(fd, buf, 100));
    T(read(fd, (char *)16, 5));
    T(lseek(fd, 0, SEEK_SET));
    T(read(fd, (char *)16, 5));
    struct iovec v[3] = {{buf, 3}, {NULL, 0}, {buf + 10, 4}};
    T(readv(fd, v, 3));
    T(memcmp(buf + 10, "lo w", 4));
    T(readv(fd, v, -1));
    T(readv(fd, v, 1025));
    T(readv(fd, NULL, 1));
    T(readv(fd, v, 0));
    v[1].iov_len = -1;
    T(readv(fd, v, 3));
    v[1].iov_len = 0;
    T(preadv(fd, v, 3, 8));
    T(pwritev(fd, v, 3, 20));
    T(lseek(fd, 0, SEEK_CUR));
    T(lseek(fd, 0, SEEK_END));
    T(preadv2(fd, v, 3, -1, 0));
    T(preadv2(fd, v, 3, 0, 1 << 20));
    T(pwritev2(fd, v, 1, 0, RWF_APPEND));
    T(lseek(fd, 0, SEEK_END));
    T(fcntl(fd, F_SETFL, O_APPEND));
    T(pwrite(fd, "end", 3, 0));
    T(lseek(fd, 0, SEEK_END));
    T(fcntl(fd, F_GETFL) == (O_RDWR | O_APPEND | 0100000));
    T(fcntl(fd, F_SETFL, 0));
    T(ftruncate(fd, 1 << 20));
    T(lseek(fd, 4096, SEEK_DATA));
    T(lseek(fd, 100, SEEK_HOLE));
    T(lseek(fd, 1 << 20, SEEK_HOLE));
    T(lseek(fd, -1, SEEK_DATA));
    T(ftruncate(fd, -1));
    T(truncate("f", 10));
    T(truncate("d", 10));
    T(truncate("none", 10));
    T(lseek(fd, 0, SEEK_END));
    T(fallocate(fd, 0, 0, 100));
    T(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 10000));
    T(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
    T(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 5));
    T(fallocate(fd, 0, 0, 0));
    T(fallocate(fd, 0, -1, 10));
    T(fstat(fd, &st));
    T(st.st_size);
    T(strcmp(get("f"), ""));
    T(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
    T(posix_fadvise(fd, 0, 0, 99));
    T(fsync(fd)), T(fdatasync(fd)), T(syncfs(fd));
    T(ioctl(fd, TIOCGWINSZ, buf));
    T(ioctl(fd, FIONREAD, &other));
    T(other);
    T(ioctl(fd, FIOCLEX));
    T(fcntl(fd, F_GETFD));
    T(dup2(fd, 50));
    T(fcntl(50, F_GETFD));
    T(dup3(fd, 51, O_CLOEXEC));
    T(fcntl(51, F_GETFD));
    T(dup3(fd, fd, 0));
    T(dup3(fd, 52, 1));
    T(dup2(fd, fd) == fd);
    T(dup2(fd, -1));
    T(dup2(99, 50));
    T(dup2(fd, 1 << 20));
    T(fcntl(fd, F_DUPFD, 60));
    T(fcntl(fd, F_DUPFD_CLOEXEC, 60));
    T(fcntl(fd, F_DUPFD, -1));
    T(fcntl(fd, F_DUPFD, 1 << 20));
    T(fcntl(fd, 9999, 0));
    T(syscall(SYS_close_range, 50, 55, 4));
    T(fcntl(50, F_GETFD));
    T(syscall(SYS_close_range, 50, 61, 0));
    T(fcntl(51, F_GETFD));
    T(syscall(SYS_close_range, 5, 4, 0));
    T(other = open("copy", O_RDWR | O_CREAT, 0644));
    put("src", "0123456789");
    int src = open("src", O_RDONLY);
    T(sendfile(other, src, NULL, 4));
    off_t at = 8;
    T(sendfile(other, src, &at, 10));
    T(at);
    T(copy_file_range(src, NULL, other, NULL, 3, 0));
    T(lseek(src, 0, SEEK_CUR));
    T(copy_file_range(src, NULL, other, NULL, 3, 1));
    T(sendfile(src, other, NULL, 1));
    T(strcmp(get("copy"), "012389456"));
    closefrom(3);
}

static void names(void) {
    put("one", "1"), put("two", "22");
    T(link("one", "hard"));
    T(stat("one", &st)), T(st.st_nlink);
    T(link("one", "two"));
    T(link("d", "dl"));
    T(link("none", "x"));
    T(link("l", "ll"));
    T(S_ISLNK(mode_of("ll")));
    T(linkat(AT_FDCWD, "l", AT_FDCWD, "lf", AT_SYMLINK_FOLLOW));
    T(S_ISREG(mode_of("lf")));
    T(rename("one", "hard"));
    T(access("one", F_OK));
    T(rename("one", "two"));
    T(strcmp(get("two"), "1"));
    T(access("one", F_OK));
    T(syscall(SYS_renameat2, AT_FDCWD, "two", AT_FDCWD, "hard", 1));
    T(syscall(SYS_renameat2, AT_FDCWD, "two", AT_FDCWD, "src", 2));
    T(strcmp(get("src"), "1"));
    T(syscall(SYS_renameat2, AT_FDCWD, "two", AT_FDCWD, "none", 2));
    T(syscall(SYS_renameat2, AT_FDCWD, "two", AT_FDCWD, "none", 3));
    T(rename("none", "x"));
    T(rename("two", "d"));
    T(rename("d", "two"));
    T(rename("d", "d/inside"));
    T(mkdir("p", 0755)), T(mkdir("p/q", 0755)), T(mkdir("r", 0755));
    T(rename("r", "p"));
    T(rename("p", "r"));
    T(rename("r/q", "s"));
    T(rename("two", "three/"));
    T(rename("s/", "t/"));
    T(rename("t/.", "u"));
    T(rename("..", "u"));
    T(rmdir("t/."));
    T(rmdir("t/.."));
    T(rmdir("t"));
    T(rmdir("d"));
    T(rmdir("a"));
    T(rmdir("none"));
    T(rmdir("l"));
    T(rmdir("/"));
    T(unlink("r"));
    T(unlink("a/"));
    T(unlink("l"));
    T(unlink("none"));
    T(unlink("."));
    T(unlinkat(AT_FDCWD, "r", AT_REMOVEDIR));
    T(unlinkat(AT_FDCWD, "r", 1));
    T(mknod("node", S_IFREG | 0640, 0));
    T(mode_of("node"));
    T(mknod("node", S_IFREG | 0640, 0));
    T(mknod("nodedir", S_IFDIR | 0640, 0));
    T(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
    T(stat("null", &st)), T(st.st_rdev == makedev(1, 3));
    T(mkfifo("fifo", 0600));
    T(mode_of("fifo"));
    T(open("fifo", O_WRONLY | O_NONBLOCK));
    T(readlink("m", buf, 3));
    T(readlink("a", buf, 3));
    T(readlink("m", buf, 0));
    T(stat("d", &st)), T(st.st_nlink);
    T(mkdir("d/sub", 0777));
    T(stat("d", &st)), T(st.st_nlink);
    T(rmdir("d/sub"));
    int fd = open("d", O_RDONLY);
    T(unlink("d/x"));
    T(rmdir("d"));
    T(fstat(fd, &st)), T(st.st_nlink);
    T(openat(fd, "y", O_RDWR | O_CREAT, 0644));
    T(syscall(SYS_getdents64, fd, buf, 1000));
    close(fd);
    T(chdir("none")), T(chdir("a")), T(mkdir("wd", 0755)), T(chdir("wd"));
    T(rmdir("../wd"));
    T(getcwd(buf, 1000) == NULL ? -1 : 0);
    T(chdir(".."));
    T(syscall(SYS_getcwd, buf, 2));
}

static void attributes(void) {
    struct timespec t[2] = {{10, 20}, {30, UTIME_OMIT}};
    put("attr", "x");
    T(chmod("attr", 04751)), T(mode_of("attr"));
    T(chown("attr", 5, 6)), T(mode_of("attr")), T(st.st_uid), T(st.st_gid);
    T(chown("attr", -1, 7)), T(lstat("attr", &st)), T(st.st_uid), T(st.st_gid);
    T(lchown("m", 8, 9)), T(lstat("m", &st)), T(st.st_uid);
    T(utimensat(AT_FDCWD, "attr", t, 0)), T(stat("attr", &st)), T(st.st_atim.tv_sec), T(st.st_atim.tv_nsec), T(st.st_mtim.tv_sec > 1000000);
    t[1].tv_nsec = 1000000000;
    T(utimensat(AT_FDCWD, "attr", t, 0));
    T(utimensat(AT_FDCWD, NULL, t, 0));
    T(utimensat(AT_FDCWD, "none", NULL, 0));
    T(utimensat(AT_FDCWD, "attr", NULL, 77));
    struct utimbuf u = {100, 200};
    T(utime("attr", &u)), T(stat("attr", &st)), T(st.st_mtime);
    struct timeval tv[2] = {{1, 2}, {3, 1000000}};
    T(utimes("attr", tv));
    T(fchmodat(AT_FDCWD, "m", 0600, AT_SYMLINK_NOFOLLOW));
    T(access("attr", 8)), T(access("attr", R_OK | W_OK | X_OK)), T(chmod("attr", 0644)), T(access("attr", X_OK));
    T(faccessat(AT_FDCWD, "loop", F_OK, AT_SYMLINK_NOFOLLOW));
    T(setxattr("attr", "trusted.a", "value", 5, 0));
    T(setxattr("attr", "trusted.a", "value", 5, XATTR_CREATE));
    T(setxattr("attr", "trusted.b", "value", 5, XATTR_REPLACE));
    T(setxattr("attr", "nothing", "value", 5, 0));
    T(getxattr("attr", "trusted.a", buf, 100)), T(getxattr("attr", "trusted.a", buf, 0)), T(getxattr("attr", "trusted.a", buf, 2));
    T(getxattr("attr", "trusted.none", buf, 2));
    T(listxattr("attr", buf, 100)), T(removexattr("attr", "trusted.a")), T(removexattr("attr", "trusted.a"));
    struct statx x = {0};
    T(statx(AT_FDCWD, "attr", 0, STATX_BASIC_STATS, &x)), T(x.stx_size), T(x.stx_mode), T((x.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
    T(statx(AT_FDCWD, "attr", AT_STATX_SYNC_TYPE, STATX_BASIC_STATS, &x));
    T(statx(AT_FDCWD, "attr", 0, 0x80000000, &x));
    T(stat((char *)16, &st)), T(syscall(SYS_stat, "attr", 16));
    struct statfs fs;
    T(statfs(".", &fs)), T(fs.f_type), T(fs.f_namelen), T(fs.f_bsize);
    /* As somebody else. */
    put("secret", "x"), chmod("secret", 0600), mkdir("closed", 0700), put("closed/x", "x"), chmod(".", 01777), put("theirs", "x");
    T(setegid(1000)), T(seteuid(1000));
    T(open("secret", O_RDONLY)), T(open("attr", O_RDWR)), T(stat("closed/x", &st)), T(open("closed/y", O_CREAT, 0644));
    T(unlink("theirs")), T(rename("theirs", "ours")), T(chmod("attr", 0777)), T(chown("attr", 1000, -1)), T(truncate("attr", 0));
    T(utimensat(AT_FDCWD, "attr", NULL, 0));
    T(close(open("own", O_RDWR | O_CREAT, 0666))), T(stat("own", &st)), T(st.st_uid);
    T(chown("own", 1000, 1000)), T(chown("own", 1001, -1)), T(chown("own", -1, 55)), T(chmod("own", 02755)), T(mode_of("own"));
    T(chdir("closed")), T(access("secret", R_OK)), T(faccessat(AT_FDCWD, "secret", R_OK, AT_EACCESS)), T(mknod("dev", S_IFCHR | 0666, makedev(1, 3)));
    T(setxattr("attr", "trusted.a", "value", 5, 0)), T(getxattr("attr", "trusted.a", buf, 5)), T(mkdir("owndir", 0755)), T(rmdir("owndir")), T(unlink("own"));
    T(seteuid(0)), T(setegid(0));
}

static volatile int broken;
static void on_pipe(int n) { broken = n; }

static void pipes(void) {
    int p[2], q[2], n;
    T(pipe2(p, 1)), T(pipe2((int *)16, 0)), T(pipe2(p, O_NONBLOCK | O_CLOEXEC));
    T(fcntl(p[0], F_GETFD)), T(fcntl(p[1], F_GETFL) == (O_WRONLY | O_NONBLOCK));
    T(read(p[0], buf, 10)), T(read(p[1], buf, 10)), T(write(p[0], buf, 10));
    struct pollfd f[2] = {{p[0], POLLIN, 0}, {p[1], POLLOUT, 0}};
    T(poll(f, 2, 0)), T(f[0].revents), T(f[1].revents);
    T(write(p[1], "hello", 5)), T(ioctl(p[0], FIONREAD, &n)), T(n);
    T(poll(f, 2, 0)), T(f[0].revents);
    T(read(p[0], buf, 3)), T(read(p[0], buf, 3));
    T(fcntl(p[0], F_GETPIPE_SZ)), T(write(p[1], buf, 70000)), T(write(p[1], buf, 1));
    T(poll(f, 2, 0)), T(f[1].revents);
    T(fcntl(p[0], F_SETPIPE_SZ, 4096)), T(fcntl(p[0], F_SETPIPE_SZ, 100000)), T(fcntl(p[0], F_SETPIPE_SZ, -1));
    T(read(p[0], buf, 70000)), T(lseek(p[0], 0, SEEK_SET)), T(pread(p[0], buf, 1, 0)), T(ftruncate(p[1], 0)), T(fsync(p[0]));
    T(fstat(p[0], &st)), T(S_ISFIFO(st.st_mode));
    T(pipe(q)), T(write(p[1], "0123456789", 10));
    T(tee(p[0], q[1], 4, 0)), T(splice(p[0], NULL, q[1], NULL, 3, 0)), T(read(q[0], buf, 100)), T(memcmp(buf, "0123012", 7));
    T(splice(p[0], NULL, q[1], NULL, 100, SPLICE_F_NONBLOCK)), T(splice(p[0], NULL, q[1], NULL, 100, SPLICE_F_NONBLOCK)), T(tee(p[0], p[1], 4, 0));
    struct iovec v = {"vmsplice", 8};
    T(vmsplice(q[1], &v, 1, 0)), T(read(q[0], buf, 100));
    int fd = open("spliced", O_RDWR | O_CREAT, 0644);
    T(write(p[1], "to a file", 9));
    loff_t at = 3;
    T(splice(p[0], NULL, fd, &at, 100, 0)), T(at), T(splice(fd, NULL, q[1], NULL, 5, 0)), T(splice(fd, &at, q[1], &at, 5, 0)), T(splice(fd, NULL, fd, NULL, 5, 0));
    T(close(p[1])), T(poll(f, 1, 0)), T(f[0].revents), T(read(p[0], buf, 10));
    signal(SIGPIPE, on_pipe);
    T(close(q[0])), T(write(q[1], "x", 1)), T(broken), T(poll(&(struct pollfd){q[1], POLLOUT, 0}, 1, 0));
    int r = open("fifo", O_RDONLY | O_NONBLOCK), w = open("fifo", O_WRONLY | O_NONBLOCK);
    T(r >= 0 && w >= 0), T(write(w, "abc", 3)), T(read(r, buf, 10)), T(read(r, buf, 10)), T(close(w)), T(read(r, buf, 10));
    T(close(open("fifo", O_RDWR)));
    closefrom(3);
}

static void locks(void) {
    int a = open("lock", O_RDWR | O_CREAT, 0644), b = open("lock", O_RDWR), r = open("lock", O_RDONLY);
    T(flock(a, LOCK_EX)), T(flock(b, LOCK_SH | LOCK_NB)), T(flock(a, LOCK_SH)), T(flock(b, LOCK_SH | LOCK_NB)), T(flock(b, LOCK_EX | LOCK_NB)), T(flock(a, LOCK_UN));
    T(flock(b, LOCK_EX | LOCK_NB)), T(flock(b, 3)), T(flock(99, LOCK_SH));
    struct flock l = {.l_type = F_WRLCK, .l_start = 10, .l_len = 10};
    T(fcntl(a, F_OFD_SETLK, &l)), T(fcntl(b, F_OFD_SETLK, &l)), T(fcntl(b, F_SETLK, &l));
    T(fcntl(b, F_OFD_GETLK, &l)), T(l.l_type), T(l.l_start), T(l.l_len), T(l.l_pid);
    l = (struct flock){.l_type = F_RDLCK, .l_start = 19};
    T(fcntl(b, F_SETLK, &l)), l.l_start = 20, T(fcntl(b, F_SETLK, &l)), l.l_type = F_WRLCK, T(fcntl(r, F_SETLK, &l)), T(fcntl(b, F_SETLK, &l)), T(fcntl(b, F_GETLK, &l)), T(l.l_type);
    l = (struct flock){.l_type = F_UNLCK, .l_start = 12, .l_len = 2};
    T(fcntl(a, F_OFD_SETLK, &l)), l.l_type = F_WRLCK, T(fcntl(b, F_OFD_SETLK, &l)), l.l_start = 11, T(fcntl(b, F_OFD_SETLK, &l));
    l.l_type = 9, T(fcntl(b, F_SETLK, &l)), l.l_type = F_RDLCK, l.l_whence = 9, T(fcntl(b, F_SETLK, &l)), l.l_whence = 0, l.l_start = -1, T(fcntl(b, F_SETLK, &l));
    T(fcntl(b, F_SETLK, (void *)16)), T(fcntl(b, F_SETOWN, 0)), T(fcntl(b, F_GETOWN));
    T(close(a)), l.l_start = 11, l.l_type = F_WRLCK, l.l_pid = 0, T(fcntl(b, F_OFD_SETLK, &l));
    closefrom(3);
}

static void listing(void) {
    mkdir("many", 0755);
    for (int i = 0; i < 200; i++) sprintf(buf, "many/file-%d", i), put(buf, "");
    DIR *dir = opendir("many");
    struct dirent *entry;
    int count = 0, sum = 0;
    long middle = 0;
    while ((entry = readdir(dir))) {
        if (count == 100) middle = telldir(dir);
        count++, sum += atoi(strrchr(entry->d_name, '-') ? strrchr(entry->d_name, '-') + 1 : "0") + (entry->d_type == DT_REG);
    }
    T(count), T(sum);
    seekdir(dir, middle), count = 0;
    while (readdir(dir)) count++;
    T(count == 101 || count == 102);
    put("many/later", "");
    rewinddir(dir), count = 0;
    while (readdir(dir)) count++;
    T(count);
    T(syscall(SYS_getdents64, dirfd(dir), buf, 0) == 0 ? 0 : 1);
    closedir(dir);
    int fd = open("many", O_RDONLY);
    T(syscall(SYS_getdents64, fd, buf, 10)), T(syscall(SYS_getdents64, 1, buf, 100) == -1 && errno == ENOTDIR), T(read(fd, buf, 1)), T(lseek(fd, 0, SEEK_SET));
    for (int i = 0; i < 200; i++) sprintf(buf, "many/file-%d", i), unlink(buf);
    T(unlink("many/later")), T(rmdir("many"));
    close(fd);
}

static void telling(void) {
    int n = inotify_init1(IN_NONBLOCK), w;
    mkdir("watched", 0755);
    T(inotify_init1(1)), T(w = inotify_add_watch(n, "watched", IN_ALL_EVENTS & ~IN_ACCESS)), T(inotify_add_watch(n, "watched", 0)), T(inotify_add_watch(n, "none", IN_OPEN));
    T(inotify_add_watch(n, "attr", IN_OPEN | IN_ONLYDIR)), T(inotify_add_watch(1, "attr", IN_OPEN)), T(inotify_rm_watch(n, 77));
    put("watched/a", "text");
    chmod("watched/a", 0600), rename("watched/a", "watched/b"), unlink("watched/b"), mkdir("watched/c", 0755), rmdir("watched/c");
    int length = read(n, buf, sizeof buf);
    for (int at = 0; at < length;) {
        struct inotify_event *event = (void *)(buf + at);
        printf("event %d %#x %s\n", event->wd == w, event->mask, event->len ? event->name : "");
        at += sizeof *event + event->len;
    }
    T(read(n, buf, sizeof buf)), rmdir("watched"), T(read(n, buf, sizeof buf)), T(write(n, "x", 1));
    close(n);
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *at) { return remove(path); }

int main(int argc, char **argv) {
    char own[64];
    snprintf(own, sizeof own, "/dev/shm/files-%d", getpid());
    const char *where = argc > 1 ? argv[1] : own;
    setvbuf(stdout, NULL, _IONBF, 0);
    mkdir(where, 0755);
    if (chdir(where)) return perror(where), 1;
    closefrom(3);
    opening(), beneath(), moving(), names(), attributes(), pipes(), locks(), listing(), telling();
    if (nftw(where, remove_one, 8, FTW_DEPTH | FTW_PHYS)) perror(where);
    return 0;
}
