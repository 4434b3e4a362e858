/* Paths of MAIL and RCPT: whatever is taken is clean, and its external form reads
 * back as the same address. The first byte of the input is the flags. */
#include "lib/base/check.h"
#include "lib/mail/address.h"
#include "lib/mail/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT;
    struct path path, again;
    if (size == 0)
        return 0;
    unsigned flags = data[0] & (PATH_STRICT | PATH_SMTPUTF8 | PATH_REQUIRE_UTF8);
    if (path_parse(&a, span_of(data + 1, size - 1), SPAN("TO:"), flags, &path) == PATH_OK) {
        struct buf text = BUF_INIT;
        CHECK(address_is_clean(path.address));
        CHECK(path.bracketed || !(flags & PATH_STRICT));
        buf_putc(&text, '<');
        address_put_external(&text, path.address);
        buf_putc(&text, '>');
        CHECK(path_parse_address(&a, buf_span(&text), PATH_STRICT, &again) == PATH_OK);
        CHECK(span_eq(path.address, again.address));
        for (size_t i = 0; i < path.param_count; i++)
            CHECK(address_is_clean(path.params[i].value));
        buf_fini(&text);
    }
    arena_fini(&a);
    return 0;
}
