/* Messages between processes: the first octet chooses which; the rest is its body. */
#include "lib/wire/all.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What decodes must encode to something that decodes to the same. */
#define FUNCTIONS(X)                                                                                \
    static void X##_check(struct span body)                                                        \
    {                                                                                              \
        struct arena a = ARENA_INIT;                                                               \
        struct buf once = BUF_INIT, twice = BUF_INIT, log = BUF_INIT;                              \
        struct msg_##X m;                                                                          \
        if (msg_##X##_get(&a, body, &m)) {                                                         \
            msg_##X##_put(&once, &m);                                                              \
            msg_##X##_log(&log, &m);                                                               \
            if (!msg_##X##_get(&a, buf_span(&once), &m))                                           \
                abort();                                                                           \
            msg_##X##_put(&twice, &m);                                                             \
            if (!span_eq(buf_span(&once), buf_span(&twice)))                                       \
                abort();                                                                           \
        }                                                                                          \
        buf_fini(&once);                                                                           \
        buf_fini(&twice);                                                                          \
        buf_fini(&log);                                                                            \
        arena_fini(&a);                                                                            \
    }
ALL_MESSAGES(FUNCTIONS)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(struct span body) = {
#define CHECK_OF(X) X##_check,
        ALL_MESSAGES(CHECK_OF)};
    if (size > 0)
        checks[data[0] % (sizeof checks / sizeof *checks)](span_of(data + 1, size - 1));
    return 0;
}
