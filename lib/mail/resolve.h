/* Where a recipient goes: transport, next hop and address class, as Postfix's
 * trivial-rewrite decides it (ADDRESS_CLASS_README, transport(5)).
 *
 * The decision falls on what the address means after all routing in it has been
 * followed: local domains are stripped one after the other, and what stands before
 * them is looked at again, be it user@elsewhere, user%elsewhere, elsewhere!user or
 * one of these in quotes. Who relays asks for the class of the answer, and for
 * routed, never for the text of the address.
 *
 * Calls wait as the tables do that the configuration names. Worker and broker code. */
#ifndef MAIL_RESOLVE_H
#define MAIL_RESOLVE_H

#include "lib/mail/domain.h"
#include "lib/mail/mailmap.h"
#include "lib/table/matchlist.h"

/* The parameters of the same names, unless it says otherwise. Spans, maps and lists are
 * borrowed; NULL maps and lists are empty ones. */
struct resolve_config {
    struct mailmap_config lookup; /* its rewrite is used for routes in addresses; its
                                     is_local for the keys of sender-dependent and relocated maps */
    struct span myhostname;
    struct span empty_address_recipient; /* "MAILER-DAEMON": for an empty local part */
    bool resolve_dequoted_address;
    bool resolve_null_domain;
    bool resolve_numeric_domain;
    bool allow_min_user;
    bool show_user_unknown_table_name;
    bool transport_maps_match_parents; /* parent_domain_matches_subdomains names transport_maps */

    struct matchlist *mydestination, *virtual_alias_domains, *virtual_mailbox_domains; /* MATCHLIST_STRING */
    struct matchlist *relay_domains;                                                   /* MATCHLIST_DOMAIN */
    const struct ip *own_addresses; /* of inet_interfaces and proxy_interfaces */
    size_t own_address_count;

    struct span local_transport, virtual_transport, relay_transport,
        default_transport; /* "name" or "name:nexthop" */
    struct span relayhost;
    struct maps *transport_maps, *relocated_maps;
    struct maps *sender_dependent_default_transport_maps, *sender_dependent_relayhost_maps;
    struct span null_sender_transport_key; /* empty_address_default_transport_maps_lookup_key: "<>" */
    struct span null_sender_relayhost_key; /* empty_address_relayhost_maps_lookup_key: "<>" */
};

enum resolve_class {
    RESOLVE_LOCAL,
    RESOLVE_VIRTUAL_ALIAS, /* transport error: no virtual alias has mapped the address away */
    RESOLVE_VIRTUAL_MAILBOX,
    RESOLVE_RELAY,
    RESOLVE_DEFAULT,
};

struct resolve_answer {
    struct span transport; /* service name; "error" and "retry" carry their text as next hop */
    struct span nexthop;
    struct span recipient; /* internal form, with a domain */
    enum resolve_class class;
    bool routed; /* the local part has a routing operator: the next server may send it on */
};

enum resolve_result {
    RESOLVE_OK,
    RESOLVE_TEMP, /* a lookup failed, or the configuration lacks something: why says */
    RESOLVE_BAD,  /* no server may be asked for such an address: bad domain, or "-" first */
};

/* Resolves one address.
 * sender:  of the envelope, internal form; empty: the null sender
 * address: internal form
 * a:       holds the answer's texts
 * answer:  for RESOLVE_BAD recipient and class only
 * why:     cleared; set for RESOLVE_TEMP, one line for the log */
enum resolve_result resolve_address(const struct resolve_config *config, struct span sender,
                                    struct span address, struct arena *a, struct resolve_answer *answer,
                                    struct buf *why);

/* Whether a domain is local: in mydestination, or a literal of an own address. One
 * trailing dot does not count. context is a struct resolve_config: fits is_local.
 * result: TABLE_FOUND, TABLE_NOT_FOUND, or TABLE_TEMP with why */
enum table_result resolve_is_local(const void *context, struct span domain, struct buf *why);

#endif
