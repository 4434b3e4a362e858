#include "lib/base/arena.h"
#include "lib/base/check.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* The first chunk is small: ten thousand idle sessions have an arena each with a name in it. */
enum { ARENA_FIRST = 512 - 64, ARENA_CHUNK = 4096 - 64 };

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* bytes of room */
    size_t used; /* bytes of room handed out */
    alignas(max_align_t) char room[];
};

static void arena_free_chunks(struct arena_chunk *chunk)
{
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void arena_fini(struct arena *a)
{
    arena_free_chunks(a->chunks);
    *a = ARENA_INIT;
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *keep = a->chunks;
    if (keep && keep->size <= ARENA_CHUNK) {
        arena_free_chunks(keep->next);
        keep->next = NULL;
        keep->used = 0;
    } else {
        arena_free_chunks(keep);
        a->chunks = NULL;
    }
    a->used = 0;
}

static struct arena_chunk *arena_add_chunk(struct arena *a, size_t need)
{
    size_t usual = a->chunks ? ARENA_CHUNK : ARENA_FIRST;
    size_t size = need > usual ? need : usual;
    struct arena_chunk *chunk = malloc(sizeof *chunk + size);
    CHECK(chunk != NULL);
    chunk->size = size;
    chunk->used = 0;
    /* A chunk of its own for a large object goes behind the one being filled. */
    if (need > usual && a->chunks) {
        chunk->next = a->chunks->next;
        a->chunks->next = chunk;
    } else {
        chunk->next = a->chunks;
        a->chunks = chunk;
    }
    return chunk;
}

void *arena_alloc(struct arena *a, size_t n)
{
    const size_t align = alignof(max_align_t);
    CHECK(n <= SIZE_MAX / 2);
    size_t need = (n + align - 1) & ~(align - 1);
    struct arena_chunk *chunk = a->chunks;
    if (!chunk || chunk->size - chunk->used < need)
        chunk = arena_add_chunk(a, need);
    void *object = chunk->room + chunk->used;
    chunk->used += need;
    a->used += need;
    return memset(object, 0, need);
}

void *arena_calloc(struct arena *a, size_t count, size_t n)
{
    CHECK(n == 0 || count <= SIZE_MAX / 2 / n);
    return arena_alloc(a, count * n);
}

struct span arena_dup(struct arena *a, struct span s)
{
    char *copy = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(copy, s.p, s.n);
    return span_of(copy, s.n);
}

const char *arena_text(struct arena *a, struct span s)
{
    CHECK(span_find(s, '\0') == s.n);
    return arena_dup(a, s).p;
}

const char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    CHECK(n >= 0);
    char *text = arena_alloc(a, (size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    return text;
}
