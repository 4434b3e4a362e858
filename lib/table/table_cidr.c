/* cidr tables: networks tried in order against an address. */
#include "lib/base/check.h"
#include "lib/table/cidr.h"
#include "lib/table/rules.h"

#include <stdlib.h>

static void *take_network(const struct table_source *src, struct rules *all, struct span *rest, struct buf *why)
{
    (void)src;
    size_t end = 0;
    while (end < rest->n && !byte_is_space(span_at(*rest, end)))
        end++;
    struct cidr *c = ARENA_NEW(&all->arena, struct cidr);
    bool good = cidr_parse(span_slice(*rest, 0, end), c, why);
    *rest = span_skip(*rest, end);
    if (!good)
        buf_puts(why, ": skipping this rule");
    return good ? c : NULL;
}

/* Networks are in the arena. */
static void free_network(void *pattern)
{
    (void)pattern;
}

static bool check_result(const struct table_source *src, const struct rule *r, struct buf *why)
{
    (void)src;
    if (r->value.n == 0)
        buf_puts(why, "no lookup result: skipping this rule");
    return r->value.n != 0;
}

static const struct rule_syntax cidr_syntax = {
    .no_pattern = "no address pattern: skipping this rule",
    .take_pattern = take_network,
    .free_pattern = free_network,
    .check_value = check_result,
};

static void *cidr_load(struct table_source *src, struct buf *why)
{
    struct rules *all = malloc(sizeof *all);
    CHECK(all != NULL);
    if (rules_load(all, &cidr_syntax, src, why))
        return all;
    free(all);
    return NULL;
}

static void cidr_unload(void *data)
{
    rules_unload(data, &cidr_syntax);
    free(data);
}

static enum rule_match match_network(const struct rule *r, void *state, struct buf *why)
{
    (void)why;
    return cidr_has(r->pattern, state) ? RULE_YES : RULE_NO;
}

static enum table_result cidr_find(const void *data, struct span key, struct buf *value, struct buf *why)
{
    struct ip ip;
    const struct rule *found;
    if (!ip_parse(key, &ip))
        return TABLE_NOT_FOUND; /* host names are asked for, too */
    ip = ip_unmapped(ip);
    enum table_result result = rules_find(data, match_network, &ip, &found, why);
    if (result == TABLE_FOUND)
        buf_put(value, found->value);
    return result;
}

const struct table_type table_type_cidr = {
    .name = "cidr",
    .suffix = "",
    .may_be_inline = true,
    .key_bytes = TABLE_KEY_BYTES,
    .load = cidr_load,
    .unload = cidr_unload,
    .find = cidr_find,
};
