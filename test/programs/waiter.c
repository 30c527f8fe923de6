/*
 * Threads in long system calls, which a tracer may stop but not cut short: one in read() on a pipe, one in nanosleep()
 * for an hour, one in epoll_wait() without a time-out, while the main thread calls work() every millisecond.
 *
 * Prints `ready PID` once all wait. On SIGTERM it writes a byte to the reader and prints, and ends with 0 if it is so:
 *   read 1
 *   cut short 0
 *   ok
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static atomic_int waiting, cutShort;
static int pipeEnds[2];

__attribute__((noipa)) long work(long n)
{
    __asm__ volatile("" ::: "memory");
    return n + 1;
}

static void *readByte(void *got)
{
    char byte;
    waiting++;
    *(long *)got = read(pipeEnds[0], &byte, 1);
    return NULL;
}

static void *sleepLong(void *unused)
{
    waiting++;
    nanosleep(&(struct timespec){ .tv_sec = 3600 }, NULL);
    cutShort++;
    return unused;
}

static void *waitForEver(void *unused)
{
    struct epoll_event event;
    int fd = epoll_create1(0);
    waiting++;
    epoll_wait(fd, &event, 1, -1);
    cutShort++;
    return unused;
}

int main(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (pipe(pipeEnds) != 0) return 2;
    pthread_t reader, other;
    long got = 0, calls = 0;
    pthread_create(&reader, NULL, readByte, &got);
    pthread_create(&other, NULL, sleepLong, NULL);
    pthread_create(&other, NULL, waitForEver, NULL);
    while (waiting < 3) usleep(1000);
    usleep(20000); /* from there into the system calls */
    printf("ready %d\n", getpid());
    fflush(stdout);
    while (sigtimedwait(&set, NULL, &(struct timespec){ .tv_nsec = 1000000 }) != SIGTERM) calls = work(calls);
    int before = cutShort;
    if (write(pipeEnds[1], "x", 1) != 1) return 2;
    pthread_join(reader, NULL);
    int right = got == 1 && before == 0;
    printf("read %ld\ncut short %d\n%s\n", got, before, right ? "ok" : "WRONG");
    return right ? 0 : 1;
}
