/*
 * Calls a function that begins with a push, again and again, and adds up what it gives. Prints `ready` when it has
 * begun; on SIGTERM `right` or `wrong`, and ends with 0.
 */
#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t stopping;

static void onTerm(int signal)
{
    (void)signal;
    stopping = 1;
}

__attribute__((noipa)) long leaf(long n)
{
    return n + 1;
}

__attribute__((noipa)) long work(long n)
{
    long first = leaf(n);
    return first + leaf(2 * n);
}

int main(void)
{
    long wrong = 0;
    signal(SIGTERM, onTerm);
    puts("ready");
    fflush(stdout);
    for (long n = 0; !stopping; n++) wrong += work(n) != 3 * n + 2;
    puts(wrong == 0 ? "right" : "wrong");
    return 0;
}
