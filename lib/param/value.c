#include "lib/param/value.h"

enum { LIST_MAX = 100000 }; /* items of one list */

/* People write a comment behind a value; it is part of the value. */
static void value_hint(struct span text, struct buf *why)
{
    if (span_find(text, '#') < text.n)
        buf_puts(why, " (a comment stands on a line of its own)");
}

bool value_bool(struct span text, bool *value, struct buf *why)
{
    *value = span_eq_nocase(text, SPAN("yes"));
    if (*value || span_eq_nocase(text, SPAN("no")))
        return true;
    buf_printf(why, "\"%.*s\" is neither yes nor no", SPAN_ARG(text));
    value_hint(text, why);
    return false;
}

static bool value_in_range(int64_t number, int64_t min, int64_t max, const char *unit, struct buf *why)
{
    if (number < min)
        buf_printf(why, "%lld%s is too small: use at least %lld%s", (long long)number, unit, (long long)min,
                   unit);
    else if (number > max)
        buf_printf(why, "%lld%s is too large: use at most %lld%s", (long long)number, unit, (long long)max,
                   unit);
    else
        return true;
    return false;
}

bool value_int(struct span text, int64_t min, int64_t max, int64_t *value, struct buf *why)
{
    bool minus = text.n && text.p[0] == '-';
    bool sign = minus || (text.n && text.p[0] == '+');
    uint64_t magnitude;
    if (!span_to_u64(span_skip(text, sign), INT64_MAX, &magnitude)) {
        buf_printf(why, "\"%.*s\" is no whole number", SPAN_ARG(text));
        value_hint(text, why);
        return false;
    }
    *value = minus ? -(int64_t)magnitude : (int64_t)magnitude;
    return value_in_range(*value, min, max, "", why);
}

int64_t value_time_unit(char letter)
{
    switch (letter) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 24 * 3600;
    case 'w':
        return 7 * 24 * 3600;
    default:
        return 0;
    }
}

bool value_time(struct span text, char unit, int64_t min, int64_t max, int64_t *value, struct buf *why)
{
    struct span number = text;
    uint64_t count;
    int64_t seconds = 0;
    if (text.n)
        seconds = value_time_unit((char)byte_lower(span_at(text, text.n - 1)));
    if (seconds)
        number.n--;
    else
        seconds = value_time_unit(unit);
    if (!span_to_u64(number, INT64_MAX, &count)) {
        buf_printf(why, "\"%.*s\" is no time: write a whole number and one of s, m, h, d, w", SPAN_ARG(text));
        value_hint(text, why);
        return false;
    }
    if (count > (uint64_t)(INT64_MAX / seconds)) {
        buf_printf(why, "\"%.*s\" is too large: use at most %llds", SPAN_ARG(text), (long long)max);
        return false;
    }
    *value = (int64_t)count * seconds;
    return value_in_range(*value, min, max, "s", why);
}

static bool item_ends(unsigned char c)
{
    return byte_is_space(c) || c == ',';
}

int value_next_item(struct span *text, struct span *item)
{
    size_t from = 0, depth = 0, to;
    while (from < text->n && item_ends(span_at(*text, from)))
        from++;
    for (to = from; to < text->n && (depth > 0 || !item_ends(span_at(*text, to))); to++) {
        if (text->p[to] == '{')
            depth++;
        else if (text->p[to] == '}' && depth > 0)
            depth--;
    }
    *item = span_slice(*text, from, to);
    *text = span_skip(*text, to);
    if (depth > 0)
        return -1;
    return item->n > 0;
}

bool value_list(struct arena *a, struct span text, struct param_list *list, struct buf *why)
{
    size_t count = 0;
    int more;
    struct span item;
    for (struct span rest = text; (more = value_next_item(&rest, &item)) > 0;)
        count++;
    if (more < 0 || count > LIST_MAX) {
        buf_puts(why, more < 0 ? "a closing '}' is missing" : "there are too many items");
        return false;
    }
    list->text = arena_dup(a, text);
    list->at = arena_calloc(a, count, sizeof *list->at);
    list->n = 0;
    while (value_next_item(&text, &item) > 0)
        list->at[list->n++] = arena_dup(a, item);
    return true;
}

bool value_split_table(struct span item, struct span *type, struct span *name)
{
    size_t colon = span_find(item, ':');
    if (colon == 0 || colon + 1 >= item.n)
        return false;
    *type = span_slice(item, 0, colon);
    *name = span_skip(item, colon + 1);
    for (size_t i = 0; i < type->n; i++)
        if (!byte_is_alnum(span_at(*type, i)) && type->p[i] != '_')
            return false;
    return true;
}

bool value_tables(struct arena *a, struct span text, struct param_list *list, struct buf *why)
{
    struct span type, name;
    if (!value_list(a, text, list, why))
        return false;
    for (size_t i = 0; i < list->n; i++)
        if (!value_split_table(list->at[i], &type, &name)) {
            buf_printf(why, "\"%.*s\" is no table: write it as \"type:name\", for example \"%s%.*s\"",
                       SPAN_ARG(list->at[i]), list->at[i].p[0] == '/' ? "cdb:" : "cdb:/etc/merpati/",
                       SPAN_ARG(list->at[i]));
            value_hint(text, why);
            return false;
        }
    return true;
}
