#include "lib/mail/date.h"

#include <time.h>

enum { SECONDS_A_DAY = 86400, EPOCH_DAY = 719468 /* days from 0000-03-01 to 1970-01-01 */ };

/* 0001-01-01 00:00:00 and 9999-12-31 23:59:59 */
static const int64_t first_second = -62135596800, last_second = 253402300799;

static const char weekdays[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct date_zone date_utc(void)
{
    return (struct date_zone){.east_minutes = 0, .name = "UTC"};
}

static int64_t floor_div(int64_t value, int64_t by)
{
    return value / by - (value % by < 0 ? 1 : 0);
}

struct date_zone date_local_zone(int64_t us)
{
    struct date_zone zone = {0};
    struct tm local = {0};
    time_t seconds = (time_t)floor_div(us, 1000000);
    if (!localtime_r(&seconds, &local))
        return date_utc();
    zone.east_minutes = (int)(local.tm_gmtoff / 60);
    /* The name comes from a file or the environment: only what is harmless in a comment. */
    struct span name = span_text(local.tm_zone);
    for (size_t i = 0; i < name.n && i < DATE_ZONE_NAME_MAX; i++) {
        unsigned char c = span_at(name, i);
        zone.name[i] = byte_is_alnum(c) || c == '+' || c == '-' ? (char)c : '?';
    }
    return zone;
}

struct civil {
    int64_t year;
    unsigned month, day; /* 1.. */
};

/* The Gregorian date of a day; years are counted from March, so that the leap day
 * is a year's last. days: since 1970-01-01 */
static struct civil civil_of_days(int64_t days)
{
    int64_t z = days + EPOCH_DAY, era = floor_div(z, 146097);
    unsigned of_era = (unsigned)(z - era * 146097);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * of_year + 2) / 153;
    return (struct civil){
        .year = era * 400 + year + (month >= 10 ? 1 : 0),
        .month = month < 10 ? month + 3 : month - 9,
        .day = of_year - (153 * month + 2) / 5 + 1,
    };
}

void date_put(struct buf *out, int64_t us, const struct date_zone *zone)
{
    int64_t seconds = floor_div(us, 1000000) + (int64_t)zone->east_minutes * 60;
    seconds = seconds < first_second ? first_second : seconds > last_second ? last_second : seconds;
    int64_t days = floor_div(seconds, SECONDS_A_DAY);
    unsigned second = (unsigned)(seconds - days * SECONDS_A_DAY);
    unsigned weekday = (unsigned)((days % 7 + 11) % 7); /* 1970-01-01 was a Thursday */
    struct civil date = civil_of_days(days);
    unsigned east = (unsigned)(zone->east_minutes < 0 ? -zone->east_minutes : zone->east_minutes);

    buf_printf(out, "%s, %2u %s %04u %02u:%02u:%02u %c%02u%02u", weekdays[weekday], date.day,
               months[date.month - 1], (unsigned)date.year, second / 3600, second / 60 % 60, second % 60,
               zone->east_minutes < 0 ? '-' : '+', east / 60, east % 60);
    if (zone->name[0])
        buf_printf(out, " (%s)", zone->name);
}
