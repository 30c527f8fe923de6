/*
 * Work of known amount for the scripts of the gallery: gallery JOB. Each job calls functions of the
 * C library so often, with such sizes and names, as its comment says. Ends with 0 when the calls
 * returned what they should.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROBED __attribute__((noipa))

static int wrong;
static void expect(int condition) { wrong += !condition; }

/* What is multiplied by it is no size that a compiler knows. */
static volatile size_t scale = 1;
extern char **environ;

/* Behind a call it keeps the frame of its caller: no jump to what was called last. */
#define STAY __asm__ volatile("")

PROBED void *keep(size_t size)
{
    void *block = malloc(size);
    STAY;
    return block;
}

/* malloc: 5 blocks of 100,000 bytes, of which 2 are never freed; 3 of 10 * 20,000; 2 grow to 400,000. */
static void do_malloc(void)
{
    void *blocks[5];
    for (int i = 0; i < 5; i++) expect((blocks[i] = keep(100000 * scale)) != NULL);
    for (int i = 0; i < 3; i++) free(calloc(10 * scale, 20000));
    for (int i = 0; i < 2; i++) blocks[i] = realloc(blocks[i], 400000 * scale);
    for (int i = 0; i < 3; i++) free(blocks[i]);
}

static char from[300000], into[300000];

/* copies: 7 of 70,000 bytes forwards, 2 of 140,000 that overlap. */
PROBED void copy(void)
{
    for (int i = 0; i < 7; i++) memcpy(into, from, 70000 * scale);
    for (int i = 0; i < 2; i++) memmove(into + scale, into, 140000 * scale);
    STAY;
}

/* files: 3 opens that fail, 4 reads of 100 bytes, 5 writes of 70. */
static void do_files(void)
{
    for (int i = 0; i < 3; i++) expect(open("/nonexistent/gallery", O_RDONLY) == -1);
    int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
    for (int i = 0; i < 4; i++) expect(read(zero, into, 100) == 100);
    for (int i = 0; i < 5; i++) expect(write(null, from, 70) == 70);
    close(zero);
    close(null);
}

/* variables: one that is set, read three times; one that is not, read twice. */
static void do_variables(void)
{
    setenv("GALLERY_SET", "a value", 1);
    for (int i = 0; i < 3; i++) expect(getenv("GALLERY_SET") != NULL);
    for (int i = 0; i < 2; i++) expect(getenv("GALLERY_UNSET") == NULL);
}

/* sleeps: 3 of 20 milliseconds, by usleep and nanosleep. */
PROBED void nap(void)
{
    struct timespec twenty = {0, 20000000};
    usleep(20000);
    nanosleep(&twenty, NULL);
    nanosleep(&twenty, NULL);
    STAY;
}

pthread_mutex_t the_lock = PTHREAD_MUTEX_INITIALIZER;
static int ready[2];

PROBED void *contender(void *argument)
{
    char byte;
    expect(read(ready[0], &byte, 1) == 1);
    pthread_mutex_lock(&the_lock);
    pthread_mutex_unlock(&the_lock);
    return argument;
}

/* locks: one wait of 60 milliseconds and more; threads: and one more that starts and ends. */
static void do_locks(void)
{
    pthread_t thread;
    expect(pipe(ready) == 0 && pthread_create(&thread, NULL, contender, NULL) == 0);
    pthread_mutex_lock(&the_lock);
    expect(write(ready[1], "", 1) == 1);
    usleep(200000);
    pthread_mutex_unlock(&the_lock);
    pthread_join(thread, NULL);
}

PROBED void *idle(void *argument) { return argument; }

/* threads: 3 of them. */
static void do_threads(void)
{
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) expect(pthread_create(&threads[i], NULL, idle, NULL) == 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

/* loads: one library, one function of it. */
static void do_loads(void)
{
    void *library = dlopen("libm.so.6", RTLD_NOW);
    expect(library != NULL && dlsym(library, "cos") != NULL);
}

/* connects: to nobody, by all three families. */
static void do_connects(void)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(1234)};
    struct sockaddr_un here = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/socket"};
    inet_pton(AF_INET, "127.0.0.7", &four.sin_addr);
    six.sin6_addr = in6addr_loopback;
    expect(connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&four, sizeof four) == -1);
    connect(socket(AF_INET6, SOCK_STREAM, 0), (void *)&six, sizeof six);
    expect(connect(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&here, sizeof here) == -1);
}

/* signals: two to the process, one to the thread. */
static void do_signals(void)
{
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    for (int i = 0; i < 2; i++) expect(kill(getpid(), SIGUSR1) == 0);
    expect(raise(SIGUSR2) == 0);
}

/* execs: true is spawned once, and executed by a child once. */
static void do_execs(void)
{
    char *words[] = {"true", "one", "two words", NULL};
    pid_t child;
    int status = 1;
    expect(posix_spawn(&child, "/bin/true", NULL, NULL, words, environ) == 0);
    waitpid(child, &status, 0);
    expect(status == 0);
    words[1] = "three";
    if ((child = fork()) == 0) _exit(execv("/bin/true", words));
    waitpid(child, &status, 0);
    expect(status == 0);
}

PROBED long once(long value) { return value + 1; }

/* calls: 12 of `once`, and 2 slow ones of `step`, of 10 quick. */
PROBED long step(int is_slow)
{
    if (is_slow) usleep(400000);
    return is_slow;
}

static void do_calls(void)
{
    for (int i = 0; i < 12; i++) once(i);
    for (int i = 0; i < 12; i++) step(i % 6 == 5);
}

PROBED void burn(long timeMs)
{
    struct rusage usage;
    do {
        for (volatile int i = 0; i < 100000; i++) {
        }
        getrusage(RUSAGE_SELF, &usage);
    } while (usage.ru_utime.tv_sec * 1000 + usage.ru_utime.tv_usec / 1000 < timeMs);
}

/* loop: three rounds of an event loop; it is busy for 40 milliseconds after each of them. */
static void do_loop(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    int loop = epoll_create1(0), always = eventfd(1, 0);
    expect(epoll_ctl(loop, EPOLL_CTL_ADD, always, &event) == 0);
    for (int i = 0; i < 4; i++) {
        expect(epoll_wait(loop, &event, 1, -1) == 1);
        usleep(40000);
    }
}

int main(int argc, char **argv)
{
    const char *job = argc > 1 ? argv[1] : "";
    if (strcmp(job, "malloc") == 0) do_malloc();
    else if (strcmp(job, "copies") == 0) copy();
    else if (strcmp(job, "files") == 0) do_files();
    else if (strcmp(job, "variables") == 0) do_variables();
    else if (strcmp(job, "sleeps") == 0) nap();
    else if (strcmp(job, "locks") == 0) do_locks();
    else if (strcmp(job, "threads") == 0) do_threads();
    else if (strcmp(job, "loads") == 0) do_loads();
    else if (strcmp(job, "connects") == 0) do_connects();
    else if (strcmp(job, "signals") == 0) do_signals();
    else if (strcmp(job, "execs") == 0) do_execs();
    else if (strcmp(job, "calls") == 0) do_calls();
    else if (strcmp(job, "burn") == 0) burn(600);
    else if (strcmp(job, "loop") == 0) do_loop();
    else return 2;
    return wrong != 0;
}
