#include "lib/proc/tables.h"
#include "pickup/pickup.h"

static bool configure(struct pickup *p)
{
    const struct params_main *main = proc_params_main(p->proc);
    const struct params_pickup *own = proc_params_pickup(p->proc);
    if (!main || !own)
        return false;
    struct tables *tables = proc_tables(p->proc);
    p->config = (struct submission_config){
        .myhostname = main->myhostname,
        .mail_name = main->mail_name,
        .size_limit = main->message_size_limit,
        .zone = date_local_zone,
        .policy = {
            .submitters = matchlist_open(tables, SPAN("authorized_submit_users"),
                                         own->authorized_submit_users.text, MATCHLIST_STRING, 0),
            .senders = maps_open(tables, SPAN("local_login_sender_maps"), own->local_login_sender_maps.text, 0),
            .null_sender_key = own->empty_address_local_login_sender_maps_lookup_key,
            .delimiters = main->recipient_delimiter,
        },
    };
    return true;
}

static void *start(struct proc *proc)
{
    struct pickup *p = ARENA_NEW(proc_arena(proc), struct pickup);
    p->proc = proc;
    p->maildrop = -1;
    list_init(&p->clients);
    list_init(&p->offers);
    (void)date_local_zone(clock_wall_us()); /* reads the zone file, which the sandbox hides */
    return configure(p) ? p : NULL;
}

static void begin(struct proc *proc, void *own)
{
    struct pickup *p = own;
    p->services = services_open(proc);
    p->ids.incarnation = proc_boot(proc)->incarnation;
    p->maildrop = proc_directory(proc, "maildrop");
    pickup_wake_up(p);
}

static void accepted(struct proc *proc, void *own, struct proc_client *client)
{
    (void)proc;
    clients_accept(own, client);
}

static void stop(struct proc *proc, void *own)
{
    (void)proc;
    pickup_stop(own);
}

int main(void)
{
    static const struct message_handler requests[] = {{0, NULL}};
    static const struct proc_spec spec = {
        .program = "pickup",
        .kind = PROC_WORKER,
        .requests = requests,
        .start = start,
        .begin = begin,
        .accepted = accepted,
        .stop = stop,
    };
    return proc_main(&spec);
}
