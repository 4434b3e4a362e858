#include "lib/table/rules.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/param/value.h"
#include "lib/table/text_lines.h"

#include <stdlib.h>

enum { CLOCK_EVERY = 64 }; /* rules between two looks at the clock */

#define NO_IF SIZE_MAX

struct loading {
    struct table_source *src;
    struct rules *all;
    const struct rule_syntax *syntax;
    size_t open; /* index of the innermost "if" that is not closed (its end is that of the one around it) */
};

static struct span skip_space(struct span s)
{
    while (s.n && byte_is_space(span_at(s, 0)))
        s = span_skip(s, 1);
    return s;
}

static void rules_add(struct rules *all, struct rule r)
{
    if (all->count == all->cap) {
        all->cap = all->cap ? all->cap * 2 : 16;
        struct rule *more = realloc(all->rules, all->cap * sizeof *more);
        CHECK(more != NULL);
        all->rules = more;
    }
    all->rules[all->count++] = r;
}

static void skip_rule(struct loading *l, unsigned line, const char *what)
{
    table_warn_rule(l->src, line, "%s", what);
    l->src->skipped++;
}

static struct rule *close_innermost(struct loading *l)
{
    struct rule *r = &l->all->rules[l->open];
    l->open = r->end;
    r->end = l->all->count;
    return r;
}

static void close_if(struct loading *l, const struct text_line *line, struct span rest)
{
    if (rest.n)
        table_warn_rule(l->src, line->first, "ignoring extra text after ENDIF");
    if (l->open == NO_IF) {
        skip_rule(l, line->first, "ignoring ENDIF without matching IF");
        return;
    }
    close_innermost(l);
    rules_add(l->all, (struct rule){.kind = RULE_ENDIF, .line = line->first});
}

static void warn_extra(struct loading *l, const struct text_line *line, struct span extra)
{
    struct buf shown = BUF_INIT;
    if (extra.n) {
        text_put_masked(&shown, span_slice(extra, 0, 200));
        table_warn_rule(l->src, line->first, "ignoring extra text after IF statement: \"%s\"", buf_text(&shown));
        table_warn_rule(l->src, line->first, "do not prepend whitespace to statements between IF and ENDIF");
    }
    buf_fini(&shown);
}

/* Remembers an "if" (its pattern may be faulty) until its "endif". */
static void open_if(struct loading *l, const struct text_line *line, struct rule r, struct span rest)
{
    warn_extra(l, line, rest);
    r.end = l->open;
    l->open = l->all->count;
    rules_add(l->all, r);
}

/* Reads "[!]pattern". result: false where it is faulty; why says */
static bool take_pattern(struct loading *l, struct span *rest, struct rule *r, struct buf *why)
{
    if (rest->n && rest->p[0] == '!') {
        r->is_negated = true;
        *rest = skip_space(span_skip(*rest, 1));
    }
    if (rest->n == 0)
        buf_puts(why, l->syntax->no_pattern);
    else
        r->pattern = l->syntax->take_pattern(l->src, l->all, rest, why);
    *rest = skip_space(*rest);
    return r->pattern != NULL;
}

static void add_value_rule(struct loading *l, struct rule r, struct span value)
{
    struct buf why = BUF_INIT;
    r.value = value;
    if (value.n > TABLE_VALUE_BYTES)
        buf_puts(&why, "the value is too long: skipping this rule");
    if (why.len == 0 && l->syntax->check_value(l->src, &r, &why)) {
        r.value = arena_dup(&l->all->arena, value);
        rules_add(l->all, r);
    } else {
        skip_rule(l, r.line, buf_text(&why));
        l->syntax->free_pattern(r.pattern);
    }
    buf_fini(&why);
}

static void load_line(struct loading *l, const struct text_line *line)
{
    struct span rest = line->text;
    struct buf why = BUF_INIT;
    size_t word = 0;
    while (word < rest.n && byte_is_alnum(span_at(rest, word)))
        word++;
    struct span first = span_slice(rest, 0, word);
    if (span_eq_nocase(first, SPAN("endif"))) {
        close_if(l, line, skip_space(span_skip(rest, word)));
        return;
    }
    struct rule r = {.kind = RULE_VALUE, .line = line->first};
    if (span_eq_nocase(first, SPAN("if"))) {
        r.kind = RULE_IF;
        rest = skip_space(span_skip(rest, word));
    }
    if (!take_pattern(l, &rest, &r, &why)) {
        skip_rule(l, line->first, buf_text(&why));
        r.is_faulty = true;
        rest = SPAN_NONE;
    }
    if (r.kind == RULE_IF)
        open_if(l, line, r, rest);
    else if (!r.is_faulty)
        add_value_rule(l, r, rest);
    buf_fini(&why);
}

/* "{ {rule}, {rule} ... }" as the text of a file, a line for each.
 * result: false with why where a rule stands outside braces */
static bool read_inline(const struct table_source *src, struct buf *text, struct buf *why)
{
    struct span rest, item, rule;
    int more = -1;
    *text = BUF_INIT;
    if (table_unbrace(src->name, &rest)) {
        while ((more = value_next_item(&rest, &item)) > 0 && table_unbrace(item, &rule)) {
            buf_put(text, rule);
            buf_putc(text, '\n');
        }
    }
    if (more > 0)
        buf_printf(why, "%s map: no '{' at start of text in \"%.*s\"", src->type, SPAN_ARG(item));
    else if (more < 0)
        buf_printf(why, "%s map: missing '}'", src->type);
    if (more != 0)
        buf_fini(text);
    return more == 0;
}

bool rules_load(struct rules *all, const struct rule_syntax *syntax, struct table_source *src, struct buf *why)
{
    struct buf text;
    struct text_lines lines;
    struct text_line line;
    struct loading l = {.src = src, .all = all, .syntax = syntax, .open = NO_IF};
    *all = (struct rules){0};
    if (!(src->path ? table_read_file(src, TABLE_RULE_BYTES, &text, why) : read_inline(src, &text, why)))
        return false;
    text_lines_init(&lines, buf_span(&text));
    while (text_lines_next(&lines, &line)) {
        const char *fault = text_line_fault(&line);
        if (fault) {
            table_warn_rule(src, line.first, "%s: skipping this rule", fault);
            src->skipped++;
        } else {
            load_line(&l, &line);
        }
    }
    while (l.open != NO_IF)
        skip_rule(&l, close_innermost(&l)->line, "IF has no matching ENDIF");
    text_lines_fini(&lines);
    buf_fini(&text);
    return true;
}

void rules_unload(struct rules *all, const struct rule_syntax *syntax)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->rules[i].pattern)
            syntax->free_pattern(all->rules[i].pattern);
    }
    free(all->rules);
    arena_fini(&all->arena);
}

enum table_result rules_find(const struct rules *all,
                             enum rule_match (*match)(const struct rule *r, void *state, struct buf *why), void *state,
                             const struct rule **found, struct buf *why)
{
    mono_ms deadline = all->count > CLOCK_EVERY ? clock_after_ms(RULES_MS) : MONO_NEVER;
    for (size_t i = 0; i < all->count; i++) {
        const struct rule *r = &all->rules[i];
        if (i % CLOCK_EVERY == CLOCK_EVERY - 1 && clock_mono() > deadline) {
            buf_printf(why, "the rules up to line %u took too long", r->line);
            return TABLE_TEMP;
        }
        if (r->kind == RULE_ENDIF)
            continue;
        enum rule_match result = r->is_faulty ? RULE_NO : match(r, state, why);
        if (result == RULE_ERROR)
            return TABLE_TEMP;
        bool matches = !r->is_faulty && (result == RULE_YES) != r->is_negated;
        if (r->kind == RULE_IF) {
            i = matches ? i : r->end - 1; /* the loop adds 1 */
        } else if (matches) {
            *found = r;
            return TABLE_FOUND;
        }
    }
    return TABLE_NOT_FOUND;
}
