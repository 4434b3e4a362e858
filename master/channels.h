/* Channels between children: who may have one, and to which process it leads. */
#ifndef MASTER_CHANNELS_H
#define MASTER_CHANNELS_H

#include "master/master.h"

/* A child asks (channel_wanted). Answered now or when a process is ready. */
void channels_wanted(struct child *asker, struct frame *f);
/* Serves requests that wait for a process of this crew, as far as that goes now. */
void channels_serve(struct crew *crew);
/* The asker has gone, or the crew has: its requests end. */
void channels_forget(struct master *m, const struct child *asker);
void channels_refuse(struct crew *crew, const char *why);
/* Requests that have waited too long are refused; result: when the next is due, MONO_NEVER: none waits */
mono_ms channels_expire(struct crew *crew, mono_ms now);

#endif
