/* cidr tables, with any key; a pattern that is good is one of its own text form, too. */
#include "lib/table/cidr.h"
#include "tests/fuzz/table_memory.h"

static void read_again(struct span text)
{
    struct cidr c, twin;
    struct buf why = BUF_INIT, again = BUF_INIT;
    if (cidr_parse(text, &c, &why)) {
        CHECK(why.len == 0 && c.bits <= c.net.n * 8 && cidr_has(&c, &c.net));
        ip_put(&again, &c.net);
        buf_printf(&again, "/%u", c.bits);
        CHECK(cidr_parse(buf_span(&again), &twin, &why));
        CHECK(ip_eq(&c.net, &twin.net) && c.bits == twin.bits);
    } else {
        CHECK(why.len > 0);
    }
    buf_fini(&why);
    buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_file file;
    struct span key = memory_key(&data, &size);
    read_again(key);
    struct tables *ts = memory_tables(&file, data, size);
    struct table *t = table_open(ts, SPAN("cidr:x"), 0);
    memory_find(t, key);
    memory_find(t, SPAN("10.1.2.3"));
    memory_find(t, SPAN("2001:db8::1"));
    table_close(&t);
    tables_free(&ts);
    return 0;
}
