/*
 * Loads and unloads a plugin again and again, for probes that wait for a library and for sites that vanish.
 *
 *   dlopener PLUGIN.so [ROUNDS]        default 3
 *
 * In each round: dlopen, ten calls of plugin_work() (and one by the plugin's constructor), dlclose. After each
 * round the place where plugin_work() was is filled with an anonymous mapping of zeros, so that the next round's
 * plugin lies elsewhere and whoever still writes to the old place is found out.
 *
 * Prints `round 1: 11 calls`, ..., then `stale writes 0` and `ok`.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { PAGE = 4096, ROUNDS_MAX = 100 };

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: dlopener PLUGIN.so [ROUNDS]\n");
        return 2;
    }
    int rounds = argc > 2 ? atoi(argv[2]) : 3, wrong = 0, fillers = 0;
    static unsigned char *filled[ROUNDS_MAX];
    if (rounds > ROUNDS_MAX) rounds = ROUNDS_MAX;
    for (int round = 1; round <= rounds; round++) {
        void *plugin = dlopen(argv[1], RTLD_NOW);
        if (plugin == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 2;
        }
        long (*work)(long) = (long (*)(long))(intptr_t)dlsym(plugin, "plugin_work");
        long (*calls)(void) = (long (*)(void))(intptr_t)dlsym(plugin, "plugin_calls");
        for (long n = 0; n < 10; n++) wrong += work(n) != 2 * n + 1;
        printf("round %d: %ld calls\n", round, calls());
        fflush(stdout);
        wrong += calls() != 11;
        void *page = (void *)((uintptr_t)work & ~(uintptr_t)(PAGE - 1));
        dlclose(plugin);
        if (dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD) != NULL) {
            printf("WRONG: still loaded\n");
            wrong++;
        }
        unsigned char *filler = mmap(page, PAGE, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        if (filler == page) filled[fillers++] = filler;
    }
    int stale = 0;
    for (int i = 0; i < fillers; i++) {
        for (int offset = 0; offset < PAGE; offset++) stale += filled[i][offset] != 0;
    }
    printf("stale writes %d\n%s\n", stale, wrong == 0 && stale == 0 ? "ok" : "WRONG");
    return wrong == 0 && stale == 0 ? 0 : 1;
}
