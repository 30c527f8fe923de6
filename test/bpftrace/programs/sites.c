/*
 * A target for the comparison with bpftrace: USDT sites, a chain of calls with frame pointers, a
 * handler of signals, texts in a row, and a function that comes last. Prints nothing, and stays
 * until its tracer ends it, since bpftrace looks for the names of a stack while it prints. All that
 * probes look at is touched first: bpftrace sees nothing in a page that has not been.
 */

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

__asm__(".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"
        ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n"
        ".size _.stapsdt.base,1\n.popsection\n");

#define NOTE(provider, name, args)                                                                 \
  "990: nop\n.pushsection .note.stapsdt,\"\",\"note\"\n.balign 4\n"                                \
  ".4byte 992f-991f,994f-993f,3\n991: .asciz \"stapsdt\"\n992: .balign 4\n"                        \
  "993: .8byte 990b\n.8byte _.stapsdt.base\n.8byte 0\n"                                            \
  ".asciz \"" provider "\"\n.asciz \"" name "\"\n.asciz \"" args "\"\n994: .balign 4\n.popsection\n"

#define NOINLINE __attribute__((noinline, noclone))

static char alpha[] = "alpha", beta[] = "beta", gamma_[] = "gamma";
static char *words[] = {alpha, beta, gamma_, NULL};
static uint64_t row[] = {1, 1ULL << 40, UINT64_MAX};

NOINLINE void site(int round, long wide, const char *text) {
  signed char small = (signed char)-round;
  unsigned short middle = (unsigned short)(60000 + round);
  __asm__ volatile(NOTE("trial", "first", "-4@%0 8@%1 8@%2 -1@%3 2@%4 4@$77")
                   :
                   : "r"(round), "m"(wide), "r"(text), "q"(small), "r"(middle));
  if (round % 2 == 0) __asm__ volatile(NOTE("trial", "second", "-4@%0") : : "r"(round));
  if (round == 3) __asm__ volatile(NOTE("other", "third", ""));
}

NOINLINE int inner(int depth) {
  __asm__ volatile("" : : "r"(depth) : "memory");
  return depth * 2;
}

NOINLINE int middle(int depth) {
  int result = inner(depth + 1);
  __asm__ volatile(NOTE("trial", "deep", "-4@%0") : : "r"(result) : "memory");
  return result + 1;
}

NOINLINE int outer(int depth) {
  int result = middle(depth + 1);
  __asm__ volatile("" : : "r"(result) : "memory");
  return result + 1;
}

NOINLINE long lookup(char **list, const uint64_t *numbers, int count) {
  __asm__ volatile("" : : "r"(list), "r"(numbers), "r"(count) : "memory");
  return (long)numbers[2];
}

NOINLINE void caught(int number) { __asm__ volatile("" : : "r"(number) : "memory"); }

NOINLINE void ask(int number) { __asm__ volatile("" : : "r"(number) : "memory"); }

NOINLINE void last(void) { __asm__ volatile("" : : : "memory"); }

static void handle(int number) { caught(number); }

int main(void) {
  for (int i = 0; words[i] != NULL; i++) *(volatile char *)words[i] = words[i][0];
  *(volatile uint64_t *)row = row[0];
  signal(SIGUSR1, handle);
  signal(SIGUSR2, handle);
  for (int i = 0; i < 6; i++) site(i, (long)i << 33, words[i % 3]);
  outer(1);
  outer(2);
  inner(100);
  lookup(words, row, 3);
  ask(1);
  ask(2);
  last();
  for (int i = 0; i < 200; i++) usleep(100000); // its tracer has long ended it
  return 0;
}
