/* Asking tables. */
#include "cli/postmap/postmap.h"
#include "lib/base/check.h"
#include "lib/mail/codec.h"
#include "lib/mail/header.h"
#include "lib/table/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct asking {
    const struct job *job;
    const char *default_type;
    struct tables *tables;
    char *const *args;     /* "type:path" or "path" */
    struct table **opened; /* one for each argument; NULL before it was asked */
    size_t count;
    bool is_broken;        /* an error was said */
    bool found;            /* something */
};

static void warn(const char *text, void *context)
{
    (void)context;
    say_warning("%s", text);
}

static struct table *open_named(struct tables *ts, const struct job *j, const char *type, const char *path)
{
    struct buf spec = BUF_INIT;
    buf_printf(&spec, "%s:%s", type, path);
    struct table *t = table_open(ts, buf_span(&spec), j->flags & OPT_NO_FOLD ? 0 : TABLE_FOLD);
    buf_fini(&spec);
    return t;
}

/* The table of an argument, opened when first asked: a table before it may know all keys.
 * result: NULL: said */
static struct table *opened(struct asking *a, size_t i)
{
    if (!a->opened[i]) {
        struct buf type = BUF_INIT;
        const char *path = job_split(a->args[i], a->default_type, &type);
        a->opened[i] = open_named(a->tables, a->job, buf_text(&type), path);
        buf_fini(&type);
    }
    const char *error = table_error(a->opened[i]);
    if (!error)
        return a->opened[i];
    say_fatal("%s", error);
    a->is_broken = true;
    return NULL;
}

static void say_query_error(struct asking *a, const char *spec, struct span why)
{
    struct span own = span_text(spec);
    if (span_starts(why, own))
        why = span_skip(why, own.n + 2);
    say_fatal("table %s: query error: %.*s", spec, SPAN_ARG(why));
    a->is_broken = true;
}

/* Asks the tables in turn; value is set where the result is true. */
static bool ask(struct asking *a, struct span key, struct buf *value)
{
    struct buf why = BUF_INIT;
    enum table_result result = TABLE_NOT_FOUND;
    for (size_t i = 0; i < a->count && key.n && result == TABLE_NOT_FOUND; i++) {
        struct table *t = opened(a, i);
        if (!t)
            break;
        const char *spec = table_spec(t);
        result = table_find(t, key, value, &why);
        if (result == TABLE_TEMP) {
            say_query_error(a, spec, buf_span(&why));
        } else if (result == TABLE_FOUND && value->len == 0) {
            say_warning("table %s: key %.*s: empty string result is not allowed", spec, SPAN_ARG(key));
            say_warning("table %s should return NO RESULT in case of NOT FOUND", spec);
        }
    }
    buf_fini(&why);
    return result == TABLE_FOUND;
}

/* The value as it is written: decoded where it holds a file's content. */
static void put_value(struct asking *a, struct span value)
{
    struct buf content = BUF_INIT;
    if (!(a->job->flags & OPT_FILES)) {
        fwrite(value.p, 1, value.n, stdout);
    } else if (codec_base64_get(&content, value)) {
        fwrite(content.data, 1, content.len, stdout);
    } else {
        say_fatal("a value is not base64: it was made without -F");
        a->is_broken = true;
    }
    buf_fini(&content);
}

static void ask_one(struct asking *a, struct span key, bool with_key)
{
    struct buf value = BUF_INIT;
    if (!a->is_broken && ask(a, key, &value)) {
        a->found = true;
        if (with_key)
            printf("%.*s\t", SPAN_ARG(key));
        put_value(a, buf_span(&value));
        putchar('\n');
    }
    buf_fini(&value);
}

static void read_message(struct buf *text)
{
    enum { PIECE = 64 * 1024 };
    char *to;
    ssize_t n;
    while ((to = buf_reserve(text, PIECE - 1)) && (n = read(STDIN_FILENO, to, PIECE - 1)) > 0)
        buf_grown(text, (size_t)n);
}

/* -h and -b: each header with its folds, each line of the body. */
static void ask_message(struct asking *a)
{
    struct buf text = BUF_INIT;
    struct header_scan scan;
    struct header header;
    enum header_event event;
    read_message(&text);
    header_scan_init(&scan, buf_span(&text), HEADER_SIZE_LIMIT);
    while ((event = header_next(&scan, &header)) != HEADER_BODY) {
        if (event == HEADER_FIELD && a->job->flags & OPT_HEADER)
            ask_one(a, header.raw, true);
    }
    struct span body = span_skip(buf_span(&text), scan.at), line;
    while (a->job->flags & OPT_BODY && span_next_token(&body, SPAN("\n"), &line))
        ask_one(a, line, true);
    buf_fini(&text);
}

static void ask_input(struct asking *a)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    while ((n = getline(&line, &room, stdin)) > 0) {
        ask_one(a, span_of(line, (size_t)n - (line[n - 1] == '\n' ? 1 : 0)), true);
        fflush(stdout);
    }
    free(line);
}

int job_query(const struct job *j, const char *default_type, char *const *args, size_t count)
{
    static const struct table_hooks hooks = {.warn = warn};
    struct asking a = {.job = j, .default_type = default_type, .args = args, .count = count};
    a.opened = calloc(count, sizeof *a.opened);
    CHECK(a.opened != NULL);
    a.tables = tables_new(&table_files_by_path, &hooks);
    if (strcmp(j->query, "-") != 0)
        ask_one(&a, span_text(j->query), false);
    else if (j->flags & (OPT_HEADER | OPT_BODY))
        ask_message(&a);
    else
        ask_input(&a);
    for (size_t i = 0; i < count; i++)
        table_close(&a.opened[i]);
    tables_free(&a.tables);
    free(a.opened);
    return a.found && !a.is_broken ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool put_entry(struct span key, struct span value, void *context)
{
    struct asking *a = context;
    size_t end = key.n && key.p[key.n - 1] == '\0' ? 1 : 0; /* made with -N */
    fwrite(key.p, 1, key.n - end, stdout);
    putchar('\t');
    put_value(a, span_slice(value, 0, value.n - (value.n ? end : 0)));
    putchar('\n');
    return !a->is_broken;
}

int job_list(const struct job *j, const char *type, const char *path)
{
    static const struct table_hooks hooks = {.warn = warn};
    struct asking a = {.job = j, .tables = tables_new(&table_files_by_path, &hooks)};
    struct buf why = BUF_INIT;
    struct table *t = open_named(a.tables, j, type, path);
    if (!table_walk(t, put_entry, &a, &why)) {
        say_fatal("%s", buf_text(&why));
        a.is_broken = true;
    }
    table_close(&t);
    tables_free(&a.tables);
    buf_fini(&why);
    return a.is_broken ? EXIT_FAILURE : EXIT_SUCCESS;
}
