// Writes until the folder's file system is full, and goes on when there is room again.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (chdir(arguments[1]) != 0)
        return perror(arguments[1]), 1;
    int file = open("file", O_RDWR | O_CREAT, 0644);
    char block[3000];
    memset(block, 'x', sizeof block);
    long written = 0, length;
    while ((length = write(file, block, sizeof block)) > 0)
        written += length;
    printf("%s\n", strerrorname_np(errno));
    struct stat st;
    fstat(file, &st);
    if (st.st_size != written)
        printf("%ld bytes written, ", written);
    printf("%ld bytes\n", (long)st.st_size);
    int other = open("other", O_RDWR | O_CREAT, 0644);
    printf("reserving: %s\n", strerrorname_np(posix_fallocate(other, 0, 1 << 20)));
    ftruncate(other, 0);
    close(other);
    unlink("other");
    ftruncate(file, st.st_size - 8192);
    printf("then %ld\n", (long)pwrite(file, "x", 1, st.st_size - 1 - 4096));
    ftruncate(file, 0);
    lseek(file, 0, SEEK_SET);
    for (long left = written; left > 0; left -= length)
        if ((length = write(file, block, left < sizeof block ? left : sizeof block)) <= 0)
            return perror("once more"), 1;
    return 0;
}
