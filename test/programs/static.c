/*
 * A program with no dynamic linker, to be linked with -static (and with -static-pie: the same, moved about).
 * Calls work() 100 times, on the main thread and on another, and memcpy, which is an IFUNC in a static libc.
 *
 * Prints `work 200` and `ok`.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static atomic_long calls;

__attribute__((noipa)) long work(long n)
{
    calls++;
    return n * 2;
}

static void *run(void *sum)
{
    char source[64] = "static", target[64];
    for (long n = 0; n < 100; n++) {
        volatile size_t size = sizeof source;
        memcpy(target, source, size);
        *(long *)sum += work(n) + (target[0] == 's' ? 0 : 1);
    }
    return sum;
}

int main(void)
{
    long here = 0, there = 0;
    pthread_t thread;
    run(&here);
    if (pthread_create(&thread, NULL, run, &there) != 0) return 2;
    pthread_join(thread, NULL);
    int right = here == 9900 && there == 9900;
    printf("work %ld\n%s\n", (long)calls, right ? "ok" : "WRONG");
    return right ? 0 : 1;
}
