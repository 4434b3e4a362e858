/* pages: completes a manual page with what is declared elsewhere.
 *
 *     pages < docs/man/smtpd.8 > smtpd.8
 *
 * A line of the page that is one of these comments is replaced by a list (mdoc):
 *
 *     .\" @parameters all@      all parameters that have an effect, with type, default and text
 *     .\" @parameters later@    the names of those that have none yet
 *     .\" @parameters smtpd@    the names of one owner's parameters
 *     .\" @transport@           what each delivery service may set for itself
 *     .\" @restrictions@        the words of smtpd's restriction lists
 *     .\" @programs@            the commands that a service in master.cf may name */
#include "lib/param/param.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct named {
    const char *name, *doc;
};

static const struct named restrictions[] = {
#define RULE(word, function, doc) {word, doc},
#include "smtpd/rules.def"
#undef RULE
};

static const char *const restrictions_later[] = {
#define LATER(word, arguments) word,
#include "smtpd/rules_later.def"
#undef LATER
};

static const char *const programs[] = {
#define PROGRAM(name, kind, processes, calls, at_start, sockets, holds_queue) #name,
#include "master/programs.def"
#undef PROGRAM
};

/* --- text -------------------------------------------------------------------------- */

/* Text that is shown as it is: nothing in it is for the formatter. */
static void put_plain(const char *text)
{
    bool at_start = true;
    for (; *text; text++) {
        if (at_start && (*text == '.' || *text == '\''))
            fputs("\\&", stdout);
        at_start = *text == '\n';
        if (*text == '\\')
            fputs("\\e", stdout);
        else
            putchar(*text);
    }
}

/* The same for what somebody types: a hyphen stays one. */
static void put_literal(const char *text)
{
    for (; *text; text++)
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else
            putchar(*text);
}

/* A name as a macro's argument. */
static void put_names(const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        printf(".Cm %s%s\n", names[i], i + 1 < n ? " ," : "");
}

/* --- parameters ---------------------------------------------------------------------- */

static bool is_in_force(const struct param_spec *p)
{
    return p->support != PARAM_LATER;
}

static int compare_specs(const void *a, const void *b)
{
    const struct param_spec *const *left = a, *const *right = b;
    return strcmp((*left)->name.p, (*right)->name.p);
}

/* All rows by name; the caller frees the list. */
static const struct param_spec **sorted_specs(void)
{
    const struct param_spec **all = calloc(param_spec_count(), sizeof *all);
    if (!all)
        abort();
    for (size_t i = 0; i < param_spec_count(); i++)
        all[i] = param_spec_at(i);
    qsort(all, param_spec_count(), sizeof *all, compare_specs);
    return all;
}

static bool has_low_bound(const struct param_spec *p)
{
    return p->kind == PARAM_KIND_INT ? p->min > INT_MIN : p->min > 0;
}

static bool has_high_bound(const struct param_spec *p)
{
    return p->max > 0 && p->max != INT_MAX && p->max != INT64_MAX;
}

static void put_range(const struct param_spec *p, const char *unit)
{
    if (has_low_bound(p) && has_high_bound(p))
        printf(", %lld to %lld%s", (long long)p->min, (long long)p->max, unit);
    else if (has_low_bound(p))
        printf(", %lld%s or more", (long long)p->min, unit);
    else if (has_high_bound(p))
        printf(", %lld%s at most", (long long)p->max, unit);
}

static void put_words(const struct param_spec *p)
{
    for (size_t i = 0; i < p->word_count; i++) {
        fputs(i ? ", " : ": ", stdout);
        put_literal(p->words[i].p);
    }
}

/* What may stand behind the '='. */
static void put_kind(const struct param_spec *p)
{
    switch (p->kind) {
    case PARAM_KIND_STR:
    case PARAM_KIND_RAW:
        fputs(p->min > 0 ? "Text, not empty" : "Text", stdout);
        break;
    case PARAM_KIND_BOOL:
        fputs("Yes or no", stdout);
        break;
    case PARAM_KIND_INT:
    case PARAM_KIND_COUNT:
        fputs("A number", stdout);
        put_range(p, "");
        break;
    case PARAM_KIND_BYTES:
        fputs("Octets", stdout);
        put_range(p, "");
        break;
    case PARAM_KIND_CODE:
        fputs("A reply code", stdout);
        put_range(p, "");
        break;
    case PARAM_KIND_TIME:
        fputs("A time", stdout);
        put_range(p, " seconds");
        break;
    case PARAM_KIND_LIST:
        fputs("A list", stdout);
        break;
    case PARAM_KIND_TABLES:
        fputs("A list of tables", stdout);
        break;
    case PARAM_KIND_ENUM:
        fputs("One of", stdout);
        put_words(p);
        break;
    case PARAM_KIND_FLAGS:
        fputs("Any of", stdout);
        put_words(p);
        break;
    }
}

static void put_default(const struct param_spec *p)
{
    fputs("Default: ", stdout);
    if (!p->initial)
        fputs("found out from the system", stdout);
    else if (*p->initial == 0)
        fputs("empty", stdout);
    else
        put_literal(p->initial);
    puts(".");
}

static void put_since(const struct param_spec *p)
{
    if (strncmp(p->since, "merpati", 7) == 0)
        puts("Not in Postfix.");
    else if (*p->since)
        printf("In Postfix since %s.\n", p->since);
}

static void put_parameter(const struct param_spec *p)
{
    printf(".It Cm %s\n", p->name.p);
    put_plain(p->doc);
    fputs("\n.Pp\n", stdout);
    put_kind(p);
    puts(".");
    put_default(p);
    if (p->support == PARAM_NOOP)
        puts("Accepted; there is nothing that it could change here.");
    put_since(p);
}

static void put_all_parameters(void)
{
    const struct param_spec **all = sorted_specs();
    puts(".Bl -tag -width Ds");
    for (size_t i = 0; i < param_spec_count(); i++)
        if (is_in_force(all[i]))
            put_parameter(all[i]);
    puts(".El");
    free(all);
}

/* owner: NULL: of all, but only those that have no effect yet */
static void put_parameter_names(const char *owner)
{
    const struct param_spec **all = sorted_specs();
    const char **names = calloc(param_spec_count() + 1, sizeof *names);
    size_t n = 0;
    for (size_t i = 0; names && i < param_spec_count(); i++)
        if (owner ? is_in_force(all[i]) && strcmp(param_owner_name(all[i]->owner), owner) == 0 : !is_in_force(all[i]))
            names[n++] = all[i]->name.p;
    if (n)
        put_names(names, n);
    else
        puts("none");
    free(names);
    free(all);
}

static void put_transport(void)
{
    puts(".Bl -tag -width Ds");
    for (size_t i = 0; i < param_transport_spec_count(); i++) {
        const struct param_spec *p = param_transport_spec_at(i);
        printf(".It Ar transport Ns Cm _%s\n", p->name.p);
        put_plain(p->doc);
        fputs("\n.br\n", stdout);
        put_kind(p);
        puts(".");
        put_default(p);
    }
    puts(".El");
}

/* --- the other lists ------------------------------------------------------------------ */

static void put_restrictions(void)
{
    puts(".Bl -tag -width Ds");
    for (size_t i = 0; i < sizeof restrictions / sizeof *restrictions; i++) {
        printf(".It Cm %s\n", restrictions[i].name);
        put_plain(restrictions[i].doc);
        putchar('\n');
    }
    puts(".El\n.Pp\nThese are known and decide nothing yet; the log says so when the server starts:");
    put_names(restrictions_later, sizeof restrictions_later / sizeof *restrictions_later);
}

static void put_programs(void)
{
    put_names(programs, sizeof programs / sizeof *programs);
}

/* result: false: nothing is known by this name */
static bool put_list(const char *what)
{
    if (strcmp(what, "parameters all") == 0)
        put_all_parameters();
    else if (strcmp(what, "parameters later") == 0)
        put_parameter_names(NULL);
    else if (strncmp(what, "parameters ", 11) == 0)
        put_parameter_names(what + 11);
    else if (strcmp(what, "transport") == 0)
        put_transport();
    else if (strcmp(what, "restrictions") == 0)
        put_restrictions();
    else if (strcmp(what, "programs") == 0)
        put_programs();
    else
        return false;
    return true;
}

int main(void)
{
    char line[1024], what[64];
    while (fgets(line, sizeof line, stdin))
        if (sscanf(line, ".\\\" @%63[^@]@", what) != 1) {
            fputs(line, stdout);
        } else if (!put_list(what)) {
            fprintf(stderr, "pages: there is no list \"%s\"\n", what);
            return 1;
        }
    return fflush(stdout) == 0 ? 0 : 1;
}
