/* Every message there is, for whoever walks them all (tests, fuzz seeds, the wiretap). */
#ifndef WIRE_ALL_H
#define WIRE_ALL_H

#include "lib/wire/anvil.msg.h"
#include "lib/wire/attempt.msg.h"
#include "lib/wire/connect.msg.h"
#include "lib/wire/control.msg.h"
#include "lib/wire/dns.msg.h"
#include "lib/wire/envelope.msg.h"
#include "lib/wire/journal.msg.h"
#include "lib/wire/login.msg.h"
#include "lib/wire/lookup.msg.h"
#include "lib/wire/mailbox.msg.h"
#include "lib/wire/pickup.msg.h"
#include "lib/wire/queue.msg.h"
#include "lib/wire/resolve.msg.h"
#include "lib/wire/submit.msg.h"
#include "lib/wire/tool.msg.h"

#define ALL_MESSAGES(M)                                                                                      \
    M(listener) M(file_opened) M(directory) M(service) M(boot) M(ready) M(channel_wanted) M(channel_made)    \
    M(channel_given) M(alive) M(idle) M(stop) M(settings) M(trouble)                                         \
    M(recipient) M(spool_wanted) M(spool_made) M(spool_dropped) M(submit) M(submitted) M(room_wanted)        \
    M(intake) M(arrived) M(spill) M(spilled) M(recycle) M(recycled) M(pressure) M(stored_envelope)           \
    M(attempt) M(verdict) M(attempted) M(notify)                                                             \
    M(login) M(login_answer) M(session_prepare) M(session_prepared) M(session_present) M(session_begin)   \
    M(pop3_settings)                                                                                         \
    M(lookup) M(lookup_answer)                                                                              \
    M(dns_query) M(dns_reply_record) M(dns_reply)                                                            \
    M(connect_wanted) M(connect_made)                                                                        \
    M(client_event) M(client_counts) M(client_left)                                                          \
    M(owner_wanted) M(owner_made) M(mailbox_begin) M(mailbox_caller) M(store) M(forward_item) M(stored)      \
    M(include) M(run)                                                                                        \
    M(journal_entry) M(resolve) M(resolved)                                                                 \
    M(tool_list) M(tool_recipient) M(tool_message) M(tool_listed) M(tool_flush) M(tool_change) M(tool_done)  \
    M(drop_recipient) M(drop) M(drop_ready) M(drop_offer) M(drop_answer)

#endif
