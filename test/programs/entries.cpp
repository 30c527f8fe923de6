/*
 * A native jprobe's entry that throws, and one that catches what it throws. guarded() calls probed(n) and catches;
 * rounds of it count what came back and what was thrown.
 *
 *   entries ROUNDS
 *
 * Prints `probed N`, `returned N`, `thrown N`, `caught N` and `OK`.
 */
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#define NOIPA __attribute__((noipa))

static long probed_count, returned_count, thrown_count, caught_count;

extern "C" NOIPA void jprobe_return() { asm volatile(""); }
extern "C" NOIPA long probed(long n)
{
    probed_count++;
    if (n < 0) throw std::runtime_error("never"); /* or the compiler knows that it throws nothing */
    return n + 1;
}

extern "C" NOIPA void on_throwing(long n) { throw std::runtime_error(std::to_string(n)); }

extern "C" NOIPA void on_catching(long n)
{
    try {
        on_throwing(n);
    } catch (const std::exception &) {
        caught_count++;
    }
    jprobe_return();
}

extern "C" NOIPA void guarded(long n)
{
    try {
        if (probed(n) == n + 1) returned_count++;
    } catch (const std::exception &) {
        thrown_count++;
    }
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 10;
    for (long n = 0; n < rounds; n++) guarded(n);
    printf("probed %ld\nreturned %ld\nthrown %ld\ncaught %ld\nOK\n", probed_count, returned_count, thrown_count,
           caught_count);
    return 0;
}
