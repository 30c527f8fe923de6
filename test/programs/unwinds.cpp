// Exceptions through probed frames, in every way that unwinding goes. Everything is done 12 times over:
//   nested       thrown in c(), through b() with a landing pad, caught in a(), which throws on from its handler
//   destructors  unwinding runs a destructor that calls probed functions, one of which throws and catches itself
//   rethrown     kept in an exception_ptr and thrown again from another frame, above those it came from
//   cleanup      through frames that only have cleanups, at several depths, and through one with none (C's -fexceptions)
//   signal       thrown out of a signal handler, through the frame of the interrupted function
//   forced       a thread that is cancelled in a frame with destructors (unwinding that cannot be stopped)
//   terminate    last of all, and once: out of a noexcept function, with a terminate handler that prints and exits
// Prints `NAME entries` and `NAME returned returns` for each function that a probe may be put on, then `ok`.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <unistd.h>

#define PROBED extern "C" __attribute__((noipa, optimize("no-optimize-sibling-calls")))

enum { A, B, C, DESTROY, THROW_INSIDE, KEEP, THROW_KEPT, CLEAN, FAULT, ON_SIGNAL, CANCELLED, QUIET, LAST, FUNCTIONS };
static const char *const names[FUNCTIONS] = {
    "a", "b", "c", "destroy", "throw_inside", "keep", "throw_kept", "clean", "fault", "on_signal", "cancelled", "quiet",
    "last"
};
static volatile long entries[FUNCTIONS], returns[FUNCTIONS];
static volatile long wrong, destroyed;

#define ENTER(f) __atomic_add_fetch(&entries[f], 1, __ATOMIC_SEQ_CST)
#define LEAVE(f, value) do { long result = (value); __atomic_add_fetch(&returns[f], 1, __ATOMIC_SEQ_CST); return result; } while (0)

struct Local {
    ~Local() { destroyed++; }
};

PROBED long c(long n)
{
    ENTER(C);
    if (n % 3 != 0) throw n;
    LEAVE(C, n);
}
PROBED long b(long n)
{
    ENTER(B);
    Local local;
    long below = c(n);
    LEAVE(B, below + 1);
}
PROBED long a(long n)
{
    ENTER(A);
    try {
        long below = b(n);
        LEAVE(A, below + 1);
    } catch (long value) {
        if (value % 3 == 1) throw std::to_string(value);
        LEAVE(A, -value);
    }
}
static void nested(long n)
{
    try {
        long value = a(n);
        wrong += value != (n % 3 == 0 ? n + 2 : -n);
    } catch (const std::string &text) {
        wrong += n % 3 != 1 || text != std::to_string(n);
    }
}

PROBED long throw_inside(long n)
{
    ENTER(THROW_INSIDE);
    try {
        c(1);
    } catch (long value) {
        LEAVE(THROW_INSIDE, n + value);
    }
    LEAVE(THROW_INSIDE, 0);
}
PROBED long destroy(long n)
{
    ENTER(DESTROY);
    LEAVE(DESTROY, throw_inside(n) + a(3));
}
struct Busy {
    long n;
    ~Busy() { wrong += destroy(n) != n + 1 + 5; }
};
static void destructors(long n)
{
    try {
        Busy first = { n }, second = { n + 1 };
        b(3 * n + 2);
        wrong++;
    } catch (long value) {
        wrong += value != 3 * n + 2;
    }
}

PROBED long keep(long n, std::exception_ptr *kept)
{
    ENTER(KEEP);
    try {
        b(3 * n + 1);
    } catch (...) {
        *kept = std::current_exception();
    }
    LEAVE(KEEP, n);
}
PROBED long throw_kept(std::exception_ptr *kept)
{
    ENTER(THROW_KEPT);
    Local local;
    std::rethrow_exception(*kept);
    LEAVE(THROW_KEPT, 0);
}
static void rethrown(long n)
{
    std::exception_ptr kept;
    wrong += keep(n, &kept) != n;
    for (int times = 0; times < 2; times++) {
        try {
            throw_kept(&kept);
            wrong++;
        } catch (long value) {
            wrong += value != 3 * n + 1;
        }
    }
}

PROBED long clean(long depth, long n)
{
    ENTER(CLEAN);
    Local local;
    if (depth == 0) LEAVE(CLEAN, b(n));
    if (depth % 2 == 0) LEAVE(CLEAN, clean(depth - 1, n) + 1);
    Local another;
    LEAVE(CLEAN, clean(depth - 1, n) + 1);
}
static void cleanups(long n)
{
    for (long depth = 0; depth < 5; depth++) {
        try {
            wrong += clean(depth, n) != n + 1 + depth || n % 3 != 0;
        } catch (long value) {
            wrong += value != n || n % 3 == 0;
        }
    }
}

PROBED void on_signal(int number)
{
    ENTER(ON_SIGNAL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    throw std::runtime_error("fault");
}
PROBED long fault(long *place)
{
    ENTER(FAULT);
    Local local;
    long value = *(volatile long *)place;
    LEAVE(FAULT, value);
}
static void signals(long n)
{
    signal(SIGSEGV, on_signal);
    try {
        long value = fault(n % 2 == 0 ? &n : nullptr);
        wrong += value != n || n % 2 != 0;
    } catch (const std::runtime_error &) {
        wrong += n % 2 == 0;
    }
    signal(SIGSEGV, SIG_DFL);
}

static volatile int isInside;
PROBED long cancelled(long depth)
{
    ENTER(CANCELLED);
    Local local;
    if (depth > 0) LEAVE(CANCELLED, cancelled(depth - 1));
    isInside = 1;
    while (isInside) sleep(1);
    LEAVE(CANCELLED, 0);
}
static void *run(void *)
{
    cancelled(3);
    return nullptr;
}
static void forced()
{
    pthread_t thread;
    isInside = 0;
    pthread_create(&thread, nullptr, run, nullptr);
    while (!isInside) usleep(1000);
    pthread_cancel(thread);
    void *result;
    pthread_join(thread, &result);
    wrong += result != PTHREAD_CANCELED;
}

static void finish()
{
    // One in each call of b, throw_kept, fault and cancelled, one or two in each of clean.
    wrong += destroyed != 121 + 24 + 12 + 8 + 12 * (1 + 3 + 4 + 6 + 7);
    for (int i = 0; i < FUNCTIONS; i++) std::printf("%s %ld\n%s returned %ld\n", names[i], entries[i], names[i], returns[i]);
    std::printf("destroyed %ld\n%s\n", destroyed, wrong == 0 ? "ok" : "WRONG");
    std::fflush(stdout);
    std::_Exit(wrong == 0 ? 0 : 1);
}
PROBED long quiet(long n) noexcept
{
    ENTER(QUIET);
    LEAVE(QUIET, b(n));
}
PROBED long last(long n)
{
    ENTER(LAST);
    LEAVE(LAST, quiet(n));
}

int main()
{
    for (long n = 0; n < 12; n++) {
        nested(n);
        destructors(n);
        rethrown(n);
        cleanups(n);
        signals(n);
    }
    forced();
    forced();
    std::set_terminate(finish);
    last(1);
    return 1;
}
