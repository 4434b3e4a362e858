/* Tables over files in memory, for the fuzz targets. */
#ifndef FUZZ_TABLE_MEMORY_H
#define FUZZ_TABLE_MEMORY_H

#include "lib/base/check.h"
#include "lib/table/table.h"

#include <sys/mman.h>
#include <unistd.h>

struct memory_file {
    const void *bytes;
    size_t n;
};

static inline int memory_open(const char *path, void *context)
{
    const struct memory_file *f = context;
    (void)path;
    int fd = memfd_create("table", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, f->bytes, f->n) == (ssize_t)f->n);
    return fd;
}

/* Tables whose every file holds these bytes. */
static inline struct tables *memory_tables(struct memory_file *f, const void *bytes, size_t n)
{
    *f = (struct memory_file){bytes, n};
    struct table_files files = {.open = memory_open, .context = f};
    return tables_new(&files, NULL);
}

/* Looks a key up; the three results must keep their promises. */
static inline enum table_result memory_find(struct table *t, struct span key)
{
    struct buf value = BUF_INIT, why = BUF_INIT;
    enum table_result result = table_find(t, key, &value, &why);
    CHECK(result == TABLE_FOUND || value.len == 0);
    CHECK((result == TABLE_TEMP) == (why.len > 0));
    CHECK(value.len <= TABLE_VALUE_BYTES);
    buf_fini(&value);
    buf_fini(&why);
    return result;
}

/* Cuts the key off the input: a length in the first byte, then the key. */
static inline struct span memory_key(const uint8_t **data, size_t *size)
{
    size_t n = *size ? (*data)[0] : 0;
    if (*size == 0)
        return SPAN_NONE;
    n = n > *size - 1 ? *size - 1 : n;
    struct span key = span_of(*data + 1, n);
    *data += 1 + n;
    *size -= 1 + n;
    return key;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
