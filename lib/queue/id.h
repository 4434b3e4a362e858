/* Queue IDs: the names of messages, in Postfix's long form.
 *
 * Ten characters of time (six of seconds, four of microseconds, base 52: digits and
 * letters without vowels), a 'z', and a number in base 51 (the same without z). The
 * number is the incarnation of the process that drew the ID, which master gives to no
 * two processes of a queue directory; inside a process no time is used twice. So an ID
 * is never used twice, across restarts and steps of the clock too, and drawing one
 * needs no disk. The number has four digits at least, so that an ID has the fifteen
 * characters that some log tools ask for.
 *
 * Any process may call these; none waits or fails. */
#ifndef QUEUE_ID_H
#define QUEUE_ID_H

#include "lib/base/span.h"

enum {
    QUEUE_ID_MIN = 15, /* characters of the shortest */
    QUEUE_ID_MAX = 23, /* characters of the longest: 10 of time, z, 12 for a number of 64 bits */
};

/* Equal IDs are equal byte by byte: unused bytes are zero. */
struct queue_id {
    char text[QUEUE_ID_MAX + 1]; /* terminated */
};

/* Where a process draws its IDs. */
struct queue_id_source {
    uint64_t incarnation; /* of this process */
    int64_t last_us;      /* the time in the last ID; 0 before the first */
};

/* A fresh ID: its time is now, or one microsecond after the last one where the clock has not gone on. */
struct queue_id queue_id_draw(struct queue_id_source *s);

/* The ID of a moment (microseconds since 1970) and a number. Moments outside 1982..2596, which do not
 * have six characters of seconds, are moved to the nearest that has. */
struct queue_id queue_id_make(int64_t us, uint64_t number);

/* Reads an ID that came from outside.
 * result: false where text is not one, or is not the form in which we write it (id is untouched) */
bool queue_id_parse(struct span text, struct queue_id *id);

/* The moment in the ID, microseconds since 1970, and the number in it. */
int64_t queue_id_time_us(const struct queue_id *id);
uint64_t queue_id_number(const struct queue_id *id);

/* By time, then by number. result: <0, 0, >0 */
int queue_id_compare(const struct queue_id *a, const struct queue_id *b);

static inline struct span queue_id_span(const struct queue_id *id)
{
    return (struct span){id->text, strlen(id->text)};
}

#endif
