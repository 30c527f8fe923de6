/*
 * The target of bench/trap.ts: calls one function in a tight loop and says how long that took.
 *
 *   hot FUNCTION WARMUP CALLS        FUNCTION: probed | probed_push
 *
 * Prints one line of facts, waits for a byte on standard input (so that a tracer can attach first), makes
 * WARMUP calls untimed and CALLS calls timed, and prints the result:
 *
 *   ready pid=123 function=0x... first=3 room=0x... baseline_ps=1830
 *   done calls=20000 ns=240000000 sum=... check=ok
 *
 * `first` is the size in bytes of the function's first instruction, `room` 256 spare executable bytes near
 * it for a tracer's copy of that instruction, `baseline_ps` picoseconds of one call with no probe. `sum` is
 * the sum of the second argument over all calls, warm-up too: a tracer that reads arguments can compare.
 * LIMIT: x86-64 only; the two functions are assembly so that their first instruction is known.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

long probed(const char *s, long n);
long probed_push(const char *s, long n);
extern const char room[];

/* The kernel's uprobes emulate `push` and single-step `mov`, at a twentieth of the cost: hence two functions. */
__asm__(".text\n"
        ".globl probed\n.type probed, @function\n.p2align 4\n"
        "probed:\n"
        "  mov %rsi, %rax\n"
        "  movzbl (%rdi), %edx\n"
        "  add %rdx, %rax\n"
        "  ret\n"
        ".size probed, . - probed\n"
        ".globl probed_push\n.type probed_push, @function\n.p2align 4\n"
        "probed_push:\n"
        "  push %rbp\n"
        "  mov %rsp, %rbp\n"
        "  mov %rsi, %rax\n"
        "  movzbl (%rdi), %edx\n"
        "  add %rdx, %rax\n"
        "  pop %rbp\n"
        "  ret\n"
        ".size probed_push, . - probed_push\n"
        ".globl room\n.type room, @object\n.p2align 8\n"
        "room:\n  .skip 256, 0xcc\n.size room, . - room\n");

/* 64 bytes can be read from its start; a string of 43 characters. */
static const char text[64] = "the quick brown fox jumps over the lazy dog";

static long long nowNs(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Sum of the return values, so that the loop cannot be dropped. n counts up from `from`. */
static long callMany(long (*volatile function)(const char *, long), long from, long calls)
{
    long total = 0;
    for (long n = from; n < from + calls; n++) total += function(text, n);
    return total;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: hot probed|probed_push WARMUP CALLS\n");
        return 2;
    }
    int push = strcmp(argv[1], "probed_push") == 0;
    long (*function)(const char *, long) = push ? probed_push : probed;
    long warmup = atol(argv[2]), calls = atol(argv[3]);

    long baselineCalls = 2000000;
    callMany(function, 0, 200000);
    long long start = nowNs();
    callMany(function, 0, baselineCalls);
    long long baselinePs = (nowNs() - start) * 1000 / baselineCalls;

    printf("ready pid=%d function=%p first=%d room=%p baseline_ps=%lld\n", getpid(), (void *)function,
           push ? 1 : 3, (const void *)room, baselinePs);
    fflush(stdout);
    char byte;
    if (read(0, &byte, 1) != 1) return 2;

    long total = callMany(function, 0, warmup);
    start = nowNs();
    total += callMany(function, warmup, calls);
    long long ns = nowNs() - start;

    long all = warmup + calls, sum = all * (all - 1) / 2;
    int right = total == sum + all * text[0];
    printf("done calls=%ld ns=%lld sum=%ld check=%s\n", calls, ns, sum, right ? "ok" : "WRONG");
    return right ? 0 : 1;
}
