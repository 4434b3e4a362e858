/* DSN parameters and status codes: whatever is taken is clean and is taken again in
 * the form in which we send it on. The first byte of the input selects the parser. */
#include "lib/base/check.h"
#include "lib/mail/address.h"
#include "lib/mail/codec.h"
#include "lib/mail/dsn.h"

static void try_orcpt(struct arena *a, struct span in, bool utf8)
{
    struct span orcpt, again;
    struct buf text = BUF_INIT;
    if (dsn_orcpt_parse(a, in, &orcpt)) {
        CHECK(address_is_clean(orcpt) && codec_utf8_valid(orcpt));
        dsn_orcpt_put(&text, orcpt, utf8);
        CHECK(text.len > DSN_ORCPT_MAX || dsn_orcpt_parse(a, buf_span(&text), &again));
        CHECK(text.len > DSN_ORCPT_MAX || span_eq(orcpt, again));
    }
    buf_fini(&text);
}

static void try_code(struct span in)
{
    struct dsn_code code, again;
    struct buf text = BUF_INIT;
    size_t n = dsn_code_parse(in, &code);
    CHECK(n <= in.n);
    dsn_code_put(&text, code);
    CHECK((n == 0) == (text.len == 0));
    CHECK(n == 0 || (dsn_code_parse(buf_span(&text), &again) == text.len && again.detail == code.detail));
    struct verdict v = verdict_of_reply(in.n ? span_at(in, 0) * 4u : 0, in);
    CHECK(verdict_class_of(v.dsn) == v.class);
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT;
    if (size == 0)
        return 0;
    struct span in = span_of(data + 1, size - 1), envid;
    unsigned notify, again;
    enum dsn_ret ret;
    struct buf text = BUF_INIT;
    switch (data[0] % 4) {
    case 0:
        try_orcpt(&a, in, data[0] & 4);
        break;
    case 1:
        if (dsn_envid_parse(&a, in, &envid))
            CHECK(address_is_clean(envid) && codec_is_ascii(envid) && envid.n <= DSN_ENVID_MAX);
        break;
    case 2:
        if (dsn_notify_parse(in, &notify)) {
            dsn_notify_put(&text, notify);
            CHECK(dsn_notify_parse(buf_span(&text), &again) && again == notify);
        }
        dsn_ret_parse(in, &ret);
        break;
    default:
        try_code(in);
    }
    buf_fini(&text);
    arena_fini(&a);
    return 0;
}
