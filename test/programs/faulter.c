/*
 * Instructions that fault, checked for what their signal handler is told: signal, si_addr, and the pc in the
 * context. The handler then mends the cause and returns, so that the instruction runs again. Assembly, so that
 * the faulting instruction is known; each without an offset faults at its first one:
 *
 *   load_at          mov (%rdi),%rax          SIGSEGV at a page without rights, and at a non-canonical address
 *   store_relative+0 movl $1,guarded(%rip)    SIGSEGV at a read-only page
 *   divide+5         idiv %rsi                SIGFPE by a zero divisor          (mov is 3 bytes, cqo 2)
 *   call_through+4   call *(%rdi)             SIGSEGV reading the pointer       (sub is 4 bytes)
 *   jump_to          jmp *%rdi                SIGSEGV at the target, where the pc then is
 *   push_at+6        push %rdi                SIGSEGV on a stack without rights (handler on its own stack)
 *   call_at+6        call landing             SIGSEGV pushing the return address on such a stack
 *   illegal          ud2                      SIGILL; the handler steps over it
 *
 * Ten rounds. Prints `NAME 10` for each (load_at 20: it has two cases), counting what came out right, then `ok`.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

long load_at(const long *address);
void store_relative(void);
long divide(long dividend, long divisor);
long call_through(long (**function)(void));
long jump_to(const void *target);
long push_at(long value, void *stackTop);
long call_at(void *stackTop);
long illegal(void);
long landing(void);
extern char push_at_push[], call_at_call[];

__asm__(".text\n"
        ".macro function name\n.globl \\name\n.type \\name, @function\n.p2align 4\n\\name:\n.endm\n"
        ".macro done name\n.size \\name, . - \\name\n.endm\n"
        "function load_at\n mov (%rdi), %rax\n ret\ndone load_at\n"
        "function store_relative\n movl $1, guarded(%rip)\n ret\ndone store_relative\n"
        "function divide\n mov %rdi, %rax\n cqo\n idiv %rsi\n ret\ndone divide\n"
        "function call_through\n sub $8, %rsp\n call *(%rdi)\n add $8, %rsp\n ret\ndone call_through\n"
        "function jump_to\n jmp *%rdi\ndone jump_to\n"
        "function push_at\n mov %rsp, %rdx\n mov %rsi, %rsp\npush_at_push: push %rdi\n pop %rax\n mov %rdx, %rsp\n ret\ndone push_at\n"
        "function call_at\n mov %rsp, %rdx\n mov %rdi, %rsp\ncall_at_call: call landing\n mov %rdx, %rsp\n ret\ndone call_at\n"
        "function illegal\n ud2\n mov $7, %eax\n ret\ndone illegal\n"
        "function landing\n mov $9, %eax\n ret\ndone landing\n");

enum { PAGE = 4096, ROUNDS = 10 };

int guarded[PAGE / sizeof(int)] __attribute__((aligned(PAGE)));
static long good = 5;
static long (*goodFunction)(void) = landing;

/* What the next fault has to look like, and how to mend it. */
static struct {
    int signal;
    uintptr_t address, pc;
    void *page;      /* give it read and write rights, unless NULL */
    int registerIndex; /* set this register to value, unless -1 */
    uintptr_t value;
} expected;
static volatile int faults, wrongFaults;

static void handle(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uintptr_t pc = (uintptr_t)registers[REG_RIP];
    faults++;
    if (signal != expected.signal || (uintptr_t)info->si_addr != expected.address || pc != expected.pc) {
        wrongFaults++;
        printf("WRONG: signal %d si_addr %p pc %#lx, expected %d %#lx %#lx\n", signal, info->si_addr, pc,
               expected.signal, expected.address, expected.pc);
        if (wrongFaults > 20) _Exit(1);
    }
    if (expected.page != NULL) mprotect(expected.page, PAGE, PROT_READ | PROT_WRITE);
    if (expected.registerIndex >= 0) registers[expected.registerIndex] = (greg_t)expected.value;
}

static void expect(int signal, uintptr_t address, uintptr_t pc, void *page, int registerIndex, uintptr_t value)
{
    expected.signal = signal;
    expected.address = address;
    expected.pc = pc;
    expected.page = page;
    expected.registerIndex = registerIndex;
    expected.value = value;
}

static const char *const names[] = { "load_at", "store_relative", "divide", "call_through", "jump_to", "push_at", "call_at", "illegal" };
enum { NAMES = sizeof names / sizeof names[0] };
static int rights[NAMES], wrong;

/* One faulted exactly once, and then gave the right result. */
static void check(const char *name, int right)
{
    if (right && faults == 1) {
        for (int i = 0; i < NAMES; i++) rights[i] += strcmp(name, names[i]) == 0;
    } else {
        printf("WRONG: %s, %d faults\n", name, faults);
        wrong++;
    }
    faults = 0;
}

int main(void)
{
    static char signalStack[64 * 1024];
    sigaltstack(&(stack_t){ .ss_sp = signalStack, .ss_size = sizeof signalStack }, NULL);
    struct sigaction action = { .sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    long *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return 2;

    for (int round = 0; round < ROUNDS; round++) {
        page[3] = 1000 + round;
        mprotect(page, PAGE, PROT_NONE);
        expect(SIGSEGV, (uintptr_t)&page[3], (uintptr_t)load_at, page, -1, 0);
        check("load_at", load_at(&page[3]) == 1000 + round);

        /* A non-canonical address: a general protection fault, for which si_addr is 0. */
        expect(SIGSEGV, 0, (uintptr_t)load_at, NULL, REG_RDI, (uintptr_t)&good);
        check("load_at", load_at((const long *)0x8000000000000000) == 5);

        guarded[0] = 0;
        mprotect(guarded, PAGE, PROT_READ);
        expect(SIGSEGV, (uintptr_t)guarded, (uintptr_t)store_relative, guarded, -1, 0);
        store_relative();
        check("store_relative", ((volatile int *)guarded)[0] == 1);

        uintptr_t idiv = (uintptr_t)divide + 5;
        expect(SIGFPE, idiv, idiv, NULL, REG_RSI, 4);
        check("divide", divide(42, 0) == 10);

        expect(SIGSEGV, 0x10, (uintptr_t)call_through + 4, NULL, REG_RDI, (uintptr_t)&goodFunction);
        check("call_through", call_through((long (**)(void))0x10) == 9);

        expect(SIGSEGV, 0x20, 0x20, NULL, REG_RIP, (uintptr_t)landing);
        check("jump_to", jump_to((const void *)0x20) == 9);

        mprotect(page, PAGE, PROT_NONE);
        char *top = (char *)page + 512;
        expect(SIGSEGV, (uintptr_t)top - 8, (uintptr_t)push_at_push, page, -1, 0);
        check("push_at", push_at(77 + round, top) == 77 + round);

        mprotect(page, PAGE, PROT_NONE);
        expect(SIGSEGV, (uintptr_t)top - 8, (uintptr_t)call_at_call, page, -1, 0);
        check("call_at", call_at(top) == 9);

        expect(SIGILL, (uintptr_t)illegal, (uintptr_t)illegal, NULL, REG_RIP, (uintptr_t)illegal + 2);
        check("illegal", illegal() == 7);
    }
    for (int i = 0; i < NAMES; i++) printf("%s %d\n", names[i], rights[i]);
    printf("wrong faults %d\n%s\n", wrongFaults, wrong == 0 && wrongFaults == 0 ? "ok" : "WRONG");
    return wrong == 0 && wrongFaults == 0 ? 0 : 1;
}
