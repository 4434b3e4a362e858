/* The password file: every entry that is taken is found by its name, and is clean. */
/* links: auth */
#include "auth/passwd.h"
#include "lib/base/check.h"
#include "lib/mail/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct passwd_file f = PASSWD_FILE_INIT;
    size_t at = 0;
    const struct passwd_entry *e;
    CHECK(passwd_file_parse(&f, span_of(data, size)));
    while ((e = map_next(&f.by_name, &at))) {
        CHECK(passwd_file_find(&f, e->name) == e);
        CHECK(e->name.n > 0 && e->name.n <= PASSWD_NAME_MAX && address_is_clean(e->name));
        CHECK(e->uid >= -1 && e->uid < UINT32_MAX && e->gid >= -1 && e->gid < UINT32_MAX);
        CHECK(e->home.n == 0 || e->home.p[0] == '/');
    }
    CHECK((f.by_name.count > 0) == (f.first != NULL));
    CHECK((f.wrong > 0) == (f.wrong_line > 0));
    passwd_file_fini(&f);
    return 0;
}
