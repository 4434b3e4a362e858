/* The store and the scheduler: cleanup to qmgr and back.
 *
 * A stored message lies in a segment of its cleanup process's intake log or in a
 * file of its own. arrived is only a hint: what qmgr misses it finds by reading the
 * store when it starts. */
#ifndef WIRE_QUEUE_MSG_H
#define WIRE_QUEUE_MSG_H

#include "lib/wire/message.h"
#include "lib/wire/submit.msg.h"

/* cleanup -> qmgr, notice, first on the channel (which cleanup asks for) and when it goes on to another segment:
 * who speaks, where its log stands. After the first one on a channel qmgr reads the slot's segments and looks for
 * files that it does not know: what was stored while there was no channel, or by a process that died before it
 * could tell, is not told again. Only then may it have a segment recycled. All arrived of a segment come before
 * the intake that says that it is closed. */
#define INTAKE(F)                                                                                            \
    F(1, num, slot, "of the cleanup process: names its part of the log")                                     \
    F(2, num, segment, "1 + number of the segment that is being written; all others are closed; 0: none is") \
    F(3, num, spills, "1: this process may be asked to spill")                                               \
    F(4, num, generation, "of that segment")
MESSAGE(0x0301, intake, INTAKE);

/* cleanup -> qmgr, notice: a message is on stable storage */
#define ARRIVED(F)                                                                                           \
    F(1, bytes, id, "queue ID")                                                                              \
    F(2, bytes, envelope, "stored_envelope; empty where it is too long for a frame: read the record")        \
    F(3, bytes, text, "the message text, where it is short enough to travel along; else empty")              \
    F(4, num, segment, "1 + the log segment it lies in; 0: it is a file of its own")                         \
    F(5, num, offset, "octets into the segment")                                                             \
    F(6, num, length, "octets of its record in the segment")                                                 \
    F(7, num, slot, "of the cleanup process whose log it is in")                                             \
    F(8, num, generation, "of the segment: how often it has been used anew")
MESSAGE(0x0302, arrived, ARRIVED);

/* qmgr -> cleanup, notice: these messages are not finished yet; make files of them. Each is
 * answered by a notice spilled. */
#define SPILL(F)                                                                                             \
    F(1, bytes, id, "queue ID")                                                                              \
    F(2, num, segment, "as in arrived")                                                                      \
    F(3, num, offset, "as in arrived")                                                                       \
    F(4, num, length, "as in arrived")                                                                       \
    F(5, num, generation, "as in arrived")
MESSAGE(0x0303, spill, SPILL);
#define SPILLED(F)                                                                                           \
    F(1, bytes, id, "queue ID")                                                                              \
    F(2, bytes, error, "why it could not be done (it stays where it is); empty: it is a file now, synced")
MESSAGE(0x0304, spilled, SPILLED);

/* qmgr -> cleanup, notice: nothing in this closed segment is needed any more, journal synced */
#define RECYCLE(F)                                                                                           \
    F(1, num, segment, "1 + its number")                                                                     \
    F(2, num, generation, "as in arrived; where the segment has another one by now, nothing is done")
MESSAGE(0x0305, recycle, RECYCLE);
/* cleanup -> qmgr, notice: its old records can never be read again (a new header is on stable storage) */
#define RECYCLED(F)                                                                                          \
    F(1, num, segment, "1 + its number")                                                                     \
    F(2, num, generation, "the one that is gone")
MESSAGE(0x0306, recycled, RECYCLED);

/* qmgr -> cleanup, notice: intake outruns delivery */
#define PRESSURE(F) F(1, num, delay_ms, "how long to hold back each answer; 0: no longer")
MESSAGE(0x0307, pressure, PRESSURE);

#endif
