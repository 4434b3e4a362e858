#include "lib/proc/wall.h"

#include "lib/proc/filter.h"
#include "lib/proc/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* In kernel headers only since 6.3. */
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

/* There only in sanitized builds. */
extern void __asan_init(void) __attribute__((weak));

/* The one spot where a sanitized build differs: its runtime traces its own process and reads
 * /proc to find leaks, which is just what the walls refuse. */
static bool is_sanitized(void)
{
    return __asan_init != NULL;
}

enum { RULES_MAX = 32, CAPABILITIES_MAX = 64 };

static const struct wall walls[] = {
#define WALL(program, user, directories, channels, syscalls, files, files_max, never) \
    {#program, user, directories, channels, syscalls, files, files_max, never},
#include "lib/proc/walls.def"
#undef WALL
};

#define CAP(name) (UINT64_C(1) << CAP_##name)

/* What deliver must do as root: become a user, own a fresh mailbox to the user, end the user's command.
 * Master starts deliver and all the others, so it has deliver's too; it opens what the configuration
 * names, whoever may read that, and sets owners, modes and limits right. */
static const struct {
    const char *program;
    uint64_t capabilities;
} keeps[] = {
    {"deliver", CAP(SETUID) | CAP(SETGID) | CAP(CHOWN) | CAP(KILL)},
    {"master", CAP(SETUID) | CAP(SETGID) | CAP(CHOWN) | CAP(KILL) | CAP(DAC_OVERRIDE) | CAP(FOWNER) | CAP(FSETID) |
                   CAP(NET_BIND_SERVICE) | CAP(SETPCAP) | CAP(SYS_RESOURCE)},
};

const struct wall *wall_at(unsigned i)
{
    return i < sizeof walls / sizeof *walls ? &walls[i] : NULL;
}

const struct wall *wall_find(const char *program)
{
    for (unsigned i = 0; i < sizeof walls / sizeof *walls; i++)
        if (span_eq(span_text(walls[i].program), span_text(program)))
            return &walls[i];
    return NULL;
}

bool wall_has_word(const char *words, struct span word)
{
    struct span rest = span_text(words), next;
    while (span_next_token(&rest, SPAN(" "), &next))
        if (span_eq(next, word))
            return true;
    return false;
}

unsigned wall_landlock_abi(void)
{
    return landlock_abi();
}

static bool failed(struct buf *why, const char *what)
{
    buf_printf(why, "%s: %s", what, strerror(errno));
    return false;
}

static bool wall_is_open(const struct wall *w)
{
    return wall_has_word(w->syscalls, SPAN("any"));
}

static bool set_limit(int resource, uint64_t most, bool hard_too, struct buf *why)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0)
        return failed(why, "getrlimit");
    if (limit.rlim_max > most && hard_too)
        limit.rlim_max = most;
    limit.rlim_cur = limit.rlim_max < most ? limit.rlim_max : most;
    if (setrlimit((__rlimit_resource_t)resource, &limit) != 0)
        return failed(why, "setrlimit");
    return true;
}

/* Only who has CAP_SETPCAP may shrink the bounding set; for the others no_new_privs makes it empty air. */
static bool shrink_bounding_set(uint64_t keep, struct buf *why)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct held[2];
    if (syscall(SYS_capget, &header, held) != 0)
        return failed(why, "capget");
    bool may_shrink = held[0].effective & (1u << CAP_SETPCAP);
    for (int cap = 0; may_shrink && cap < CAPABILITIES_MAX; cap++)
        if (!(keep >> cap & 1) && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1 &&
            prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0)
            return failed(why, "bounding set");
    return true;
}

/* Ambient, bounding, permitted, effective and inheritable sets shrink to keep. */
static bool drop_capabilities(uint64_t keep, struct buf *why)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct held[2], data[2] = {0};
    if (syscall(SYS_capget, &header, held) != 0)
        return failed(why, "capget");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return failed(why, "ambient capabilities");
    if (!shrink_bounding_set(keep, why))
        return false;
    for (int i = 0; i < 2; i++)
        data[i].permitted = data[i].effective = held[i].permitted & (uint32_t)(keep >> (32 * i));
    if (syscall(SYS_capset, &header, data) != 0)
        return failed(why, "capset");
    return true;
}

static uint64_t capabilities_kept(const struct wall *w)
{
    for (unsigned i = 0; i < sizeof keeps / sizeof *keeps; i++)
        if (span_eq(span_text(keeps[i].program), span_text(w->program)))
            return keeps[i].capabilities;
    return 0;
}

struct rules {
    struct landlock_rule at[RULES_MAX];
    unsigned n;
    int opened[RULES_MAX]; /* descriptors to be closed again */
    unsigned nopened;
};

static bool rules_add(struct rules *r, int fd, struct span rights)
{
    if (r->n == RULES_MAX)
        return false;
    r->at[r->n++] = (struct landlock_rule){fd, rights};
    return true;
}

/* A directory of the system; one that is not there needs no rule. */
static bool rules_add_path(struct rules *r, struct span name, struct span rights)
{
    char path[256];
    if (name.n >= sizeof path || r->nopened == RULES_MAX)
        return false;
    memcpy(path, name.p, name.n);
    path[name.n] = 0;
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return true;
    r->opened[r->nopened++] = fd;
    return rules_add(r, fd, rights);
}

/* One word of the row: "name:rights". */
static bool rules_add_word(struct rules *r, struct span word, const int *dirs, const char *const *names, unsigned n)
{
    size_t colon = span_find(word, ':');
    struct span name = span_slice(word, 0, colon), rights = span_skip(word, colon + 1);
    if (span_starts(name, SPAN("/")))
        return rules_add_path(r, name, rights);
    for (unsigned i = 0; i < n; i++)
        if (span_eq(name, span_text(names[i])) && !rules_add(r, dirs[i], rights))
            return false;
    return true;
}

static bool enter_landlock(const struct wall *w, const int *dirs, const char *const *names, unsigned n, struct buf *why)
{
    struct rules rules = {.n = 0};
    struct span rest = span_text(w->directories), word;
    bool fits = !is_sanitized() || rules_add_path(&rules, SPAN("/proc"), SPAN("r"));
    while (fits && span_next_token(&rest, SPAN(" "), &word))
        fits = rules_add_word(&rules, word, dirs, names, n);
    if (!fits)
        buf_printf(why, "more than %d directories", RULES_MAX);
    bool good = fits && landlock_enter(rules.at, rules.n, wall_has_word(w->syscalls, SPAN("dial")), why);
    for (unsigned i = 0; i < rules.nopened; i++)
        close(rules.opened[i]);
    return good;
}

bool wall_prepare(const char *program, struct buf *why)
{
    const struct wall *w = wall_find(program);
    return !w || wall_is_open(w) || shrink_bounding_set(0, why);
}

/* What every wall has, the open ones too. */
static bool enter_limits(const struct wall *w, struct buf *why)
{
    bool open = wall_is_open(w);
    if (!set_limit(RLIMIT_CORE, 0, true, why) || !set_limit(RLIMIT_NOFILE, w->files_max, !open, why))
        return false;
    if (!is_sanitized() && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return failed(why, "dumpable");
    return true;
}

bool wall_enter(const char *program, const int *dirs, const char *const *names, unsigned n, struct buf *why)
{
    const struct wall *w = wall_find(program);
    if (!w) {
        buf_printf(why, "no wall is declared for %s", program);
        return false;
    }
    if (!enter_limits(w, why) || !drop_capabilities(capabilities_kept(w), why))
        return false;
    if (wall_is_open(w))
        return true;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return failed(why, "no_new_privs");
    /* Refused by kernels before 6.3: there the filter alone keeps memory from becoming code. */
    (void)prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
    return enter_landlock(w, dirs, names, n, why) && (is_sanitized() || filter_enter(w->syscalls, why));
}
