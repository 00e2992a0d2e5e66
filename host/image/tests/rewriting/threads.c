// Threads, signals, cancellation, files, memory: what a libc does by system calls, in a program that prints the same
// every time.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turns;
static volatile sig_atomic_t signals;

static void count(int signal) {
    (void)signal;
    signals++;
}

static void *turn(void *mine) {
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&lock);
        while (turns % 4 != (int)(long)mine) pthread_cond_wait(&changed, &lock);
        turns++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    return mine;
}

static void cleaned(void *flag) { *(int *)flag = 1; }

static int was_cleaned;
static void *blocked(void *pipe) {
    char byte;
    pthread_cleanup_push(cleaned, &was_cleaned);
    if (read(*(int *)pipe, &byte, 1) < 0) perror("read");
    pthread_cleanup_pop(0);
    return 0;
}

int main(int argc, char **argv) {
    (void)argc;
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) pthread_create(&threads[i], 0, turn, (void *)i);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
    printf("turns %d\n", turns);

    struct sigaction action = {.sa_handler = count, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, 0);
    for (int i = 0; i < 100; i++) raise(SIGUSR1);
    printf("signals %d\n", (int)signals);

    int ends[2];
    if (pipe(ends)) return 1;
    pthread_create(&threads[0], 0, blocked, &ends[0]);
    struct timespec moment = {0, 20000000};
    nanosleep(&moment, 0);
    // A restarted read: the call is made again after the handler.
    pthread_kill(threads[0], SIGUSR1);
    nanosleep(&moment, 0);
    pthread_cancel(threads[0]);
    void *result;
    pthread_join(threads[0], &result);
    printf("cancelled %d, cleaned %d, signals %d\n", result == PTHREAD_CANCELED, was_cleaned, (int)signals);

    pid_t child = fork();
    if (child == 0) _exit(write(ends[1], "child", 5) == 5 ? 7 : 1);
    int status;
    char text[6] = {0};
    waitpid(child, &status, 0);
    if (read(ends[0], text, 5) != 5) return 1;
    printf("%s %d\n", text, WEXITSTATUS(status));

    int missing = open("/nonexistent/file", O_RDONLY);
    printf("missing %d %s\n", missing, strerror(errno));
    int bad = lseek(99, 0, SEEK_SET);
    printf("bad %d %s\n", bad, strerror(errno));
    char *large = malloc(64 << 20);
    memset(large, 1, 64 << 20);
    large = realloc(large, 128 << 20);
    printf("memory %d\n", large[(64 << 20) - 1]);
    free(large);
    printf("environment %s\n", getenv("GREETING"));
    printf("program %s\n", strrchr(argv[0], '/') ? "named" : "bare");
    return 3;
}
