/*
 * Coroutines by makecontext and swapcontext, with probed functions open on several stacks at once. Argument 1:
 *   interleave  two coroutines and main() take turns inside walk(), which is open three levels deep in each; they
 *               finish in different orders, round by round
 *   adjacent    the same, with both stacks in one piece of memory, the one used first lying below the other
 *   abandon     contexts that are left in the middle of walk() for good, their stacks freed and used again
 *   migrate     a coroutine that begins in one thread and ends in another
 * Prints `NAME entries` and `NAME returned returns` for each function that a probe may be put on, then `ok`.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define PROBED __attribute__((noipa, optimize("no-optimize-sibling-calls")))

enum { WALK, LEAF, BODY, FUNCTIONS };
static const char *const names[FUNCTIONS] = { "walk", "leaf", "body" };
static volatile long entries[FUNCTIONS], returns[FUNCTIONS];
static volatile long wrong;

#define ENTER(f) (entries[f]++)
#define LEAVE(f, value) do { long result = (value); returns[f]++; return result; } while (0)

enum { COROUTINES = 2, STACK_BYTES = 65536, LEVELS = 3 };

static ucontext_t home, contexts[COROUTINES];
static volatile long results[COROUTINES];
static volatile int current, finished[COROUTINES];

PROBED long leaf(long n)
{
    ENTER(LEAF);
    LEAVE(LEAF, n * 3);
}

/* Goes home once at each level, on the way down and on the way up. */
PROBED long walk(int id, long level, long yields)
{
    ENTER(WALK);
    for (long i = 0; i < yields; i++) {
        swapcontext(&contexts[id], &home);
        wrong += leaf(id + i) != 3 * (id + i);
    }
    long below = level == 0 ? 0 : walk(id, level - 1, yields);
    if (yields > 0) swapcontext(&contexts[id], &home);
    LEAVE(WALK, below + 10 + id);
}

PROBED void body(int id, int yields)
{
    ENTER(BODY);
    results[id] = walk(id, LEVELS - 1, yields);
    finished[id] = 1;
    returns[BODY]++;
}

static void start(int id, char *stack, int yields)
{
    getcontext(&contexts[id]);
    contexts[id].uc_stack.ss_sp = stack;
    contexts[id].uc_stack.ss_size = STACK_BYTES;
    contexts[id].uc_link = &home;
    finished[id] = 0;
    makecontext(&contexts[id], (void (*)(void))body, 2, id, yields);
}

static void run(int id)
{
    current = id;
    swapcontext(&home, &contexts[id]);
}

static void interleave(char *first, char *second)
{
    for (int round = 0; round < 10; round++) {
        start(0, first, round % 3);
        start(1, second, (round + 1) % 3);
        while (!finished[0] || !finished[1]) {
            int order = round % 2;
            if (!finished[order]) run(order);
            wrong += walk(0, 1, 0) != 20;
            if (!finished[1 - order]) run(1 - order);
        }
        wrong += results[0] != LEVELS * 10 || results[1] != LEVELS * 11;
    }
}

static void leave_behind(void)
{
    for (int round = 0; round < 50; round++) {
        char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        start(0, stack, 1);
        for (int turn = 0; turn <= round % 5; turn++) run(0);
        wrong += finished[0];
        /* Every third stack is used again at once, the others are gone. */
        if (round % 3 == 0) {
            start(0, stack, 0);
            run(0);
            wrong += !finished[0];
        }
        munmap(stack, STACK_BYTES);
    }
}

static void *resume(void *unused)
{
    (void)unused;
    while (!finished[0]) run(0);
    return NULL;
}

static void migrate(char *stack)
{
    for (int round = 0; round < 5; round++) {
        start(0, stack, 2);
        for (int turn = 0; turn < 3; turn++) run(0);
        pthread_t thread;
        pthread_create(&thread, NULL, resume, NULL);
        pthread_join(thread, NULL);
        wrong += results[0] != LEVELS * 10;
    }
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "interleave";
    char *both = malloc(2 * STACK_BYTES);
    static char still[STACK_BYTES];
    if (strcmp(mode, "interleave") == 0) interleave(both, still);
    else if (strcmp(mode, "adjacent") == 0) interleave(both, both + STACK_BYTES);
    else if (strcmp(mode, "abandon") == 0) leave_behind();
    else migrate(both);
    free(both);
    for (int i = 0; i < FUNCTIONS; i++) printf("%s %ld\n%s returned %ld\n", names[i], entries[i], names[i], returns[i]);
    puts(wrong == 0 ? "ok" : "WRONG");
    return wrong == 0 ? 0 : 1;
}
