/* Writing into mailboxes and running commands: local, virtual and pipe to deliver, and to the
 * mailbox process that deliver started as the owner. */
#ifndef WIRE_MAILBOX_MSG_H
#define WIRE_MAILBOX_MSG_H

#include "lib/wire/attempt.msg.h"

/* agent -> deliver, request: a channel to a process that runs as somebody; answered by owner_made
 * with one descriptor. What is asked is only who and for what: deliver holds it against its own
 * configuration, and tells the process itself what it may do. */
#define OWNER_WANTED(F)                                                                                      \
    F(1, num, kind, "OWNER_*")                                                                               \
    F(2, bytes, user, "a user of the system, where the kind has one; with OWNER_FILES and OWNER_COMMANDS "   \
                      "empty: that of default_privs")                                                        \
    F(3, num, uid, "OWNER_VIRTUAL")                                                                          \
    F(4, num, gid, "OWNER_VIRTUAL")                                                                          \
    F(5, bytes, base, "OWNER_VIRTUAL: virtual_mailbox_base")
MESSAGE(0x0701, owner_wanted, OWNER_WANTED);
enum {
    OWNER_VIRTUAL = 1,  /* mailboxes below virtual_mailbox_base, of one uid and gid */
    OWNER_USER = 2,     /* a user's mailbox and .forward in the home directory */
    OWNER_SPOOL = 3,    /* a user's mailbox in mail_spool_directory */
    OWNER_FILES = 4,    /* files named in a user's .forward, or in alias files */
    OWNER_COMMANDS = 5, /* mailbox_command, commands in a user's .forward, or in alias files */
    OWNER_PIPE = 6,     /* the command of the pipe service that asks, as its user= */
};
#define OWNER_MADE(F)                                                                                        \
    F(1, num, class, "2: made; 4: try again; 5: there is no such owner, or it may not be one")               \
    F(2, bytes, dsn, "where class is not 2")                                                                 \
    F(3, bytes, text, "where class is not 2")                                                                \
    F(4, bytes, home, "of a user")                                                                           \
    F(5, num, no_home, "1: class is 2, but the user's home directory is not there: nor is a descriptor")      \
    F(6, bytes, shell, "of a user")
MESSAGE(0x0702, owner_made, OWNER_MADE);

/* deliver -> mailbox process, notice, the first on descriptor 3; descriptor: the base directory
 * (virtual_mailbox_base, the home, mail_spool_directory or the root). What follows the kind is
 * deliver's own configuration under the parameters' names. */
#define MAILBOX_BEGIN(F)                                                                                     \
    F(1, bytes, log_target, "as in boot; the log's descriptor is 2")                                         \
    F(2, bytes, log_host, "this host's name")                                                                \
    F(3, bytes, log_name, "postfix/mailbox")                                                                 \
    F(4, num, kind, "OWNER_*, as it was made for")                                                           \
    F(5, bytes, user, "of the system; empty: default_privs, a pipe's or a virtual owner")                    \
    F(6, bytes, home, "of the user")                                                                         \
    F(7, bytes, shell, "of the user")                                                                        \
    F(8, bytes, mailbox, "OWNER_USER, OWNER_SPOOL: the one mailbox, relative to the base")                   \
    F(9, num, locks, "1 << PARAM_lock_method_*")                                                             \
    F(10, num, size_limit, "of an mbox; 0: none")                                                            \
    F(11, num, lock_attempts, "deliver_lock_attempts")                                                       \
    F(12, num, lock_delay, "deliver_lock_delay, seconds")                                                    \
    F(13, num, lock_stale, "stale_lock_time, seconds")                                                       \
    F(14, num, flags, "MAILBOX_*")                                                                           \
    F(15, bytes, forward_path, "not expanded")                                                               \
    F(16, bytes, recipient_delimiter, "as it is")                                                            \
    F(17, bytes, forward_filter, "forward_expansion_filter")                                                 \
    F(18, bytes, mailbox_command, "as it is")                                                                \
    F(19, bytes, command_filter, "command_expansion_filter")                                                 \
    F(20, bytes, execution_directory, "command_execution_directory, not expanded")                          \
    F(21, bytes, directory_filter, "execution_directory_expansion_filter")                                   \
    F(22, bytes, command_shell, "local_command_shell")                                                       \
    F(23, bytes, environment, "NAME=value, each ended by NUL")                                               \
    F(24, num, time_limit, "seconds that a command may take")                                                \
    F(25, bytes, arguments, "OWNER_PIPE: as in service")                                                     \
    F(26, bytes, service, "OWNER_PIPE: its name")
MESSAGE(0x0703, mailbox_begin, MAILBOX_BEGIN);
enum {
    MAILBOX_STRICT_OWNER = 1,     /* strict_mailbox_ownership */
    MAILBOX_FORWARD_COMMANDS = 2, /* allow_mail_to_commands has forward */
    MAILBOX_FORWARD_FILES = 4,    /* allow_mail_to_files has forward */
};
/* deliver -> mailbox process, notice with one descriptor: an agent's channel */
#define MAILBOX_CALLER(F) F(1, bytes, name, "service/slot of the agent, for logs")
MESSAGE(0x0704, mailbox_caller, MAILBOX_CALLER);

/* agent -> mailbox process, request: put one message into a mailbox; answered by stored. Requests
 * that are there together share one sync. Descriptor, where there is one: the file with the text. */
#define STORE(F)                                                                                             \
    F(1, num, format, "STORE_MAILDIR, STORE_MBOX")                                                           \
    F(2, bytes, path, "below the base directory; absolute for system mailboxes")                             \
    F(3, bytes, queue_id, "names the delivery, with number: the same at every repetition")                   \
    F(4, num, number, "the recipient's number in the message")                                               \
    F(5, num, arrival_us, "wall clock")                                                                      \
    F(6, bytes, host, "this host's name, for the file's name")                                               \
    F(7, num, maybe_again, "1: it may have been done before")                                                \
    F(8, bytes, top, "header lines to put before the text")                                                  \
    F(9, bytes, text, "message text; empty where it comes by descriptor")                                    \
    F(10, num, text_offset, "octets into the descriptor's file")                                             \
    F(11, num, text_size, "octets of text, in either case")                                                  \
    F(12, bytes, sender, "envelope sender, for the From line of an mbox")                                    \
    F(13, num, forward, "OWNER_USER: STORE_FORWARD_*")                                                       \
    F(14, bytes, extension, "of the recipient's address, with its delimiter before it: for the .forward")
MESSAGE(0x0705, store, STORE);
enum {
    STORE_FORWARD_FIRST = 1, /* where the user has a .forward nothing is stored: its items are answered */
    STORE_FORWARD_ONLY = 2,  /* nothing is stored in any case */
};
enum { STORE_MAILDIR = 1, STORE_MBOX = 2 };
/* One destination in a .forward or an included file. */
#define FORWARD_ITEM(F)                                                                                      \
    F(1, num, kind, "enum aliases_kind of lib/mail/aliases.h")                                               \
    F(2, bytes, text, "as in struct aliases_item")                                                           \
    F(3, num, final, "as in struct aliases_item")
MESSAGE(0x0707, forward_item, FORWARD_ITEM);
#define STORED(F)                                                                                            \
    F(1, num, class, "2, 4 or 5")                                                                            \
    F(2, bytes, dsn, "enhanced status code")                                                                 \
    F(3, bytes, text, "delivered to maildir, or why not")                                                    \
    F(4, num, was_there, "1: it had been delivered before")                                                  \
    F(5, list_forward_item, items, "where class is 2: the user's .forward, or the included file")            \
    F(6, num, extension_used, "1: the name of the .forward had the extension in it")
MESSAGE(0x0706, stored, STORED);

/* agent -> process of OWNER_FILES, request: the items of a file that an alias includes; answered by
 * stored */
#define INCLUDE(F)                                                                                           \
    F(1, bytes, path, "absolute")                                                                            \
    F(2, bytes, extension, "as in store: of the user's .forward that includes it")
MESSAGE(0x0708, include, INCLUDE);

/* agent -> process of OWNER_COMMANDS or OWNER_PIPE, request: run a command with the message as its
 * input; answered by stored. Descriptor as in attempt. What may be run is for the process to
 * decide: mailbox_command as deliver told it, a command that stands in the user's .forward, the
 * command of the pipe service; with default_privs any. */
#define RUN(F)                                                                                               \
    F(1, num, source, "RUN_*")                                                                               \
    F(2, bytes, command, "RUN_FORWARD, RUN_ALIAS")                                                           \
    F(3, list_attempt, about, "one: the message, and the recipients")                                        \
    F(4, bytes, top, "lines to put before the text; RUN_PIPE: none")                                         \
    F(5, bytes, user, "of the recipient's address, without extension")                                       \
    F(6, bytes, extension, "of it, as in store")                                                             \
    F(7, bytes, local, "its local part")                                                                     \
    F(8, bytes, domain, "of it")
MESSAGE(0x0709, run, RUN);
enum { RUN_MAILBOX_COMMAND = 1, RUN_FORWARD = 2, RUN_ALIAS = 3, RUN_PIPE = 4 };

#endif
