/*
 * Two timers at 2 kHz each (SIGALRM, SIGUSR1) interrupt a loop that calls work(); the handlers call work() too and
 * check that the interrupted pc lies in this program, its libraries or the vdso, as mapped at the start: never
 * anywhere else (a slot of a tracer), and that what came with the signal is a timer's, not a sender's. The handlers
 * may interrupt each other. Ends after 1000 signals of each kind
 * (argument 1 gives another number).
 *
 * Prints, the first number being that of all calls of work(), which differs from run to run:
 *   work 1234567
 *   handled 1000 1000
 *   outside 0
 *   ok
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum { RANGES_MAX = 64 };

static struct { uintptr_t start, end; } ranges[RANGES_MAX];
static int rangeCount;
static atomic_long calls, alarms, users, outside, forged;
static atomic_ulong firstOutside;
static long wanted = 1000;

/* An atomic add in the middle, so that a call cut in two by a signal still counts once. */
__attribute__((noipa)) long work(long n)
{
    atomic_fetch_add(&calls, 1);
    return n * 3;
}

static void readRanges(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512], self[256] = "";
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return;
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL && rangeCount < RANGES_MAX) {
        unsigned long start, end;
        char rights[8], path[256] = "";
        if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &start, &end, rights, path) < 3) continue;
        int ours = strstr(path, "/libc") != NULL || strstr(path, "/ld-") != NULL || strcmp(path, "[vdso]") == 0 ||
                   strcmp(path, self) == 0;
        if (rights[2] != 'x' || !ours) continue;
        ranges[rangeCount].start = start;
        ranges[rangeCount++].end = end;
    }
    if (maps != NULL) fclose(maps);
}

static void handle(int signal, siginfo_t *info, void *context)
{
    if (info->si_code == SI_USER) forged++;
    uintptr_t pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    int inside = 0;
    for (int i = 0; i < rangeCount; i++) inside |= pc >= ranges[i].start && pc < ranges[i].end;
    if (!inside) {
        unsigned long none = 0;
        atomic_compare_exchange_strong(&firstOutside, &none, pc);
        outside++;
    }
    atomic_long *count = signal == SIGALRM ? &alarms : &users;
    if (*count >= wanted) return;
    ++*count;
    work(signal);
}

int main(int argc, char **argv)
{
    if (argc > 1) wanted = atol(argv[1]);
    readRanges();
    struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_RESTART };
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    struct itimerval every = { { 0, 500 }, { 0, 500 } };
    setitimer(ITIMER_REAL, &every, NULL);
    timer_t timer;
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    timer_settime(timer, 0, &(struct itimerspec){ { 0, 500000 }, { 0, 700000 } }, NULL);

    long sum = 0, loops = 0;
    while (alarms < wanted || users < wanted) sum += work(loops++);

    setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
    timer_delete(timer);
    int right = outside == 0 && forged == 0 && sum == loops * (loops - 1) / 2 * 3 && calls == loops + alarms + users;
    printf("work %ld\nhandled %ld %ld\noutside %ld\n", (long)calls, (long)alarms, (long)users, (long)outside);
    if (firstOutside != 0) printf("first outside %#lx\n", (unsigned long)firstOutside);
    if (forged != 0) printf("forged %ld\n", (long)forged);
    puts(right ? "ok" : "WRONG");
    return right ? 0 : 1;
}
