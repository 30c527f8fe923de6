/*
 * Maps each file of its arguments as a library would be, readable and executable, without looking at it. Prints
 * `ready`, waits for a line, calls work() and prints `called`.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

static volatile long sink;

__attribute__((noipa)) void work(long n) { sink = sink + n; }

int main(int argc, char **argv)
{
    char line[16];
    for (int i = 1; i < argc; i++) {
        struct stat stat;
        int file = open(argv[i], O_RDONLY);
        if (file < 0 || fstat(file, &stat) != 0) return 2;
        if (mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0) == MAP_FAILED) return 3;
    }
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        work(1);
        puts("called");
        fflush(stdout);
    }
    return 0;
}
