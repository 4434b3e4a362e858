#include "lib/base/map.h"
#include "lib/base/check.h"

#include <stdlib.h>
#include <sys/random.h>

static uint64_t map_key[2]; /* drawn once, at the first hash */

static uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotl(v[1], 13), v[1] ^= v[0], v[0] = rotl(v[0], 32);
    v[2] += v[3], v[3] = rotl(v[3], 16), v[3] ^= v[2];
    v[0] += v[3], v[3] = rotl(v[3], 21), v[3] ^= v[0];
    v[2] += v[1], v[1] = rotl(v[1], 17), v[1] ^= v[2], v[2] = rotl(v[2], 32);
}

uint64_t map_hash(struct span key)
{
    if (map_key[0] == 0)
        CHECK(getrandom(map_key, sizeof map_key, 0) == (ssize_t)sizeof map_key);
    uint64_t v[4] = {map_key[0] ^ 0x736f6d6570736575u, map_key[1] ^ 0x646f72616e646f6du,
                     map_key[0] ^ 0x6c7967656e657261u, map_key[1] ^ 0x7465646279746573u};
    size_t i = 0;
    uint64_t word;
    for (; key.n - i >= 8; i += 8) {
        memcpy(&word, key.p + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)key.n << 56;
    for (size_t j = 0; i + j < key.n; j++)
        word |= (uint64_t)span_at(key, i + j) << (8 * j);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int r = 0; r < 3; r++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_fini(struct map *m)
{
    free(m->slots);
    *m = (struct map){0};
}

/* The slot of the key, or the free slot where it would go. */
static struct map_slot *map_probe(const struct map *m, struct span key, uint64_t hash)
{
    size_t at = hash & (m->cap - 1);
    while (m->slots[at].value && (m->slots[at].hash != hash || !span_eq(m->slots[at].key, key)))
        at = (at + 1) & (m->cap - 1);
    return &m->slots[at];
}

static void map_grow(struct map *m)
{
    struct map old = *m;
    m->cap = old.cap ? old.cap * 2 : 16;
    m->slots = calloc(m->cap, sizeof *m->slots);
    CHECK(m->slots != NULL);
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value)
            *map_probe(m, old.slots[i].key, old.slots[i].hash) = old.slots[i];
    free(old.slots);
}

void *map_get(const struct map *m, struct span key)
{
    return m->count ? map_probe(m, key, map_hash(key))->value : NULL;
}

void *map_set(struct map *m, struct span key, void *value)
{
    CHECK(value != NULL);
    if (m->count * 4 >= m->cap * 3)
        map_grow(m);
    uint64_t hash = map_hash(key);
    struct map_slot *slot = map_probe(m, key, hash);
    void *old = slot->value;
    m->count += old == NULL;
    *slot = (struct map_slot){key, hash, value};
    return old;
}

void *map_remove(struct map *m, struct span key)
{
    if (m->count == 0)
        return NULL;
    struct map_slot *slot = map_probe(m, key, map_hash(key));
    void *old = slot->value;
    if (!old)
        return NULL;
    m->count--;
    /* Close the gap: move back every follower that may stand earlier. */
    size_t mask = m->cap - 1, gap = (size_t)(slot - m->slots);
    for (size_t at = (gap + 1) & mask; m->slots[at].value; at = (at + 1) & mask) {
        size_t home = m->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - gap) & mask)) {
            m->slots[gap] = m->slots[at];
            gap = at;
        }
    }
    m->slots[gap] = (struct map_slot){0};
    return old;
}

void *map_next(const struct map *m, size_t *at)
{
    while (*at < m->cap) {
        void *value = m->slots[(*at)++].value;
        if (value)
            return value;
    }
    return NULL;
}
