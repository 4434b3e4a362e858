/* Asks questions by libunbound and says what it answers.
 *
 * New sources make a new resolver, which takes all new questions; the old one finishes what it has. A question that
 * fails in the old one is asked again in the new one. Nothing here waits. */
#ifndef DNSD_ENGINE_H
#define DNSD_ENGINE_H

#include "dnsd/answer.h"
#include "dnsd/sources.h"
#include "lib/io/loop.h"

struct engine;

/* token: as given to engine_ask(); raw: valid during the call. Never called inside engine_ask(). */
typedef void (*engine_answered)(void *token, const struct raw_answer *raw);

struct engine *engine_new(struct loop *l, engine_answered answered);
void engine_free(struct engine **e);

/* From now on answers come from there. s is borrowed until the next call. result: false: it is as before */
bool engine_set_sources(struct engine *e, const struct sources *s);

/* name: a good name in text, terminated, without a final dot. Each question is answered once.
 * result: false: no resolver can be made; why says what is wrong */
bool engine_ask(struct engine *e, const char *name, unsigned type, void *token, struct buf *why);

/* Questions under way; resolvers that are alive. */
size_t engine_open(const struct engine *e);
size_t engine_contexts(const struct engine *e);

#endif
