#include "lib/queue/space.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

static enum store_result judge(uint64_t octets, uint64_t inodes, struct space_limits limits, uint64_t wanted)
{
    struct statvfs figures = {.f_frsize = 1, .f_bavail = octets, .f_files = 1000, .f_favail = inodes};
    struct buf why = BUF_INIT;
    enum store_result result = space_judge(&figures, &limits, wanted, &why);
    cr_expect_eq(result == STORE_OK, why.len == 0);
    buf_fini(&why);
    return result;
}

Test(space, asks_for_one_and_a_half_of_the_message_limit)
{
    cr_expect_eq(judge(1500, 1000, (struct space_limits){0, 1000}, 0), STORE_OK);
    cr_expect_eq(judge(1499, 1000, (struct space_limits){0, 1000}, 0), STORE_FULL);
    cr_expect_eq(judge(0, 1000, (struct space_limits){0, 0}, 0), STORE_OK, "no limit");
}

Test(space, keeps_the_minimum_free_beside_the_message)
{
    cr_expect_eq(judge(300, 1000, (struct space_limits){100, 0}, 200), STORE_OK);
    cr_expect_eq(judge(300, 1000, (struct space_limits){100, 0}, 201), STORE_FULL);
    cr_expect_eq(judge(99, 1000, (struct space_limits){100, 0}, 0), STORE_FULL);
}

Test(space, keeps_some_inodes_where_the_file_system_counts_them)
{
    struct statvfs uncounted = {.f_frsize = 1, .f_bavail = 1000};
    struct space_limits none = {0};
    struct buf why = BUF_INIT;

    cr_expect_eq(judge(1000, SPACE_INODES_MIN, none, 0), STORE_OK);
    cr_expect_eq(judge(1000, SPACE_INODES_MIN - 1, none, 0), STORE_FULL);
    cr_expect_eq(space_judge(&uncounted, &none, 0, &why), STORE_OK);
    buf_fini(&why);
}

Test(space, of_a_real_directory_can_be_told)
{
    int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct buf why = BUF_INIT;

    cr_expect_eq(space_check(fd, &(struct space_limits){0, 0}, 0, &why), STORE_OK);
    cr_expect_eq(space_check(fd, &(struct space_limits){UINT64_MAX, 0}, 0, &why), STORE_FULL);
    buf_clear(&why);
    cr_expect_eq(space_check(-1, &(struct space_limits){0, 0}, 0, &why), STORE_FAILED);
    buf_fini(&why);
    close(fd);
}
