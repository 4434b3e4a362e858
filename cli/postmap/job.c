#include "cli/postmap/postmap.h"
#include "lib/table/table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((format(printf, 2, 0))) static void say(const char *kind, const char *format, va_list args)
{
    struct buf line = BUF_INIT;
    buf_printf(&line, "%s: %s: ", program_invocation_short_name, kind);
    buf_vprintf(&line, format, args);
    buf_putc(&line, '\n');
    fflush(stdout);
    fwrite(line.data, 1, line.len, stderr);
    buf_fini(&line);
}

int say_fatal(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("fatal", format, args);
    va_end(args);
    return EXIT_FAILURE;
}

void say_warning(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("warning", format, args);
    va_end(args);
}

const char *job_split(const char *arg, const char *default_type, struct buf *type)
{
    const char *colon = strchr(arg, ':');
    if (!colon) {
        buf_puts(type, default_type);
        return arg;
    }
    buf_put(type, span_of(arg, (size_t)(colon - arg)));
    return colon + 1;
}

bool job_can_make(const char *type)
{
    bool is_indexed;
    const char *name;
    for (size_t i = 0; (name = table_type_at(i, &is_indexed)); i++) {
        if (strcmp(name, type) != 0)
            continue;
        if (!is_indexed)
            say_fatal("unsupported dictionary type: %s does not support bulk-mode creation.", type);
        return is_indexed;
    }
    say_fatal("unsupported dictionary type: %s", type);
    return false;
}
