/*
 * Children by raw clone and clone3 with all kinds of flags, through libc's syscall(), whose one instruction may be
 * probed: each child calls work() three times, and ends or execs `cloner child`, which calls it three times too.
 *
 * Prints `NAME ok` for each, and at the end `ok`. A child that shares no memory runs on in a copy of the stack.
 */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

__attribute__((noipa)) long work(long n)
{
    __asm__ volatile("" ::: "memory");
    return n * n;
}

static int workThrice(void)
{
    return work(0) + work(1) + work(2) == 5 ? 0 : 1;
}

/* A child that shares memory needs a stack of its own, and must not return through its parent's frames. */
static char stack[64 * 1024] __attribute__((aligned(16)));
long cloneShared(unsigned long flags, void *top, int (*entry)(void));
__asm__(".text\n.globl cloneShared\n.type cloneShared, @function\n"
        "cloneShared: mov %rdx, %r9\n xor %edx, %edx\n xor %r10d, %r10d\n xor %r8d, %r8d\n mov $56, %eax\n"
        ".globl cloneShared_call\ncloneShared_call: syscall\n"
        " test %rax, %rax\n jz 1f\n ret\n"
        "1: call *%r9\n mov %eax, %edi\n mov $60, %eax\n syscall\n hlt\n.size cloneShared, . - cloneShared\n");

static int execSelf(void)
{
    char *arguments[] = { "cloner", "child", NULL };
    execve("/proc/self/exe", arguments, environ);
    return 9;
}

static int workThenExec(void)
{
    return workThrice() != 0 ? 8 : execSelf();
}

static const struct {
    const char *name;
    unsigned long flags;
    int isNew, isShared, execs;
} ways[] = {
    { "plain", SIGCHLD, 0, 0, 0 },
    { "files", CLONE_FILES | CLONE_FS | SIGCHLD, 0, 0, 0 },
    { "parent", CLONE_PARENT | SIGCHLD, 0, 0, 0 },
    { "sysvsem", CLONE_SYSVSEM | CLONE_IO | SIGCHLD, 0, 0, 0 },
    { "settid", CLONE_CHILD_SETTID | CLONE_PARENT_SETTID | SIGCHLD, 0, 0, 0 },
    { "clear", CLONE_CLEAR_SIGHAND | SIGCHLD, 1, 0, 0 },
    { "clone3", SIGCHLD, 1, 0, 0 },
    { "clone3-files", CLONE_FILES | SIGCHLD, 1, 0, 0 },
    { "shared", CLONE_VM | SIGCHLD, 0, 1, 0 },
    { "shared-files", CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | SIGCHLD, 0, 1, 0 },
    { "vfork", CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 1, 0 },
    { "plain-exec", SIGCHLD, 0, 0, 1 },
    { "clone3-exec", SIGCHLD, 1, 0, 1 },
    { "shared-exec", CLONE_VM | SIGCHLD, 0, 1, 1 },
    { "vfork-exec", CLONE_VM | CLONE_VFORK | SIGCHLD, 0, 1, 1 },
};

static long start(int way)
{
    static pid_t ids[2];
    if (ways[way].isShared)
        return cloneShared(ways[way].flags, stack + sizeof stack, ways[way].execs ? workThenExec : workThrice);
    long child;
    if (ways[way].isNew) {
        struct clone_args arguments;
        memset(&arguments, 0, sizeof arguments);
        arguments.flags = ways[way].flags & ~0xfful;
        arguments.exit_signal = SIGCHLD;
        child = syscall(SYS_clone3, &arguments, sizeof arguments);
    } else {
        child = syscall(SYS_clone, ways[way].flags, 0, &ids[0], &ids[1], 0);
    }
    if (child == 0) _exit(ways[way].execs ? workThenExec() : workThrice());
    return child;
}

/* With CLONE_PARENT the child is our parent's: wait for it there. */
static int runAll(void)
{
    int wrong = 0;
    for (unsigned way = 0; way < sizeof ways / sizeof ways[0]; way++) {
        if (ways[way].flags & CLONE_PARENT) {
            pid_t helper = fork();
            if (helper == 0) _exit(start((int)way) > 0 ? 0 : 1);
            int status = 0, ended = 0;
            for (; ended < 2; ended++)
                if (waitpid(-1, &status, 0) < 0 || status != 0) break;
            wrong += ended != 2;
            dprintf(1, "%s %s\n", ways[way].name, ended == 2 ? "ok" : "WRONG");
            continue;
        }
        long child = start((int)way);
        int status = -1;
        int right = child > 0 && waitpid((pid_t)child, &status, 0) == child && status == 0;
        dprintf(1, "%s %s\n", ways[way].name, right ? "ok" : "WRONG");
        wrong += !right;
    }
    return wrong;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "child") == 0) return workThrice();
    int wrong = runAll();
    dprintf(1, wrong == 0 ? "ok\n" : "WRONG\n");
    return wrong != 0;
}
