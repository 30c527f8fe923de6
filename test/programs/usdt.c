/*
 * USDT probes by notes of its own: usdt ROUNDS [wait|fork]. `steps` is only reached while somebody
 * listens, `loop` always, at two sites. Prints what it counted and the semaphore at the end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

__asm__(".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"
        ".weak _.stapsdt.base\n.hidden _.stapsdt.base\n_.stapsdt.base: .space 1\n"
        ".size _.stapsdt.base,1\n.popsection\n");

unsigned short test_steps_semaphore __attribute__((section(".probes"), visibility("hidden")));
double shared_number = 2.25;

#define NOTE(provider, name, semaphore, args)                                                      \
  "990: nop\n.pushsection .note.stapsdt,\"\",\"note\"\n.balign 4\n"                               \
  ".4byte 992f-991f,994f-993f,3\n991: .asciz \"stapsdt\"\n992: .balign 4\n"                       \
  "993: .8byte 990b\n.8byte _.stapsdt.base\n.8byte " semaphore "\n"                               \
  ".asciz \"" provider "\"\n.asciz \"" name "\"\n.asciz \"" args "\"\n994: .balign 4\n.popsection\n"

static long loops, steps, sum;

static __attribute__((noinline)) void loop(int round, long wide, const char *text) {
  double half = round / 2.0;
  signed char small = (signed char)-round;
  __asm__ volatile(NOTE("test", "loop", "0", "-4@%0 8@%1 8@%2 8f@%3 -1@%4 4@$77 8f@shared_number(%%rip)")
                   :
                   : "r"(round), "m"(wide), "r"(text), "x"(half), "q"(small));
  loops++;
  sum += round;
  if (round % 2 == 0) {
    __asm__ volatile(NOTE("test", "loop", "0", "-4@%0") : : "r"(round));
    loops++;
  }
  if (*(volatile unsigned short *)&test_steps_semaphore != 0) {
    __asm__ volatile(NOTE("test", "steps", "test_steps_semaphore", "-4@%0") : : "r"(round));
    steps++;
  }
}

int main(int argc, char **argv) {
  int rounds = atoi(argv[1]);
  const char *mode = argc > 2 ? argv[2] : "";
  if (strcmp(mode, "wait") == 0) {
    puts("ready");
    fflush(stdout);
    for (int round = 0; access(argv[3], F_OK) == 0; round++) {
      loop(round, 1, "waiting");
      usleep(1000);
    }
  }
  if (strcmp(mode, "fork") == 0) {
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
      printf("child semaphore %d\n", test_steps_semaphore);
      fflush(stdout);
      _exit(0);
    }
    waitpid(child, NULL, 0);
  }
  for (int round = 0; round < rounds; round++) loop(round, (long)round << 33, "round");
  printf("loops %ld\nsteps %ld\nsum %ld\nsemaphore %d\n", loops, steps, sum, test_steps_semaphore);
  return 0;
}
