/*
 * Functions for native jprobes, and entries for them that do right and wrong. Every function changes `state` in a way
 * that its arguments decide, and checks itself against what it was called with; every entry counts its calls and then
 * does its best to spoil registers, vector registers, x87 state, flags and the argument area. jprobe_return() is an
 * empty function, on which the tracer puts its breakpoint; `on_return` may be pointed to another.
 *
 *   jprobes MODE ROUNDS     rounds of one of the modes in main()
 *
 * Prints counts as `name count`, `WRONG ...` for what was not as it must be, and `OK`.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int wrong;
static void complain(const char *what, long n)
{
    wrong++;
    if (wrong < 20) printf("WRONG %s %ld\n", what, n);
}

/* How an entry ends: a tracer may point it to an address of its own. */
__attribute__((noipa)) void jprobe_return(void) { __asm__ volatile(""); }
void (*volatile on_return)(void) = jprobe_return;
void set_return(void (*function)(void)) { on_return = function; }

struct big { long a, b, c; };

#define COUNTS(X) X(many) X(on_many) X(vec) X(on_vec) X(recurse) X(on_recurse) X(helper) X(on_helper) \
    X(on_returning) X(on_leaping) X(on_faulting) X(on_popping) X(on_slow) X(on_forking) X(on_signal) X(on_other) \
    X(signals) X(resumed) X(leaps) X(children)
#define DEFINE(name) static long name##_count;
COUNTS(DEFINE)
#define ONE(name) __atomic_add_fetch(&name##_count, 1, __ATOMIC_RELAXED)

/* Six integers in registers, and on the stack: two integers, a structure, a long double. */
__attribute__((noipa)) long many(int a, long b, short c, char d, unsigned e, long f, int g, long h, struct big s,
                                 long double l)
{
    ONE(many);
    long n = b;
    if (a != (int)n || c != (short)(n + 2) || d != (char)(n + 3) || e != (unsigned)(n + 4) || f != n + 5)
        complain("many registers", n);
    if (g != (int)(n + 6) || h != n + 7 || s.a != n + 8 || s.b != n + 9 || s.c != n + 10 || l != (long double)n + 0.5L)
        complain("many stack", n);
    return a + b + c + d + e + f + g + h + s.a + s.b + s.c + (long)l;
}

/* Changes all that a callee may: registers, vector and x87 registers, flags, the direction flag aside. */
__attribute__((noipa)) static void spoil(void)
{
    __asm__ volatile("pxor %%xmm0,%%xmm0\n pcmpeqd %%xmm1,%%xmm1\n movaps %%xmm1,%%xmm2\n movaps %%xmm0,%%xmm3\n"
                     "movaps %%xmm1,%%xmm4\n movaps %%xmm0,%%xmm5\n movaps %%xmm1,%%xmm6\n movaps %%xmm0,%%xmm7\n"
                     "fld1\n fldpi\n fadd %%st(1),%%st\n fstp %%st(0)\n fstp %%st(0)\n"
                     "mov $-1,%%rax\n mov %%rax,%%rcx\n mov %%rax,%%rdx\n mov %%rax,%%rsi\n mov %%rax,%%rdi\n"
                     "mov %%rax,%%r8\n mov %%rax,%%r9\n mov %%rax,%%r10\n mov %%rax,%%r11\n stc\n" ::
                         : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc", "memory", "xmm0", "xmm1",
                           "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
}

/* The entry has many()'s parameters, and writes over all that are its own. */
void on_many(int a, long b, short c, char d, unsigned e, long f, volatile int g, volatile long h,
             volatile struct big s, volatile long double l)
{
    ONE(on_many);
    long n = b;
    if (a != (int)n || c != (short)(n + 2) || d != (char)(n + 3) || e != (unsigned)(n + 4) || f != n + 5 ||
        g != (int)(n + 6) || h != n + 7 || s.a != n + 8 || s.b != n + 9 || s.c != n + 10 || l != (long double)n + 0.5L)
        complain("on_many", n);
    g = -1;
    h = -2;
    s.a = s.b = s.c = -3;
    l = -4;
    spoil();
    on_return();
    complain("on_many came back", n);
}

/* Everything in callee-saved registers must survive, too. */
__attribute__((noipa)) double vec(double a, float b, double c, long n)
{
    ONE(vec);
    if (a != n * 1.5 || b != (float)n || c != -n) complain("vec", n);
    return a + b + c;
}

void on_vec(double a, float b, double c, long n)
{
    ONE(on_vec);
    if (a != n * 1.5 || b != (float)n || c != -n) complain("on_vec", n);
    register long saved __asm__("rbx") = -5;
    __asm__ volatile("" : "+r"(saved));
    spoil();
    on_return();
    complain("on_vec came back", saved);
}

__attribute__((noipa)) long helper(long n) { ONE(helper); return n + 1; }
void on_helper(long n)
{
    ONE(on_helper);
    (void)n;
    on_return();
}

/* Calls itself, through a pointer, so that no compiler makes a loop of it. */
long recurse(long n);
long (*volatile again)(long) = recurse;
__attribute__((noipa)) long recurse(long n)
{
    ONE(recurse);
    return n <= 0 ? 0 : n + (*again)(n - 1);
}

void on_recurse(long n)
{
    ONE(on_recurse);
    if (recurse(2) != 3) complain("recurse in its entry", n);
    if (helper(n) != n + 1) complain("helper in an entry", n);
    on_return();
}

/* Entries that do wrong. */
void on_returning(long n) { ONE(on_returning); (void)n; spoil(); }

static __thread jmp_buf landing;
void on_leaping(long n) { ONE(on_leaping); longjmp(landing, (int)n + 1); }

void on_faulting(long n) { ONE(on_faulting); *(volatile long *)(n & 0) = 1; on_return(); }

/* Pops more than it was given, then calls jprobe_return as if nothing were. */
void on_popping(long n);
void count_popping(void) { ONE(on_popping); }
__asm__(".text\n.globl on_popping\n.type on_popping, @function\non_popping:\n"
        " push %rdi\n call count_popping\n pop %rdi\n add $24, %rsp\n jmp *on_return(%rip)\n"
        ".size on_popping, . - on_popping\n");

/* jprobe_return on a stack that is not the thread's. */
void on_other(long n);
void count_other(void) { ONE(on_other); }
static char other_stack[65536] __attribute__((aligned(16), used));
__asm__(".text\n.globl on_other\n.type on_other, @function\non_other:\n"
        " push %rdi\n call count_other\n pop %rdi\n lea other_stack+65536(%rip), %rsp\n call *on_return(%rip)\n ud2\n"
        ".size on_other, . - on_other\n");

static volatile int go_on, is_in, child_ends;
void on_slow(long n)
{
    ONE(on_slow);
    (void)n;
    is_in = 1;
    while (!go_on) usleep(1000);
    on_return();
}

void on_signal(long n)
{
    ONE(on_signal);
    (void)n;
    long before = signals_count;
    syscall(SYS_tgkill, getpid(), (int)syscall(SYS_gettid), SIGUSR1);
    helper(1);
    if (signals_count != before) complain("a signal came in an entry", n);
    on_return();
}

static void count_signal(int signal) { (void)signal; ONE(signals); recurse(0); }

void on_forking(long n)
{
    ONE(on_forking);
    (void)n;
    static pid_t child;
    child = fork();
    if (child == 0 && child_ends) _exit(7);
    if (child > 0) ONE(children);
    on_return();
}

static long call_many(long n)
{
    struct big s = { n + 8, n + 9, n + 10 };
    return many((int)n, n, (short)(n + 2), (char)(n + 3), (unsigned)(n + 4), n + 5, (int)(n + 6), n + 7, s,
                (long double)n + 0.5L);
}

/* Exact for small n, by the arithmetic of many(). */
static void check_many(long n)
{
    long want = (int)n + n + (short)(n + 2) + (char)(n + 3) + (unsigned)(n + 4) + (n + 5) + (int)(n + 6) + (n + 7) +
                (n + 8) + (n + 9) + (n + 10) + (long)((long double)n + 0.5L);
    if (call_many(n) != want) complain("result of many", n);
}

static void *work_on(void *argument)
{
    (void)argument;
    for (long n = 0; signals_count == 0; n++) {
        check_many(n & 63);
        if (vec(n * 1.5, (float)n, -n, n) != n * 1.5 + (float)n - n) complain("result of vec", n);
        if (recurse(3) != 6) complain("result of recurse", n);
        usleep(100);
    }
    return NULL;
}

static void *work(void *argument)
{
    for (long n = 0; n < (long)argument; n++) {
        check_many(n & 63);
        if (vec(n * 1.5, (float)n, -n, n) != n * 1.5 + (float)n - n) complain("result of vec", n);
        if (recurse(3) != 6) complain("result of recurse", n);
    }
    return NULL;
}

static void *call_helper(void *argument) { return (void *)helper((long)argument); }

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "calls";
    long rounds = argc > 2 ? atol(argv[2]) : 10;
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGUSR1, count_signal);
    if (!strcmp(mode, "calls")) {
        work((void *)rounds);
    } else if (!strcmp(mode, "threads")) {
        pthread_t threads[8];
        for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, work, (void *)rounds);
        for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    } else if (!strcmp(mode, "forever")) {
        /* Until a signal comes. */
        pthread_t threads[4];
        for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work_on, NULL);
        printf("ready\n");
        for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    } else if (!strcmp(mode, "helper")) {
        for (long n = 0; n < rounds; n++)
            if (helper(n) != n + 1) complain("result of helper", n);
    } else if (!strcmp(mode, "leaps")) {
        for (volatile long n = 0; n < rounds; n++) {
            if (setjmp(landing) == 0) {
                helper(n);
                complain("helper was called and came back", n);
            } else ONE(leaps);
            recurse(1); /* seen above the entry's frame: here it is known that the entry is left */
        }
    } else if (!strcmp(mode, "slow")) {
        /* One thread waits in its entry until it is let go; the main thread goes on. Begins and ends at a signal. */
        pthread_t thread;
        printf("ready\n");
        while (signals_count == 0) usleep(1000);
        pthread_create(&thread, NULL, call_helper, (void *)41);
        while (!is_in) usleep(1000);
        printf("waiting\n");
        if (argc > 3) { /* so many milliseconds; without, until it is let end */
            usleep(atoi(argv[3]) * 1000);
            go_on = 1;
        }
        while (signals_count < 2) usleep(1000);
        go_on = 1;
        void *result;
        pthread_join(thread, &result);
        if ((long)result != 42) complain("result of helper", (long)result);
        ONE(resumed);
    } else if (!strcmp(mode, "forks")) {
        child_ends = argc > 3;
        for (long n = 0; n < rounds; n++) {
            pid_t self = getpid();
            long result = helper(n);
            /* The child of the entry comes here as well, once it is out of its entry. */
            if (result != n + 1) complain("result of helper", n);
            if (getpid() != self) _exit(wrong == 0 && helper_count == n + 1 ? 7 : 8);
            int status;
            if (wait(&status) > 0 && (!WIFEXITED(status) || WEXITSTATUS(status) != 7)) complain("child", status);
        }
    }
#define PRINT(name) printf(#name " %ld\n", name##_count);
    COUNTS(PRINT)
    puts(wrong == 0 ? "OK" : "WRONG");
    return wrong != 0;
}
