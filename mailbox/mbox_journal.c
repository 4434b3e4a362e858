#include "mailbox/mbox_journal.h"
#include "lib/base/check.h"
#include "lib/mail/codec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { FIELDS = 9 };

static const struct span state_words[] = {[MBOX_APPEND_BEGUN] = SPAN_INIT("begun"),
                                          [MBOX_APPEND_DONE] = SPAN_INIT("done"),
                                          [MBOX_APPEND_VOID] = SPAN_INIT("void")};

/* --- one slot -------------------------------------------------------------------- */

static bool hex_to_u64(struct span s, uint64_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = byte_lower(span_at(s, i));
        if (!byte_is_digit(c) && !(c >= 'a' && c <= 'f'))
            return false;
        sum = sum << 4 | (uint64_t)(byte_is_digit(c) ? c - '0' : c - 'a' + 10);
    }
    *value = sum;
    return s.n > 0 && s.n <= 16;
}

static bool take_state(struct mbox_append_record *r, struct span word)
{
    for (unsigned i = MBOX_APPEND_BEGUN; i <= MBOX_APPEND_VOID; i++)
        if (span_eq(word, state_words[i])) {
            r->state = (enum mbox_append_state)i;
            return true;
        }
    return false;
}

static bool take_first(struct mbox_append_record *r, struct span hex)
{
    struct buf first = BUF_LIMITED(MBOX_FIRST_MAX);
    bool good = codec_hex_get(&first, hex) && !first.full;
    if (good)
        memcpy(r->first, first.data, first.len);
    r->first_n = first.len;
    buf_fini(&first);
    return good;
}

bool mbox_journal_parse(struct span slot, struct mbox_append_record *r)
{
    struct span rest = span_trim(slot), f[FIELDS];
    uint64_t check;
    size_t cut = span_rfind(rest, ' ');
    *r = (struct mbox_append_record){0};
    if (slot.n != MBOX_JOURNAL_SLOT || cut == rest.n || !hex_to_u64(span_skip(rest, cut + 1), &check) ||
        check != XXH3_64bits(rest.p, cut))
        return false;
    rest = span_slice(rest, 0, cut);
    for (size_t i = 0; i < FIELDS; i++)
        if (!span_next_token(&rest, SPAN(" "), &f[i]))
            return false;
    if (f[6].n >= sizeof r->queue_id)
        return false;
    memcpy(r->queue_id, f[6].p, f[6].n);
    return take_state(r, f[0]) && span_to_u64(f[1], UINT64_MAX, &r->sequence) &&
           r->sequence != 0 && span_to_u64(f[2], UINT64_MAX, &r->inode) && span_to_u64(f[3], UINT64_MAX, &r->offset) &&
           span_to_u64(f[4], UINT64_MAX, &r->length) && hex_to_u64(f[5], &r->hash) &&
           span_to_u64(f[7], UINT64_MAX, &r->number) && take_first(r, f[8]);
}

static bool write_slot(const struct mbox_journal *j, const struct mbox_append_record *r)
{
    char slot[MBOX_JOURNAL_SLOT];
    struct buf line = BUF_LIMITED(MBOX_JOURNAL_SLOT - 1);
    buf_printf(&line, "%s %llu %llu %llu %llu %016llx %s %llu ", state_words[r->state].p,
               (unsigned long long)r->sequence, (unsigned long long)r->inode, (unsigned long long)r->offset,
               (unsigned long long)r->length, (unsigned long long)r->hash, r->queue_id,
               (unsigned long long)r->number);
    codec_hex_put(&line, span_of(r->first, r->first_n));
    uint64_t check = XXH3_64bits(line.data, line.len);
    buf_printf(&line, " %016llx", (unsigned long long)check);
    CHECK(!line.full);
    memset(slot, ' ', sizeof slot);
    slot[sizeof slot - 1] = '\n';
    memcpy(slot, line.data, line.len);
    buf_fini(&line);
    off_t at = (off_t)(r->sequence % MBOX_JOURNAL_SLOTS) * MBOX_JOURNAL_SLOT;
    ssize_t n = pwrite(j->fd, slot, sizeof slot, at);
    if (n >= 0 && (size_t)n < sizeof slot)
        errno = ENOSPC;
    return n == (ssize_t)sizeof slot;
}

/* --- the file ----------------------------------------------------------------------- */

static void read_slots(struct mbox_journal *j)
{
    char slot[MBOX_JOURNAL_SLOT];
    for (size_t i = 0; i < MBOX_JOURNAL_SLOTS; i++) {
        struct mbox_append_record r;
        ssize_t n = pread(j->fd, slot, sizeof slot, (off_t)(i * sizeof slot));
        if (n != (ssize_t)sizeof slot)
            return;
        if (!mbox_journal_parse(span_of(slot, sizeof slot), &r) || r.sequence % MBOX_JOURNAL_SLOTS != i)
            continue;
        j->at[i] = r;
        if (r.sequence > j->last)
            j->last = r.sequence;
    }
}

/* Ours, and nobody else's under another name. */
static bool is_ours(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == geteuid();
}

bool mbox_journal_open(struct mbox_journal *j, int directory, const char *mailbox, struct buf *why)
{
    char name[256];
    const int flags = O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    bool made = false;
    *j = (struct mbox_journal){.fd = -1, .at = calloc(MBOX_JOURNAL_SLOTS, sizeof *j->at)};
    CHECK(j->at != NULL);
    if (snprintf(name, sizeof name, ".%s.merpati", mailbox) >= (int)sizeof name) {
        buf_puts(why, "its name would be too long");
        return false;
    }
    j->fd = openat(directory, name, flags);
    if (j->fd < 0 && errno == ENOENT) {
        j->fd = openat(directory, name, flags | O_CREAT | O_EXCL, 0600);
        made = j->fd >= 0;
    }
    if (j->fd < 0 || !is_ours(j->fd)) {
        buf_printf(why, "%s: %s", name, j->fd < 0 ? strerror(errno) : "not a regular file of our own");
        if (j->fd >= 0)
            close(j->fd);
        j->fd = -1;
        return false;
    }
    if (made)
        (void)fsync(directory);
    read_slots(j);
    return true;
}

void mbox_journal_close(struct mbox_journal *j)
{
    if (j->fd >= 0)
        close(j->fd);
    j->fd = -1;
    free(j->at);
    j->at = NULL;
}

struct mbox_append_record *mbox_journal_find(struct mbox_journal *j, struct span queue_id, uint64_t number)
{
    struct mbox_append_record *found = NULL;
    for (size_t i = 0; i < MBOX_JOURNAL_SLOTS; i++) {
        struct mbox_append_record *r = &j->at[i];
        if (r->sequence && r->number == number && span_eq(span_text(r->queue_id), queue_id) &&
            (!found || r->sequence > found->sequence))
            found = r;
    }
    return found;
}

struct mbox_append_record *mbox_journal_open_end(struct mbox_journal *j)
{
    struct mbox_append_record *r = &j->at[j->last % MBOX_JOURNAL_SLOTS];
    return j->last && r->state == MBOX_APPEND_BEGUN ? r : NULL;
}

bool mbox_journal_begin(struct mbox_journal *j, const struct mbox_append_record *given)
{
    struct mbox_append_record *r = &j->at[(j->last + 1) % MBOX_JOURNAL_SLOTS];
    *r = *given;
    r->sequence = ++j->last;
    r->state = MBOX_APPEND_BEGUN;
    return write_slot(j, r) && fdatasync(j->fd) == 0;
}

void mbox_journal_end(struct mbox_journal *j, struct mbox_append_record *r, enum mbox_append_state state)
{
    if (!r)
        r = mbox_journal_open_end(j);
    if (!r || j->fd < 0)
        return;
    r->state = state;
    (void)write_slot(j, r);
}
