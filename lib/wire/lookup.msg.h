/* Lookups that may block, for those who may not: any process to proxymap. */
#ifndef WIRE_LOOKUP_MSG_H
#define WIRE_LOOKUP_MSG_H

#include "lib/wire/message.h"

/* request; answered by lookup_answer */
#define LOOKUP(F)                                                                                            \
    F(1, bytes, table, "type:name, without proxy:")                                                          \
    F(2, bytes, key, "what to look up")                                                                      \
    F(3, num, flags, "TABLE_* of lib/table/table.h")
MESSAGE(0x0601, lookup, LOOKUP);
#define LOOKUP_ANSWER(F)                                                                                     \
    F(1, num, result, "1: found, 2: not found, 3: temporary error")                                          \
    F(2, bytes, value, "where found")                                                                        \
    F(3, bytes, text, "where it could not be answered")
MESSAGE(0x0602, lookup_answer, LOOKUP_ANSWER);
enum { LOOKUP_FOUND = 1, LOOKUP_NOT_FOUND = 2, LOOKUP_TEMP = 3 };

#endif
