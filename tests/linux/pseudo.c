/* Pseudo-terminals, from both ends. Says the same on Linux. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

/* One call a line, in this order. */
#define T(what) printf("%d %s: %ld\n", __LINE__, #what, e((long)(what)))

static long e(long result) { return result == -1 ? -errno : result; }

static char bytes[20000];

/* What can be read, shown so that control characters are seen. */
static void got(const char *what, int fd) {
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    int length = 0;
    if (poll(&wait, 1, 1000) == 1) length = read(fd, bytes, sizeof bytes);
    printf("%s: %ld", what, e(length));
    for (int i = 0; i < length; i++) printf(bytes[i] < ' ' || bytes[i] == 127 ? " \\%o" : "%c", (unsigned char)bytes[i]);
    printf("\n");
}

static int events(int fd) {
    struct pollfd wait = {.fd = fd, .events = POLLIN | POLLOUT};
    poll(&wait, 1, 0);
    return wait.revents;
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    signal(SIGHUP, SIG_IGN);
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    T(master >= 0);
    T(isatty(master));
    unsigned number;
    int locked;
    char name[64];
    struct stat st;
    T(ioctl(master, TIOCGPTN, &number));
    snprintf(name, sizeof name, "/dev/pts/%u", number);
    T(ioctl(master, TIOCGPTLCK, &locked));
    T(locked);
    T(open(name, O_RDWR | O_NOCTTY));
    T(unlockpt(master));
    T(strcmp(ptsname(master), name));
    T(stat(name, &st));
    printf("%o %u %d\n", st.st_mode & S_IFMT, major(st.st_rdev), minor(st.st_rdev) == number);
    T(events(master));
    int slave = open(name, O_RDWR | O_NOCTTY);
    T(slave >= 0);
    T(isatty(slave));
    T(strcmp(ttyname(slave), name));
    T(fstat(slave, &st));
    printf("%o %u %d\n", st.st_mode & S_IFMT, major(st.st_rdev), minor(st.st_rdev) == number);

    /* Lines, echo and editing. */
    T(events(slave));
    T(write(master, "hello", 5));
    got("echo", master);
    T(events(slave));
    T(write(master, "\177p\n", 3));
    got("erased", master);
    T(events(slave));
    int there;
    T(ioctl(slave, FIONREAD, &there));
    T(there);
    got("line", slave);
    T(write(slave, "to\nthe master", 13));
    got("written", master);
    T(write(master, "\004", 1));
    got("end of file", slave);
    T(fcntl(slave, F_SETFL, O_NONBLOCK));
    T(read(slave, bytes, 10));
    T(fcntl(master, F_SETFL, O_NONBLOCK));
    T(read(master, bytes, 10));

    /* Modes are one for both ends. */
    struct termios modes;
    T(tcgetattr(master, &modes));
    printf("%o %o %o\n", modes.c_iflag & (ICRNL | IXON), modes.c_oflag & (OPOST | ONLCR), modes.c_lflag & (ICANON | ECHO | ISIG));
    cfmakeraw(&modes);
    T(tcsetattr(slave, TCSANOW, &modes));
    T(write(master, "\003raw\r", 5));
    got("raw", slave);
    T(read(master, bytes, 10));
    T(write(slave, "a\nb", 3));
    got("raw output", master);
    T(tcgetattr(master, &modes));
    T(modes.c_lflag & ICANON);

    /* The window. */
    struct winsize size = {1, 2, 3, 4}, told;
    T(ioctl(slave, TIOCGWINSZ, &told));
    printf("%d %d\n", told.ws_row, told.ws_col);
    T(ioctl(master, TIOCSWINSZ, &size));
    T(ioctl(slave, TIOCGWINSZ, &told));
    printf("%d %d %d %d\n", told.ws_row, told.ws_col, told.ws_xpixel, told.ws_ypixel);

    /* It is nobody's terminal. */
    pid_t group;
    T(tcgetpgrp(slave));
    T(tcsetpgrp(slave, getpid()));
    T(ioctl(slave, TIOCGSID, &group));
    T(ioctl(master, TIOCGPGRP, &group));
    T(group);

    /* What nobody reads fills it up; both go on when it is read. */
    memset(bytes, 'x', sizeof bytes);
    long sum = 0, n;
    for (int again = 0; again < 3; again++) { /* Linux moves it to the other end in the background, which makes room. */
        while ((n = write(slave, bytes, 1000)) > 0) sum += n;
        usleep(20000);
    }
    T(n);
    T(sum >= 4096);
    T(events(slave));
    while ((n = read(master, bytes, sizeof bytes)) > 0) sum -= n;
    T(n);
    T(sum);
    T(events(slave));

    /* Another one has another number. */
    int master2 = posix_openpt(O_RDWR | O_NOCTTY);
    T(master2 >= 0 && strcmp(ptsname(master2), name) != 0);
    T(unlockpt(master2));
    int slave2 = ioctl(master2, TIOCGPTPEER, O_RDWR | O_NOCTTY);
    T(slave2 >= 0 && strcmp(ttyname(slave2), ptsname(master2)) == 0);
    close(slave2);
    close(master2);

    /* The other end goes: the slave's, and is opened again; then the master's. */
    T(write(slave, "last", 4));
    close(slave);
    T(events(master));
    got("last", master);
    T(events(master));
    T(read(master, bytes, 10));
    slave = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
    T(slave >= 0);
    T(read(master, bytes, 10));
    T(write(master, "lost", 4));
    close(master);
    T(events(slave));
    T(read(slave, bytes, 10));
    T(write(slave, "x", 1));
    T(tcgetattr(slave, &modes));
    T(open(name, O_RDWR | O_NOCTTY));
    T(stat(name, &st));
    close(slave);
    return 0;
}
