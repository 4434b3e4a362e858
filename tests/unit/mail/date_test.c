#include "lib/mail/date.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

#define SECOND INT64_C(1000000)

Test(date, is_written_as_postfix_writes_it)
{
    static const struct {
        const char *says;
        int64_t us;
        struct date_zone zone;
        const char *want;
    } rows[] = {
        {"the epoch", 0, {0, "UTC"}, "Thu,  1 Jan 1970 00:00:00 +0000 (UTC)"},
        {"just before it", -1, {0, "UTC"}, "Wed, 31 Dec 1969 23:59:59 +0000 (UTC)"},
        {"east of UTC", 1762161630 * SECOND + 999999, {60, "CET"}, "Mon,  3 Nov 2025 10:20:30 +0100 (CET)"},
        {"west, over midnight", 1762128000 * SECOND, {-210, "NST"}, "Sun,  2 Nov 2025 20:30:00 -0330 (NST)"},
        {"no name", 1762161630 * SECOND, {345, ""}, "Mon,  3 Nov 2025 15:05:30 +0545"},
        {"a leap day", 1709164799 * SECOND, {1, ""}, "Thu, 29 Feb 2024 00:00:59 +0001"},
        {"the end of February 1900",
         INT64_C(-2203891200) * SECOND,
         {0, ""},
         "Thu,  1 Mar 1900 00:00:00 +0000"},
        {"the end of 9999", 253402300799 * SECOND, {0, ""}, "Fri, 31 Dec 9999 23:59:59 +0000"},
        {"far beyond", INT64_MAX, {0, ""}, "Fri, 31 Dec 9999 23:59:59 +0000"},
        {"far before", INT64_MIN, {0, ""}, "Mon,  1 Jan 0001 00:00:00 +0000"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_INIT;
        date_put(&out, rows[i].us, &rows[i].zone);
        cr_expect_str_eq(buf_text(&out), rows[i].want, "%s: %s", rows[i].says, buf_text(&out));
        buf_fini(&out);
    }
}

Test(date, agrees_with_the_c_library_over_four_centuries)
{
    struct date_zone zone = {0};
    for (int64_t day = -80000; day < 80000; day++) {
        time_t seconds = (time_t)(day * 86400 + (day & 0xffff));
        struct tm tm;
        char want[64];
        gmtime_r(&seconds, &tm);
        strftime(want, sizeof want, "%a, %e %b %Y %H:%M:%S +0000", &tm);
        struct buf out = BUF_INIT;
        date_put(&out, (int64_t)seconds * SECOND, &zone);
        cr_assert_str_eq(buf_text(&out), want);
        buf_fini(&out);
    }
}

Test(date, takes_the_zone_of_the_machine_at_that_moment)
{
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();

    struct date_zone winter = date_local_zone(1762161630 * SECOND),
                     summer = date_local_zone(1751361630 * SECOND);

    cr_expect(winter.east_minutes == 60 && strcmp(winter.name, "CET") == 0);
    cr_expect(summer.east_minutes == 120 && strcmp(summer.name, "CEST") == 0);
}

Test(date, lets_no_odd_zone_name_into_a_header)
{
    setenv("TZ", "<+01\r\nX:)>-1", 1);
    tzset();

    struct date_zone zone = date_local_zone(0);

    for (const char *p = zone.name; *p; p++)
        cr_expect(byte_is_alnum((unsigned char)*p) || strchr("+-?", *p), "%s", zone.name);
}
