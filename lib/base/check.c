#include "lib/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void (*check_hook)(const char *line); /* set once at start */

void check_set_hook(void (*hook)(const char *line))
{
    check_hook = hook;
}

void check_failed(const char *file, int line, const char *what)
{
    char text[512];
    int n = snprintf(text, sizeof text, "panic: %s:%d: %s", file, line, what);
    if (check_hook)
        check_hook(text);
    else if (n > 0)
        (void)!write(2, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    abort();
}
