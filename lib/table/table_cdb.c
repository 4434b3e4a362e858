/* cdb tables, read by tinycdb from a mapping.
 *
 * tinycdb makes no promise about hostile files, so the table of tables is checked
 * against the file's size when it is opened; what it points to is bounded again at
 * each search by the library. A file that is cut while it is mapped would be
 * answered with SIGBUS by the kernel: its size is asked for before each search.
 * postmap never changes a file in place, so that only foreign tools can do this. */
#include "lib/base/check.h"
#include "lib/table/table_type.h"

#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    CDB_TOP_BYTES = 2048, /* 256 pairs of position and length of a hash table */
    CDB_SLOT_BYTES = 8,
};

struct cdb_data {
    struct cdb cdb; /* owns fd and mapping */
    off_t size;     /* of the file when it was opened */
};

static void cdb_data_unload(void *data)
{
    struct cdb_data *d = data;
    int fd = cdb_fileno(&d->cdb);
    cdb_free(&d->cdb);
    close(fd);
    free(d);
}

/* result: NULL, or what is wrong with the positions in the top of the file */
static const char *check_top(const unsigned char top[CDB_TOP_BYTES], uint64_t size)
{
    for (size_t i = 0; i < CDB_TOP_BYTES; i += CDB_SLOT_BYTES) {
        uint64_t at = cdb_unpack(top + i), slots = cdb_unpack(top + i + 4);
        if (at < CDB_TOP_BYTES || at > size || slots * CDB_SLOT_BYTES > size - at)
            return "damaged: a hash table lies outside the file";
    }
    return NULL;
}

static const char *check_file(int fd, uint64_t size)
{
    unsigned char top[CDB_TOP_BYTES];
    if (size < CDB_TOP_BYTES || size > UINT32_MAX)
        return size ? "damaged: the size is not that of a cdb file" : "empty";
    if (pread(fd, top, sizeof top, 0) != (ssize_t)sizeof top)
        return "cannot be read";
    return check_top(top, size);
}

static void *cdb_data_load(struct table_source *src, struct buf *why)
{
    struct stat st = {0};
    struct cdb_data *d = calloc(1, sizeof *d);
    CHECK(d != NULL);
    const char *fault = fstat(src->fd, &st) < 0 ? "cannot be read" : check_file(src->fd, (uint64_t)st.st_size);
    if (!fault && cdb_init(&d->cdb, src->fd) < 0)
        fault = strerror(errno);
    d->size = st.st_size;
    if (!fault)
        return d;
    buf_printf(why, "%s: %s; make it anew from its source by postmap or postalias", src->path, fault);
    close(src->fd);
    free(d);
    return NULL;
}

static bool is_whole(const struct cdb_data *d)
{
    struct stat st;
    return fstat(cdb_fileno(&d->cdb), &st) == 0 && st.st_size == d->size;
}

static enum table_result damaged(struct buf *why)
{
    buf_puts(why, "the file is damaged or was changed in place; make it anew from its source by postmap or postalias");
    return TABLE_TEMP;
}

/* result: 1 found, 0 not, -1 damaged; as cdb_find */
static int find_key(const struct cdb_data *d, struct span key, struct span *value)
{
    struct cdb search = d->cdb; /* the search leaves its position in it */
    int found = cdb_find(&search, key.p, (unsigned)key.n);
    const void *data = found > 0 ? cdb_getdata(&search) : NULL;
    if (found > 0 && !data)
        return -1;
    *value = span_of(data, found > 0 ? cdb_datalen(&search) : 0);
    return found;
}

static enum table_result cdb_data_find(const void *data, struct span key, struct buf *value, struct buf *why)
{
    const struct cdb_data *d = data;
    struct span found_value;
    if (!is_whole(d))
        return damaged(why);
    int found = find_key(d, key.n ? key : SPAN(""), &found_value);
    if (found == 0) { /* made with a terminator behind key and value (postmap -N) */
        struct buf ended = BUF_INIT;
        buf_put(&ended, key);
        buf_putc(&ended, '\0');
        found = find_key(d, buf_span(&ended), &found_value);
        buf_fini(&ended);
        if (found > 0 && found_value.n && found_value.p[found_value.n - 1] == '\0')
            found_value.n--;
    }
    if (found < 0)
        return damaged(why);
    buf_put(value, found_value);
    return found ? TABLE_FOUND : TABLE_NOT_FOUND;
}

static bool cdb_data_walk(const void *data, bool (*fn)(struct span, struct span, void *), void *context,
                          struct buf *why)
{
    struct cdb search = ((const struct cdb_data *)data)->cdb;
    unsigned at;
    int more = -1;
    if (is_whole(data)) {
        cdb_seqinit(&at, &search);
        while ((more = cdb_seqnext(&at, &search)) > 0) {
            const void *key = cdb_getkey(&search), *value = cdb_getdata(&search);
            if (!key || !value) {
                more = -1;
                break;
            }
            if (!fn(span_of(key, cdb_keylen(&search)), span_of(value, cdb_datalen(&search)), context))
                return true;
        }
    }
    if (more < 0)
        damaged(why);
    return more == 0;
}

const struct table_type table_type_cdb = {
    .name = "cdb",
    .suffix = ".cdb",
    .is_fixed = true,
    .key_bytes = TABLE_KEY_BYTES,
    .load = cdb_data_load,
    .unload = cdb_data_unload,
    .find = cdb_data_find,
    .walk = cdb_data_walk,
};
