#include "cli/postconf/postconf.h"

#include <criterion/criterion.h>

Test(pattern, splits_at_the_type)
{
    static const struct {
        const char *in;
        size_t parts;
        bool good;
        const char *name, *type, *rest;
    } rows[] = {
        {"smtp", 2, true, "smtp", "*", "*"},
        {"smtp/inet", 2, true, "smtp", "inet", "*"},
        {"*/unix", 2, true, "*", "unix", "*"},
        {"smtp/*", 2, true, "smtp", "*", "*"},
        {"a.b/c/unix", 2, true, "a.b/c", "unix", "*"},
        {"public/x", 2, true, "public/x", "*", "*"},
        {"relay/unix/syslog_name", 3, true, "relay", "unix", "syslog_name"},
        {"log/unix-dgram", 2, true, "log", "unix-dgram", "*"},
        {"relay/unix/syslog_name", 2, false, "", "", ""},
        {"", 2, false, "", "", ""},
        {"/inet", 2, false, "", "", ""},
        {"a/inet/", 3, false, "", "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct pattern p;
        cr_assert_eq(pattern_parse(span_text(rows[i].in), rows[i].parts, &p), rows[i].good, "%s", rows[i].in);
        if (!rows[i].good)
            continue;
        cr_expect(span_eq(p.name, span_text(rows[i].name)), "%s", rows[i].in);
        cr_expect(span_eq(p.type, span_text(rows[i].type)), "%s", rows[i].in);
        cr_expect(span_eq(p.rest, span_text(rows[i].rest)), "%s", rows[i].in);
    }
}

Test(pattern, services_are_written_in_columns)
{
    static const struct {
        const char *in, *line, *folded;
    } rows[] = {
        {"smtp inet n - y - - smtpd", "smtp       inet  n       -       y       -       -       smtpd\n",
         "smtp       inet  n       -       y       -       -       smtpd\n"},
        {"scalemail-backend unix - n n - 2 pipe a b",
         "scalemail-backend unix - n       n       -       2       pipe a b\n",
         "scalemail-backend unix - n       n       -       2       pipe a b\n"},
        {"a unix - - n - - smtp -v -o b=c -D {d e} f",
         "a          unix  -       -       n       -       -       smtp -v -o b=c -D {d e} f\n",
         "a          unix  -       -       n       -       -       smtp -v\n    -o b=c\n    -D {d e} f\n"},
        {"a unix - - n - - b -o{c=d}} e", "a          unix  -       -       n       -       -       b -o{c=d}} e\n",
         "a          unix  -       -       n       -       -       b\n    -o{c=d}}\n    e\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a = ARENA_INIT;
        struct service service;
        struct buf line = BUF_INIT, folded = BUF_INIT;
        cr_assert(mastercf_parse_line(&a, span_text(rows[i].in), (struct param_place){0}, &service, NULL));
        put_service(&line, &service, false);
        put_service(&folded, &service, true);
        cr_expect_str_eq(buf_text(&line), rows[i].line);
        cr_expect_str_eq(buf_text(&folded), rows[i].folded);
        buf_fini(&line);
        buf_fini(&folded);
        arena_fini(&a);
    }
}
