/*
 * Ends in the middle of probed frames: outer() calls inner(), in which things end. Argument 1:
 *   exit, _exit   the process ends inside, with status 0; a handler of atexit() calls outer() once more
 *   exec          this program is executed anew inside, with argument `plain`
 *   fork          a child returns from inner() and outer(), too, and its parent waits for it
 *   vfork         a child calls work() and ends in inner(); then its parent goes on
 *   vforks        libc's vfork() and execve(), a probed function each, 5 times over
 *   thread-exit   five threads call pthread_exit() inside
 *   deferred      five threads are cancelled inside, at a cancellation point, with clean-up handlers
 *   async         five threads are cancelled inside, wherever they are
 *   kill          a process with three threads inside is ended by a signal
 *   plain         nothing ends
 * Prints `NAME entries` and `NAME returned returns` for each function, then `ok`; in `fork` the parent, in `exec` both
 * images do (what came before is printed before).
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROBED __attribute__((noipa, optimize("no-optimize-sibling-calls")))

enum { OUTER, INNER, WORK, CLEANUP, FUNCTIONS };
static const char *const names[FUNCTIONS] = { "outer", "inner", "work", "cleanup" };
static volatile long entries[FUNCTIONS], returns[FUNCTIONS];
static volatile long wrong;
static const char *volatile mode;
static char *self;
static volatile int inside;

#define ENTER(f) __atomic_add_fetch(&entries[f], 1, __ATOMIC_SEQ_CST)
#define LEAVE(f, value) do { long result = (value); __atomic_add_fetch(&returns[f], 1, __ATOMIC_SEQ_CST); return result; } while (0)

static int is(const char *name)
{
    return strcmp(mode, name) == 0;
}

static void print(void)
{
    for (int i = 0; i < FUNCTIONS; i++) printf("%s %ld\n%s returned %ld\n", names[i], entries[i], names[i], returns[i]);
    puts(wrong == 0 ? "ok" : "WRONG");
    fflush(stdout);
}

PROBED long work(long n)
{
    ENTER(WORK);
    LEAVE(WORK, n + 1);
}

PROBED void cleanup(void *unused)
{
    (void)unused;
    ENTER(CLEANUP);
    wrong += work(3) != 4;
    __atomic_add_fetch(&returns[CLEANUP], 1, __ATOMIC_SEQ_CST);
}

static void wait_for(pid_t child)
{
    int status;
    wrong += waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

static void make_child(void)
{
    pid_t child = vfork();
    if (child == 0) {
        work(1);
        _exit(0);
    }
    wait_for(child);
}

PROBED long inner(long n)
{
    ENTER(INNER);
    if (is("exit") && n == 5) exit(wrong != 0);
    if (is("_exit") && n == 5) _exit(wrong != 0);
    if (is("exec") && n == 5) {
        print();
        execl("/proc/self/exe", self, "plain", (char *)NULL);
    }
    if (is("fork") && n == 5) {
        pid_t child = fork();
        if (child == 0) LEAVE(INNER, -1);
        wait_for(child);
    }
    if (is("vfork")) make_child();
    if (is("thread-exit") && n == 5) pthread_exit((void *)n);
    if ((is("deferred") || is("async")) && n == 5) {
        if (is("async")) pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
        pthread_cleanup_push(cleanup, NULL);
        __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
        if (is("async")) for (;;) __asm__ volatile("");
        for (;;) sleep(1);
        pthread_cleanup_pop(0);
    }
    if (is("kill") && n == 5) {
        if (__atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST) == 3) kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    LEAVE(INNER, work(n) + 1);
}

PROBED long outer(long n)
{
    ENTER(OUTER);
    LEAVE(OUTER, inner(n) + 1);
}

static void *run(void *unused)
{
    (void)unused;
    for (long n = 0; n < 6; n++) wrong += outer(n) != n + 3;
    return NULL;
}

static void run_threads(int count)
{
    pthread_t threads[5];
    for (int i = 0; i < count; i++) pthread_create(&threads[i], NULL, run, NULL);
    if (is("deferred") || is("async")) {
        while (inside < count) usleep(1000);
        for (int i = 0; i < count; i++) pthread_cancel(threads[i]);
    }
    for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
}

static void at_exit(void)
{
    wrong += outer(1) != 4;
    print();
}

int main(int argc, char **argv)
{
    self = argv[0];
    mode = argc > 1 ? argv[1] : "plain";
    if (is("exit")) atexit(at_exit);
    if (is("thread-exit") || is("deferred") || is("async")) {
        run_threads(5);
    } else if (is("kill")) {
        run_threads(3);
    } else if (is("vforks")) {
        for (int i = 0; i < 5; i++) {
            pid_t child = vfork();
            if (child == 0) {
                char *const arguments[] = { "true", NULL }, *const none[] = { NULL };
                execve("/bin/true", arguments, none);
                _exit(1);
            }
            wait_for(child);
        }
    } else {
        for (long n = 0; n < 6; n++) {
            long value = outer(n);
            if (value == 0 && is("fork")) _exit(wrong != 0);
            wrong += value != n + 3;
        }
    }
    print();
    return wrong == 0 ? 0 : 1;
}
