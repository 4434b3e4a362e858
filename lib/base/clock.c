#include "lib/base/clock.h"

#include <time.h>

mono_ms clock_mono(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

mono_ms clock_after(int64_t seconds)
{
    return seconds > INT64_MAX / 2000 ? MONO_NEVER : clock_after_ms(seconds * 1000);
}

mono_ms clock_after_ms(int64_t milliseconds)
{
    mono_ms now = clock_mono();
    return milliseconds > MONO_NEVER - now ? MONO_NEVER : now + milliseconds;
}

int64_t clock_wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_wall(void)
{
    return clock_wall_us() / 1000000;
}
