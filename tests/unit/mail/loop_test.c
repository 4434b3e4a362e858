#include "lib/mail/loop.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

Test(loop, is_found_in_delivered_to_headers_only)
{
    static const struct {
        const char *says, *head, *address;
        bool there;
    } rows[] = {
        {"the address", "Subject: x\nDelivered-To: a@b\n\n", "a@b", true},
        {"in another case", "delivered-to:  A@B \n\n", "a@b", true},
        {"a second header", "Delivered-To: x@y\nDelivered-To: a@b\n\n", "a@b", true},
        {"a part of it", "Delivered-To: aa@b\n\n", "a@b", false},
        {"one that needs quotes", "Delivered-To: \"a b\"@c\n\n", "a b@c", true},
        {"another header", "X-Delivered-To: a@b\n\n", "a@b", false},
        {"the body", "Subject: x\n\nDelivered-To: a@b\n", "a@b", false},
        {"nothing", "", "a@b", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(loop_is_there(span_text(rows[i].head), span_text(rows[i].address)), rows[i].there, "%s",
                     rows[i].says);
}

Test(loop, reads_the_head_from_a_file)
{
    struct arena a = ARENA_INIT;
    char name[] = "/tmp/loop_test.XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    cr_assert_eq(write(fd, "xxDelivered-To: a@b\n\n", 21), 21);

    struct span head = loop_read_head(&a, SPAN_NONE, fd, 2, 19);

    cr_expect(span_eq(head, SPAN("Delivered-To: a@b\n\n")));
    cr_expect(span_eq(loop_read_head(&a, SPAN("text"), -1, 0, 0), SPAN("text")));
    cr_expect_eq(loop_read_head(&a, SPAN_NONE, fd, 2, 1 << 20).n, 19, "what there is");
    close(fd);
    arena_fini(&a);
}
