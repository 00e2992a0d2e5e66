/* Turns of threads end all the time, wherever they are: calls, those that trap included, and registers are as they were. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_int done;
static atomic_long signals;

/* Who sleeps shortly has the running thread's turn end. */
static void *naps(void *arg) {
    struct timespec shortly = {0, (long)arg};
    while (!done) nanosleep(&shortly, 0);
    return 0;
}

static void *computes(void *arg) {
    volatile unsigned long sum = 0;
    while (!done) sum += 3;
    return 0;
}

static void count(int number) { signals++; }

/* mov rax, rdi; mov rdi, rsi; mov rsi, rdx; syscall; ret: in memory of its own, where no call is rewritten. */
static const unsigned char text[] = {0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6, 0x0f, 0x05, 0xc3};

/* Keeps numbers in vector registers over calls that the compiler knows nothing of. */
static int vectors(long (*traps)(long, long, long)) {
    unsigned long low = 0, high = 0, x87 = 0;
    for (int i = 0; i < 3000; i++) {
        unsigned long a = 0x1111111111111111ul * (i % 15), b = ~a;
        asm volatile("movq %2, %%xmm6\n movq %3, %%xmm13\n fildll %4\n"
                     "mov $72, %%eax\n mov $1, %%edi\n mov $1, %%esi\n syscall\n"
                     "movq %%xmm6, %0\n movq %%xmm13, %1\n fistpll %4\n"
                     : "=&r"(low), "=&r"(high)
                     : "r"(a), "r"(b), "m"(x87)
                     : "rax", "rcx", "rdi", "rsi", "r11", "xmm6", "xmm13", "memory");
        if (low != a || high != b || x87 != 0) return 0;
        if (traps(SYS_fcntl, 1, F_GETFD) != 0) return 0;
    }
    return 1;
}

int main(void) {
    void *own = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(own, text, sizeof text);
    mprotect(own, 4096, PROT_READ | PROT_EXEC);
    long (*traps)(long, long, long) = (long (*)(long, long, long))own;
    int given = fcntl(1, F_GETFD);
    signal(SIGUSR1, count);
    pthread_t threads[4];
    long naps_of[] = {20000, 70000, 300000};
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], 0, naps, (void *)naps_of[i]);
    pthread_create(&threads[3], 0, computes, 0);
    int wrong = 0;
    for (int i = 0; i < 30000; i++) {
        wrong += traps(SYS_fcntl, 1, F_GETFD) != given;
        wrong += traps(SYS_close, -1, 0) != -9;
        wrong += syscall(SYS_fcntl, 1, F_GETFD) != given;
        if (i % 1000 == 0) pthread_kill(threads[3], SIGUSR1);
    }
    printf("wrong results: %d\n", wrong);
    printf("vectors: %d\n", vectors(traps));
    done = 1;
    for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    printf("signals: %d\n", signals > 0);
    return 0;
}
