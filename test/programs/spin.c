/*
 * Works until it is told to end: N threads (argument 1, default 2) call work() in a loop. For attaching to and
 * detaching from something busy.
 *
 * Prints `ready PID` once all threads run. On SIGTERM it prints the number of calls (which differs from run to
 * run) and whether every call's result was right, and ends with 0 or 1:
 *   calls 123456
 *   checksum ok
 */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS_MAX = 256 };

static atomic_int stopping;
static atomic_ulong totalCalls, wrongThreads;
static pthread_barrier_t started;

__attribute__((noipa)) unsigned long work(unsigned long n)
{
    return n ^ (n << 7);
}

static void *loop(void *unused)
{
    unsigned long calls = 0, sum = 0, expected = 0;
    pthread_barrier_wait(&started);
    while (!stopping) {
        sum += work(calls);
        expected += calls ^ (calls << 7);
        calls++;
    }
    totalCalls += calls;
    if (sum != expected) wrongThreads++;
    return unused;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 2;
    if (count < 1 || count > THREADS_MAX) return 2;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_barrier_init(&started, NULL, (unsigned)count + 1);
    static pthread_t threads[THREADS_MAX];
    for (int i = 0; i < count; i++) {
        if (pthread_create(&threads[i], NULL, loop, NULL) != 0) return 2;
    }
    pthread_barrier_wait(&started);
    printf("ready %d\n", getpid());
    fflush(stdout);
    int signal;
    sigwait(&set, &signal);
    stopping = 1;
    for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
    printf("calls %lu\nchecksum %s\n", (unsigned long)totalCalls, wrongThreads == 0 ? "ok" : "WRONG");
    return wrongThreads == 0 ? 0 : 1;
}
