/*
 * The target of bench/strategies.ts: functions that begin with one instruction of a kind, called in a loop.
 *
 *   kinds FUNCTION CALLS     Prints `ready pid=N baseline_ps=N`, waits for a byte on standard input, makes
 *                            CALLS / 10 calls untimed and CALLS timed, and prints `done ns=N`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KINDS(K) K(k_mov) K(k_nop) K(k_push) K(k_lea) K(k_call) K(k_jcc) K(k_syscall) K(k_rep)
#define DECLARE(name) long name(void *p, long n);
KINDS(DECLARE)

/* k_syscall is getppid; k_rep copies 32 bytes, below. */
__asm__(".text\n"
        ".macro kind name\n.globl \\name\n.type \\name, @function\n.p2align 4\n\\name:\n.endm\n"
        "kind k_mov\n  mov %rsi, %rax\n  ret\n"
        "kind k_nop\n  nop\n  ret\n"
        "kind k_push\n  push %rbp\n  pop %rbp\n  ret\n"
        "kind k_lea\n  lea 1f(%rip), %rax\n1: ret\n"
        "kind k_call\n  call 2f\n  ret\n2: ret\n"
        "kind k_jcc\n  jz 3f\n  ret\n3: ret\n"
        "kind k_syscall_entry\n  mov $110, %eax\n"
        "kind k_syscall\n  syscall\n  ret\n"
        "kind k_rep_entry\n  lea 64(%rdi), %rsi\n  mov $32, %ecx\n"
        "kind k_rep\n  rep movsb\n  ret\n");
long k_syscall_entry(void *p, long n);
long k_rep_entry(void *p, long n);

static char buffer[128];

static long long nowNs(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void callMany(long (*volatile function)(void *, long), long calls)
{
    for (long n = 0; n < calls; n++) function(buffer, n);
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    long (*function)(void *, long) = NULL;
#define PICK(name) if (strcmp(argv[1], #name) == 0) function = name;
    KINDS(PICK)
    if (function == k_syscall) function = k_syscall_entry;
    if (function == k_rep) function = k_rep_entry;
    if (function == NULL) return 2;
    long calls = atol(argv[2]);
    callMany(function, 100000);
    long long start = nowNs();
    callMany(function, 1000000);
    long long baselinePs = (nowNs() - start) / 1000;
    printf("ready pid=%d baseline_ps=%lld\n", getpid(), baselinePs);
    fflush(stdout);
    char byte;
    if (read(0, &byte, 1) != 1) return 2;
    callMany(function, calls / 10);
    start = nowNs();
    callMany(function, calls);
    printf("done ns=%lld\n", nowNs() - start);
    return 0;
}
