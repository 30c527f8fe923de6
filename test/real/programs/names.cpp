/*
 * C++ names: overloads, namespaces, templates, methods, and a name that is Rust's. Each is called a number of
 * times of its own. Prints `ok`.
 */
#include <cstdio>

#define PROBED __attribute__((noipa))

static volatile long sink;

namespace ns {
PROBED void f(int) { sink = sink + 1; }
PROBED void f(double) { sink = sink + 2; }
PROBED void f(const char *) { sink = sink + 3; }
struct Box {
    long value = 0;
    PROBED void add(long n) { value += n; }
    PROBED long operator[](long n) const { return value + n; }
};
template <typename T> PROBED T twice(T n) { return n + n; }
namespace { PROBED void hidden(long n) { sink = sink + n; } }
}

extern "C" {
/* As rustc names them: the legacy and the v0 mangling of shapes::area. */
PROBED void legacy() __asm__("_ZN6shapes4area17h0123456789abcdefE");
PROBED void legacy() { sink = sink + 5; }
PROBED void modern() __asm__("_RNvCs1234_6shapes6volume");
PROBED void modern() { sink = sink + 6; }
}

int main()
{
    ns::Box box;
    for (int n = 0; n < 3; n++) ns::f(n);
    for (int n = 0; n < 4; n++) ns::f(0.5);
    for (int n = 0; n < 5; n++) ns::f("text");
    for (int n = 0; n < 6; n++) box.add(n);
    for (int n = 0; n < 7; n++) sink = box[n];
    for (int n = 0; n < 8; n++) sink = ns::twice(n);
    for (int n = 0; n < 9; n++) sink = ns::twice(n * 1L);
    for (int n = 0; n < 10; n++) ns::hidden(n);
    for (int n = 0; n < 11; n++) legacy();
    for (int n = 0; n < 12; n++) modern();
    puts("ok");
    return 0;
}
