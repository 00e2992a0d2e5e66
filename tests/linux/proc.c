/* What /proc and /sys tell, as programs read it. Says the same on Linux, run by root. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define T(what) printf("%s: %ld\n", #what, (long)(what))

/* A host that has had many connections lists them for a minute longer. */
static char text[8 << 20];

/* Reads a file by small pieces; its length. */
static long whole(const char *path) {
    int fd = open(path, O_RDONLY);
    long length = 0, n;
    if (fd < 0) return -errno;
    while ((n = read(fd, text + length, 1000)) > 0 && (length += n) < (long)sizeof text - 1000);
    text[length] = 0;
    close(fd);
    return n < 0 ? -errno : length;
}

/* What stands behind a name at the beginning of a line. */
static const char *field(const char *name) {
    size_t length = strlen(name);
    for (char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        if (!strncmp(line, name, length)) return line + length + strspn(line + length, " \t:");
    return NULL;
}

static int tid, stop;
static void *sleeps(void *nothing) {
    prctl(PR_SET_NAME, "sleeper");
    tid = syscall(SYS_gettid);
    while (!stop) usleep(100000);
    return NULL;
}
static void *asks(void *link) {
    readlink("/proc/thread-self", link, 64);
    tid = syscall(SYS_gettid);
    return NULL;
}

static void auxiliary(void) {
    long length = whole("/proc/self/auxv");
    Elf64_auxv_t *a = (Elf64_auxv_t *)text;
    int right = 0, wrong = 0;
    T(length % 16);
    for (; (char *)a < text + length && a->a_type != AT_NULL; a++) {
        if (a->a_type == AT_PAGESZ || a->a_type == AT_ENTRY || a->a_type == AT_PHDR || a->a_type == AT_RANDOM)
            a->a_un.a_val == getauxval(a->a_type) ? right++ : wrong++;
    }
    T(right), T(wrong), T(a->a_type);
}

static void status(void) {
    char name[64];
    T(whole("/proc/self/status") > 500);
    T(atoi(field("Pid")) == getpid());
    T(atoi(field("Tgid")) == getpid());
    T(atoi(field("Threads")));
    printf("%.5s", field("SigIgn") + 11), printf(" %.5s\n", field("SigCgt") + 11);
    printf("%.16s\n", field("SigBlk")), printf("%.16s\n", field("ShdPnd"));
    T(field("NoNewPrivs") != NULL), T(field("CapBnd") != NULL), T(field("VmHWM") != NULL), T(field("RssAnon") != NULL);
    T(field("CapAmb") && !strncmp(field("CapAmb"), "0000000000000000\n", 17));
    T(field("Seccomp") != NULL), T(field("voluntary_ctxt_switches") != NULL), T(atoi(field("VmSize")) >= atoi(field("VmRSS")));
    pthread_t thread;
    pthread_create(&thread, NULL, sleeps, NULL);
    while (!tid) usleep(1000);
    usleep(100000);
    snprintf(name, sizeof name, "/proc/self/task/%d/status", tid);
    /* It sleeps nearly always. */
    for (int i = 0; i < 100 && whole(name) > 0 && field("State")[0] != 'S'; i++) usleep(7000);
    printf("%.12s\n", field("State")), printf("%.7s\n", field("Name"));
    T(atoi(field("Pid")) == tid), T(atoi(field("Tgid")) == getpid());
    snprintf(name, sizeof name, "/proc/self/task/%d/comm", tid);
    T(whole(name));
    printf("%s", text);
    snprintf(name, sizeof name, "/proc/self/task/%d/stat", tid);
    int id = 0;
    char comm[32] = "", state = 0;
    whole(name);
    T(sscanf(text, "%d (%31[^)]) %c", &id, comm, &state));
    T(id == tid), printf("%s\n", comm);
    stop = 1;
    pthread_join(thread, NULL);
    T(whole(name));
    char link[64] = "", expected[64];
    tid = 0;
    pthread_create(&thread, NULL, asks, link), pthread_join(thread, NULL);
    snprintf(expected, sizeof expected, "%d/task/%d", getpid(), tid);
    T(strcmp(link, expected));
    whole("/proc/self/stat");
    char *rest = strrchr(text, ')');
    int fields = 2;
    long stack = 0, threads = 0;
    for (char *token = strtok(rest + 1, " \n"); token; token = strtok(NULL, " \n")) {
        fields++;
        if (fields == 28) stack = atol(token);
        if (fields == 20) threads = atol(token);
    }
    T(fields), T(threads);
    T(stack > (long)&stack && stack < (long)&stack + 1000000);
}

static void limits(void) {
    struct rlimit l = {77, 88};
    setrlimit(RLIMIT_NOFILE, &l);
    whole("/proc/self/limits");
    T(!strncmp(text, "Limit                     Soft Limit           Hard Limit           Units     \n", 79));
    printf("%.79s", strstr(text, "Max open files"));
    printf("%.79s", strstr(text, "Max cpu time"));
    int lines = 0;
    for (char *at = text; *at; at++) lines += *at == '\n';
    T(lines);
    l.rlim_cur = 88;
    setrlimit(RLIMIT_NOFILE, &l);
}

static void descriptors(void) {
    char name[64];
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_APPEND);
    snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
    T(whole(name) > 0);
    printf("%.2s %ld\n", field("pos"), strtol(field("flags"), NULL, 8) & ~0100000);
    close(fd);
    T(whole(name));
    int two[2], sockets[2], event = eventfd(0, 0);
    struct stat about;
    char link[64] = "", expected[64];
    pipe(two), socketpair(AF_UNIX, SOCK_STREAM, 0, sockets);
    for (int i = 0; i < 3; i++) {
        int it = i == 0 ? two[0] : i == 1 ? sockets[0] : event;
        snprintf(name, sizeof name, "/proc/self/fd/%d", it);
        memset(link, 0, sizeof link), readlink(name, link, sizeof link), fstat(it, &about);
        snprintf(expected, sizeof expected, i == 2 ? "anon_inode:[eventfd]" : i ? "socket:[%ld]" : "pipe:[%ld]", (long)about.st_ino);
        T(strcmp(link, expected));
    }
}

static void network(void) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), datagrams = socket(AF_INET, SOCK_DGRAM, 0);
    char line[64];
    bind(listener, (void *)&here, sizeof here), listen(listener, 5), getsockname(listener, (void *)&here, &length);
    snprintf(line, sizeof line, ": 0100007F:%04X 00000000:0000 0A ", ntohs(here.sin_port));
    T(whole("/proc/net/tcp") > 0), T(strstr(text, line) != NULL);
    T(!strncmp(text, "  sl  local_address rem_address   st ", 37));
    connect(client, (void *)&here, sizeof here);
    struct sockaddr_in own;
    length = sizeof own, getsockname(client, (void *)&own, &length);
    snprintf(line, sizeof line, ": 0100007F:%04X 0100007F:%04X 01 ", ntohs(own.sin_port), ntohs(here.sin_port));
    whole("/proc/self/net/tcp"), T(strstr(text, line) != NULL);
    here.sin_port = 0, bind(datagrams, (void *)&here, sizeof here), length = sizeof own, getsockname(datagrams, (void *)&own, &length);
    snprintf(line, sizeof line, ": 0100007F:%04X 00000000:0000 07 ", ntohs(own.sin_port));
    whole("/proc/net/udp"), T(strstr(text, line) != NULL);
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "\0of a test"};
    int local = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(local, (void *)&name, 2 + 10), listen(local, 1);
    T(whole("/proc/net/unix") > 0), T(strstr(text, "@of a test") != NULL);
    T(whole("/proc/net/dev") > 0), T(strstr(text, "lo:") != NULL);
    T(whole("/proc/net/route") > 0), T(!strncmp(text, "Iface\tDestination\tGateway ", 26));
    T(whole("/proc/net/tcp6") > 0);
    close(listener), close(client), close(datagrams), close(local);
}

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0);
    sigset_t set;
    signal(SIGUSR1, SIG_IGN), signal(SIGUSR2, (void (*)(int))auxiliary);
    sigemptyset(&set), sigaddset(&set, SIGHUP), sigprocmask(SIG_BLOCK, &set, NULL), kill(getpid(), SIGHUP);
    auxiliary();
    status();
    limits();
    descriptors();
    network();
    /* All of these are there and are read to their end. */
    static const char *const files[] = {
        "/proc/self/environ", "/proc/self/cmdline", "/proc/self/oom_score_adj", "/proc/self/cgroup", "/proc/self/wchan", "/proc/self/personality",
        "/proc/self/coredump_filter", "/proc/self/smaps_rollup", "/proc/self/io", "/proc/self/mountinfo", "/proc/self/mounts", "/proc/self/maps", "/proc/self/statm",
        "/proc/self/schedstat", "/proc/self/uid_map", "/proc/self/gid_map", "/proc/self/loginuid", "/proc/loadavg", "/proc/uptime",
        "/proc/stat", "/proc/meminfo", "/proc/vmstat", "/proc/cpuinfo", "/proc/filesystems", "/proc/cgroups", "/proc/version", "/proc/mounts", "/proc/swaps",
        "/proc/sys/kernel/pid_max", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/random/uuid", "/proc/sys/kernel/random/boot_id", "/proc/sys/kernel/ngroups_max",
        "/proc/sys/vm/overcommit_memory", "/proc/sys/vm/max_map_count", "/proc/sys/fs/file-max", "/proc/sys/fs/pipe-max-size", "/proc/sys/net/core/somaxconn",
        "/proc/sys/net/ipv4/ip_local_port_range", "/proc/sys/net/ipv6/bindv6only", "/sys/devices/system/cpu/online", "/sys/devices/system/cpu/possible", "/sys/devices/system/node/online",
    };
    for (unsigned i = 0; i < sizeof files / sizeof *files; i++) {
        struct stat about;
        long length = whole(files[i]);
        printf("%s: %d %d %ld\n", files[i], length > 0 || (length == 0 && i == 0), stat(files[i], &about) == 0 && S_ISREG(about.st_mode), (long)about.st_size * (files[i][1] == 'p'));
    }
    int io = open("/proc/self/io", O_RDONLY);
    whole("/proc/self/io");
    long before = atol(field("rchar")), calls = atol(field("syscr"));
    pread(io, text, 50, 0);
    whole("/proc/self/io");
    T(atol(field("rchar")) >= before + 50), T(atol(field("syscr")) > calls), T(atol(field("wchar")) > 0);
    return 0;
}
