/* Single steps: a program that sets the trap flag, and makes system calls. Says the same on Linux. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Steps end behind each of these instructions. */
extern char step_a[], step_b[], step_c[], step_d[], step_e[];
asm(".text\n"
    "stepped:\n"
    "  pushfq\n"
    "  orl $0x100, (%rsp)\n"
    "  popfq\n"
    "  nop\n"
    "step_a: nop\n"
    "step_b: mov $110, %eax\n"
    "  syscall\n"
    "  mov %rax, %rdx\n"
    "step_c: mov %rdi, %rax\n"
    "  syscall\n"
    "  mov %rax, %rcx\n"
    "step_d: pushfq\n"
    "  andl $~0x100, (%rsp)\n"
    "step_e: popfq\n"
    "  nop\n"
    "  nop\n"
    "  lea (%rdx, %rcx), %rax\n"
    "  ret\n");
long stepped(long);

static volatile int seen[5], all, others;
static volatile int code = -1;
static volatile long flags;

static void step(int signal, siginfo_t *info, void *context) {
    char *at = (char *)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP], *const marks[] = {step_a, step_b, step_c, step_d, step_e};
    code = info->si_code;
    flags |= ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] & 0x100;
    all++;
    for (int i = 0; i < 5; i++) seen[i] += at == marks[i];
    others += info->si_addr != at;
    /* No step of a handler ends in another. */
    asm volatile("nop; nop");
    getpid();
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    struct sigaction action = {.sa_sigaction = step, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    for (int round = 0; round < 3; round++) {
        memset((void *)seen, 0, sizeof seen);
        all = others = 0;
        /* The second call is one that ends at once, one that goes through all of the library OS, and one that is none. */
        static const int second[] = {SYS_getppid, SYS_sched_yield, 100000};
        long result = stepped(second[round]), parent = getppid();
        long expected = parent + (round == 0 ? parent : round == 1 ? 0 : -38);
        printf("%d: %d; %d %d %d %d %d; at least 8: %d, code %d, address %d, flag %ld\n", round, result == expected, seen[0], seen[1], seen[2],
               seen[3], seen[4], all >= 8, code, others, flags);
    }
    int before = all;
    getppid();
    printf("afterwards: %d\n", all - before);
    return 0;
}
