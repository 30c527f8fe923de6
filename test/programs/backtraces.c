/*
 * What a program sees of its own stack by glibc's backtrace(), and holds still for others to look at. Argument 1:
 *   direct   outer() calls middle() calls inner(), which takes a backtrace
 *   library  the same, with inner() called by libc's qsort()
 *   signal   the same, with inner() called by a signal handler that interrupts middle()
 *   hold     inner() prints `held` and spins until SIGUSR1 comes, then all return
 *   wait     prints `waiting` and waits for SIGUSR2 before it does as with hold
 * Prints the frames of each of 5 backtraces, innermost first, as offsets in this program (`+0x12ab`) or as `libc`, then
 * `ok`. With `hold` and `wait` only `held` and `ok`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROBED __attribute__((noipa, optimize("no-optimize-sibling-calls")))

extern char __executable_start, etext;
static const char *volatile mode;
static volatile sig_atomic_t released;
static volatile long results;

static void release(int signal)
{
    (void)signal;
    released = 1;
}

PROBED long inner(long n)
{
    if (strcmp(mode, "hold") == 0 || strcmp(mode, "wait") == 0) {
        puts("held");
        fflush(stdout);
        while (!released) __asm__ volatile("pause");
        return n + 1;
    }
    void *frames[64];
    int count = backtrace(frames, 64);
    for (int i = 0; i < count; i++) {
        char *at = frames[i];
        if (at >= &__executable_start && at < &etext) printf(" +0x%lx", (unsigned long)(at - &__executable_start));
        else {
            Dl_info info;
            printf(" %s", dladdr(at, &info) != 0 ? "libc" : "nobody");
        }
    }
    printf("\n");
    return n + 1;
}

PROBED int compare(const void *left, const void *right)
{
    if (results == 0) results = inner(41);
    return *(const int *)left - *(const int *)right;
}

PROBED void on_signal(int signal)
{
    (void)signal;
    results = inner(41);
}

PROBED long middle(long n)
{
    results = 0;
    if (strcmp(mode, "library") == 0) {
        int numbers[] = { 2, 3, 1 };
        qsort(numbers, 3, sizeof numbers[0], compare);
    } else if (strcmp(mode, "signal") == 0) {
        raise(SIGUSR2);
    } else {
        results = inner(41);
    }
    return n + results;
}

PROBED long outer(long n)
{
    return middle(n) + 1;
}

int main(int argc, char **argv)
{
    mode = argc > 1 ? argv[1] : "direct";
    signal(SIGUSR1, release);
    signal(SIGUSR2, on_signal);
    long wrong = 0, rounds = strcmp(mode, "hold") == 0 || strcmp(mode, "wait") == 0 ? 1 : 5;
    if (strcmp(mode, "wait") == 0) {
        sigset_t set;
        int number;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        sigprocmask(SIG_BLOCK, &set, NULL);
        puts("waiting");
        fflush(stdout);
        sigwait(&set, &number);
    }
    for (long n = 0; n < rounds; n++) wrong += outer(n) != n + 43;
    puts(wrong == 0 ? "ok" : "WRONG");
    return wrong == 0 ? 0 : 1;
}
