/*
 * A program that does not want SIGTRAP: two threads block every signal and call work() in a loop, looking
 * at their masks after each call; the first thread does not block it and calls work() too.
 *
 *   blocker default|ignore|handle    what is set for SIGTRAP at the start
 *
 * Prints `ready PID`; on SIGTERM `calls N`, `unblocked 0` (calls after which a mask had changed),
 * `action kept` or `action changed`, and `traps 0` (SIGTRAPs that the handler got). Ends with 0.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stopping;
static long calls, unblocked, traps;

__attribute__((noipa)) long work(long n)
{
    return n * 3 + 1;
}

static void onTrap(int signal)
{
    (void)signal;
    traps++;
}

static void onTerm(int signal)
{
    (void)signal;
    stopping = 1;
}

static void *blocking(void *unused)
{
    (void)unused;
    sigset_t all, now;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    for (long n = 0; !stopping; n++) {
        work(n);
        __atomic_fetch_add(&calls, 1, __ATOMIC_SEQ_CST);
        pthread_sigmask(SIG_BLOCK, NULL, &now);
        if (!sigismember(&now, SIGTRAP)) __atomic_fetch_add(&unblocked, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "default";
    struct sigaction action = { .sa_handler = onTerm }, now;
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = strcmp(how, "ignore") == 0 ? SIG_IGN : strcmp(how, "handle") == 0 ? onTrap : SIG_DFL;
    sigaction(SIGTRAP, &action, NULL);
    pthread_t threads[2];
    for (int n = 0; n < 2; n++) pthread_create(&threads[n], NULL, blocking, NULL);
    printf("ready %d\n", getpid());
    fflush(stdout);
    while (!stopping) {
        work(1);
        usleep(1000);
    }
    for (int n = 0; n < 2; n++) pthread_join(threads[n], NULL);
    sigaction(SIGTRAP, NULL, &now);
    printf("calls %ld\nunblocked %ld\naction %s\ntraps %ld\n", calls, unblocked,
           now.sa_handler == action.sa_handler ? "kept" : "changed", traps);
    return 0;
}
