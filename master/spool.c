#include "master/spool.h"

#include "master/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

struct place {
    const char *path;
    const char *owner, *group; /* programs under whose users it stands where the server is root; NULL: root */
    mode_t mode;
};

/* What cleanup stores belongs to qmgr's group, so that qmgr alone reads and removes it. The
 * maildrop can be written by everybody and listed by pickup alone; what is made in it has pickup's
 * group, by which pickup reads it. */
static const struct place places[] = {
    {"pid", NULL, NULL, 0755},
    {"public", NULL, NULL, 0755},
    {"private", NULL, NULL, 0755},
    {"intake", NULL, NULL, 0755},
    {"queue", "cleanup", "qmgr", 02770},
    {"journal", "qmgr", "qmgr", 0700},
    {"corrupt", "qmgr", "qmgr", 0700},
    {"maildrop", "pickup", "pickup", 03733},
};
static const struct place intake_slot = {NULL, "cleanup", "qmgr", 02770};

static bool failed(struct buf *why, const char *what)
{
    buf_printf(why, "%s: %s", what, strerror(errno));
    return false;
}

bool spool_enter(const char *path, struct buf *why)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return failed(why, path);
    return chdir(path) == 0 || failed(why, path);
}

static bool find_owners(const struct place *p, uid_t *uid, gid_t *gid, struct buf *why)
{
    uid_t other_uid;
    gid_t other_gid;
    *uid = 0;
    *gid = 0;
    if (!p->owner)
        return true;
    if (user_find(wall_find(p->owner)->user, uid, &other_gid) && user_find(wall_find(p->group)->user, &other_uid, gid))
        return true;
    buf_printf(why, "there is no user \"%s\" or \"%s\" on this system: \"merpati check --fix\" makes the users of the "
               "server", wall_find(p->owner)->user, wall_find(p->group)->user);
    return false;
}

/* Makes the directory, or takes the one that is there. result: a descriptor, or -1 with why */
static int make_place(const struct place *p, const char *path, bool as_root, struct buf *why)
{
    uid_t uid;
    gid_t gid;
    struct stat st;
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return failed(why, path), -1;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool good = fd >= 0 && fstat(fd, &st) == 0;
    if (!good)
        failed(why, path);
    if (good && as_root) {
        good = find_owners(p, &uid, &gid, why);
        if (good && (st.st_uid != uid || st.st_gid != gid) && fchown(fd, uid, gid) != 0)
            good = failed(why, path);
    }
    if (good && (st.st_mode & 07777) != p->mode && fchmod(fd, p->mode) != 0)
        good = failed(why, path);
    if (!good && fd >= 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

bool spool_prepare(bool as_root, struct buf *why)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int fd = make_place(&places[i], places[i].path, as_root, why);
        if (fd < 0)
            return false;
        close(fd);
    }
    return true;
}

const char *spool_file_system_warning(void)
{
    struct statfs fs;
    if (statfs(".", &fs) != 0)
        return NULL;
    switch (fs.f_type) {
    case TMPFS_MAGIC:
        return "the queue directory lies in memory (tmpfs): mail in it is lost when the machine stops";
    case OVERLAYFS_SUPER_MAGIC:
        return "the queue directory lies on an overlay file system: give it a volume of its own, or mail is lost with "
               "the container";
    case NFS_SUPER_MAGIC:
        return "the queue directory lies on NFS: its locks and syncs are not to be trusted with mail";
    default:
        return NULL;
    }
}

int spool_open_directory(const char *name, const char *program, unsigned slot, bool as_root, struct buf *why)
{
    char path[64];
    if (strcmp(name, "intake") == 0 && strcmp(program, "cleanup") == 0) {
        snprintf(path, sizeof path, "intake/%u", slot);
        return make_place(&intake_slot, path, as_root, why);
    }
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        failed(why, name);
    return fd;
}
