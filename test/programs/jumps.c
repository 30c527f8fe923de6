/*
 * Jumps out of probed frames and back into live ones. Argument 1 says which:
 *   over     catcher() sets a jump buffer and calls middle(), which calls thrower() at one of several depths;
 *            every second round longjmps back into catcher(), which goes on, calls after() and returns
 *   again    again() is jumped back into five times a round, by nested calls of each depth, and returns at last
 *   short    short_cut() calls leaver(), which jumps back to before the call, from where a branch leads right behind it
 *            (by longjmp, siglongjmp and setcontext, from one of several depths)
 *   signals  handlers that return and handlers that siglongjmp, on the thread's stack and on another one, calling
 *            work() while the interrupted work() is open
 *   many N   N longjmps out of deep(), at depths that vary (default 20000)
 * Prints `NAME entries` and `NAME returned returns` for each function that a probe may be put on, then `ok`.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define PROBED __attribute__((noipa, optimize("no-optimize-sibling-calls")))

enum { CATCHER, AGAIN, MIDDLE, THROWER, AFTER, WORK, HANDLER, DEEP, SHORT_CUT, LEAVER, FUNCTIONS };
static const char *const names[FUNCTIONS] = {
    "catcher", "again", "middle", "thrower", "after", "work", "on_signal", "deep", "short_cut", "leaver"
};
static volatile long entries[FUNCTIONS], returns[FUNCTIONS];
static sigjmp_buf buffer;
static volatile long wrong, caught;

#define ENTER(f) (entries[f]++)
#define LEAVE(f, value) do { long result = (value); returns[f]++; return result; } while (0)

PROBED long thrower(long round, long depth)
{
    ENTER(THROWER);
    volatile char room[16 + 48 * (depth & 3)];
    room[0] = 1;
    if (depth > 0) LEAVE(THROWER, thrower(round, depth - 1) + room[0]);
    if (round % 2 == 1) longjmp(buffer, (int)round + 1);
    LEAVE(THROWER, 0);
}

PROBED long middle(long round, long depth)
{
    ENTER(MIDDLE);
    LEAVE(MIDDLE, thrower(round, depth) + 100);
}

PROBED long after(long n)
{
    ENTER(AFTER);
    LEAVE(AFTER, n * 2);
}

PROBED long catcher(long round, long depth)
{
    ENTER(CATCHER);
    int value = setjmp(buffer);
    if (value != 0) {
        caught++;
        wrong += value != round + 1;
        LEAVE(CATCHER, after(round) - round);
    }
    long below = middle(round, depth);
    LEAVE(CATCHER, below - depth - 100 + after(round) - round);
}

PROBED long again(void)
{
    ENTER(AGAIN);
    volatile long times = 0;
    int value = setjmp(buffer);
    if (value != 0) wrong += value != 2 * times;
    times++;
    if (times <= 5) middle(2 * times - 1, times);
    LEAVE(AGAIN, times);
}

static ucontext_t context;
static volatile long went;

PROBED long leaver(long n, long depth)
{
    ENTER(LEAVER);
    if (depth > 0) LEAVE(LEAVER, leaver(n, depth - 1) + 1);
    if (n % 4 == 1) longjmp(buffer, 3);
    if (n % 4 == 2) siglongjmp(buffer, 3);
    if (n % 4 == 3) {
        went = 1;
        setcontext(&context);
    }
    LEAVE(LEAVER, n);
}

PROBED long short_cut(long n)
{
    ENTER(SHORT_CUT);
    went = 0;
    if (n % 4 == 3) {
        getcontext(&context);
        if (__builtin_expect(went == 0, 1)) leaver(n, n % 3);
    } else if (n % 4 == 2) {
        if (__builtin_expect(sigsetjmp(buffer, 1) == 0, 1)) leaver(n, n % 3);
    } else {
        if (__builtin_expect(setjmp(buffer) == 0, 1)) leaver(n, n % 3);
    }
    LEAVE(SHORT_CUT, 5);
}

static volatile long interrupted;

PROBED long work(long n)
{
    ENTER(WORK);
    if (n > 0) {
        interrupted = n;
        raise(n % 2 == 0 ? SIGUSR1 : SIGUSR2);
    }
    LEAVE(WORK, n + 1);
}

/* SIGUSR1 returns, SIGUSR2 jumps out; both call work() while work() is interrupted. */
PROBED void on_signal(int signal)
{
    ENTER(HANDLER);
    wrong += work(0) != 1;
    if (signal == SIGUSR2) siglongjmp(buffer, 7);
    returns[HANDLER]++;
}

static void signals(int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = flags;
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    for (volatile long n = 1; n <= 20; n++) {
        int value = sigsetjmp(buffer, 1);
        if (value == 0) wrong += work(n) != n + 1 || n % 2 == 1;
        else wrong += value != 7 || n % 2 == 0;
    }
}

PROBED long deep(long depth)
{
    ENTER(DEEP);
    volatile char room[16];
    room[0] = 1;
    if (depth == 0) longjmp(buffer, 1);
    LEAVE(DEEP, deep(depth - 1) + room[0]);
}

static void many(long count)
{
    unsigned seed = 1;
    for (volatile long n = 0; n < count; n++) {
        seed = seed * 1103515245u + 12345u;
        volatile char room[1 + 16 * (seed >> 20 & 63)];
        room[0] = 0;
        if (setjmp(buffer) == 0) deep(seed >> 16 & 3);
        else caught++;
    }
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "over";
    if (strcmp(mode, "over") == 0) {
        for (volatile long round = 0; round < 60; round++) wrong += catcher(round, round % 7) != round;
        wrong += caught != 30;
    } else if (strcmp(mode, "again") == 0) {
        for (volatile long round = 0; round < 10; round++) wrong += again() != 6;
    } else if (strcmp(mode, "short") == 0) {
        for (volatile long n = 0; n < 48; n++) wrong += short_cut(n) != 5;
    } else if (strcmp(mode, "signals") == 0) {
        static char other[65536];
        stack_t stack = { .ss_sp = other, .ss_size = sizeof other };
        signals(0);
        sigaltstack(&stack, NULL);
        signals(SA_ONSTACK);
    } else {
        long count = argc > 2 ? atol(argv[2]) : 20000;
        many(count);
        wrong += caught != count;
    }
    for (int i = 0; i < FUNCTIONS; i++) printf("%s %ld\n%s returned %ld\n", names[i], entries[i], names[i], returns[i]);
    puts(wrong == 0 ? "ok" : "WRONG");
    return wrong == 0 ? 0 : 1;
}
