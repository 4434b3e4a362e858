/* A worker or broker that does on command what a test of master needs. Installed under the names
 * of real programs, whose walls it then has. Answers room_wanted with who it is; a size of 999
 * makes it abort. A setting smtp_helo_name of "trouble" lets it refuse to start. */
#include "lib/base/check.h"
#include "lib/param/settings.h"
#include "lib/proc/proc.h"
#include "lib/wire/submit.msg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CRASH = 999 };

static void say_who(struct channel *c, struct frame *f, void *own)
{
    struct proc *p = own;
    const struct msg_boot *b = proc_boot(p);
    struct arena a = ARENA_INIT;
    struct buf body = BUF_INIT;
    struct msg_room_wanted m;
    if (!msg_room_wanted_get(&a, f->body, &m) || m.size == CRASH)
        abort();
    msg_submitted_put(&body, &(struct msg_submitted){.text = span_text(arena_printf(
        &a, "%.*s %ld %llu %llu %llu", SPAN_ARG(b->service), (long)getpid(), (unsigned long long)b->incarnation,
        (unsigned long long)b->slot, (unsigned long long)b->generation))});
    channel_reply(c, f->id, MSG_submitted, buf_span(&body), NULL, 0);
    buf_fini(&body);
    arena_fini(&a);
}

static void *start(struct proc *p)
{
    const struct setting *s = settings_get(proc_settings(p), SPAN("smtp_helo_name"));
    if (s && span_eq(s->value, SPAN("trouble"))) {
        proc_trouble(p, "smtp_helo_name says trouble: say something else");
        return NULL;
    }
    return p;
}

static void reloaded(struct proc *p, void *own)
{
    (void)p, (void)own;
}

int main(int argc, char **argv)
{
    static const struct message_handler requests[] = {{MSG_room_wanted, say_who}, {0, NULL}};
    static const char *const brokers[] = {"qmgr", "anvil", "deliver"};
    const char *slash = strrchr(argv[0], '/');
    struct proc_spec spec = {.program = slash ? slash + 1 : argv[0],
                             .kind = PROC_WORKER,
                             .requests = requests,
                             .start = start,
                             .reload = reloaded};
    (void)argc;
    for (size_t i = 0; i < sizeof brokers / sizeof *brokers; i++)
        if (strcmp(spec.program, brokers[i]) == 0)
            spec.kind = PROC_BROKER;
    return proc_main(&spec);
}
