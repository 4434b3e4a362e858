#include "dnsd/lookups.h"

#include "lib/base/check.h"
#include "lib/base/map.h"

#include <stdlib.h>

struct lookups {
    struct lookups_config config;
    struct map shared; /* question -> struct lookup: those that others may join */
    struct list all;
    size_t count, waiting;
};

struct lookup {
    struct list node;
    struct lookups *lookups;
    struct list waiters;
    struct share *share; /* of whoever began it */
    struct span key;     /* the type in two octets, then the name; owned, terminated */
    unsigned type;
};

/* A caller's question. */
struct waiter {
    struct list node, of_asker;
    struct lookup *lookup;
    struct asker *asker;
    uint64_t id;
    struct timer timer;
};

enum { TYPE_SIZE = 2 };

static struct span name_of(const struct lookup *lookup)
{
    return span_skip(lookup->key, TYPE_SIZE);
}

/* --- who waits ------------------------------------------------------------------------------ */

static void waiter_free(struct waiter *w)
{
    w->lookup->lookups->waiting--;
    list_remove(&w->node);
    list_remove(&w->of_asker);
    timer_stop(&w->timer);
    free(w);
}

static void waiter_tell(struct waiter *w, const struct msg_dns_reply *reply)
{
    const struct lookups_config *config = &w->lookup->lookups->config;
    struct asker *asker = w->asker;
    uint64_t id = w->id;
    waiter_free(w);
    config->reply(config->context, asker, id, reply);
}

static void waited_enough(struct timer *t, void *context)
{
    struct waiter *w = context;
    struct msg_dns_reply late = answer_none(DNS_TEMPORARY, SPAN("the lookup took too long"));
    (void)t;
    late.canonical = name_of(w->lookup);
    waiter_tell(w, &late);
}

static void waiter_add(struct lookup *lookup, struct asker *by, uint64_t id, int64_t wait_ms)
{
    struct lookups *l = lookup->lookups;
    struct waiter *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    *w = (struct waiter){.lookup = lookup, .asker = by, .id = id};
    list_push(&lookup->waiters, &w->node);
    list_push(&by->waiters, &w->of_asker);
    l->waiting++;
    timer_set(l->config.loop, &w->timer, clock_after_ms(wait_ms), waited_enough, w);
}

void asker_init(struct asker *a, struct share *share, void *context)
{
    *a = (struct asker){.share = share, .context = context};
    list_init(&a->waiters);
}

void asker_forget(struct asker *a)
{
    LIST_EACH (node, after, &a->waiters)
        waiter_free(LIST_ENTRY(node, struct waiter, of_asker));
}

/* --- lookups ------------------------------------------------------------------------------------ */

static void make_key(struct buf *key, struct span name, unsigned type)
{
    buf_putc(key, (char)(type >> 8));
    buf_putc(key, (char)(type & 255));
    buf_put(key, name);
}

static void lookup_free(struct lookup *lookup)
{
    struct lookups *l = lookup->lookups;
    char *key;
    if (map_get(&l->shared, lookup->key) == lookup)
        map_remove(&l->shared, lookup->key);
    list_remove(&lookup->node);
    lookup->share->used--;
    l->count--;
    memcpy(&key, &lookup->key.p, sizeof key);
    free(key);
    free(lookup);
}

static struct lookup *lookup_new(struct lookups *l, struct share *share, const struct buf *key, unsigned type)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    char *copy = malloc(key->len + 1);
    CHECK(lookup != NULL && copy != NULL);
    memcpy(copy, key->data, key->len + 1);
    *lookup = (struct lookup){.lookups = l, .share = share, .key = span_of(copy, key->len), .type = type};
    list_init(&lookup->waiters);
    list_push(&l->all, &lookup->node);
    map_set(&l->shared, lookup->key, lookup);
    share->used++;
    l->count++;
    return lookup;
}

static void refuse(struct lookups *l, struct asker *by, uint64_t id, struct span name, const char *why)
{
    struct msg_dns_reply reply = answer_none(DNS_TEMPORARY, span_text(why));
    reply.canonical = name;
    l->config.reply(l->config.context, by, id, &reply);
}

/* result: NULL: refused */
static struct lookup *begin(struct lookups *l, struct asker *by, uint64_t id, const struct buf *key, unsigned type)
{
    struct buf why = BUF_INIT;
    struct lookup *lookup = NULL;
    if (l->count >= l->config.limit || by->share->used >= by->share->most) {
        buf_puts(&why, "too many lookups are under way");
    } else {
        lookup = lookup_new(l, by->share, key, type);
        if (!l->config.ask(l->config.context, name_of(lookup).p, type, lookup, &why)) {
            lookup_free(lookup);
            lookup = NULL;
        }
    }
    if (!lookup)
        refuse(l, by, id, span_skip(buf_span(key), TYPE_SIZE), buf_text(&why));
    buf_fini(&why);
    return lookup;
}

void lookups_ask(struct lookups *l, struct asker *by, uint64_t id, struct span name, unsigned type, int64_t wait_ms)
{
    struct buf key = BUF_INIT;
    make_key(&key, name, type);
    struct lookup *lookup = map_get(&l->shared, buf_span(&key));
    if (l->waiting >= l->config.limit * WAITERS_EACH)
        refuse(l, by, id, name, "too many questions wait");
    else if (lookup || (lookup = begin(l, by, id, &key, type)))
        waiter_add(lookup, by, id, wait_ms);
    buf_fini(&key);
}

void lookups_answered(struct lookup *lookup, const struct raw_answer *raw)
{
    struct arena scratch = ARENA_INIT;
    struct msg_dns_reply reply;
    struct list *node;
    if (!list_empty(&lookup->waiters))
        answer_decode(&scratch, name_of(lookup), lookup->type, raw, &lookup->lookups->config.answers, &reply);
    while ((node = lookup->waiters.next) != &lookup->waiters)
        waiter_tell(LIST_ENTRY(node, struct waiter, node), &reply);
    lookup_free(lookup);
    arena_fini(&scratch);
}

/* --- all of them ---------------------------------------------------------------------------------- */

struct lookups *lookups_new(const struct lookups_config *config)
{
    struct lookups *l = calloc(1, sizeof *l);
    CHECK(l != NULL);
    l->config = *config;
    list_init(&l->all);
    return l;
}

void lookups_free(struct lookups **where)
{
    struct lookups *l = *where;
    *where = NULL;
    if (!l)
        return;
    LIST_EACH (node, after, &l->all) {
        struct lookup *lookup = LIST_ENTRY(node, struct lookup, node);
        LIST_EACH (at, next, &lookup->waiters)
            waiter_free(LIST_ENTRY(at, struct waiter, node));
        lookup_free(lookup);
    }
    map_fini(&l->shared);
    free(l);
}

void lookups_set_limits(struct lookups *l, size_t limit, struct answer_limits answers)
{
    l->config.limit = limit;
    l->config.answers = answers;
}

void lookups_renew(struct lookups *l)
{
    map_fini(&l->shared);
    l->shared = (struct map){0};
}

size_t lookups_count(const struct lookups *l)
{
    return l->count;
}

size_t lookups_waiting(const struct lookups *l)
{
    return l->waiting;
}
