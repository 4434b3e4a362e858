/* sendmail: hands a message to Merpati. What its files share.
 *
 * Run by any user, with no right beyond that user's own. It ends with one of the
 * numbers of sysexits.h, and what went wrong is said on standard error by the one who
 * finds it out. Every call may wait. */
#ifndef CLI_SENDMAIL_SENDMAIL_H
#define CLI_SENDMAIL_SENDMAIL_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/queue/drop.h"

/* --- say.c --------------------------------------------------------------------------- */

/* "sendmail: fatal: ..." on standard error. result: status */
int fatal(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- config.c ------------------------------------------------------------------------ */

enum endings { ENDINGS_ALWAYS, ENDINGS_STRICT, ENDINGS_NEVER }; /* sendmail_fix_line_endings */

struct config {
    const char *directory; /* of main.cf */
    const char *queue;     /* queue_directory */
    const char *myhostname;
    uint64_t size_limit;   /* message_size_limit, octets of text; 0: none */
    enum endings endings;
};
/* result: 0, or an exit status: said */
int config_read(struct arena *a, const char *directory, struct config *c);

/* --- options.c ----------------------------------------------------------------------- */

enum mode { MODE_MAIL, MODE_SMTP, MODE_LIST, MODE_FLUSH, MODE_ALIASES };

struct options {
    enum mode mode;
    const char *config_directory; /* NULL: not given */
    const char *flush_id, *flush_site; /* -qI, -qR and -qS; NULL: not given */
    bool ignore_dots;             /* a "." alone on a line is text (-i) */
    bool verbose;
    struct msg_drop envelope;     /* recipients too */
};
/* name: under which the program was called. result: 0, or an exit status: said */
int options_read(struct arena *a, const char *name, int argc, char **argv, struct options *o);
/* Adds the addresses of a text as they are written in a header. result: false where one is bad */
bool options_add_recipients(struct arena *a, struct span text, struct msg_drop *envelope);

/* --- input.c ------------------------------------------------------------------------- */

enum { PIECE_MAX = 64 * 1024 }; /* octets of a piece of a line */
enum ending { ENDING_LF, ENDING_CRLF, ENDING_CUT /* the line goes on */, ENDING_EOF /* the last, not ended */ };

struct input {
    int fd;           /* borrowed */
    struct buf held;  /* read and not yet given out */
    size_t given;     /* octets at its start that were given out */
    bool at_end;
    int error;        /* errno of reading; 0: none */
};
/* The next line or piece, without its line end.
 * piece:  borrowed until the next call
 * result: false: the end, or l->error */
bool input_next(struct input *l, struct span *piece, enum ending *ending);
void input_fini(struct input *l);

/* How the text of a message is read from standard input. */
struct text_rules {
    enum endings endings;
    bool ignore_dots;
    uint64_t size_limit; /* octets written; 0: none */
};
enum text_result { TEXT_OK, TEXT_TOO_BIG, TEXT_ERROR };
/* Reads up to the end of input, or a "." alone, and writes lines that end in LF; drops an mbox "From "
 * line on top. result: TEXT_ERROR with l->error */
enum text_result text_read(struct input *l, const struct text_rules *rules, struct drop_writer *to);

/* --- handin.c ------------------------------------------------------------------------ */

/* What became of a message. */
struct receipt {
    unsigned class; /* 0: Merpati has it; 4: try again; 5: refused */
    struct buf dsn; /* enhanced status code, where class is not 0 */
    struct buf text;
    struct buf id;  /* queue ID; empty where it waits in maildrop/ */
};
void receipt_fini(struct receipt *r);

/* A file in memory for a submission. result: -1 with errno */
int handin_open(void);
/* Gives a finished submission to the server, or leaves it in maildrop/. */
void handin(const char *queue, int fd, struct receipt *r);
/* The exit status that tells of it. */
int handin_status(const struct receipt *r);

/* --- smtp.c -------------------------------------------------------------------------- */

/* A conversation in SMTP: lines in, replies on out. Its messages are handed in by give, which is handin()
 * or a test's. result: exit status */
typedef void (*smtp_give)(const char *queue, int fd, struct receipt *r);
int smtp_talk(const struct config *c, int in, int out, smtp_give give);

#endif
