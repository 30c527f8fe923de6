/*
 * Runs a program by single steps and counts how often each instruction of some address ranges is executed, which
 * is what probes there have to come to: stepcount FILE start|SIGNAL RANGES PROGRAM [ARGUMENT...]
 *
 * RANGES is MODULE@START-END,START-END,MODULE@START-END...: hexadecimal offsets from the start of modules, whose
 * names are the ends of their paths, in the order of memory. Counting begins with the program's first instruction,
 * or when SIGNAL (a number) comes to it; the modules have to be there then. A repeated string instruction counts
 * once. Writes `MODULE@OFFSET COUNT` lines to FILE; the program's output is its own, and so is the end status.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RANGES_MAX = 65536 };
static struct { const char *module; uint64_t base, start, end; uint32_t *counts; } ranges[RANGES_MAX];
static int rangeCount;

/* Where a module (the end of a path) starts in the memory of a process. */
static uint64_t findBase(pid_t pid, const char *module)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "r");
    uint64_t base = 0;
    while (maps != NULL && base == 0 && fgets(line, sizeof line, maps) != NULL) {
        line[strcspn(line, "\n")] = 0;
        size_t size = strlen(line), wanted = strlen(module);
        if (size > wanted && strcmp(line + size - wanted, module) == 0) base = strtoull(line, NULL, 16);
    }
    if (maps != NULL) fclose(maps);
    return base;
}

/* They have to be sorted, as the modules are in memory. */
static void parseRanges(pid_t pid, char *text)
{
    char *nextPart, *module = text;
    for (char *part = strtok_r(text, ",", &nextPart); part != NULL; part = strtok_r(NULL, ",", &nextPart)) {
        char *end, *at = strchr(part, '@');
        if (at != NULL) {
            *at = 0;
            module = part;
            part = at + 1;
        }
        if (rangeCount == RANGES_MAX) exit(4);
        uint64_t base = findBase(pid, module);
        ranges[rangeCount].module = module;
        ranges[rangeCount].base = base;
        ranges[rangeCount].start = base + strtoull(part, &end, 16);
        ranges[rangeCount].end = base + strtoull(end + 1, NULL, 16);
        ranges[rangeCount].counts = calloc(ranges[rangeCount].end - ranges[rangeCount].start, sizeof(uint32_t));
        rangeCount++;
    }
}

static void count(uint64_t pc)
{
    static int last;
    if (pc < ranges[last].start || pc >= ranges[last].end) {
        int low = 0, high = rangeCount - 1;
        while (low < high) {
            int middle = (low + high + 1) / 2;
            if (ranges[middle].start <= pc) low = middle;
            else high = middle - 1;
        }
        last = low;
        if (pc < ranges[low].start || pc >= ranges[low].end) return;
    }
    ranges[last].counts[pc - ranges[last].start]++;
}

int main(int argc, char **argv)
{
    if (argc < 5) return 2;
    int from = strcmp(argv[2], "start") == 0 ? 0 : atoi(argv[2]);
    /* On one processor a step costs a fraction. */
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    sched_setaffinity(0, sizeof here, &here);
    pid_t child = fork();
    if (child == 0) {
        personality(ADDR_NO_RANDOMIZE);
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        execvp(argv[4], argv + 4);
        _exit(127);
    }
    int status = 0, stepping = from == 0;
    uint64_t before = 0;
    waitpid(child, &status, 0);
    if (stepping) parseRanges(child, argv[3]);
    for (int signal = 0; !WIFEXITED(status) && !WIFSIGNALED(status);) {
        if (stepping && signal == 0) {
            struct user_regs_struct registers;
            ptrace(PTRACE_GETREGS, child, 0, &registers);
            /* The same place twice in a row is a repeat that goes on: nothing here jumps to itself. */
            if (registers.rip != before) count(registers.rip);
            before = registers.rip;
        }
        ptrace(stepping ? PTRACE_SINGLESTEP : PTRACE_CONT, child, 0, signal);
        waitpid(child, &status, 0);
        signal = WIFSTOPPED(status) && WSTOPSIG(status) != SIGTRAP ? WSTOPSIG(status) : 0;
        if (signal != from || signal == 0) continue;
        stepping = 1;
        parseRanges(child, argv[3]);
    }
    FILE *file = fopen(argv[1], "w");
    if (file == NULL) return 3;
    for (int i = 0; i < rangeCount; i++)
        for (uint64_t at = 0; at < ranges[i].end - ranges[i].start; at++)
            if (ranges[i].counts[at] != 0) 
                fprintf(file, "%s@%lx %u\n", ranges[i].module, ranges[i].start - ranges[i].base + at, ranges[i].counts[at]);
    fclose(file);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
