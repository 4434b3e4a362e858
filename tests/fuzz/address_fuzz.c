/* Address lists: every good address is clean and reads back from its external form as
 * the same one address; rewriting none and rewriting all each keep the list's length. */
#include "lib/base/check.h"
#include "lib/mail/address.h"
#include "lib/mail/addrlist.h"

static int keep(struct span address, struct buf *replacement, void *context)
{
    (void)address, (void)replacement, (void)context;
    return 0;
}

static int replace(struct span address, struct buf *replacement, void *context)
{
    size_t *count = context;
    CHECK(address.n > 0);
    buf_puts(replacement, "a b@c");
    ++*count;
    return 1;
}

static void check_item(struct arena *a, const struct addrlist_item *item)
{
    struct addrlist_scan list;
    struct addrlist_item again;
    struct buf text = BUF_INIT;
    CHECK(address_is_clean(item->address));
    if (item->address.n > 0) {
        address_put_external(&text, item->address);
        addrlist_init(&list, buf_span(&text), 0);
        CHECK(addrlist_next(&list, a, &again) && !again.bad);
        CHECK(span_eq(again.address, item->address));
        CHECK(!addrlist_next(&list, a, &again));
    }
    buf_fini(&text);
}

/* Good addresses that are not empty. */
static size_t count_good(struct arena *a, struct span in, struct span want)
{
    struct addrlist_scan list;
    struct addrlist_item item;
    size_t count = 0;
    addrlist_init(&list, in, 0);
    while (addrlist_next(&list, a, &item)) {
        CHECK(item.raw.n == 0 || (item.raw.p >= in.p && item.raw.p + item.raw.n <= in.p + in.n));
        if (!item.bad)
            check_item(a, &item);
        if (!item.bad && item.address.n > 0 && (want.n == 0 || span_eq(item.address, want)))
            count++;
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT;
    struct span in = span_of(data, size);
    struct buf out = BUF_INIT;
    size_t asked = 0, good = count_good(&a, in, SPAN_NONE);
    CHECK(addrlist_rewrite(&out, in, 0, keep, NULL) == 0 && out.len == 0);
    int replaced = addrlist_rewrite(&out, in, 0, replace, &asked);
    CHECK(replaced >= 0 && (size_t)replaced == good && asked == good);
    if (good > 0)
        CHECK(count_good(&a, buf_span(&out), SPAN("a b@c")) >= good);
    buf_fini(&out);
    arena_fini(&a);
    return 0;
}
