// C++ exceptions through probed functions: outer() calls middle() calls thrower(), each with a local that has a
// destructor. Every third call throws an int, every third a std::runtime_error that middle() catches and throws
// on, every third returns. 300 calls (argument 1 gives another number).
//
// Prints, and ends with 0 when the counts are as computed:
//   outer 300 / middle 300 / thrower 300 / thrown 200 / rethrown 100 / caught 200 / returned 100 / destroyed 900 / ok
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#define PROBED extern "C" __attribute__((noipa))

static long outerCalls, middleCalls, throwerCalls, thrown, rethrown, caught, returned, destroyed;

struct Local {
    ~Local() { destroyed++; }
};

PROBED long thrower(long n)
{
    Local local;
    throwerCalls++;
    if (n % 3 == 0) {
        thrown++;
        throw static_cast<int>(n);
    }
    if (n % 3 == 1) {
        thrown++;
        throw std::runtime_error("one");
    }
    return n;
}

PROBED long middle(long n)
{
    Local local;
    middleCalls++;
    try {
        return thrower(n) + 1;
    } catch (const std::runtime_error &) {
        rethrown++;
        throw;
    }
}

PROBED long outer(long n)
{
    Local local;
    outerCalls++;
    return middle(n) + 1;
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 300, wrong = 0;
    for (long n = 0; n < count; n++) {
        try {
            wrong += outer(n) != n + 2;
            returned++;
        } catch (int value) {
            wrong += value != n;
            caught++;
        } catch (const std::exception &) {
            wrong += n % 3 != 1;
            caught++;
        }
    }
    wrong += thrown != caught || returned + caught != count || destroyed != 3 * count;
    std::printf("outer %ld\nmiddle %ld\nthrower %ld\nthrown %ld\nrethrown %ld\ncaught %ld\nreturned %ld\ndestroyed %ld\n%s\n",
                outerCalls, middleCalls, throwerCalls, thrown, rethrown, caught, returned, destroyed,
                wrong == 0 ? "ok" : "WRONG");
    return wrong == 0 ? 0 : 1;
}
