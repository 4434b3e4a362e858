#include "cli/sendmail/sendmail.h"
#include "lib/mail/address.h"
#include "lib/mail/addrlist.h"
#include "lib/mail/dsn.h"
#include "lib/wire/message.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* The work on one command line. */
struct reading {
    struct arena *a;
    struct options *o;
    const char *argument; /* of the option in hand */
};

/* Options that Postfix takes and ignores, and those of old programs that mean nothing here. */
static int take_nothing(struct reading *r)
{
    (void)r;
    return 0;
}

static int take_body_type(struct reading *r)
{
    if (span_eq_nocase(span_text(r->argument), SPAN("8BITMIME")))
        r->o->envelope.encoding = 8;
    else if (!span_eq_nocase(span_text(r->argument), SPAN("7BIT")))
        return fatal(EX_USAGE, "-B option needs 7BIT or 8BITMIME");
    return 0;
}

/* The name of a directory, or of its main.cf. Other files are some other program's. */
static int take_config(struct reading *r)
{
    struct span path = span_text(r->argument), name = SPAN("/main.cf");
    struct stat st;
    if (path.n > name.n && span_eq(span_skip(path, path.n - name.n), name))
        r->o->config_directory = arena_text(r->a, span_slice(path, 0, path.n - name.n));
    else if (stat(r->argument, &st) != 0 || S_ISDIR(st.st_mode))
        r->o->config_directory = r->argument;
    return 0;
}

static int take_full_name(struct reading *r)
{
    struct span name = span_text(r->argument);
    if (name.n > DROP_ADDRESS_MAX || !address_is_clean(name))
        return fatal(EX_USAGE, "-F option: the name is too long or has a control character");
    r->o->envelope.full_name = name;
    return 0;
}

static int take_sender(struct reading *r)
{
    struct addrlist_scan list;
    struct addrlist_item item = {0}, more;
    addrlist_init(&list, span_text(r->argument), 0);
    bool good = !addrlist_next(&list, r->a, &item) || !item.bad;
    if (!good || addrlist_next(&list, r->a, &more) || item.address.n > DROP_ADDRESS_MAX)
        return fatal(EX_USAGE, "-f option: \"%s\" is not one address", r->argument);
    r->o->envelope.sender = item.address; /* empty for "" and "<>" */
    r->o->envelope.flags |= DROP_SENDER;
    return 0;
}

static int take_gateway(struct reading *r)
{
    r->o->envelope.flags |= DROP_REMOTE;
    return 0;
}

static int take_ignore_dots(struct reading *r)
{
    r->o->ignore_dots = true;
    return 0;
}

static int take_notify(struct reading *r)
{
    unsigned notify;
    if (!dsn_notify_parse(span_text(r->argument), &notify))
        return fatal(EX_USAGE, "-N option needs \"never\", or a list of \"failure\", \"delay\" and \"success\"");
    r->o->envelope.notify = notify;
    return 0;
}

static int take_return(struct reading *r)
{
    enum dsn_ret ret;
    if (!dsn_ret_parse(span_text(r->argument), &ret))
        return fatal(EX_USAGE, "-R option needs \"full\" or \"hdrs\"");
    r->o->envelope.ret = ret == DSN_RET_FULL ? SPAN("FULL") : SPAN("HDRS");
    return 0;
}

static int take_envid(struct reading *r)
{
    struct span envid = span_text(r->argument);
    for (size_t i = 0; i < envid.n; i++)
        if (!byte_is_print(span_at(envid, i)))
            envid.n = 0;
    if (envid.n == 0 || envid.n > DSN_ENVID_MAX)
        return fatal(EX_USAGE, "-V option needs up to %d printable ASCII characters", DSN_ENVID_MAX);
    r->o->envelope.envid = envid;
    return 0;
}

static int take_verp(struct reading *r)
{
    if (*r->argument == 'V')
        return fatal(EX_UNAVAILABLE, "-XV (a return path for each recipient) is not supported");
    return 0; /* -X FILE: a log of traffic */
}

static int take_o(struct reading *r)
{
    return *r->argument == 'i' ? take_ignore_dots(r) : 0;
}

static int take_extract(struct reading *r)
{
    r->o->envelope.flags |= DROP_EXTRACT;
    return 0;
}

static int take_verbose(struct reading *r)
{
    r->o->verbose = true;
    return 0;
}

static int take_aliases(struct reading *r)
{
    r->o->mode = MODE_ALIASES;
    return 0;
}

static int take_mode(struct reading *r)
{
    switch (*r->argument) {
    case 'm':
        r->o->mode = MODE_MAIL;
        return 0;
    case 's':
        r->o->mode = MODE_SMTP;
        return 0;
    case 'p':
        r->o->mode = MODE_LIST;
        return 0;
    case 'i':
        r->o->mode = MODE_ALIASES;
        return 0;
    case 'd':
    case 'l':
    case 'D':
        return fatal(EX_USAGE, "-b%c: the server is started by \"merpati start\"", *r->argument);
    default:
        return fatal(EX_USAGE, "unsupported: -b%s", r->argument);
    }
}

static int take_queue(struct reading *r)
{
    const char *what = r->argument ? r->argument : "";
    r->o->mode = MODE_FLUSH;
    if (*what == 'I' && what[1])
        r->o->flush_id = what + 1;
    else if ((*what == 'R' || *what == 'S') && what[1])
        r->o->flush_site = what + 1;
    else if (*what && !byte_is_digit((unsigned char)*what))
        return fatal(EX_USAGE, "-q%c is not followed by a queue ID (-qI) or a site (-qR, -qS)", *what);
    return 0;
}

static const struct {
    char letter;
    int (*take)(struct reading *r);
} table[] = {
    {'A', take_nothing}, {'B', take_body_type}, {'C', take_config},  {'c', take_config},  {'F', take_full_name},
    {'f', take_sender},  {'r', take_sender},    {'G', take_gateway}, {'h', take_nothing}, {'I', take_aliases},
    {'i', take_ignore_dots}, {'L', take_nothing}, {'M', take_nothing}, {'m', take_nothing}, {'N', take_notify},
    {'n', take_nothing}, {'O', take_nothing},   {'o', take_o},       {'p', take_nothing}, {'q', take_queue},
    {'R', take_return},  {'t', take_extract},   {'U', take_nothing}, {'V', take_envid},   {'v', take_verbose},
    {'X', take_verp},    {'x', take_nothing},   {'b', take_mode},    {'e', take_nothing},
};

static int take_option(struct reading *r, int letter)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].letter == letter)
            return table[i].take(r);
    return fatal(EX_USAGE, "usage: sendmail [-C directory] [-f sender] [-F name] [-itvG] [-B type] [-N notify] "
                           "[-R ret] [-V envid] [-bm|-bs|-bp|-bi|-q] [recipient]...");
}

bool options_add_recipients(struct arena *a, struct span text, struct msg_drop *envelope)
{
    struct addrlist_scan list;
    struct addrlist_item item;
    addrlist_init(&list, text, 0);
    while (addrlist_next(&list, a, &item)) {
        if (item.bad || item.address.n > DROP_ADDRESS_MAX)
            return false;
        if (item.address.n == 0)
            continue;
        wire_list_drop_recipient *to = &envelope->recipients;
        to->at = wire_list_more(a, to->at, to->n, sizeof *to->at);
        to->at[to->n++] = (struct msg_drop_recipient){.address = item.address};
    }
    return !list.cut;
}

static int take_recipients(struct reading *r, char *const *arguments)
{
    bool extract = (r->o->envelope.flags & DROP_EXTRACT) != 0;
    if (extract && *arguments)
        return fatal(EX_USAGE, "cannot handle command-line recipients with -t");
    for (; *arguments; arguments++)
        if (!options_add_recipients(r->a, span_text(*arguments), &r->o->envelope))
            return fatal(EX_USAGE, "\"%s\" is not a list of addresses", *arguments);
    if (!extract && r->o->envelope.recipients.n == 0)
        return fatal(EX_USAGE,
                     "Recipient addresses must be specified on the command line or via the -t option");
    return 0;
}

int options_read(struct arena *a, const char *name, int argc, char **argv, struct options *o)
{
    struct reading r = {.a = a, .o = o};
    int letter, status = 0;
    *o = (struct options){0};
    if (span_eq(span_text(name), SPAN("mailq")))
        o->mode = MODE_LIST;
    else if (span_eq(span_text(name), SPAN("newaliases")))
        o->mode = MODE_ALIASES;
    optind = 1;
    opterr = 0;
    while (status == 0 && (letter = getopt(argc, argv, "A:B:C:F:GIL:M:N:O:R:UV:X:b:c:e:f:h:imno:p:r:q::tvx")) != -1) {
        r.argument = optarg;
        status = take_option(&r, letter);
    }
    if (status == 0 && o->mode == MODE_MAIL)
        status = take_recipients(&r, argv + optind);
    return status;
}
