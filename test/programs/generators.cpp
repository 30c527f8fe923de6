// Coroutines of C++20, whose frames are on the heap: a probed function is resumed on another stack position than it
// was left on, but each call of it that is entered returns once. numbers() yields through advance(); some generators
// are dropped half-way, some throw out of the coroutine into whoever resumed it.
//
// Prints `NAME entries` and `NAME returned returns` for each function that a probe may be put on, then `ok`.
#include <coroutine>
#include <cstdio>
#include <exception>
#include <utility>

#define PROBED extern "C" __attribute__((noipa, optimize("no-optimize-sibling-calls")))

enum { ADVANCE, COMPUTE, CONSUME, FUNCTIONS };
static const char *const names[FUNCTIONS] = { "advance", "compute", "consume" };
static long entries[FUNCTIONS], returns[FUNCTIONS];
static long wrong;

#define ENTER(f) (entries[f]++)
#define LEAVE(f, value) do { long result = (value); returns[f]++; return result; } while (0)

struct Generator {
    struct promise_type {
        long value = 0;
        Generator get_return_object() { return Generator{ std::coroutine_handle<promise_type>::from_promise(*this) }; }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        std::suspend_always yield_value(long n)
        {
            value = n;
            return {};
        }
        void return_void() {}
        void unhandled_exception() { throw; }
    };
    std::coroutine_handle<promise_type> handle;
    explicit Generator(std::coroutine_handle<promise_type> h) : handle(h) {}
    Generator(Generator &&other) : handle(std::exchange(other.handle, nullptr)) {}
    ~Generator() { if (handle) handle.destroy(); }
};

PROBED long compute(long n)
{
    ENTER(COMPUTE);
    if (n == 13) throw n;
    LEAVE(COMPUTE, n * n);
}

static Generator numbers(long first, long end)
{
    for (long n = first; n < end; n++) co_yield compute(n);
}

PROBED long advance(Generator *generator)
{
    ENTER(ADVANCE);
    generator->handle.resume();
    LEAVE(ADVANCE, generator->handle.done() ? -1 : generator->handle.promise().value);
}

PROBED long consume(long first, long end, long takes)
{
    ENTER(CONSUME);
    Generator one = numbers(first, end), other = numbers(first + 100, end + 100);
    long sum = 0;
    for (long n = 0; n < takes; n++) {
        long value = advance(&one);
        if (value < 0) break;
        sum += value;
        if (n % 2 == 0) wrong += advance(&other) != (first + 100 + n / 2) * (first + 100 + n / 2);
    }
    LEAVE(CONSUME, sum);
}

int main()
{
    for (long n = 0; n < 10; n++) {
        wrong += consume(0, 5, 10) != 30;
        wrong += consume(0, 100, 3) != 5;
        try {
            consume(10, 20, 10);
            wrong++;
        } catch (long value) {
            wrong += value != 13;
        }
    }
    for (int i = 0; i < FUNCTIONS; i++) std::printf("%s %ld\n%s returned %ld\n", names[i], entries[i], names[i], returns[i]);
    std::puts(wrong == 0 ? "ok" : "WRONG");
    return wrong == 0 ? 0 : 1;
}
