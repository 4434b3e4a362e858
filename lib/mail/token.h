/* The one lexer for addresses, in envelopes and in headers: cuts text into the
 * tokens of RFC 5322 3.2, in linear time and without memory of its own.
 *
 * It never fails: what is not closed runs to the end of the text and says so;
 * bytes that belong nowhere come out as atoms. The parsers above it decide what
 * to refuse. Line breaks count as blanks (folding was judged by lib/mail/header.h).
 * Any process may call these; none waits. */
#ifndef MAIL_TOKEN_H
#define MAIL_TOKEN_H

#include "lib/base/buf.h"

enum token_kind {
    TOKEN_END,     /* nothing is left */
    TOKEN_ATOM,    /* a run of anything else; may hold quoted pairs (obsolete form) */
    TOKEN_QUOTED,  /* "...": raw has the quotes */
    TOKEN_LITERAL, /* [...]: raw has the brackets */
    TOKEN_COMMENT, /* (...), nested: raw has the parentheses */
    TOKEN_SPECIAL, /* one of ) < > ] : ; @ , . */
};

struct token {
    enum token_kind kind;
    unsigned char special; /* the byte of a TOKEN_SPECIAL, else 0 */
    bool spaced;           /* blanks stand before it */
    bool closed;           /* its closing delimiter is there; true where it needs none */
    struct span raw;       /* as it stands; borrowed from the text */
};

struct token_scan {
    struct span text; /* borrowed */
    size_t at;        /* where the next token or the blanks before it begin */
};

/* Cuts the next token. result: false at the end (kind TOKEN_END, spaced says of blanks there) */
bool token_next(struct token_scan *scan, struct token *token);
/* The same, without comments; blanks around those count for the token behind. */
bool token_next_word(struct token_scan *scan, struct token *token);

/* Appends what it stands for: quotes and the backslashes of quoted pairs removed.
 * A literal and a comment keep their brackets. Line breaks (of folding) are left
 * out; other control characters stay, for the caller to judge. */
void token_put_value(struct buf *out, const struct token *token);

#endif
