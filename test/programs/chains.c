/*
 * Chains of calls of every shape. Argument 1:
 *   deep N     descend() to depth N (default 10000) and back, then up() and down() calling one another as deep
 *   tails      a chain of real tail calls: tail_a jumps to tail_b, that to tail_c, that to tail_d
 *   loops      even() and odd() tail-calling one another, 9 deep, and spin() tail-calling itself
 *   shared     several functions called from one place through a pointer, so that all return to one address
 *   pops       functions that return by `ret 8` and `ret 16`, one of them recursive, called with arguments that
 *              they take off the stack
 *   jumped     functions entered by a jump: with a return address pushed by hand, and with a word on top of the stack
 *              that is none, but points into the middle of an instruction
 * Prints `NAME entries` and `NAME returned returns` for each function that a probe may be put on, then `ok`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROBED __attribute__((noipa, optimize("no-optimize-sibling-calls")))
#define TAIL __attribute__((noipa))

enum {
    DESCEND, UP, DOWN, TAIL_A, TAIL_B, TAIL_C, TAIL_D, EVEN, ODD, SPIN, ONE, TWO, THREE,
    POP_ONE, POP_TWO, POP_DEEP, BY_JUMP, NO_RETURN_ADDRESS, FUNCTIONS
};
static const char *const names[FUNCTIONS] = {
    "descend", "up", "down", "tail_a", "tail_b", "tail_c", "tail_d", "even", "odd", "spin", "one", "two", "three",
    "pop_one", "pop_two", "pop_deep", "by_jump", "no_return_address"
};
volatile long entries[FUNCTIONS], returns[FUNCTIONS];
static volatile long wrong;

#define ENTER(f) (entries[f]++)
#define LEAVE(f, value) do { long result = (value); returns[f]++; return result; } while (0)

PROBED long descend(long n)
{
    ENTER(DESCEND);
    LEAVE(DESCEND, n == 0 ? 0 : descend(n - 1) + n);
}

PROBED long down(long n);
PROBED long up(long n)
{
    ENTER(UP);
    LEAVE(UP, n == 0 ? 7 : down(n - 1) + 1);
}
PROBED long down(long n)
{
    ENTER(DOWN);
    LEAVE(DOWN, n == 0 ? 9 : up(n - 1) + 2);
}

/* A tail call's own return is that of the function it ends in. */
#define ENTER_TAIL(f) (entries[f]++, returns[f]++)
TAIL long tail_d(long n) { ENTER_TAIL(TAIL_D); return n * 2; }
TAIL long tail_c(long n) { ENTER_TAIL(TAIL_C); return tail_d(n + 1); }
TAIL long tail_b(long n) { ENTER_TAIL(TAIL_B); return tail_c(n + 1); }
TAIL long tail_a(long n) { ENTER_TAIL(TAIL_A); return tail_b(n + 1); }

TAIL long odd(long n);
TAIL long even(long n) { ENTER_TAIL(EVEN); if (n == 0) return 1; return odd(n - 1); }
TAIL long odd(long n) { ENTER_TAIL(ODD); if (n == 0) return 0; return even(n - 1); }

long spin(long n, long sum);
__asm__(".globl spin\n.type spin, @function\nspin:\n"
        "  incq entries+72(%rip)\n  incq returns+72(%rip)\n"
        "  test %rdi, %rdi\n  je 1f\n  add %rdi, %rsi\n  dec %rdi\n  jmp spin\n"
        "1: mov %rsi, %rax\n  ret\n.size spin, .-spin\n");

PROBED long one(long n) { ENTER(ONE); LEAVE(ONE, n + 1); }
PROBED long two(long n) { ENTER(TWO); LEAVE(TWO, n + 2); }
PROBED long three(long n) { ENTER(THREE); LEAVE(THREE, n + 3); }

static void shared(void)
{
    static long (*const volatile functions[])(long) = { one, two, three };
    for (long n = 0; n < 30; n++) {
        long which = n * 7 % 3;
        wrong += functions[which](n) != n + which + 1;
    }
}

/* Arguments on the stack, taken off by the function itself. */
__asm__(".globl pop_one\n.type pop_one, @function\npop_one:\n"
        "  incq entries+104(%rip)\n  mov 8(%rsp), %rax\n  add $5, %rax\n  incq returns+104(%rip)\n"
        "  ret $8\n.size pop_one, .-pop_one\n"
        ".globl pop_two\n.type pop_two, @function\npop_two:\n"
        "  incq entries+112(%rip)\n  mov 8(%rsp), %rax\n  pushq %rax\n  call pop_one\n  add 16(%rsp), %rax\n"
        "  incq returns+112(%rip)\n  ret $16\n.size pop_two, .-pop_two\n"
        ".globl pop_deep\n.type pop_deep, @function\npop_deep:\n"
        "  incq entries+120(%rip)\n  mov 8(%rsp), %rax\n  test %rax, %rax\n  je 1f\n"
        "  dec %rax\n  pushq %rax\n  call pop_deep\n  add 8(%rsp), %rax\n"
        "1: incq returns+120(%rip)\n  ret $8\n.size pop_deep, .-pop_deep\n");

static long call_pop(const char *which, long a, long b)
{
    long result;
    if (which[0] == '1')
        __asm__ volatile("sub $128, %%rsp\n\tpush %1\n\tcall pop_one\n\tadd $128, %%rsp" : "=a"(result) : "r"(a) : "memory", "cc");
    else if (which[0] == '2')
        __asm__ volatile("sub $128, %%rsp\n\tpush %2\n\tpush %1\n\tcall pop_two\n\tadd $128, %%rsp"
                         : "=a"(result) : "r"(a), "r"(b) : "memory", "cc");
    else
        __asm__ volatile("sub $128, %%rsp\n\tpush %1\n\tcall pop_deep\n\tadd $128, %%rsp" : "=a"(result) : "r"(a) : "memory", "cc");
    return result;
}

static void pops(void)
{
    for (long n = 0; n < 10; n++) {
        wrong += call_pop("1", n, 0) != n + 5;
        wrong += call_pop("2", n, 100) != n + 5 + 100;
        wrong += call_pop("deep", n, 0) != n * (n + 1) / 2;
    }
}

__asm__(".globl by_jump\n.type by_jump, @function\nby_jump:\n"
        "  incq entries+128(%rip)\n  incq returns+128(%rip)\n  lea 3(%rdi), %rax\n  ret\n.size by_jump, .-by_jump\n"
        ".globl no_return_address\n.type no_return_address, @function\nno_return_address:\n"
        "  incq entries+136(%rip)\n  pop %rax\n  jmp *%rdx\n.size no_return_address, .-no_return_address\n"
        /* One instruction of ten bytes; the address of its fifth is no place for a breakpoint. */
        ".globl inside\n.type inside, @function\ninside:\n"
        "  movabs $0x1122334455667788, %rax\n  ret\n.size inside, .-inside\n");
extern char inside[];
long by_jump(long n);
long (*volatile call_inside)(void) = (long (*)(void))inside;

static void jumped(void)
{
    for (long n = 0; n < 10; n++) {
        long result;
        __asm__ volatile("sub $128, %%rsp\n\tlea 1f(%%rip), %%rax\n\tpush %%rax\n\tjmp by_jump\n1:\tadd $128, %%rsp"
                         : "=a"(result) : "D"(n) : "memory", "cc");
        wrong += result != n + 3;
        __asm__ volatile("sub $128, %%rsp\n\tlea 1f(%%rip), %%rdx\n\tlea inside+4(%%rip), %%rax\n\tpush %%rax\n\t"
                         "jmp no_return_address\n1:\tadd $128, %%rsp" : "=a"(result) : : "rdx", "memory", "cc");
        wrong += result != (long)(inside + 4);
        wrong += call_inside() != 0x1122334455667788;
    }
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "deep";
    if (strcmp(mode, "deep") == 0) {
        long depth = argc > 2 ? atol(argv[2]) : 10000;
        wrong += descend(depth) != depth * (depth + 1) / 2;
        wrong += up(depth) != 7 + depth / 2 * 3 || depth % 2 != 0;
    } else if (strcmp(mode, "tails") == 0) {
        for (long n = 0; n < 10; n++) wrong += tail_a(n) != 2 * n + 6 || tail_c(n) != 2 * n + 2;
    } else if (strcmp(mode, "loops") == 0) {
        for (long n = 0; n < 10; n++) wrong += even(n) != (n % 2 == 0) || spin(n, 0) != n * (n + 1) / 2;
    } else if (strcmp(mode, "shared") == 0) {
        shared();
    } else if (strcmp(mode, "pops") == 0) {
        pops();
    } else {
        jumped();
    }
    for (int i = 0; i < FUNCTIONS; i++) printf("%s %ld\n%s returned %ld\n", names[i], entries[i], names[i], returns[i]);
    puts(wrong == 0 ? "ok" : "WRONG");
    return wrong == 0 ? 0 : 1;
}
