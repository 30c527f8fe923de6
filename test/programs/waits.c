/*
 * Every way to wait for a signal, or to be cut short by one, with what each has to give: twice each, with a
 * helper process that sends after a while. The results are those of signal(7) for a program without a tracer.
 *
 * Prints `NAME ok`, or `NAME WRONG RESULT ERRNO HANDLED`; then `stops ok` and `ok`. Job control is part of it: a
 * child that works is stopped and continued by SIGSTOP, SIGTSTP and SIGTTIN, and its parent is told.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int handled;
static int wrong, ends[2], quiet[2], eventFd, signalFd;
static sigset_t one, none;
static pid_t self;

static void onSignal(int signal)
{
    (void)signal;
    handled++;
}

static void handle(int flags)
{
    struct sigaction action = { .sa_handler = onSignal, .sa_flags = flags };
    sigaction(SIGUSR1, &action, NULL);
    handled = 0;
}

static pid_t later(int sends, int writes)
{
    pid_t child = fork();
    if (child != 0) return child;
    usleep(20000);
    if (sends) sigqueue(self, SIGUSR1, (union sigval){ .sival_int = 77 });
    if (writes) usleep(20000);
    if (writes && write(ends[1], "x", 1) != 1) _exit(1);
    _exit(0);
}

static void check(const char *name, pid_t helper, long result, long wantedResult, int wantedErrno, int wantedHandled)
{
    int error = errno, status = 0;
    while (waitpid(helper, &status, 0) < 0 && errno == EINTR);
    int right = result == wantedResult && (result >= 0 || error == wantedErrno) && handled == wantedHandled && status == 0;
    if (right) printf("%s ok\n", name);
    else printf("%s WRONG %ld %d %d\n", name, result, error, handled);
    wrong += !right;
    handled = 0;
}

static void waitForSignals(void)
{
    struct timespec second = { 2, 0 }, soon = { 0, 5000000 };
    siginfo_t info;
    int number;
    sigprocmask(SIG_BLOCK, &one, NULL);
    handle(SA_RESTART);
    pid_t helper = later(1, 0);
    check("sigwait", helper, sigwait(&one, &number) == 0 ? number : -1, SIGUSR1, 0, 0);
    helper = later(1, 0);
    long got = sigwaitinfo(&one, &info);
    check("sigwaitinfo", helper, got == SIGUSR1 && info.si_code == SI_QUEUE && info.si_value.sival_int == 77, 1, 0, 0);
    helper = later(1, 0);
    check("sigtimedwait", helper, sigtimedwait(&one, &info, &second), SIGUSR1, 0, 0);
    helper = later(0, 0);
    check("sigtimedwait in vain", helper, sigtimedwait(&one, &info, &soon), -1, EAGAIN, 0);
    helper = later(1, 0);
    struct signalfd_siginfo read_ = { 0 };
    got = read(signalFd, &read_, sizeof read_);
    check("signalfd", helper, got == sizeof read_ && read_.ssi_signo == SIGUSR1 && read_.ssi_int == 77, 1, 0, 0);
    helper = later(1, 0);
    check("sigsuspend", helper, sigsuspend(&none), -1, EINTR, 1);
    helper = later(1, 0);
    struct pollfd input = { .fd = quiet[0], .events = POLLIN };
    check("ppoll", helper, ppoll(&input, 1, &second, &none), -1, EINTR, 1);
    helper = later(1, 0);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(quiet[0], &set);
    check("pselect", helper, pselect(quiet[0] + 1, &set, NULL, NULL, &second, &none), -1, EINTR, 1);
    helper = later(1, 0);
    struct epoll_event event;
    check("epoll_pwait", helper, epoll_pwait(eventFd, &event, 1, 2000, &none), -1, EINTR, 1);
    helper = later(1, 0);
    input = (struct pollfd){ .fd = signalFd, .events = POLLIN };
    got = poll(&input, 1, 2000);
    check("poll of a signalfd", helper, got == 1 && sigtimedwait(&one, NULL, &soon) == SIGUSR1, 1, 0, 0);
    sigprocmask(SIG_UNBLOCK, &one, NULL);
}

static void beCutShort(void)
{
    char byte;
    struct timespec second = { 2, 0 }, rest = { 0, 0 };
    handle(SA_RESTART);
    pid_t helper = later(1, 1);
    check("read, restarted", helper, read(ends[0], &byte, 1), 1, 0, 1);
    helper = later(1, 0);
    check("poll, not restarted", helper, poll(&(struct pollfd){ .fd = quiet[0], .events = POLLIN }, 1, 2000), -1, EINTR, 1);
    helper = later(1, 0);
    long got = nanosleep(&second, &rest);
    check("nanosleep", helper, got == -1 && errno == EINTR && rest.tv_sec == 1, 1, 0, 1);
    handle(0);
    helper = later(1, 1);
    check("read, cut short", helper, read(ends[0], &byte, 1), -1, EINTR, 1);
    if (read(ends[0], &byte, 1) != 1) wrong++;
    helper = later(1, 0);
    check("pause", helper, pause(), -1, EINTR, 1);
    signal(SIGUSR1, SIG_IGN);
    handled = 0;
    helper = later(1, 1);
    check("read, ignored", helper, read(ends[0], &byte, 1), 1, 0, 0);
    helper = later(1, 0);
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    got = nanosleep(&(struct timespec){ 0, 60000000 }, NULL);
    clock_gettime(CLOCK_MONOTONIC, &after);
    check("nanosleep, ignored", helper, got, 0, 0, 0);
    if ((after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec < 60000000) wrong++;
}

__attribute__((noipa)) long work(long n)
{
    __asm__ volatile("" ::: "memory");
    return n * n + 1;
}

static void stopAndGo(void)
{
    static const int kinds[] = { SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU };
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        for (long n = 0;; n++)
            if (work(n) != n * n + 1) _exit(1);
    }
    setpgid(child, child);
    int right = 1, status;
    for (int n = 0; n < 12; n++) {
        kill(child, kinds[n % 4]);
        right &= waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == kinds[n % 4];
        kill(child, SIGCONT);
        right &= waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status);
        usleep(2000);
    }
    kill(child, SIGTERM);
    right &= waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
    printf("stops %s\n", right ? "ok" : "WRONG");
    wrong += !right;
}

int main(void)
{
    self = getpid();
    sigemptyset(&one);
    sigemptyset(&none);
    sigaddset(&one, SIGUSR1);
    if (pipe(ends) != 0 || pipe(quiet) != 0) return 2;
    signalFd = signalfd(-1, &one, 0);
    eventFd = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLIN };
    epoll_ctl(eventFd, EPOLL_CTL_ADD, quiet[0], &event);
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int round = 0; round < 2; round++) {
        waitForSignals();
        beCutShort();
    }
    stopAndGo();
    puts(wrong == 0 ? "ok" : "WRONG");
    return wrong != 0;
}
