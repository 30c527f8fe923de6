/*
 * A target of bench/arming.ts with a real library in it: loads libcrypto.so.3 and waits. For each byte on standard input it
 * computes one SHA-256 with it and prints `digest ba7816bf` (that of "abc"). Prints `ready PID` first, ends at end of input,
 * and with 3 when there is no libcrypto.so.3.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    void *library = dlopen("libcrypto.so.3", RTLD_NOW);
    if (library == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return 3;
    }
    unsigned char *(*sha256)(const void *, size_t, unsigned char *) =
        (unsigned char *(*)(const void *, size_t, unsigned char *))(intptr_t)dlsym(library, "SHA256");
    if (sha256 == NULL) return 3;
    printf("ready %d\n", getpid());
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) == 1) {
        unsigned char digest[32];
        sha256("abc", 3, digest);
        printf("digest %02x%02x%02x%02x\n", digest[0], digest[1], digest[2], digest[3]);
        fflush(stdout);
    }
    return 0;
}
