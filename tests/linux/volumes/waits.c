// Waits for a lock on the file of the first argument, and has it and one on its bytes until it ends.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

int main(int count, char **arguments) {
    setvbuf(stdout, 0, _IOLBF, 0);
    int file = open(arguments[1], O_RDWR);
    if (file < 0)
        return perror(arguments[1]), 1;
    if (flock(file, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return perror("flock"), 1;
    printf("somebody has it\n");
    if (flock(file, LOCK_EX) != 0)
        return perror("flock"), 1;
    struct flock bytes = {.l_type = F_WRLCK, .l_start = 5, .l_len = 10};
    if (fcntl(file, F_SETLKW, &bytes) != 0)
        return perror("fcntl"), 1;
    printf("mine\n");
    sleep(2);
    return 0;
}
