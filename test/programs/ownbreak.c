/*
 * Breakpoints of the program's own, without its usual handler: ownbreak default|ignored|written [ROUNDS]
 *
 *   default   an int3 in its text and no handler: killed by SIGTRAP
 *   ignored   SIGTRAP is ignored: raise() does nothing, the int3 kills all the same
 *   written   a debugger of its own: it writes an int3 over the first byte of victim(), whose page it shares with
 *             neighbour(), calls both, and its handler puts the byte back and returns there
 *
 * Prints `raised ok`, or `written ROUNDS`, `ok`.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

long victim(long n);
long neighbour(long n);
long trapper(long n);
__asm__(".text\n.globl victim, neighbour, trapper\n.p2align 12\n"
        ".type neighbour, @function\nneighbour:\n lea 1(%rdi), %rax\n push %rax\n pop %rcx\n nop\n mov %rcx, %rax\n ret\n.size neighbour, . - neighbour\n"
        ".type victim, @function\nvictim:\n lea 2(%rdi), %rax\n ret\n.size victim, . - victim\n"
        ".type trapper, @function\ntrapper:\n mov %rdi, %rax\n int3\n ret\n.size trapper, . - trapper\n");

static volatile unsigned char original;
static volatile long traps, odd;

static void onTrap(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (info->si_code != SI_KERNEL || registers[REG_RIP] != (greg_t)(uintptr_t)victim + 1) odd++;
    *(volatile unsigned char *)victim = original;
    registers[REG_RIP]--;
    traps++;
}

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "written";
    long rounds = argc > 2 ? atol(argv[2]) : 50, wrong = 0;
    setvbuf(stdout, NULL, _IONBF, 0);
    for (long n = 0; n < 5; n++) wrong += neighbour(n) != n + 1;
    if (strcmp(kind, "ignored") == 0) {
        signal(SIGTRAP, SIG_IGN);
        raise(SIGTRAP);
        puts("raised ok");
    }
    if (strcmp(kind, "written") != 0) return (int)trapper(rounds) + (wrong != 0);
    struct sigaction action = { .sa_sigaction = onTrap, .sa_flags = SA_SIGINFO };
    sigaction(SIGTRAP, &action, NULL);
    mprotect((void *)((uintptr_t)victim & ~4095ul), 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
    original = *(volatile unsigned char *)victim;
    for (long n = 0; n < rounds; n++) {
        *(volatile unsigned char *)victim = 0xcc;
        wrong += victim(n) != n + 2;
        wrong += neighbour(n) != n + 1;
    }
    printf("written %ld\n%s\n", traps, wrong == 0 && odd == 0 && traps == rounds ? "ok" : "WRONG");
    return wrong != 0 || odd != 0;
}
