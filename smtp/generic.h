/* Addresses as the world is to see them: smtp_generic_maps, generic(5).
 *
 * Replaces the addresses of the envelope and of the headers of a message on its way out. */
#ifndef SMTP_GENERIC_H
#define SMTP_GENERIC_H

#include "lib/table/table.h"
#include "smtp/smtp.h"

/* Made in a. result: NULL where smtp_generic_maps is empty */
struct generic *generic_open(struct arena *a, struct tables *tables, const struct params_main *main,
                             const struct params_smtp *mine);
/* Closes its tables; what was made in the arena goes with that. NULL is allowed; nulls *g. */
void generic_close(struct generic **g);

/* Changes the delivery's envelope and text. May wait where a table does.
 * result: false: a lookup failed (why, for the log), or the text could not be read */
bool generic_apply(const struct generic *g, struct delivery *d, struct buf *why);

#endif
