/*
 * Sixteen threads call hammered() all at once, each `calls` times (argument 1, default 1000), while the main
 * thread calls other() fifty times, a millisecond apart. For missed hits under contention.
 *
 * Prints, and ends with 0 when every call did its work:
 *   hammered 16000
 *   other 50
 *   ok
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS = 16, OTHERS = 50 };

static atomic_long hammeredCalls, otherCalls, total;
static pthread_barrier_t start;
static long callsPerThread = 1000;

__attribute__((noipa)) long hammered(long n)
{
    hammeredCalls++;
    return n * 3 + 1;
}

__attribute__((noipa)) long other(long n)
{
    otherCalls++;
    return n + 7;
}

static void *hammer(void *argument)
{
    (void)argument;
    long sum = 0;
    pthread_barrier_wait(&start);
    for (long n = 0; n < callsPerThread; n++) sum += hammered(n);
    total += sum;
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc > 1) callsPerThread = atol(argv[1]);
    pthread_t threads[THREADS];
    pthread_barrier_init(&start, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, hammer, NULL) != 0) return 2;
    }
    pthread_barrier_wait(&start);
    long otherSum = 0;
    for (long n = 0; n < OTHERS; n++) {
        otherSum += other(n);
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);

    long n = callsPerThread;
    int right = total == THREADS * (3 * n * (n - 1) / 2 + n) && otherSum == OTHERS * (OTHERS - 1) / 2 + 7 * OTHERS;
    printf("hammered %ld\nother %ld\n%s\n", (long)hammeredCalls, (long)otherCalls, right ? "ok" : "WRONG");
    return right ? 0 : 1;
}
