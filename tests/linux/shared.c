/* Memory files mapped shared: what is written by one way is seen by the other. Says the same on Linux. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void both_ways(const char *what, int fd) {
    char buffer[16] = {0};
    if (ftruncate(fd, 10000)) perror("ftruncate");
    if (pwrite(fd, "before", 6, 0) != 6) perror("pwrite");
    char *one = mmap(NULL, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *two = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 4096);
    char *private = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    printf("%s: mapped %d %d %d, reads '%.6s'\n", what, one != MAP_FAILED, two != MAP_FAILED, private != MAP_FAILED, one);
    memcpy(one, "by map", 6);
    pread(fd, buffer, 6, 0);
    printf("written by the mapping, read by the file: '%.6s'\n", buffer);
    pwrite(fd, "by file", 7, 5000);
    printf("written by the file, read by the mapping: '%.7s' '%.7s'\n", one + 5000, two + 904);
    memcpy(two + 100, "other", 5);
    printf("written by one mapping, read by another: '%.5s'\n", one + 4196);
    memcpy(private, "mine", 4);
    pread(fd, buffer, 6, 0);
    printf("a private one stays private: '%.4s' '%.6s'\n", private, buffer);
    char *moved = mremap(two, 4096, 8192, MREMAP_MAYMOVE);
    printf("moved: %d '%.5s'\n", moved != MAP_FAILED, moved + 100);
    printf("msync %d", msync(one, 10000, MS_SYNC));
    printf(", munmap %d\n", munmap(one, 10000));
    pread(fd, buffer, 6, 0);
    struct stat about;
    fstat(fd, &about);
    printf("afterwards '%.6s' of %ld\n", buffer, (long)about.st_size);
    close(fd);
    printf("closed: '%.5s'\n", moved + 100);
    munmap(moved, 8192);
    munmap(private, 4096);
}

int main(void) {
    char path[] = "/tmp/shared-XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    both_ways("unlinked file", fd);
    both_ways("memfd", memfd_create("name", MFD_CLOEXEC));
    fd = open("/tmp/shared-code", O_RDWR | O_CREAT | O_TRUNC, 0700);
    unlink("/tmp/shared-code");
    ftruncate(fd, 4096);
    unsigned char *write_side = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    int (*run_side)(void) = (int (*)(void))mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    const unsigned char code[] = {0xb8, 42, 0, 0, 0, 0xc3};
    memcpy(write_side, code, sizeof code);
    printf("code written at one place runs at another: %d\n", run_side());
    int only = open("/tmp", O_TMPFILE | O_RDWR, 0600), again;
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", only);
    again = open(name, O_RDONLY);
    ftruncate(only, 4096);
    void *refused = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0);
    printf("read only: %d %d\n", refused == MAP_FAILED, errno == EACCES);
    return 0;
}
