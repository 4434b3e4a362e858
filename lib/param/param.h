/* Typed parameters, each declared once in conf/params/<owner>.def as
 *
 *     PARAM(name, TYPE, default, min, max, SUPPORT, since, doc)
 *
 * A process loads the parameters of the owners that it is allowed to know:
 *
 *     struct params_main main;
 *     struct params_smtpd mine;
 *     if (!params_main_load(&arena, &settings, &main, &errors) || ...
 *
 * and reads mine.smtpd_timeout (int64_t, seconds). A parameter of another owner
 * does not compile. (PARAM_NAMED is for a name that cannot be a member's.) Types and what they become:
 *
 *     STR     struct span, $names expanded; terminated, so .p is a C string; never NULL.
 *             min..max octets, as for RAW, LIST and TABLES
 *     RAW     struct span, not expanded (its $names are about the message)
 *     BOOL    bool (yes, no)
 *     INT     int64_t
 *     COUNT   uint64_t, a number that is never negative
 *     BYTES   uint64_t, octets
 *     CODE    unsigned, an SMTP reply code
 *     TIME    int64_t, seconds; a number without unit has that of the default
 *     LIST    struct param_list: items between whitespace or commas, { } kept together
 *     TABLES  struct param_list whose items are "type:name"
 *     ENUM(set)   enum param_<set>, one of the words of conf/params/sets.h
 *     FLAGS(set)  unsigned, bits 1u << PARAM_<set>_<id>
 *
 * A default is text as in main.cf ($names allowed); NULL: computed from facts
 * about the machine (lib/param/computed.c). SUPPORT is one of IMPLEMENTED, NOOP
 * (accepted; there is nothing it could change here), MAPPED (an older spelling
 * that works through another parameter), LATER (known, not supported yet:
 * accepted and reported, never fatal). since is Postfix's version, empty for
 * those older than its records, or "merpati 1" for our own.
 *
 * Any process may call these; none waits. */
#ifndef PARAM_PARAM_H
#define PARAM_PARAM_H

#include "conf/params/sets.h"
#include "lib/param/settings.h"
#include "lib/param/value.h"

/* --- words -------------------------------------------------------------------- */

#define PARAM_ENUMERATOR(set, id, word) PARAM_##set##_##id,
#define PARAM_DECLARE_SET(set) enum param_##set{PARAM_SET_##set(PARAM_ENUMERATOR) PARAM_##set##_COUNT};
PARAM_SETS(PARAM_DECLARE_SET)

enum param_owner {
#define OWNER(owner) PARAM_OWNER_##owner,
#include "conf/params/owners.def"
#undef OWNER
    PARAM_OWNER_COUNT
};

/* --- what is known about each -------------------------------------------------- */

enum param_kind {
    PARAM_KIND_STR,
    PARAM_KIND_RAW,
    PARAM_KIND_BOOL,
    PARAM_KIND_INT,
    PARAM_KIND_COUNT,
    PARAM_KIND_BYTES,
    PARAM_KIND_CODE,
    PARAM_KIND_TIME,
    PARAM_KIND_LIST,
    PARAM_KIND_TABLES,
    PARAM_KIND_ENUM,
    PARAM_KIND_FLAGS,
};

enum param_support {
    PARAM_IMPLEMENTED,
    PARAM_NOOP,
    PARAM_MAPPED,
    PARAM_LATER,
};

struct param_spec {
    struct span name;
    enum param_kind kind;
    enum param_support support;
    enum param_owner owner;
    const char *initial;      /* the default; NULL: computed */
    int64_t min, max;         /* of the number, the seconds, or the octets of text */
    const struct span *words; /* of ENUM and FLAGS; NULL for the others */
    size_t word_count;
    const char *since, *doc;
    size_t offset; /* in struct params_<owner> */
};

/* result: how many rows there are, of all owners */
size_t param_spec_count(void);
/* result: a row, by place: owners one after the other as in owners.def */
const struct param_spec *param_spec_at(size_t place);
/* result: the row of this name, or NULL */
const struct param_spec *param_spec_find(struct span name);
const char *param_owner_name(enum param_owner owner);
/* result: "str", "time", ...: for documents */
const char *param_kind_name(enum param_kind kind);

/* --- values -------------------------------------------------------------------- */

typedef struct span pt_STR, pt_RAW;
typedef bool pt_BOOL;
typedef int64_t pt_INT, pt_TIME;
typedef uint64_t pt_COUNT, pt_BYTES;
typedef unsigned pt_CODE;
typedef struct param_list pt_LIST, pt_TABLES;
#define pt_ENUM(set) enum param_##set
#define pt_FLAGS(set) unsigned

#define PARAM(name, type, initial, min, max, support, since, doc) pt_##type name;
#define PARAM_NAMED(member, name, type, initial, min, max, support, since, doc) pt_##type member;
struct params_main {
#include "conf/params/main.def"
};
struct params_rewrite {
#include "conf/params/rewrite.def"
};
struct params_smtpd {
#include "conf/params/smtpd.def"
};
struct params_smtp {
#include "conf/params/smtp.def"
};
struct params_lmtp {
#include "conf/params/lmtp.def"
};
struct params_cleanup {
#include "conf/params/cleanup.def"
};
struct params_qmgr {
#include "conf/params/qmgr.def"
};
struct params_local {
#include "conf/params/local.def"
};
struct params_virtual {
#include "conf/params/virtual.def"
};
struct params_pipe {
#include "conf/params/pipe.def"
};
struct params_bounce {
#include "conf/params/bounce.def"
};
struct params_verify {
#include "conf/params/verify.def"
};
struct params_anvil {
#include "conf/params/anvil.def"
};
struct params_master {
#include "conf/params/master.def"
};
struct params_pickup {
#include "conf/params/pickup.def"
};
struct params_postscreen {
#include "conf/params/postscreen.def"
};
struct params_tls {
#include "conf/params/tls.def"
};
struct params_sasl {
#include "conf/params/sasl.def"
};
struct params_milter {
#include "conf/params/milter.def"
};
struct params_proxymap {
#include "conf/params/proxymap.def"
};
struct params_misc {
#include "conf/params/misc.def"
};
struct params_pop3d {
#include "conf/params/pop3d.def"
};
struct params_dnsd {
#include "conf/params/dnsd.def"
};
struct params_merpati {
#include "conf/params/merpati.def"
};
#undef PARAM
#undef PARAM_NAMED

/* bool params_<owner>_load(a, s, p, errors): fills *p; texts and lists are made in a.
 * result: false where a value is wrong, as errors then says by file, line, parameter
 *         and remedy; the member has its default then, or zeros if even that fails.
 *         What is wrong with a NOOP or LATER parameter is a warning only. */
#define OWNER(owner)                                                                                         \
    bool params_##owner##_load(struct arena *a, const struct settings *s, struct params_##owner *p,          \
                               struct param_errors *errors);
#include "conf/params/owners.def"
#undef OWNER

/* Fills *p, the parameters of the SMTP client, with the values for LMTP: smtp_x
 * from lmtp_x (and helo, ehlo from lhlo) wherever that exists. */
bool params_smtp_load_lmtp(struct arena *a, const struct settings *s, struct params_smtp *p,
                           struct param_errors *errors);

/* What a delivery service <transport> may set for itself: <transport>_<suffix>, as
 * declared in conf/params/transport.def; else the general parameter applies. */
#define TRANSPORT_PARAM(suffix, type, initial, min, max, doc) pt_##type suffix;
struct params_transport {
#include "conf/params/transport.def"
};
#undef TRANSPORT_PARAM

/* Fills *p for the transport of this name; as the loads above. */
bool params_transport_load(struct arena *a, const struct settings *s, struct span transport,
                           struct params_transport *p, struct param_errors *errors);
/* The rows of transport.def; name is the suffix, without its underscore. */
size_t param_transport_spec_count(void);
const struct param_spec *param_transport_spec_at(size_t place);

/* The value of any name with all $names expanded: of a parameter, else of what
 * main.cf defines, else the default of <transport>_<suffix>.
 * value:  made in a
 * result: false: no such name, or why says what is wrong with the expansion */
bool param_expand_name(struct arena *a, const struct settings *s, struct span name, struct span *value,
                       struct buf *why);
/* The same for text that may hold $names. */
bool param_expand_text(struct arena *a, const struct settings *s, struct span text, struct span *value,
                       struct buf *why);
/* The unexpanded default; computed ones are computed. a holds the latter.
 * result: false: this is no parameter */
bool param_default(struct arena *a, const struct settings *s, struct span name, struct span *value);

/* Checks the values of all parameters of all owners, as their loads would, and
 * warns of those set in main.cf that are not supported yet.
 * result: false: there are errors */
bool param_check_all(const struct settings *s, struct param_errors *errors);

/* Warns of the parameters set in s, by the administrator and unlike their defaults, that
 * are not supported yet. param_check_all() does it too. */
void param_warn_unsupported(const struct settings *s, struct param_errors *errors);

/* Checks what value would give as value of name (for an edit); $names are
 * expanded with s.
 * result: false: why says what is wrong with it. A name that is no parameter is always good. */
bool param_check_value(const struct settings *s, struct span name, struct span value, struct buf *why);

#endif
