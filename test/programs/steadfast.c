/*
 * Work whose results are known, again and again; from SIGUSR2 on it forks each time, by an
 * instruction of its own. Counts SIGUSR1. Prints `ready`; on SIGTERM `signals N` and `right` or
 * `wrong`, and ends with 0.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t stopping;
static volatile sig_atomic_t signals;
static volatile sig_atomic_t forks;

static void onTerm(int signal)
{
    (void)signal;
    stopping = 1;
}

static void onUser(int signal)
{
    (void)signal;
    signals++;
}

static void onFork(int signal)
{
    (void)signal;
    forks = 1;
}

__attribute__((noipa)) long leaf(long n)
{
    return n + 1;
}

__attribute__((noipa)) long work(long n)
{
    long first = leaf(n);
    return first + leaf(2 * n);
}

__attribute__((noipa)) long birth(void)
{
    long child;
    asm volatile("syscall" : "=a"(child) : "0"(SYS_fork) : "rcx", "r11", "memory");
    return child;
}

static int isChildWrong(long n)
{
    long child = birth();
    if (child == 0) _exit(work(n) != 3 * n + 2);
    int status = 0;
    while (child > 0 && waitpid((pid_t)child, &status, 0) < 0);
    return child < 0 || status != 0;
}

int main(void)
{
    long wrong = 0;
    signal(SIGUSR1, onUser);
    signal(SIGUSR2, onFork);
    signal(SIGTERM, onTerm);
    puts("ready");
    fflush(stdout);
    for (long n = 0; !stopping; n++) {
        wrong += work(n) != 3 * n + 2;
        if (forks) wrong += isChildWrong(n);
    }
    printf("signals %d\n%s\n", (int)signals, wrong == 0 ? "right" : "wrong");
    return 0;
}
