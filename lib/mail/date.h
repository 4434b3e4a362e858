/* Dates as mail headers have them.
 *
 * Any process may call these; none waits. date_local_zone() reads the system's
 * zone file at its first call, so a process that locks itself in calls it once
 * before. */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H

#include "lib/base/buf.h"

enum { DATE_ZONE_NAME_MAX = 15 };

struct date_zone {
    int east_minutes;                  /* minutes ahead of UTC, -1439..1439 */
    char name[DATE_ZONE_NAME_MAX + 1]; /* "CET"; empty: none is written */
};

/* Coordinated universal time, named "UTC". */
struct date_zone date_utc(void);
/* The zone of this machine (TZ, /etc/localtime) at that moment.
 * us: microseconds since 1970, UTC */
struct date_zone date_local_zone(int64_t us);

/* Appends "Mon,  3 Nov 2025 10:20:30 +0100 (CET)", as Postfix writes Date and
 * Received: the day of the month is two places wide. Years before 1 and after 9999
 * are written as the last moment within. RFC 5322 3.3
 * us: microseconds since 1970, UTC; the part below a second is dropped */
void date_put(struct buf *out, int64_t us, const struct date_zone *zone);

#endif
