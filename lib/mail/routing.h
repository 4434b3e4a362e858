/* The routing of a configuration: what resolve.h and mailmap.h need, made once from
 * the parameters. smtpd, cleanup and rewrite have one each.
 *
 * routing_open() waits for nothing; using it may wait where a table does. */
#ifndef MAIL_ROUTING_H
#define MAIL_ROUTING_H

#include "lib/mail/resolve.h"
#include "lib/param/param.h"
#include "lib/table/matchlist.h"

struct routing {
    struct resolve_config resolve; /* resolve.lookup is the configuration for mailmap calls */
};

/* Made in a; what it opens in tables stays open as long as the process.
 * result: NULL: why names the parameter, what is wrong with it and the remedy */
struct routing *routing_open(struct arena *a, const struct settings *settings, const struct params_main *main,
                             const struct params_rewrite *rewrite, struct tables *tables, struct buf *why);

/* The addresses that mean this machine: those of inet_interfaces (all: of every interface that is up) and of
 * proxy_interfaces. Made in a. */
const struct ip *routing_own_addresses(struct arena *a, const struct settings *settings,
                                       const struct params_main *main, size_t *count);

/* The standard form of an envelope address (REWRITE_LOCAL), made in a. */
struct span routing_rewrite(const struct routing *r, struct arena *a, struct span address);

/* Whether a parameter is named in a list like parent_domain_matches_subdomains. */
bool routing_list_names(const struct param_list *list, const char *parameter);

#endif
