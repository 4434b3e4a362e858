#include "lib/mail/recipient.h"

#include <criterion/criterion.h>

static const struct recipient_names ann = {
    .user = SPAN_INIT("ann"),
    .extension = SPAN_INIT("x;y"),
    .delimiter = SPAN_INIT("+"),
    .local = SPAN_INIT("ann+x;y"),
    .domain = SPAN_INIT("example.com"),
    .recipient = SPAN_INIT("ann+x;y@example.com"),
    .home = SPAN_INIT("/home/ann"),
    .sender = SPAN_INIT("$(id)@`x`"),
};

Test(recipient, puts_values_in_filtered_and_unexpanded)
{
    static const struct {
        const char *text, *want;
        unsigned seen;
    } rows[] = {
        {"$home/.forward", "/home/ann/.forward", 0},
        {"$home/.forward${recipient_delimiter}${extension}", "/home/ann/.forward+x_y", RECIPIENT_SAW_EXTENSION},
        {"/usr/bin/x -a \"$extension\" $user@$domain", "/usr/bin/x -a \"x_y\" ann@example.com",
         RECIPIENT_SAW_EXTENSION},
        {"$sender", "__id_@_x_", 0},
        {"$shell", "", RECIPIENT_SAW_NOTHING},
        {"$nothing $$", " $", RECIPIENT_SAW_NOTHING},
        {"${shell?x}${user?{y}}", "y", RECIPIENT_SAW_NOTHING},
        {"", "", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf out = BUF_INIT, why = BUF_INIT;
        unsigned seen = 99;

        bool good = recipient_expand(&out, span_text(rows[i].text), &ann,
                                     SPAN("abcdefghijklmnopqrstuvwxyz./@+-"), &seen, &why);

        cr_expect(good, "%s: %s", rows[i].text, buf_text(&why));
        cr_expect_str_eq(buf_text(&out), rows[i].want, "%s: %s", rows[i].text, buf_text(&out));
        cr_expect_eq(seen, rows[i].seen, "%s", rows[i].text);
        buf_fini(&out);
        buf_fini(&why);
    }
}

Test(recipient, leaves_values_alone_without_a_filter)
{
    struct buf out = BUF_INIT, why = BUF_INIT;

    cr_assert(recipient_expand(&out, SPAN("$sender"), &ann, SPAN_NONE, NULL, &why));

    cr_expect_str_eq(buf_text(&out), "$(id)@`x`");
    buf_fini(&out);
    buf_fini(&why);
}

Test(recipient, says_what_is_wrong_with_the_text)
{
    struct buf out = BUF_INIT, why = BUF_INIT;

    cr_expect_not(recipient_expand(&out, SPAN("${user"), &ann, SPAN_NONE, NULL, &why));

    cr_expect_gt(why.len, 0);
    buf_fini(&out);
    buf_fini(&why);
}
