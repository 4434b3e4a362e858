/* Time. Intervals and deadlines use the monotonic clock, stored times the wall clock.
 *
 * Any process may call these; none waits or fails. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* A moment on the monotonic clock, in milliseconds. Deadlines are absolute. */
typedef int64_t mono_ms;
#define MONO_NEVER INT64_MAX

/* result: now */
mono_ms clock_mono(void);
/* now + seconds; MONO_NEVER where the sum would pass it. */
mono_ms clock_after(int64_t seconds);
mono_ms clock_after_ms(int64_t milliseconds);

/* Wall clock, microseconds since 1970. */
int64_t clock_wall_us(void);
/* Wall clock, seconds since 1970. */
int64_t clock_wall(void);

#endif
