/* A journal segment as the disk may hold it: nothing that it says stops the reader, and
 * what is reported lies inside it. The first octet says whether the segment is the last,
 * and whether the rest is taken as it is or as bodies that get good heads (cut at "\n"). */
#include "lib/base/check.h"
#include "lib/queue/journal.h"
#include "lib/queue/journal_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    size_t octets;
    uint64_t entries, damaged;
};

static void take_entry(const struct msg_journal_entry *e, int64_t written_us, uint64_t segment, void *context)
{
    struct seen *seen = context;
    struct buf again = BUF_INIT;
    (void)written_us;
    CHECK(segment == 1);
    CHECK(e->id.n <= JOURNAL_ENTRY_MAX && e->text.n <= JOURNAL_ENTRY_MAX);
    msg_journal_entry_log(&again, e);
    buf_fini(&again);
    seen->entries++;
}

static void take_damage(struct span id, int64_t before_us, const char *what, void *context)
{
    struct seen *seen = context;
    (void)before_us;
    CHECK(id.n <= JOURNAL_ENTRY_MAX && what[0]);
    seen->damaged++;
}

static void put_record(struct buf *out, struct span body, uint32_t batch)
{
    struct record_head head = {.length = (uint32_t)body.n,
                               .batch = batch,
                               .flags = RECORD_FIRST,
                               .id_sum = journal_id_sum(span_skip(body, 5))};
    head.sum = journal_record_sum(&head, body, 1, out->len);
    buf_put(out, span_of(&head, sizeof head));
    buf_put(out, body);
    while (out->len % RECORD_ALIGN)
        buf_putc(out, '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {.octets = size};
    struct journal_reader reader = {take_entry, take_damage, &seen};
    struct buf octets = BUF_INIT;
    if (size == 0)
        return 0;
    struct span rest = span_of(data + 1, size - 1), body;
    if (data[0] & 2) {
        uint32_t batch = 0;
        while (octets.len < SEGMENT_BEGIN)
            buf_putc(&octets, '\0');
        while (span_next_token(&rest, SPAN("\n"), &body))
            if (body.n <= JOURNAL_ENTRY_MAX)
                put_record(&octets, body, ++batch);
    } else {
        buf_put(&octets, rest);
    }
    journal_parse(buf_span(&octets), 1, data[0] & 1, &reader);
    CHECK(seen.entries + seen.damaged <= octets.len);
    buf_fini(&octets);
    return 0;
}
