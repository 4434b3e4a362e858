/* Match lists of every kind, with any name and address; every /file holds the list itself. */
#include "lib/table/matchlist.h"
#include "tests/fuzz/table_memory.h"

static void nothing(const char *path, void *context)
{
    (void)path;
    (void)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_file file;
    struct buf why = BUF_INIT;
    if (size == 0)
        return 0;
    enum matchlist_kind kind = (enum matchlist_kind)(data[0] % 3);
    unsigned flags = data[0] & 4 ? MATCHLIST_PARENT : 0;
    data++;
    size--;
    struct span key = memory_key(&data, &size), value = span_of(data, size);
    /* Files that name themselves multiply with each level. */
    struct tables *ts = memory_tables(&file, data, size > 16 ? 16 : size);
    struct matchlist *l = matchlist_open(ts, SPAN("list"), value, kind, flags);
    enum table_result result = kind == MATCHLIST_HOST ? matchlist_has_host(l, key, key, &why) : matchlist_has(l, key, &why);
    CHECK((result == TABLE_TEMP) == (why.len > 0));
    matchlist_each_path(value, nothing, NULL);
    matchlist_close(&l);
    tables_free(&ts);
    buf_fini(&why);
    return 0;
}
