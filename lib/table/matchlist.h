/* Lists that a name or an address is held against: mydestination, relay_domains,
 * mynetworks, fast_flush_domains and their like.
 *
 * The value holds patterns, separated by commas and white space:
 *
 *   name          the same name (in either case); in a domain list with MATCHLIST_PARENT
 *                 also every name under it
 *   .name         without MATCHLIST_PARENT: every name under it
 *   1.2.3.4, 10.0.0.0/8, [::1], [2001:db8::]/32      in a host list
 *   type:table    the name is a key of the table (parents are looked up with their leading
 *                 dot, or without it with MATCHLIST_PARENT), or the address is
 *   /file/name    the patterns in the file, one or several a line; '#' starts a comment line
 *   !pattern      the search ends here with "no" where the pattern matches
 *
 * The first pattern that matches decides. A list with a faulty pattern answers TABLE_TEMP
 * when it comes to that pattern, so that "!" cannot be lost; matchlist_error() tells at
 * once. Files and tables that change take effect as in table.h.
 *
 * Any process may call these; the matches may wait as table_find() may. */
#ifndef TABLE_MATCHLIST_H
#define TABLE_MATCHLIST_H

#include "lib/table/table.h"

struct matchlist;

enum matchlist_kind { MATCHLIST_STRING, MATCHLIST_DOMAIN, MATCHLIST_HOST };
enum { MATCHLIST_PARENT = 1 }; /* parent_domain_matches_subdomains names this list */
enum {
    MATCHLIST_DEPTH = 8,   /* deepest nesting of /file/name */
    MATCHLIST_FILES = 500, /* files read for one list */
};

/* title: the parameter's name, for messages; value: its value, expanded. Both are copied.
 * result: never NULL; the caller closes it */
struct matchlist *matchlist_open(struct tables *ts, struct span title, struct span value, enum matchlist_kind kind,
                                 unsigned flags);
/* NULL is harmless. Nulls *l. No match may be under way. */
void matchlist_close(struct matchlist **l);

/* Whether it has no pattern. */
bool matchlist_is_empty(const struct matchlist *l);
/* What is wrong with the first faulty pattern, file or table ("mynetworks: ..."), with its
 * remedy, or NULL. Borrowed until the next match or reload. */
const char *matchlist_error(const struct matchlist *l);

/* Whether a name is in a string or domain list.
 * why:    cleared; the text of TABLE_TEMP
 * result: TABLE_FOUND (it is), TABLE_NOT_FOUND, TABLE_TEMP */
enum table_result matchlist_has(struct matchlist *l, struct span name, struct buf *why);
/* Whether a client is in a host list. An IPv4-mapped IPv6 address counts as IPv4.
 * name: its host name, may be empty; address: its text form */
enum table_result matchlist_has_host(struct matchlist *l, struct span name, struct span address, struct buf *why);

/* Calls fn for each file that a value names, itself or through its tables. */
void matchlist_each_path(struct span value, void (*fn)(const char *path, void *context), void *context);

#endif
