/* Advice about memory, what is resident, and what mmap and its relatives refuse. Says the same on Linux, run by root. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define T(what) printf("%s: %ld\n", #what, (long)(what))
#define PAGE 4096
/* musl's headers are older. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

static long e(long r) { return r < 0 && r > -4096 && r == -1 ? -errno : r; }
static long m(void *p) { return p == MAP_FAILED ? -errno : 0; }

static char *map(int pages, int protection) { return mmap(NULL, pages * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

static void refused(void) {
    char *p = map(4, PROT_READ | PROT_WRITE);
    int fd = memfd_create("refused", 0), wo = open("/tmp/mappings-wo", O_WRONLY | O_CREAT, 0600), folder = open("/tmp", O_RDONLY), null = open("/dev/null", O_RDWR);
    ftruncate(fd, PAGE);
    T(m(mmap(NULL, 0, PROT_READ, MAP_PRIVATE, fd, 0)));
    T(m(mmap(NULL, PAGE, PROT_READ, 0, fd, 0)));
    T(m(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 100)));
    T(m(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0)));
    T(m(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0)));
    T(m(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, wo, 0)));
    T(m(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, folder, 0)));
    T(m(mmap(NULL, -1UL, PROT_READ, MAP_PRIVATE, fd, 0)));
    T(m(mmap((void *)1, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0)));
    T(m(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE | MAP_ANONYMOUS, -1, 0)));
    T(m(mmap(NULL, PAGE, PROT_READ, MAP_SHARED_VALIDATE | 0x40000000, fd, 0)));
    T(m(mmap((void *)(1UL << 62), PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)));
    T(e(munmap(p + 1, PAGE))), T(e(munmap(p, 0))), T(e(munmap(p, -1UL)));
    T(e(mprotect(p + 1, PAGE, PROT_READ))), T(e(mprotect(p, 0, PROT_READ)));
    T(e(mprotect(p, PAGE, 0x40))), T(e(mprotect(p, PAGE, PROT_GROWSDOWN | PROT_GROWSUP)));
    munmap(p + 2 * PAGE, PAGE);
    T(e(mprotect(p, 4 * PAGE, PROT_READ)));
    T(m(mremap(p + 1, PAGE, PAGE, 0))), T(m(mremap(p, PAGE, 0, 0))), T(m(mremap(p, PAGE, 2 * PAGE, 0x40)));
    T(m(mremap(p, 3 * PAGE, 5 * PAGE, MREMAP_MAYMOVE)));
    T(m(mremap(p, 2 * PAGE, 3 * PAGE, MREMAP_FIXED, p)));
    T(m(mremap(p, 2 * PAGE, 2 * PAGE, MREMAP_FIXED | MREMAP_MAYMOVE, p + PAGE)));
    T(e(msync(p + 1, PAGE, MS_SYNC))), T(e(msync(p, PAGE, MS_SYNC | MS_ASYNC))), T(e(msync(p, PAGE, 0x10))), T(e(msync(p, 4 * PAGE, MS_SYNC)));
    T(e(mlock(p, 4 * PAGE))), T(e(munlock(p, PAGE)));
    close(fd), close(wo), unlink("/tmp/mappings-wo");
}

static void advice(void) {
    char *p = map(4, PROT_READ | PROT_WRITE);
    unsigned char resident[4];
    memset(p, 'x', 4 * PAGE);
    T(e(mincore(p, 4 * PAGE, resident))), T(resident[0] & 1), T(resident[3] & 1);
    T(e(mincore(p + 1, PAGE, resident))), T(e(mincore(p, PAGE, (void *)16)));
    T(e(madvise(p, 4 * PAGE, MADV_DONTNEED))), T(p[0]), T(p[3 * PAGE]);
    p[0] = 'y';
    T(e(madvise(p + 1, PAGE, MADV_DONTNEED))), T(e(madvise(p, PAGE, 77))), T(e(madvise(p, 0, MADV_DONTNEED))), T(e(madvise(p, -PAGE, MADV_NORMAL)));
    static const int all[] = {MADV_NORMAL, MADV_RANDOM, MADV_SEQUENTIAL, MADV_WILLNEED, MADV_FREE, MADV_DONTFORK, MADV_DOFORK, MADV_DONTDUMP, MADV_DODUMP,
                              MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_COLD, MADV_PAGEOUT, MADV_POPULATE_READ, MADV_POPULATE_WRITE};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++) printf("advice %d: %ld\n", all[i], e(madvise(p, 2 * PAGE, all[i])));
    int fd = memfd_create("advice", 0);
    ftruncate(fd, 4 * PAGE);
    char *shared = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    memset(shared, 's', 4 * PAGE);
    T(e(madvise(shared, PAGE, MADV_DONTNEED))), T(shared[0]);
    T(e(madvise(shared, PAGE, MADV_FREE)));
    T(e(madvise(shared + PAGE, PAGE, MADV_REMOVE))), T(shared[PAGE]), T(shared[2 * PAGE]);
    T(e(madvise(p, PAGE, MADV_REMOVE))), T(e(madvise(read_only, PAGE, MADV_REMOVE)));
    T(e(madvise(read_only, PAGE, MADV_POPULATE_WRITE)));
    char *none = map(1, PROT_NONE);
    T(e(madvise(none, PAGE, MADV_POPULATE_READ)));
    munmap(p + PAGE, PAGE);
    T(e(madvise(p, 3 * PAGE, MADV_WILLNEED))), T(e(madvise(p, 3 * PAGE, MADV_DONTNEED))), T(e(mincore(p, 3 * PAGE, resident)));
}

/* A file that was opened for reading alone is not written through a shared mapping. */
static void read_only(void) {
    char path[] = "/tmp/mappings-XXXXXX";
    int fd = mkstemp(path), again = open(path, O_RDONLY);
    ftruncate(fd, PAGE), unlink(path);
    char *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, again, 0), *private = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, again, 0), *both = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    T(e(mprotect(shared, PAGE, PROT_READ | PROT_WRITE))), T(e(mprotect(private, PAGE, PROT_READ | PROT_WRITE))), T(e(mprotect(both, PAGE, PROT_READ | PROT_WRITE)));
    both[0] = 'b', private[1] = 'p';
    T(shared[0]), T(shared[1]);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    refused();
    advice();
    read_only();
    return 0;
}
