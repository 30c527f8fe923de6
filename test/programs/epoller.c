/*
 * Waits that no tracer may cut short: eight threads wait, each by another system call that is not always
 * restarted after a stop, twenty times 25 ms (argument 1 gives another count), while the main thread calls
 * tick() every millisecond. No signal is ever sent, so EINTR, or a wait that ends early, is the tracer's doing.
 *
 * Prints `NAME interrupted 0 early 0` for each call, then `tick N` (N differs) and `ok`; ends with 1 when any was cut short.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 25 };

static int waits = 20;
static atomic_int running;
static struct timespec duration = { .tv_nsec = WAIT_MS * 1000000L };

__attribute__((noipa)) long tick(long n)
{
    __asm__ volatile("" ::: "memory");
    return n + 1;
}

/* Each waits WAIT_MS and gives 0, or an errno. */
static int byEpoll(void)
{
    static int fd = -1;
    if (fd < 0) fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event;
    return epoll_wait(fd, &event, 1, WAIT_MS) == 0 ? 0 : errno;
}
static int bySigtimedwait(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigtimedwait(&set, NULL, &duration);
    return errno == EAGAIN ? 0 : errno;
}
static int byNanosleep(void) { return nanosleep(&duration, NULL) == 0 ? 0 : errno; }
static int byClockNanosleep(void) { return clock_nanosleep(CLOCK_MONOTONIC, 0, &duration, NULL); }
static int byPoll(void) { return poll(NULL, 0, WAIT_MS) == 0 ? 0 : errno; }
static int bySelect(void)
{
    struct timeval time = { 0, WAIT_MS * 1000 };
    return select(0, NULL, NULL, NULL, &time) == 0 ? 0 : errno;
}
static int bySemaphore(void)
{
    static sem_t semaphore;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += WAIT_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    sem_timedwait(&semaphore, &until);
    return errno == ETIMEDOUT ? 0 : errno;
}
static int byFutex(void)
{
    static int word;
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &duration, NULL, 0);
    return errno == ETIMEDOUT ? 0 : errno;
}

static struct {
    const char *name;
    int (*wait)(void);
    int interrupted, early, failed;
} ways[] = {
    { "epoll_wait", byEpoll, 0, 0, 0 },   { "sigtimedwait", bySigtimedwait, 0, 0, 0 },
    { "nanosleep", byNanosleep, 0, 0, 0 }, { "clock_nanosleep", byClockNanosleep, 0, 0, 0 },
    { "poll", byPoll, 0, 0, 0 },          { "select", bySelect, 0, 0, 0 },
    { "sem_timedwait", bySemaphore, 0, 0, 0 }, { "futex", byFutex, 0, 0, 0 },
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static double nowMs(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void *waitMany(void *argument)
{
    int way = (int)(long)argument;
    for (int i = 0; i < waits; i++) {
        double start = nowMs();
        errno = 0;
        int error = ways[way].wait();
        if (error == EINTR) ways[way].interrupted++;
        else if (error != 0) ways[way].failed = error;
        else if (nowMs() - start < WAIT_MS - 1) ways[way].early++;
    }
    running--;
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc > 1) waits = atoi(argv[1]);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    pthread_t threads[WAYS];
    running = WAYS;
    for (long i = 0; i < WAYS; i++) pthread_create(&threads[i], NULL, waitMany, (void *)i);
    long ticks = 0;
    while (running > 0) {
        ticks = tick(ticks);
        usleep(1000);
    }
    int wrong = 0;
    for (int i = 0; i < WAYS; i++) {
        pthread_join(threads[i], NULL);
        printf("%s interrupted %d early %d\n", ways[i].name, ways[i].interrupted, ways[i].early);
        if (ways[i].failed != 0) printf("%s failed with errno %d\n", ways[i].name, ways[i].failed);
        wrong += ways[i].interrupted + ways[i].early + ways[i].failed;
    }
    printf("tick %ld\n%s\n", ticks, wrong == 0 ? "ok" : "WRONG");
    return wrong == 0 ? 0 : 1;
}
