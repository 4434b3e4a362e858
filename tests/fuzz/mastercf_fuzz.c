/* links: cli/postconf */
/* master.cf text: parsed; every good service is written as postconf writes it, and reads as the same. */
#include "cli/postconf/postconf.h"
#include "lib/base/check.h"

static void reads_as_the_same(struct arena *a, const struct service *service, bool fold)
{
    struct buf text = BUF_INIT;
    struct mastercf twin;
    put_service(&text, service, fold);
    CHECK(mastercf_parse(a, buf_span(&text), SPAN("again"), &twin, NULL));
    CHECK(twin.count == 1 && twin.at[0].arg_count >= service->option_count);
    CHECK(span_eq(twin.at[0].name, service->name) && twin.at[0].type == service->type);
    CHECK(twin.at[0].option_count == service->option_count && twin.at[0].wakeup == service->wakeup);
    for (size_t i = 0; i < service->option_count; i++) {
        CHECK(span_eq(twin.at[0].options[i].name, service->options[i].name));
        CHECK(span_eq(twin.at[0].options[i].value, service->options[i].value));
    }
    buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT;
    struct mastercf cf;
    struct param_errors errors = PARAM_ERRORS_INIT;
    if (!mastercf_parse(&a, span_of(data, size), SPAN("master.cf"), &cf, &errors))
        CHECK(errors.fatal > 0);
    for (size_t i = 0; i < cf.count && i < 100; i++) {
        struct settings s = SETTINGS_INIT;
        service_apply_options(&cf.at[i], &s, NULL);
        settings_fini(&s);
        reads_as_the_same(&a, &cf.at[i], false);
        reads_as_the_same(&a, &cf.at[i], true);
    }
    param_errors_fini(&errors);
    arena_fini(&a);
    return 0;
}
