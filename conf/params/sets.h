/* The values of the parameters of type ENUM(set) and FLAGS(set), each set declared once.
 *
 * V(set, id, word): the word as it is written in main.cf, and PARAM_<set>_<id> in
 * the code. A FLAGS value is a bit mask of 1 << PARAM_<set>_<id>. A new set needs
 * its line in PARAM_SETS too. */
#ifndef CONF_PARAMS_SETS_H
#define CONF_PARAMS_SETS_H

#define PARAM_SET_bare_newline(V)                                                                  \
    V(bare_newline, no, "no")                                                                      \
    V(bare_newline, yes, "yes")                                                                    \
    V(bare_newline, normalize, "normalize")                                                        \
    V(bare_newline, reject, "reject")                                                              \
    V(bare_newline, note, "note")

#define PARAM_SET_address_preference(V)                                                            \
    V(address_preference, any, "any")                                                              \
    V(address_preference, ipv4, "ipv4")                                                            \
    V(address_preference, ipv6, "ipv6")

#define PARAM_SET_verify_target(V)                                                                 \
    V(verify_target, rcpt, "rcpt")                                                                 \
    V(verify_target, data, "data")

#define PARAM_SET_info_log_address(V)                                                              \
    V(info_log_address, external, "external")                                                      \
    V(info_log_address, internal, "internal")

#define PARAM_SET_header_from(V)                                                                   \
    V(header_from, standard, "standard")                                                           \
    V(header_from, obsolete, "obsolete")

#define PARAM_SET_mynetworks_style(V)                                                              \
    V(mynetworks_style, host, "host")                                                              \
    V(mynetworks_style, subnet, "subnet")                                                          \
    V(mynetworks_style, network_class, "class")

#define PARAM_SET_fix_line_endings(V)                                                              \
    V(fix_line_endings, always, "always")                                                          \
    V(fix_line_endings, never, "never")                                                            \
    V(fix_line_endings, strict, "strict")

#define PARAM_SET_end_of_header(V)                                                                 \
    V(end_of_header, fix_quietly, "fix_quietly")                                                   \
    V(end_of_header, add_header, "add_header")                                                     \
    V(end_of_header, reject, "reject")

#define PARAM_SET_log_format(V)                                                                    \
    V(log_format, postfix, "postfix")                                                              \
    V(log_format, json, "json")

#define PARAM_SET_builtin_answers(V)                                                               \
    V(builtin_answers, recursion, "recursion")                                                     \
    V(builtin_answers, yes, "yes")                                                                 \
    V(builtin_answers, no, "no")

#define PARAM_SET_notify_class(V)                                                                  \
    V(notify_class, bounce, "bounce")                                                              \
    V(notify_class, twobounce, "2bounce")                                                          \
    V(notify_class, data, "data")                                                                  \
    V(notify_class, delay, "delay")                                                                \
    V(notify_class, policy, "policy")                                                              \
    V(notify_class, protocol, "protocol")                                                          \
    V(notify_class, resource, "resource")                                                          \
    V(notify_class, software, "software")

#define PARAM_SET_address_class(V)                                                                 \
    V(address_class, envelope_sender, "envelope_sender")                                           \
    V(address_class, envelope_recipient, "envelope_recipient")                                     \
    V(address_class, header_sender, "header_sender")                                               \
    V(address_class, header_recipient, "header_recipient")

#define PARAM_SET_extension_map(V)                                                                 \
    V(extension_map, canonical, "canonical")                                                       \
    V(extension_map, virtual_alias, "virtual")                                                     \
    V(extension_map, alias, "alias")                                                               \
    V(extension_map, forward, "forward")                                                           \
    V(extension_map, include, "include")                                                           \
    V(extension_map, generic, "generic")

#define PARAM_SET_alias_source(V)                                                                  \
    V(alias_source, alias, "alias")                                                                \
    V(alias_source, forward, "forward")                                                            \
    V(alias_source, include, "include")

#define PARAM_SET_delivered_header(V)                                                              \
    V(delivered_header, command, "command")                                                        \
    V(delivered_header, file, "file")                                                              \
    V(delivered_header, forward, "forward")

#define PARAM_SET_lock_method(V)                                                                   \
    V(lock_method, flock, "flock")                                                                 \
    V(lock_method, fcntl, "fcntl")                                                                 \
    V(lock_method, dotlock, "dotlock")

#define PARAM_SET_override_option(V)                                                               \
    V(override_option, no_unknown_recipient_checks, "no_unknown_recipient_checks")                 \
    V(override_option, no_address_mappings, "no_address_mappings")                                 \
    V(override_option, no_header_body_checks, "no_header_body_checks")                             \
    V(override_option, no_milters, "no_milters")

#define PARAM_SET_filter_class(V)                                                                  \
    V(filter_class, bounce, "bounce")                                                              \
    V(filter_class, notify, "notify")

#define PARAM_SET_mail_source(V)                                                                   \
    V(mail_source, sendmail, "sendmail")                                                           \
    V(mail_source, smtpd, "smtpd")                                                                 \
    V(mail_source, qmqpd, "qmqpd")                                                                 \
    V(mail_source, forward, "forward")                                                             \
    V(mail_source, bounce, "bounce")                                                               \
    V(mail_source, notify, "notify")                                                               \
    V(mail_source, verify, "verify")                                                               \
    V(mail_source, all, "all")

#define PARAM_SETS(S)                                                                              \
    S(bare_newline)                                                                                \
    S(address_preference)                                                                          \
    S(verify_target)                                                                               \
    S(info_log_address)                                                                            \
    S(header_from)                                                                                 \
    S(mynetworks_style)                                                                            \
    S(fix_line_endings)                                                                            \
    S(end_of_header)                                                                               \
    S(log_format)                                                                                  \
    S(builtin_answers)                                                                             \
    S(notify_class)                                                                                \
    S(address_class)                                                                               \
    S(extension_map)                                                                               \
    S(alias_source)                                                                                \
    S(delivered_header)                                                                            \
    S(lock_method)                                                                                 \
    S(override_option)                                                                             \
    S(filter_class)                                                                                \
    S(mail_source)

#endif
