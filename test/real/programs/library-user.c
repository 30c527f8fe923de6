/* Calls library_exported() 15 times, and it library_private() 30 times. Prints `ok`. */
#include <stdio.h>

void library_exported(long n);

int main(void)
{
    for (int n = 0; n < 15; n++) library_exported(n);
    puts("ok");
    return 0;
}
