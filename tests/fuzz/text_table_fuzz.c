/* texthash, alias text and tables written in the spec. The first byte chooses: 0 texthash,
 * 1 alias text, else the input is a spec. */
#include "lib/table/maps.h"
#include "lib/table/text_lines.h"
#include "tests/fuzz/table_memory.h"

static void read_aliases(struct span text)
{
    struct text_lines lines;
    struct text_entry entry;
    struct buf name = BUF_INIT, fault = BUF_INIT;
    enum text_result result;
    unsigned last = 0;
    text_lines_init(&lines, text);
    while ((result = text_next_entry(&lines, TEXT_ALIAS, true, &name, &entry, &fault)) != TEXT_END) {
        CHECK(entry.line > last);
        CHECK((result == TEXT_FAULT) == (fault.len > 0));
        CHECK(result == TEXT_FAULT || (entry.key.n && entry.value.n));
        last = entry.line;
    }
    text_lines_fini(&lines);
    buf_fini(&name);
    buf_fini(&fault);
}

static void nothing(const char *path, void *context)
{
    (void)path;
    (void)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_file file;
    if (size == 0)
        return 0;
    struct span rest = span_of(data + 1, size - 1);
    if (data[0] == 1) {
        read_aliases(rest);
        return 0;
    }
    struct tables *ts = memory_tables(&file, rest.p, rest.n);
    struct maps *m = maps_open(ts, SPAN("x"), data[0] ? rest : SPAN("texthash:x"), TABLE_FOLD);
    struct buf value = BUF_INIT, why = BUF_INIT;
    maps_each_path(rest, nothing, NULL);
    maps_find(m, SPAN("a"), MAPS_ALL, &value, &why);
    maps_find(m, span_slice(rest, 0, 5), MAPS_FIXED, &value, &why);
    maps_close(&m);
    tables_free(&ts);
    buf_fini(&value);
    buf_fini(&why);
    return 0;
}
