#include "proxymap/unix_table.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

enum { NSS_ROOM = 64 * 1024 }; /* octets for one entry; a larger group is a temporary error */

/* One way to ask. result: 0 and *found, or an errno */
typedef int (*unix_query)(const char *key, char *room, size_t size, struct buf *value, bool *found);

static void put_user(struct buf *value, const struct passwd *user)
{
    buf_printf(value, "%s:%s:%u:%u:%s:%s:%s", user->pw_name, "x", user->pw_uid, user->pw_gid, user->pw_gecos,
               user->pw_dir, user->pw_shell);
}

static int find_user(const char *key, char *room, size_t size, struct buf *value, bool *found)
{
    struct passwd entry, *user = NULL;
    int error = getpwnam_r(key, &entry, room, size, &user);
    *found = user != NULL;
    if (user)
        put_user(value, user);
    return error;
}

static int find_uid(const char *key, char *room, size_t size, struct buf *value, bool *found)
{
    struct passwd entry, *user = NULL;
    uint64_t uid;
    *found = false;
    if (!span_to_u64(span_text(key), UINT32_MAX - 1, &uid))
        return 0;
    int error = getpwuid_r((uid_t)uid, &entry, room, size, &user);
    *found = user != NULL;
    if (user)
        put_user(value, user);
    return error;
}

static int find_group(const char *key, char *room, size_t size, struct buf *value, bool *found)
{
    struct group entry, *group = NULL;
    int error = getgrnam_r(key, &entry, room, size, &group);
    *found = group != NULL;
    if (group) {
        buf_printf(value, "%s:%s:%u:", group->gr_name, "x", group->gr_gid);
        for (char **member = group->gr_mem; *member; member++)
            buf_printf(value, "%s%s", member == group->gr_mem ? "" : ",", *member);
    }
    return error;
}

/* Some libraries say "not there" by an error of their own. */
static bool means_absent(int error)
{
    return error == ENOENT || error == ESRCH || error == EBADF || error == EPERM;
}

static enum table_result ask(unix_query query, struct span key, struct buf *value, struct buf *why)
{
    bool found = false;
    char *name = strndup(key.p, key.n), *room = malloc(NSS_ROOM);
    int error = name && room ? query(name, room, NSS_ROOM, value, &found) : ENOMEM;
    free(name);
    free(room);
    if (found)
        return TABLE_FOUND;
    if (error == 0 || means_absent(error))
        return TABLE_NOT_FOUND;
    buf_printf(why, "the system's user database: %s", strerror(error));
    return TABLE_TEMP;
}

enum table_result unix_table_find(struct span name, struct span key, struct buf *value, struct buf *why)
{
    buf_clear(value);
    if (key.n == 0 || span_find(key, '\0') < key.n || span_find(key, ':') < key.n)
        return TABLE_NOT_FOUND;
    if (span_eq(name, SPAN("passwd.byname")))
        return ask(find_user, key, value, why);
    if (span_eq(name, SPAN("passwd.byuid")))
        return ask(find_uid, key, value, why);
    if (span_eq(name, SPAN("group.byname")))
        return ask(find_group, key, value, why);
    buf_printf(why, "unknown table unix:%.*s; there are unix:passwd.byname, unix:passwd.byuid and unix:group.byname",
               SPAN_ARG(name));
    return TABLE_TEMP;
}
