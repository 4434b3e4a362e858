/* auth - checks credentials. See DESIGN beside this file. */
#include "auth/login.h"
#include "lib/base/check.h"
#include "lib/log/log.h"
#include "lib/proc/proc.h"
#include "lib/proc/tables.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { DELIVER_WAIT_S = 20 };

struct daemon {
    struct proc *proc;
    const char *password_file; /* NULL: none */
    struct login_services services;
};

CHANNEL_CALL_DECLARE(session_prepare, session_prepared);

/* --- the password file ----------------------------------------------------------------------- */

/* Reads the file anew; where that fails the old content stays in force. */
static void read_password_file(struct daemon *d)
{
    struct passwd_file file = PASSWD_FILE_INIT;
    struct buf why = BUF_INIT;
    int fd = proc_file(d->proc, d->password_file);
    bool good = fd >= 0 && passwd_file_read(&file, fd, &why);
    if (fd < 0)
        buf_puts(&why, strerror(errno));
    else
        close(fd);
    if (!good) {
        log_warning("password file %s: %s", d->password_file, buf_text(&why));
    } else {
        if (file.wrong)
            log_warning("password file %s: line %zu is not \"name:hash\"; %zu such lines are left out", d->password_file,
                        file.wrong_line, file.wrong);
        if (file.first)
            verifier_set_model(d->services.verifier, file.first->hash);
        accounts_set_file(d->services.accounts, &file);
    }
    buf_fini(&why);
}

static void file_changed(struct proc *p, void *own, const char *path)
{
    (void)p;
    struct daemon *d = own;
    if (d->password_file && strcmp(path, d->password_file) == 0)
        read_password_file(d);
}

/* --- requests ---------------------------------------------------------------------------------- */

static uint64_t prepare(void *context, const struct msg_session_prepare *session, struct arena *a, struct buf *why)
{
    struct daemon *d = context;
    const mono_ms deadline = clock_after(DELIVER_WAIT_S);
    struct msg_session_prepared answer = {0};
    struct channel *c = proc_channel(d->proc, "deliver", deadline);
    if (!c || CHANNEL_CALL(c, a, deadline, session_prepare, session, session_prepared, &answer) != CALL_OK) {
        buf_puts(why, "the deliver service does not answer");
        return 4;
    }
    buf_put(why, answer.text);
    return answer.class;
}

static void handle_login(struct channel *c, struct frame *f, void *context)
{
    struct daemon *d = context;
    struct arena a = ARENA_INIT;
    struct msg_login request;
    struct msg_login_answer answer;
    struct buf body = BUF_INIT, secret = BUF_INIT;
    /* The frame's bytes may move while we wait; and so that there is one copy to wipe. */
    buf_put(&secret, f->body);
    if (f->body.n)
        explicit_bzero((char *)(uintptr_t)f->body.p, f->body.n);
    if (!msg_login_get(&a, buf_span(&secret), &request))
        request = (struct msg_login){0};
    login_handle(&d->services, &a, &request, &answer);
    msg_login_answer_put(&body, &answer);
    if (!channel_is_closed(c))
        channel_reply(c, f->id, MSG_login_answer, buf_span(&body), NULL, 0);
    if (secret.data)
        explicit_bzero(secret.data, secret.cap);
    buf_fini(&secret);
    buf_fini(&body);
    arena_fini(&a);
}

/* --- the process --------------------------------------------------------------------------------- */

static void *start(struct proc *p)
{
    const struct params_main *general = proc_params_main(p);
    const struct params_local *local = proc_params_local(p);
    const struct params_virtual *virtual = proc_params_virtual(p);
    const struct params_merpati *own = proc_params_merpati(p);
    const struct params_pop3d *pop3d = proc_params_pop3d(p);
    if (!general || !local || !virtual || !own || !pop3d)
        return NULL;
    struct account_config config = {.login_domain = own->merpati_login_domain,
                                    .auth_maps = pop3d->pop3d_auth_maps.text,
                                    .virtual_mailbox_maps = general->virtual_mailbox_maps.text,
                                    .virtual_mailbox_base = virtual->virtual_mailbox_base,
                                    .virtual_uid_maps = virtual->virtual_uid_maps.text,
                                    .virtual_gid_maps = virtual->virtual_gid_maps.text,
                                    .virtual_minimum_uid = virtual->virtual_minimum_uid,
                                    .home_mailbox = local->home_mailbox,
                                    .mail_spool_directory = general->mail_spool_directory};
    struct daemon *d = ARENA_NEW(proc_arena(p), struct daemon);
    *d = (struct daemon){.proc = p,
                         .password_file = own->merpati_password_file.n ? own->merpati_password_file.p : NULL,
                         .services = {.accounts = accounts_new(proc_tables(p), &config),
                                      .verifier = verifier_new(),
                                      .prepare = prepare,
                                      .context = d}};
    if (d->password_file)
        read_password_file(d);
    return d;
}

int main(void)
{
    static const struct message_handler requests[] = {{MSG_login, handle_login}, {0, NULL}};
    static const struct proc_spec spec = {
        .program = "auth", .kind = PROC_WORKER, .requests = requests, .start = start, .file_changed = file_changed};
    return proc_main(&spec);
}
