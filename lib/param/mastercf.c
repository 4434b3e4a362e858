#include "lib/param/mastercf.h"

#include "lib/param/lines.h"
#include "lib/param/value.h"

enum { ARGS_MAX = 1000 };

static const struct span TYPE_NAMES[SERVICE_TYPE_COUNT] = {
    [SERVICE_INET] = SPAN_INIT("inet"),
    [SERVICE_UNIX] = SPAN_INIT("unix"),
    [SERVICE_FIFO] = SPAN_INIT("fifo"),
    [SERVICE_PASS] = SPAN_INIT("pass"),
    [SERVICE_UNIX_DGRAM] = SPAN_INIT("unix-dgram"),
};

static const struct span FIELD_NAMES[SERVICE_FIELD_COUNT] = {
    [SERVICE_FIELD_NAME] = SPAN_INIT("service"),
    [SERVICE_FIELD_TYPE] = SPAN_INIT("type"),
    [SERVICE_FIELD_PRIVATE] = SPAN_INIT("private"),
    [SERVICE_FIELD_UNPRIVILEGED] = SPAN_INIT("unprivileged"),
    [SERVICE_FIELD_CHROOT] = SPAN_INIT("chroot"),
    [SERVICE_FIELD_WAKEUP] = SPAN_INIT("wakeup"),
    [SERVICE_FIELD_MAXPROC] = SPAN_INIT("process_limit"),
    [SERVICE_FIELD_COMMAND] = SPAN_INIT("command"),
};

struct span service_type_name(enum service_type type)
{
    return TYPE_NAMES[type];
}

struct span service_field_name(enum service_field field)
{
    return FIELD_NAMES[field];
}

bool service_type_parse(struct span text, enum service_type *type)
{
    for (size_t i = 0; i < SERVICE_TYPE_COUNT; i++)
        if (span_eq(text, TYPE_NAMES[i])) {
            *type = (enum service_type)i;
            return true;
        }
    return false;
}

/* --- fields ------------------------------------------------------------------------ */

/* One line being parsed. */
struct parse {
    struct arena *a;
    struct service *service;
    struct param_errors *errors;
};

static bool field_fail(const struct parse *p, enum service_field field, const char *remedy)
{
    param_error_add(p->errors, PARAM_ERROR, p->service->place, "service %.*s: field %d (%.*s): \"%.*s\": %s",
                    SPAN_ARG(p->service->fields[SERVICE_FIELD_NAME]), (int)field + 1,
                    SPAN_ARG(FIELD_NAMES[field]), SPAN_ARG(p->service->fields[field]), remedy);
    return false;
}

static bool field_is_default(const struct parse *p, enum service_field field)
{
    return span_eq(p->service->fields[field], SPAN("-"));
}

static bool field_flag(const struct parse *p, enum service_field field, bool otherwise, bool *flag)
{
    struct span text = p->service->fields[field];
    *flag = span_eq(text, SPAN("y")) || (otherwise && field_is_default(p, field));
    if (*flag || span_eq(text, SPAN("n")) || field_is_default(p, field))
        return true;
    return field_fail(p, field, "write y, n or -");
}

static bool field_wakeup(const struct parse *p)
{
    struct service *s = p->service;
    struct span text = s->fields[SERVICE_FIELD_WAKEUP];
    uint64_t seconds = 0;
    if (text.n && text.p[text.n - 1] == '?') {
        s->wakeup_if_used = true;
        text.n--;
    }
    if (!span_eq(text, SPAN("-")) && !span_to_u64(text, INT32_MAX, &seconds))
        return field_fail(p, SERVICE_FIELD_WAKEUP,
                          "write a number of seconds, perhaps with ? behind it, or -");
    s->wakeup = (int64_t)seconds;
    return true;
}

static bool field_maxproc(const struct parse *p)
{
    struct service *s = p->service;
    s->maxproc_default = field_is_default(p, SERVICE_FIELD_MAXPROC);
    if (s->maxproc_default || span_to_u64(s->fields[SERVICE_FIELD_MAXPROC], INT32_MAX, &s->maxproc))
        return true;
    return field_fail(p, SERVICE_FIELD_MAXPROC, "write a number (0 is without limit), or -");
}

static bool field_name(const struct parse *p)
{
    struct service *s = p->service;
    struct listen_spec listen;
    s->name = s->fields[SERVICE_FIELD_NAME];
    if (s->type != SERVICE_INET) {
        if (s->name.p[0] == '/' || span_eq(s->name, SPAN("..")) || span_starts(s->name, SPAN("../")))
            return field_fail(p, SERVICE_FIELD_NAME, "write a name relative to the queue directory");
        return true;
    }
    struct buf why = BUF_INIT;
    bool good = listen_spec_parse(s->name, &listen, &why);
    if (!good)
        field_fail(p, SERVICE_FIELD_NAME, buf_text(&why));
    buf_fini(&why);
    return good;
}

static bool field_command(const struct parse *p)
{
    struct service *s = p->service;
    s->command = s->fields[SERVICE_FIELD_COMMAND];
    if (span_find(s->command, '/') == s->command.n && s->command.p[0] != '.' && s->command.p[0] != '-')
        return true;
    return field_fail(p, SERVICE_FIELD_COMMAND,
                      "write the name of a program of daemon_directory, without a path");
}

static bool parse_fields(const struct parse *p)
{
    struct service *s = p->service;
    if (!service_type_parse(s->fields[SERVICE_FIELD_TYPE], &s->type))
        return field_fail(p, SERVICE_FIELD_TYPE, "write inet, unix, fifo, pass or unix-dgram");
    bool good = field_name(p);
    good = field_flag(p, SERVICE_FIELD_PRIVATE, s->type != SERVICE_INET, &s->is_private) && good;
    if (s->type == SERVICE_INET && s->is_private)
        good = field_fail(p, SERVICE_FIELD_PRIVATE, "a service on the network cannot be private: write n");
    good = field_flag(p, SERVICE_FIELD_UNPRIVILEGED, true, &s->unprivileged) && good;
    good = field_flag(p, SERVICE_FIELD_CHROOT, false, &s->chroot) && good;
    s->chroot_default = field_is_default(p, SERVICE_FIELD_CHROOT);
    good = field_wakeup(p) && good;
    good = field_maxproc(p) && good;
    return field_command(p) && good;
}

/* --- arguments ----------------------------------------------------------------------- */

/* Cuts the next word off *line; whitespace inside braces belongs to it.
 * result: 1 a word, 0 the end, -1 a closing brace is missing */
static int next_word(struct span *line, struct span *word)
{
    size_t depth = 0, to = 0;
    *line = span_trim(*line);
    for (; to < line->n && (depth > 0 || !byte_is_space(span_at(*line, to))); to++) {
        if (line->p[to] == '{')
            depth++;
        else if (line->p[to] == '}' && depth > 0)
            depth--;
    }
    *word = span_slice(*line, 0, to);
    *line = span_skip(*line, to);
    return depth > 0 ? -1 : word->n > 0;
}

static bool argument_fail(const struct parse *p, struct span word, const char *remedy)
{
    param_error_add(p->errors, PARAM_ERROR, p->service->place, "service %.*s: argument \"%.*s\": %s",
                    SPAN_ARG(p->service->fields[SERVICE_FIELD_NAME]), SPAN_ARG(word), remedy);
    return false;
}

/* Takes the braces off a word that is one group. */
static bool argument_ungroup(const struct parse *p, struct span *word)
{
    if (word->p[0] != '{')
        return true;
    size_t depth = 0;
    for (size_t i = 0; i < word->n; i++) {
        depth += word->p[i] == '{';
        depth -= word->p[i] == '}';
        if (depth == 0 && i + 1 < word->n)
            return argument_fail(p, *word, "put whitespace behind the closing '}'");
    }
    *word = span_trim(span_slice(*word, 1, word->n - 1));
    return true;
}

static bool parse_option(const struct parse *p, struct span text)
{
    struct service *s = p->service;
    struct service_option *option = &s->options[s->option_count];
    const char *wrong = settings_split(text, &option->name, &option->value);
    if (wrong)
        return argument_fail(p, text, wrong);
    option->name = arena_dup(p->a, option->name);
    option->value = arena_dup(p->a, option->value);
    s->option_count++;
    return true;
}

/* Which of the arguments are -o options: "-o name=value" or "-oname=value", up to
 * the first argument that does not start with '-'. */
static bool parse_options(const struct parse *p)
{
    struct service *s = p->service;
    s->options = arena_calloc(p->a, s->arg_count, sizeof *s->options);
    bool good = true;
    for (size_t i = 0; i < s->arg_count && s->args[i].n && s->args[i].p[0] == '-'; i++) {
        if (!span_starts(s->args[i], SPAN("-o")))
            continue;
        if (s->args[i].n > 2)
            good = parse_option(p, span_skip(s->args[i], 2)) && good;
        else if (++i < s->arg_count)
            good = parse_option(p, s->args[i]) && good;
        else
            return argument_fail(p, SPAN("-o"), "name=value is missing behind it");
    }
    return good;
}

static bool parse_arguments(const struct parse *p, struct span line)
{
    struct service *s = p->service;
    struct span word;
    int more;
    size_t count = 0;
    for (struct span rest = line; (more = next_word(&rest, &word)) > 0;)
        count++;
    if (more < 0)
        return argument_fail(p, word, "a closing '}' is missing");
    if (count > ARGS_MAX)
        return argument_fail(p, SPAN("..."), "there are too many");
    s->args = arena_calloc(p->a, count, sizeof *s->args);
    while (next_word(&line, &word) > 0) {
        if (!argument_ungroup(p, &word))
            return false;
        s->args[s->arg_count++] = arena_dup(p->a, word);
    }
    return parse_options(p);
}

bool mastercf_parse_line(struct arena *a, struct span line, struct param_place place, struct service *service,
                         struct param_errors *errors)
{
    struct parse p = {.a = a, .service = service, .errors = errors};
    *service = (struct service){.place = place};
    service->place.file = arena_dup(a, place.file);
    for (size_t i = 0; i < SERVICE_FIELD_COUNT; i++) {
        struct span word;
        if (next_word(&line, &word) <= 0) {
            param_error_add(
                errors, PARAM_ERROR, place,
                "this service has %zu of the 8 fields: name, type, private, unprivileged, chroot, "
                "wakeup, process limit and command (continuation lines start with whitespace)",
                i);
            return false;
        }
        service->fields[i] = arena_dup(a, word);
    }
    bool good = parse_fields(&p);
    return parse_arguments(&p, line) && good;
}

/* --- the file -------------------------------------------------------------------------- */

static struct service *find_mutable(struct mastercf *cf, struct span name, enum service_type type)
{
    for (size_t i = 0; i < cf->count; i++)
        if (cf->at[i].type == type && span_eq(cf->at[i].name, name))
            return &cf->at[i];
    return NULL;
}

const struct service *mastercf_find(const struct mastercf *cf, struct span name, enum service_type type)
{
    for (size_t i = 0; i < cf->count; i++)
        if (cf->at[i].type == type && span_eq(cf->at[i].name, name))
            return &cf->at[i];
    return NULL;
}

static bool mastercf_add(struct mastercf *cf, const struct service *service, struct param_errors *errors)
{
    struct service *earlier = find_mutable(cf, service->name, service->type);
    if (earlier) {
        param_error_add(errors, PARAM_WARNING, service->place,
                        "service %.*s %.*s: replaces the one of line %u: remove one of the two",
                        SPAN_ARG(service->name), SPAN_ARG(service_type_name(service->type)),
                        earlier->place.line);
        *earlier = *service;
        return true;
    }
    if (cf->count == MASTERCF_SERVICES_MAX) {
        param_error_add(errors, PARAM_ERROR, service->place, "there are more than %d services",
                        MASTERCF_SERVICES_MAX);
        return false;
    }
    cf->at[cf->count++] = *service;
    return true;
}

bool mastercf_parse(struct arena *a, struct span text, struct span file, struct mastercf *cf,
                    struct param_errors *errors)
{
    struct buf line = BUF_INIT;
    struct lines lines = lines_of(text);
    unsigned first;
    bool good = true;
    size_t most = 1;
    for (size_t i = 0; i < text.n && most < MASTERCF_SERVICES_MAX; i++)
        most += text.p[i] == '\n';
    *cf = (struct mastercf){.at = arena_calloc(a, most, sizeof *cf->at)};
    while (lines_next(&lines, &line, &first)) {
        struct param_place place = {file, first};
        struct service service;
        struct span bytes = buf_span(&line);
        if (line.full || span_find(bytes, '\0') < bytes.n) {
            param_error_add(errors, PARAM_ERROR, place, "this line is too long or holds a NUL octet");
            good = false;
        } else if (byte_is_space(span_at(bytes, 0))) {
            param_error_add(errors, PARAM_ERROR, place,
                            "this line starts with whitespace and there is no line before it that it could "
                            "continue: start it at the margin");
            good = false;
        } else if (mastercf_parse_line(a, bytes, place, &service, errors))
            good = mastercf_add(cf, &service, errors) && good;
        else
            good = false;
    }
    buf_fini(&line);
    return good;
}

bool service_apply_options(const struct service *service, struct settings *s, struct param_errors *errors)
{
    bool good = true;
    settings_set_fact(s, "service_name", service->name);
    for (size_t i = 0; i < service->option_count; i++)
        if (!settings_set(s, service->options[i].name, service->options[i].value, SETTING_OPTION,
                          service->place)) {
            param_error_add(errors, PARAM_ERROR, service->place, "-o %.*s: the value is too long",
                            SPAN_ARG(span_slice(service->options[i].name, 0, 100)));
            good = false;
        }
    return good;
}

/* --- host and port ----------------------------------------------------------------------- */

static const struct {
    struct span name;
    uint16_t port;
} PORTS[] = {
    {SPAN_INIT("smtp"), 25},         {SPAN_INIT("submission"), 587}, {SPAN_INIT("smtps"), 465},
    {SPAN_INIT("submissions"), 465}, {SPAN_INIT("pop3"), 110},       {SPAN_INIT("pop3s"), 995},
    {SPAN_INIT("imap"), 143},        {SPAN_INIT("imaps"), 993},      {SPAN_INIT("lmtp"), 24},
};

uint16_t port_by_name(struct span name)
{
    for (size_t i = 0; i < sizeof PORTS / sizeof *PORTS; i++)
        if (span_eq_nocase(name, PORTS[i].name))
            return PORTS[i].port;
    return 0;
}

static bool parse_port(struct span text, uint16_t *port, struct buf *why)
{
    uint64_t number = 0;
    *port = port_by_name(text);
    if (*port)
        return true;
    if (span_to_u64(text, UINT16_MAX, &number) && number > 0) {
        *port = (uint16_t)number;
        return true;
    }
    buf_printf(
        why,
        "\"%.*s\" is no port: write a number from 1 to 65535, or smtp, submission, smtps, submissions, "
        "lmtp, pop3, pop3s, imap or imaps",
        SPAN_ARG(text));
    return false;
}

bool listen_spec_parse(struct span text, struct listen_spec *listen, struct buf *why)
{
    *listen = (struct listen_spec){0};
    size_t colon = span_rfind(text, ':');
    if (colon == text.n)
        return parse_port(text, &listen->port, why);
    struct span host = span_slice(text, 0, colon);
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = span_slice(host, 1, host.n - 1);
    else if (span_has_any(host, SPAN(":[]"))) {
        buf_printf(why, "write an IPv6 address in brackets: [%.*s]:%.*s", SPAN_ARG(host),
                   SPAN_ARG(span_skip(text, colon + 1)));
        return false;
    }
    listen->host = host;
    return parse_port(span_skip(text, colon + 1), &listen->port, why);
}
