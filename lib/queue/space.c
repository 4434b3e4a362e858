#include "lib/queue/space.h"

#include <errno.h>
#include <sys/statvfs.h>

enum store_result space_judge(const struct statvfs *figures, const struct space_limits *limits, uint64_t wanted,
                              struct buf *why)
{
    uint64_t unit = figures->f_frsize ? figures->f_frsize : 1;
    uint64_t blocks = (uint64_t)figures->f_bavail;
    uint64_t free_octets = blocks > UINT64_MAX / unit ? UINT64_MAX : blocks * unit;
    uint64_t limit = limits->message_limit;
    if (free_octets < limits->minimum_free || free_octets - limits->minimum_free < wanted ||
        (limit > 0 && (free_octets < limit || free_octets - limit < limit / 2))) {
        buf_printf(why, "%llu octets free", (unsigned long long)free_octets);
        return STORE_FULL;
    }
    if (figures->f_files > 0 && figures->f_favail < SPACE_INODES_MIN) {
        buf_printf(why, "%llu inodes free", (unsigned long long)figures->f_favail);
        return STORE_FULL;
    }
    return STORE_OK;
}

enum store_result space_check(int directory, const struct space_limits *limits, uint64_t wanted, struct buf *why)
{
    struct statvfs figures;
    if (fstatvfs(directory, &figures) != 0) {
        store_put_error(why, "free space", errno);
        return STORE_FAILED;
    }
    return space_judge(&figures, limits, wanted, why);
}
