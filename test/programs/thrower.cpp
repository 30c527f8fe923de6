// Exceptions thrown by signal handlers through the instruction that faulted, which the unwinder finds by the pc in
// the signal's frame. For -fnon-call-exceptions. thrower [COUNT]: prints `caught COUNT`, `destroyed COUNT`, `ok`.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

static long destroyed;

struct Local {
    ~Local() { destroyed++; }
};

static void onFault(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    throw std::runtime_error(signal == SIGSEGV ? "segv" : "fpe");
}

extern "C" __attribute__((noipa)) long load(const volatile long *at)
{
    Local local;
    return *at + 1;
}

extern "C" __attribute__((noipa)) long ratio(volatile long a, volatile long b)
{
    Local local;
    return a / b + 1;
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 20, caught = 0;
    std::signal(SIGSEGV, onFault);
    std::signal(SIGFPE, onFault);
    for (long n = 0; n < count; n++) {
        try {
            if (n % 2 == 0) std::printf("%ld\n", load(reinterpret_cast<const volatile long *>(16)));
            else std::printf("%ld\n", ratio(n, 0));
        } catch (const std::exception &error) {
            caught += error.what()[0] == (n % 2 == 0 ? 's' : 'f');
        }
    }
    bool right = caught == count && destroyed == count;
    std::printf("caught %ld\ndestroyed %ld\n%s\n", caught, destroyed, right ? "ok" : "WRONG");
    return right ? 0 : 1;
}
