#include "cli/postmap/owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

bool owner_choose(uid_t directory, uid_t source, bool keeps_root, uid_t *uid, struct buf *why)
{
    *uid = directory ? directory : keeps_root ? 0 : source;
    if (!directory || !keeps_root)
        return true;
    buf_printf(why, "the directory belongs to user %u, in which root makes no table: leave out -o, or run this as that user",
               (unsigned)directory);
    return false;
}

bool owner_become(uid_t uid, struct buf *why)
{
    const struct passwd *user = getpwuid(uid);
    if (!user) {
        buf_printf(why, "user %u owns it but is not known here", (unsigned)uid);
        return false;
    }
    gid_t gid = user->pw_gid;
    if (setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
        buf_printf(why, "cannot become user %u: %s", (unsigned)uid, strerror(errno));
        return false;
    }
    return true;
}
