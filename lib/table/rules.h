/* Rules tried in order: what pcre, regexp and cidr tables have in common. Private to
 * lib/table.
 *
 *   pattern value        !pattern value       if [!]pattern ... endif
 *
 * A pattern is what the type makes of it; the first rule that matches gives its value.
 * What an "if" encloses is left out where it does not match. A faulty rule is left out
 * with a warning in Postfix's words; a faulty "if" leaves out what it encloses. */
#ifndef TABLE_RULES_H
#define TABLE_RULES_H

#include "lib/base/arena.h"
#include "lib/table/table_type.h"

enum rule_kind { RULE_VALUE, RULE_IF, RULE_ENDIF };
enum rule_match { RULE_NO, RULE_YES, RULE_ERROR };

struct rule {
    enum rule_kind kind;
    bool is_negated;   /* matches where the pattern does not */
    bool is_faulty;    /* an "if" whose pattern is none: never matches */
    unsigned line;
    void *pattern;     /* the type's; NULL for RULE_ENDIF */
    struct span value; /* in the arena */
    size_t end;        /* of RULE_IF: index of its RULE_ENDIF, or the number of rules */
};

struct rules {
    struct arena arena;
    struct rule *rules; /* owned */
    size_t count, cap;
};

struct rule_syntax {
    const char *no_pattern; /* the words for a rule that ends before its pattern */
    /* Takes the pattern from *rest, which is not empty, and leaves what stands behind it.
     * result: the pattern, or NULL with why (without ": skipping this rule") */
    void *(*take_pattern)(const struct table_source *src, struct rules *all, struct span *rest, struct buf *why);
    void (*free_pattern)(void *pattern);
    /* Looks at a rule's value, which may be empty.
     * result: false with why where the rule cannot be used */
    bool (*check_value)(const struct table_source *src, const struct rule *r, struct buf *why);
};

/* result: false with why where the file cannot be read; src->fd is taken over */
bool rules_load(struct rules *all, const struct rule_syntax *syntax, struct table_source *src, struct buf *why);
void rules_unload(struct rules *all, const struct rule_syntax *syntax);

/* The first rule that matches.
 * match:  asked for each pattern; state is passed through
 * result: TABLE_FOUND with *found; TABLE_TEMP where match gave RULE_ERROR or the rules took
 *         longer than RULES_MS in all (why says) */
enum table_result rules_find(const struct rules *all,
                             enum rule_match (*match)(const struct rule *r, void *state, struct buf *why), void *state,
                             const struct rule **found, struct buf *why);
enum { RULES_MS = 1000 };

#endif
