/*
 * Everything at once, for attaching to and detaching from: eight threads call work() in a loop, a
 * timer interrupts them 2,000 times a second with a handler that calls it too, and the main thread
 * forks, spawns itself and makes threads without a break, each of which calls it as well.
 *
 * Prints `ready PID`, and on SIGTERM `wrong 0`, `forks N`, `bad children 0`, `signals N` and `ok`. A
 * child that is killed, by a breakpoint left in it for instance, is a bad one. Ends with 0 when all
 * is right. `torture child` calls work() five times.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define THREADS 8

extern char **environ;
static volatile sig_atomic_t stopping;
static long wrong, forks, badChildren, signals;

__attribute__((noipa)) long work(long n)
{
    return n * 3 + 1;
}

static void check(long n)
{
    if (work(n) != n * 3 + 1) __atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
}

static void onTimer(int signal)
{
    __atomic_fetch_add(&signals, 1, __ATOMIC_SEQ_CST);
    check(signal);
}

static void onTerm(int signal)
{
    (void)signal;
    stopping = 1;
}

/* What killed it is worth more than that it was killed. */
static void onFault(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    dprintf(1, "FAULT %d at %p pc %#llx sp %#llx top %#llx work %p\n", signal, info->si_addr, registers[REG_RIP],
            registers[REG_RSP], *(long long *)(registers[REG_RSP] - 8), (void *)work);
    int maps = open("/proc/self/maps", O_RDONLY);
    char text[4096];
    for (ssize_t got; (got = read(maps, text, sizeof text)) > 0;)
        if (write(1, text, (size_t)got) < 0) break;
    _exit(9);
}

static void *busy(void *seed)
{
    for (long n = (long)seed; !stopping; n++) check(n);
    return NULL;
}

static void *born(void *unused)
{
    (void)unused;
    for (long n = 0; n < 50; n++) check(n);
    return NULL;
}

static void reap(pid_t child)
{
    int status = 0;
    while (waitpid(child, &status, 0) < 0);
    forks++;
    if (status != 0) badChildren++;
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        for (long n = 0; n < 5; n++) check(n);
        return wrong != 0;
    }
    struct sigaction action = { .sa_handler = onTimer, .sa_flags = SA_RESTART };
    sigaction(SIGALRM, &action, NULL);
    action.sa_handler = onTerm;
    sigaction(SIGTERM, &action, NULL);
    action.sa_sigaction = onFault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, NULL);
    pthread_t threads[THREADS], late;
    for (long n = 0; n < THREADS; n++) pthread_create(&threads[n], NULL, busy, (void *)n);
    setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 500 }, { 0, 500 } }, NULL);
    printf("ready %d\n", getpid());
    fflush(stdout);
    while (!stopping) {
        pid_t child = fork();
        if (child == 0) {
            for (long n = 0; n < 20; n++) check(n);
            _exit(wrong != 0);
        }
        if (child > 0) reap(child);
        char *arguments[] = { argv[0], "child", NULL };
        if (posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ) == 0) reap(child);
        if (pthread_create(&late, NULL, born, NULL) == 0) pthread_join(late, NULL);
    }
    for (int n = 0; n < THREADS; n++) pthread_join(threads[n], NULL);
    int right = wrong == 0 && badChildren == 0;
    printf("wrong %ld\nforks %ld\nbad children %ld\nsignals %ld\n%s\n", wrong, forks, badChildren, signals,
           right ? "ok" : "WRONG");
    return !right;
}
