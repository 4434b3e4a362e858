/* What the files of local share: an attempt, a recipient on its way to where it ends, and
 * the processes that act as somebody.
 *
 * One recipient is one struct delivery. What it expands to is worked off as steps, one
 * after the other (steps may wait); what a step asks of a mailbox process is answered later
 * and may add steps. When nothing is open the verdict is made. */
#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

#include "lib/base/map.h"
#include "lib/mail/address.h"
#include "lib/mail/aliases.h"
#include "lib/mail/date.h"
#include "lib/mail/routing.h"
#include "lib/proc/owners.h"
#include "lib/proc/proc.h"
#include "lib/proc/tables.h"
#include "lib/wire/attempt.msg.h"
#include "lib/wire/mailbox.msg.h"

enum {
    LOCAL_LEVEL_MAX = 100,    /* aliases inside aliases */
    LOCAL_INCLUDE_MAX = 20,   /* included files inside included files */
    LOCAL_STEPS_MAX = 10000,  /* destinations of one recipient */
    LOCAL_WAIT_S = 60,        /* for cleanup */
};

struct local {
    struct proc *proc;
    const struct params_main *main;
    const struct params_local *mine;
    struct routing *routing;
    struct maps *aliases;
    struct owners *owners;
    struct list attempts;  /* struct attempt */
    struct list ready;     /* struct delivery with steps to do */
    struct deferred pump;
    bool pumping, stopping;
};

/* --- attempts and recipients ------------------------------------------------------- */

struct attempt {
    struct arena arena;
    struct channel *channel; /* NULL: qmgr's end has gone */
    uint64_t request;
    struct msg_attempt m;    /* borrows a copy in arena */
    int text;                /* descriptor, or -1; owned */
    struct span head;        /* of the text: what Delivered-To is looked for in */
    struct msg_verdict *verdicts;
    size_t open;             /* recipients without verdict */
    struct list node;
};

/* Where destinations come from decides what they may be and as whom. */
enum origin { FROM_ENVELOPE, FROM_ALIAS, FROM_FORWARD, FROM_INCLUDE };

/* What is known of a destination from those that led to it; passed by value. */
struct place {
    enum origin origin;
    unsigned level, includes;
    struct span alias;      /* the alias that was expanded last; an alias that names itself is a user */
    struct span owner;      /* whoever is responsible for this expansion; empty: nobody */
    struct span sender;     /* of what is forwarded */
    bool new_sender;        /* it is not the message's own: a list with an owner */
    struct span user;       /* whose rights files and commands have; empty: default_privs */
    struct span forwarding; /* extension with delimiter, of the .forward that is being worked off */
    struct span unmatched;  /* extension with delimiter that addresses inherit */
    bool mailbox_next;      /* the step's text is a user whose mailbox is next; forwarding: the extension */
};

struct step {
    struct list node;
    struct place place;
    struct aliases_item item; /* texts in the attempt's arena */
};

/* Recipients that one new message goes to. */
struct forward {
    struct list node;
    struct span sender;
    bool new_sender;
    struct msg_recipient *at;
    size_t n, room;
};

struct delivery {
    struct list node; /* in ready */
    struct local *local;
    struct attempt *attempt;
    const struct msg_recipient *recipient;
    struct msg_verdict *verdict;
    struct map seen;  /* what was done already; keys in the attempt's arena */
    struct list steps;
    size_t step_count;
    bool expanded;    /* an alias or a .forward led on */
    size_t open;      /* requests that are not answered, and 1 while it is being worked on */
    struct list forwards;
    unsigned class;   /* worst so far: 0 none, 2, 5, 4 */
    const char *dsn;  /* of it; in the arena or static */
    struct buf text;  /* of all of that class */
};

/* Whether what is not there yet is noted now: false: it was done before. */
bool delivery_is_new(struct delivery *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A destination has been dealt with. */
void delivery_note(struct delivery *d, unsigned class, struct span dsn, struct span text);
/* The same from literals and arena texts. */
void delivery_say(struct delivery *d, unsigned class, const char *dsn, const char *text);
void delivery_add_step(struct delivery *d, const struct place *place, const struct aliases_item *item);
/* A request was sent / was answered. */
void delivery_hold(struct delivery *d);
void delivery_release(struct delivery *d);

/* expand.c: one destination. waits */
void expand_item(struct delivery *d, const struct place *place, const struct aliases_item *item);
/* The recipient itself. waits */
void expand_recipient(struct delivery *d);
/* The items of a list as steps. */
void expand_items(struct delivery *d, const struct place *place, const struct msg_forward_item *at, size_t n);

/* destinations.c: what is done for a destination; each may wait for deliver */
void deliver_user(struct delivery *d, const struct place *place, struct span user, struct span extension,
                  bool no_forward);
/* The mailbox, when no .forward counts any more. */
void deliver_mailbox(struct delivery *d, const struct place *place, struct span user, struct span extension);
void deliver_file(struct delivery *d, const struct place *place, struct span path);
void deliver_command(struct delivery *d, const struct place *place, struct span command);
void deliver_include(struct delivery *d, const struct place *place, struct span path);
/* To another address, by a new message. */
void deliver_forward(struct delivery *d, const struct place *place, struct span address);

/* forward.c: submits the new messages. waits for cleanup */
void forward_all(struct delivery *d);

#endif
