/* Signals: what handlers are told, masks, queues, stacks, and what comes back afterwards. Says the same on Linux. */
#define _GNU_SOURCE
#include <errno.h>
#include <immintrin.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile int count, last, code, value, self;
static volatile void *address;
static volatile int order[64];

static void note(int n, siginfo_t *i, void *c) {
    (void)c;
    order[count++ & 63] = n;
    last = n, code = i->si_code, value = i->si_value.sival_int, self = i->si_pid == getpid();
    address = i->si_addr;
}

static void on(int n, void (*f)(int, siginfo_t *, void *), int flags) {
    struct sigaction a = {.sa_sigaction = f, .sa_flags = SA_SIGINFO | flags};
    sigemptyset(&a.sa_mask);
    if (sigaction(n, &a, NULL)) perror("sigaction");
}

static void told(const char *what) {
    printf("%s: count %d last %d code %d value %d self %d\n", what, count, last, code, value, self);
    count = last = code = value = self = 0;
}

static void simple(void) {
    on(SIGUSR1, note, 0);
    raise(SIGUSR1);
    told("raise");
    kill(getpid(), SIGUSR1);
    told("kill");
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 42});
    told("sigqueue");
    printf("none %d, bad number %d", kill(getpid(), 0), kill(getpid(), 99));
    printf(" %d, bad process %d", errno, kill(999999, SIGTERM));
    printf(" %d\n", errno);
    struct sigaction a = {.sa_handler = SIG_IGN};
    printf("kill %d", sigaction(SIGKILL, &a, NULL));
    printf(" %d, zero %d", errno, sigaction(0, &a, NULL));
    printf(" %d, sixty-five %ld", errno, syscall(SYS_rt_sigaction, 65, &a, NULL, 8));
    printf(" %d\n", errno);
    struct sigaction old;
    sigaction(SIGUSR1, NULL, &old);
    printf("old is ours %d, flags %#x\n", old.sa_sigaction == note, old.sa_flags & ~0x04000000);
}

static void masks(void) {
    sigset_t set, old, pending;
    sigemptyset(&set);
    for (int n = SIGRTMIN; n < SIGRTMIN + 3; n++) on(n, note, 0), sigaddset(&set, n);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGKILL);
    sigprocmask(SIG_BLOCK, &set, &old);
    for (int i = 0; i < 3; i++) {
        kill(getpid(), SIGUSR1);
        for (int n = SIGRTMIN + 2; n >= SIGRTMIN; n--) sigqueue(getpid(), n, (union sigval){.sival_int = i});
    }
    sigpending(&pending);
    printf("pending %d %d %d %d\n", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGRTMIN + 1),
           sigismember(&pending, SIGKILL), sigismember(&pending, SIGUSR2));
    struct timespec none = {0, 0};
    siginfo_t i;
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, SIGRTMIN + 1);
    printf("sigtimedwait %d", sigtimedwait(&only, &i, &none) - SIGRTMIN);
    printf(" %d value %d\n", i.si_signo - SIGRTMIN, i.si_value.sival_int);
    sigprocmask(SIG_SETMASK, &old, &set);
    printf("kill is blocked %d, delivered %d:", sigismember(&set, SIGKILL), count);
    /* Frames are stacked: what is delivered last runs first. */
    for (int k = 0; k < count; k++) printf(" %d", order[k] == SIGUSR1 ? 0 : order[k] - SIGRTMIN + 1);
    printf("\n");
    count = 0;
    printf("nothing %d", sigtimedwait(&only, &i, &none));
    printf(" %d\n", errno == EAGAIN);
    struct timespec soon = {0, 20000000};
    printf("later %d", sigtimedwait(&only, &i, &soon));
    printf(" %d\n", errno == EAGAIN);
    printf("how %d", sigprocmask(77, &set, NULL));
    printf(" %d, size %ld", errno, syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 4));
    printf(" %d\n", errno);
}

static void nested(int n, siginfo_t *i, void *c) {
    (void)i, (void)c;
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    printf("in %s: itself %d, usr2 %d\n", n == SIGUSR1 ? "usr1" : "usr2", sigismember(&now, n), sigismember(&now, SIGUSR2));
    if (n == SIGUSR1 && count++ == 0) raise(SIGUSR1), raise(SIGUSR2), printf("raised\n");
}

static void flags(void) {
    on(SIGUSR1, nested, 0);
    on(SIGUSR2, nested, 0);
    count = 0;
    raise(SIGUSR1);
    on(SIGUSR1, nested, SA_NODEFER);
    count = 0;
    raise(SIGUSR1);
    struct sigaction a = {.sa_sigaction = nested, .sa_flags = SA_SIGINFO};
    sigemptyset(&a.sa_mask);
    sigaddset(&a.sa_mask, SIGUSR2);
    sigaction(SIGUSR1, &a, NULL);
    count = 0;
    raise(SIGUSR1);
    on(SIGUSR2, note, SA_RESETHAND);
    count = 0;
    raise(SIGUSR2);
    struct sigaction old;
    sigaction(SIGUSR2, NULL, &old);
    printf("reset %d count %d\n", old.sa_handler == SIG_DFL, count);
    signal(SIGUSR2, SIG_IGN);
    raise(SIGUSR2);
    raise(SIGCHLD), raise(SIGURG), raise(SIGWINCH), raise(SIGCONT);
    printf("ignored\n");
}

static char area[65536] __attribute__((aligned(16)));
static jmp_buf back;

static void on_stack(int n, siginfo_t *i, void *c) {
    char here;
    stack_t s, other = {.ss_sp = area, .ss_size = sizeof area};
    sigaltstack(NULL, &s);
    int set = sigaltstack(&other, NULL), error = errno;
    printf("signal %d code %d on it %d flags %d set %d %d entry %d direction %d\n", n, i->si_code,
           &here >= area && &here < area + sizeof area, s.ss_flags, set, set ? error : 0,
           (int)((uintptr_t)__builtin_frame_address(0) & 15), (int)(__builtin_ia32_readeflags_u64() >> 10 & 1));
    ucontext_t *u = c;
    printf("context: stack %d size %zu flags %#lx fp %d\n", u->uc_stack.ss_sp == area, u->uc_stack.ss_size,
           u->uc_flags & 6, (int)((uintptr_t)u->uc_mcontext.fpregs & 63));
    if (n == SIGSEGV) siglongjmp(back, 1);
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
static int deeper(volatile char *above) {
    volatile char much[4096];
    much[0] = *above;
    return deeper(much) + much[0];
}

static void stacks(void) {
    stack_t s = {.ss_sp = area, .ss_size = sizeof area}, old, small = {.ss_sp = area, .ss_size = 100};
    sigaltstack(NULL, &old);
    printf("at first %d size %zu, small %d", old.ss_flags, old.ss_size, sigaltstack(&small, NULL));
    printf(" %d\n", errno == ENOMEM);
    sigaltstack(&s, NULL);
    on(SIGUSR1, on_stack, SA_ONSTACK);
    raise(SIGUSR1);
    on(SIGSEGV, on_stack, SA_ONSTACK);
    volatile char top = 1;
    if (!sigsetjmp(back, 1)) deeper(&top);
    printf("came back from an overflow\n");
    if (!sigsetjmp(back, 1)) deeper(&top);
    printf("and again\n");
    s.ss_flags = 1u << 31;
    sigaltstack(&s, NULL);
    raise(SIGUSR1);
    sigaltstack(NULL, &old);
    printf("armed again %d\n", old.ss_sp == area);
    s.ss_flags = SS_DISABLE;
    sigaltstack(&s, NULL);
    sigaltstack(NULL, &old);
    printf("off %d\n", old.ss_flags);
}

/* Whether the page was there, the lowest bit of the error, depends on what was touched before. */
static void fault(int n, siginfo_t *i, void *c) {
    ucontext_t *u = c;
    printf("fault %d code %d", n, i->si_code);
    if (i->si_code != SI_KERNEL) printf(" at rip %d", i->si_addr == (void *)u->uc_mcontext.gregs[REG_RIP]);
    printf(" trap %lld error %lld cs %#llx", u->uc_mcontext.gregs[REG_TRAPNO], u->uc_mcontext.gregs[REG_ERR] & ~1ll,
           u->uc_mcontext.gregs[REG_CSGSFS] & 0xffff);
    if (n == SIGSEGV || n == SIGBUS) printf(" address %d cr2 %d", i->si_addr == address, u->uc_mcontext.gregs[REG_CR2] == (long)address);
    printf("\n");
    siglongjmp(back, 1);
}

static void faults(void) {
    for (int n = 0; n < 5; n++) on((int[]){SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}[n], fault, 0);
    char *none = mmap(NULL, 12288, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    address = NULL;
    if (!sigsetjmp(back, 1)) *(volatile int *)address = 1;
    address = none + 4096;
    if (!sigsetjmp(back, 1)) *(volatile char *)address;
    mprotect(none, 12288, PROT_READ);
    if (!sigsetjmp(back, 1)) *(volatile char *)address = 1;
    if (!sigsetjmp(back, 1)) ((void (*)(void))address)();
    munmap(none, 12288);
    if (!sigsetjmp(back, 1)) *(volatile char *)address;
    volatile int one = 1, zero = 0;
    if (!sigsetjmp(back, 1)) zero = one / zero;
    if (!sigsetjmp(back, 1)) __asm__ volatile("ud2");
    if (!sigsetjmp(back, 1)) __asm__ volatile("int3");
    if (!sigsetjmp(back, 1)) *(volatile char *)0x8000000000000000 = 1;
    for (int n = 0; n < 5; n++) signal((int[]){SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}[n], SIG_DFL);
}

static void skip(int n, siginfo_t *i, void *c) {
    (void)n, (void)i;
    ucontext_t *u = c;
    u->uc_mcontext.gregs[REG_RIP] += 2;
    u->uc_mcontext.gregs[REG_RBX] = 77;
    u->uc_mcontext.fpregs->_xmm[5].element[0] = 99;
    __asm__ volatile("pxor %%xmm5, %%xmm5; pxor %%xmm6, %%xmm6" ::: "xmm5", "xmm6");
    if (__builtin_cpu_supports("avx")) __asm__ volatile("vzeroall" ::: "memory");
}

static void registers(void) {
    on(SIGILL, skip, 0);
    uint64_t rbx = 1, r12 = 2, flags = 0;
    uint32_t five[4], six[4], in[4] = {11, 12, 13, 14};
    __asm__ volatile(
        "movdqu %5, %%xmm5\n movdqu %5, %%xmm6\n mov $1, %%rbx\n mov $22, %%r12\n"
        "movq $123, -8(%%rsp)\n stc\n ud2\n pushfq\n popq %2\n mov %%rbx, %0\n mov %%r12, %1\n"
        "movdqu %%xmm5, %3\n movdqu %%xmm6, %4\n"
        : "=&r"(rbx), "=&r"(r12), "=&r"(flags), "=m"(five), "=m"(six)
        : "m"(in)
        : "rbx", "r12", "xmm5", "xmm6", "memory", "cc");
    printf("rbx %lu r12 %lu carry %lu xmm5 %u %u xmm6 %u %u\n", rbx, r12, flags & 1, five[0], five[1], six[0], six[3]);
    if (__builtin_cpu_supports("avx")) {
        uint64_t wide[4] = {1, 2, 3, 4}, after[4];
        __asm__ volatile("vmovdqu %1, %%ymm9\n ud2\n vmovdqu %%ymm9, %0\n" : "=m"(after) : "m"(wide) : "xmm9", "rbx", "memory");
        printf("ymm9 %lu %lu %lu %lu\n", after[0], after[1], after[2], after[3]);
    } else {
        printf("ymm9 1 2 3 4\n");
    }
    /* The red zone is not touched: a leaf that keeps something below its stack pointer. */
    uint64_t kept;
    __asm__ volatile("movq $4711, -120(%%rsp)\n ud2\n movq -120(%%rsp), %0" : "=r"(kept)::"rbx", "xmm5", "memory");
    printf("red zone %lu\n", kept);
    signal(SIGILL, SIG_DFL);
}

static void *kick(void *arg) {
    struct timespec t = {0, 30000000};
    nanosleep(&t, NULL);
    pthread_kill(*(pthread_t *)arg, SIGUSR1);
    nanosleep(&t, NULL);
    return NULL;
}

static void interrupted(void) {
    pthread_t me = pthread_self(), other;
    on(SIGUSR1, note, 0);
    count = 0;
    pthread_create(&other, NULL, kick, &me);
    struct timespec t = {5, 0}, rest = {0, 0};
    int result = nanosleep(&t, &rest);
    printf("nanosleep %d %d rest %d\n", result, errno == EINTR, rest.tv_sec == 4 && rest.tv_nsec > 0);
    pthread_join(other, NULL);
    told("sleep");
    pthread_create(&other, NULL, kick, &me);
    sigset_t empty, usr1, now;
    sigemptyset(&empty);
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigprocmask(SIG_BLOCK, &usr1, NULL);
    result = sigsuspend(&empty);
    printf("sigsuspend %d %d\n", result, errno == EINTR);
    sigprocmask(SIG_BLOCK, NULL, &now);
    printf("blocked again %d\n", sigismember(&now, SIGUSR1));
    pthread_join(other, NULL);
    told("suspend");
    sigprocmask(SIG_UNBLOCK, &usr1, NULL);
    pthread_create(&other, NULL, kick, &me);
    result = pause();
    printf("pause %d %d\n", result, errno == EINTR);
    pthread_join(other, NULL);
    /* clock_nanosleep to a moment is made again by nobody but us. */
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += 60000000;
    if (t.tv_nsec >= 1000000000) t.tv_nsec -= 1000000000, t.tv_sec++;
    pthread_create(&other, NULL, kick, &me);
    int interruptions = 0;
    while ((result = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL)) == EINTR) interruptions++;
    printf("clock_nanosleep %d interrupted %d\n", result, interruptions);
    pthread_join(other, NULL);
    siginfo_t i;
    sigprocmask(SIG_BLOCK, &usr1, NULL);
    pthread_create(&other, NULL, kick, &me);
    printf("sigwaitinfo %d", sigwaitinfo(&usr1, &i));
    printf(" code %d\n", i.si_code);
    pthread_join(other, NULL);
    sigprocmask(SIG_UNBLOCK, &usr1, NULL);
    count = 0;
}

static volatile int loops;

static void timers(void) {
    on(SIGALRM, note, 0);
    count = 0;
    struct itimerval every = {{0, 10000}, {0, 10000}}, off = {{0, 0}, {0, 0}}, old;
    setitimer(ITIMER_REAL, &every, NULL);
    while (count < 3) pause();
    setitimer(ITIMER_REAL, &off, &old);
    printf("setitimer: at least three %d code %d period %ld\n", count >= 3, code, old.it_interval.tv_usec);
    alarm(10);
    printf("alarm %u %u\n", alarm(0), alarm(0));
    on(SIGVTALRM, note, 0);
    count = 0;
    setitimer(ITIMER_VIRTUAL, &every, NULL);
    while (count < 2) loops++;
    setitimer(ITIMER_VIRTUAL, &off, NULL);
    printf("virtual %d\n", last == SIGVTALRM);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 5};
    timer_t timer;
    printf("create %d\n", timer_create(CLOCK_MONOTONIC, &event, &timer));
    struct itimerspec fast = {{0, 1000000}, {0, 1000000}}, never = {{0, 0}, {0, 0}}, was;
    timer_settime(timer, 0, &fast, NULL);
    struct timespec t = {0, 50000000};
    nanosleep(&t, NULL);
    siginfo_t i;
    int got = sigwaitinfo(&set, &i);
    printf("timer %d code %d value %d overrun %d same %d\n", got - SIGRTMIN, i.si_code, i.si_value.sival_int,
           i.si_overrun > 10, timer_getoverrun(timer) == i.si_overrun);
    timer_gettime(timer, &was);
    printf("period %ld left %d\n", was.it_interval.tv_nsec, was.it_value.tv_nsec > 0 && was.it_value.tv_nsec <= 1000000);
    timer_settime(timer, 0, &never, NULL);
    timer_gettime(timer, &was);
    printf("off %ld deleted %d", was.it_value.tv_nsec, timer_delete(timer));
    printf(" again %ld\n", syscall(SYS_timer_delete, 12345));
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void *blocks_all(void *arg) {
    (void)arg;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    struct timespec t = {0, 30000000};
    nanosleep(&t, NULL);
    kill(getpid(), SIGUSR1);
    nanosleep(&t, NULL);
    return NULL;
}

static void whom(void) {
    on(SIGUSR1, note, 0);
    count = 0;
    pthread_t other;
    pthread_create(&other, NULL, blocks_all, NULL);
    pthread_join(other, NULL);
    told("the one that does not block it");
}

/* Ends as told, for what the status is then. */
static void end(const char *how) {
    if (!strcmp(how, "segv")) *(volatile int *)16 = 1;
    if (!strcmp(how, "abort")) abort();
    if (!strcmp(how, "term")) raise(SIGTERM);
    if (!strcmp(how, "quit")) kill(getpid(), SIGQUIT);
    if (!strcmp(how, "kill")) kill(getpid(), SIGKILL);
    if (!strcmp(how, "rt")) raise(SIGRTMIN + 3);
    if (!strcmp(how, "fpe")) {
        volatile int one = 1, zero = 0;
        zero = one / zero;
    }
    if (!strcmp(how, "ill")) __asm__ volatile("ud2");
    if (!strcmp(how, "overflow")) {
        volatile char top = 1;
        deeper(&top);
    }
    if (!strcmp(how, "nowhere")) ((void (*)(void))0)();
    if (!strcmp(how, "in-handler")) {
        on(SIGUSR1, note, 0);
        on(SIGSEGV, (void (*)(int, siginfo_t *, void *))16, 0);
        *(volatile int *)16 = 1;
    }
    if (!strcmp(how, "blocked")) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_BLOCK, &all, NULL);
        *(volatile int *)16 = 1;
    }
    if (!strcmp(how, "ignored")) {
        signal(SIGSEGV, SIG_IGN);
        *(volatile int *)16 = 1;
    }
    if (!strcmp(how, "alarm")) {
        alarm(1);
        pause();
    }
    if (!strcmp(how, "no-stack")) {
        on(SIGUSR1, note, 0);
        __asm__ volatile("mov $4096, %%rsp\n mov %0, %%edi\n mov $10, %%esi\n mov $62, %%eax\n syscall\n" ::"r"(getpid()) : "memory");
    }
    /* QEMU's emulation has no floating-point exceptions of SSE. */
    if (!strcmp(how, "sse")) {
        on(SIGFPE, fault, 0);
        if (!sigsetjmp(back, 1)) {
            _mm_setcsr(0x1f80 & ~0x200);
            volatile __m128 a = _mm_set1_ps(1), b = _mm_setzero_ps();
            a = _mm_div_ps(a, b);
        }
    }
    if (!strcmp(how, "bad-frame")) __asm__ volatile("mov $4096, %%rsp\n mov $15, %%eax\n syscall\n" ::: "memory");
    if (!strcmp(how, "unmap")) munmap((void *)((uintptr_t)end & ~4095ul), 4096);
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1) {
        end(argv[1]);
        return 1;
    }
    simple();
    masks();
    flags();
    stacks();
    faults();
    registers();
    interrupted();
    timers();
    whom();
    return 0;
}
