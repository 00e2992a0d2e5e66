/* At a fixed address, without position independence: addresses of its parts, brk, environment, argument vector. */
#define _GNU_SOURCE
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

static int data = 42;
static int zero[100000];

static int loaded(struct dl_phdr_info *info, size_t size, void *count) {
    (void)size;
    if (*(int *)count == 0) printf("loaded at %#lx\n", (unsigned long)info->dlpi_addr);
    ++*(int *)count;
    return 0;
}

int main(int argc, char **argv) {
    printf("low %d %d\n", (uintptr_t)main < 0x10000000, (uintptr_t)&data < 0x10000000);
    for (int i = 1; i < argc; i++) printf("argument %d: %s\n", i, argv[i]);
    int count = 0;
    dl_iterate_phdr(loaded, &count);
    printf("entry %d, page %lu, secure %lu, header %d\n", getauxval(AT_ENTRY) < 0x10000000, getauxval(AT_PAGESZ), getauxval(AT_SECURE),
           getauxval(AT_PHNUM) > 0);
    long sum = data;
    for (unsigned i = 0; i < sizeof zero / sizeof *zero; i++) sum += zero[i]++;
    /* By the call itself: musl's sbrk refuses. */
    long before = syscall(SYS_brk, 0), more = syscall(SYS_brk, before + (1 << 20));
    if (more - before == 1 << 20) memset((char *)before, 1, 1 << 20);
    printf("sum %ld, brk %ld %d\n", sum, more - before, syscall(SYS_brk, before) == before);
    void *many[200];
    for (int i = 0; i < 200; i++) memset(many[i] = malloc(1000 * (i + 1)), i, 1000 * (i + 1));
    for (int i = 0; i < 200; i++) free(many[i]);
    printf("float %.3f %Lf\n", 1.0 / 3, 2.0L / 3);
    return argc;
}
