#include "qmgr/text.h"
#include "lib/base/check.h"

#include <stdlib.h>

void texts_fini(struct texts *t)
{
    size_t at = 0;
    for (struct text *x; (x = map_next(&t->map, &at));)
        free(x);
    map_fini(&t->map);
}

struct text *text_take(struct texts *t, struct span s)
{
    CHECK(s.n <= UINT32_MAX);
    struct text *x = map_get(&t->map, s.p ? s : SPAN(""));
    if (!x) {
        x = malloc(sizeof *x + s.n + 1);
        CHECK(x != NULL);
        *x = (struct text){.n = (uint32_t)s.n};
        if (s.n)
            memcpy(x->p, s.p, s.n);
        x->p[s.n] = '\0';
        map_set(&t->map, text_span(x), x);
    }
    x->users++;
    return x;
}

struct text *text_share(struct text *x)
{
    if (x)
        x->users++;
    return x;
}

void text_drop(struct texts *t, struct text **xp)
{
    struct text *x = *xp;
    *xp = NULL;
    if (!x)
        return;
    CHECK(x->users > 0);
    if (--x->users > 0)
        return;
    map_remove(&t->map, text_span(x));
    free(x);
}
