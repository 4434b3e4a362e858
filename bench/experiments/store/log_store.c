/* A preallocated intake log per worker: one data sync for all that arrived meanwhile, segments overwritten in
 * place. */
#define _GNU_SOURCE
#include "store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SEGMENT = 16 << 20, BLOCK = 4096 };

/* Before every text; a record of an older generation is what an earlier use of the segment left behind. */
struct record {
    uint64_t id;
    uint32_t generation, length;
    uint64_t checksum, spare;
};

static const char padding[BLOCK];

/* FNV-1a over 64-bit words: stands for the cost of the checksum that the real record will carry. */
static uint64_t checksum(const char *text, size_t len)
{
    uint64_t sum = 0xcbf29ce484222325U, word;

    for (size_t i = 0; i + 8 <= len; i += 8) {
        memcpy(&word, text + i, 8);
        sum = (sum ^ word) * 0x100000001b3U;
    }
    return sum;
}

static int open_segment(struct worker *w, uint32_t i, int flags)
{
    char name[40];

    snprintf(name, sizeof name, "segment%05u", i);
    return openat(w->dir_fd, name, flags | O_WRONLY | O_CLOEXEC, 0600);
}

void log_open(struct worker *w)
{
    w->dir_fd = worker_dir(w->config, "log", w->index);
    w->log_fd = -1;
    w->offset = SEGMENT;
    for (w->slots = 0; w->slots < MAX_SLOTS; w->slots++) {
        int fd = open_segment(w, w->slots, 0);
        if (fd < 0)
            return;
        close(fd);
    }
}

/* Make one more segment, zeros written once: blocks allocated, extents initialised, size final. */
static uint32_t grow(struct worker *w)
{
    char *zero = calloc(1, 1 << 20);
    int fd = open_segment(w, w->slots, O_CREAT);

    if (fd < 0 || zero == NULL)
        die("new segment");
    for (uint64_t at = 0; at < SEGMENT; at += 1 << 20)
        write_text(fd, zero, 1 << 20, at);
    sync_all(w, fd);
    sync_all(w, w->dir_fd);
    close(fd);
    free(zero);
    return w->slots++;
}

/* The segment being filled keeps one message in hand (stored is one ahead), so that it cannot look empty. */
static void next_segment(struct worker *w)
{
    struct slot *slot = w->totals->slot[w->index];
    uint32_t i = 0;

    if (w->log_fd >= 0) {
        slot[w->current].stored--;
        close(w->log_fd);
    }
    while (i < w->slots && slot[i].stored != slot[i].removed)
        i++;
    w->current = i < w->slots ? i : grow(w);
    slot[w->current].stored++;
    w->log_fd = open_segment(w, w->current, 0);
    if (w->log_fd < 0)
        die("open segment");
    w->generation++;
    w->offset = 0;
}

/* Write records [0, count) and pad to a block, so that no block that was acknowledged is ever written again.
 */
static void append(struct worker *w, struct note *n, unsigned count)
{
    struct record r[MAX_INFLIGHT];
    struct iovec v[2 * MAX_INFLIGHT + 1];
    size_t size = w->config->size, total = count * (size + sizeof *r);
    size_t pad = (BLOCK - total % BLOCK) % BLOCK;

    for (unsigned i = 0; i < count; i++) {
        r[i] = (struct record){n[i].id, w->generation, (uint32_t)size, checksum(w->text, size), 0};
        v[2 * i] = (struct iovec){&r[i], sizeof *r};
        v[2 * i + 1] = (struct iovec){(void *)w->text, size};
        n[i].slot = w->current;
    }
    v[2 * count] = (struct iovec){(void *)padding, pad};
    if (pwritev(w->log_fd, v, (int)(2 * count + 1), (off_t)w->offset) != (ssize_t)(total + pad))
        die("pwritev");
    w->offset += total + pad;
    w->totals->slot[w->index][w->current].stored += count;
}

void log_store(struct worker *w, struct note *n, unsigned count)
{
    size_t need = count * (w->config->size + sizeof(struct record)) + BLOCK;

    if (w->offset + need > SEGMENT)
        next_segment(w);
    append(w, n, count);
    sync_data(w, w->log_fd);
}

void log_remove(const struct config *c, struct totals *t, const struct note *n)
{
    (void)c;
    t->slot[n->worker][n->slot].removed++;
}
