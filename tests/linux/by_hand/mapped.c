/* mapped LIBRARY: loads calls.S, and calls and changes its code. Says the same on Linux, but for how many calls are jumps. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGES(p) ((void *)((uintptr_t)(p) & ~4095ul))
typedef long (*function)(long, long, long, long);

static const char *const names[] = {"parent", "parent_long", "write_to", "read_some", "any", "again", "middle", "number", "relative", "kept", "border"};
#define COUNT (sizeof names / sizeof *names)

/* Where a symbol is, in a library that was loaded or that we mapped, by where it is in the other. */
static void *library;
static intptr_t shift;
static void *find(const char *name) { return (char *)dlsym(library, name) + shift; }
static function get(const char *name) { return (function)find(name); }
static unsigned char *window(const char *name) {
    char at[64];
    snprintf(at, sizeof at, "%s_at", name);
    return find(at);
}

static void call(const char *title) {
    long parent = getppid();
    int ends[2];
    char to[16] = {0};
    pipe(ends);
    long wrote = get("write_to")(ends[1], (long)"something", 9, 0), got = get("read_some")(ends[0], (long)to, 0, 0);
    close(ends[0]);
    close(ends[1]);
    printf("%s: %d %d; %ld %ld %s; any %d; again %d; middle %d %d; number %lx; relative %ld; kept %ld; border %d\n", title,
           get("parent")(0, 0, 0, 0) == parent, get("parent_long")(0, 0, 0, 0) == parent, wrote, got, to,
           get("any")(110, 0, 0, 0) == parent, get("again")(0, 0, 0, 0) == 3 * parent, get("middle")(0, 0, 0, 0) == getpid(),
           get("middle")(1, 0, 0, 0) == parent, get("number")(0, 0, 0, 0), get("relative")(0, 0, 0, 0), get("kept")(0, 0, 0, 0),
           get("border")(0, 0, 0, 0) == parent);
}

static void jumps(const char *title) {
    printf("jumps %s:", title);
    for (unsigned i = 0; i < COUNT; i++)
        if (*window(names[i]) == 0xe9) printf(" %s", names[i]);
    printf("\n");
}

/* Whether the code is as in the file. */
static int original(const char *path, const char *name, int length) {
    unsigned char bytes[32] = {0};
    Dl_info about;
    dladdr(dlsym(library, name), &about);
    int file = open(path, O_RDONLY);
    /* Linked from 0 on, with text at its offset. */
    pread(file, bytes, length, (char *)dlsym(library, name) - (char *)about.dli_fbase);
    close(file);
    return !memcmp(bytes, find(name), length);
}

int main(int count, char **arguments) {
    const char *path = arguments[1];
    setvbuf(stdout, NULL, _IONBF, 0);
    library = dlopen(path, RTLD_NOW);
    if (!library) return puts(dlerror()), 1;
    call("loaded");
    jumps("loaded");

    /* Before code can be written it is what it was, and what is written counts. */
    unsigned char *code = window("parent");
    printf("writable: %d\n", mprotect(PAGES(code), 8192, PROT_READ | PROT_WRITE));
    printf("as in the file: %d\n", original(path, "parent", 8));
    jumps("writable");
    code[1] = 39; /* getpid */
    printf("executable: %d\n", mprotect(PAGES(code), 8192, PROT_READ | PROT_EXEC));
    printf("changed: %d\n", get("parent")(0, 0, 0, 0) == getpid());
    jumps("changed");
    mprotect(PAGES(code), 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    code[1] = 110;
    printf("changed while it can be executed: %d\n", get("parent")(0, 0, 0, 0) == getppid());
    mprotect(PAGES(code), 8192, PROT_READ | PROT_EXEC);
    call("again executable");

    /* One page of two between which a call lies. */
    code = window("border");
    mprotect((char *)PAGES(code) + 4096, 4096, PROT_READ | PROT_WRITE);
    printf("the page behind is writable, as in the file: %d\n", original(path, "border", 10));
    mprotect((char *)PAGES(code) + 4096, 4096, PROT_READ | PROT_EXEC);
    call("by pages");

    /* Mapped by hand, executable later, moved, taken away. */
    struct stat status;
    int file = open(path, O_RDONLY);
    fstat(file, &status);
    long length = (status.st_size + 4095) & ~4095l;
    char *whole = mmap(0, length, PROT_READ, MAP_PRIVATE, file, 0);
    Dl_info about;
    dladdr(dlsym(library, "parent"), &about);
    shift = whole - (char *)about.dli_fbase;
    jumps("mapped to read");
    printf("executable: %d\n", mprotect(whole, length, PROT_READ | PROT_EXEC));
    call("mapped by hand");
    jumps("mapped by hand");
    char *room = mmap(0, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *moved = mremap(whole, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, room);
    printf("moved: %d\n", moved == room);
    shift += moved - whole;
    call("moved");
    munmap(moved, length);
    /* Other bytes at the same place are not changed. */
    char *other = mmap(moved, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    long bytes = 0;
    for (long i = 0; i < length; i++) bytes += other[i] != 0;
    printf("something else there: %ld\n", bytes);
    munmap(other, length);
    close(file);

    /* A private copy of the file is not the file. */
    shift = 0;
    dlclose(library);
    library = dlopen(path, RTLD_NOW);
    call("loaded again");
    jumps("loaded again");
    for (int i = 0; i < 200; i++) dlclose(library), library = dlopen(path, RTLD_NOW);
    int areas = 0, letter;
    FILE *maps = fopen("/proc/self/maps", "r");
    while ((letter = fgetc(maps)) != EOF) areas += letter == '\n';
    printf("few areas: %d\n", areas < 60);
    return 0;
}
