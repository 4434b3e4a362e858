#include "lib/proc/tables.h"
#include "lib/log/log.h"
#include "lib/proc/proc_inner.h"
#include "lib/wire/lookup.msg.h"

enum { LOOKUP_WAIT_S = 60 }; /* for proxymap's answer */

CHANNEL_CALL_DECLARE(lookup, lookup_answer);

static int open_given(const char *path, void *context)
{
    return proc_file(context, path);
}

static void warn_to_log(const char *text, void *context)
{
    (void)context;
    log_warning("%s", text);
}

static enum table_result ask_proxymap(struct span spec, struct span key, unsigned flags, struct buf *value,
                                      struct buf *why, void *context)
{
    struct proc *p = context;
    struct arena scratch = ARENA_INIT;
    const mono_ms deadline = clock_after(LOOKUP_WAIT_S);
    struct channel *c = proc_channel(p, "proxymap", deadline);
    struct msg_lookup request = {.table = spec, .key = key, .flags = flags};
    struct msg_lookup_answer answer = {0};
    enum table_result result = TABLE_TEMP;
    if (!c || CHANNEL_CALL(c, &scratch, deadline, lookup, &request, lookup_answer, &answer) != CALL_OK)
        buf_puts(why, "the proxymap service does not answer");
    else if (answer.result == LOOKUP_TEMP)
        buf_put(why, answer.text);
    else
        result = answer.result == LOOKUP_FOUND ? TABLE_FOUND : TABLE_NOT_FOUND;
    if (result == TABLE_FOUND) {
        buf_clear(value);
        buf_put(value, answer.value);
    }
    arena_fini(&scratch);
    return result;
}

struct tables *proc_tables(struct proc *p)
{
    if (!p->tables) {
        struct table_files *files = ARENA_NEW(&p->arena, struct table_files);
        struct table_hooks *hooks = ARENA_NEW(&p->arena, struct table_hooks);
        *files = (struct table_files){.open = open_given, .context = p};
        *hooks = (struct table_hooks){.proxy = ask_proxymap, .warn = warn_to_log, .context = p};
        p->tables = tables_new(files, hooks);
    }
    return p->tables;
}

void proc_tables_changed(struct proc *p, const char *path)
{
    int fd = p->tables ? proc_file(p, path) : -1;
    if (fd >= 0)
        tables_replace_fd(p->tables, path, fd);
}

/* Says the first error; the rest have been said by the check before the start. */
static bool told(struct proc *p, bool good, struct param_errors *errors)
{
    for (size_t i = 0; !good && i < errors->count; i++)
        if (errors->at[i]->severity == PARAM_ERROR) {
            proc_trouble(p, "%.*s", SPAN_ARG(errors->at[i]->text));
            break;
        }
    param_errors_fini(errors);
    return good;
}

#define DEFINE_LOAD(owner)                                                                          \
    const struct params_##owner *proc_params_##owner(struct proc *p)                               \
    {                                                                                              \
        struct params_##owner *params = ARENA_NEW(&p->arena, struct params_##owner);               \
        struct param_errors errors = {0};                                                          \
        bool good = params_##owner##_load(&p->arena, &p->settings, params, &errors);               \
        return told(p, good, &errors) ? params : NULL;                                             \
    }
DEFINE_LOAD(main)
DEFINE_LOAD(rewrite)
DEFINE_LOAD(smtpd)
DEFINE_LOAD(cleanup)
DEFINE_LOAD(qmgr)
DEFINE_LOAD(local)
DEFINE_LOAD(virtual)
DEFINE_LOAD(pipe)
DEFINE_LOAD(bounce)
DEFINE_LOAD(pickup)
DEFINE_LOAD(proxymap)
DEFINE_LOAD(anvil)
DEFINE_LOAD(pop3d)
DEFINE_LOAD(dnsd)
DEFINE_LOAD(sasl)
DEFINE_LOAD(merpati)
DEFINE_LOAD(smtp)

const struct params_smtp *proc_params_lmtp(struct proc *p)
{
    struct params_smtp *params = ARENA_NEW(&p->arena, struct params_smtp);
    struct param_errors errors = {0};
    bool good = params_smtp_load_lmtp(&p->arena, &p->settings, params, &errors);
    return told(p, good, &errors) ? params : NULL;
}
