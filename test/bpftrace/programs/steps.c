/*
 * Calls sixteen functions one after the other, each once: each serves a program of the comparison
 * with bpftrace as its probe. Prints nothing.
 */

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

int main(void) {
  step00(0, "text 0");
  step01(1, "text 1");
  step02(2, "text 2");
  step03(3, "text 3");
  step04(4, "text 4");
  step05(5, "text 5");
  step06(6, "text 6");
  step07(7, "text 7");
  step08(8, "text 8");
  step09(9, "text 9");
  step10(10, "text 10");
  step11(11, "text 11");
  step12(12, "text 12");
  step13(13, "text 13");
  step14(14, "text 14");
  step15(15, "text 15");
  return 0;
}
