/* Values of aliases and lines of .forward: what is taken holds no control character,
 * and a path is a path. The first byte of the input is the form. */
#include "lib/base/check.h"
#include "lib/mail/address.h"
#include "lib/mail/aliases.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT;
    struct aliases_scan scan;
    struct aliases_item item;
    size_t items = 0;
    if (size == 0)
        return 0;
    aliases_init(&scan, span_of(data + 1, size - 1), data[0] & 1 ? ALIASES_FILE : ALIASES_VALUE);
    while (aliases_next(&scan, &a, &item)) {
        CHECK(++items <= size);
        CHECK(item.kind == ALIASES_BAD || (item.text.n > 0 && address_is_clean(item.text)));
        CHECK((item.kind != ALIASES_TO_FILE && item.kind != ALIASES_INCLUDE) || item.text.p[0] == '/');
        CHECK(!item.final || item.kind == ALIASES_ADDRESS || item.kind == ALIASES_BAD);
    }
    CHECK(!aliases_next(&scan, &a, &item));
    arena_fini(&a);
    return 0;
}
