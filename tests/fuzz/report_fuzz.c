/* A notification from a hostile request: the first octet chooses its use, the rest is the request.
 * Whatever was in it, the result is a message whose header and parts are ours. */
/* links: bounce */
#include "bounce/report.h"
#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing but printable ASCII, UTF-8 where it may be, tabs and line ends. */
static void check_bytes(struct span text, bool may_be_eight_bit)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = span_at(text, i);
        CHECK(byte_is_print(c) || c == '\n' || c == '\t' || (may_be_eight_bit && c >= 0x80));
    }
}

/* Each line of a header is one of a field, or continues it. */
static size_t check_header(struct span text)
{
    size_t at = 0;
    for (;;) {
        struct span line = span_slice(text, at, at + span_find(span_skip(text, at), '\n'));
        at += line.n + 1;
        if (line.n == 0)
            return at;
        CHECK(line.p[0] == '\t' || line.p[0] == ' ' || span_find(line, ':') < line.n);
        CHECK(at <= text.n);
    }
}

/* The boundary stands in front of three parts, and at the end. */
static void check_parts(struct span head, struct span tail, struct span id)
{
    size_t parts = 0;
    for (size_t i = 0; i + 3 + id.n <= head.n; i++)
        parts += span_starts(span_skip(head, i), SPAN("\n--")) && span_starts(span_skip(head, i + 3), id);
    CHECK(parts == 3);
    CHECK(span_starts(tail, SPAN("\n--")));
}

static void check(const struct msg_notify *m, enum report_use use, const struct texts *texts, struct arena *a)
{
    static const struct span id = SPAN_INIT("4d2Vbc0K00z0002");
    const struct report_config config = {.myhostname = SPAN("mail.example"),
                                         .mail_name = SPAN("Merpati"),
                                         .texts = texts,
                                         .bounce_size_limit = 1000,
                                         .enable_threaded_bounces = true,
                                         .zone = date_utc()};
    struct original original;
    struct report report;
    if (!original_open(&original, a, m->text, -1, 0, 0))
        return;
    struct report_order order = {
        .about = m, .original = &original, .use = use, .to = m->sender, .given = m->sender, .id = id};
    report_make(&config, &order, &report);
    struct span head = buf_span(&report.head);
    check_header(head);
    /* The original's header is a part of the head where it is not returned whole, and whatever it was. */
    struct span ours = report.whole ? head : span_slice(head, 0, head.n - original.headers.n);
    check_bytes(ours, report.eight_bit);
    if (report.whole)
        check_parts(head, buf_span(&report.tail), id);
    report_fini(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT;
    struct settings settings = SETTINGS_INIT;
    struct msg_notify m;
    struct texts texts;
    if (size > 1 && msg_notify_get(&a, span_of(data + 1, size - 1), &m) && m.kind >= NOTIFY_FAILED &&
        m.kind <= NOTIFY_SUCCESS && report_count(&m)) {
        texts_make(&a, &settings, SPAN_NONE, -1, SPAN("example"), &texts);
        check(&m, (enum report_use)(data[0] % 3), &texts, &a);
    }
    settings_fini(&settings);
    arena_fini(&a);
    return 0;
}
