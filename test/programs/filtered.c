/*
 * A program behind seccomp filters, as sandboxes make them: it puts one on itself, then calls work() again and
 * again, and would be killed by any system call that its filter does not have.
 *
 *   strict      seccomp's first mode: read, write, exit, sigreturn
 *   whitelist   those and what a worker of a sandbox needs: no mmap, no munmap, no restart_syscall
 *   nommap      all but mmap, munmap and mprotect
 *   noexec      mmap and mprotect only without PROT_EXEC; munmap is allowed
 *   container   all but some that a container has no need of
 *   late        nothing until SIGUSR1, then the whitelist; prints `filtered`
 *
 * Prints `ready`, and ends with `ok` when it has read a line, or its standard input is at its end. For each 50 ms
 * of waiting it calls work() once.
 */
#define _GNU_SOURCE
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { RULES_MAX = 64 };

static struct sock_filter rules[RULES_MAX];
static unsigned short ruleCount;

static void add(struct sock_filter rule)
{
    rules[ruleCount++] = rule;
}

static void begin(void)
{
    add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));
    add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
    add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
}

static void on(unsigned number, unsigned action)
{
    add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
    add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
}

static void otherwise(unsigned action)
{
    add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action));
    struct sock_fprog program = { .len = ruleCount, .filter = rules };
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) _exit(9);
}

static void allowOnly(void)
{
    static const unsigned allowed[] = { SYS_read, SYS_write, SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_poll, SYS_futex, SYS_nanosleep };
    begin();
    for (unsigned i = 0; i < sizeof allowed / sizeof allowed[0]; i++) on(allowed[i], SECCOMP_RET_ALLOW);
    otherwise(SECCOMP_RET_KILL_PROCESS);
}

__attribute__((noipa)) long work(long n)
{
    __asm__ volatile("" ::: "memory");
    return n * 5 + 2;
}

static volatile sig_atomic_t isWanted;
static void onWanted(int signal)
{
    (void)signal;
    isWanted = 1;
}

static void say(const char *text)
{
    if (write(1, text, strlen(text)) < 0) syscall(SYS_exit, 8);
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "whitelist";
    if (strcmp(kind, "strict") == 0) prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0);
    if (strcmp(kind, "whitelist") == 0) allowOnly();
    if (strcmp(kind, "nommap") == 0) {
        begin();
        on(SYS_mmap, SECCOMP_RET_KILL_PROCESS);
        on(SYS_munmap, SECCOMP_RET_KILL_PROCESS);
        on(SYS_mprotect, SECCOMP_RET_KILL_PROCESS);
        otherwise(SECCOMP_RET_ALLOW);
    }
    if (strcmp(kind, "noexec") == 0) {
        begin();
        add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0));
        add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 3));
        add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])));
        add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1));
        add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
        otherwise(SECCOMP_RET_ALLOW);
    }
    if (strcmp(kind, "container") == 0) {
        begin();
        on(SYS_reboot, SECCOMP_RET_ERRNO | 1);
        on(SYS_kexec_load, SECCOMP_RET_ERRNO | 1);
        on(SYS_swapon, SECCOMP_RET_ERRNO | 1);
        otherwise(SECCOMP_RET_ALLOW);
    }
    if (strcmp(kind, "late") == 0) signal(SIGUSR1, onWanted);
    say("ready\n");
    int isStrict = strcmp(kind, "strict") == 0;
    long sum = 0;
    for (long n = 0;; n++) {
        sum += work(n) - n * 5 - 2;
        if (isWanted == 1) {
            isWanted = 2;
            allowOnly();
            say("filtered\n");
        }
        struct pollfd input = { .fd = 0, .events = POLLIN };
        char byte;
        /* In strict mode there is no waiting. */
        if (isStrict ? n == 200000000 : n % 4 == 3 && poll(&input, 1, 50) > 0 && read(0, &byte, 1) >= 0) break;
    }
    say(sum == 0 ? "ok\n" : "WRONG\n");
    syscall(SYS_exit, 0);
}
