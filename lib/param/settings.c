#include "lib/param/settings.h"

#include "lib/base/check.h"
#include "lib/param/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void settings_fini(struct settings *s)
{
    map_fini(&s->by_name);
    arena_fini(&s->arena);
    *s = SETTINGS_INIT;
}

const struct setting *settings_get(const struct settings *s, struct span name)
{
    return map_get(&s->by_name, name);
}

static struct setting *settings_add(struct settings *s, struct span name)
{
    if (s->count == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        struct setting **all = arena_calloc(&s->arena, cap, sizeof(struct setting *));
        if (s->count)
            memcpy(all, s->all, s->count * sizeof(struct setting *));
        s->all = all;
        s->cap = cap;
    }
    struct setting *set = ARENA_NEW(&s->arena, struct setting);
    set->name = arena_dup(&s->arena, name);
    s->all[s->count++] = set;
    map_set(&s->by_name, set->name, set);
    return set;
}

bool settings_set(struct settings *s, struct span name, struct span value, enum setting_origin origin,
                  struct param_place place)
{
    struct setting *set = map_get(&s->by_name, name);
    if (name.n == 0 || name.n > SETTING_NAME_MAX || value.n > SETTING_VALUE_MAX ||
        (!set && s->count >= SETTINGS_MAX))
        return false;
    CHECK(span_find(name, '\0') == name.n && span_find(value, '\0') == value.n);
    if (!set)
        set = settings_add(s, name);
    set->value = arena_dup(&s->arena, value);
    if (!span_eq(set->file, place.file))
        set->file = arena_dup(&s->arena, place.file);
    set->line = place.line;
    set->origin = origin;
    return true;
}

void settings_set_fact(struct settings *s, const char *name, struct span value)
{
    CHECK(settings_set(s, span_text(name), value, SETTING_FACT, (struct param_place){0}));
}

/* --- text --------------------------------------------------------------------- */

const char *settings_split(struct span text, struct span *name, struct span *value)
{
    size_t at = span_find(text, '=');
    if (at == text.n)
        return "there is no '=': write it as \"name = value\"";
    *name = span_trim(span_slice(text, 0, at));
    *value = span_trim(span_skip(text, at + 1));
    if (name->n == 0)
        return "there is no name before the '=': write it as \"name = value\"";
    if (name->p[0] == '.')
        return "a name cannot start with '.'";
    for (size_t i = 0; i < name->n; i++)
        if (byte_is_space(span_at(*name, i)))
            return "there is whitespace in the name before the '=': write it as \"name = value\"";
        else if (span_at(*name, i) < 0x20 || span_at(*name, i) == 0x7f)
            return "there is a control character in the name";
    return NULL;
}

static bool settings_take(struct settings *s, struct span text, enum setting_origin origin,
                          struct param_place place, struct param_errors *errors)
{
    struct span name, value;
    const char *wrong = settings_split(text, &name, &value);
    if (wrong) {
        param_error_add(errors, PARAM_ERROR, place, "\"%.*s\": %s", SPAN_ARG(span_slice(text, 0, 100)),
                        wrong);
        return false;
    }
    const struct setting *earlier = settings_get(s, name);
    if (earlier && earlier->origin == SETTING_FILE && origin == SETTING_FILE)
        param_error_add(errors, PARAM_WARNING, place,
                        "%.*s: overrides the earlier entry of line %u: remove one of the two", SPAN_ARG(name),
                        earlier->line);
    if (settings_set(s, name, value, origin, place))
        return true;
    param_error_add(errors, PARAM_ERROR, place,
                    "%.*s: too large: at most %d settings, %d octets of name and %d octets of value",
                    SPAN_ARG(span_slice(name, 0, 100)), SETTINGS_MAX, SETTING_NAME_MAX, SETTING_VALUE_MAX);
    return false;
}

/* Says which line holds a NUL octet; what is left of the text is still parsed. */
static bool settings_refuse_nul(struct span text, struct span file, struct param_errors *errors)
{
    size_t at = span_find(text, '\0');
    if (at == text.n)
        return true;
    unsigned line = 1;
    for (size_t i = 0; i < at; i++)
        line += text.p[i] == '\n';
    param_error_add(errors, PARAM_ERROR, (struct param_place){file, line},
                    "there is a NUL octet here: save the file as plain text (UTF-8)");
    return false;
}

bool settings_parse(struct settings *s, struct span text, struct span file, struct param_errors *errors)
{
    if (!settings_refuse_nul(text, file, errors))
        return false;
    struct buf line = BUF_INIT;
    struct lines lines = lines_of(text);
    unsigned first;
    bool good = true;
    while (lines_next(&lines, &line, &first)) {
        struct param_place place = {file, first};
        if (line.full) {
            param_error_add(errors, PARAM_ERROR, place, "this line and its continuations are too long");
            good = false;
        } else if (byte_is_space(span_at(buf_span(&line), 0)))
            param_error_add(errors, PARAM_WARNING, place,
                            "\"%.*s\" is ignored: it starts with whitespace and there is no line before it "
                            "that it could continue",
                            SPAN_ARG(span_trim(span_slice(buf_span(&line), 0, 100))));
        else
            good = settings_take(s, buf_span(&line), SETTING_FILE, place, errors) && good;
    }
    buf_fini(&line);
    return good;
}

bool settings_parse_option(struct settings *s, struct span text, struct param_place place,
                           struct param_errors *errors)
{
    text = span_trim(text);
    if (span_find(text, '\0') < text.n) {
        param_error_add(errors, PARAM_ERROR, place, "there is a NUL octet in an option");
        return false;
    }
    if (text.n >= 2 && text.p[0] == '{' && text.p[text.n - 1] == '}')
        text = span_trim(span_slice(text, 1, text.n - 1));
    return settings_take(s, text, SETTING_OPTION, place, errors);
}

/* --- the flat form --------------------------------------------------------------
 * magic (8 octets), count (4), then per setting: origin, line, and the lengths of
 * name, value and file (4 octets each, little endian), followed by their octets. */

static const char SETTINGS_MAGIC[8] = {'m', 'e', 'r', 'p', 's', 'e', 't', '1'};

static void flat_put(struct buf *out, size_t value)
{
    char octets[4];
    CHECK(value <= UINT32_MAX);
    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (char)(value >> (8 * i) & 0xff);
    buf_put(out, span_of(octets, sizeof octets));
}

static bool flat_get(struct span *flat, uint32_t *value)
{
    if (flat->n < 4)
        return false;
    *value = 0;
    for (size_t i = 0; i < 4; i++)
        *value |= (uint32_t)span_at(*flat, i) << (8 * i);
    *flat = span_skip(*flat, 4);
    return true;
}

static bool flat_get_bytes(struct span *flat, size_t n, struct span *bytes)
{
    if (flat->n < n)
        return false;
    *bytes = span_slice(*flat, 0, n);
    *flat = span_skip(*flat, n);
    return span_find(*bytes, '\0') == bytes->n;
}

void settings_write(const struct settings *s, struct buf *out)
{
    buf_put(out, span_of(SETTINGS_MAGIC, sizeof SETTINGS_MAGIC));
    flat_put(out, s->count);
    for (size_t i = 0; i < s->count; i++) {
        const struct setting *set = s->all[i];
        flat_put(out, set->origin);
        flat_put(out, set->line);
        flat_put(out, set->name.n);
        flat_put(out, set->value.n);
        flat_put(out, set->file.n);
        buf_put(out, set->name);
        buf_put(out, set->value);
        buf_put(out, set->file);
    }
}

static bool settings_read_one(struct settings *s, struct span *flat)
{
    uint32_t origin, line, name_n, value_n, file_n;
    struct span name, value, file;
    return flat_get(flat, &origin) && flat_get(flat, &line) && flat_get(flat, &name_n) &&
           flat_get(flat, &value_n) && flat_get(flat, &file_n) && flat_get_bytes(flat, name_n, &name) &&
           flat_get_bytes(flat, value_n, &value) && flat_get_bytes(flat, file_n, &file) &&
           origin <= SETTING_OPTION &&
           settings_set(s, name, value, (enum setting_origin)origin, (struct param_place){file, line});
}

bool settings_read(struct settings *s, struct span flat, struct buf *why)
{
    struct span magic = span_slice(flat, 0, sizeof SETTINGS_MAGIC);
    uint32_t count = 0;
    bool good = span_eq(magic, span_of(SETTINGS_MAGIC, sizeof SETTINGS_MAGIC));
    flat = span_skip(flat, sizeof SETTINGS_MAGIC);
    good = good && flat_get(&flat, &count);
    for (uint32_t i = 0; good && i < count; i++)
        good = settings_read_one(s, &flat);
    if (good && flat.n == 0)
        return true;
    settings_fini(s);
    buf_puts(why, "the settings handed over by master are damaged or cut short");
    return false;
}

void settings_copy(struct settings *to, const struct settings *from)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct setting *set = from->all[i];
        CHECK(settings_set(to, set->name, set->value, set->origin, setting_place(set)));
    }
}

/* --- files ---------------------------------------------------------------------- */

static bool file_read_all(int fd, size_t max, struct buf *text, struct buf *why)
{
    struct stat st;
    if (fstat(fd, &st) != 0) {
        buf_printf(why, "%s", strerror(errno));
        return false;
    }
    if (!S_ISREG(st.st_mode)) {
        buf_puts(why, "this is not a regular file");
        return false;
    }
    enum { STEP = 65536 };
    for (;;) {
        char *to = text->len > max ? NULL : buf_reserve(text, STEP);
        if (!to) {
            buf_printf(why, "the file is over %zu octets", max);
            return false;
        }
        ssize_t n = read(fd, to, STEP);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            buf_printf(why, "%s", strerror(errno));
        if (n <= 0)
            return n == 0;
        buf_grown(text, (size_t)n);
    }
}

bool settings_load_file(const char *path, size_t max, struct buf *text, struct buf *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        buf_printf(why, "%s", strerror(errno));
        return false;
    }
    bool good = file_read_all(fd, max, text, why);
    close(fd);
    return good;
}
