/*
 * Threads that are born when told to: each SIGUSR1 starts one that calls work() ten times and ends, and prints
 * `born N`. For threads that a tracer sees only later.
 *
 * Prints `ready PID` first. On SIGTERM it prints `work N` (ten for each thread) and `ok`.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile long calls;

__attribute__((noipa)) long work(long n)
{
    calls++;
    return n * 2;
}

static void *run(void *sum)
{
    for (long n = 0; n < 10; n++) *(long *)sum += work(n);
    return NULL;
}

int main(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    printf("ready %d\n", getpid());
    fflush(stdout);
    long sum = 0;
    int born = 0, signal = 0;
    while (sigwait(&set, &signal) == 0 && signal == SIGUSR1) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, run, &sum) != 0) return 2;
        pthread_join(thread, NULL);
        printf("born %d\n", ++born);
        fflush(stdout);
    }
    printf("work %ld\n%s\n", calls, sum == 90L * born ? "ok" : "WRONG");
    return sum == 90L * born ? 0 : 1;
}
