/*
 * Calls a private function, an exported one and IFUNCs of libc, each a known number of times, through volatile
 * pointers so that the compiler cannot take them out. With an argument it first waits for a line, each round anew,
 * and ends at the end of the input.
 *
 * Prints `ready` where it waits, then `private 21 / exported 34 / memcpy 55 / strlen 89 / strchr 13` and `ok`.
 */
#include <stdio.h>
#include <string.h>

static volatile long sink;

__attribute__((noipa)) static void private_work(long n) { sink = sink + n; }
__attribute__((noipa, visibility("default"))) void exported_work(long n) { sink = sink + n * 2; }

static void *(*volatile copy)(void *, const void *, size_t) = memcpy;
static size_t (*volatile length)(const char *) = strlen;
static char *(*volatile find)(const char *, int) = strchr;

static void round_of_calls(void)
{
    char to[64], from[64] = "some text";
    for (int n = 0; n < 21; n++) private_work(n);
    for (int n = 0; n < 34; n++) exported_work(n);
    for (int n = 0; n < 55; n++) copy(to, from, sizeof from);
    for (int n = 0; n < 89; n++) sink = sink + (long)length(from);
    for (int n = 0; n < 13; n++) sink = sink + (find(from, 'x') != NULL);
}

int main(int argc, char **argv)
{
    char line[16];
    int rounds = 0;
    (void)argv;
    if (argc == 1) {
        round_of_calls();
        puts("private 21\nexported 34\nmemcpy 55\nstrlen 89\nstrchr 13\nok");
        return 0;
    }
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        round_of_calls();
        printf("round %d\n", ++rounds);
        fflush(stdout);
    }
    return 0;
}
