/*
 * Calls that never return: guard() sets a jump buffer and calls deep(), which recurses five levels; every second
 * time the innermost longjmps out, every fourth time by siglongjmp from a signal handler. 200 rounds.
 *
 * Prints, and ends with 0 when the counts are as computed:
 *   guard 200
 *   deep 1000
 *   deep returned 500
 *   jumped 100
 *   ok
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

enum { ROUNDS = 200, LEVELS = 5 };

static sigjmp_buf buffer;
static volatile long guards, deeps, deepReturns, jumps;

static void handle(int signal)
{
    siglongjmp(buffer, signal);
}

__attribute__((noipa, optimize("no-optimize-sibling-calls"))) long deep(long round, long level)
{
    deeps++;
    if (level + 1 < LEVELS) {
        long below = deep(round, level + 1);
        deepReturns++;
        return below + 1;
    }
    if (round % 4 == 1) raise(SIGUSR1);
    if (round % 2 == 1) siglongjmp(buffer, 1);
    deepReturns++;
    return 1;
}

__attribute__((noipa)) long guard(long round)
{
    guards++;
    if (sigsetjmp(buffer, 1) != 0) {
        jumps++;
        return 0;
    }
    return deep(round, 0);
}

int main(void)
{
    signal(SIGUSR1, handle);
    long wrong = 0;
    for (volatile long round = 0; round < ROUNDS; round++) {
        wrong += guard(round) != (round % 2 == 1 ? 0 : LEVELS);
    }
    wrong += deeps != ROUNDS * LEVELS || deepReturns != ROUNDS / 2 * LEVELS || jumps != ROUNDS / 2;
    printf("guard %ld\ndeep %ld\ndeep returned %ld\njumped %ld\n%s\n", guards, deeps, deepReturns, jumps,
           wrong == 0 ? "ok" : "WRONG");
    return wrong == 0 ? 0 : 1;
}
