/*
 * A target for the comparison with bpftrace: functions with known arguments, structures, texts and
 * results, called in one order; a recursion, and threads one after the other. Prints nothing.
 */

#include <pthread.h>
#include <stdint.h>
#include <stddef.h>

struct point {
  int x;
  int y;
};

struct item {
  uint8_t kind;
  int8_t delta;
  uint16_t small;
  int32_t number;
  int64_t large;
  char name[12];
  struct point at;
  int list[4];
  struct item *next;
  const char *text;
};

static struct item second = {9, -9, 900, -90000, -9000000000, "second", {-1, -2}, {-1, 0, 1, 2}, NULL, "two"};
static struct item first = {7, -7, 700, 70000, 7000000000, "first", {10, 20}, {1, 2, 3, 4}, &second, "one"};

int counter = 5;

__attribute__((noinline)) long add(long a, long b) {
  __asm__ volatile("" : : : "memory");
  return a + b;
}

__attribute__((noinline)) long sum6(long a, long b, long c, long d, long e, long f) {
  __asm__ volatile("" : : : "memory");
  return a + b + c + d + e + f;
}

__attribute__((noinline)) const char *greet(const char *name, int times) {
  __asm__ volatile("" : : "r"(name), "r"(times) : "memory");
  return times > 1 ? "many" : "once";
}

__attribute__((noinline)) int take(struct item *item) {
  __asm__ volatile("" : : "r"(item) : "memory");
  return item->number;
}

__attribute__((noinline)) unsigned fact(unsigned n) {
  __asm__ volatile("" : : : "memory");
  return n < 2 ? 1 : n * fact(n - 1);
}

__attribute__((noinline)) int size(unsigned long bytes) {
  __asm__ volatile("" : : "r"(bytes) : "memory");
  return -(int)(bytes % 7);
}

static void *work(void *argument) {
  add((long)argument, 100);
  return NULL;
}

int main(void) {
  for (long i = 0; i < 10; i++) add(i, i * i);
  add(-5, 3);
  sum6(1, 2, 3, 4, 5, 6);
  greet("world", 1);
  greet("", 2);
  greet("a rather long name that goes on and on and on, past sixty-four bytes, and more", 3);
  take(&first);
  take(&second);
  fact(6);
  for (unsigned long i = 1; i < 5000; i *= 3) size(i);
  for (long i = 1; i <= 3; i++) {
    pthread_t thread;
    pthread_create(&thread, NULL, work, (void *)i);
    pthread_join(thread, NULL);
  }
  return 0;
}
