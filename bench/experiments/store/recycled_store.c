/* Recycled files: each worker overwrites files that exist already; no name, no block and no size changes. */
#define _GNU_SOURCE
#include "store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The header that names the message of this use of the file stands before the text. */
struct header {
    uint64_t id, length, generation, checksum;
};

static uint32_t cursor; /* where this worker, a process of its own, looks for a free file next */

static void slot_name(char *name, size_t len, uint32_t slot)
{
    snprintf(name, len, "pool%05u", slot);
}

void recycled_open(struct worker *w)
{
    char name[40];

    w->dir_fd = worker_dir(w->config, "recycled", w->index);
    cursor = 0;
    for (w->slots = 0; w->slots < MAX_SLOTS; w->slots++) {
        slot_name(name, sizeof name, w->slots);
        if (faccessat(w->dir_fd, name, F_OK, 0) != 0)
            return;
    }
}

/* Make one more file, its blocks written once so that later writes change data alone. */
static uint32_t grow(struct worker *w)
{
    char name[40];
    size_t room = (w->config->size + sizeof(struct header) + 4095U) & ~(size_t)4095U;
    char *zero = calloc(1, room);

    if (w->slots == MAX_SLOTS || zero == NULL)
        die("pool full");
    slot_name(name, sizeof name, w->slots);
    int fd = openat(w->dir_fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        die("create");
    write_text(fd, zero, room, 0);
    sync_all(w, fd);
    sync_all(w, w->dir_fd);
    close(fd);
    free(zero);
    return w->slots++;
}

static uint32_t take(struct worker *w)
{
    struct slot *slot = w->totals->slot[w->index];

    for (uint32_t tried = 0; tried < w->slots; tried++) {
        uint32_t i = cursor++ % w->slots;
        if (slot[i].stored == slot[i].removed)
            return i;
    }
    return grow(w);
}

void recycled_store(struct worker *w, struct note *n, unsigned count)
{
    char name[40];
    struct header h = {.length = w->config->size};

    for (unsigned i = 0; i < count; i++) {
        n[i].slot = take(w);
        slot_name(name, sizeof name, n[i].slot);
        int fd = openat(w->dir_fd, name, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            die("open");
        h.id = n[i].id;
        write_text(fd, (const char *)&h, sizeof h, 0);
        write_text(fd, w->text, w->config->size, sizeof h);
        sync_data(w, fd);
        close(fd);
        w->totals->slot[w->index][n[i].slot].stored++;
    }
}

void recycled_remove(const struct config *c, struct totals *t, const struct note *n)
{
    (void)c;
    t->slot[n->worker][n->slot].removed++;
}
