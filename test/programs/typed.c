/*
 * Functions of floating-point, text and variable arguments, and what they were called with and gave. Every round calls
 * each once:
 *
 *   double scale(double x, float y)               x * y
 *   float half(float x)                           x / 2
 *   long double third(long double x)              x / 3
 *   double nine(double a, ..., double i)          their sum; the ninth is on the stack
 *   int greet(const char *name, char *out, const char *none)    the length of the greeting in out
 *   long vsum(const char *spec, ...)              spec says what follows: i int, l long, d double, s text, L long double
 *   void nothing(void)
 *
 * Prints `name result` lines of every round, and `done`.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOIPA __attribute__((noipa))

NOIPA double scale(double x, float y) { return x * y; }
NOIPA float half(float x) { return x / 2; }
NOIPA long double third(long double x) { return x / 3; }
NOIPA double nine(double a, double b, double c, double d, double e, double f, double g, double h, double i)
{
    return a + b + c + d + e + f + g + h + i;
}
NOIPA int greet(const char *name, char *out, const char *none)
{
    return none == NULL ? sprintf(out, "hello %s", name) : -1;
}
NOIPA void nothing(void) { __asm__ volatile(""); }

NOIPA long vsum(const char *spec, ...)
{
    va_list args;
    va_start(args, spec);
    double sum = 0;
    for (; *spec != 0; spec++) {
        switch (*spec) {
        case 'i': sum += va_arg(args, int); break;
        case 'l': sum += va_arg(args, long); break;
        case 'd': sum += va_arg(args, double); break;
        case 'L': sum += va_arg(args, long double); break;
        case 's': sum += strlen(va_arg(args, const char *)); break;
        }
    }
    va_end(args);
    return (long)sum;
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 3;
    for (long n = 0; n < rounds; n++) {
        char out[64];
        printf("scale %g\n", scale(n + 0.5, 4.0f));
        printf("half %g\n", half((float)n));
        printf("third %Lg\n", third(3.0L * n));
        printf("nine %g\n", nine(1, 2, 3, 4, 5, 6, 7, 8, n + 0.25));
        printf("greet %d\n", greet("w\xc3\xb6rld", out, NULL));
        printf("vsum %ld\n", vsum("isdLilldddddddddisl", -1, "text", 0.5, 2.5L, -2, 1l << 40, 3l, 1.0, 2.0, 3.0, 4.0, 5.0,
                                  6.0, 7.0, 8.0, 9.0, -4, "!", n));
        nothing();
    }
    puts("done");
    return 0;
}
