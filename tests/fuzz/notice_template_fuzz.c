/* A file of templates for notifications: read, shown, expanded. */
#include "lib/base/check.h"
#include "lib/mail/notice_template.h"

static void ignore(void *context, const char *text)
{
    (void)context;
    CHECK(strlen(text) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct notice_warnings warnings = {.warn = ignore};
    struct notice_templates t = notice_templates_builtin();
    struct settings settings = SETTINGS_INIT;
    struct buf why = BUF_INIT, out = BUF_INIT;
    settings_set_fact(&settings, "myhostname", SPAN("mail.example"));
    bool good = notice_templates_read(&t, span_of(data, size), SPAN("file"), &warnings, &why);
    CHECK(good || why.len);
    for (enum notice_kind kind = 0; kind < NOTICE_KINDS; kind++) {
        const struct notice_template *one = &t.at[kind];
        CHECK(one->text.n && one->subject.n && one->from.n && one->charset.n);
        CHECK(span_find(one->subject, '\n') == one->subject.n && span_find(one->from, '\n') == one->from.n);
        notice_template_put(&out, one);
        buf_clear(&why);
        size_t before = out.len;
        if (!notice_template_expand(&out, &t, kind, &settings, &warnings, &why))
            CHECK(out.len == before && why.len);
    }
    settings_fini(&settings);
    buf_fini(&why);
    buf_fini(&out);
    return 0;
}
