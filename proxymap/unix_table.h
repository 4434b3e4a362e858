/* The system's users and groups as tables: unix:passwd.byname, unix:passwd.byuid, unix:group.byname.
 *
 * Blocks as long as NSS does. */
#ifndef PROXYMAP_UNIX_TABLE_H
#define PROXYMAP_UNIX_TABLE_H

#include "lib/table/table.h"

/* name: what stands behind "unix:"; value: replaced by the line, fields between colons, where found
 * result: TABLE_TEMP with why for an unknown name or where the system cannot tell now */
enum table_result unix_table_find(struct span name, struct span key, struct buf *value, struct buf *why);

#endif
