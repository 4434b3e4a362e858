/* Header sections: the scanner ends, stays within the text and never goes back;
 * what it cuts can be emitted again as one header and scans to the same. The first
 * byte of the input makes the size limit. */
#include "lib/base/check.h"
#include "lib/mail/header.h"

static void emit_again(const struct header *header)
{
    struct buf value = BUF_INIT, text = BUF_INIT, again = BUF_INIT;
    header_put_unfolded(&value, header->value);
    if (header_put(&text, HEADER_CRLF, header->name, buf_span(&value))) {
        struct header_scan scan;
        struct header twin;
        header_scan_init(&scan, buf_span(&text), SIZE_MAX);
        CHECK(header_next(&scan, &twin) == HEADER_FIELD);
        CHECK(scan.at == text.len);
        CHECK(twin.id == header->id && span_eq(twin.name, header->name));
        header_put_unfolded(&again, twin.value);
        CHECK(span_eq(span_trim(buf_span(&again)), span_trim(buf_span(&value))));
    }
    buf_fini(&value);
    buf_fini(&text);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct header_scan scan;
    struct header header;
    size_t before = 0;
    enum header_event event;
    if (size == 0)
        return 0;
    header_scan_init(&scan, span_of(data + 1, size - 1), data[0] == 0 ? HEADER_SIZE_LIMIT : data[0]);
    while ((event = header_next(&scan, &header)) != HEADER_BODY) {
        CHECK(scan.at > before && scan.at <= scan.text.n);
        CHECK(header.raw.n <= scan.limit + HEADER_LINE_SLACK);
        before = scan.at;
        if (event == HEADER_FIELD)
            emit_again(&header);
    }
    CHECK(scan.at >= before && scan.at <= scan.text.n);
    return 0;
}
