/*
 * Data that is written and read a known number of times: watched ROUNDS [fork|endless FILE]. Threads
 * write `word` each in turn, and read `other`; `bytes` is filled by rep stosb and by pushes.
 * Prints how often each was touched, counted apart from the data.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 3
volatile long word __attribute__((aligned(8)));
volatile int other __attribute__((aligned(8))) = 5;
unsigned char bytes[64] __attribute__((aligned(8)));
static long rounds;

__attribute__((noipa)) void writeWord(long value) { word = value; }
__attribute__((noipa)) int readOther(void) { return other; }
__attribute__((noipa)) void writeOther(int value) { other = value; }
__attribute__((noipa)) void nothing(void) { __asm__ volatile("nop"); }
__attribute__((noipa)) void fill(int value) {
  unsigned char *to = bytes;
  long count = 16;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(value) : "memory");
}
/* A call with the stack in `bytes`: its return address is written to bytes + 48. */
__attribute__((noipa)) void callThere(void) {
  __asm__ volatile("mov %%rsp, %%rbx\n lea bytes+56(%%rip), %%rsp\n call nothing\n mov %%rbx, %%rsp"
                   :
                   :
                   : "rbx", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory");
}

static void *work(void *unused) {
  (void)unused;
  for (long round = 0; round < rounds; round++) {
    writeWord(round);
    if (readOther() != 5) abort();
  }
  return NULL;
}

int main(int argc, char **argv) {
  rounds = atol(argv[1]);
  const char *mode = argc > 2 ? argv[2] : "";
  if (strcmp(mode, "endless") == 0) {
    puts("ready");
    fflush(stdout);
    for (long round = 0; access(argv[3], F_OK) == 0; round++) {
      writeWord(round);
      nothing();
      usleep(500);
    }
    puts("ok");
    return 0;
  }
  if (strcmp(mode, "fork") == 0) {
    pid_t child = fork();
    if (child == 0) {
      for (int i = 0; i < 10; i++) writeWord(i);
      _exit(0);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0) return 2;
  }
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, NULL);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (long round = 0; round < rounds; round++) {
    writeOther(5);
    nothing();
    fill((int)round);
    callThere();
  }
  printf("words %ld\nreads %ld\nwrites %ld\nnothings %ld\nfills %ld\n", THREADS * rounds,
         THREADS * rounds, rounds, 2 * rounds, rounds);
  return bytes[3] != (unsigned char)(rounds - 1);
}
