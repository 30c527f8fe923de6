// Work for a test guest, exact to the call:  work [-j PROCESSES] [-g] KIND COUNT [ARGUMENT]
// Each process does COUNT rounds of one kind of system call, then all of them print `KIND CALLS` together, CALLS being
// the calls that returned what they should. With -g it prints `ready` and begins when /tmp/go is there, so that
// probes can be placed between start and work. Ends with 1 when any call went wrong.
//   read write open pipe move sleep(us) futex fork mmap yield
// Those that do not end by themselves: hold prints its pid and where a text lies, and yields; spin never leaves user mode;
// tun sleeps in a function of the module of that name; count opens files for ever, and counts in a page that begins with a
// text which is made at run time, so that it is nowhere else in the guest's memory.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long wrong;
static void expect(int condition) { wrong += !condition; }

static void do_read(long count) {
  int fd = open("/dev/zero", O_RDONLY);
  char byte = 1;
  for (long i = 0; i < count; i++) expect(read(fd, &byte, 1) == 1 && byte == 0);
  close(fd);
}

static void do_write(long count) {
  int fd = open("/dev/null", O_WRONLY);
  for (long i = 0; i < count; i++) expect(write(fd, "trapline", 8) == 8);
  close(fd);
}

static void do_open(long count) {
  for (long i = 0; i < count; i++) {
    int fd = open("/dev/null", O_RDONLY);
    expect(fd >= 0);
    close(fd);
  }
}

// Two processes in turn: each read sleeps until the other has written.
static void do_pipe(long count) {
  int there[2], back[2];
  char byte = 0;
  expect(pipe(there) == 0 && pipe(back) == 0);
  pid_t child = fork();
  if (child == 0) {
    for (long i = 0; i < count; i++)
      if (read(there[0], &byte, 1) != 1 || write(back[1], &byte, 1) != 1) _exit(1);
    _exit(0);
  }
  for (long i = 0; i < count; i++) {
    char sent = (char)i;
    expect(write(there[1], &sent, 1) == 1 && read(back[0], &byte, 1) == 1 && byte == sent);
  }
  int status = 1;
  waitpid(child, &status, 0);
  expect(status == 0);
}

// One process reads, and is moved between the first two CPUs while it sleeps in that.
static void do_move(long count) {
  int there[2];
  char byte = 0;
  expect(pipe(there) == 0);
  pid_t child = fork();
  if (child == 0) {
    for (long i = 0; i < count; i++)
      if (read(there[0], &byte, 1) != 1 || byte != (char)i) _exit(1);
    _exit(0);
  }
  struct timespec time = {0, 2000000};
  for (long i = 0; i < count; i++) {
    char sent = (char)i;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(i % 2, &cpus);
    nanosleep(&time, 0);
    expect(sched_setaffinity(child, sizeof cpus, &cpus) == 0 && write(there[1], &sent, 1) == 1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  expect(status == 0);
}

static void do_sleep(long count, long us) {
  struct timespec time = {us / 1000000, us % 1000000 * 1000};
  for (long i = 0; i < count; i++) expect(nanosleep(&time, 0) == 0);
}

// A wait that times out: the value is as expected, and nobody wakes.
static void do_futex(long count, long us) {
  int word = 7;
  struct timespec time = {us / 1000000, us % 1000000 * 1000};
  for (long i = 0; i < count; i++)
    expect(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 7, &time, 0, 0) == -1);
}

static void do_fork(long count) {
  for (long i = 0; i < count; i++) {
    int status = 1;
    pid_t child = fork();
    if (child == 0) _exit(0);
    expect(waitpid(child, &status, 0) == child && status == 0);
  }
}

static void do_mmap(long count) {
  for (long i = 0; i < count; i++) {
    char *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(page != MAP_FAILED);
    *page = 1;
    expect(munmap(page, 4096) == 0);
  }
}

static void do_yield(long count) {
  for (long i = 0; i < count; i++) expect(sched_yield() == 0);
}

// For readers of user memory: a text that is nowhere else.
static void do_hold(void) {
  static char text[64];
  snprintf(text, sizeof text, "held by %d", getpid());
  printf("hold %d %p %s\n", getpid(), (void *)text, text);
  fflush(stdout);
  for (;;) sched_yield();
}

static void do_spin(void) {
  for (volatile unsigned long turns = 0;; turns++) {
  }
}

static void do_tun(void) {
  struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
  int fd = open("/dev/net/tun", O_RDWR);
  char byte;
  expect(fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0);
  printf("tun %d\n", getpid());
  fflush(stdout);
  expect(read(fd, &byte, 1) == 1);
}

static void do_count(void) {
  struct page { char mark[32]; volatile unsigned long opened; };
  struct page *page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  expect(page != MAP_FAILED);
  snprintf(page->mark, sizeof page->mark, "opened by %d since %d", 4711, 1991);
  for (;; page->opened++) {
    int fd = open("/dev/null", O_RDONLY);
    expect(fd >= 0);
    close(fd);
  }
}

static int run(const char *kind, long count, long argument) {
  if (!strcmp(kind, "read")) do_read(count);
  else if (!strcmp(kind, "write")) do_write(count);
  else if (!strcmp(kind, "open")) do_open(count);
  else if (!strcmp(kind, "pipe")) do_pipe(count);
  else if (!strcmp(kind, "move")) do_move(count);
  else if (!strcmp(kind, "sleep")) do_sleep(count, argument);
  else if (!strcmp(kind, "futex")) do_futex(count, argument);
  else if (!strcmp(kind, "fork")) do_fork(count);
  else if (!strcmp(kind, "mmap")) do_mmap(count);
  else if (!strcmp(kind, "yield")) do_yield(count);
  else if (!strcmp(kind, "hold")) do_hold();
  else if (!strcmp(kind, "spin")) do_spin();
  else if (!strcmp(kind, "tun")) do_tun();
  else if (!strcmp(kind, "count")) do_count();
  else return 2;
  return wrong != 0;
}

int main(int argc, char **argv) {
  int processes = 1, waits = 0, option;
  while ((option = getopt(argc, argv, "j:g")) != -1) {
    if (option == 'j') processes = atoi(optarg);
    else if (option == 'g') waits = 1;
    else return 2;
  }
  if (optind >= argc) return 2;
  const char *kind = argv[optind];
  long count = optind + 1 < argc ? atol(argv[optind + 1]) : 0;
  long argument = optind + 2 < argc ? atol(argv[optind + 2]) : 0;
  if (waits) {
    printf("ready\n");
    fflush(stdout);
    struct timespec time = {0, 1000000};
    while (access("/tmp/go", F_OK) != 0) nanosleep(&time, 0);
  }
  int failed = 0;
  for (int i = 0; i < processes; i++) {
    if (fork() != 0) continue;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    _exit(run(kind, count, argument));
  }
  for (int i = 0; i < processes; i++) {
    int status = 1;
    wait(&status);
    failed |= status != 0;
  }
  printf("%s %ld\n", kind, processes * count);
  return failed;
}
