/* A terminal as a program by hand sees it: modes, lines, signals, its size. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t resized, interrupted;
static void note(int number) { number == SIGINT ? (interrupted = 1) : (resized = 1); }

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    struct sigaction action = {.sa_handler = note};
    sigaction(SIGINT, &action, NULL), sigaction(SIGWINCH, &action, NULL);
    char line[100], name[32];
    printf("terminal %d%d%d %s\n", isatty(0), isatty(1), isatty(2), ttyname_r(0, name, sizeof name) ? "" : "named");
    printf("line> ");
    int length = read(0, line, sizeof line);
    printf("got %.*s", length, line);
    printf("interrupt> ");
    length = read(0, line, sizeof line);
    printf("%d %d %d\n", length, errno == EINTR, interrupted);
    struct termios modes, raw;
    tcgetattr(0, &modes);
    raw = modes;
    cfmakeraw(&raw);
    tcsetattr(0, TCSANOW, &raw);
    printf("raw> ");
    for (int i = 0; i < 3; i++) {
        char byte;
        if (read(0, &byte, 1) == 1) printf("[%02x]", byte);
    }
    tcsetattr(0, TCSAFLUSH, &modes);
    printf("\nend> ");
    printf("%zd\n", read(0, line, sizeof line));
    struct winsize size;
    printf("resize> ");
    while (!resized) poll(NULL, 0, 20);
    ioctl(1, TIOCGWINSZ, &size);
    printf("%d x %d\n", size.ws_row, size.ws_col);
    return 7;
}
