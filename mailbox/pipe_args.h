/* The arguments of a pipe service in master.cf, and the command that they make for a message. pipe(8)
 *
 *     flags=BDFORXhqu.> user=name argv=program word ...
 *
 * A word of the program's arguments may hold ${recipient} and other names. One with a name
 * that is about a recipient stands once for each. No word is dropped, no value begins a word
 * with "-", and no shell sees any of it. */
#ifndef MAILBOX_PIPE_ARGS_H
#define MAILBOX_PIPE_ARGS_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/wire/attempt.msg.h"

enum pipe_flag {
    PIPE_BLANK_END = 1,     /* B */
    PIPE_DELIVERED_TO = 2,  /* D */
    PIPE_FROM_LINE = 4,     /* F */
    PIPE_ORIGINAL_TO = 8,   /* O */
    PIPE_RETURN_PATH = 16,  /* R */
    PIPE_FINAL = 32,        /* X: success is reported as delivered, not as relayed */
    PIPE_FOLD_DOMAIN = 64,  /* h */
    PIPE_QUOTE = 128,       /* q: local parts in external form */
    PIPE_FOLD_USER = 256,   /* u */
    PIPE_DOTS = 512,        /* . */
    PIPE_QUOTE_FROM = 1024, /* > */
};

struct pipe_command {
    unsigned flags;        /* enum pipe_flag */
    char **argv;           /* terminated by NULL; in the arena, as are all */
    const char *directory; /* NULL: none */
    struct span eol;       /* of the text's lines */
    struct span sender;    /* as the command is to see it: null_sender for the null sender */
    uint64_t size_limit;   /* octets of text; 0: none */
};

/* arguments: each ended by NUL; delimiters: recipient_delimiter
 * dsn:       set where there is no command
 * result:    NULL, or why there is none */
const char *pipe_args_make(struct arena *a, struct span arguments, const struct msg_attempt *about,
                           struct span delimiters, struct pipe_command *command, const char **dsn);

#endif
