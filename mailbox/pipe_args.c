#include "mailbox/pipe_args.h"
#include "lib/mail/address.h"
#include "lib/param/expand.h"

enum { WORDS_MAX = 10000 };

/* Arguments being read. */
struct reading {
    struct arena *a;
    const struct msg_attempt *about;
    struct span delimiters, null_sender;
    struct pipe_command *command;
    const struct msg_recipient *recipient; /* whose names are asked for now */
    bool asked_recipient, unknown;         /* by the word being expanded */
    char **argv;
    size_t n;
    const char *dsn;
};

static const struct {
    char letter;
    unsigned flag;
} letters[] = {
    {'B', PIPE_BLANK_END},   {'D', PIPE_DELIVERED_TO}, {'F', PIPE_FROM_LINE}, {'O', PIPE_ORIGINAL_TO},
    {'R', PIPE_RETURN_PATH}, {'X', PIPE_FINAL},        {'h', PIPE_FOLD_DOMAIN}, {'q', PIPE_QUOTE},
    {'u', PIPE_FOLD_USER},   {'.', PIPE_DOTS},         {'>', PIPE_QUOTE_FROM},
};

/* --- values ---------------------------------------------------------------------------- */

/* An address as a command is to see it. */
static struct span shown_address(struct reading *r, struct span address)
{
    struct span local, domain;
    struct buf text = BUF_INIT;
    bool has_domain = address_split(address, &local, &domain);
    if (r->command->flags & PIPE_FOLD_USER)
        local = address_dup_lower(r->a, local);
    if (r->command->flags & PIPE_FOLD_DOMAIN)
        domain = address_dup_lower(r->a, domain);
    buf_put(&text, local);
    if (has_domain) {
        buf_putc(&text, '@');
        buf_put(&text, domain);
    }
    if (r->command->flags & PIPE_QUOTE) {
        struct buf external = BUF_INIT;
        address_put_external(&external, buf_span(&text));
        buf_fini(&text);
        text = external;
    }
    struct span shown = arena_dup(r->a, buf_span(&text));
    buf_fini(&text);
    return shown;
}

static struct span fold(struct reading *r, struct span s, unsigned flag)
{
    return r->command->flags & flag ? address_dup_lower(r->a, s) : s;
}

static struct span address_of(const struct msg_recipient *r)
{
    return r->user.n ? r->user : r->address;
}

static struct span get_recipient(struct reading *r)
{
    return shown_address(r, address_of(r->recipient));
}
static struct span get_original(struct reading *r)
{
    return shown_address(r, r->recipient->original);
}
static struct address_parts parts_of(struct reading *r)
{
    return address_split_extension(address_of(r->recipient), r->delimiters, false);
}
static struct span get_user(struct reading *r)
{
    return fold(r, parts_of(r).user, PIPE_FOLD_USER);
}
static struct span get_extension(struct reading *r)
{
    return fold(r, parts_of(r).extension, PIPE_FOLD_USER);
}
static struct span get_mailbox(struct reading *r)
{
    struct span local, domain;
    address_split(address_of(r->recipient), &local, &domain);
    return fold(r, local, PIPE_FOLD_USER);
}
static struct span get_domain(struct reading *r)
{
    return fold(r, address_domain(address_of(r->recipient)), PIPE_FOLD_DOMAIN);
}
static struct span get_sender(struct reading *r)
{
    return r->about->sender.n ? shown_address(r, r->about->sender) : r->null_sender;
}
static struct span get_nexthop(struct reading *r)
{
    return fold(r, r->about->nexthop, PIPE_FOLD_DOMAIN);
}
static struct span get_size(struct reading *r)
{
    return span_text(arena_printf(r->a, "%llu", (unsigned long long)r->about->text_size));
}
static struct span get_queue_id(struct reading *r)
{
    return r->about->id;
}
static struct span get_envid(struct reading *r)
{
    return r->about->envid;
}
static struct span get_client_name(struct reading *r)
{
    return r->about->client_name;
}
static struct span get_client_address(struct reading *r)
{
    return r->about->client_address;
}
static struct span get_client_helo(struct reading *r)
{
    return r->about->helo;
}
static struct span get_client_protocol(struct reading *r)
{
    return r->about->protocol;
}
static struct span get_login(struct reading *r)
{
    return r->about->login;
}
static struct span get_nothing(struct reading *r)
{
    (void)r;
    return SPAN_NONE;
}

static const struct {
    struct span name;
    bool of_recipient;
    struct span (*get)(struct reading *r);
} names[] = {
    {SPAN_INIT("recipient"), true, get_recipient},
    {SPAN_INIT("original_recipient"), true, get_original},
    {SPAN_INIT("user"), true, get_user},
    {SPAN_INIT("extension"), true, get_extension},
    {SPAN_INIT("mailbox"), true, get_mailbox},
    {SPAN_INIT("domain"), true, get_domain},
    {SPAN_INIT("sender"), false, get_sender},
    {SPAN_INIT("nexthop"), false, get_nexthop},
    {SPAN_INIT("size"), false, get_size},
    {SPAN_INIT("queue_id"), false, get_queue_id},
    {SPAN_INIT("envid"), false, get_envid},
    {SPAN_INIT("client_hostname"), false, get_client_name},
    {SPAN_INIT("client_address"), false, get_client_address},
    {SPAN_INIT("client_helo"), false, get_client_helo},
    {SPAN_INIT("client_protocol"), false, get_client_protocol},
    {SPAN_INIT("sasl_username"), false, get_login},
    {SPAN_INIT("client_port"), false, get_nothing},
    {SPAN_INIT("sasl_method"), false, get_nothing},
    {SPAN_INIT("sasl_sender"), false, get_nothing},
};

static bool lookup(void *context, struct span name, struct span *value)
{
    struct reading *r = context;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (span_eq(name, names[i].name)) {
            r->asked_recipient |= names[i].of_recipient;
            *value = names[i].get(r);
            return true;
        }
    r->unknown = true;
    return false;
}

/* --- words ------------------------------------------------------------------------------------ */

static const char *refuse(struct reading *r, const char *dsn, const char *why)
{
    r->dsn = dsn;
    return why;
}

/* Adds one word. result: NULL, or why not */
static const char *add_word(struct reading *r, struct span word)
{
    const struct expand_source source = {.lookup = lookup, .context = r};
    struct buf out = BUF_INIT, why = BUF_INIT;
    bool good = expand_text(&out, word, &source, &why);
    const char *no = NULL;
    if (!good || r->unknown)
        no = refuse(r, "4.3.5", "an argument of the pipe service has an unknown ${name}, or bad syntax");
    else if (span_find(buf_span(&out), '\0') < out.len)
        no = refuse(r, "5.1.3", "an address holds a NUL");
    else if (out.len && out.data[0] == '-' && word.p[0] != '-')
        no = refuse(r, "5.1.3", "an address that begins with \"-\" would be an option of the command");
    else if (r->n + 1 >= WORDS_MAX)
        no = refuse(r, "5.3.4", "too many arguments for the command");
    else
        r->argv[r->n++] = memcpy(arena_alloc(r->a, out.len + 1), buf_text(&out), out.len + 1);
    buf_fini(&out);
    buf_fini(&why);
    return no;
}

/* A word of the template: once, or once for each recipient. */
static const char *add_template_word(struct reading *r, struct span word)
{
    r->asked_recipient = false;
    r->recipient = &r->about->recipients.at[0];
    const char *no = add_word(r, word);
    for (size_t i = 1; !no && r->asked_recipient && i < r->about->recipients.n; i++) {
        r->recipient = &r->about->recipients.at[i];
        no = add_word(r, word);
    }
    return no;
}

/* --- settings ------------------------------------------------------------------------------------ */

static const char *take_flags(struct reading *r, struct span value)
{
    for (size_t i = 0; i < value.n; i++) {
        size_t k = 0;
        while (k < sizeof letters / sizeof *letters && letters[k].letter != value.p[i])
            k++;
        if (k == sizeof letters / sizeof *letters)
            return refuse(r, "4.3.5", "the pipe service has an unknown letter in flags=");
        r->command->flags |= letters[k].flag;
    }
    return NULL;
}

static const char *take_eol(struct reading *r, struct span value)
{
    struct buf eol = BUF_INIT;
    for (size_t i = 0; i < value.n; i++) {
        bool escaped = value.p[i] == '\\' && i + 1 < value.n;
        char c = value.p[i + escaped];
        buf_putc(&eol, !escaped ? c : c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c);
        i += escaped;
    }
    r->command->eol = arena_dup(r->a, buf_span(&eol));
    buf_fini(&eol);
    return NULL;
}

static const char *take_directory(struct reading *r, struct span value)
{
    r->command->directory = arena_text(r->a, value);
    return NULL;
}

static const char *take_null_sender(struct reading *r, struct span value)
{
    r->null_sender = value;
    return NULL;
}

static const char *take_size(struct reading *r, struct span value)
{
    if (!span_to_u64(value, UINT64_MAX, &r->command->size_limit))
        return refuse(r, "4.3.5", "the pipe service has no number in size=");
    return NULL;
}

static const char *take_user(struct reading *r, struct span value)
{
    (void)r, (void)value; /* deliver has taken it */
    return NULL;
}

static const char *take_chroot(struct reading *r, struct span value)
{
    (void)value;
    return refuse(r, "4.3.5", "chroot= of a pipe service is not supported");
}

static const struct {
    struct span name; /* with "=" */
    const char *(*take)(struct reading *r, struct span value);
} settings[] = {
    {SPAN_INIT("flags="), take_flags},         {SPAN_INIT("user="), take_user},
    {SPAN_INIT("eol="), take_eol},             {SPAN_INIT("directory="), take_directory},
    {SPAN_INIT("null_sender="), take_null_sender}, {SPAN_INIT("size="), take_size},
    {SPAN_INIT("chroot="), take_chroot},
};

static const char *take_setting(struct reading *r, struct span word)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (span_starts(word, settings[i].name))
            return settings[i].take(r, span_skip(word, settings[i].name.n));
    return refuse(r, "4.3.5", "the pipe service has an unknown argument before argv=");
}

/* Cuts the next word, which may be empty. result: false at the end */
static bool next_word(struct span *rest, struct span *word)
{
    if (rest->n == 0)
        return false;
    size_t end = span_find(*rest, '\0');
    *word = span_slice(*rest, 0, end);
    *rest = span_skip(*rest, end + 1);
    return true;
}

static const char *read_all(struct reading *r, struct span arguments)
{
    struct span word;
    const char *no = NULL;
    bool in_argv = false;
    while (!no && !in_argv && next_word(&arguments, &word)) {
        in_argv = span_starts(word, SPAN("argv="));
        no = in_argv ? NULL : take_setting(r, word);
    }
    if (!no && !in_argv)
        no = refuse(r, "4.3.5", "the pipe service has no argv= argument");
    if (!no)
        no = add_template_word(r, span_skip(word, SPAN("argv=").n));
    while (!no && next_word(&arguments, &word))
        no = add_template_word(r, word);
    const unsigned single = PIPE_DELIVERED_TO | PIPE_ORIGINAL_TO;
    if (!no && (r->command->flags & single) && r->about->recipients.n > 1)
        no = refuse(r, "4.3.5", "flags D and O of a pipe service need its destination_recipient_limit to be 1");
    if (!no && r->command->size_limit && r->about->text_size > r->command->size_limit)
        no = refuse(r, "5.2.3", "message size exceeds the limit of the pipe service");
    return no;
}

const char *pipe_args_make(struct arena *a, struct span arguments, const struct msg_attempt *about,
                           struct span delimiters, struct pipe_command *command, const char **dsn)
{
    *command = (struct pipe_command){0};
    struct reading r = {.a = a,
                        .about = about,
                        .delimiters = delimiters,
                        .null_sender = SPAN("MAILER-DAEMON"),
                        .command = command,
                        .argv = arena_calloc(a, WORDS_MAX, sizeof(char *))};
    const char *no = read_all(&r, arguments);
    command->argv = r.argv;
    command->sender = get_sender(&r);
    *dsn = r.dsn ? r.dsn : "2.0.0";
    return no;
}
