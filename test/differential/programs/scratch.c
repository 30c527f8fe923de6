/*
 * A process with memory where it was asked for and nothing of its own to do: the differential suite
 * runs single instructions in it. Arguments: the alternate signal stack (address:size), the
 * address of the signal handler, an address to report to, then windows (address:size:rights). It
 * writes offset and size of each XSAVE component (leaf 0xd of cpuid) to the report and traps.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#define COMPONENTS 32

static const int SIGNALS[] = {SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS};

static uint64_t number(char **text) {
  uint64_t value = strtoull(*text, text, 0);
  if (**text == ':') (*text)++;
  return value;
}

static void map(uint64_t address, uint64_t size, int rights) {
  void *got = mmap((void *)address, size, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  if (got != (void *)address) {
    perror("mmap");
    exit(1);
  }
}

int main(int argc, char **argv) {
  if (argc < 4) return 2;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (int i = 4; i < argc; i++) {
    char *text = argv[i];
    uint64_t address = number(&text), size = number(&text), rights = number(&text);
    map(address, size, (int)rights);
  }

  char *text = argv[1];
  stack_t stack = {.ss_sp = (void *)number(&text)};
  stack.ss_size = number(&text);
  map((uint64_t)stack.ss_sp, stack.ss_size, PROT_READ | PROT_WRITE);
  if (sigaltstack(&stack, NULL) != 0) return 3;
  for (unsigned i = 0; i < sizeof SIGNALS / sizeof *SIGNALS; i++) {
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    char *handler = argv[2];
    action.sa_sigaction = (void (*)(int, siginfo_t *, void *))number(&handler);
    if (sigaction(SIGNALS[i], &action, NULL) != 0) return 4;
  }

  char *where = argv[3];
  uint32_t *report = (uint32_t *)number(&where);
  for (unsigned i = 0; i < COMPONENTS; i++) {
    unsigned size, offset, c, d;
    if (i < 2 || !__get_cpuid_count(0xd, i, &size, &offset, &c, &d)) size = offset = 0;
    report[2 * i] = offset;
    report[2 * i + 1] = size;
  }
  __asm__ volatile("int3");
  return 5;
}
