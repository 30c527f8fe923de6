/*
 * System calls that it counts itself: callcounts ROUNDS [fork|vfork|exec|again|endless]. Threads
 * make getppid, writes to a pipe of a known size, and failing closes; `fork` and `vfork` make
 * children that make getpgrp; `exec` runs the program again, for no rounds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 4
static int rounds;
static int null_pipe[2];

static void *work(void *unused) {
  (void)unused;
  char bytes[16];
  for (int round = 0; round < rounds; round++) {
    syscall(SYS_getppid);
    if (write(null_pipe[1], "0123456789", 10) != 10) abort();
    if (read(null_pipe[0], bytes, 10) != 10) abort();
    if (close(1000 + round % 7) != -1 || errno != EBADF) abort();
  }
  return NULL;
}

__attribute__((noinline)) long twice(long value) { return 2 * value; }

int main(int argc, char **argv) {
  rounds = atoi(argv[1]);
  const char *mode = argc > 2 ? argv[2] : "";
  if (pipe(null_pipe) != 0) return 1;
  if (strcmp(mode, "endless") == 0) {
    puts("ready");
    fflush(stdout);
    // Until its input ends: it waits in a read most of the time.
    char byte;
    while (access(argv[3], F_OK) == 0) {
      syscall(SYS_getppid);
      usleep(500);
    }
    puts("ok");
    return twice(0) + (read(0, &byte, 0) != 0);
  }
  if (strcmp(mode, "blocked") == 0) {
    puts("ready");
    fflush(stdout);
    char byte;
    long got = read(atoi(argv[3]), &byte, 1);
    syscall(SYS_getppid);
    printf("got %ld\n", got);
    return 0;
  }
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, NULL);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  printf("getppid %d\nclose %d\n", THREADS * rounds, THREADS * rounds);
  fflush(stdout);
  for (int i = 0; i < 3; i++) {
    pid_t child = 0;
    if (strcmp(mode, "fork") == 0) child = fork();
    else if (strcmp(mode, "vfork") == 0) child = vfork();
    else break;
    if (child == 0) {
      syscall(SYS_getpgrp);
      _exit(0);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0) return 2;
  }
  if (strcmp(mode, "exec") == 0) execl("/proc/self/exe", argv[0], "5", NULL);
  puts("ok");
  return (int)twice(0);
}
