/*
 * Calls of every shape, for entry and return probes: nested (f calls g calls h), recursive, variadic, a tail
 * call (tail_first jumps to tail_second at -O2), and functions that return small integers, structs, a double.
 * Everything is done `rounds` times (argument 1, default 10).
 *
 * Prints how often each function was entered, one `name count` a line, then `ok`; ends with 0 when every value
 * that came back was right:
 *   f 10 / g 10 / h 20 / fib 1770 / sum_all 10 / tail_first 10 / tail_second 20 / return_char 10 /
 *   return_short 10 / return_bool 10 / return_pair 10 / return_big 10 / return_double 10 / return_pointer 10 /
 *   six_and_more 10 / no_arguments 10
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define PROBED __attribute__((noipa))

enum {
    F, G, H, FIB, SUM_ALL, TAIL_FIRST, TAIL_SECOND, RETURN_CHAR, RETURN_SHORT, RETURN_BOOL,
    RETURN_PAIR, RETURN_BIG, RETURN_DOUBLE, RETURN_POINTER, SIX_AND_MORE, NO_ARGUMENTS, FUNCTIONS
};
static const char *const names[FUNCTIONS] = {
    "f", "g", "h", "fib", "sum_all", "tail_first", "tail_second", "return_char", "return_short", "return_bool",
    "return_pair", "return_big", "return_double", "return_pointer", "six_and_more", "no_arguments"
};
static volatile long counts[FUNCTIONS];

PROBED long h(long n) { counts[H]++; return n * 2; }
PROBED long g(long n) { counts[G]++; return h(n) + h(n + 1) + 1; }
PROBED long f(long n) { counts[F]++; return g(n) + 1; }

/* Without the option gcc makes a loop of one of the two calls. */
__attribute__((noipa, optimize("no-optimize-sibling-calls"))) long fib(long n)
{
    counts[FIB]++;
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

PROBED long sum_all(int count, ...)
{
    counts[SUM_ALL]++;
    va_list list;
    va_start(list, count);
    long sum = 0;
    for (int i = 0; i < count; i++) sum += va_arg(list, long);
    va_end(list);
    return sum;
}

PROBED long tail_second(long n) { counts[TAIL_SECOND]++; return n * 5; }
PROBED long tail_first(long n) { counts[TAIL_FIRST]++; return tail_second(n + 1); }

struct pair { long first, second; };          /* comes back in rax and rdx */
struct big { long words[5]; };                /* comes back in memory of the caller */

PROBED signed char return_char(long n) { counts[RETURN_CHAR]++; return (signed char)(-1 - n % 5); }
PROBED unsigned short return_short(long n) { counts[RETURN_SHORT]++; return (unsigned short)(0xfff0 + n); }
PROBED bool return_bool(long n) { counts[RETURN_BOOL]++; return n % 2 == 1; }
PROBED struct pair return_pair(long n) { counts[RETURN_PAIR]++; return (struct pair){ n, -n }; }
PROBED struct big return_big(long n) { counts[RETURN_BIG]++; return (struct big){ { n, n + 1, n + 2, n + 3, n + 4 } }; }
PROBED double return_double(double n) { counts[RETURN_DOUBLE]++; return n / 2; }
PROBED const char *return_pointer(const char *text) { counts[RETURN_POINTER]++; return text + 1; }
PROBED long six_and_more(long a, long b, long c, long d, long e, long f6, long g7, long h8)
{
    counts[SIX_AND_MORE]++;
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f6 + 7 * g7 + 8 * h8;
}
PROBED int no_arguments(void) { counts[NO_ARGUMENTS]++; return 42; }

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 10, wrong = 0;
    for (long n = 0; n < rounds; n++) {
        wrong += f(n) != 4 * n + 4;
        wrong += fib(10) != 55;
        wrong += sum_all(8, n, 2L, 3L, 4L, 5L, 6L, 7L, 8L) != n + 35;
        wrong += tail_first(n) != 5 * n + 5;
        wrong += tail_second(n) != 5 * n;
        wrong += return_char(n) != -1 - n % 5;
        wrong += return_short(n) != (unsigned short)(0xfff0 + n);
        wrong += return_bool(n) != (n % 2 == 1);
        struct pair pair = return_pair(n);
        wrong += pair.first != n || pair.second != -n;
        struct big big = return_big(n);
        for (int i = 0; i < 5; i++) wrong += big.words[i] != n + i;
        wrong += return_double((double)n) != (double)n / 2;
        const char *text = "ab";
        wrong += return_pointer(text) != text + 1;
        wrong += six_and_more(n, 1, 1, 1, 1, 1, 1, 1) != n + 35;
        wrong += no_arguments() != 42;
    }
    for (int i = 0; i < FUNCTIONS; i++) printf("%s %ld\n", names[i], counts[i]);
    puts(wrong == 0 ? "ok" : "WRONG");
    return wrong == 0 ? 0 : 1;
}
