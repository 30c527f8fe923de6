/*
 * A program with breakpoints and stops of its own, which must reach it although a tracer uses the same means:
 * an int3 in its text, SIGTRAP by raise() and by kill(), and SIGSTOP on itself (a forked helper continues it).
 * Between them it calls plain(). `selftrap nostop` leaves out SIGSTOP and the helper.
 *
 * Prints the number of traps of each kind as its SIGTRAP handler saw them, then `ok`:
 *   int3 10 / raised 10 / killed 10 / plain 30 / stopped 3 / ok          (stopped 0 with nostop)
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

long trapper(long n);
extern char trapper_int3[];
__asm__(".text\n.globl trapper\n.type trapper, @function\n.p2align 4\n"
        "trapper:\n lea 1(%rdi), %rax\n.globl trapper_int3\ntrapper_int3:\n int3\n ret\n.size trapper, . - trapper\n");

static volatile int fromInt3, raised, killed, wrong;
static volatile long plains;

__attribute__((noipa)) long plain(long n)
{
    plains++;
    return n + 2;
}

static void handle(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    uintptr_t pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    if (info->si_code == SI_KERNEL) {
        fromInt3++;
        if (pc != (uintptr_t)trapper_int3 + 1) wrong++; /* after an int3 the pc is one past it */
    } else if (info->si_code == SI_TKILL) {
        raised++;
    } else if (info->si_code == SI_USER) {
        killed++;
    } else {
        wrong++;
    }
}

/* The state letter of a process, as in /proc/PID/stat: T or t when stopped. */
static char stateOf(pid_t pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) return '?';
    size_t got = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[got] = 0;
    char *end = strrchr(text, ')');
    return end != NULL && end[1] == ' ' ? end[2] : '?';
}

/* Continue the parent whenever it has been stopped for 100 ms without a break; a hit of a probe takes far less. */
static void helpParent(pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int stoppedMs = 0;
    for (;;) {
        char state = stateOf(parent);
        stoppedMs = state == 'T' || state == 't' ? stoppedMs + 1 : 0;
        if (stoppedMs >= 100) {
            kill(parent, SIGCONT);
            stoppedMs = 0;
        }
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
}

int main(int argc, char **argv)
{
    int stops = argc > 1 && strcmp(argv[1], "nostop") == 0 ? 0 : 3;
    struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO };
    sigaction(SIGTRAP, &action, NULL);
    pid_t helper = 0, self = getpid();
    if (stops > 0 && (helper = fork()) == 0) helpParent(self);

    for (long n = 0; n < 10; n++) {
        wrong += trapper(n) != n + 1;
        wrong += plain(n) != n + 2;
        raise(SIGTRAP);
        wrong += plain(n) != n + 2;
        kill(self, SIGTRAP);
        wrong += plain(n) != n + 2;
    }
    int stopped = 0;
    for (; stopped < stops; stopped++) {
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        raise(SIGSTOP);
        clock_gettime(CLOCK_MONOTONIC, &after);
        /* It must really have stopped: the helper waits 100 ms before it continues us. */
        double ms = (double)(after.tv_sec - before.tv_sec) * 1e3 + (double)(after.tv_nsec - before.tv_nsec) / 1e6;
        if (ms < 80) wrong++;
    }
    if (helper > 0) {
        kill(helper, SIGKILL);
        waitpid(helper, NULL, 0);
    }
    wrong += fromInt3 != 10 || raised != 10 || killed != 10;
    printf("int3 %d\nraised %d\nkilled %d\nplain %ld\nstopped %d\n%s\n", fromInt3, raised, killed, plains, stopped,
           wrong == 0 ? "ok" : "WRONG");
    return wrong == 0 ? 0 : 1;
}
