/* links: smtp */
/* Any text becomes one of seven bits but for its headers, in bounded lines, and the same whatever the pieces that it
 * comes in; what has seven bits already stays as it is. */
#include "lib/base/check.h"
#include "smtp/downgrade.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void convert(struct span text, size_t piece, struct buf *out)
{
    struct downgrade *d = downgrade_new();
    for (int pass = 0; pass < 2; pass++) {
        struct buf *to = pass ? out : NULL;
        for (size_t at = 0; at < text.n; at += piece)
            downgrade_put(d, span_slice(text, at, at + piece), to);
        downgrade_end(d, to);
    }
    downgrade_free(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    struct buf whole = BUF_INIT, pieces = BUF_INIT;
    bool seven = true;
    for (size_t i = 0; i < size; i++)
        seven = seven && data[i] < 0x80;
    convert(text, size ? size : 1, &whole);
    convert(text, 1 + size % 7, &pieces);
    CHECK(span_eq(buf_span(&whole), buf_span(&pieces)));
    CHECK(whole.len <= 4 * size + 1000 + size / 4);
    if (seven && size && text.p[size - 1] == '\n')
        CHECK(span_starts(buf_span(&whole), span_slice(text, 0, span_find(text, '\n'))));
    buf_fini(&whole);
    buf_fini(&pieces);
    return 0;
}
