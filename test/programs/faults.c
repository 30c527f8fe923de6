/*
 * Faults of every kind, and handlers that do what handlers do with them: mend the cause and return, jump out of
 * the handler, walk the stack, look at everything that the kernel has put before them. Assembly, so that the
 * faulting instruction is known: each of these faults at its own first instruction, unless a number says where.
 *
 *   bus          mov (%rdi),%rax          SIGBUS behind the end of a truncated file
 *   protection   mov (%rdi),%rax          SIGSEGV, a non-canonical address
 *   halt         hlt                      SIGSEGV, privileged
 *   undefined    ud2                      SIGILL
 *   divided+3    div %rsi                 SIGFPE by zero                          (xor is 2 bytes, nop 1)
 *   vector       divsd, unmasked          SIGFPE by zero, in a vector register
 *   aligned      movaps (%rdi),%xmm0      SIGSEGV, not aligned
 *   repeated+2   rep movsb                SIGSEGV in the middle                   (mov is 2 bytes)
 *   jumper       mov (%rdi),%rax          SIGSEGV, left by siglongjmp
 *   overflow+N   push/call until the stack is at its end: SIGSEGV on a stack of its own, left by siglongjmp
 *
 * In each handler: signal, si_code, si_addr, pc and trap number are as expected, backtrace() finds the faulting
 * function and main, and no word of the signal stack is an address in executable memory that belongs to no file.
 *
 * Prints `NAME COUNT` for what came out right, then `ok`. faults [ROUNDS]
 */
#define _GNU_SOURCE
#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <xmmintrin.h>

long bus(const long *at);
long protection(const long *at);
long halt(void);
long undefined(void);
long divided(long dividend, long divisor);
double vector(double value, double by);
void aligned(const void *at);
long repeated(char *to, const char *from, long size);
long jumper(const long *at);
long overflow(void);
extern char divided_at[], repeated_at[], vector_at[];

__asm__(".text\n"
        ".macro function name\n.globl \\name\n.type \\name, @function\n.p2align 4\n\\name:\n.cfi_startproc\n.endm\n"
        ".macro done name\n.cfi_endproc\n.size \\name, . - \\name\n.endm\n"
        "function bus\n mov (%rdi), %rax\n ret\ndone bus\n"
        "function protection\n mov (%rdi), %rax\n ret\ndone protection\n"
        "function halt\n hlt\n mov $5, %eax\n ret\ndone halt\n"
        "function undefined\n ud2\n mov $7, %eax\n ret\ndone undefined\n"
        "function divided\n mov %rdi, %rax\n xor %edx, %edx\n nop\ndivided_at: div %rsi\n ret\ndone divided\n"
        "function vector\n nop\nvector_at: divsd %xmm1, %xmm0\n ret\ndone vector\n"
        "function aligned\n movaps (%rdi), %xmm0\n ret\ndone aligned\n"
        "function repeated\n mov %edx, %ecx\nrepeated_at: rep movsb\n mov %rcx, %rax\n ret\ndone repeated\n"
        "function jumper\n mov (%rdi), %rax\n ret\ndone jumper\n"
        "function overflow\n push %rdi\n.cfi_def_cfa_offset 16\n call overflow\n pop %rdi\n.cfi_def_cfa_offset 8\n ret\ndone overflow\n");

enum { PAGE = 4096, SIGNAL_STACK = 256 * 1024, FRAMES = 64, RANGES = 256 };

static char *signalStack;
static struct { uintptr_t start, end; } foreign[RANGES];
static int foreignCount;

static struct {
    int signal, code;
    uintptr_t address, pc, pcEnd;
    void *page;
    int registerIndex;
    uintptr_t value;
    int jumps, clearsMxcsr;
    const char *name;
} expected;
static volatile int faults, wrong;
static sigjmp_buf out;

/* Executable memory that is of no file: nothing in this program has any. */
static void readForeign(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    foreignCount = 0;
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL && foreignCount < RANGES) {
        unsigned long start, end;
        char rights[8], path[256] = "";
        if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %255s", &start, &end, rights, path) < 3) continue;
        if (rights[2] != 'x' || path[0] != 0) continue;
        foreign[foreignCount].start = start;
        foreign[foreignCount++].end = end;
    }
    if (maps != NULL) fclose(maps);
}

static void complain(const char *what, uintptr_t value)
{
    wrong++;
    printf("WRONG %s: %s %#lx\n", expected.name, what, value);
    if (wrong > 20) _exit(3);
}

static void searchStack(void)
{
    for (char *at = signalStack; at < signalStack + SIGNAL_STACK; at += 4) {
        uintptr_t word;
        memcpy(&word, at, sizeof word);
        for (int i = 0; i < foreignCount; i++)
            if (word >= foreign[i].start && word < foreign[i].end) complain("on the signal stack", word);
    }
}

static void handle(int signal, siginfo_t *info, void *context)
{
    ucontext_t *user = context;
    greg_t *registers = user->uc_mcontext.gregs;
    uintptr_t pc = (uintptr_t)registers[REG_RIP];
    faults++;
    if (signal != expected.signal) complain("signal", (uintptr_t)signal);
    if (info->si_signo != signal) complain("si_signo", (uintptr_t)info->si_signo);
    if (info->si_code != expected.code) complain("si_code", (uintptr_t)info->si_code);
    if (expected.address != 1 && (uintptr_t)info->si_addr != expected.address) complain("si_addr", (uintptr_t)info->si_addr);
    if (pc < expected.pc || pc >= expected.pcEnd) complain("pc", pc);
    searchStack();
    void *frames[FRAMES];
    int count = expected.jumps == 2 ? 0 : backtrace(frames, FRAMES), found = expected.jumps == 2;
    for (int i = 0; i < count; i++) found |= (uintptr_t)frames[i] == pc;
    if (!found) complain("not in the backtrace", pc);
    if (expected.jumps) siglongjmp(out, 1);
    if (expected.page != NULL) mprotect(expected.page, PAGE, PROT_READ | PROT_WRITE);
    if (expected.registerIndex >= 0) registers[expected.registerIndex] = (greg_t)expected.value;
    if (expected.clearsMxcsr) user->uc_mcontext.fpregs->mxcsr = 0x1f80;
}

static void expect(const char *name, int signal, int code, uintptr_t address, const void *pc, int registerIndex, uintptr_t value)
{
    memset(&expected, 0, sizeof expected);
    expected.name = name;
    expected.signal = signal;
    expected.code = code;
    expected.address = address;
    expected.pc = (uintptr_t)pc;
    expected.pcEnd = expected.pc + 1;
    expected.registerIndex = registerIndex;
    expected.value = value;
    faults = 0;
}

static long rounds;
static const char *names[16];
static long rights[16];

static void check(int right)
{
    int at = 0;
    while (names[at] != NULL && strcmp(names[at], expected.name) != 0) at++;
    names[at] = expected.name;
    rights[at] += right && faults == 1;
    if (!right || faults != 1) complain("result, faults", (uintptr_t)faults);
}

static void runRound(long *page, int truncated)
{
    static long good = 5;
    static const float fine[4] __attribute__((aligned(16)));
    static char from[2 * PAGE] __attribute__((aligned(4096))), to[2 * PAGE] __attribute__((aligned(4096)));

    long *behind = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, truncated, 0);
    expect("bus", SIGBUS, BUS_ADRERR, (uintptr_t)behind, bus, REG_RDI, (uintptr_t)&good);
    check(bus(behind) == 5);
    munmap(behind, PAGE);

    expect("protection", SIGSEGV, SI_KERNEL, 0, protection, REG_RDI, (uintptr_t)&good);
    check(protection((const long *)0x8000000000000000) == 5);

    expect("halt", SIGSEGV, SI_KERNEL, 0, halt, REG_RIP, (uintptr_t)halt + 1);
    check(halt() == 5);

    expect("undefined", SIGILL, ILL_ILLOPN, (uintptr_t)undefined, undefined, REG_RIP, (uintptr_t)undefined + 2);
    check(undefined() == 7);

    expect("divided", SIGFPE, FPE_INTDIV, (uintptr_t)divided_at, divided_at, REG_RSI, 4);
    check(divided(42, 0) == 10);

    expect("vector", SIGFPE, FPE_FLTDIV, (uintptr_t)vector_at, vector_at, -1, 0);
    expected.clearsMxcsr = 1;
    _mm_setcsr(0x1f80 & ~_MM_MASK_DIV_ZERO);
    double infinite = vector(1, 0);
    _mm_setcsr(0x1f80);
    check(infinite > 1e300);

    expect("aligned", SIGSEGV, SI_KERNEL, 0, aligned, REG_RDI, (uintptr_t)fine);
    aligned((const char *)fine + 4);
    check(1);

    for (int i = 0; i < 2 * PAGE; i++) from[i] = (char)(i * 7);
    memset(to, 0, sizeof to);
    mprotect(to + PAGE, PAGE, PROT_READ);
    expect("repeated", SIGSEGV, SEGV_ACCERR, (uintptr_t)to + PAGE, repeated_at, -1, 0);
    expected.page = to + PAGE;
    check(repeated(to + 100, from + 100, 2 * PAGE - 200) == 0 && memcmp(to + 100, from + 100, 2 * PAGE - 200) == 0);

    mprotect(page, PAGE, PROT_NONE);
    expect("jumper", SIGSEGV, SEGV_ACCERR, (uintptr_t)page, jumper, -1, 0);
    expected.jumps = 1;
    if (sigsetjmp(out, 1) == 0) jumper(page);
    check(1);
    mprotect(page, PAGE, PROT_READ | PROT_WRITE);
}

/* Runs on a small stack with nothing below it. */
static ucontext_t back, deep;
static void dive(void)
{
    if (sigsetjmp(out, 1) == 0) overflow();
    check(1);
}

static void overflowOnce(char *stack)
{
    expect("overflow", SIGSEGV, SEGV_ACCERR, 1, overflow, -1, 0);
    expected.pcEnd = expected.pc + 6;
    expected.jumps = 2;
    getcontext(&deep);
    deep.uc_stack.ss_sp = stack + PAGE;
    deep.uc_stack.ss_size = 2 * PAGE;
    deep.uc_link = &back;
    makecontext(&deep, dive, 0);
    swapcontext(&back, &deep);
}

int main(int argc, char **argv)
{
    rounds = argc > 1 ? atol(argv[1]) : 5;
    int truncated = (int)syscall(319 /* memfd_create */, "truncated", 0);
    signalStack = mmap(NULL, SIGNAL_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *stack = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(stack, PAGE, PROT_NONE);
    sigaltstack(&(stack_t){ .ss_sp = signalStack, .ss_size = SIGNAL_STACK }, NULL);
    struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    for (int signal = 1; signal <= SIGSEGV; signal++)
        if (signal == SIGSEGV || signal == SIGFPE || signal == SIGILL || signal == SIGBUS) sigaction(signal, &action, NULL);
    long *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *warm[2];
    backtrace(warm, 2); /* it loads a library the first time */
    for (long round = 0; round < rounds; round++) {
        readForeign();
        runRound(page, truncated);
        overflowOnce(stack);
    }
    for (int i = 0; names[i] != NULL; i++) printf("%s %ld\n", names[i], rights[i]);
    printf("wrong %d\n%s\n", wrong, wrong == 0 ? "ok" : "WRONG");
    return wrong != 0;
}
