#include "lib/param/param.h"

#include "lib/param/computed.h"

_Static_assert(sizeof(enum param_bare_newline) == sizeof(unsigned), "an enum member is written as unsigned");

/* A value on its way into a member. */
struct conversion {
    const struct param_spec *spec;
    struct arena *arena; /* for texts and lists */
    struct span text;    /* expanded (but RAW), trimmed */
    void *member;
    struct buf *why;
};

static bool convert_length(const struct conversion *c)
{
    if ((int64_t)c->text.n < c->spec->min) {
        if (c->text.n == 0)
            buf_puts(c->why, "it is empty, and must not be");
        else
            buf_printf(c->why, "\"%.*s\" is too short: use at least %lld octets", SPAN_ARG(c->text),
                       (long long)c->spec->min);
        return false;
    }
    if ((int64_t)c->text.n > c->spec->max) {
        buf_printf(c->why, "it is too long: use at most %lld octets", (long long)c->spec->max);
        return false;
    }
    return true;
}

static bool convert_text(const struct conversion *c)
{
    struct span *member = c->member;
    *member = arena_dup(c->arena, c->text);
    return convert_length(c);
}

static bool convert_bool(const struct conversion *c)
{
    return value_bool(c->text, c->member, c->why);
}

static bool convert_int(const struct conversion *c)
{
    return value_int(c->text, c->spec->min, c->spec->max, c->member, c->why);
}

static bool convert_count(const struct conversion *c)
{
    int64_t value;
    uint64_t *member = c->member;
    if (!value_int(c->text, c->spec->min, c->spec->max, &value, c->why))
        return false;
    *member = (uint64_t)value;
    return true;
}

static bool convert_code(const struct conversion *c)
{
    int64_t value;
    unsigned *member = c->member;
    if (!value_int(c->text, c->spec->min, c->spec->max, &value, c->why))
        return false;
    *member = (unsigned)value;
    return true;
}

/* The unit that a default ends with: what a number without one means. */
static char default_unit(const struct param_spec *spec)
{
    struct span initial = span_text(spec->initial);
    if (initial.n && initial.p[0] != '$' && value_time_unit(initial.p[initial.n - 1]))
        return initial.p[initial.n - 1];
    if (initial.n > 1 && initial.p[initial.n - 2] == '}' && value_time_unit(initial.p[initial.n - 1]))
        return initial.p[initial.n - 1];
    return 's';
}

static bool convert_time(const struct conversion *c)
{
    return value_time(c->text, default_unit(c->spec), c->spec->min, c->spec->max, c->member, c->why);
}

static bool convert_list(const struct conversion *c)
{
    return convert_length(c) && value_list(c->arena, c->text, c->member, c->why);
}

static bool convert_tables(const struct conversion *c)
{
    return convert_length(c) && value_tables(c->arena, c->text, c->member, c->why);
}

static bool convert_word(const struct conversion *c, struct span word, unsigned *value)
{
    for (size_t i = 0; i < c->spec->word_count; i++)
        if (span_eq_nocase(word, c->spec->words[i])) {
            *value = (unsigned)i;
            return true;
        }
    buf_printf(c->why, "\"%.*s\" is none of:", SPAN_ARG(word));
    for (size_t i = 0; i < c->spec->word_count; i++)
        buf_printf(c->why, "%s %.*s", i ? "," : "", SPAN_ARG(c->spec->words[i]));
    return false;
}

static bool convert_enum(const struct conversion *c)
{
    return convert_word(c, c->text, c->member);
}

static bool convert_flags(const struct conversion *c)
{
    unsigned *member = c->member, place;
    struct span rest = c->text, word;
    *member = 0;
    while (value_next_item(&rest, &word) > 0) {
        if (!convert_word(c, word, &place))
            return false;
        *member |= 1U << place;
    }
    return convert_length(c);
}

static bool (*const CONVERT[])(const struct conversion *c) = {
    [PARAM_KIND_STR] = convert_text,    [PARAM_KIND_RAW] = convert_text,
    [PARAM_KIND_BOOL] = convert_bool,   [PARAM_KIND_INT] = convert_int,
    [PARAM_KIND_COUNT] = convert_count, [PARAM_KIND_BYTES] = convert_count,
    [PARAM_KIND_CODE] = convert_code,   [PARAM_KIND_TIME] = convert_time,
    [PARAM_KIND_LIST] = convert_list,   [PARAM_KIND_TABLES] = convert_tables,
    [PARAM_KIND_ENUM] = convert_enum,   [PARAM_KIND_FLAGS] = convert_flags,
};

/* Large enough for every member, for values that are only checked. */
union any_member {
    struct param_list list;
    struct span text;
    uint64_t number;
    bool yes;
};

/* Expands raw where its kind wants it and converts it. result: false: why says what is wrong */
static bool param_convert(struct param_scope *scope, const struct param_spec *spec, struct span raw,
                          struct arena *a, void *member, struct buf *why)
{
    struct conversion c = {.spec = spec, .arena = a, .text = raw, .member = member, .why = why};
    if (spec->kind != PARAM_KIND_RAW && !param_expand(scope, raw, &c.text, why))
        return false;
    if (span_find(c.text, '\0') < c.text.n) {
        buf_puts(why, "there is a NUL octet in it");
        return false;
    }
    return CONVERT[spec->kind](&c);
}

/* --- loading ---------------------------------------------------------------------- */

/* One row being loaded: under which name its value is set, and where it goes. */
struct loading {
    struct param_scope scope;
    struct arena *arena;
    struct param_errors *errors;
};

static void loading_report(struct loading *l, const struct param_spec *spec, struct span name,
                           struct span why)
{
    const struct setting *set = settings_get(l->scope.settings, name);
    bool harmless = spec->support == PARAM_NOOP || spec->support == PARAM_LATER;
    struct param_place nowhere = {0};
    param_error_add(l->errors, harmless ? PARAM_WARNING : PARAM_ERROR, set ? setting_place(set) : nowhere,
                    "%.*s%s: %.*s", SPAN_ARG(name), set ? "" : " (its default)", SPAN_ARG(why));
}

/* Loads one member. initial: the raw default. result: false: said in errors */
static bool loading_one(struct loading *l, const struct param_spec *spec, struct span name,
                        struct span initial, void *member)
{
    const struct setting *set = settings_get(l->scope.settings, name);
    struct buf why = BUF_INIT;
    bool good = param_convert(&l->scope, spec, set ? set->value : initial, l->arena, member, &why);
    if (!good) {
        loading_report(l, spec, name, buf_span(&why));
        if (set)
            param_convert(&l->scope, spec, initial, l->arena, member, &why);
        good = spec->support == PARAM_NOOP || spec->support == PARAM_LATER;
    }
    buf_fini(&why);
    return good;
}

static bool loading_row(struct loading *l, const struct param_spec *spec, void *params)
{
    struct span initial = param_spec_default(&l->scope, spec);
    return loading_one(l, spec, spec->name, initial, (char *)params + spec->offset);
}

static bool param_load(struct arena *a, const struct settings *s, enum param_owner owner, void *params,
                       struct param_errors *errors)
{
    struct arena scratch = ARENA_INIT;
    struct loading l = {.scope = {.settings = s, .arena = &scratch}, .arena = a, .errors = errors};
    bool good = true;
    for (size_t i = 0; i < param_spec_count(); i++)
        if (param_spec_at(i)->owner == owner)
            good = loading_row(&l, param_spec_at(i), params) && good;
    arena_fini(&scratch);
    return good;
}

#define OWNER(owner)                                                                                         \
    bool params_##owner##_load(struct arena *a, const struct settings *s, struct params_##owner *p,          \
                               struct param_errors *errors)                                                  \
    {                                                                                                        \
        *p = (struct params_##owner){0};                                                                     \
        return param_load(a, s, PARAM_OWNER_##owner, p, errors);                                             \
    }
#include "conf/params/owners.def"
#undef OWNER

/* The LMTP twin of a parameter of the SMTP client, or the parameter itself. */
static const struct param_spec *lmtp_twin(const struct param_spec *spec)
{
    static const struct {
        struct span smtp, lmtp;
    } words[] = {
        {SPAN_INIT("smtp_helo_name"), SPAN_INIT("lmtp_lhlo_name")},
        {SPAN_INIT("smtp_helo_timeout"), SPAN_INIT("lmtp_lhlo_timeout")},
        {SPAN_INIT("smtp_discard_ehlo_keywords"), SPAN_INIT("lmtp_discard_lhlo_keywords")},
        {SPAN_INIT("smtp_discard_ehlo_keyword_address_maps"),
         SPAN_INIT("lmtp_discard_lhlo_keyword_address_maps")},
    };
    if (!span_starts(spec->name, SPAN("smtp_")))
        return spec;
    struct buf name = BUF_INIT;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (span_eq(spec->name, words[i].smtp))
            buf_put(&name, words[i].lmtp);
    if (name.len == 0)
        buf_printf(&name, "lmtp_%.*s", SPAN_ARG(span_skip(spec->name, 5)));
    const struct param_spec *twin = param_spec_find(buf_span(&name));
    buf_fini(&name);
    return twin && twin->kind == spec->kind ? twin : spec;
}

bool params_smtp_load_lmtp(struct arena *a, const struct settings *s, struct params_smtp *p,
                           struct param_errors *errors)
{
    struct arena scratch = ARENA_INIT;
    struct loading l = {.scope = {.settings = s, .arena = &scratch}, .arena = a, .errors = errors};
    bool good = true;
    *p = (struct params_smtp){0};
    for (size_t i = 0; i < param_spec_count(); i++) {
        const struct param_spec *spec = param_spec_at(i), *twin = lmtp_twin(spec);
        if (spec->owner != PARAM_OWNER_smtp)
            continue;
        struct span initial = param_spec_default(&l.scope, twin);
        good = loading_one(&l, twin, twin->name, initial, (char *)p + spec->offset) && good;
    }
    arena_fini(&scratch);
    return good;
}

bool params_transport_load(struct arena *a, const struct settings *s, struct span transport,
                           struct params_transport *p, struct param_errors *errors)
{
    struct arena scratch = ARENA_INIT;
    struct loading l = {.scope = {.settings = s, .arena = &scratch}, .arena = a, .errors = errors};
    bool good = true;
    *p = (struct params_transport){0};
    for (size_t i = 0; i < param_transport_spec_count(); i++) {
        const struct param_spec *spec = param_transport_spec_at(i);
        struct span name =
            span_text(arena_printf(&scratch, "%.*s_%.*s", SPAN_ARG(transport), SPAN_ARG(spec->name)));
        /* A row of its own (local_destination_recipient_limit) has another default. */
        struct span initial = span_text(spec->initial);
        param_raw_default(&l.scope, name, &initial);
        good = loading_one(&l, spec, name, initial, (char *)p + spec->offset) && good;
    }
    arena_fini(&scratch);
    return good;
}

/* --- by name ------------------------------------------------------------------------ */

bool param_expand_text(struct arena *a, const struct settings *s, struct span text, struct span *value,
                       struct buf *why)
{
    struct param_scope scope = {.settings = s, .arena = a};
    return param_expand(&scope, text, value, why);
}

bool param_expand_name(struct arena *a, const struct settings *s, struct span name, struct span *value,
                       struct buf *why)
{
    struct param_scope scope = {.settings = s, .arena = a};
    struct span raw;
    if (!param_raw(&scope, name, &raw)) {
        buf_puts(why, "unknown parameter");
        return false;
    }
    return param_expand(&scope, raw, value, why);
}

bool param_default(struct arena *a, const struct settings *s, struct span name, struct span *value)
{
    struct param_scope scope = {.settings = s, .arena = a};
    return param_raw_default(&scope, name, value);
}

bool param_check_value(const struct settings *s, struct span name, struct span value, struct buf *why)
{
    struct arena scratch = ARENA_INIT;
    struct param_scope scope = {.settings = s, .arena = &scratch};
    const struct param_spec *spec = param_spec_find(name);
    union any_member member;
    bool good = !spec || param_convert(&scope, spec, value, &scratch, &member, why);
    arena_fini(&scratch);
    return good;
}

void param_warn_unsupported(const struct settings *s, struct param_errors *errors)
{
    struct arena scratch = ARENA_INIT;
    struct param_scope scope = {.settings = s, .arena = &scratch};
    for (size_t i = 0; i < s->count; i++) {
        const struct setting *set = s->all[i];
        const struct param_spec *spec = set->origin == SETTING_FACT ? NULL : param_spec_find(set->name);
        if (spec && spec->support == PARAM_LATER && !span_eq(set->value, param_spec_default(&scope, spec)))
            param_error_add(errors, PARAM_WARNING, setting_place(set),
                            "%.*s: this is known but not supported yet, and has no effect",
                            SPAN_ARG(set->name));
    }
    arena_fini(&scratch);
}

bool param_check_all(const struct settings *s, struct param_errors *errors)
{
    struct arena scratch = ARENA_INIT;
    struct loading l = {.scope = {.settings = s, .arena = &scratch}, .arena = &scratch, .errors = errors};
    bool good = true;
    for (size_t i = 0; i < param_spec_count(); i++) {
        const struct param_spec *spec = param_spec_at(i);
        union any_member member;
        good = loading_one(&l, spec, spec->name, param_spec_default(&l.scope, spec), &member) && good;
    }
    arena_fini(&scratch);
    param_warn_unsupported(s, errors);
    return good;
}
