/* Names of files in a Maildir, and the file of sizes: what is taken apart is within the
 * name, and every name gives a unique-id that RFC 1939 allows. */
#include "lib/base/check.h"
#include "lib/maildir/sizes.h"

static void entry(struct span unique, uint64_t size, uint64_t virtual_size, void *context)
{
    (void)size, (void)virtual_size;
    struct span *text = context;
    CHECK(unique.n > 0 && unique.p >= text->p && unique.p + unique.n <= text->p + text->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct maildir_name n;
    struct span text = span_of(data, size);
    if (maildir_name_parse(text, &n)) {
        struct buf uidl = BUF_INIT;
        CHECK(n.unique.n > 0 && n.unique.n <= n.base.n && n.base.n <= text.n && text.n <= MAILDIR_NAME_MAX);
        CHECK(n.flags.n == 0 || n.flags.p + n.flags.n == text.p + text.n);
        maildir_name_put_uidl(&uidl, n.unique);
        CHECK(uidl.len >= 1 && uidl.len <= MAILDIR_UIDL_MAX);
        for (size_t i = 0; i < uidl.len; i++)
            CHECK((unsigned char)uidl.data[i] > 0x20 && (unsigned char)uidl.data[i] < 0x7f);
        buf_fini(&uidl);
    }
    maildir_sizes_parse(text, entry, &text);
    return 0;
}
