/*
 * A system call instruction of the program's own, `sysinsn`, for a probe on it: what it returns, the
 * rcx it leaves (the address after it), a child forked by it, and calls that a signal interrupts,
 * with and without SA_RESTART.
 *
 * Prints `wrong 0` and ends with 0 when everything was as it is without a probe. `sysinsn` is executed
 * 104 times in the first process: 100 getpid, fork, nanosleep, and a read that is restarted once.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

long make(long number, long first, long second, long third);
long rcxAfter;
__asm__(".globl make, sysinsn\n"
        "make: mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n"
        "sysinsn: syscall\n mov %rcx, rcxAfter(%rip)\n ret\n");
extern char sysinsn[];

static int handled, wrong;

static void handle(int signal)
{
    (void)signal;
    handled++;
}

static int showsOwnAddress(void)
{
    return rcxAfter == (long)(uintptr_t)(sysinsn + 2);
}

int main(void)
{
    for (int n = 0; n < 100; n++) {
        wrong += make(SYS_getpid, 0, 0, 0) != getpid();
        wrong += !showsOwnAddress();
    }
    long child = make(SYS_fork, 0, 0, 0);
    if (child == 0) _exit(showsOwnAddress() ? 7 : 3);
    int status = 0;
    waitpid((pid_t)child, &status, 0);
    wrong += WEXITSTATUS(status) != 7;

    struct sigaction action = { .sa_handler = handle };
    sigaction(SIGALRM, &action, NULL);
    struct itimerval soon = { { 0, 0 }, { 0, 20000 } };
    setitimer(ITIMER_REAL, &soon, NULL);
    struct timespec second = { 1, 0 };
    wrong += make(SYS_nanosleep, (long)&second, 0, 0) != -EINTR;
    wrong += handled != 1;

    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    int ends[2];
    char byte;
    wrong += pipe(ends) != 0;
    if (fork() == 0) {
        usleep(200000);
        _exit(write(ends[1], "x", 1) != 1);
    }
    setitimer(ITIMER_REAL, &soon, NULL);
    wrong += make(SYS_read, ends[0], (long)&byte, 1) != 1;
    wrong += handled != 2;
    printf("wrong %d\n", wrong);
    return wrong != 0;
}
