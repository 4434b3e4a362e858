#include "lib/proc/landlock.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Our own declarations: Debian 12 builds with headers of ABI 2 and may run on a newer kernel. */
struct ruleset {
    uint64_t fs, net, scoped;
};
struct path_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

enum { ATTR_VERSION = 1, RULE_PATH_BENEATH = 1 };
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_REMOVE_DIR = 1 << 4,
    FS_REMOVE_FILE = 1 << 5,
    FS_MAKE_DIR = 1 << 7,
    FS_MAKE_REG = 1 << 8,
    FS_REFER = 1 << 13,
    FS_TRUNCATE = 1 << 14,
};
enum { NET_ALL = 3 /* bind, connect */, SCOPED_ALL = 3 /* abstract sockets, signals */ };

static const struct {
    char letter;
    uint64_t rights;
} letters[] = {
    {'r', FS_READ_FILE | FS_READ_DIR},
    {'w', FS_WRITE_FILE | FS_MAKE_REG | FS_TRUNCATE | FS_REFER},
    {'d', FS_REMOVE_FILE | FS_REFER},
    {'m', FS_MAKE_DIR | FS_REMOVE_DIR},
    {'x', FS_EXECUTE},
};

unsigned landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, ATTR_VERSION);
    /* Version 1 refuses to link and rename from one directory into another, which is how mail is delivered
     * into a Maildir: no use to us. */
    return abi < 2 ? 0 : (unsigned)abi;
}

/* Every right on files that this version knows. */
static uint64_t fs_rights_of(unsigned abi)
{
    unsigned bits = abi >= 5 ? 16 : abi >= 3 ? 15 : 14;
    return (UINT64_C(1) << bits) - 1;
}

static size_t attr_size_of(unsigned abi)
{
    return abi >= 6 ? sizeof(struct ruleset) : abi >= 4 ? offsetof(struct ruleset, scoped)
                                                        : offsetof(struct ruleset, net);
}

static bool rights_of(struct span text, uint64_t *rights)
{
    *rights = 0;
    for (size_t i = 0; i < text.n; i++) {
        size_t k = 0;
        while (k < sizeof letters / sizeof *letters && letters[k].letter != text.p[i])
            k++;
        if (k == sizeof letters / sizeof *letters)
            return false;
        *rights |= letters[k].rights;
    }
    return true;
}

static bool add_rules(int ruleset, uint64_t handled, const struct landlock_rule *rules, unsigned n, struct buf *why)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t rights;
        if (!rights_of(rules[i].rights, &rights)) {
            buf_printf(why, "Landlock: unknown rights \"%.*s\"", SPAN_ARG(rules[i].rights));
            return false;
        }
        struct path_beneath rule = {rights & handled, rules[i].fd};
        if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) != 0) {
            buf_printf(why, "Landlock rule: %s", strerror(errno));
            return false;
        }
    }
    return true;
}

bool landlock_enter(const struct landlock_rule *rules, unsigned n, bool may_dial, struct buf *why)
{
    unsigned abi = landlock_abi();
    if (abi == 0)
        return true;
    struct ruleset all = {.fs = fs_rights_of(abi), .net = may_dial ? 0 : NET_ALL, .scoped = SCOPED_ALL};
    long ruleset = syscall(SYS_landlock_create_ruleset, &all, attr_size_of(abi), 0);
    if (ruleset < 0) {
        buf_printf(why, "Landlock: %s", strerror(errno));
        return false;
    }
    bool good = add_rules((int)ruleset, all.fs, rules, n, why);
    if (good && syscall(SYS_landlock_restrict_self, (int)ruleset, 0) != 0) {
        buf_printf(why, "Landlock: %s", strerror(errno));
        good = false;
    }
    close((int)ruleset);
    return good;
}
