#include "lib/param/usage.h"

#include "lib/param/param.h"

/* One configuration being looked through. */
struct survey {
    struct param_usage *u;
    const struct settings *s;
    const struct service *service; /* whose -o are looked through; NULL: main.cf */
    struct span file;              /* that of the warnings */
    struct param_errors *errors;
    unsigned depth; /* names referring to names */
};

enum { SURVEY_DEPTH_MAX = 100 };

/* --- names that count ------------------------------------------------------------ */

static struct param_use *usage_add(struct param_usage *u, struct span name, enum param_class class)
{
    if (u->count == u->cap) {
        size_t cap = u->cap ? u->cap * 2 : 64;
        struct param_use **all = arena_calloc(&u->arena, cap, sizeof(struct param_use *));
        if (u->count)
            memcpy(all, u->all, u->count * sizeof(struct param_use *));
        u->all = all;
        u->cap = cap;
    }
    struct param_use *use = ARENA_NEW(&u->arena, struct param_use);
    use->name = arena_dup(&u->arena, name);
    use->class = class;
    u->all[u->count++] = use;
    map_set(&u->by_name, use->name, use);
    return use;
}

const struct param_use *param_usage_find(const struct param_usage *u, struct span name)
{
    return map_get(&u->by_name, name);
}

enum param_class param_usage_class(const struct param_usage *u, struct span name)
{
    if (param_spec_find(name))
        return PARAM_CLASS_BUILTIN;
    const struct param_use *use = param_usage_find(u, name);
    return use ? use->class : PARAM_CLASS_NONE;
}

/* --- what services define ---------------------------------------------------------- */

static void usage_add_service_name(struct param_usage *u, struct span service, const struct param_spec *spec)
{
    struct span name =
        span_text(arena_printf(&u->arena, "%.*s_%.*s", SPAN_ARG(service), SPAN_ARG(spec->name)));
    if (!param_spec_find(name) && !param_usage_find(u, name))
        usage_add(u, name, PARAM_CLASS_SERVICE)->initial = span_text(spec->initial);
}

/* Which commands of master.cf have which of the parameters of transport.def. */
static const struct {
    struct span command;
    bool delivers, has_time_limit;
} AGENTS[] = {
    {SPAN_INIT("error"), true, false}, {SPAN_INIT("lmtp"), true, false},    {SPAN_INIT("local"), true, false},
    {SPAN_INIT("smtp"), true, false},  {SPAN_INIT("virtual"), true, false}, {SPAN_INIT("pipe"), true, true},
    {SPAN_INIT("spawn"), false, true},
};

static void usage_add_service(struct param_usage *u, const struct service *service)
{
    for (size_t i = 0; i < sizeof AGENTS / sizeof *AGENTS; i++) {
        if (service->type != SERVICE_UNIX || !span_eq(service->command, AGENTS[i].command))
            continue;
        for (size_t k = 0; k < param_transport_spec_count(); k++) {
            const struct param_spec *spec = param_transport_spec_at(k);
            bool is_time_limit = span_eq(spec->name, SPAN("time_limit"));
            if (is_time_limit ? AGENTS[i].has_time_limit : AGENTS[i].delivers)
                usage_add_service_name(u, service->name, spec);
        }
    }
}

/* --- references ---------------------------------------------------------------------- */

bool param_next_reference(struct span *text, struct span *name)
{
    for (;;) {
        size_t at = span_find(*text, '$');
        if (at == text->n)
            return false;
        *text = span_skip(*text, at + 1);
        if (text->n && text->p[0] == '$') {
            *text = span_skip(*text, 1);
            continue;
        }
        struct span rest = *text;
        bool group = rest.n && (rest.p[0] == '{' || rest.p[0] == '(');
        if (group) {
            rest = span_skip(rest, 1);
            while (rest.n && byte_is_space(span_at(rest, 0)))
                rest = span_skip(rest, 1);
        }
        size_t n = 0;
        while (n < rest.n && (byte_is_alnum(span_at(rest, n)) || rest.p[n] == '_'))
            n++;
        *name = span_slice(rest, 0, n);
        *text = span_skip(rest, n);
        if (n > 0)
            return true;
    }
}

static void survey_value(struct survey *v, struct span value);

/* The value of a name as the service being looked through sees it. */
static bool survey_lookup(const struct survey *v, struct span name, struct span *value)
{
    for (size_t i = v->service ? v->service->option_count : 0; i-- > 0;)
        if (span_eq(v->service->options[i].name, name)) {
            *value = v->service->options[i].value;
            return true;
        }
    const struct setting *set = settings_get(v->s, name);
    if (set)
        *value = set->value;
    return set != NULL;
}

/* A name that something refers to: it counts, and so does what its value refers to. */
static void survey_name(struct survey *v, struct span name)
{
    struct span value;
    if (param_usage_class(v->u, name) != PARAM_CLASS_NONE)
        return;
    if (survey_lookup(v, name, &value)) {
        usage_add(v->u, name, PARAM_CLASS_USER);
        survey_value(v, value);
    } else if (!map_get(&v->u->undefined, name)) {
        struct span *copy = ARENA_NEW(&v->u->arena, struct span);
        *copy = arena_dup(&v->u->arena, name);
        map_set(&v->u->undefined, *copy, copy);
        param_error_add(v->errors, PARAM_WARNING, (struct param_place){v->file, 0},
                        "undefined parameter: %.*s", SPAN_ARG(name));
    }
}

/* What databases are configured with, as <prefix>_<word>. */
static const char *const DATABASE_WORDS[] = {
    "bind",
    "bind_dn",
    "bind_pw",
    "cache",
    "cache_expiry",
    "cache_size",
    "chase_referrals",
    "debuglevel",
    "dereference",
    "domain",
    "expansion_limit",
    "leaf_result_attribute",
    "query_filter",
    "recursion_limit",
    "result_attribute",
    "result_format",
    "scope",
    "search_base",
    "server_host",
    "server_port",
    "size_limit",
    "special_result_attribute",
    "terminal_result_attribute",
    "timeout",
    "version",
    "start_tls",
    "tls_ca_cert_dir",
    "tls_ca_cert_file",
    "tls_cert",
    "tls_cipher_suite",
    "tls_key",
    "tls_random_file",
    "tls_require_cert",
    "sasl_mechs",
    "sasl_realm",
    "sasl_authz_id",
    "sasl_minssf",
    "dbname",
    "dbpath",
    "user",
    "password",
    "hosts",
    "query",
    "select_function",
    "select_field",
    "table",
    "where_field",
    "additional_conditions",
    "additional_filter",
    "result_filter",
    "encoding",
    "option_file",
    "option_group",
    "tls_CAfile",
    "tls_CApath",
    "tls_cert_file",
    "tls_key_file",
    "tls_ciphers",
    "tls_verify_cert",
    "require_result_set",
    "charset",
    "retry_interval",
    "idle_interval",
    "memcache",
    "backup",
    "flags",
    "ttl",
    "key_format",
    "line_size_limit",
    "data_size_limit",
    "max_try",
    "retry_pause",
    "uri",
    "collection",
    "projection",
};

static bool is_database(struct span type)
{
    static const struct span types[] = {SPAN_INIT("ldap"),   SPAN_INIT("mysql"),    SPAN_INIT("pgsql"),
                                        SPAN_INIT("sqlite"), SPAN_INIT("memcache"), SPAN_INIT("mongodb")};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (span_eq(type, types[i]))
            return true;
    return false;
}

/* "ldap:prefix", also behind "proxy:": prefix_server_host and the like count. */
static void survey_table(struct survey *v, struct span item)
{
    struct span type, name, value;
    while (value_split_table(item, &type, &name) && span_eq(type, SPAN("proxy")))
        item = name;
    if (!value_split_table(item, &type, &name) || !is_database(type) || span_has_any(name, SPAN("/.{$:")))
        return;
    for (size_t i = 0; i < sizeof DATABASE_WORDS / sizeof *DATABASE_WORDS; i++) {
        struct span word =
            span_text(arena_printf(&v->u->arena, "%.*s_%s", SPAN_ARG(name), DATABASE_WORDS[i]));
        if (survey_lookup(v, word, &value) && param_usage_class(v->u, word) == PARAM_CLASS_NONE) {
            usage_add(v->u, word, PARAM_CLASS_USER);
            survey_value(v, value);
        }
    }
}

static void survey_value(struct survey *v, struct span value)
{
    struct span name, rest = value;
    if (v->depth >= SURVEY_DEPTH_MAX)
        return;
    v->depth++;
    while (param_next_reference(&rest, &name))
        survey_name(v, name);
    while (value_next_item(&value, &name) > 0)
        if (span_find(name, ':') < name.n)
            survey_table(v, name);
    v->depth--;
}

/* --- the whole --------------------------------------------------------------------------- */

static void survey_classes(struct survey *v)
{
    struct arena scratch = ARENA_INIT;
    struct buf why = BUF_INIT;
    struct span raw, names, name;
    if (survey_lookup(v, SPAN("smtpd_restriction_classes"), &raw) &&
        param_expand_text(&scratch, v->s, raw, &names, &why))
        while (value_next_item(&names, &name) > 0)
            survey_name(v, name);
    buf_fini(&why);
    arena_fini(&scratch);
}

static void survey_main(struct survey *v)
{
    survey_classes(v);
    for (size_t i = 0; i < v->s->count; i++) {
        enum param_class class = param_usage_class(v->u, v->s->all[i]->name);
        if (class == PARAM_CLASS_BUILTIN || class == PARAM_CLASS_SERVICE)
            survey_value(v, v->s->all[i]->value);
    }
}

static void survey_service(struct survey *v)
{
    for (size_t i = 0; i < v->service->option_count; i++)
        if (span_eq(v->service->options[i].name, SPAN("smtpd_restriction_classes")))
            survey_classes(v);
    for (size_t i = 0; i < v->service->option_count; i++)
        survey_value(v, v->service->options[i].value);
}

static void warn_unused(const struct param_usage *u, struct span file, struct span name, struct span value,
                        struct param_errors *errors)
{
    if (param_usage_class(u, name) == PARAM_CLASS_NONE)
        param_error_add(errors, PARAM_WARNING, (struct param_place){file, 0}, "unused parameter: %.*s=%.*s",
                        SPAN_ARG(name), SPAN_ARG(value));
}

void param_usage_init(struct param_usage *u, const struct settings *s, struct span main_file,
                      const struct mastercf *cf, struct span master_file, struct param_errors *errors)
{
    struct survey v = {.u = u, .s = s, .file = main_file, .errors = errors};
    for (size_t i = 0; cf && i < cf->count; i++)
        usage_add_service(u, &cf->at[i]);
    survey_main(&v);
    v.file = master_file;
    map_fini(&u->undefined); /* each file gets its own warning */
    for (size_t i = 0; cf && i < cf->count; i++) {
        v.service = &cf->at[i];
        survey_service(&v);
    }
}

void param_usage_warn_main(const struct param_usage *u, const struct settings *s, struct span file,
                           struct param_errors *errors)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->all[i]->origin != SETTING_FACT)
            warn_unused(u, file, s->all[i]->name, s->all[i]->value, errors);
}

void param_usage_warn_services(const struct param_usage *u, const struct mastercf *cf, struct span file,
                               struct param_errors *errors)
{
    for (size_t i = 0; i < cf->count; i++)
        for (size_t k = 0; k < cf->at[i].option_count; k++)
            warn_unused(u, file, cf->at[i].options[k].name, cf->at[i].options[k].value, errors);
}

void param_usage_fini(struct param_usage *u)
{
    map_fini(&u->by_name);
    map_fini(&u->undefined);
    arena_fini(&u->arena);
    *u = PARAM_USAGE_INIT;
}
