#include "lib/queue/drop.h"

#include "lib/mail/dsn.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct msg_drop_recipient two[] = {{.address = SPAN_INIT("a@example.test")}, {.address = SPAN_INIT("b c@d.test")}};

static struct msg_drop envelope(void)
{
    return (struct msg_drop){.sender = SPAN("me@example.test"), .recipients = {two, 2}, .flags = DROP_SENDER};
}

static int make_file(const struct msg_drop *m, struct span text)
{
    struct drop_writer w;
    int fd = memfd_create("drop", MFD_CLOEXEC);
    cr_assert(drop_write_begin(&w, fd, m));
    drop_write(&w, text);
    cr_assert_eq(drop_write_end(&w), 0);
    return fd;
}

static uint64_t size_of(int fd)
{
    return (uint64_t)lseek(fd, 0, SEEK_END);
}

Test(drop, gives_back_what_was_written)
{
    struct arena a = ARENA_INIT;
    struct buf why = BUF_INIT;
    struct msg_drop m = envelope();
    struct drop d;
    char text[6] = {0};
    m.notify = DSN_NOTIFY_SUCCESS | DSN_NOTIFY_DELAY;
    m.ret = SPAN("HDRS");
    m.envid = SPAN("id 1");
    m.full_name = SPAN("M. E.");
    m.encoding = 8;
    int fd = make_file(&m, SPAN("x\n\ny\n"));

    cr_assert_eq(drop_read(&a, fd, size_of(fd), &d, &why), DROP_OK, "%s", buf_text(&why));

    cr_expect(span_eq(d.envelope.sender, m.sender));
    cr_assert_eq(d.envelope.recipients.n, 2u);
    cr_expect(span_eq(d.envelope.recipients.at[1].address, SPAN("b c@d.test")));
    cr_expect_eq(d.envelope.notify, m.notify);
    cr_expect(span_eq(d.envelope.ret, m.ret));
    cr_expect(span_eq(d.envelope.envid, m.envid));
    cr_expect(span_eq(d.envelope.full_name, m.full_name));
    cr_expect_eq(d.envelope.encoding, 8u);
    cr_expect_eq(d.text_size, 5u);
    cr_expect(drop_read_octets(fd, text, 5, d.text_at));
    cr_expect_str_eq(text, "x\n\ny\n");
    arena_fini(&a);
    close(fd);
}

Test(drop, a_text_of_many_pieces_comes_back_whole_also_from_a_copy)
{
    struct arena a = ARENA_INIT;
    struct buf why = BUF_INIT;
    struct msg_drop m = envelope();
    struct drop_writer w;
    struct drop d;
    int fd = memfd_create("drop", MFD_CLOEXEC), twin = memfd_create("twin", MFD_CLOEXEC);
    const unsigned lines = 50000;
    char line[8];
    cr_assert(drop_write_begin(&w, fd, &m));
    for (unsigned i = 0; i < lines; i++) {
        snprintf(line, sizeof line, "%06u\n", i);
        drop_write(&w, span_of(line, 7));
    }
    cr_assert_eq(drop_write_end(&w), 0);

    cr_assert_eq(drop_copy(fd, twin), 0);

    cr_assert_eq(drop_read(&a, twin, size_of(twin), &d, &why), DROP_OK, "%s", buf_text(&why));
    cr_assert_eq(d.text_size, 7u * lines);
    for (unsigned i = 0; i < lines; i += 999) {
        unsigned long number;
        cr_assert(drop_read_octets(twin, line, 7, d.text_at + 7u * i));
        line[6] = 0;
        number = strtoul(line, NULL, 10);
        cr_expect_eq(number, i);
    }
    arena_fini(&a);
    close(fd);
    close(twin);
}

Test(drop, is_unfinished_wherever_it_is_cut)
{
    struct msg_drop m = envelope();
    int fd = make_file(&m, SPAN("text\n"));
    uint64_t size = size_of(fd);

    for (uint64_t n = 0; n < size; n++) {
        struct arena a = ARENA_INIT;
        struct buf why = BUF_INIT;
        struct drop d;
        cr_expect_eq(drop_read(&a, fd, n, &d, &why), DROP_UNFINISHED, "at %llu", (unsigned long long)n);
        arena_fini(&a);
        buf_fini(&why);
    }
    close(fd);
}

Test(drop, is_unfinished_before_its_end_was_written)
{
    struct arena a = ARENA_INIT;
    struct buf why = BUF_INIT;
    struct msg_drop m = envelope();
    struct drop_writer w;
    struct drop d;
    int fd = memfd_create("drop", MFD_CLOEXEC);
    static const char much[100000];
    cr_assert(drop_write_begin(&w, fd, &m));
    drop_write(&w, span_of(much, sizeof much));

    cr_expect_eq(drop_read(&a, fd, size_of(fd), &d, &why), DROP_UNFINISHED);

    drop_write_end(&w);
    arena_fini(&a);
    buf_fini(&why);
    close(fd);
}

Test(drop, refuses_octets_behind_its_end)
{
    struct arena a = ARENA_INIT;
    struct buf why = BUF_INIT;
    struct msg_drop m = envelope();
    struct drop d;
    int fd = make_file(&m, SPAN("text\n"));
    cr_assert_eq(pwrite(fd, "x", 1, (off_t)size_of(fd)), 1);

    cr_expect_eq(drop_read(&a, fd, size_of(fd), &d, &why), DROP_MALFORMED);

    arena_fini(&a);
    buf_fini(&why);
    close(fd);
}

Test(drop, refuses_another_kind_of_file)
{
    static const char text[] = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n";
    struct drop d;
    size_t envelope;

    cr_expect_eq(drop_read_header(span_of(text, sizeof text - 1), sizeof text - 1, &envelope, &d), DROP_MALFORMED);
}

Test(drop, an_envelope_stands_at_the_limit_and_not_beyond)
{
    struct msg_drop m = envelope();
    struct drop_writer w;
    struct buf octets = BUF_INIT;
    int fd = memfd_create("drop", MFD_CLOEXEC);
    msg_drop_put(&octets, &m);
    size_t rest = DROP_ENVELOPE_MAX - octets.len - 5; /* tag and length of one more field */
    char *name = calloc(1, rest + 1);
    memset(name, 'x', rest + 1);

    m.full_name = span_of(name, rest);
    cr_expect(drop_write_begin(&w, fd, &m));
    cr_expect_eq(w.envelope, (size_t)DROP_ENVELOPE_MAX);
    drop_write_end(&w);
    m.full_name.n++;
    cr_expect_not(drop_write_begin(&w, fd, &m));

    free(name);
    buf_fini(&octets);
    close(fd);
}

Test(drop, takes_no_envelope_with_a_fault)
{
    static char longest[DROP_ADDRESS_MAX + 1];
    struct msg_drop_recipient bad = {.address = SPAN("a\nb@example.test")}, none = {.address = SPAN("")};
    struct msg_drop_recipient nul = {.address = span_of("a\0b", 3)};
    struct msg_drop good = envelope();
    memset(longest, 'x', sizeof longest);
    struct {
        const char *says;
        struct msg_drop m;
        bool taken;
    } rows[] = {
        {"good", good, true},
        {"null sender", good, true},
        {"line end in the sender", good, false},
        {"carriage return in the sender", good, false},
        {"NUL in the sender", good, false},
        {"sender at the limit", good, true},
        {"sender beyond the limit", good, false},
        {"line end in a recipient", good, false},
        {"NUL in a recipient", good, false},
        {"empty recipient", good, false},
        {"no recipient", good, false},
        {"recipients and -t", good, false},
        {"-t", good, true},
        {"line end in the full name", good, false},
        {"line end in the envelope ID", good, false},
        {"RET that is none", good, false},
        {"NOTIFY never with others", good, false},
        {"NOTIFY never", good, true},
        {"NOTIFY that is none", good, false},
        {"encoding that is none", good, false},
    };
    rows[1].m.sender = SPAN("");
    rows[2].m.sender = SPAN("a\nb");
    rows[3].m.sender = SPAN("a\rb");
    rows[4].m.sender = span_of("a\0b", 3);
    rows[5].m.sender = span_of(longest, DROP_ADDRESS_MAX);
    rows[6].m.sender = span_of(longest, DROP_ADDRESS_MAX + 1);
    rows[7].m.recipients.at = &bad, rows[7].m.recipients.n = 1;
    rows[8].m.recipients.at = &nul, rows[8].m.recipients.n = 1;
    rows[9].m.recipients.at = &none, rows[9].m.recipients.n = 1;
    rows[10].m.recipients.n = 0;
    rows[11].m.flags |= DROP_EXTRACT;
    rows[12].m.flags |= DROP_EXTRACT, rows[12].m.recipients.n = 0;
    rows[13].m.full_name = SPAN("a\nBcc: b");
    rows[14].m.envid = SPAN("a\nb");
    rows[15].m.ret = SPAN("ALL");
    rows[16].m.notify = DSN_NOTIFY_NEVER | DSN_NOTIFY_DELAY;
    rows[17].m.notify = DSN_NOTIFY_NEVER;
    rows[18].m.notify = 64;
    rows[19].m.encoding = 7;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a = ARENA_INIT;
        struct buf octets = BUF_INIT, why = BUF_INIT;
        struct msg_drop m;
        msg_drop_put(&octets, &rows[i].m);
        enum drop_result result = drop_read_envelope(&a, buf_span(&octets), &m, &why);
        cr_expect_eq(result, rows[i].taken ? DROP_OK : DROP_MALFORMED, "%s", rows[i].says);
        cr_expect_eq(why.len > 0, !rows[i].taken, "%s", rows[i].says);
        arena_fini(&a);
        buf_fini(&octets);
        buf_fini(&why);
    }
}
