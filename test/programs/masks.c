/*
 * Blocks and unblocks SIGTRAP and SIGUSR2 in one thread in every way there is, after runs of calls of
 * work() of different lengths without a system call between them, and looks whether they are blocked
 * when they should be.
 *
 *   masks ROUNDS      prints `changes N` and `wrong N`; ends with 0
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <ucontext.h>

static long changes, wrong;
static volatile sig_atomic_t ticks;
static volatile int blockFromHandler;

__attribute__((noipa)) long work(long n)
{
    return n * 3 + 1;
}

/* Changes the mask that its return puts in force. */
static void onSignal(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    ticks++;
    sigset_t *mask = &((ucontext_t *)context)->uc_sigmask;
    if (blockFromHandler) sigaddset(mask, SIGTRAP), sigaddset(mask, SIGUSR2);
    else sigdelset(mask, SIGTRAP), sigdelset(mask, SIGUSR2);
}

static void run(long calls)
{
    for (long n = 0; n < calls; n++) work(n);
}

static void check(int expected)
{
    sigset_t now;
    changes++;
    run(3);
    pthread_sigmask(SIG_BLOCK, NULL, &now);
    if (sigismember(&now, SIGTRAP) != expected || sigismember(&now, SIGUSR2) != expected) wrong++;
}

static void set(int how, int expected, long calls)
{
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGTRAP);
    sigaddset(&both, SIGUSR2);
    run(calls);
    pthread_sigmask(how, &both, NULL);
    check(expected);
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 1;
    struct sigaction action = { .sa_sigaction = onSignal, .sa_flags = SA_SIGINFO };
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    for (long round = 0; round < rounds; round++) {
        static const long LENGTHS[] = { 0, 1, 30, 70, 150, 400 };
        for (unsigned n = 0; n < sizeof LENGTHS / sizeof *LENGTHS; n++) {
            long calls = LENGTHS[n];
            set(SIG_BLOCK, 1, calls);
            set(SIG_UNBLOCK, 0, calls);
            /* By the return of a handler that was sent for. */
            for (int isBlocked = 1; isBlocked >= 0; isBlocked--) {
                blockFromHandler = isBlocked;
                run(calls);
                raise(SIGUSR1);
                check(isBlocked);
            }
            /* By the return of a handler that comes in the middle of a run, with no system call. */
            for (int isBlocked = 1; isBlocked >= 0; isBlocked--) {
                blockFromHandler = isBlocked;
                long before = ticks;
                struct itimerval timer = { .it_value = { .tv_usec = 300 + 20 * calls } };
                setitimer(ITIMER_REAL, &timer, NULL);
                while (ticks == before) work(0);
                check(isBlocked);
            }
        }
    }
    printf("changes %ld\nwrong %ld\n", changes, wrong);
    return 0;
}
