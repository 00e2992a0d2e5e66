// Runs a program file as the library OS would, in an ordinary process: maps it, points gs to a block whose first word
// is the entry that rewritten calls jump to, and starts it. The entry counts the call and lets Linux answer it.
//
// harness COUNTERS PROGRAM [ARG...]; COUNTERS is a file of 4096 bytes: the second word counts the calls.
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// In front of where a rewritten call goes on there is always a `syscall`: it is run in its place. It and the entry
// change rcx and r11 only, and the flags not at all; r11 is spoiled on purpose.
__asm__(
    ".globl entry\n"
    "entry:\n"
    "  mov %gs:8, %r11\n"
    "  lea 1(%r11), %r11\n"
    "  mov %r11, %gs:8\n"
    "  mov $0x5a5a5a5a, %r11d\n"
    "  lea -2(%rcx), %rcx\n"
    "  jmp *%rcx\n");
extern char entry[];

static void fail(const char *what) {
    perror(what);
    exit(125);
}

struct loaded {
    uintptr_t entry, base, headers;
    int count;
    char interpreter[4096];
};

#define DOWN(x) ((x) & ~4095ul)
#define UP(x) DOWN((x) + 4095)

static struct loaded load(const char *path) {
    struct loaded it = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    Elf64_Ehdr header;
    if (fd < 0 || pread(fd, &header, sizeof header, 0) != sizeof header) fail(path);
    Elf64_Phdr *segments = calloc(header.e_phnum, sizeof *segments);
    if (pread(fd, segments, header.e_phnum * sizeof *segments, header.e_phoff) < 0) fail(path);
    uintptr_t low = -1ul, high = 0;
    for (int i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr *p = &segments[i];
        if (p->p_type == PT_INTERP && pread(fd, it.interpreter, p->p_filesz, p->p_offset) < 0) fail(path);
        if (p->p_type != PT_LOAD) continue;
        if (DOWN(p->p_vaddr) < low) low = DOWN(p->p_vaddr);
        if (UP(p->p_vaddr + p->p_memsz) > high) high = UP(p->p_vaddr + p->p_memsz);
    }
    int fixed = header.e_type == ET_EXEC ? MAP_FIXED_NOREPLACE : 0;
    char *at = mmap((void *)(fixed ? low : 0), high - low, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0);
    if (at == MAP_FAILED) fail("reserving memory");
    it.base = (uintptr_t)at - low;
    for (int i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr *p = &segments[i];
        if (p->p_type != PT_LOAD) continue;
        int prot = (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
                   (p->p_flags & PF_X ? PROT_EXEC : 0);
        uintptr_t start = it.base + DOWN(p->p_vaddr), file = it.base + p->p_vaddr + p->p_filesz;
        uintptr_t end = UP(it.base + p->p_vaddr + p->p_memsz), skip = p->p_vaddr & 4095;
        if (p->p_filesz &&
            mmap((void *)start, p->p_filesz + skip, prot, MAP_PRIVATE | MAP_FIXED, fd, p->p_offset - skip) == MAP_FAILED)
            fail("mapping a segment");
        uintptr_t zeros = p->p_filesz ? UP(file) : start;
        if (end > zeros &&
            mmap((void *)zeros, end - zeros, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
            fail("mapping zeros");
        if (p->p_memsz > p->p_filesz && p->p_flags & PF_W) memset((void *)file, 0, UP(file) - file);
        if (p->p_offset <= header.e_phoff && header.e_phoff < p->p_offset + p->p_filesz)
            it.headers = it.base + p->p_vaddr + header.e_phoff - p->p_offset;
    }
    it.entry = it.base + header.e_entry;
    it.count = header.e_phnum;
    close(fd);
    return it;
}

int main(int argc, char **argv, char **envp) {
    if (argc < 3) return 125;
    int fd = open(argv[1], O_RDWR | O_CLOEXEC);
    uintptr_t *block = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (block == MAP_FAILED) fail(argv[1]);
    block[0] = (uintptr_t)entry;
    struct loaded program = load(argv[2]), interpreter = {0};
    // The rewritten copy of the interpreter, when there is one.
    const char *other = getenv("INTERPRETER");
    if (program.interpreter[0]) interpreter = load(other ? other : program.interpreter);

    Elf64_auxv_t aux[64];
    int auxfd = open("/proc/self/auxv", O_RDONLY), auxn = read(auxfd, aux, sizeof aux) / sizeof *aux;
    close(auxfd);
    for (int i = 0; i < auxn; i++) switch (aux[i].a_type) {
            case AT_PHDR: aux[i].a_un.a_val = program.headers; break;
            case AT_PHNUM: aux[i].a_un.a_val = program.count; break;
            case AT_BASE: aux[i].a_un.a_val = interpreter.base; break;
            case AT_ENTRY: aux[i].a_un.a_val = program.entry; break;
            case AT_EXECFN: aux[i].a_un.a_val = (uintptr_t)argv[2]; break;
        }
    int envn = 0;
    while (envp[envn]) envn++;
    size_t size = 8 << 20, words = 1 + (argc - 2) + 1 + envn + 1 + auxn * 2;
    char *stack = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) fail("making a stack");
    uintptr_t *sp = (uintptr_t *)(((uintptr_t)stack + size - words * 8) & ~15ul), *to = sp;
    *to++ = argc - 2;
    for (int i = 2; i <= argc; i++) *to++ = (uintptr_t)argv[i];
    for (int i = 0; i <= envn; i++) *to++ = (uintptr_t)envp[i];
    memcpy(to, aux, auxn * sizeof *aux);
    if (syscall(SYS_arch_prctl, ARCH_SET_GS, block)) fail("setting gs");
    __asm__ volatile("mov %0, %%rsp\n xor %%edx, %%edx\n xor %%ebp, %%ebp\n jmp *%1"
                     :: "r"(sp), "r"(interpreter.entry ? interpreter.entry : program.entry) : "memory", "rdx");
    __builtin_unreachable();
}
