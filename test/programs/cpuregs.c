/*
 * Registers, flags, the red zone, SSE (and AVX, where there is) and x87 state must survive a probe. touched() leaves
 * all of them alone; the caller fills them with patterns, calls it, and compares. leaf() keeps data in its red
 * zone while it runs; probe it anywhere inside. 200 rounds (argument 1 gives another number), patterns from a
 * fixed generator.
 *
 *   touched    nop(1) push %rbp(1) mov %rsp,%rbp(3) pushf(1) popf(1) jmp +0(2) pop(1) ret      offsets 0 1 2 5 6 7 9 10
 *
 * scramble(1) is there to be called by a handler; 1 where there is AVX.
 *
 * Prints `general 200`, `vector 200`, `x87 200`, `red zone 200` (rounds that were right) and `OK`.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What check_general and check_vector fill in from, and leave what came back in; the order is theirs. */
struct general { uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15, flags; };

void touched(void);
void check_general(const struct general *in, struct general *out);
void check_sse(const void *in, void *out);    /* 16 × 16 bytes */
void check_avx(const void *in, void *out);    /* 16 × 32 bytes */
double check_x87(double a, double b, uint16_t *control);
uint64_t leaf(uint64_t n);

__asm__(
    ".text\n"
    ".macro function name\n.globl \\name\n.type \\name, @function\n.p2align 4\n\\name:\n.endm\n"
    ".macro done name\n.size \\name, . - \\name\n.endm\n"
    "function touched\n nop\n push %rbp\n mov %rsp, %rbp\n pushf\n popf\n jmp 1f\n1: pop %rbp\n ret\ndone touched\n"

    /* For a handler to call: leaves no register and no flag as it was, where the convention lets it or not. */
    "function scramble\n"
    " mov $-1, %rax\n movq %rax, %xmm0\n"
    " .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n  pshufd $0, %xmm0, %xmm\\n\n .endr\n"
    " test %rdi, %rdi\n jz 1f\n vcmpps $15, %ymm0, %ymm0, %ymm0\n vmovaps %ymm0, %ymm7\n vmovaps %ymm0, %ymm15\n"
    "1: fninit\n fldpi\n fld1\n fldl2e\n movl $0x7f80, -4(%rsp)\n ldmxcsr -4(%rsp)\n"
    " .irp r, rbx,rcx,rdx,rsi,rdi,rbp,r8,r9,r10,r11,r12,r13,r14,r15\n  mov %rax, %\\r\n .endr\n"
    " std\n stc\n mov $77, %eax\n ret\ndone scramble\n"

    "function check_general\n"
    " push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n push %rsi\n"
    " push 120(%rdi)\n popf\n" /* the flags first: no instruction below changes them */
    " mov 0(%rdi), %rax\n mov 8(%rdi), %rbx\n mov 16(%rdi), %rcx\n mov 24(%rdi), %rdx\n mov 32(%rdi), %rsi\n"
    " mov 48(%rdi), %rbp\n mov 56(%rdi), %r8\n mov 64(%rdi), %r9\n mov 72(%rdi), %r10\n mov 80(%rdi), %r11\n"
    " mov 88(%rdi), %r12\n mov 96(%rdi), %r13\n mov 104(%rdi), %r14\n mov 112(%rdi), %r15\n mov 40(%rdi), %rdi\n"
    " call touched\n"
    " pushf\n push %rdi\n" /* [rsp] rdi, [rsp+8] flags, [rsp+16] out */
    " mov 16(%rsp), %rdi\n"
    " mov %rax, 0(%rdi)\n mov %rbx, 8(%rdi)\n mov %rcx, 16(%rdi)\n mov %rdx, 24(%rdi)\n mov %rsi, 32(%rdi)\n"
    " mov %rbp, 48(%rdi)\n mov %r8, 56(%rdi)\n mov %r9, 64(%rdi)\n mov %r10, 72(%rdi)\n mov %r11, 80(%rdi)\n"
    " mov %r12, 88(%rdi)\n mov %r13, 96(%rdi)\n mov %r14, 104(%rdi)\n mov %r15, 112(%rdi)\n"
    " pop %rax\n mov %rax, 40(%rdi)\n pop %rax\n mov %rax, 120(%rdi)\n"
    " cld\n pop %rsi\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\ndone check_general\n"

    ".macro each move, register, stride, base\n"
    " .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"
    "  .ifc \\move, load\n   vector_\\register \\n, (\\n * \\stride), \\base, 1\n"
    "  .else\n   vector_\\register \\n, (\\n * \\stride), \\base, 0\n  .endif\n .endr\n.endm\n"
    ".macro vector_xmm n, offset, base, isLoad\n .if \\isLoad\n movdqu \\offset(\\base), %xmm\\n\n"
    " .else\n movdqu %xmm\\n, \\offset(\\base)\n .endif\n.endm\n"
    ".macro vector_ymm n, offset, base, isLoad\n .if \\isLoad\n vmovdqu \\offset(\\base), %ymm\\n\n"
    " .else\n vmovdqu %ymm\\n, \\offset(\\base)\n .endif\n.endm\n"
    "function check_sse\n push %rsi\n each load, xmm, 16, %rdi\n call touched\n pop %rsi\n"
    " each store, xmm, 16, %rsi\n ret\ndone check_sse\n"
    "function check_avx\n push %rsi\n each load, ymm, 32, %rdi\n call touched\n pop %rsi\n"
    " each store, ymm, 32, %rsi\n vzeroupper\n ret\ndone check_avx\n"

    /* a and b wait on the x87 stack, with a control word of our own (24-bit precision), while touched() runs. */
    "function check_x87\n sub $24, %rsp\n movsd %xmm0, (%rsp)\n movsd %xmm1, 8(%rsp)\n mov %rdi, 16(%rsp)\n"
    " fldl (%rsp)\n fldl 8(%rsp)\n fnstcw (%rsp)\n andw $0xfcff, (%rsp)\n fldcw (%rsp)\n"
    " sub $8, %rsp\n call touched\n add $8, %rsp\n"
    " mov 16(%rsp), %rdi\n fnstcw (%rdi)\n fmulp\n fstpl (%rsp)\n movsd (%rsp), %xmm0\n"
    " movw $0x37f, (%rsp)\n fldcw (%rsp)\n add $24, %rsp\n ret\ndone check_x87\n"

    "function leaf\n"
    " mov %rdi, -8(%rsp)\n lea 1(%rdi), %rax\n mov %rax, -64(%rsp)\n lea 2(%rdi), %rax\n mov %rax, -128(%rsp)\n"
    " nop\n xor %eax, %eax\n add -8(%rsp), %rax\n add -64(%rsp), %rax\n add -128(%rsp), %rax\n ret\ndone leaf\n");

static uint64_t state = 0x9e3779b97f4a7c15;

static uint64_t nextPattern(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state ^ (state >> 29);
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 200, general = 0, vector = 0, x87 = 0, redZone = 0;
    /*                      OF        DF        SF       ZF       AF       PF       CF */
    const uint64_t mayVary = 1 << 11 | 1 << 10 | 1 << 7 | 1 << 6 | 1 << 4 | 1 << 2 | 1;
    const uint64_t alwaysOn = 1 << 1 | 1 << 9; /* the reserved bit, and IF */
    for (long round = 0; round < rounds; round++) {
        struct general in, out;
        uint64_t *words = (uint64_t *)&in;
        for (size_t i = 0; i < sizeof in / 8; i++) words[i] = nextPattern();
        in.flags = (in.flags & mayVary) | alwaysOn;
        memset(&out, 0, sizeof out);
        check_general(&in, &out);
        if (memcmp(&in, &out, sizeof in) == 0) general++;
        else for (size_t i = 0; i < sizeof in / 8; i++) {
            uint64_t got = ((uint64_t *)&out)[i];
            if (got != words[i]) printf("WRONG: word %zu is %#lx, was %#lx\n", i, got, words[i]);
        }

        uint64_t before[64], after[64];
        for (int i = 0; i < 64; i++) before[i] = nextPattern();
        memset(after, 0, sizeof after);
        check_sse(before, after);
        int right = memcmp(before, after, 256) == 0;
        if (__builtin_cpu_supports("avx")) {
            memset(after, 0, sizeof after);
            check_avx(before, after);
            right = right && memcmp(before, after, 512) == 0;
        }
        vector += right;

        uint16_t control = 0;
        x87 += check_x87((double)round, 3.0, &control) == 3.0 * (double)round && (control & 0x300) == 0;
        redZone += leaf((uint64_t)round) == 3 * (uint64_t)round + 3;
    }
    int right = general == rounds && vector == rounds && x87 == rounds && redZone == rounds;
    printf("general %ld\nvector %ld\nx87 %ld\nred zone %ld\n%s\n", general, vector, x87, redZone, right ? "OK" : "WRONG");
    return right ? 0 : 1;
}
