#include "lib/param/errors.h"

#include "lib/base/buf.h"

enum { ERROR_TEXT_MAX = 2000 };

void param_errors_fini(struct param_errors *e)
{
    arena_fini(&e->arena);
    *e = PARAM_ERRORS_INIT;
}

/* What stands in a configuration file may hold anything; a message is one printable line. */
static struct span error_text(struct arena *a, struct span text)
{
    text = span_slice(text, 0, ERROR_TEXT_MAX);
    char *bytes = arena_alloc(a, text.n + 1);
    for (size_t i = 0; i < text.n; i++)
        bytes[i] = span_at(text, i) < 0x20 || text.p[i] == 0x7f ? '?' : text.p[i];
    return span_of(bytes, text.n);
}

/* Keeps a message, but not twice: several services find the same fault in main.cf. */
static void error_keep(struct param_errors *e, enum param_severity severity, struct span message)
{
    struct span text = error_text(&e->arena, message);
    for (size_t i = 0; i < e->count; i++)
        if (e->at[i]->severity == severity && span_eq(e->at[i]->text, text))
            return;
    if (e->count == PARAM_ERRORS_MAX) {
        e->dropped++;
        return;
    }
    struct param_error *entry = ARENA_NEW(&e->arena, struct param_error);
    entry->severity = severity;
    entry->text = text;
    e->at[e->count++] = entry;
}

void param_error_add(struct param_errors *e, enum param_severity severity, struct param_place place,
                     const char *format, ...)
{
    if (!e)
        return;
    e->fatal += severity == PARAM_ERROR;
    struct buf text = BUF_INIT;
    if (place.file.n && place.line)
        buf_printf(&text, "%.*s:%u: ", SPAN_ARG(place.file), place.line);
    else if (place.file.n)
        buf_printf(&text, "%.*s: ", SPAN_ARG(place.file));
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    error_keep(e, severity, buf_span(&text));
    buf_fini(&text);
}
