/* POSIX regular expressions written anew for PCRE2.
 *
 * regexp tables have POSIX syntax, but POSIX regexec() knows no limit, so that one line
 * of mail could hold a process for hours. The pattern is translated instead and runs
 * under PCRE2's limits. Whether a text matches is the same, except for patterns with
 * backreferences whose group could match in several ways; of several possible matches
 * PCRE2 takes the first alternative that leads to one where POSIX takes the longest,
 * which shows only in the text of $1, $2... */
#ifndef TABLE_POSIX_REGEX_H
#define TABLE_POSIX_REGEX_H

#include "lib/base/buf.h"

enum {
    POSIX_REGEX_BYTES = 16 * 1024, /* longest pattern */
    POSIX_REGEX_DEPTH = 100,       /* deepest nesting of groups: 90 KiB of stack in PCRE2's compiler */
    POSIX_REGEX_REPEAT = 255,      /* largest number in {m,n}: RE_DUP_MAX as POSIX asks for it */
};

enum { POSIX_EXTENDED = 1, POSIX_NEWLINE = 2 /* as REG_NEWLINE: [^a] matches no newline */ };

/* Translates extended (flags & POSIX_EXTENDED) or basic syntax (POSIX.1-2017 9.3, 9.4, with
 * the GNU escapes \w \W \s \S \b \B \< \> \` \').
 * out:    the PCRE2 pattern is appended; to be compiled with PCRE2_DOTALL without POSIX_NEWLINE
 *         and PCRE2_MULTILINE | PCRE2_ALT_CIRCUMFLEX with it, always with PCRE2_DOLLAR_ENDONLY
 * result: NULL, or what is wrong, in glibc's words */
const char *posix_regex_translate(struct span pattern, unsigned flags, struct buf *out);

#endif
