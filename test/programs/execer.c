/*
 * Replaces itself by execve, from the main thread or from another one (whose thread id then becomes the
 * process id, and all other threads vanish without a word). Each image calls work() five times first.
 *
 *   execer leader|thread EXECS [INDEX]        INDEX is for its own use
 *
 * Prints `image 0: 5 calls`, `image 1: 5 calls`, ... and in the last image, number EXECS, `ok`. The process id
 * is the same in all; if not, it says so and ends with 1.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__attribute__((noipa)) long work(long n)
{
    __asm__ volatile("" ::: "memory");
    return n + 1;
}

static char *nextArguments[6];

static void *execute(void *unused)
{
    (void)unused;
    execv("/proc/self/exe", nextArguments);
    perror("execv");
    exit(1);
}

static void *sleepForever(void *unused)
{
    for (;;) pause();
    return unused;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: execer leader|thread EXECS\n");
        return 2;
    }
    int byThread = strcmp(argv[1], "thread") == 0, execs = atoi(argv[2]), index = argc > 3 ? atoi(argv[3]) : 0;
    if (argc > 4 && atoi(argv[4]) != getpid()) {
        printf("WRONG: process id changed\n");
        return 1;
    }
    long sum = 0;
    for (long n = 0; n < 5; n++) sum += work(n);
    printf("image %d: 5 calls\n", index);
    fflush(stdout);
    if (index == execs) {
        puts(sum == 15 ? "ok" : "WRONG");
        return sum == 15 ? 0 : 1;
    }
    static char next[16], pid[16];
    snprintf(next, sizeof next, "%d", index + 1);
    snprintf(pid, sizeof pid, "%d", getpid());
    char *arguments[6] = { "execer", argv[1], argv[2], next, pid, NULL };
    memcpy(nextArguments, arguments, sizeof arguments);
    if (!byThread) execute(NULL);
    pthread_t idle, thread;
    pthread_create(&idle, NULL, sleepForever, NULL);
    pthread_create(&thread, NULL, execute, NULL);
    sleepForever(NULL);
}
