/*
 * What bad input is tried on: functions with instructions of every kind, data, and a wait for lines. Prints its
 * own count of calls after each line, so that it can be seen to go on.
 */
#include <stdio.h>

volatile long data_word = 0x1234567890abcdef;
static volatile long sink;

/* Starts with an instruction of ten bytes. */
__attribute__((naked, noipa)) void long_instruction(void)
{
    __asm__("movabs $0x1122334455667788, %rax\n\tnop\n\tret");
}

/* mov ss holds off the trap of the instruction behind it. */
__attribute__((naked, noipa)) void moves_ss(void)
{
    __asm__("mov %ss, %eax\n\t.globl the_mov_ss\n\t.type the_mov_ss, @function\nthe_mov_ss:\n\tmov %eax, %ss\n\tnop\n\tret");
}

__attribute__((noipa)) long work(long n) { return sink = n + 1; }

int main(void)
{
    char line[64];
    long calls = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    while (fgets(line, sizeof line, stdin) != NULL) {
        work(calls++);
        long_instruction();
        moves_ss();
        printf("called %ld\n", calls);
    }
    return 0;
}
