/*
 * Real work of libraries, whose results are printed, so that they can be held against those of a run without
 * probes: chores sort|print|alloc|strings|inflate|regex|double|digest [N]. N is how much of it.
 *
 * Before the work it raises SIGURG, which does nothing: whoever counts instructions begins there. Then it calls
 * begun(), for probes to be put in, with the table that `strings` goes through: functions of libc by kind, which
 * it checks against plain loops. Prints `NAME RESULT` lines, and ends with 0.
 *
 * With -DWITH_Z it has `inflate`, with -DWITH_CRYPTO `digest`.
 */
#define _GNU_SOURCE
#include <locale.h>
#include <math.h>
#include <regex.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef WITH_Z
#include <zlib.h>
#endif
#ifdef WITH_CRYPTO
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/aes.h>
#include <openssl/sha.h>
#endif

enum { VARIANTS_MAX = 256 };
enum { MEMCPY, MEMSET, STRLEN, MEMCHR, STRCHR, MEMCMP, STRCMP, STRCPY, STRNLEN, STRRCHR, KINDS };

struct Variants {
    uint64_t count;
    struct { uint64_t kind; uint64_t function; } rows[VARIANTS_MAX];
};

static struct Variants variants;
static unsigned long seed = 12345;
static long amount;

static unsigned long next(void)
{
    seed = seed * 6364136223846793005UL + 1442695040888963407UL;
    return seed >> 33;
}

static unsigned long sumOf(const void *data, size_t size)
{
    unsigned long sum = 0;
    for (size_t i = 0; i < size; i++) sum = sum * 31 + ((const unsigned char *)data)[i];
    return sum;
}

__attribute__((noipa)) void begun(struct Variants *table)
{
    __asm__ volatile("" ::"r"(table) : "memory");
}

static int compareLongs(const void *a, const void *b)
{
    long left = *(const long *)a, right = *(const long *)b;
    return left < right ? -1 : left > right;
}

static void sort(void)
{
    long values[2000], count = amount < 2000 ? amount : 2000;
    for (long i = 0; i < count; i++) values[i] = (long)next();
    qsort(values, (size_t)count, sizeof values[0], compareLongs);
    for (long i = 1; i < count; i++)
        if (values[i - 1] > values[i]) puts("NOT SORTED");
    long *found = bsearch(&values[count / 3], values, (size_t)count, sizeof values[0], compareLongs);
    printf("sort %lu at %ld\n", sumOf(values, (size_t)count * sizeof values[0]), found == NULL ? -1L : (long)(found - values));
}

static void print(void)
{
    char text[512];
    for (long i = 0; i < amount; i++) {
        int got = 0, size = snprintf(text, sizeof text, "%d %5u|%-8s|%08.3f %g %Lf %e %a %*d %c %ld%% %#x %+i %.3s%n", (int)next(),
                           (unsigned)next(), "left", (double)next() / 7, 1.0 / (double)(i + 1), (long double)i / 3,
                           (double)next(), (double)i, 9, (int)i, 'a' + (int)(i % 26), i, (unsigned)i, (int)i, "abcdef", &got);
        printf("print %s %d %d\n", text, size, got);
        double back = 0;
        long first = 0;
        unsigned second = 0;
        int fields = sscanf(text, "%ld %u|left    |%lf", &first, &second, &back);
        printf("scan %d %ld %u %.6f\n", fields, first, second, back);
    }
}

static void allocate(void)
{
    enum { HELD = 64 };
    unsigned char *held[HELD] = { NULL };
    size_t sizes[HELD] = { 0 };
    unsigned long sum = 0;
    for (long i = 0; i < amount; i++) {
        unsigned long slot = next() % HELD;
        if (held[slot] != NULL) {
            sum = sum * 31 + sumOf(held[slot], sizes[slot] < 16 ? sizes[slot] : 16);
            if (next() % 4 == 0) {
                sizes[slot] = 1 + next() % 3000;
                held[slot] = realloc(held[slot], sizes[slot]);
                if (held[slot] == NULL) abort();
                held[slot][sizes[slot] - 1] = (unsigned char)i;
                continue;
            }
            free(held[slot]);
        }
        sizes[slot] = 1 + (next() % 8 == 0 ? next() % 200000 : next() % 400);
        held[slot] = next() % 3 == 0 ? calloc(1, sizes[slot]) : malloc(sizes[slot]);
        if (held[slot] == NULL) abort();
        memset(held[slot], (int)i, sizes[slot]);
    }
    for (int i = 0; i < HELD; i++) free(held[i]);
    printf("alloc %lu\n", sum);
}

static unsigned char source[1 << 19], target[1 << 19], wanted[1 << 19];

static int signOf(int value)
{
    return (value > 0) - (value < 0);
}

/* One function of libc at one size and alignment, against a plain loop. Gives 1 when it is wrong. */
static int isWrong(uint64_t kind, void *function, size_t size, size_t from, size_t to)
{
    const char *text = (const char *)source + from;
    size_t at = size > 3 ? size - 3 : 0;
    int wrong = 0;
    switch (kind) {
    case MEMCPY: {
        void *(*copy)(void *, const void *, size_t) = (void *(*)(void *, const void *, size_t))function;
        for (size_t i = 0; i < size + 64; i++) target[to + i] = wanted[to + i] = 0x55;
        for (size_t i = 0; i < size; i++) wanted[to + i] = source[from + i];
        wrong = copy(target + to, source + from, size) != target + to;
        return wrong || sumOf(target + to, size + 64) != sumOf(wanted + to, size + 64);
    }
    case MEMSET: {
        void *(*set)(void *, int, size_t) = (void *(*)(void *, int, size_t))function;
        for (size_t i = 0; i < size + 64; i++) target[to + i] = wanted[to + i] = 0x55;
        for (size_t i = 0; i < size; i++) wanted[to + i] = 0xa7;
        wrong = set(target + to, 0xa7, size) != target + to;
        return wrong || sumOf(target + to, size + 64) != sumOf(wanted + to, size + 64);
    }
    default:
        break;
    }
    unsigned char kept = source[from + size], marked = source[from + at];
    source[from + size] = 0;
    if (size > 0) source[from + at] = 1;
    switch (kind) {
    case STRLEN:
        wrong = ((size_t(*)(const char *))function)(text) != size;
        break;
    case STRNLEN:
        wrong = ((size_t(*)(const char *, size_t))function)(text, size + 5) != size;
        break;
    case MEMCHR:
        wrong = ((void *(*)(const void *, int, size_t))function)(text, 1, size) != (size > 0 ? text + at : NULL);
        break;
    case STRCHR:
    case STRRCHR:
        wrong = ((char *(*)(const char *, int))function)(text, 1) != (size > 0 ? text + at : NULL);
        break;
    case MEMCMP:
    case STRCMP: {
        for (size_t i = 0; i <= size; i++) target[to + i] = source[from + i];
        if (size > 0) target[to + at] = 2;
        const char *other = (const char *)target + to;
        int got = kind == MEMCMP ? ((int (*)(const void *, const void *, size_t))function)(text, other, size)
                                 : ((int (*)(const char *, const char *))function)(text, other);
        wrong = signOf(got) != (size > 0 ? -1 : 0);
        break;
    }
    case STRCPY:
        ((char *(*)(char *, const char *))function)((char *)target + to, text);
        wrong = sumOf(target + to, size + 1) != sumOf(text, size + 1);
        break;
    }
    source[from + size] = kept;
    source[from + at] = marked;
    return wrong;
}

static void strings(void)
{
    static const size_t sizes[] = { 0, 1, 3, 7, 8, 15, 16, 31, 33, 63, 64, 100, 129, 255, 300, 600, 1100, 4200 };
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    for (size_t i = 0; i < sizeof source; i++) source[i] = (unsigned char)(2 + next() % 250);
    long wrong = 0, done = 0;
    for (uint64_t row = 0; row < variants.count; row++) {
        void *function = (void *)(uintptr_t)variants.rows[row].function;
        uint64_t kind = variants.rows[row].kind;
        for (int i = 0; i < SIZES; i++) {
            if (sizes[i] > (size_t)amount) continue;
            int bad = isWrong(kind, function, sizes[i], (size_t)i * 5 % 33, (size_t)i * 7 % 65);
            if (bad) printf("WRONG kind %lu at %p size %zu\n", kind, function, sizes[i]);
            wrong += bad;
            done++;
        }
        /* Large enough for what goes by pages, or past the caches. */
        if (kind <= MEMSET && amount >= 4200) wrong += isWrong(kind, function, 200000, 3, 9);
        /* memmove and its kin, which overlap */
    }
    printf("variants %lu\nwrong %ld\nat least one each %d\n", variants.count, wrong, done >= (long)variants.count);
}

static void inflateSome(void)
{
#ifdef WITH_Z
    static unsigned char packed[1 << 18], back[1 << 18];
    size_t size = (size_t)amount;
    for (size_t i = 0; i < size; i++) source[i] = (unsigned char)("the quick brown fox "[(i * i / 7 + next() % 3) % 20]);
    for (int level = 0; level <= 9; level += 3) {
        uLongf packedSize = sizeof packed, backSize = sizeof back;
        int first = compress2(packed, &packedSize, source, size, level);
        int second = uncompress(back, &backSize, packed, packedSize);
        printf("inflate %d %d %lu %lu %lu %d\n", first, second, packedSize, backSize, sumOf(back, backSize),
               memcmp(back, source, size));
    }
    packed[10] ^= 0xff;
    uLongf backSize = sizeof back;
    printf("broken %d\n", uncompress(back, &backSize, packed, 100));
#endif
}

static void matchRegex(void)
{
    static const char *const patterns[] = { "^([a-z]+)[ ]([a-z]+)$", "(a|ab)(c|bcd)(d*)", "\\([0-9]*\\)x\\1", "[[:upper:]][^aeiou]{2,4}$",
                                            "(fox|dog)+.*lazy", "x*y?z+" };
    static const char *const texts[] = { "hello world", "abcd", "12x12", "The Fxyz", "the quick brown fox jumps over the lazy dog",
                                         "xxyzz", "" };
    for (long round = 0; round < amount; round++) {
        for (size_t p = 0; p < sizeof patterns / sizeof patterns[0]; p++) {
            regex_t regex;
            int flags = p == 2 ? 0 : REG_EXTENDED;
            int error = regcomp(&regex, patterns[p], flags | (round % 2 != 0 ? REG_ICASE : 0));
            if (error != 0) {
                printf("regcomp %d\n", error);
                continue;
            }
            for (size_t t = 0; t < sizeof texts / sizeof texts[0]; t++) {
                regmatch_t found[4];
                int got = regexec(&regex, texts[t], 4, found, 0);
                printf("%d", got);
                for (int i = 0; got == 0 && i < 4; i++) printf(" %d,%d", found[i].rm_so, found[i].rm_eo);
                printf(";");
            }
            printf("\n");
            regfree(&regex);
        }
    }
}

static void doubles(void)
{
    char text[64];
    for (long i = 0; i < amount; i++) {
        double x = (double)next() / 1e6 * (i % 3 == 0 ? 1e-300 : i % 3 == 1 ? 1 : 1e200);
        snprintf(text, sizeof text, "%.17g", x);
        char *end;
        double back = strtod(text, &end);
        long double wide = strtold(text, NULL);
        printf("double %s %d %c %.20Lg %a\n", text, back == x, *end == 0 ? '.' : *end, wide, strtof(text, NULL));
        double y = (double)(i + 1) / 3;
        printf("%.17g %.17g %.17g %.17g %.17g %.17Lg\n", sin(y), exp(y), pow(y, 1.7), log(y), fmod(x, y), sinl((long double)y));
    }
    printf("%s %s %s\n", (snprintf(text, sizeof text, "%f", 0.0 / 0.0), text[0] == '-' ? "-nan" : "nan"),
           isinf(strtod("inf", NULL)) ? "inf" : "?", strtod("0x1.8p3", NULL) == 12 ? "hex" : "?");
}

static void digest(void)
{
#ifdef WITH_CRYPTO
    for (size_t i = 0; i < 4096; i++) source[i] = (unsigned char)next();
    unsigned char hash[SHA512_DIGEST_LENGTH];
    for (long i = 0; i < amount; i++) {
        SHA256(source, 100 + (size_t)i * 64, hash);
        printf("sha256 %lx\n", sumOf(hash, 32));
        SHA512(source, 100 + (size_t)i * 128, hash);
        printf("sha512 %lx\n", sumOf(hash, 64));
        SHA1(source, 100 + (size_t)i * 64, hash);
        printf("sha1 %lx\n", sumOf(hash, 20));
        AES_KEY key;
        AES_set_encrypt_key(source, 256, &key);
        AES_encrypt(source + 100, hash, &key);
        printf("aes %lx ", sumOf(hash, 16));
        AES_set_decrypt_key(source, 256, &key);
        AES_decrypt(hash, hash, &key);
        printf("%d\n", memcmp(hash, source + 100, 16));
    }
#endif
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "sort";
    amount = argc > 2 ? atol(argv[2]) : 10;
    if (argc > 3) setlocale(LC_ALL, argv[3]);
    raise(SIGURG);
    begun(&variants);
    if (strcmp(name, "sort") == 0) sort();
    if (strcmp(name, "print") == 0) print();
    if (strcmp(name, "alloc") == 0) allocate();
    if (strcmp(name, "strings") == 0) strings();
    if (strcmp(name, "inflate") == 0) inflateSome();
    if (strcmp(name, "regex") == 0) matchRegex();
    if (strcmp(name, "double") == 0) doubles();
    if (strcmp(name, "digest") == 0) digest();
    puts("done");
    return 0;
}
