/*
 * One thread that makes a child each round, and waits for it; both call work(), whose results are known.
 *
 *   breeder [fork|vfork]        default: fork
 *
 * Prints `ready`; on SIGTERM `children N` and `right` or `wrong`, and ends with 0.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t stopping;

static void onTerm(int signal)
{
    (void)signal;
    stopping = 1;
}

__attribute__((noipa)) long work(long n)
{
    __asm__ volatile("" ::: "memory");
    return 3 * n + 2;
}

int main(int argc, char **argv)
{
    int borrows = argc > 1 && strcmp(argv[1], "vfork") == 0;
    long wrong = 0, children = 0;
    signal(SIGTERM, onTerm);
    puts("ready");
    fflush(stdout);
    for (long n = 0; !stopping; n++) {
        pid_t child = borrows ? vfork() : fork();
        if (child == 0) _exit(work(n) != 3 * n + 2);
        int status = 0;
        while (child > 0 && waitpid(child, &status, 0) < 0);
        wrong += child < 0 || status != 0;
        wrong += work(n) != 3 * n + 2;
        children++;
    }
    printf("children %ld\n%s\n", children, wrong == 0 ? "right" : "wrong");
    return 0;
}
