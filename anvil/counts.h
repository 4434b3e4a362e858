/* The counts themselves, over a clock that is passed in; no waiting, no I/O. */
#ifndef ANVIL_COUNTS_H
#define ANVIL_COUNTS_H

#include "lib/base/clock.h"
#include "lib/base/map.h"
#include "lib/wire/anvil.msg.h"

struct counts {
    struct map clients;  /* "service\0address" -> struct client, owned */
    int64_t unit_ms;     /* anvil_rate_time_unit */
    mono_ms swept;       /* when clients were last forgotten */
};

/* A process that counts: what goes with it when it ends. Zeros: nothing counted. */
struct counting {
    struct map open; /* "service\0address" -> struct opened, owned */
};

void counts_fini(struct counts *c);
/* Counts one event; by: the process that tells it. */
struct msg_client_counts counts_event(struct counts *c, struct counting *by, const struct msg_client_event *m,
                                      mono_ms now);
/* One connection less; a client or connection that was not counted is ignored. */
void counts_left(struct counts *c, struct counting *by, struct span service, struct span address);
/* The process has ended with all its connections. */
void counts_forget(struct counts *c, struct counting *by);

#endif
