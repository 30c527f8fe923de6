/*
 * The floor that bench/trap.ts holds Trapline's trap tier against: the same system calls, in C, with nothing else.
 *
 *   ptrace-loop PID FUNCTION FIRST ROOM empty|args CPU      numbers of any base; CPU -1: not pinned
 *
 * Seizes PID, puts an int3 on FUNCTION, whose first instruction has FIRST bytes and can run anywhere, and a
 * boosted copy of it (the instruction, then a jump to the one after it) at ROOM. Each hit is waitpid,
 * PTRACE_GETREGS, PTRACE_POKEUSER rip, PTRACE_CONT; `args` also reads the first two arguments and, by one
 * pread of /proc/PID/mem, 64 bytes at the first. Runs until PID ends and prints:
 *
 *   hits=22000 sum=... strings=22000          sum of second arguments, strings of the expected size
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
    fprintf(stderr, "ptrace-loop: %s: %s\n", what, strerror(errno));
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: ptrace-loop PID FUNCTION FIRST ROOM empty|args CPU\n");
        return 2;
    }
    pid_t pid = atoi(argv[1]);
    uint64_t site = strtoull(argv[2], NULL, 0), room = strtoull(argv[4], NULL, 0);
    size_t firstBytes = strtoul(argv[3], NULL, 0);
    int readsArgs = strcmp(argv[5], "args") == 0, cpu = atoi(argv[6]);

    if (cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        if (sched_setaffinity(0, sizeof set, &set) != 0) fail("sched_setaffinity");
    }
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int memory = open(path, O_RDWR | O_CLOEXEC);
    if (memory < 0) fail(path);

    int status;
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) != 0) fail("PTRACE_SEIZE");
    if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) != 0) fail("PTRACE_INTERRUPT");
    if (waitpid(pid, &status, __WALL) != pid) fail("waitpid");

    uint8_t slot[32];
    if (firstBytes > sizeof slot - 5) return 2;
    if (pread(memory, slot, firstBytes, (off_t)site) != (ssize_t)firstBytes) fail("read the instruction");
    int32_t back = (int32_t)(site + firstBytes - (room + firstBytes + 5));
    slot[firstBytes] = 0xe9; /* jmp rel32 */
    memcpy(slot + firstBytes + 1, &back, 4);
    if (pwrite(memory, slot, firstBytes + 5, (off_t)room) != (ssize_t)firstBytes + 5) fail("write the slot");
    if (pwrite(memory, "\xcc", 1, (off_t)site) != 1) fail("write int3");
    if (ptrace(PTRACE_CONT, pid, 0, 0) != 0) fail("PTRACE_CONT");

    uint64_t hits = 0, sum = 0, strings = 0;
    for (;;) {
        struct user_regs_struct regs;
        char text[64];
        pid_t tid = waitpid(-1, &status, __WALL | __WNOTHREAD);
        if (tid < 0) fail("waitpid");
        if (!WIFSTOPPED(status)) break;
        if (WSTOPSIG(status) != SIGTRAP || status >> 16 != 0) {
            ptrace(PTRACE_CONT, tid, 0, status >> 16 != 0 ? 0 : WSTOPSIG(status));
            continue;
        }
        if (ptrace(PTRACE_GETREGS, tid, 0, &regs) != 0) fail("PTRACE_GETREGS");
        if (regs.rip - 1 != site) {
            ptrace(PTRACE_CONT, tid, 0, SIGTRAP);
            continue;
        }
        hits++;
        if (readsArgs) {
            sum += regs.rsi;
            ssize_t got = pread(memory, text, sizeof text, (off_t)regs.rdi);
            if (got > 0 && strnlen(text, (size_t)got) == 43) strings++;
        }
        if (ptrace(PTRACE_POKEUSER, tid, offsetof(struct user, regs.rip), room) != 0) fail("PTRACE_POKEUSER");
        if (ptrace(PTRACE_CONT, tid, 0, 0) != 0) fail("PTRACE_CONT");
    }
    printf("hits=%lu sum=%lu strings=%lu\n", hits, sum, strings);
    return 0;
}
