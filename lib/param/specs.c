/* The table of all parameters, made from conf/params. */
#include "lib/param/param.h"

#include "conf/version.h"
#include "lib/base/check.h"

#include <limits.h>
#include <stddef.h>

/* No bound but that of the type Postfix has: what the rows of conf/params say. */
#define NO_MAX INT_MAX
#define NO_MAX_LONG INT64_MAX

#define WORD(set, id, word) SPAN_INIT(word),
#define DEFINE_WORDS(set) static const struct span words_##set[] = {PARAM_SET_##set(WORD)};
PARAM_SETS(DEFINE_WORDS)

/* STR -> its kind and words; a type with an argument brings the words of its set. */
#define KIND(word) .kind = PARAM_KIND_##word
#define KIND_STR KIND(STR)
#define KIND_RAW KIND(RAW)
#define KIND_BOOL KIND(BOOL)
#define KIND_INT KIND(INT)
#define KIND_COUNT KIND(COUNT)
#define KIND_BYTES KIND(BYTES)
#define KIND_CODE KIND(CODE)
#define KIND_TIME KIND(TIME)
#define KIND_LIST KIND(LIST)
#define KIND_TABLES KIND(TABLES)
#define KIND_WORDS(set) .words = words_##set, .word_count = PARAM_##set##_COUNT
#define KIND_ENUM(set) KIND(ENUM), KIND_WORDS(set)
#define KIND_FLAGS(set) KIND(FLAGS), KIND_WORDS(set)

#define ROW(owner_, name_, ...) NAMED_ROW(owner_, name_, #name_, __VA_ARGS__)
#define NAMED_ROW(owner_, member_, name_, type_, initial_, min_, max_, support_, since_, doc_)               \
    {.name = SPAN_INIT(name_),                                                                               \
     KIND_##type_,                                                                                           \
     .support = PARAM_##support_,                                                                            \
     .owner = PARAM_OWNER_##owner_,                                                                          \
     .initial = (initial_),                                                                                  \
     .min = (min_),                                                                                          \
     .max = (max_),                                                                                          \
     .since = (since_),                                                                                      \
     .doc = (doc_),                                                                                          \
     .offset = offsetof(struct params_##owner_, member_)},

static const struct param_spec SPECS[] = {
#define PARAM(...) ROW(main, __VA_ARGS__)
#define PARAM_NAMED(...) NAMED_ROW(main, __VA_ARGS__)
#include "conf/params/main.def"
#undef PARAM_NAMED
#undef PARAM
#define PARAM(...) ROW(rewrite, __VA_ARGS__)
#include "conf/params/rewrite.def"
#undef PARAM
#define PARAM(...) ROW(smtpd, __VA_ARGS__)
#include "conf/params/smtpd.def"
#undef PARAM
#define PARAM(...) ROW(smtp, __VA_ARGS__)
#include "conf/params/smtp.def"
#undef PARAM
#define PARAM(...) ROW(lmtp, __VA_ARGS__)
#include "conf/params/lmtp.def"
#undef PARAM
#define PARAM(...) ROW(cleanup, __VA_ARGS__)
#include "conf/params/cleanup.def"
#undef PARAM
#define PARAM(...) ROW(qmgr, __VA_ARGS__)
#include "conf/params/qmgr.def"
#undef PARAM
#define PARAM(...) ROW(local, __VA_ARGS__)
#include "conf/params/local.def"
#undef PARAM
#define PARAM(...) ROW(virtual, __VA_ARGS__)
#include "conf/params/virtual.def"
#undef PARAM
#define PARAM(...) ROW(pipe, __VA_ARGS__)
#include "conf/params/pipe.def"
#undef PARAM
#define PARAM(...) ROW(bounce, __VA_ARGS__)
#include "conf/params/bounce.def"
#undef PARAM
#define PARAM(...) ROW(verify, __VA_ARGS__)
#include "conf/params/verify.def"
#undef PARAM
#define PARAM(...) ROW(anvil, __VA_ARGS__)
#include "conf/params/anvil.def"
#undef PARAM
#define PARAM(...) ROW(master, __VA_ARGS__)
#include "conf/params/master.def"
#undef PARAM
#define PARAM(...) ROW(pickup, __VA_ARGS__)
#include "conf/params/pickup.def"
#undef PARAM
#define PARAM(...) ROW(postscreen, __VA_ARGS__)
#include "conf/params/postscreen.def"
#undef PARAM
#define PARAM(...) ROW(tls, __VA_ARGS__)
#include "conf/params/tls.def"
#undef PARAM
#define PARAM(...) ROW(sasl, __VA_ARGS__)
#include "conf/params/sasl.def"
#undef PARAM
#define PARAM(...) ROW(milter, __VA_ARGS__)
#include "conf/params/milter.def"
#undef PARAM
#define PARAM(...) ROW(proxymap, __VA_ARGS__)
#include "conf/params/proxymap.def"
#undef PARAM
#define PARAM(...) ROW(misc, __VA_ARGS__)
#include "conf/params/misc.def"
#undef PARAM
#define PARAM(...) ROW(pop3d, __VA_ARGS__)
#include "conf/params/pop3d.def"
#undef PARAM
#define PARAM(...) ROW(dnsd, __VA_ARGS__)
#include "conf/params/dnsd.def"
#undef PARAM
#define PARAM(...) ROW(merpati, __VA_ARGS__)
#include "conf/params/merpati.def"
#undef PARAM
};

static const struct param_spec TRANSPORT_SPECS[] = {
#define TRANSPORT_PARAM(name_, type_, initial_, min_, max_, doc_)                                            \
    {.name = SPAN_INIT(#name_),                                                                              \
     KIND_##type_,                                                                                           \
     .owner = PARAM_OWNER_qmgr,                                                                              \
     .initial = (initial_),                                                                                  \
     .min = (min_),                                                                                          \
     .max = (max_),                                                                                          \
     .since = "",                                                                                            \
     .doc = (doc_),                                                                                          \
     .offset = offsetof(struct params_transport, name_)},
#include "conf/params/transport.def"
#undef TRANSPORT_PARAM
};

static const char *const OWNER_NAMES[] = {
#define OWNER(owner) #owner,
#include "conf/params/owners.def"
#undef OWNER
};

static const char *const KIND_NAMES[] = {
    [PARAM_KIND_STR] = "text",        [PARAM_KIND_RAW] = "raw text", [PARAM_KIND_BOOL] = "yes or no",
    [PARAM_KIND_INT] = "number",      [PARAM_KIND_COUNT] = "number", [PARAM_KIND_BYTES] = "octets",
    [PARAM_KIND_CODE] = "reply code", [PARAM_KIND_TIME] = "time",    [PARAM_KIND_LIST] = "list",
    [PARAM_KIND_TABLES] = "tables",   [PARAM_KIND_ENUM] = "word",    [PARAM_KIND_FLAGS] = "words",
};

size_t param_spec_count(void)
{
    return sizeof SPECS / sizeof *SPECS;
}

const struct param_spec *param_spec_at(size_t place)
{
    CHECK(place < param_spec_count());
    return &SPECS[place];
}

const struct param_spec *param_spec_find(struct span name)
{
    for (size_t i = 0; i < param_spec_count(); i++)
        if (span_eq(SPECS[i].name, name))
            return &SPECS[i];
    return NULL;
}

size_t param_transport_spec_count(void)
{
    return sizeof TRANSPORT_SPECS / sizeof *TRANSPORT_SPECS;
}

const struct param_spec *param_transport_spec_at(size_t place)
{
    CHECK(place < param_transport_spec_count());
    return &TRANSPORT_SPECS[place];
}

const char *param_owner_name(enum param_owner owner)
{
    return OWNER_NAMES[owner];
}

const char *param_kind_name(enum param_kind kind)
{
    return KIND_NAMES[kind];
}
