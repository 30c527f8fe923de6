/* What stubs of processes serve: functions that count their calls, a signal now and then, a fault that
   is mended, and at the end a line for each count. Room for slots is in its text. */

#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>
#include <unistd.h>

asm(".text\n.balign 64\n.globl room\nroom: .fill 8192, 1, 0xcc\n.globl room_end\nroom_end:\n");

static volatile long hot_calls, signals, faults;
volatile long sink;

__attribute__((noinline)) long hot(long number, const char *text)
{
	hot_calls++;
	sink += number + text[0];
	return 2 * number + 1;
}

__attribute__((noinline)) long recurse(long depth)
{
	long below = depth == 0 ? 0 : recurse(depth - 1);
	sink += below;
	return depth == 0 ? 0 : 1 + below;
}

extern char touch_read[], touch_done[];

__attribute__((noinline)) void touch(void)
{
	long value;
	asm volatile(".globl touch_read, touch_done\ntouch_read: mov (%1), %0\ntouch_done:"
		     : "=r"(value)
		     : "r"(8L));
}

static void on_signal(int signal) { signals++; }

static void on_fault(int signal, siginfo_t *info, void *context)
{
	greg_t *pc = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	if (*pc != (greg_t)touch_read || info->si_addr != (void *)8) abort();
	*pc = (greg_t)touch_done;
	faults++;
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 100;
	int is_calm = argc > 2;
	struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &action, 0);
	signal(SIGUSR1, on_signal);
	for (long round = 0; round < rounds; round++) {
		if (hot(round, "hello") != 2 * round + 1) abort();
		if (round % 10 == 0 && !is_calm) raise(SIGUSR1);
		if (round % 20 == 0 && !is_calm) touch();
		if (round % 5 == 0 && recurse(4) != 4) abort();
	}
	printf("hot %ld\nsignals %ld\nfaults %ld\n", hot_calls, signals, faults);
	return 7;
}
