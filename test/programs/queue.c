/*
 * Queued signals: a child sends COUNT real-time signals of three numbers with values that count up, and as many
 * plain ones as it likes of a fourth; two timers at 2 kHz join in. The handlers check that each came with its own
 * sender, code and value, in the order of sending by number, none lost and none twice, and that the interrupted
 * pc lies in a file's code. Meanwhile the main thread calls work().
 *
 * queue [COUNT]: prints `queued COUNT`, `timed N`, `work N`, `wrong 0`, `ok`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { KINDS = 3, RANGES_MAX = 64 };

static struct { uintptr_t start, end; } ranges[RANGES_MAX];
static int rangeCount;
static volatile long expectedValue[KINDS], queued, timed, calls, wrong;
static long count = 900;
static pid_t child;

__attribute__((noipa)) long work(long n)
{
    char text[32], copy[32];
    __builtin_memset(text, (int)n, sizeof text);
    __asm__ volatile("rep movsb" : : "S"(text), "D"(copy), "c"(sizeof text) : "memory");
    __atomic_fetch_add(&calls, 1, __ATOMIC_SEQ_CST);
    return n * 3 + copy[5];
}

static void readRanges(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL && rangeCount < RANGES_MAX) {
        unsigned long start, end;
        char rights[8], path[256] = "";
        if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &start, &end, rights, path) < 4 || rights[2] != 'x') continue;
        ranges[rangeCount].start = start;
        ranges[rangeCount++].end = end;
    }
    if (maps != NULL) fclose(maps);
}

static void complain(const char *what, long value)
{
    if (wrong++ < 20) printf("WRONG %s %#lx\n", what, value);
}

static void checkPc(void *context)
{
    uintptr_t pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    for (int i = 0; i < rangeCount; i++)
        if (pc >= ranges[i].start && pc < ranges[i].end) return;
    complain("pc", (long)pc);
}

static void onQueued(int signal, siginfo_t *info, void *context)
{
    int kind = signal - SIGRTMIN;
    checkPc(context);
    if (info->si_code != SI_QUEUE) complain("code", info->si_code);
    if (info->si_pid != child) complain("sender", info->si_pid);
    if (info->si_uid != getuid()) complain("user", info->si_uid);
    if (info->si_value.sival_int != expectedValue[kind]) complain("value", info->si_value.sival_int);
    expectedValue[kind] = info->si_value.sival_int + 1;
    queued++;
}

static void onTimer(int signal, siginfo_t *info, void *context)
{
    checkPc(context);
    if (signal == SIGUSR1 && (info->si_code != SI_TIMER || info->si_value.sival_int != 4711)) complain("timer", info->si_code);
    if (signal == SIGALRM && info->si_code != SI_KERNEL) complain("alarm", info->si_code);
    timed++;
}

static void onPlain(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    checkPc(context);
    if (info->si_code != SI_USER || info->si_pid != child) complain("plain", info->si_code);
}

static void sendAll(pid_t target)
{
    long sent[KINDS] = { 0 };
    for (long n = 0; n < count; n++) {
        int kind = (int)(n * n % 7 % KINDS);
        while (sigqueue(target, SIGRTMIN + kind, (union sigval){ .sival_int = (int)sent[kind] }) != 0) {
            if (errno != EAGAIN) _exit(1);
            usleep(1000);
        }
        sent[kind]++;
        if (n % 5 == 0) kill(target, SIGUSR2);
        if (n % 16 == 0) usleep(200);
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    if (argc > 1) count = atol(argv[1]);
    readRanges();
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    sigprocmask(SIG_BLOCK, &all, NULL);
    pid_t self = getpid();
    child = fork();
    if (child == 0) sendAll(self);
    struct sigaction action = { .sa_sigaction = onQueued, .sa_flags = SA_SIGINFO | SA_RESTART };
    for (int kind = 0; kind < KINDS; kind++) sigaction(SIGRTMIN + kind, &action, NULL);
    action.sa_sigaction = onPlain;
    sigaction(SIGUSR2, &action, NULL);
    action.sa_sigaction = onTimer;
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    timer_t timer;
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value = { .sival_int = 4711 } };
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &(struct itimerspec){ { 0, 500000 }, { 0, 700000 } }, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 500 }, { 0, 500 } }, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    long sum = 0, loops = 0;
    while (queued < count) {
        sum += work(loops & 63) - (loops & 63) * 3 - (loops & 63);
        loops++;
    }
    setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
    timer_delete(timer);
    int status = 0;
    while (waitpid(child, &status, 0) < 0);
    if (status != 0 || sum != 0 || calls != loops) complain("sum", sum);
    printf("queued %ld\ntimed %ld\nwork %ld\nwrong %ld\n%s\n", queued, timed, calls, wrong, wrong == 0 ? "ok" : "WRONG");
    return wrong != 0;
}
