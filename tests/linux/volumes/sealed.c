// Tries to change a folder that cannot be written, and a file in it, in every way there is.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define SAY(what) errno = 0, what, printf("%s %s\n", #what, errno ? strerrorname_np(errno) : "done")

int main(int count, char **arguments) {
    if (chdir(arguments[1]) != 0)
        return perror(arguments[1]), 1;
    struct timespec set[2] = {{1, 0}, {2, 0}};
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int file = open("file", O_RDONLY);
    SAY(open("file", O_WRONLY));
    SAY(open("file", O_RDWR));
    SAY(open("file", O_RDONLY | O_TRUNC));
    SAY(open("new", O_CREAT | O_RDWR, 0600));
    SAY(truncate("file", 0));
    SAY(mkdir("folder", 0700));
    SAY(mkfifo("pipe", 0600));
    SAY(mknod("node", S_IFREG | 0600, 0));
    SAY(symlink("a", "b"));
    SAY(link("file", "again"));
    SAY(rename("file", "moved"));
    SAY(syscall(SYS_renameat2, AT_FDCWD, "file", AT_FDCWD, "moved", 1));
    SAY(unlink("file"));
    SAY(rmdir("file"));
    SAY(chmod("file", 0600));
    SAY(fchmod(file, 0600));
    SAY(utimensat(AT_FDCWD, "file", set, 0));
    SAY(futimens(file, set));
    SAY(chown("file", 12345, 12345));
    SAY(access("file", W_OK));
    SAY(bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&name, sizeof name));
    return 0;
}
