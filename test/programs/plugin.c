/*
 * The plugin of dlopener.c (gcc -shared -fPIC). plugin_work() says how often it has been called since the
 * plugin was loaded; a constructor calls it once too. Prints nothing.
 */
static volatile long calls;

__attribute__((noipa)) long plugin_work(long n)
{
    calls++;
    return n * 2 + 1;
}

long plugin_calls(void)
{
    return calls;
}

__attribute__((constructor)) static void begin(void)
{
    plugin_work(0);
}
