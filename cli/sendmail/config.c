#include "cli/sendmail/sendmail.h"
#include "lib/param/facts.h"
#include "lib/param/param.h"

#include <sysexits.h>

enum { MAIN_CF_MAX = 4 << 20 };

/* result: the value, made in a; NULL: said */
static const char *expand(struct arena *a, const struct settings *s, const char *path, const char *name)
{
    struct buf why = BUF_INIT;
    struct span value;
    const char *text = NULL;
    if (param_expand_name(a, s, span_text(name), &value, &why))
        text = arena_text(a, value);
    else
        fatal(EX_CONFIG, "%s: %s: %s", path, name, buf_text(&why));
    buf_fini(&why);
    return text;
}

static bool read_values(struct arena *a, const struct settings *s, const char *path, struct config *c)
{
    static const struct span words[] = {SPAN_INIT("always"), SPAN_INIT("strict"), SPAN_INIT("never")};
    c->queue = expand(a, s, path, "queue_directory");
    c->myhostname = expand(a, s, path, "myhostname");
    const char *limit = expand(a, s, path, "message_size_limit");
    const char *endings = expand(a, s, path, "sendmail_fix_line_endings");
    if (!c->queue || !c->myhostname || !limit || !endings)
        return false;
    if (!span_to_u64(span_text(limit), INT64_MAX, &c->size_limit)) {
        fatal(EX_CONFIG, "%s: message_size_limit: \"%s\" is not a number", path, limit);
        return false;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_eq_nocase(span_text(endings), words[i]))
            c->endings = (enum endings)i;
    return true;
}

int config_read(struct arena *a, const char *directory, struct config *c)
{
    struct settings s = SETTINGS_INIT;
    struct param_errors errors = PARAM_ERRORS_INIT;
    struct buf text = BUF_LIMITED(MAIN_CF_MAX), why = BUF_INIT;
    const char *path = arena_printf(a, "%s/main.cf", directory);
    int status = 0;
    *c = (struct config){.directory = directory};
    if (!settings_load_file(path, MAIN_CF_MAX, &text, &why)) {
        status = fatal(EX_TEMPFAIL, "open %s: %s", path, buf_text(&why));
    } else {
        (void)settings_parse(&s, buf_span(&text), span_text(path), &errors);
        settings_set_fact(&s, "config_directory", span_text(directory));
        facts_gather(&s);
        if (!read_values(a, &s, path, c))
            status = EX_CONFIG;
    }
    settings_fini(&s);
    param_errors_fini(&errors);
    buf_fini(&text);
    buf_fini(&why);
    return status;
}
