#include "master/plan.h"

#include "lib/base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct param_place place_of(const struct service *service)
{
    return service ? service->place : (struct param_place){SPAN_NONE, 0};
}

/* --- which program --------------------------------------------------------------- */

/* result: 1 it runs; 0 nothing has to; -1 wrong */
static int choose_program(const struct service *service, const char *name, struct plan *plan,
                          struct param_errors *errors)
{
    struct span word = service ? service->command : span_text(name);
    const struct command *command = command_find(word);
    switch (command->fate) {
    case COMMAND_RUNS:
        plan->program = program_find(span_text(command->program));
        plan->wall = wall_find(command->program);
        return 1;
    case COMMAND_BY_QMGR:
    case COMMAND_UNNEEDED:
        return 0;
    case COMMAND_LATER:
        param_error_add(errors, PARAM_WARNING, place_of(service), "command %s: %s is not supported yet; "
                        "this service does not run", command->name, command->program);
        return 0;
    case COMMAND_UNKNOWN:
        break;
    }
    param_error_add(errors, PARAM_ERROR, place_of(service), "command \"%.*s\": there is no such program; "
                    "correct the name, or take the line out", SPAN_ARG(word));
    return -1;
}

/* A type that nothing of ours listens on. */
static bool type_is_idle(const struct service *service)
{
    return service && (service->type == SERVICE_PASS || service->type == SERVICE_UNIX_DGRAM);
}

static int check_program(const struct config_frame *frame, const struct service *service, struct plan *plan,
                         struct param_errors *errors)
{
    if (plan->wall && faccessat(frame->libexec, plan->program->name, X_OK, 0) == 0)
        return 1;
    bool needed = service && (plan->type == SERVICE_INET || plan->program->at_start);
    param_error_add(errors, needed ? PARAM_ERROR : PARAM_WARNING, place_of(service),
                    "program %s is not installed%s", plan->program->name,
                    needed ? "; install it, or take the line out" : "; this service does not run");
    return needed ? -1 : 0;
}

/* --- numbers, arguments, user ---------------------------------------------------- */

static void choose_limits(const struct config *c, const struct config_frame *frame, const struct service *service,
                          struct plan *plan)
{
    /* A line for postscreen asks for one process of postscreen; ours holds the sessions themselves. */
    bool own = service && !service->maxproc_default && !span_eq(service->command, SPAN("postscreen"));
    plan->limit = own ? service->maxproc : c->master.default_process_limit;
    uint64_t most = plan->limit ? plan->limit : UINT16_MAX;
    if (plan->program->processes == PROCESSES_ONE)
        plan->processes = 1;
    else if (plan->program->processes == PROCESSES_CORES)
        plan->processes = (unsigned)(most < frame->cores ? most : frame->cores);
    else
        plan->processes = (unsigned)(most < UINT16_MAX ? most : UINT16_MAX);
    plan->wakeup = service ? service->wakeup : 0;
}

/* What stands behind the options: for pipe and the like. */
static void take_arguments(struct config *c, const struct service *service, struct plan *plan)
{
    struct buf rest = BUF_INIT;
    for (size_t i = 0; service && i < service->arg_count; i++) {
        struct span arg = service->args[i];
        if (span_eq(arg, SPAN("-o")))
            i++;
        else if (span_starts(arg, SPAN("-v")))
            plan->verbose = true;
        else if (!span_starts(arg, SPAN("-o")) && !span_eq(arg, SPAN("-D"))) {
            buf_put(&rest, arg);
            buf_putc(&rest, 0);
        }
    }
    plan->arguments = arena_dup(&c->arena, buf_span(&rest));
    buf_fini(&rest);
}

bool user_find(const char *name, uid_t *uid, gid_t *gid)
{
    FILE *f = fopen("/etc/passwd", "re");
    bool found = false;
    for (struct passwd *p; !found && f && (p = fgetpwent(f));)
        if ((found = span_eq(span_text(p->pw_name), span_text(name)))) {
            *uid = p->pw_uid;
            *gid = p->pw_gid;
        }
    if (f)
        fclose(f);
    return found;
}

static bool choose_user(const struct config_frame *frame, const struct service *service, struct plan *plan,
                        struct param_errors *errors)
{
    plan->uid = getuid();
    plan->gid = getgid();
    if (!frame->as_root || user_find(plan->wall->user, &plan->uid, &plan->gid))
        return true;
    param_error_add(errors, PARAM_ERROR, place_of(service),
                    "program %s: there is no user \"%s\" on this system: \"merpati check --fix\" makes the users "
                    "of the server", plan->program->name, plan->wall->user);
    return false;
}

/* --- settings of its own --------------------------------------------------------- */

static int sealed_file(const struct buf *content)
{
    int fd = memfd_create("settings", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -1;
    size_t done = 0;
    while (done < content->len) {
        ssize_t n = write(fd, content->data + done, content->len - done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    if (done == content->len && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool keep_settings(const struct settings *s, struct plan *plan, struct param_errors *errors)
{
    struct buf flat = BUF_LIMITED((size_t)1 << 30);
    settings_write(s, &flat);
    plan->settings = flat.full ? -1 : sealed_file(&flat);
    buf_fini(&flat);
    if (plan->settings < 0)
        param_error_add(errors, PARAM_ERROR, plan->place, "memory for the settings of service %s: %s", plan->name,
                        strerror(errno));
    return plan->settings >= 0;
}

/* One program may do the work of two of Postfix's: lmtp is smtp under another name. */
static struct span process_name(const struct service *service, const struct plan *plan)
{
    return service && span_eq(service->command, SPAN("lmtp")) ? service->command : span_text(plan->program->name);
}

static void set_facts(struct config *c, struct settings *s, const struct service *service, const struct plan *plan)
{
    struct span name = c->main.syslog_name;
    struct buf why = BUF_INIT;
    settings_set_fact(s, "process_name", process_name(service, plan));
    settings_set_fact(s, "service_name", span_text(plan->name));
    (void)param_expand_name(&c->arena, s, SPAN("syslog_name"), &name, &why);
    settings_set_fact(s, ".syslog_name", name);
    buf_fini(&why);
}

static bool make_settings(struct config *c, const struct service *service, struct plan *plan,
                          struct param_errors *errors)
{
    struct settings s = SETTINGS_INIT;
    bool good = true;
    settings_copy(&s, &c->settings);
    if (service && service->option_count)
        good = service_apply_options(service, &s, errors) && param_check_all(&s, errors);
    set_facts(c, &s, service, plan);
    good = good && plan_sockets(c, &s, plan, errors) && plan_check_relay(c, &s, plan, errors);
    plan_files(c, &s, plan);
    good = good && keep_settings(&s, plan, errors);
    settings_fini(&s);
    return good;
}

int plan_make(struct config *c, const struct config_frame *frame, const struct service *service, const char *name,
              struct plan *plan, struct param_errors *errors)
{
    plan->name = name;
    plan->type = service ? service->type : SERVICE_UNIX;
    plan->place = place_of(service);
    plan->key = arena_printf(&c->arena, "%s/%s", name, plan->type == SERVICE_INET ? "inet" : "unix");
    if (type_is_idle(service))
        return 0;
    int runs = choose_program(service, name, plan, errors);
    if (runs > 0)
        runs = check_program(frame, service, plan, errors);
    if (runs <= 0)
        return runs;
    choose_limits(c, frame, service, plan);
    take_arguments(c, service, plan);
    bool good = choose_user(frame, service, plan, errors);
    good = make_settings(c, service, plan, errors) && good;
    return good ? 1 : -1;
}
