/*
 * Calls sixteen functions one after the other, each once: each serves a program of the comparison
 * with bpftrace as its probe. Prints nothing. Texts are written first: bpftrace sees nothing in a
 * page that the process has not touched yet.
 */

#include <stdio.h>

#define STEP(number)                                                                               \
  __attribute__((noinline)) int step##number(long index, const char *text) {                       \
    __asm__ volatile("" : : "r"(index), "r"(text) : "memory");                                     \
    return (int)index;                                                                             \
  }

STEP(00)
STEP(01)
STEP(02)
STEP(03)
STEP(04)
STEP(05)
STEP(06)
STEP(07)
STEP(08)
STEP(09)
STEP(10)
STEP(11)
STEP(12)
STEP(13)
STEP(14)
STEP(15)

static char texts[16][16];

int main(void) {
  for (int i = 0; i < 16; i++) snprintf(texts[i], sizeof texts[i], "text %d", i);
  step00(0, texts[0]);
  step01(1, texts[1]);
  step02(2, texts[2]);
  step03(3, texts[3]);
  step04(4, texts[4]);
  step05(5, texts[5]);
  step06(6, texts[6]);
  step07(7, texts[7]);
  step08(8, texts[8]);
  step09(9, texts[9]);
  step10(10, texts[10]);
  step11(11, texts[11]);
  step12(12, texts[12]);
  step13(13, texts[13]);
  step14(14, texts[14]);
  step15(15, texts[15]);
  return 0;
}
