#include "pop3box/session.h"

#include "lib/base/check.h"
#include "lib/mail/pop3.h"
#include "lib/maildir/sizes.h"
#include "pop3box/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = 64 * 1024, LAST_WORD_S = 10 };
enum { MARK_DELETED = 1, MARK_RETRIEVED = 2 };

/* Messages and octets sent by a command, for the log. */
struct traffic {
    uint64_t messages, octets;
};

struct session {
    const struct pop3box_config *config;
    struct maildir *m;
    struct conn *conn;
    struct maildir_list list;
    unsigned char *marks;   /* MARK_* of each message */
    size_t left;            /* messages not deleted */
    uint64_t octets_left;   /* theirs */
    uint64_t errors;
    struct traffic top, retr, del;
    char *piece, *converted; /* working memory of sending, made when first needed */
    const char *ended;       /* why the session is over; NULL: it is not */
    bool updating;           /* by QUIT */
};

/* --- replies ------------------------------------------------------------------------------ */

#define OK(text) "+OK " text "\r\n"
#define ERR(text) "-ERR " text "\r\n"

#define REPLIES(R)                                                                                  \
    R(done, OK("Done"))                                                                              \
    R(bye, OK("Bye"))                                                                                \
    R(marked, OK("Marked to be deleted"))                                                            \
    R(unknown, ERR("Unknown command"))                                                               \
    R(logged_in_already, ERR("You are logged in already"))                                           \
    R(syntax, ERR("Wrong arguments"))                                                                \
    R(too_long, ERR("The line is too long"))                                                         \
    R(no_message, ERR("There is no such message"))                                                   \
    R(is_deleted, ERR("That message is marked to be deleted"))                                       \
    R(vanished, ERR("That message was removed by another program"))                                  \
    R(unreadable, ERR("[SYS/TEMP] That message cannot be read now"))                                 \
    R(in_use, ERR("[IN-USE] Another session has locked the mailbox; wait and try again"))            \
    R(no_mailbox, ERR("[SYS/TEMP] The mailbox cannot be opened; try again later"))                   \
    R(not_removed, ERR("[SYS/TEMP] Some messages that were to be deleted could not be removed"))     \
    R(too_many_errors, ERR("Too many errors; nothing was deleted"))                                  \
    R(timeout, ERR("[SYS/TEMP] Idle for too long; nothing was deleted"))

enum reply {
#define R(name, text) REPLY_##name,
    REPLIES(R)
#undef R
};

static const struct span replies[] = {
#define R(name, text) [REPLY_##name] = SPAN_INIT(text),
    REPLIES(R)
#undef R
};

static void say(struct session *s, enum reply reply)
{
    conn_write(s->conn, replies[reply]);
}

static void refuse(struct session *s, enum reply reply)
{
    say(s, reply);
    if (s->config->error_limit && ++s->errors >= s->config->error_limit) {
        say(s, REPLY_too_many_errors);
        s->ended = "too many errors";
    }
}

static void say_text(struct session *s, struct buf *text)
{
    conn_write(s->conn, buf_span(text));
    buf_fini(text);
}

static void renew_deadline(struct session *s)
{
    conn_set_deadline(s->conn, clock_after(s->config->timeout));
}

/* --- messages by number --------------------------------------------------------------------- */

static bool is_deleted(const struct session *s, size_t i)
{
    return s->marks[i] & MARK_DELETED;
}

/* The message that an argument names. result: false where there is none, which was said */
static bool find_message(struct session *s, struct span number, size_t *i)
{
    size_t n = pop3_message_number(number, s->list.n);
    if (n == 0) {
        refuse(s, REPLY_no_message);
        return false;
    }
    *i = n - 1;
    if (is_deleted(s, *i)) {
        refuse(s, REPLY_is_deleted);
        return false;
    }
    return true;
}

static void count_left(struct session *s)
{
    s->left = 0;
    s->octets_left = 0;
    for (size_t i = 0; i < s->list.n; i++)
        if (!is_deleted(s, i)) {
            s->left++;
            s->octets_left += s->list.at[i].virtual_size;
        }
}

/* --- sending text ------------------------------------------------------------------------------ */

/* result: octets of the message sent; the connection ends where the file cannot be read to its end,
 * because there is no other way to say so in the middle of a message */
static uint64_t send_text(struct session *s, int fd, struct pop3_text text)
{
    uint64_t sent = 0;
    ssize_t n = 1;
    if (!s->piece) {
        s->piece = malloc(PIECE_BYTES);
        s->converted = malloc(pop3_text_room(PIECE_BYTES));
        CHECK(s->piece != NULL && s->converted != NULL);
    }
    while (n > 0 && !text.done && conn_state(s->conn) != CONN_ERROR && conn_state(s->conn) != CONN_TIMEOUT) {
        n = read(fd, s->piece, PIECE_BYTES);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n > 0) {
            size_t out = pop3_text_put(&text, span_of(s->piece, (size_t)n), s->converted);
            renew_deadline(s);
            conn_write(s->conn, span_of(s->converted, out));
            sent += out;
            if (n < PIECE_BYTES)
                n = 0; /* a file gives all it has */
        }
    }
    if (n < 0) {
        log_line(s->config->source, LOG_LEVEL_ERROR, "read a message: %s", strerror(errno));
        s->ended = "read error";
        return sent;
    }
    conn_write(s->conn, span_of(s->converted, pop3_text_end(&text, s->converted)));
    return sent;
}

/* Opens a message. result: -1 where that failed, which was said */
static int open_message(struct session *s, size_t i)
{
    int fd = -1;
    enum maildir_result opened = maildir_message_open(s->m, &s->list, i, &fd);
    if (opened == MAILDIR_GONE)
        refuse(s, REPLY_vanished);
    else if (opened != MAILDIR_OK)
        refuse(s, REPLY_unreadable);
    return fd;
}

/* --- commands -------------------------------------------------------------------------------------- */

static void box_stat(struct session *s, const struct pop3_line *line)
{
    (void)line;
    conn_printf(s->conn, "+OK %zu %llu\r\n", s->left, (unsigned long long)s->octets_left);
}

static void put_size(struct session *s, size_t i, struct buf *out)
{
    buf_put_u64(out, i + 1);
    buf_putc(out, ' ');
    buf_put_u64(out, s->list.at[i].virtual_size);
}

static void put_uidl(struct session *s, size_t i, struct buf *out)
{
    buf_put_u64(out, i + 1);
    buf_putc(out, ' ');
    maildir_list_put_uidl(&s->list, i, out);
}

/* LIST and UIDL: of one message, or of all, a line each. */
static void scan(struct session *s, const struct pop3_line *line, void (*put)(struct session *, size_t, struct buf *))
{
    struct buf out = BUF_INIT;
    size_t i;
    if (line->n > 0) {
        if (!find_message(s, line->at[0], &i))
            return;
        buf_puts(&out, "+OK ");
        put(s, i, &out);
        buf_puts(&out, "\r\n");
        say_text(s, &out);
        return;
    }
    buf_printf(&out, "+OK %zu messages\r\n", s->left);
    for (i = 0; i < s->list.n; i++) {
        if (is_deleted(s, i))
            continue;
        put(s, i, &out);
        buf_puts(&out, "\r\n");
        if (out.len >= PIECE_BYTES) {
            renew_deadline(s);
            conn_write(s->conn, buf_span(&out));
            buf_clear(&out);
        }
    }
    buf_puts(&out, ".\r\n");
    say_text(s, &out);
}

static void box_list(struct session *s, const struct pop3_line *line)
{
    scan(s, line, put_size);
}

static void box_uidl(struct session *s, const struct pop3_line *line)
{
    scan(s, line, put_uidl);
}

static void box_retr(struct session *s, const struct pop3_line *line)
{
    size_t i;
    int fd = find_message(s, line->at[0], &i) ? open_message(s, i) : -1;
    if (fd < 0)
        return;
    conn_printf(s->conn, "+OK %llu octets\r\n", (unsigned long long)s->list.at[i].virtual_size);
    s->retr.octets += send_text(s, fd, pop3_text_whole());
    s->retr.messages++;
    s->marks[i] |= MARK_RETRIEVED;
    close(fd);
}

static void box_top(struct session *s, const struct pop3_line *line)
{
    size_t i;
    uint64_t lines;
    if (!span_to_u64(line->at[1], UINT32_MAX, &lines)) {
        refuse(s, REPLY_syntax);
        return;
    }
    int fd = find_message(s, line->at[0], &i) ? open_message(s, i) : -1;
    if (fd < 0)
        return;
    conn_write(s->conn, SPAN("+OK Top of the message follows\r\n"));
    s->top.octets += send_text(s, fd, pop3_text_top(lines));
    s->top.messages++;
    close(fd);
}

static void box_dele(struct session *s, const struct pop3_line *line)
{
    size_t i;
    if (!find_message(s, line->at[0], &i))
        return;
    s->marks[i] |= MARK_DELETED;
    s->left--;
    s->octets_left -= s->list.at[i].virtual_size;
    say(s, REPLY_marked);
}

static void box_rset(struct session *s, const struct pop3_line *line)
{
    (void)line;
    for (size_t i = 0; i < s->list.n; i++)
        s->marks[i] &= (unsigned char)~MARK_DELETED;
    count_left(s);
    conn_printf(s->conn, "+OK %zu messages (%llu octets)\r\n", s->left, (unsigned long long)s->octets_left);
}

static void box_noop(struct session *s, const struct pop3_line *line)
{
    (void)line;
    say(s, REPLY_done);
}

static void box_capa(struct session *s, const struct pop3_line *line)
{
    (void)line;
    struct buf out = BUF_INIT;
    pop3_put_capabilities(&out);
    say_text(s, &out);
}

static void box_quit(struct session *s, const struct pop3_line *line)
{
    (void)line;
    s->updating = true;
    s->ended = "logged out";
}

static void box_logged_in_already(struct session *s, const struct pop3_line *line)
{
    (void)line;
    refuse(s, REPLY_logged_in_already);
}

enum { ANY = POP3_ARGUMENTS_MAX + 1 };

/* The commands and how many arguments each takes. */
static const struct {
    struct span name;
    unsigned least, most;
    void (*run)(struct session *s, const struct pop3_line *line);
} commands[] = {
    {SPAN_INIT("STAT"), 0, 0, box_stat}, {SPAN_INIT("LIST"), 0, 1, box_list}, {SPAN_INIT("RETR"), 1, 1, box_retr},
    {SPAN_INIT("DELE"), 1, 1, box_dele}, {SPAN_INIT("NOOP"), 0, 0, box_noop}, {SPAN_INIT("RSET"), 0, 0, box_rset},
    {SPAN_INIT("TOP"), 2, 2, box_top},   {SPAN_INIT("UIDL"), 0, 1, box_uidl}, {SPAN_INIT("QUIT"), 0, 0, box_quit},
    {SPAN_INIT("CAPA"), 0, 0, box_capa}, {SPAN_INIT("USER"), 0, ANY, box_logged_in_already},
    {SPAN_INIT("PASS"), 0, ANY, box_logged_in_already}, {SPAN_INIT("AUTH"), 0, ANY, box_logged_in_already},
    /* RFC 6856 2.1: in the authorization state only. */
    {SPAN_INIT("UTF8"), 0, ANY, box_logged_in_already}, {SPAN_INIT("STLS"), 0, ANY, box_logged_in_already},
};

static void run_command(struct session *s, struct span text)
{
    struct pop3_line line;
    bool good = pop3_line_parse(text, &line);
    for (size_t i = 0; good && i < sizeof commands / sizeof *commands; i++)
        if (span_eq_nocase(line.word, commands[i].name)) {
            if (line.n < commands[i].least || line.n > commands[i].most)
                refuse(s, REPLY_syntax);
            else
                commands[i].run(s, &line);
            return;
        }
    refuse(s, REPLY_unknown);
}

/* --- the update state --------------------------------------------------------------------------------- */

/* Removes what is marked, which can be repeated, and says QUIT's answer when it lasts. */
static void update(struct session *s)
{
    struct buf why = BUF_INIT;
    enum maildir_result result = MAILDIR_OK;
    bool changed = false;
    for (size_t i = 0; i < s->list.n; i++) {
        enum maildir_result one = MAILDIR_OK;
        if (is_deleted(s, i)) {
            one = maildir_message_remove(s->m, &s->list, i);
            s->del.messages += one == MAILDIR_OK;
            s->del.octets += one == MAILDIR_OK ? s->list.at[i].virtual_size : 0;
            changed = true;
        } else if (s->marks[i] & MARK_RETRIEVED) {
            (void)maildir_message_mark_seen(s->m, &s->list, i);
        }
        if (one != MAILDIR_OK)
            result = one;
    }
    if (changed && result == MAILDIR_OK)
        result = maildir_sync(s->m, &why);
    if (result != MAILDIR_OK)
        log_line(s->config->source, LOG_LEVEL_ERROR, "user=<%.*s>: messages could not be removed: %s",
                 SPAN_ARG(s->config->user), why.len ? buf_text(&why) : strerror(errno));
    say(s, result == MAILDIR_OK ? REPLY_bye : REPLY_not_removed);
    buf_fini(&why);
}

/* --- the conversation ------------------------------------------------------------------------------------ */

static bool open_mailbox(struct session *s)
{
    struct buf why = BUF_INIT;
    enum maildir_result result = maildir_lock(s->m, &why);
    if (result == MAILDIR_OK)
        result = maildir_list_read(s->m, &s->list, &why);
    if (result == MAILDIR_OK) {
        struct maildir_sizes_work work = maildir_sizes_fill(s->m, &s->list);
        if (work.dropped)
            log_line(s->config->source, LOG_LEVEL_WARNING, "user=<%.*s>: %zu messages cannot be read and are left out",
                     SPAN_ARG(s->config->user), work.dropped);
        s->marks = calloc(s->list.n + 1, 1);
        CHECK(s->marks != NULL);
        count_left(s);
        conn_printf(s->conn, "+OK Logged in, %zu messages (%llu octets)\r\n", s->left, (unsigned long long)s->octets_left);
    } else {
        s->ended = result == MAILDIR_BUSY ? "mailbox in use" : "mailbox cannot be opened";
        log_line(s->config->source, result == MAILDIR_BUSY ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "user=<%.*s>: %s",
                 SPAN_ARG(s->config->user), buf_text(&why));
        say(s, result == MAILDIR_BUSY ? REPLY_in_use : REPLY_no_mailbox);
    }
    buf_fini(&why);
    return result == MAILDIR_OK;
}

static void converse(struct session *s)
{
    struct span line;
    enum line_ending ending;
    renew_deadline(s);
    switch (conn_read_line(s->conn, s->config->line_limit, &line, &ending)) {
    case CONN_OK:
        run_command(s, line);
        break;
    case CONN_TOO_LONG:
        refuse(s, REPLY_too_long);
        break;
    case CONN_TIMEOUT:
        say(s, REPLY_timeout);
        s->ended = "timeout";
        break;
    case CONN_EOF:
        s->ended = "connection closed";
        break;
    case CONN_ERROR:
    case CONN_CANCELLED:
        s->ended = "connection lost";
        break;
    }
}

static void log_end(const struct session *s)
{
    log_line(s->config->source, LOG_LEVEL_INFO,
             "disconnect: user=<%.*s>, rip=%.*s, top=%llu/%llu, retr=%llu/%llu, del=%llu/%zu, size=%llu, reason=%s",
             SPAN_ARG(s->config->user), SPAN_ARG(s->config->client), (unsigned long long)s->top.messages,
             (unsigned long long)s->top.octets, (unsigned long long)s->retr.messages,
             (unsigned long long)s->retr.octets, (unsigned long long)s->del.messages, s->list.n,
             (unsigned long long)s->octets_left, s->ended);
}

void pop3box_session_run(const struct pop3box_config *config, struct maildir *m, struct conn *conn)
{
    struct session s = {.config = config, .m = m, .conn = conn};
    conn_set_deadline(conn, clock_after(config->timeout));
    if (open_mailbox(&s))
        while (!s.ended)
            converse(&s);
    if (s.updating)
        update(&s);
    conn_set_deadline(conn, clock_after(LAST_WORD_S));
    conn_flush(conn);
    conn_close(&conn);
    if (s.marks)
        log_end(&s);
    maildir_list_fini(&s.list);
    free(s.marks);
    free(s.piece);
    free(s.converted);
}

void pop3box_refuse(struct conn **conn)
{
    conn_set_deadline(*conn, clock_after(LAST_WORD_S));
    conn_write(*conn, replies[REPLY_no_mailbox]);
    conn_flush(*conn);
    conn_close(conn);
}
