/*
 * Threads that are busy in libc, for random functions of it to be probed: each of four allocates, prints, reads,
 * sorts, copies and searches without a break, and checks all results, while a timer interrupts them 500 times a
 * second. No thread is made or ended, and no signal blocked, after `ready PID`.
 *
 * On SIGTERM prints `loops N`, `signals N`, `wrong 0`, `ok`.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, VALUES = 24 };

static volatile sig_atomic_t stopping;
static volatile int started;
static long loops, wrong, signals;

static void onTimer(int signal)
{
    (void)signal;
    char text[8];
    memcpy(text, "signal", 7);
    __atomic_fetch_add(&signals, strlen(text) == 6, __ATOMIC_SEQ_CST);
}

static void onTerm(int signal)
{
    (void)signal;
    stopping = 1;
}

static int compare(const void *a, const void *b)
{
    long left = *(const long *)a, right = *(const long *)b;
    return left < right ? -1 : left > right;
}

static long once(long seed)
{
    long bad = 0, values[VALUES];
    for (int i = 0; i < VALUES; i++) values[i] = (seed * 7919 + i * 104729) % 1000;
    qsort(values, VALUES, sizeof values[0], compare);
    for (int i = 1; i < VALUES; i++) bad += values[i - 1] > values[i];
    char text[128], copy[128];
    int size = snprintf(text, sizeof text, "%ld|%s|%08.3f|%x", seed, "name", (double)seed / 8, (unsigned)seed);
    char *block = malloc((size_t)(seed % 900) + 128);
    if (block == NULL) return bad + 1;
    strcpy(block, text);
    memmove(copy, block, (size_t)size + 1);
    bad += strcmp(copy, text) != 0 || (int)strlen(copy) != size;
    long back = 0;
    double real = 0;
    unsigned hex = 0;
    bad += sscanf(copy, "%ld|name|%lf|%x", &back, &real, &hex) != 3 || back != seed || real != (double)seed / 8 || hex != (unsigned)seed;
    block = realloc(block, 4000);
    if (block == NULL) return bad + 1;
    bad += strtol(block, NULL, 10) != seed || strtod(strchr(block, 'e') + 2, NULL) != (double)seed / 8;
    bad += memchr(block, '|', 30) == NULL || strstr(block, "name") == NULL;
    free(block);
    time_t now = 1000000 + seed * 3600;
    struct tm broken;
    gmtime_r(&now, &broken);
    bad += timegm(&broken) != now;
    return bad;
}

static void *work(void *argument)
{
    __atomic_fetch_add(&started, 1, __ATOMIC_SEQ_CST);
    for (long n = (long)argument; !stopping; n = (n + 1) & 0xffff) {
        long bad = once(n);
        if (bad != 0) __atomic_fetch_add(&wrong, bad, __ATOMIC_SEQ_CST);
        __atomic_fetch_add(&loops, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

int main(void)
{
    struct sigaction action = { .sa_handler = onTimer, .sa_flags = SA_RESTART };
    sigaction(SIGALRM, &action, NULL);
    action.sa_handler = onTerm;
    sigaction(SIGTERM, &action, NULL);
    pthread_t threads[THREADS];
    for (long n = 0; n < THREADS; n++) pthread_create(&threads[n], NULL, work, (void *)(n * 1000));
    while (started < THREADS) usleep(1000);
    setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 2000 }, { 0, 2000 } }, NULL);
    printf("ready %d\n", getpid());
    fflush(stdout);
    for (int n = 0; n < THREADS; n++) pthread_join(threads[n], NULL);
    printf("loops %ld\nsignals %ld\nwrong %ld\n%s\n", loops, signals, wrong, wrong == 0 ? "ok" : "WRONG");
    return wrong != 0;
}
