/* A hostile cdb file: any key and the walk through all get an answer. */
#include "tests/fuzz/table_memory.h"

static bool look(struct span key, struct span value, void *context)
{
    uint64_t *sum = context;
    for (size_t i = 0; i < key.n; i++)
        *sum += span_at(key, i);
    for (size_t i = 0; i < value.n; i++)
        *sum += span_at(value, i);
    return *sum < 1000000;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_file file;
    struct buf why = BUF_INIT;
    uint64_t sum = 0;
    struct span key = memory_key(&data, &size);
    struct tables *ts = memory_tables(&file, data, size);
    struct table *t = table_open(ts, SPAN("cdb:x"), 0);
    memory_find(t, key);
    memory_find(t, SPAN("postmaster"));
    memory_find(t, SPAN(""));
    table_walk(t, look, &sum, &why);
    table_close(&t);
    tables_free(&ts);
    buf_fini(&why);
    return 0;
}
