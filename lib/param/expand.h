/* Expansion of $name in text, by the rules of Postfix:
 *
 *     $name  ${name}  $(name)     the value of name, itself expanded
 *     ${name?text}  ${name?{text}}  text if the value of name is not empty
 *     ${name:text}  ${name:{text}}  text if it is empty
 *     ${name?{text}:{other}}        one of the two
 *     ${{a} == {b} ? {text} : {other}}  also != < <= > >= (as numbers where both
 *         are all digits, else as bytes) and the same followed by "level", which
 *         compares compatibility levels (3.10 is above 3.9); without '?' the
 *         result is "true" or nothing
 *     $$                            a dollar sign
 *
 * Whether a value is empty is asked of the unexpanded value, as Postfix does.
 * Whitespace inside { } at either end, and around names and operators, is left out.
 *
 * Any process may call these; none waits. */
#ifndef PARAM_EXPAND_H
#define PARAM_EXPAND_H

#include "lib/base/buf.h"

enum {
    EXPAND_DEPTH_MAX = 100,          /* values inside values, and braces inside braces */
    EXPAND_LOOKUPS_MAX = 50000,      /* names looked up for one text */
    EXPAND_RESULT_MAX = 1024 * 1024, /* octets of the result */
};

struct expand_source {
    /* Finds a value. value: set to the raw value, which lives until the whole
     * expansion ends. result: false where there is no such name (it then counts as empty) */
    bool (*lookup)(void *context, struct span name, struct span *value);
    void *context; /* borrowed, for lookup */
    /* Whether values are expanded in turn: true for parameters, false where values
     * come from outside (a recipient's address in a command). */
    bool recursive;
    /* Whether a name that there is not is an error where its value is asked for: true where
     * its text is seen by people (a notification). */
    bool strict;
};

/* Appends the expansion of text to out.
 * why:    set to words where it failed; names no file or parameter
 * result: false: bad syntax, or a limit above passed (out then holds a part) */
bool expand_text(struct buf *out, struct span text, const struct expand_source *source, struct buf *why);

/* Cuts a group in balanced braces off *text, which starts with '{'.
 * inside: set to what is between the braces, trimmed
 * result: false where the closing brace is missing */
bool expand_braces(struct span *text, struct span *inside);

#endif
