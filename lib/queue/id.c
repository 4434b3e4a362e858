#include "lib/queue/id.h"
#include "lib/base/clock.h"

enum {
    SECONDS_DIGITS = 6,
    MICROS_DIGITS = 4,
    NUMBER_AT = SECONDS_DIGITS + MICROS_DIGITS + 1,
    NUMBER_DIGITS_MIN = 4,
    NUMBER_DIGITS_MAX = QUEUE_ID_MAX - NUMBER_AT,
    TIME_BASE = 52,
    NUMBER_BASE = 51, /* without z, which ends the time */
};

static const char alphabet[] = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz";

static const int64_t million = 1000000;
/* The seconds that have exactly six digits: 52^5 .. 52^6 - 1. */
static const int64_t seconds_least = 380204032;
static const int64_t seconds_most = 19770609663;

/* value in exactly digits digits. */
static void put_digits(char *to, unsigned digits, unsigned base, uint64_t value)
{
    for (unsigned i = digits; i > 0; i--) {
        to[i - 1] = alphabet[value % base];
        value /= base;
    }
}

/* result: false for a character outside the base, or a value over 64 bits */
static bool get_digits(struct span text, unsigned base, uint64_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < text.n; i++) {
        const char *digit = text.p[i] ? memchr(alphabet, text.p[i], base) : NULL;
        if (!digit || __builtin_mul_overflow(sum, (uint64_t)base, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(digit - alphabet), &sum))
            return false;
    }
    *value = sum;
    return true;
}

struct queue_id queue_id_make(int64_t us, uint64_t number)
{
    struct queue_id id = {0};
    unsigned digits = NUMBER_DIGITS_MIN;
    if (us < seconds_least * million)
        us = seconds_least * million;
    if (us >= (seconds_most + 1) * million)
        us = (seconds_most + 1) * million - 1;
    put_digits(id.text, SECONDS_DIGITS, TIME_BASE, (uint64_t)(us / million));
    put_digits(id.text + SECONDS_DIGITS, MICROS_DIGITS, TIME_BASE, (uint64_t)(us % million));
    id.text[NUMBER_AT - 1] = 'z';
    for (uint64_t rest = number / (51 * 51 * 51 * 51); rest > 0; rest /= NUMBER_BASE)
        digits++;
    put_digits(id.text + NUMBER_AT, digits, NUMBER_BASE, number);
    return id;
}

struct queue_id queue_id_draw(struct queue_id_source *s)
{
    int64_t now = clock_wall_us();
    if (now < seconds_least * million)
        now = seconds_least * million; /* a clock that was never set: still count up */
    s->last_us = now > s->last_us ? now : s->last_us + 1;
    return queue_id_make(s->last_us, s->incarnation);
}

bool queue_id_parse(struct span text, struct queue_id *id)
{
    uint64_t seconds, micros, number;
    if (text.n < QUEUE_ID_MIN || text.n > QUEUE_ID_MAX || text.p[NUMBER_AT - 1] != 'z' ||
        !get_digits(span_slice(text, 0, SECONDS_DIGITS), TIME_BASE, &seconds) ||
        !get_digits(span_slice(text, SECONDS_DIGITS, NUMBER_AT - 1), TIME_BASE, &micros) ||
        !get_digits(span_skip(text, NUMBER_AT), NUMBER_BASE, &number) || micros >= (uint64_t)million)
        return false;
    struct queue_id made = queue_id_make((int64_t)seconds * million + (int64_t)micros, number);
    if (!span_eq(queue_id_span(&made), text)) /* leading zeros, too early a time */
        return false;
    *id = made;
    return true;
}

int64_t queue_id_time_us(const struct queue_id *id)
{
    uint64_t seconds = 0, micros = 0;
    (void)get_digits(span_of(id->text, SECONDS_DIGITS), TIME_BASE, &seconds);
    (void)get_digits(span_of(id->text + SECONDS_DIGITS, MICROS_DIGITS), TIME_BASE, &micros);
    return (int64_t)seconds * million + (int64_t)micros;
}

uint64_t queue_id_number(const struct queue_id *id)
{
    uint64_t number = 0;
    (void)get_digits(span_skip(queue_id_span(id), NUMBER_AT), NUMBER_BASE, &number);
    return number;
}

int queue_id_compare(const struct queue_id *a, const struct queue_id *b)
{
    /* The alphabet ascends in ASCII, so the times compare as bytes; a longer number is greater. */
    int by_time = memcmp(a->text, b->text, NUMBER_AT);
    if (by_time != 0)
        return by_time;
    size_t an = strlen(a->text), bn = strlen(b->text);
    if (an != bn)
        return an < bn ? -1 : 1;
    return memcmp(a->text, b->text, an);
}
