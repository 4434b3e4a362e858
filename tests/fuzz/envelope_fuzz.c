/* Stored records. The first octet chooses: 0: the rest is a record; else: the rest is an envelope,
 * put into a record with good checksums, so that what is behind them is reached too. */
#include "lib/queue/envelope.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct stored_bond bond;
    struct arena a = ARENA_INIT;
    struct buf record = BUF_INIT, why = BUF_INIT;
    struct stored s;
    if (size == 0)
        return 0;
    struct span rest = span_of(data + 1, size - 1);
    if (data[0] == 0) {
        buf_put(&record, rest);
    } else {
        struct queue_id id = queue_id_make(INT64_C(1700000000123456), data[0]);
        size_t text = data[0] % 16 < rest.n ? data[0] % 16 : rest.n;
        stored_put(&record, &bond, &id, span_slice(rest, text, rest.n), span_slice(rest, 0, text));
    }
    /* A copy of exactly that size, so that a sanitizer sees a read beyond it. */
    char *exact = malloc(record.len ? record.len : 1);
    if (record.len)
        memcpy(exact, record.data, record.len);
    if (stored_get(&a, span_of(exact, record.len), &bond, &s, &why)) {
        struct buf log = BUF_INIT;
        if (s.text_offset + s.text_size > record.len || s.length > record.len || s.envelope.recipients.n == 0)
            abort();
        msg_stored_envelope_log(&log, &s.envelope);
        buf_fini(&log);
    }
    (void)stored_get_head(&a, span_of(exact, record.len), &bond, record.len, &s, NULL);
    free(exact);
    buf_fini(&record);
    buf_fini(&why);
    arena_fini(&a);
    return 0;
}
