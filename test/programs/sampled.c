/*
 * Threads to be sampled: sampled MILLISECONDS. Two compute in `hot`, called by `warm`, until that
 * much time of their CPUs has passed; two wait in reads, which nothing may cut short. Prints the
 * CPU time that all took, in milliseconds.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static long limit;
static int ends[2];
static volatile int interrupted;
volatile unsigned long sink;

__attribute__((noipa)) void hot(void) {
  for (long i = 0; i < 200000; i++) sink = sink * 31 + 7;
}

__attribute__((noipa)) void warm(void) {
  struct timespec used;
  do {
    for (int i = 0; i < 100; i++) hot();
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  } while (used.tv_sec * 1000 + used.tv_nsec / 1000000 < limit);
}

static void *compute(void *unused) {
  (void)unused;
  warm();
  return NULL;
}

static void *waits(void *unused) {
  (void)unused;
  char byte;
  if (read(ends[0], &byte, 1) != 1) interrupted++;
  return NULL;
}

int main(int argc, char **argv) {
  limit = argc > 1 ? atol(argv[1]) : 100;
  if (pipe(ends) != 0) return 1;
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, i < 2 ? compute : waits, NULL);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  if (write(ends[1], "xx", 2) != 2) return 1;
  for (int i = 2; i < 4; i++) pthread_join(threads[i], NULL);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("cpu %ld\ninterrupted %d\n", usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000,
         interrupted);
  return 0;
}
