/* main.cf text: parsed, written flat and read again, and every value expanded; then the
 * text itself as an expansion. What fails says why. */
#include "lib/base/check.h"
#include "lib/param/param.h"
#include "lib/param/usage.h"

static void survives_the_flat_form(const struct settings *s)
{
    struct settings twin = SETTINGS_INIT;
    struct buf flat = BUF_INIT, again = BUF_INIT, why = BUF_INIT;
    settings_write(s, &flat);
    CHECK(settings_read(&twin, buf_span(&flat), &why));
    settings_write(&twin, &again);
    CHECK(span_eq(buf_span(&flat), buf_span(&again)));
    settings_fini(&twin);
    buf_fini(&flat);
    buf_fini(&again);
    buf_fini(&why);
}

static void expands_or_says_why(struct arena *a, const struct settings *s, struct span text)
{
    struct buf why = BUF_INIT;
    struct span value;
    if (!param_expand_text(a, s, text, &value, &why))
        CHECK(why.len > 0);
    buf_fini(&why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    struct arena a = ARENA_INIT;
    struct settings s = SETTINGS_INIT;
    struct param_errors errors = PARAM_ERRORS_INIT;
    struct param_usage usage = PARAM_USAGE_INIT;
    if (!settings_parse(&s, text, SPAN("main.cf"), &errors))
        CHECK(errors.fatal > 0);
    survives_the_flat_form(&s);
    for (size_t i = 0; i < s.count && i < 100; i++)
        expands_or_says_why(&a, &s, s.all[i]->value);
    param_usage_init(&usage, &s, SPAN("main.cf"), NULL, SPAN_NONE, &errors);
    size_t fatal = errors.fatal;
    if (!param_check_all(&s, &errors))
        CHECK(errors.fatal > fatal);
    expands_or_says_why(&a, &s, text);
    param_usage_fini(&usage);
    param_errors_fini(&errors);
    settings_fini(&s);
    arena_fini(&a);
    return 0;
}
