/*
 * A program that steps itself: it sets the trap flag with popf, and its SIGTRAP handler is called after each
 * instruction, as a debugger or an emulator of its own would have it. How many there are, and at which places in
 * stepped(), must not depend on probes.
 *
 * ownstep [ROUNDS]: prints `steps N`, `places HASH`, `odd N` (traps that no step raises), `result N`, `ok`.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

long stepped(long n, const char *text, char *copy);
long callee(long n);
extern char stepped_end[];

__asm__(".text\n.globl stepped, stepped_end, callee\n.type stepped, @function\n.type callee, @function\n.p2align 4\n"
        "callee:\n push %rbx\n lea 3(%rdi), %rbx\n mov %rbx, %rax\n pop %rbx\n ret\n.size callee, . - callee\n.p2align 4\n"
        "stepped:\n push %rbx\n push %r12\n mov %rdi, %rbx\n mov %rdx, %r12\n"
        " pushf\n orq $0x100, (%rsp)\n popf\n"
        " nop\n mov %rbx, %rdi\n call callee\n mov %rax, %rbx\n"
        " mov %r12, %rdi\n mov $20, %ecx\n cld\n rep movsb\n"
        " mov $3, %ecx\n1: add %rcx, %rbx\n dec %ecx\n jnz 1b\n"
        " mov $39, %eax\n syscall\n test %rax, %rax\n jle 2f\n inc %rbx\n2:\n"
        " lea callee(%rip), %rax\n mov %rbx, %rdi\n call *%rax\n mov %rax, %rbx\n"
        " lea 3f(%rip), %rax\n jmp *%rax\n nop\n3: pushf\n pop %rax\n and $0x100, %eax\n add %rax, %rbx\n"
        " xor %ecx, %ecx\n jrcxz 4f\n inc %rbx\n4:\n"
        " pushf\n andq $~0x100, (%rsp)\n popf\n nop\n"
        " mov %rbx, %rax\n pop %r12\n pop %rbx\n ret\nstepped_end:\n.size stepped, . - stepped\n");

static volatile long steps, odd;
static volatile unsigned long places;

static void onTrap(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    uintptr_t pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    steps++;
    if (info->si_code != TRAP_TRACE && info->si_code != TRAP_BRKPT && info->si_code != TRAP_HWBKPT) odd++;
    if ((uintptr_t)info->si_addr != pc) odd++;
    places = places * 31 + (pc - (uintptr_t)callee);
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 10, result = 0;
    struct sigaction action = { .sa_sigaction = onTrap, .sa_flags = SA_SIGINFO | SA_NODEFER };
    sigaction(SIGTRAP, &action, NULL);
    char copy[32];
    for (long n = 0; n < rounds; n++) result += stepped(n, "twenty-one characters", copy);
    printf("steps %ld\nplaces %lx\nodd %ld\nresult %ld\nok\n", steps, places, odd, result);
    return 0;
}
