/* The logical lines of a table's source text, as Postfix's tables have them.
 *
 * Empty lines and lines whose first character that is not white space is '#' are
 * left out, also in the middle of a logical line; a line that starts with white
 * space continues the one before it. One reader for texthash, postmap, postalias
 * and all rule files. */
#ifndef TABLE_TEXT_LINES_H
#define TABLE_TEXT_LINES_H

#include "lib/base/buf.h"

struct text_lines {
    struct span rest; /* borrowed: what is not read yet */
    unsigned line;    /* number of the last physical line read, from 1 */
    struct buf join;  /* owned: a logical line of several physical ones */
};

struct text_line {
    struct span text;     /* without the final line ending and trailing white space; borrowed until the next call */
    unsigned first, last; /* numbers of its physical lines */
};

/* text is borrowed until text_lines_fini(). */
void text_lines_init(struct text_lines *l, struct span text);
void text_lines_fini(struct text_lines *l);
/* result: false at the end. The line may start with white space (only the first can)
 * or hold a NUL: text_next_entry() refuses these, other callers use text_line_fault(). */
bool text_lines_next(struct text_lines *l, struct text_line *line);
/* Why no entry or rule can stand in the line, or NULL. */
const char *text_line_fault(const struct text_line *line);

enum text_form {
    TEXT_MAP,   /* "key value": split at the first white space outside double quotes, which
                 * stay part of the key (inside them a backslash takes the next character) */
    TEXT_ALIAS, /* "name: value"; the name is without its quotes */
};
enum text_result { TEXT_END, TEXT_ENTRY, TEXT_FAULT };

struct text_entry {
    struct span key, value; /* not folded; borrowed until the next call */
    unsigned line;          /* number of its first physical line */
};

/* The next entry of a source text.
 * name:   a buffer of the caller that the key may borrow from
 * fault:  cleared; for TEXT_FAULT what is wrong with line entry->line, in postmap's words and
 *         printable ASCII; the caller puts "FILE, line N: " before it
 * result: TEXT_ENTRY, TEXT_FAULT (call again for the next one) or TEXT_END */
enum text_result text_next_entry(struct text_lines *l, enum text_form form, bool needs_utf8, struct buf *name,
                                 struct text_entry *entry, struct buf *fault);

/* Whether s is well-formed UTF-8 (RFC 3629 4). */
bool text_is_utf8(struct span s);
/* Appends s with '?' for what is not printable ASCII, as messages show foreign text. */
void text_put_masked(struct buf *b, struct span s);

#endif
