/* A program for stubs of processes, of any architecture: functions that count their calls, and a line
   for each count at the end. */

#include <stdio.h>
#include <stdlib.h>

static volatile long hot_calls, recurse_calls;
volatile long sink;

__attribute__((noinline)) long hot(long number, const char *text)
{
	hot_calls++;
	sink += number + text[0];
	return 2 * number + 1;
}

__attribute__((noinline)) long recurse(long depth)
{
	recurse_calls++;
	long below = depth == 0 ? 0 : recurse(depth - 1);
	sink += below;
	return depth == 0 ? 0 : 1 + below;
}

int main(int argc, char **argv)
{
	long rounds = argc > 1 ? atol(argv[1]) : 20;
	for (long round = 0; round < rounds; round++) {
		if (hot(round, "hello") != 2 * round + 1) abort();
		if (recurse(3) != 3) abort();
	}
	printf("hot %ld\nrecurse %ld\n", hot_calls, recurse_calls);
	return argc > 2 ? (abort(), 1) : 7;
}
