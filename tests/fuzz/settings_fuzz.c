/* The flat form of settings as another process reads it: any octets. What is read is written alike. */
#include "lib/base/check.h"
#include "lib/param/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings s = SETTINGS_INIT;
    struct buf why = BUF_INIT;
    if (settings_read(&s, span_of(data, size), &why))
        for (size_t i = 0; i < s.count; i++)
            CHECK(settings_get(&s, s.all[i]->name) == s.all[i]);
    else
        CHECK(why.len > 0 && s.count == 0);
    settings_fini(&s);
    buf_fini(&why);
    return 0;
}
