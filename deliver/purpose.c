#include "deliver/deliver.h"
#include "lib/log/log.h"
#include "lib/param/facts.h"
#include "lib/param/settings.h"

#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { GROUP_ROOM = 16 * 1024 };

static const struct refusal granted = {0};

static struct refusal refuse(unsigned class, const char *dsn, const char *text)
{
    return (struct refusal){class, dsn, text};
}

/* A user of the system, by name; the one that we run as ourselves is no other user's matter. */
static struct refusal find_user(const struct deliver *d, struct arena *a, struct span name, struct purpose *p)
{
    if (name.n == 0 || span_find(name, '\0') < name.n || span_find(name, '/') < name.n)
        return refuse(5, "5.1.1", "no such user");
    int found = identity_of_user(a, arena_text(a, name), &p->id);
    if (found < 0)
        return refuse(4, "4.3.0", "the system's user database does not answer");
    if (found == 0)
        return refuse(5, "5.1.1", "no such user");
    const char *why = identity_refused(d, &p->id);
    p->user = p->id.user;
    return why ? refuse(5, "5.3.0", why) : granted;
}

/* Nobody's own: what alias files name. */
static struct refusal find_default(const struct deliver *d, struct arena *a, struct purpose *p)
{
    if (geteuid() != 0) {
        p->id = (struct identity){geteuid(), getegid(), NULL, "/", NULL};
        return granted;
    }
    if (identity_of_user(a, arena_text(a, d->main->default_privs), &p->id) != 1)
        return refuse(4, "4.3.5", "the user of default_privs is not known");
    return identity_refused(d, &p->id) ? refuse(4, "4.3.5", "default_privs names a privileged user") : granted;
}

/* What is wrong here is wrong in the configuration, perhaps for the moment of a reload alone: no mail is
 * sent back for it. */
static struct refusal want_virtual(const struct deliver *d, struct arena *a, const struct msg_owner_wanted *m,
                                   struct purpose *p)
{
    if (!span_eq(m->base, d->virtual->virtual_mailbox_base) || m->base.n == 0)
        return refuse(4, "4.3.5", "the base directory is not virtual_mailbox_base");
    p->base = arena_text(a, m->base);
    p->id = (struct identity){(uid_t)m->uid, (gid_t)m->gid, NULL, p->base, NULL};
    const char *why = identity_refused(d, &p->id);
    return why ? refuse(4, "4.3.5", why) : granted;
}

/* The mailbox in the spool directory: its directory is the system's, and who makes files there must
 * have its group. That is the process's first group then, so that no process of the user can
 * look into it; it has no others. */
static struct refusal want_spool(const struct deliver *d, struct arena *a, struct purpose *p)
{
    struct stat st;
    const struct span spool = d->main->mail_spool_directory;
    const bool maildir = spool.n && spool.p[spool.n - 1] == '/';
    p->base = spool.p;
    p->mailbox = arena_printf(a, "%s%s", p->user, maildir ? "/" : "");
    p->id.user = NULL;
    if (stat(p->base, &st) == 0 && !(st.st_mode & S_IWOTH) && (st.st_mode & S_IWGRP) && st.st_gid != 0)
        p->id.gid = st.st_gid;
    return granted;
}

/* --- who asks ------------------------------------------------------------------------ */

struct span caller_service(const struct channel *c)
{
    struct span peer = span_text(channel_peer(c));
    return span_slice(peer, 0, span_rfind(peer, '/'));
}

static const struct msg_service *find_service(const struct deliver *d, struct span name, struct span program)
{
    const struct msg_boot *boot = proc_boot(d->proc);
    for (size_t i = 0; i < boot->services.n; i++)
        if (span_eq(boot->services.at[i].name, name) && span_eq(boot->services.at[i].program, program))
            return &boot->services.at[i];
    return NULL;
}

/* The login parts and auth have channels to us too, but no mail to deliver. */
static bool may_ask_for(const struct deliver *d, struct span caller, uint64_t kind)
{
    static const struct span programs[] = {
        [OWNER_VIRTUAL] = SPAN_INIT("virtual"), [OWNER_USER] = SPAN_INIT("local"),
        [OWNER_SPOOL] = SPAN_INIT("local"),     [OWNER_FILES] = SPAN_INIT("local"),
        [OWNER_COMMANDS] = SPAN_INIT("local"),  [OWNER_PIPE] = SPAN_INIT("pipe"),
    };
    return kind < sizeof programs / sizeof *programs && programs[kind].n &&
           find_service(d, caller, programs[kind]);
}

/* --- pipe services ------------------------------------------------------------------ */

/* The value of the argument user=, "name" or "name:group". result: false: there is none */
static bool find_user_argument(struct span arguments, struct span *value)
{
    struct span word;
    while (span_next_token(&arguments, span_of("", 1), &word)) {
        if (span_starts(word, SPAN("argv=")))
            return false;
        if (span_starts(word, SPAN("user="))) {
            *value = span_skip(word, SPAN("user=").n);
            return true;
        }
    }
    return false;
}

static bool set_group(struct arena *a, struct span name, struct identity *id)
{
    char *room = arena_alloc(a, GROUP_ROOM);
    struct group entry, *group = NULL;
    uint64_t number;
    if (getgrnam_r(arena_text(a, name), &entry, room, GROUP_ROOM, &group) == 0 && group)
        id->gid = group->gr_gid;
    else if (span_to_u64(name, UINT32_MAX - 1, &number))
        id->gid = (gid_t)number;
    else
        return false;
    id->user = NULL; /* no other groups than the one that was asked for */
    return true;
}

static struct refusal want_pipe(const struct deliver *d, struct arena *a, struct span caller, struct purpose *p)
{
    const struct msg_service *service = find_service(d, caller, SPAN("pipe"));
    struct param_errors errors = {0};
    struct params_transport transport;
    struct span user;
    if (!service)
        return refuse(4, "4.3.5", "the service that asks is no pipe service of master.cf");
    if (!find_user_argument(service->arguments, &user))
        return refuse(4, "4.3.5", "the pipe service has no user= argument in master.cf");
    size_t colon = span_find(user, ':');
    if (identity_of_user(a, arena_text(a, span_slice(user, 0, colon)), &p->id) != 1)
        return refuse(4, "4.3.5", "the user of the pipe service is not known");
    if (colon < user.n && !set_group(a, span_skip(user, colon + 1), &p->id))
        return refuse(4, "4.3.5", "the group of the pipe service is not known");
    if (p->id.uid == 0 || (geteuid() == 0 && p->id.gid == 0))
        return refuse(4, "4.3.5", "the pipe service would run as root");
    if (geteuid() != 0 && p->id.uid != geteuid())
        return refuse(4, "4.3.5", "the user of the pipe service is another than the one the server runs as");
    p->service = arena_text(a, caller);
    p->arguments = service->arguments;
    p->base = "/";
    if (params_transport_load(a, proc_settings(d->proc), caller, &transport, &errors))
        p->time_limit = transport.time_limit;
    param_errors_fini(&errors);
    return granted;
}

/* --- all ----------------------------------------------------------------------------------- */

struct refusal purpose_of(const struct deliver *d, struct arena *a, const struct msg_owner_wanted *m,
                          struct span caller, struct purpose *p)
{
    struct refusal no = granted;
    *p = (struct purpose){.kind = (unsigned)m->kind, .base = "/", .time_limit = d->main->command_time_limit};
    if (!may_ask_for(d, caller, m->kind)) {
        log_warning("service %.*s asks for what is beyond its wall", SPAN_ARG(caller));
        return refuse(4, "4.3.0", "beyond the wall of the service that asks");
    }
    switch (m->kind) {
    case OWNER_VIRTUAL:
        return want_virtual(d, a, m, p);
    case OWNER_USER:
        no = find_user(d, a, m->user, p);
        p->base = p->id.home;
        p->mailbox = d->local->home_mailbox.p;
        return no;
    case OWNER_SPOOL:
        no = find_user(d, a, m->user, p);
        return no.text ? no : want_spool(d, a, p);
    case OWNER_FILES:
    case OWNER_COMMANDS:
        return m->user.n ? find_user(d, a, m->user, p) : find_default(d, a, p);
    case OWNER_PIPE:
        return want_pipe(d, a, caller, p);
    default:
        return refuse(4, "4.3.0", "malformed request");
    }
}

/* NAME=value of export_environment; the other names are of variables that we do not have. */
static void put_environment(const struct deliver *d, struct buf *out)
{
    for (size_t i = 0; i < d->main->export_environment.n; i++) {
        struct span item = d->main->export_environment.at[i];
        if (span_find(item, '=') < item.n) {
            buf_put(out, item);
            buf_putc(out, '\0');
        }
    }
    const struct setting *directory = settings_get(proc_settings(d->proc), SPAN("config_directory"));
    if (directory) {
        buf_puts(out, "MAIL_CONFIG=");
        buf_put(out, directory->value);
        buf_putc(out, '\0');
    }
}

static uint64_t flags_of(const struct deliver *d)
{
    const unsigned forward = 1u << PARAM_alias_source_forward;
    return (d->main->strict_mailbox_ownership ? MAILBOX_STRICT_OWNER : 0u) |
           (d->local->allow_mail_to_commands & forward ? MAILBOX_FORWARD_COMMANDS : 0u) |
           (d->local->allow_mail_to_files & forward ? MAILBOX_FORWARD_FILES : 0u);
}

void purpose_put_begin(const struct deliver *d, const struct purpose *p, struct buf *body)
{
    const struct setting *host = settings_get(proc_settings(d->proc), SPAN(FACT_HOSTNAME));
    const bool of_virtual = p->kind == OWNER_VIRTUAL;
    struct buf name = BUF_INIT, environment = BUF_INIT;
    buf_printf(&name, "%s/mailbox", d->log_name);
    put_environment(d, &environment);
    struct msg_mailbox_begin m = {
        .log_target = proc_boot(d->proc)->log_target,
        .log_host = host ? host->value : SPAN("localhost"),
        .log_name = buf_span(&name),
        .kind = p->kind,
        .user = span_text(p->user),
        .home = p->user ? span_text(p->id.home) : SPAN_NONE,
        .shell = p->user ? span_text(p->id.shell) : SPAN_NONE,
        .mailbox = span_text(p->mailbox),
        .locks = of_virtual ? d->virtual->virtual_mailbox_lock : d->local->mailbox_delivery_lock,
        .size_limit = of_virtual ? d->virtual->virtual_mailbox_limit : d->local->mailbox_size_limit,
        .lock_attempts = d->main->deliver_lock_attempts,
        .lock_delay = (uint64_t)d->main->deliver_lock_delay,
        .lock_stale = (uint64_t)d->main->stale_lock_time,
        .flags = flags_of(d),
        .forward_path = d->local->forward_path,
        .recipient_delimiter = d->main->recipient_delimiter,
        .forward_filter = d->local->forward_expansion_filter,
        .mailbox_command = d->local->mailbox_command,
        .command_filter = d->local->command_expansion_filter,
        .execution_directory = d->local->command_execution_directory,
        .directory_filter = d->local->execution_directory_expansion_filter,
        .command_shell = d->local->local_command_shell,
        .environment = buf_span(&environment),
        .time_limit = (uint64_t)p->time_limit,
        .arguments = p->arguments,
        .service = span_text(p->service),
    };
    msg_mailbox_begin_put(body, &m);
    buf_fini(&name);
    buf_fini(&environment);
}
