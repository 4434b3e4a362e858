#include "mailbox/commands.h"
#include "lib/base/check.h"
#include "lib/mail/address.h"
#include "lib/mail/dsn.h"
#include "lib/mail/recipient.h"
#include "mailbox/exec.h"
#include "mailbox/pipe_args.h"
#include "mailbox/text_turn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIECE = 32 * 1024, NAME_ROOM = 200 };

struct commands {
    struct loop *loop;
    const struct role *role;
    struct list running; /* struct command */
    size_t count;
};

struct command {
    struct list node;
    struct commands *all;
    struct arena arena;
    struct channel *channel;      /* NULL: the caller has gone */
    uint64_t request;
    const struct msg_attempt *about; /* in arena */
    struct exec_order order;
    struct span name;             /* in texts */
    const char *success;          /* text of a verdict */

    pid_t pid;
    int in, out, exit;            /* our ends of its input and output; its end. Owned, -1: closed */
    struct watch *in_watch, *out_watch, *exit_watch;
    struct timer limit;
    bool timed_out;
    int status;

    int text;                     /* the file with the text, or -1; owned */
    uint64_t fed;                 /* octets of text that were taken */
    bool complete;                /* all of it is in pending */
    struct text_turn turn;        /* to pending */
    struct buf pending;           /* turned, not written yet */
    struct buf output;
};

/* --- the end --------------------------------------------------------------------------- */

static void close_fd(struct watch **watch, int *fd)
{
    loop_unwatch(watch);
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void command_free(struct command *c)
{
    close_fd(&c->in_watch, &c->in);
    close_fd(&c->out_watch, &c->out);
    close_fd(&c->exit_watch, &c->exit);
    if (c->text >= 0)
        close(c->text);
    timer_stop(&c->limit);
    list_remove(&c->node);
    c->all->count--;
    buf_fini(&c->pending);
    buf_fini(&c->output);
    arena_fini(&c->arena);
    free(c);
}

static void answer(struct channel *c, uint64_t request, unsigned class, const char *dsn, struct span text)
{
    struct buf body = BUF_INIT;
    if (!c)
        return;
    struct msg_stored m = {.class = class, .dsn = span_text(dsn), .text = text};
    msg_stored_put(&body, &m);
    channel_reply(c, request, MSG_stored, buf_span(&body), NULL, 0);
    buf_fini(&body);
}

static const struct {
    int code;
    unsigned class;
    const char *dsn, *text;
} sysexits[] = {
    {64, 5, "5.3.0", "command line usage error"}, {65, 5, "5.6.0", "data format error"},
    {66, 5, "5.3.0", "cannot open input"},        {67, 5, "5.1.1", "user unknown"},
    {68, 5, "5.1.2", "host name unknown"},        {69, 5, "5.3.0", "service unavailable"},
    {70, 5, "5.3.0", "internal software error"},  {71, 4, "4.3.0", "system resource problem"},
    {72, 5, "5.3.0", "critical OS file missing"}, {73, 5, "5.2.0", "can't create user output file"},
    {74, 5, "5.3.0", "input/output error"},       {75, 4, "4.3.0", "temporary failure"},
    {76, 5, "5.5.0", "remote error in protocol"}, {77, 5, "5.7.0", "permission denied"},
    {78, 5, "5.3.5", "local configuration error"},
};

static void put_output(struct buf *text, struct span output)
{
    output = span_trim(output);
    if (output.n == 0)
        return;
    buf_puts(text, ". Command output: ");
    for (size_t i = 0; i < output.n; i++) {
        unsigned char c = span_at(output, i);
        buf_putc(text, byte_is_space(c) ? ' ' : byte_is_print(c) ? (char)c : '_');
    }
}

unsigned commands_judge(struct arena *a, int status, struct span name, struct span output, const char **dsn,
                        struct buf *text)
{
    unsigned class = 5;
    struct dsn_code code;
    *dsn = "5.3.0";
    name = span_slice(name, 0, NAME_ROOM);
    if (WIFSIGNALED(status)) {
        class = 4;
        *dsn = "4.3.0";
        buf_printf(text, "Command died with signal %d: \"%.*s\"", WTERMSIG(status), SPAN_ARG(name));
    } else {
        const char *known = NULL;
        for (size_t i = 0; i < sizeof sysexits / sizeof *sysexits; i++)
            if (sysexits[i].code == WEXITSTATUS(status)) {
                class = sysexits[i].class;
                *dsn = sysexits[i].dsn;
                known = sysexits[i].text;
            }
        if (known)
            buf_puts(text, known);
        else
            buf_printf(text, "Command died with status %d: \"%.*s\"", WEXITSTATUS(status), SPAN_ARG(name));
        /* Its own word on it, where it has one. */
        size_t n = dsn_code_parse(span_trim(output), &code);
        if (n && (code.class == 4 || code.class == 5)) {
            class = code.class;
            *dsn = arena_text(a, span_slice(span_trim(output), 0, n));
        }
    }
    put_output(text, output);
    return class;
}

static void read_output(struct command *c);

static void command_end(struct command *c)
{
    struct buf text = BUF_INIT;
    const char *dsn = "5.3.0";
    unsigned class = 5;
    read_output(c);
    if (c->timed_out) {
        buf_printf(&text, "Command time limit exceeded: \"%.*s\"", SPAN_ARG(span_slice(c->name, 0, NAME_ROOM)));
        put_output(&text, buf_span(&c->output));
    } else if (WIFEXITED(c->status) && WEXITSTATUS(c->status) == 0) {
        class = 2;
        dsn = "2.0.0";
        buf_puts(&text, c->success);
    } else {
        class = commands_judge(&c->arena, c->status, c->name, buf_span(&c->output), &dsn, &text);
    }
    answer(c->channel, c->request, class, dsn, buf_span(&text));
    buf_fini(&text);
    command_free(c);
}

static void command_exited(struct watch *w, unsigned events, void *context)
{
    (void)w, (void)events;
    struct command *c = context;
    if (waitpid(c->pid, &c->status, WNOHANG) == c->pid)
        command_end(c);
}

/* With all that it has started, also where it has not made its session yet. */
static void end_by_force(const struct command *c)
{
    kill(-c->pid, SIGKILL);
    kill(c->pid, SIGKILL);
}

static void command_over(struct timer *t, void *context)
{
    (void)t;
    struct command *c = context;
    c->timed_out = true;
    end_by_force(c);
}

/* --- its output ---------------------------------------------------------------------------- */

static void read_output(struct command *c)
{
    char piece[1024];
    ssize_t n = 0;
    while (c->out >= 0 && ((n = read(c->out, piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR))) {
        size_t room = COMMANDS_OUTPUT_MAX - c->output.len;
        if (n > 0)
            buf_put(&c->output, span_slice(span_of(piece, (size_t)n), 0, room));
    }
    if (c->out >= 0 && (n == 0 || errno != EAGAIN))
        close_fd(&c->out_watch, &c->out);
}

static void output_event(struct watch *w, unsigned events, void *context)
{
    (void)w, (void)events;
    read_output(context);
}

/* --- its input ------------------------------------------------------------------------------- */

/* Turns another piece of text. result: false: it cannot be read */
static bool take_piece(struct command *c)
{
    const uint64_t size = c->text >= 0 ? c->about->text_size : c->about->text.n;
    char piece[4096];
    ssize_t n;
    if (c->fed == size) {
        text_turn_end(&c->turn);
        c->complete = true;
        return true;
    }
    if (c->text < 0) {
        struct span rest = span_slice(c->about->text, (size_t)c->fed, (size_t)c->fed + PIECE);
        text_turn_put(&c->turn, rest);
        c->fed += rest.n;
        return true;
    }
    size_t room = size - c->fed < sizeof piece ? (size_t)(size - c->fed) : sizeof piece;
    do
        n = pread(c->text, piece, room, (off_t)(c->about->text_offset + c->fed));
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    text_turn_put(&c->turn, span_of(piece, (size_t)n));
    c->fed += (uint64_t)n;
    return true;
}

/* A text that ends early must not look like a whole one: the command is ended before it sees the end. */
static void feed_failed(struct command *c)
{
    end_by_force(c);
    close_fd(&c->in_watch, &c->in);
}

static void feed(struct command *c)
{
    while (c->in >= 0) {
        while (!c->complete && c->pending.len < PIECE)
            if (!take_piece(c)) {
                feed_failed(c);
                return;
            }
        if (c->pending.len == 0) {
            close_fd(&c->in_watch, &c->in);
            return;
        }
        ssize_t n = write(c->in, c->pending.data, c->pending.len);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0 && errno != EINTR) /* it does not want to read all: its own matter */
            close_fd(&c->in_watch, &c->in);
        if (n > 0)
            buf_consume(&c->pending, (size_t)n);
    }
}

static void input_event(struct watch *w, unsigned events, void *context)
{
    (void)w, (void)events;
    feed(context);
}

/* --- what is run ------------------------------------------------------------------------------- */

/* result: NULL-terminated NAME=value, in the arena */
struct environment {
    struct arena *a;
    struct span filter;
    char **at;
    size_t n;
};

enum { ENVIRONMENT_MAX = 120 };

static void put_variable(struct environment *e, const char *name, struct span value)
{
    struct buf text = BUF_INIT;
    if (value.n == 0 || e->n == ENVIRONMENT_MAX)
        return;
    buf_printf(&text, "%s=", name);
    recipient_put_filtered(&text, value, e->filter);
    e->at[e->n++] = memcpy(arena_alloc(e->a, text.len + 1), buf_text(&text), text.len + 1);
    buf_fini(&text);
}

static void put_ready(struct environment *e, struct span variable)
{
    if (e->n < ENVIRONMENT_MAX && span_find(variable, '\0') == variable.n)
        e->at[e->n++] = memcpy(arena_alloc(e->a, variable.n + 1), variable.p, variable.n);
}

static struct environment environment_new(struct arena *a, const struct role *role)
{
    struct environment e = {.a = a, .filter = role->m.command_filter};
    struct span rest = role->m.environment, word;
    e.at = arena_calloc(a, ENVIRONMENT_MAX + 1, sizeof *e.at);
    put_ready(&e, SPAN("PATH=/usr/local/bin:/usr/bin:/bin"));
    while (span_next_token(&rest, span_of("", 1), &word))
        put_ready(&e, word);
    return e;
}

static char **local_environment(struct command *c, const struct msg_run *m)
{
    const struct role *role = c->all->role;
    const struct msg_recipient *r = &c->about->recipients.at[0];
    struct environment e = environment_new(&c->arena, role);
    put_variable(&e, "HOME", role->m.home);
    put_variable(&e, "SHELL", role->m.shell);
    put_variable(&e, "LOGNAME", m->user);
    put_variable(&e, "USER", m->user);
    put_variable(&e, "SENDER", c->about->sender);
    put_variable(&e, "RECIPIENT", r->address);
    put_variable(&e, "ORIGINAL_RECIPIENT", r->original);
    put_variable(&e, "LOCAL", m->local);
    put_variable(&e, "DOMAIN", m->domain);
    put_variable(&e, "EXTENSION", span_skip(m->extension, 1));
    put_variable(&e, "CLIENT_HOSTNAME", c->about->client_name);
    put_variable(&e, "CLIENT_ADDRESS", c->about->client_address);
    put_variable(&e, "CLIENT_HELO", c->about->helo);
    put_variable(&e, "CLIENT_PROTOCOL", c->about->protocol);
    put_variable(&e, "SASL_USERNAME", c->about->login);
    return e.at;
}

/* command_execution_directory. result: NULL, or why not */
static const char *local_directory(struct command *c, const struct msg_run *m)
{
    const struct role *role = c->all->role;
    const struct recipient_names names = {.user = m->user,
                                          .extension = span_skip(m->extension, 1),
                                          .delimiter = span_slice(m->extension, 0, 1),
                                          .local = m->local,
                                          .domain = m->domain,
                                          .recipient = c->about->recipients.at[0].address,
                                          .home = role->m.home,
                                          .shell = role->m.shell};
    struct buf out = BUF_INIT, why = BUF_INIT;
    bool good = recipient_expand(&out, role->m.execution_directory, &names, role->m.directory_filter, NULL, &why);
    if (good && out.len)
        c->order.directory = arena_text(&c->arena, buf_span(&out));
    buf_fini(&out);
    buf_fini(&why);
    return good ? NULL : "mail system configuration error";
}

static void put_first_line(struct buf *out, const struct msg_attempt *about)
{
    const struct mbox_message m = {.arrival_us = clock_wall_us(), .sender = about->sender};
    mbox_text_put_first_line(out, &m);
}

/* A command of a user or of an alias. result: NULL, or why it cannot be */
static const char *prepare_local(struct command *c, const struct msg_run *m, struct span command, const char **dsn)
{
    const struct span shell = c->all->role->m.command_shell;
    *dsn = "5.3.0";
    if (span_find(command, '\0') < command.n || span_trim(command).n == 0)
        return "bad command";
    const char *text = arena_text(&c->arena, command);
    c->name = span_text(text);
    c->success = arena_printf(&c->arena, "delivered to command: %s", text);
    if (shell.n) {
        c->order.argv = exec_words(&c->arena, shell, text);
    } else {
        c->order.argv = exec_split(&c->arena, command);
        c->order.command = text;
    }
    c->order.environment = local_environment(c, m);
    *dsn = "4.3.5";
    put_first_line(&c->pending, c->about);
    buf_put(&c->pending, m->top);
    return local_directory(c, m);
}

static void put_header(struct buf *out, const char *name, struct span address, bool brackets, struct span eol)
{
    struct buf external = BUF_INIT;
    address_put_external(&external, address);
    for (size_t i = 0; i < external.len; i++)
        if ((unsigned char)external.data[i] < ' ' || external.data[i] == 0x7f)
            external.data[i] = '?';
    buf_printf(out, "%s: %s%s%s", name, brackets ? "<" : "", buf_text(&external), brackets ? ">" : "");
    buf_put(out, eol.n ? eol : SPAN("\n"));
    buf_fini(&external);
}

/* The command of the pipe service. result: as above */
static const char *prepare_pipe(struct command *c, const char **dsn)
{
    const struct role *role = c->all->role;
    struct pipe_command p;
    const char *no =
        pipe_args_make(&c->arena, role->m.arguments, c->about, role->m.recipient_delimiter, &p, dsn);
    if (no)
        return no;
    const struct msg_recipient *r = &c->about->recipients.at[0];
    c->order = (struct exec_order){.argv = p.argv, .directory = p.directory};
    c->order.environment = environment_new(&c->arena, role).at;
    c->name = span_text(p.argv[0]);
    c->success = arena_printf(&c->arena, "delivered via %.*s service", SPAN_ARG(role->m.service));
    c->turn.quote_from = p.flags & PIPE_QUOTE_FROM;
    c->turn.quote_dots = p.flags & PIPE_DOTS;
    c->turn.blank_end = p.flags & PIPE_BLANK_END;
    c->turn.eol = p.eol;
    if (p.flags & PIPE_FROM_LINE) {
        put_first_line(&c->pending, c->about);
        buf_truncate(&c->pending, c->pending.len - 1);
        buf_put(&c->pending, p.eol.n ? p.eol : SPAN("\n"));
    }
    if (p.flags & PIPE_RETURN_PATH)
        put_header(&c->pending, "Return-Path", c->about->sender, true, p.eol);
    if ((p.flags & PIPE_ORIGINAL_TO) && r->original.n)
        put_header(&c->pending, "X-Original-To", r->original, false, p.eol);
    if (p.flags & PIPE_DELIVERED_TO)
        put_header(&c->pending, "Delivered-To", r->address, false, p.eol);
    return NULL;
}

/* --- starting -------------------------------------------------------------------------------------- */

static bool non_blocking(int fd)
{
    return fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/* result: false with errno; command_free() ends what was begun */
static bool start(struct command *c)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0)
        return false;
    c->in = in[1];
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        return false;
    }
    c->out = out[0];
    c->pid = exec_start(&c->order, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    if (c->pid < 0)
        return false;
    c->exit = (int)syscall(SYS_pidfd_open, c->pid, 0);
    struct loop *l = c->all->loop;
    bool good = c->exit >= 0 && non_blocking(c->in) && non_blocking(c->out) &&
                (c->exit_watch = loop_watch_level(l, c->exit, LOOP_READ, command_exited, c)) &&
                (c->in_watch = loop_watch(l, c->in, LOOP_WRITE, input_event, c)) &&
                (c->out_watch = loop_watch(l, c->out, LOOP_READ, output_event, c));
    if (!good) {
        end_by_force(c);
        waitpid(c->pid, NULL, 0);
    }
    return good;
}

static struct command *command_new(struct commands *all, struct channel *c, uint64_t request, const struct msg_run *m,
                                   int text)
{
    struct command *new = calloc(1, sizeof *new);
    struct buf copy = BUF_LIMITED(CHANNEL_FRAME_MAX);
    struct msg_attempt *about;
    CHECK(new != NULL);
    *new = (struct command){.all = all, .channel = c, .request = request, .in = -1, .out = -1, .exit = -1, .text = -1};
    new->turn.out = &new->pending;
    about = ARENA_NEW(&new->arena, struct msg_attempt);
    msg_attempt_put(&copy, &m->about.at[0]);
    CHECK(msg_attempt_get(&new->arena, arena_dup(&new->arena, buf_span(&copy)), about));
    buf_fini(&copy);
    new->about = about;
    if (text >= 0)
        new->text = fcntl(text, F_DUPFD_CLOEXEC, 0);
    list_push(&all->running, &new->node);
    all->count++;
    return new;
}

void commands_run(struct commands *all, struct channel *c, uint64_t request, const struct msg_run *m, int text)
{
    struct span given;
    const char *dsn = "4.3.0", *no = role_refuses_run(all->role, m, &given);
    if (!no && all->count >= COMMANDS_MAX)
        no = "too many commands are running";
    if (no) {
        answer(c, request, (unsigned)(dsn[0] - '0'), dsn, span_text(no));
        return;
    }
    struct command *new = command_new(all, c, request, m, text);
    no = m->source == RUN_PIPE ? prepare_pipe(new, &dsn) : prepare_local(new, m, given, &dsn);
    if (!no && (text >= 0 && new->text < 0)) {
        dsn = "4.3.0";
        no = "too many open files";
    }
    if (!no && !start(new)) {
        dsn = "4.3.0";
        no = strerror(errno);
    }
    if (no) {
        answer(c, request, (unsigned)(dsn[0] - '0'), dsn, span_text(no));
        command_free(new);
        return;
    }
    timer_set(all->loop, &new->limit, clock_after((int64_t)all->role->m.time_limit), command_over, new);
}

/* --- all --------------------------------------------------------------------------------------------- */

struct commands *commands_new(struct loop *l, const struct role *role)
{
    struct commands *all = calloc(1, sizeof *all);
    CHECK(all != NULL);
    all->loop = l;
    all->role = role;
    list_init(&all->running);
    return all;
}

void commands_forget(struct commands *all, const struct channel *c)
{
    LIST_EACH (node, after, &all->running) {
        struct command *command = LIST_ENTRY(node, struct command, node);
        if (command->channel == c)
            command->channel = NULL;
    }
}

size_t commands_running(const struct commands *all)
{
    return all->count;
}

void commands_kill(struct commands *all)
{
    LIST_EACH (node, after, &all->running)
        end_by_force(LIST_ENTRY(node, struct command, node));
}
