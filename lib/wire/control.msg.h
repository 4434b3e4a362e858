/* Master and its children: the channel on descriptor 3 of every process.
 *
 * Before anything else master sends the descriptors that the process gets (listener,
 * file, directory), then boot. The process answers ready once it is in its sandbox.
 * Later master sends channels and new descriptors as they come, and stop. */
#ifndef WIRE_CONTROL_MSG_H
#define WIRE_CONTROL_MSG_H

#include "lib/wire/message.h"

/* master -> process, notice, with one descriptor: a listening socket */
#define LISTENER(F)                                                                                          \
    F(1, bytes, name, "service name as in master.cf, or the public name of a UNIX socket")                   \
    F(2, num, kind, "LISTENER_INET, LISTENER_UNIX (stream, for outsiders), LISTENER_PASS")
MESSAGE(0x0101, listener, LISTENER);
enum { LISTENER_INET = 1, LISTENER_UNIX = 2, LISTENER_PASS = 3 };

/* master -> process, notice, with one descriptor: a file that the configuration names, opened for
 * reading; sent again with a new descriptor when the file has changed */
#define FILE_OPENED(F)                                                                                       \
    F(1, bytes, path, "the path as the configuration has it, with the table's suffix")                       \
    F(2, num, error, "errno where it cannot be opened (then there is no descriptor)")
MESSAGE(0x0102, file_opened, FILE_OPENED);

/* master -> process, notice, with one descriptor: a directory that the process may use */
#define DIRECTORY(F) F(1, bytes, name, "what it is for: intake, queue, journal, maildrop, mail, ...")
MESSAGE(0x0103, directory, DIRECTORY);

/* A delivery or other service of master.cf, for those who must know what there is (qmgr). */
#define SERVICE(F)                                                                                           \
    F(1, bytes, name, "service name: local, virtual, smtp, relay, maildrop, ...")                            \
    F(2, bytes, program, "local, virtual, smtp, lmtp, pipe, error, discard, ...")                            \
    F(3, num, limit, "most deliveries or sessions at a time (maxproc)")                                      \
    F(4, bytes, arguments, "command arguments behind the -o options, each ended by NUL")
MESSAGE(0x0104, service, SERVICE);

/* master -> process, notice, the last before work begins; descriptors: settings (memfd), log (or none) */
#define BOOT(F)                                                                                              \
    F(1, bytes, service, "service name as in master.cf")                                                     \
    F(2, num, incarnation, "never given to two processes of this queue directory; part of queue IDs")        \
    F(3, num, slot, "which of the service's processes this is, from 0; a new one takes over a dead one's slot") \
    F(4, num, limit, "sessions (hosts) this process may hold; 0: no limit")                                  \
    F(5, num, generation, "counts reloads")                                                                  \
    F(6, list_service, services, "the delivery services, for qmgr and deliver")                                          \
    F(7, bytes, arguments, "as in service")                                                                  \
    F(8, num, flags, "BOOT_*")                                                                               \
    F(9, bytes, log_target, "stdout, syslog or the path of a file: how lines are to look")                   \
    F(10, num, wakeup, "seconds between two looks for work that nobody announced; 0: none (pickup, qmgr)")
MESSAGE(0x0105, boot, BOOT);
enum {
    BOOT_ROOT = 1,    /* the server was started as root: users are real */
    BOOT_VERBOSE = 2, /* -v in master.cf */
};

/* process -> master, notice: in the sandbox, at work */
#define READY(F) F(1, num, pid, "its own process number, for the log")
MESSAGE(0x0106, ready, READY);

/* process -> master, request: a channel to a service; answered by channel_made with one descriptor */
#define CHANNEL_WANTED(F)                                                                                    \
    F(1, bytes, service, "cleanup, qmgr, local, deliver, ...")                                               \
    F(2, num, slot, "1 + the slot of the process that is wanted; 0: master chooses")
MESSAGE(0x0107, channel_wanted, CHANNEL_WANTED);
#define CHANNEL_MADE(F)                                                                                      \
    F(1, bytes, service, "as asked")                                                                         \
    F(2, num, slot, "which process it leads to")                                                             \
    F(3, bytes, error, "why there is none, in words; empty where there is one")
MESSAGE(0x0108, channel_made, CHANNEL_MADE);

/* master -> process, notice, with one descriptor: somebody will call on this channel */
#define CHANNEL_GIVEN(F)                                                                                     \
    F(1, bytes, service, "service name of the process at the other end")                                     \
    F(2, num, slot, "its slot")                                                                              \
    F(3, num, incarnation, "its incarnation")                                                                \
    F(4, bytes, as, "the service it asked for: this process's own name, or a name it also serves")
MESSAGE(0x0109, channel_given, CHANNEL_GIVEN);

/* process -> master, notice, every few seconds from hosts and brokers: the watchdog's food */
#define ALIVE(F)                                                                                             \
    F(1, num, sessions, "sessions or requests in hand")                                                      \
    F(2, num, lag_ms, "the longest step of its loop since the last report")                                  \
    F(3, bytes, running, "what it was doing in that step (session id), where known")
MESSAGE(0x010a, alive, ALIVE);

/* process -> master, notice: its last channel to a caller has closed; it may be given to another */
#define IDLE(F)                                                                                              \
    F(1, num, served, "requests or sessions served so far")                                                  \
    F(2, num, taken, "channels it was given so far: one that is on its way is not idle time")
MESSAGE(0x010b, idle, IDLE);

/* master -> process, notice: take nothing new, finish what is in hand, end */
#define STOP(F) F(1, num, grace_ms, "how long sessions may take; then the process is killed")
MESSAGE(0x010c, stop, STOP);

/* master -> broker, notice, with one descriptor: new settings; re-read in place (reload) */
#define SETTINGS(F)                                                                                          \
    F(1, num, generation, "as in boot")                                                                      \
    F(2, list_service, services, "as in boot")
MESSAGE(0x010d, settings, SETTINGS);

/* process -> master, notice: this process cannot start or go on; master backs off */
#define TROUBLE(F) F(1, bytes, text, "what is wrong and the remedy, one line")
MESSAGE(0x010e, trouble, TROUBLE);

#endif
