#include "master/reload.h"

#include "lib/log/log.h"
#include "master/files.h"
#include "master/logs.h"
#include "master/services.h"
#include "master/sockets.h"

#include <stdlib.h>
#include <string.h>

size_t reload_log_errors(const struct param_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        log_line(NULL, errors->at[i]->severity == PARAM_ERROR ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "%.*s",
                 SPAN_ARG(errors->at[i]->text));
    if (errors->dropped)
        log_warning("and %zu more messages about the configuration", errors->dropped);
    return errors->fatal;
}

/* What cannot change while the server runs. */
static void check_lasting(const struct master *m, const struct config *fresh, struct param_errors *errors)
{
    if (!span_eq(m->config->main.queue_directory, fresh->main.queue_directory))
        param_error_add(errors, PARAM_ERROR, (struct param_place){SPAN_NONE, 0},
                        "queue_directory: it cannot change while the server runs: stop it and start it again");
}

static bool open_what_is_new(struct master *m, const struct config *fresh, struct param_errors *errors)
{
    struct buf why = BUF_INIT;
    check_lasting(m, fresh, errors);
    bool good = errors->fatal == 0 && sockets_open(m->sockets, fresh, errors);
    if (good && !(good = logs_open(m, fresh, &why)))
        param_error_add(errors, PARAM_ERROR, (struct param_place){SPAN_NONE, 0}, "%s", buf_text(&why));
    buf_fini(&why);
    return good;
}

static void keep_trouble(struct master *m, const struct param_errors *errors)
{
    free(m->trouble);
    m->trouble = NULL;
    for (size_t i = 0; i < errors->count && !m->trouble; i++)
        if (errors->at[i]->severity == PARAM_ERROR)
            m->trouble = strndup(errors->at[i]->text.p, errors->at[i]->text.n);
}

void reload(struct master *m)
{
    struct param_errors errors = PARAM_ERRORS_INIT;
    struct config *fresh = config_load(&m->frame, &errors);
    bool good = fresh && open_what_is_new(m, fresh, &errors);
    reload_log_errors(&errors);
    keep_trouble(m, &errors);
    m->reloads++;
    if (good) {
        struct config *old = m->config;
        fresh->generation = old->generation + 1;
        m->config = fresh;
        fresh = NULL;
        log_info("reload -- configuration %s, generation %llu", m->frame.directory,
                 (unsigned long long)m->config->generation);
        services_apply(m);
        sockets_keep_only(m->sockets, m->config);
        files_keep_only(m->files, m->config);
        config_release(&old);
    } else {
        log_error("reload failed: the server goes on with the configuration it has");
    }
    config_release(&fresh);
    param_errors_fini(&errors);
}
