/* master.cf: which services there are, and the process that serves each.
 *
 * One logical line is one service:
 *
 *     name type private unprivileged chroot wakeup maxproc command [argument ...]
 *
 * '-' asks for the default of a field. Arguments in braces keep their whitespace;
 * "-o name=value" and "-o { name = value }" override parameters for this service.
 *
 * Any process may call these; none waits. All texts are terminated and live in
 * the arena that was given. */
#ifndef PARAM_MASTERCF_H
#define PARAM_MASTERCF_H

#include "lib/param/settings.h"

enum service_type {
    SERVICE_INET,
    SERVICE_UNIX,
    SERVICE_FIFO,
    SERVICE_PASS,
    SERVICE_UNIX_DGRAM,
    SERVICE_TYPE_COUNT,
};

/* The fields as they are written, for display and edits. */
enum service_field {
    SERVICE_FIELD_NAME,
    SERVICE_FIELD_TYPE,
    SERVICE_FIELD_PRIVATE,
    SERVICE_FIELD_UNPRIVILEGED,
    SERVICE_FIELD_CHROOT,
    SERVICE_FIELD_WAKEUP,
    SERVICE_FIELD_MAXPROC,
    SERVICE_FIELD_COMMAND,
    SERVICE_FIELD_COUNT,
};

struct service_option {
    struct span name, value; /* of one -o, as written, trimmed */
};

struct service {
    struct span name; /* first field: "smtp", "[::1]:10025", "cleanup", ... */
    enum service_type type;
    bool is_private;      /* default yes; inet: always no */
    bool unprivileged;    /* default yes: runs as mail_owner */
    bool chroot;          /* whether the column says y */
    bool chroot_default;  /* it says -: no, but yes where compatibility_level is below 1 */
    int64_t wakeup;       /* seconds; 0: never */
    bool wakeup_if_used;  /* "1000?": only after the service was used once */
    uint64_t maxproc;     /* 0: no limit; maxproc_default says that none was given */
    bool maxproc_default; /* take default_process_limit */
    struct span command;  /* "smtpd": a name without '/' */
    struct span *args;    /* all behind the command, as the program gets them: the text of a group is
                             trimmed, and without its braces */
    size_t arg_count;
    struct service_option *options; /* those of args that are -o, in order */
    size_t option_count;
    struct span fields[SERVICE_FIELD_COUNT]; /* as written */
    struct param_place place;                /* its line */
};

struct mastercf {
    struct service *at; /* in file order; no two of one name and type */
    size_t count;
};

enum { MASTERCF_SERVICES_MAX = 1000 };

/* Parses the text of a master.cf. A later line for a service that was there
 * already replaces it, with a warning.
 * file:   how messages name it
 * cf:     filled with what is right, made in a
 * result: false: there are errors (file, line, field and remedy in errors) */
bool mastercf_parse(struct arena *a, struct span text, struct span file, struct mastercf *cf,
                    struct param_errors *errors);

/* Parses one logical line. result: false: said in errors */
bool mastercf_parse_line(struct arena *a, struct span line, struct param_place place, struct service *service,
                         struct param_errors *errors);

/* result: the service, or NULL */
const struct service *mastercf_find(const struct mastercf *cf, struct span name, enum service_type type);

/* "inet", "unix", "fifo", "pass", "unix-dgram" */
struct span service_type_name(enum service_type type);
/* result: false: no such type */
bool service_type_parse(struct span text, enum service_type *type);
/* "service", "type", "private", ..., as postconf -F names them */
struct span service_field_name(enum service_field field);

/* Sets the -o options of a service in settings that start as a copy of main.cf's,
 * and the fact service_name. result: false: said in errors */
bool service_apply_options(const struct service *service, struct settings *s, struct param_errors *errors);

/* Where an inet service listens: its name is [host:]port. */
struct listen_spec {
    struct span host; /* an address without brackets, or a name; empty: all of inet_interfaces */
    uint16_t port;
};

/* Parses "host:port", "[host]:port", "port"; a port is a number or one of the names below.
 * why:    set to words with the remedy
 * result: false: it is none */
bool listen_spec_parse(struct span text, struct listen_spec *listen, struct buf *why);

/* The port of smtp, submission, smtps, submissions, pop3, pop3s, imap, imaps or lmtp.
 * Our own table: no look into /etc/services. result: 0: no such name */
uint16_t port_by_name(struct span name);

#endif
