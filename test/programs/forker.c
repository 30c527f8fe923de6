/*
 * New processes by every way there is; parent and children call work(). The parent waits for each child before
 * it goes on, so that the output has one order.
 *
 *   forker [fork|vfork|spawn|clone|clone-vm|vfork-work]...      default: fork vfork spawn clone
 *
 * vfork and spawn execute this program again as `forker child NAME`. clone-vm is a process of its own in the
 * parent's memory (CLONE_VM without CLONE_THREAD); in vfork-work the child calls work() while it still borrows
 * the parent's memory. These two share the parent's text: a breakpoint taken out for the child is taken out for both.
 *
 * Prints for each way `NAME child 3` and `NAME parent 2` (calls of work() there), and at the end `ok`.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

__attribute__((noipa)) long work(long n)
{
    __asm__ volatile("" ::: "memory");
    return n * n;
}

static long workTimes(long times)
{
    long sum = 0;
    for (long n = 0; n < times; n++) sum += work(n);
    return sum;
}

/* What every child does. dprintf: a child in borrowed memory must leave stdio alone. */
static int beChild(const char *name)
{
    long sum = workTimes(3);
    dprintf(1, "%s child 3\n", name);
    return sum == 5 ? 0 : 1;
}

static int cloneEntry(void *name)
{
    return beChild(name);
}

static pid_t start(const char *name, char *self)
{
    static char stack[256 * 1024] __attribute__((aligned(16)));
    char *arguments[] = { self, "child", (char *)(size_t)name, NULL };
    pid_t pid = -1;
    if (strcmp(name, "fork") == 0) {
        pid = fork();
        if (pid == 0) _exit(beChild(name));
    } else if (strcmp(name, "vfork") == 0) {
        pid = vfork();
        if (pid == 0) {
            execv(self, arguments);
            _exit(127);
        }
    } else if (strcmp(name, "vfork-work") == 0) {
        pid = vfork();
        if (pid == 0) _exit(beChild(name));
    } else if (strcmp(name, "spawn") == 0) {
        if (posix_spawn(&pid, self, NULL, NULL, arguments, environ) != 0) return -1;
    } else if (strcmp(name, "clone") == 0) {
        pid = clone(cloneEntry, stack + sizeof stack, SIGCHLD, (void *)(size_t)name);
    } else if (strcmp(name, "clone-vm") == 0) {
        pid = clone(cloneEntry, stack + sizeof stack, CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, (void *)(size_t)name);
    }
    return pid;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "child") == 0) return beChild(argv[2]);
    char *usual[] = { "fork", "vfork", "spawn", "clone" };
    char **ways = argc > 1 ? argv + 1 : usual;
    int count = argc > 1 ? argc - 1 : 4, wrong = 0;
    for (int i = 0; i < count; i++) {
        int status = -1;
        pid_t pid = start(ways[i], "/proc/self/exe");
        if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
            dprintf(1, "%s WRONG: status 0x%x\n", ways[i], status);
            wrong++;
        }
        if (workTimes(2) != 1) wrong++;
        dprintf(1, "%s parent 2\n", ways[i]);
    }
    dprintf(1, wrong == 0 ? "ok\n" : "WRONG\n");
    return wrong == 0 ? 0 : 1;
}
