/* A library with a private and an exported function, and a constructor. */

static volatile long sink;

__attribute__((noipa, visibility("hidden"))) void library_private(long n) { sink = sink + n; }

__attribute__((visibility("default"))) void library_exported(long n)
{
    library_private(n);
    library_private(n + 1);
}
