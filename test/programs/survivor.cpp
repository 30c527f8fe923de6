/*
 * Work of many kinds whose results are known: branches, calls of every form, recursion, string
 * instructions, a jump table, floating point, system calls, exceptions. Eight threads do it in a loop
 * and compare with what they got at the start, before anybody traced them; a timer interrupts them
 * 2,000 times a second; the main thread forks children that do the same.
 *
 *   survivor FILE     FILE is mapped and holds 64-bit words: 0 wrong results, 1 bad children, 2 forks,
 *                     3 signals, 8 to 15 rounds of each thread. Prints `ready PID`; ends on SIGTERM,
 *                     with 0 when all was right.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdexcept>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8
#define SEEDS 32
#define OUT extern "C" __attribute__((noipa))

static volatile sig_atomic_t stopping;
static uint64_t *shared;
static uint64_t expected[SEEDS];
static int null;

OUT uint64_t mix(uint64_t n)
{
    uint64_t sum = n ^ 0x9e3779b97f4a7c15;
    for (int i = 0; i < 9; i++) {
        if (sum & 1) sum = sum * 3 + 1;
        else if ((int64_t)sum < 0) sum = (sum >> 1) ^ n;
        else sum = (sum << 5) - sum + i;
    }
    return sum;
}

OUT uint64_t strings(uint64_t n)
{
    char from[64], to[64];
    for (int i = 0; i < 64; i++) from[i] = (char)(n + i);
    void *target = to;
    const void *source = from;
    size_t count = 64;
    asm volatile("rep movsb" : "+D"(target), "+S"(source), "+c"(count) : : "memory");
    uint64_t sum = 0;
    for (int i = 0; i < 64; i++) sum = sum * 31 + (unsigned char)to[i];
    return sum + (memcmp(from, to, 64) == 0);
}

OUT uint64_t choose(uint64_t n)
{
    switch (n % 9) {
    case 0: return n * 7;
    case 1: return n + 0x1234;
    case 2: return ~n;
    case 3: return mix(n);
    case 4: return n << 3;
    case 5: return n / 5;
    case 6: return strings(n);
    case 7: return n % 1000003;
    default: return -n;
    }
}

OUT uint64_t recurse(uint64_t n)
{
    return n == 0 ? 1 : recurse(n - 1) * 3 + n;
}

OUT uint64_t floats(uint64_t n)
{
    double value = (double)(n % 1000) + 0.5;
    for (int i = 0; i < 6; i++) value = value * 1.25 - (value > 100 ? 33.5 : 0.25);
    return (uint64_t)(value * 1000);
}

typedef uint64_t (*Work)(uint64_t);
static Work const works[] = { mix, strings, choose, recurse, floats };

OUT uint64_t indirect(uint64_t n)
{
    volatile Work local[2] = { works[n % 5], mix };
    return works[n % 3](n % 40) + local[0](n % 40) + local[1](n);
}

OUT uint64_t kernel(uint64_t n)
{
    char byte = (char)n;
    long written = write(null, &byte, 1);
    long self = syscall(SYS_getppid);
    return (uint64_t)written + (self > 0);
}

OUT uint64_t raise_it(uint64_t n)
{
    if (n % 3 == 0) throw std::runtime_error("three");
    return n;
}

OUT uint64_t catch_it(uint64_t n)
{
    try {
        return raise_it(n) + 1;
    } catch (const std::exception &error) {
        return strlen(error.what()) + n;
    }
}

OUT uint64_t once(uint64_t n)
{
    uint64_t sum = mix(n) ^ strings(n) ^ choose(n) ^ recurse(n % 20) ^ floats(n) ^ indirect(n);
    return sum + kernel(n) + catch_it(n);
}

static void onTimer(int)
{
    __atomic_fetch_add(&shared[3], 1, __ATOMIC_SEQ_CST);
    if (once(7) != expected[7]) __atomic_fetch_add(&shared[0], 1, __ATOMIC_SEQ_CST);
}

static void onTerm(int)
{
    stopping = 1;
}

static void *busy(void *argument)
{
    long index = (long)argument;
    for (uint64_t n = (uint64_t)index; !stopping; n++) {
        if (once(n % SEEDS) != expected[n % SEEDS]) __atomic_fetch_add(&shared[0], 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_add(&shared[8 + index], 1, __ATOMIC_SEQ_CST);
    }
    return nullptr;
}

int main(int argc, char **argv)
{
    if (argc < 2) return 2;
    int file = open(argv[1], O_RDWR | O_CREAT, 0600);
    if (file < 0 || ftruncate(file, 4096) != 0) return 2;
    shared = (uint64_t *)mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    null = open("/dev/null", O_WRONLY);
    for (uint64_t n = 0; n < SEEDS; n++) expected[n] = once(n);
    struct sigaction action = {};
    action.sa_handler = onTimer;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, nullptr);
    action.sa_handler = onTerm;
    sigaction(SIGTERM, &action, nullptr);
    pthread_t threads[THREADS];
    for (long n = 0; n < THREADS; n++) pthread_create(&threads[n], nullptr, busy, (void *)n);
    struct itimerval period = { { 0, 500 }, { 0, 500 } };
    setitimer(ITIMER_REAL, &period, nullptr);
    printf("ready %d\n", getpid());
    fflush(stdout);
    while (!stopping) {
        pid_t child = fork();
        if (child == 0) {
            for (uint64_t n = 0; n < 4; n++) {
                if (once(n) != expected[n]) _exit(1);
            }
            _exit(0);
        }
        int status = 0;
        while (child > 0 && waitpid(child, &status, 0) < 0);
        shared[2]++;
        if (status != 0) shared[1]++;
        usleep(2000);
    }
    for (int n = 0; n < THREADS; n++) pthread_join(threads[n], nullptr);
    return shared[0] != 0 || shared[1] != 0;
}
