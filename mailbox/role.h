/* What this process is for: what deliver told it, and what follows from that.
 *
 * Agents say what they want; a role knows what may be done. A user's file or command is
 * one that stands in the user's own .forward, read here, or that deliver's configuration
 * names. */
#ifndef MAILBOX_ROLE_H
#define MAILBOX_ROLE_H

#include "lib/mail/aliases.h"
#include "lib/wire/mailbox.msg.h"
#include "mailbox/mbox.h"

enum { ROLE_FORWARD_MAX = 64 * 1024 /* octets of a .forward or an included file */ };

struct role {
    struct arena arena;
    struct msg_mailbox_begin m; /* texts in arena */
    int base;                   /* as in mailbox_begin; owned */
};

/* body: a mailbox_begin; base: the role's from now on. result: false: malformed */
bool role_init(struct role *r, struct span body, int base);

/* How an mbox is written here. */
struct mbox_settings role_mbox_settings(const struct role *r);

/* Items of a .forward or an included file. */
struct role_items {
    struct aliases_item *at; /* in the caller's arena */
    size_t n;
    bool extension_used;     /* the name of the file had the extension in it */
};

/* The user's .forward: the first of forward_path that is there.
 * extension: of the address, with its delimiter before it; empty: none
 * items:     none where there is no file, it has no items, or it may not be used (warnings)
 * result:    false: it cannot be read now (warnings say). waits for the disk */
bool role_read_forward(const struct role *r, struct arena *a, struct span extension, struct role_items *items,
                       struct buf *warnings);
/* A file that an alias includes. result: false: it cannot be used (warnings). waits for the disk */
bool role_read_include(const struct role *r, struct arena *a, struct span path, struct role_items *items,
                       struct buf *warnings);

/* Whether the user's .forward has that item. waits for the disk */
bool role_forward_has(const struct role *r, struct span extension, enum aliases_kind kind, struct span text);
/* Whether a message may be put there. result: NULL, or why not. waits for the disk */
const char *role_refuses_store(const struct role *r, const struct msg_store *m);
/* Whether that file may be included. result: NULL, or why not. waits for the disk */
const char *role_refuses_include(const struct role *r, const struct msg_include *m);
/* Whether a command may be run. command: set to it; RUN_PIPE has none
 * result: NULL, or why not. waits for the disk */
const char *role_refuses_run(const struct role *r, const struct msg_run *m, struct span *command);

#endif
