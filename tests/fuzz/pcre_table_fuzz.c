/* Rule files of pcre and regexp tables, with any key. The least bit of the first byte
 * chooses the type. */
#include "tests/fuzz/table_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_file file;
    if (size == 0)
        return 0;
    struct span spec = data[0] & 1 ? SPAN("pcre:x") : SPAN("regexp:x");
    data++;
    size--;
    struct span key = memory_key(&data, &size);
    struct tables *ts = memory_tables(&file, data, size);
    struct table *t = table_open(ts, spec, 0);
    memory_find(t, key);
    memory_find(t, SPAN("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"));
    table_close(&t);
    tables_free(&ts);
    return 0;
}
