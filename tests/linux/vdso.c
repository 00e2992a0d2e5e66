/* The vDSO: where it is, what it offers, and that it tells the same as the calls. */
#define _GNU_SOURCE
#include <elf.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char *base;

static void *find(const char *name) {
    const Elf64_Ehdr *e = (const void *)base;
    const Elf64_Phdr *p = (const void *)(base + e->e_phoff);
    const Elf64_Dyn *dynamic = 0;
    uintptr_t bias = 0;
    for (int i = 0; i < e->e_phnum; i++) {
        if (p[i].p_type == PT_LOAD) bias = (uintptr_t)base + p[i].p_offset - p[i].p_vaddr;
        if (p[i].p_type == PT_DYNAMIC) dynamic = (const void *)(base + p[i].p_offset);
    }
    const char *strings = 0;
    const Elf64_Sym *symbols = 0;
    for (; dynamic->d_tag; dynamic++) {
        if (dynamic->d_tag == DT_STRTAB) strings = (const char *)(bias + dynamic->d_un.d_ptr);
        if (dynamic->d_tag == DT_SYMTAB) symbols = (const Elf64_Sym *)(bias + dynamic->d_un.d_ptr);
    }
    for (const Elf64_Sym *s = symbols; (const char *)s < strings; s++)
        if (s->st_shndx && !strcmp(strings + s->st_name, name)) return (void *)(bias + s->st_value);
    return 0;
}

static int64_t ns(struct timespec t) { return t.tv_sec * 1000000000ll + t.tv_nsec; }

/* The wall clock of a virtual machine becomes more exact while its counter's rate is measured. */
#define EXACT 20000000

/* Whether it tells a time between those that two system calls tell. */
static void agrees(int (*gettime)(clockid_t, struct timespec *), clockid_t clock) {
    struct timespec a, b, c;
    syscall(SYS_clock_gettime, clock, &a);
    int result = gettime(clock, &b);
    syscall(SYS_clock_gettime, clock, &c);
    printf("clock %d: %d %d\n", clock, result, ns(b) >= ns(a) - EXACT && ns(b) <= ns(c) + EXACT);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    base = (const char *)getauxval(AT_SYSINFO_EHDR);
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, maps))
        if (strstr(line, "[vdso]"))
            printf("listed: %d %d\n", (const char *)strtoul(line, 0, 16) == base, strstr(line, "r-xp") != 0);
    fclose(maps);
    printf("ELF: %d\n", !memcmp(base, ELFMAG, SELFMAG));
    int (*gettime)(clockid_t, struct timespec *) = find("__vdso_clock_gettime");
    int (*getres)(clockid_t, struct timespec *) = find("__vdso_clock_getres");
    int (*gettimeofday_)(struct timeval *, struct timezone *) = find("__vdso_gettimeofday");
    time_t (*time_)(time_t *) = find("__vdso_time");
    int (*getcpu_)(unsigned *, unsigned *, void *) = find("__vdso_getcpu");
    printf("functions: %d %d %d %d %d\n", !!gettime, !!getres, !!gettimeofday_, !!time_, !!getcpu_);
    /* Until the rate of a virtual machine's counter is known they make calls: both ways are looked at. */
    for (int round = 0; round < 2; round++) {
        static const clockid_t all[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
                                        CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI};
        for (unsigned i = 0; i < sizeof all / sizeof *all; i++) agrees(gettime, all[i]);
        struct timespec t, r = {9, 9};
        printf("others: %d %d\n", gettime(12, &t) != 0, gettime(99, &t) != 0);
        printf("resolution: %d", getres(CLOCK_MONOTONIC, &r));
        printf(" %ld %d\n", (long)r.tv_sec, r.tv_nsec > 0);
        struct timeval day;
        struct timezone zone = {7, 7};
        int told = gettimeofday_(&day, 0);
        syscall(SYS_clock_gettime, CLOCK_REALTIME, &t);
        int64_t behind = ns(t) - day.tv_sec * 1000000000ll - day.tv_usec * 1000;
        printf("time of day: %d %d %d\n", told, behind >= -EXACT && behind < 1000000000, day.tv_usec >= 0 && day.tv_usec < 1000000);
        printf("zone: %d", gettimeofday_(&day, &zone));
        printf(" %d %d; %d\n", zone.tz_minuteswest, zone.tz_dsttime, gettimeofday_(0, 0));
        time_t kept = 0, seconds = time_(&kept);
        printf("seconds: %d %d\n", kept == seconds, time_(0) - seconds <= 1 && t.tv_sec - seconds <= 1 && seconds - t.tv_sec <= 1);
        unsigned cpu = 77777, node = 77777;
        printf("cpu: %d", getcpu_(&cpu, &node, 0));
        printf(" %d %u %d\n", cpu < 4096, node, getcpu_(0, 0, 0));
        usleep(400000);
    }
    return 0;
}
