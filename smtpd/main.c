#include "lib/io/addr.h"
#include "lib/log/log.h"
#include "lib/mail/date.h"
#include "lib/proc/proc.h"
#include "lib/proc/tables.h"
#include "lib/queue/id.h"
#include "lib/table/matchlist.h"
#include "smtpd/recipients.h"
#include "smtpd/restrict.h"
#include "smtpd/services.h"
#include "smtpd/smtpd.h"

/* A matchlist of hosts from a parameter. result: NULL after proc_trouble() */
static struct matchlist *open_hosts(struct proc *p, const char *parameter, struct span value)
{
    struct matchlist *l = matchlist_open(proc_tables(p), span_text(parameter), value, MATCHLIST_HOST, 0);
    const char *error = matchlist_error(l);
    if (!error)
        return l;
    proc_trouble(p, "%s", error);
    return NULL;
}

static bool open_rules(struct proc *p, struct server *server)
{
    struct arena *a = proc_arena(p);
    struct buf why = BUF_INIT;
    const struct params_rewrite *rewrite = proc_params_rewrite(p);
    if (!rewrite)
        return false;
    server->recipients = recipients_new(a, proc_settings(p), server->main, rewrite, proc_tables(p), &why);
    if (server->recipients)
        server->restrictions = restrictions_new(a, server->mine, &why);
    if (!server->restrictions)
        proc_trouble(p, "%s", buf_text(&why));
    buf_fini(&why);
    return server->restrictions != NULL;
}

static void *start(struct proc *p)
{
    struct server *server = ARENA_NEW(proc_arena(p), struct server);
    server->loop = proc_loop(p);
    server->service = arena_text(proc_arena(p), proc_boot(p)->service);
    server->zone = date_local_zone(clock_wall_us());
    if (!(server->main = proc_params_main(p)) || !(server->mine = proc_params_smtpd(p)))
        return NULL;
    server->mynetworks = open_hosts(p, "mynetworks", server->main->mynetworks.text);
    server->bare_newline_exclusions = open_hosts(p, "smtpd_forbid_bare_newline_exclusions",
                                                 server->mine->smtpd_forbid_bare_newline_exclusions.text);
    server->limit_exceptions = open_hosts(p, "smtpd_client_event_limit_exceptions",
                                          server->mine->smtpd_client_event_limit_exceptions.text);
    if (!server->mynetworks || !server->bare_newline_exclusions || !server->limit_exceptions)
        return NULL;
    server->services = services_open(p);
    return open_rules(p, server) ? server : NULL;
}

static bool host_is_in(struct matchlist *l, const struct client *client)
{
    struct buf why = BUF_INIT;
    enum table_result found = matchlist_has_host(l, client->name, client->address, &why);
    if (found == TABLE_TEMP)
        log_warning("%s", buf_text(&why));
    buf_fini(&why);
    return found == TABLE_FOUND;
}

/* Names come from the resolver process, which is not there yet: only this host has one. */
static struct span name_of(struct span address)
{
    bool own = span_starts(address, SPAN("127.")) || span_eq(address, SPAN("::1"));
    return own ? SPAN("localhost") : SPAN("unknown");
}

static void accepted(struct proc *p, void *own, struct proc_client *peer)
{
    struct server *server = own;
    struct addr from = addr_of_peer(peer->fd);
    struct buf address = BUF_INIT, port = BUF_INIT;
    (void)p;
    addr_put_host(&address, &from);
    buf_put_u64(&port, addr_port(&from));
    struct client client = {
        .name = name_of(buf_span(&address)), .address = buf_span(&address), .port = buf_span(&port)};
    client.is_mine = host_is_in(server->mynetworks, &client);
    client.unlimited = host_is_in(server->limit_exceptions, &client);
    client.may_send_bare = host_is_in(server->bare_newline_exclusions, &client);
    smtpd_session(server, peer->fd, &client, peer->number);
    buf_fini(&address);
    buf_fini(&port);
}

int main(void)
{
    static const struct proc_spec spec = {.program = "smtpd", .kind = PROC_HOST, .start = start, .accepted = accepted};
    return proc_main(&spec);
}
