#include "cli/postconf/postconf.h"

#include <stdio.h>

enum {
    MAIN_LIMIT = 80,   /* columns of a folded line of main.cf */
    MASTER_LIMIT = 79, /* and of master.cf, as Postfix has them */
    FOLD_INDENT = 4,
};

static void end_line(struct buf *out)
{
    buf_putc(out, '\n');
    fwrite(buf_text(out), 1, out->len, stdout);
    buf_fini(out);
}

/* Appends a word to a line that began at from, on a line of its own where it would pass
 * the limit; limit 0: there is none. */
static void put_word(struct buf *out, size_t *from, struct span word, size_t limit)
{
    bool comment = word.n && word.p[0] == '#'; /* which it would become at the beginning of a line */
    if (limit && !comment && out->len > *from && out->len - *from + 1 + word.n > limit) {
        buf_putc(out, '\n');
        *from = out->len;
        buf_printf(out, "%*s", FOLD_INDENT, "");
    } else if (out->len > *from)
        buf_putc(out, ' ');
    buf_put(out, word);
}

void print_setting(const struct request *r, struct span name, struct span value)
{
    struct buf out = BUF_INIT;
    size_t from = 0;
    struct span word;
    if (!(r->flags & OPT_NO_NAME))
        buf_put(&out, name);
    if (!(r->flags & (OPT_NO_NAME | OPT_NO_VALUE)))
        buf_puts(&out, " =");
    if (!(r->flags & OPT_NO_VALUE))
        while (span_next_token(&value, SPAN(" \t\r\n"), &word))
            put_word(&out, &from, word, r->flags & OPT_FOLD ? MAIN_LIMIT : 0);
    end_line(&out);
}

/* --- services ------------------------------------------------------------------------ */

static void put_columns(struct buf *out, const struct service *service)
{
    static const size_t columns[SERVICE_FIELD_COUNT] = {0, 11, 17, 25, 33, 41, 49, 57};
    size_t from = out->len;
    for (size_t i = 0; i < SERVICE_FIELD_COUNT; i++) {
        size_t width = out->len - from;
        if (i > 0)
            buf_printf(out, "%*s", width + 1 < columns[i] ? (int)(columns[i] - width) : 1, "");
        buf_put(out, service->fields[i]);
    }
}

/* Whether an argument has to stand in braces to be read again as one. A brace that closes
 * nothing can only be there without them; its whitespace is then inside braces of its own. */
static bool needs_braces(struct span text)
{
    size_t depth = 0;
    bool space = false;
    for (size_t i = 0; i < text.n; i++) {
        space = space || byte_is_space(span_at(text, i));
        if (text.p[i] == '}' && depth == 0)
            return false;
        depth += text.p[i] == '{';
        depth -= text.p[i] == '}';
    }
    return space || text.n == 0 || text.p[0] == '{';
}

static void put_argument(struct buf *word, struct span text)
{
    bool braces = needs_braces(text);
    buf_printf(word, braces ? "{%.*s}" : "%.*s", SPAN_ARG(text));
}

/* An -o with its setting. "{a=b}}" would be read as a group by itself and cannot be put into one:
 * such a setting stands behind its -o as it was found. */
static void put_option(struct buf *word, struct span setting)
{
    bool glued = setting.p[0] == '{' && !needs_braces(setting);
    buf_puts(word, glued ? "-o" : "-o ");
    put_argument(word, setting);
}

/* One argument as it is written; an -o with its setting is one. at: moved behind it.
 * result: whether it is an -o of this service */
static bool next_argument(const struct service *service, size_t *at, size_t *option, struct buf *word)
{
    struct span arg = service->args[(*at)++];
    bool is_option = *option < service->option_count && span_starts(arg, SPAN("-o"));
    if (!is_option) {
        put_argument(word, arg);
        return false;
    }
    *at += arg.n == 2;
    const struct service_option *o = &service->options[(*option)++];
    struct buf text = BUF_INIT;
    buf_printf(&text, "%.*s=%.*s", SPAN_ARG(o->name), SPAN_ARG(o->value));
    put_option(word, buf_span(&text));
    buf_fini(&text);
    return true;
}

/* Appends the arguments to a line that began at from. */
static void put_arguments(struct buf *out, size_t from, const struct service *service, bool fold)
{
    size_t option = 0;
    bool after_option = false;
    for (size_t i = 0; i < service->arg_count;) {
        struct buf word = BUF_INIT;
        bool is_option = next_argument(service, &i, &option, &word);
        if (fold && (is_option || after_option) && buf_text(&word)[0] != '#') {
            buf_putc(out, '\n');
            from = out->len;
            buf_printf(out, "%*s%s", FOLD_INDENT, "", buf_text(&word));
        } else
            put_word(out, &from, buf_span(&word), fold ? MASTER_LIMIT : 0);
        after_option = is_option;
        buf_fini(&word);
    }
}

void put_service(struct buf *out, const struct service *service, bool fold)
{
    size_t from = out->len;
    put_columns(out, service);
    put_arguments(out, from, service, fold);
    buf_putc(out, '\n');
}

void print_command(const struct request *r, struct span name, const struct service *service)
{
    struct buf out = BUF_INIT;
    if (!(r->flags & OPT_NO_NAME))
        buf_put(&out, name);
    if (!(r->flags & (OPT_NO_NAME | OPT_NO_VALUE)))
        buf_puts(&out, " = ");
    if (!(r->flags & OPT_NO_VALUE)) {
        buf_put(&out, service->fields[SERVICE_FIELD_COMMAND]);
        put_arguments(&out, 0, service, (r->flags & OPT_FOLD) != 0);
    }
    end_line(&out);
}
