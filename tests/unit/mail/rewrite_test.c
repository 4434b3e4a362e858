#include "lib/mail/rewrite.h"

#include <criterion/criterion.h>

static const struct rewrite_config usual = {
    .append_at_myorigin = true,
    .append_dot_mydomain = true,
    .swap_bangpath = true,
    .allow_percent_hack = true,
    .myorigin = SPAN_INIT("example.com"),
    .mydomain = SPAN_INIT("example.com"),
};

static void check(const struct rewrite_config *config, enum rewrite_context context, const char *in,
                  const char *want)
{
    struct buf out = BUF_INIT;
    bool changed = rewrite_address(config, context, span_text(in), &out);
    cr_expect_str_eq(buf_text(&out), want, "%s: %s", in, buf_text(&out));
    cr_expect_eq(changed, strcmp(in, want) != 0, "%s", in);
    buf_fini(&out);
}

/* What Debian's trivial-rewrite 3.7 answers, in internal form. */
Test(rewrite, gives_the_standard_form_in_the_local_context)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"@", ""},
        {"user", "user@example.com"},
        {"user@example.com", "user@example.com"},
        {"user@EXAMPLE.com", "user@EXAMPLE.com"},
        {"user@host", "user@host.example.com"},
        {"user@host.", "user@host"},
        {"user@other.org.", "user@other.org"},
        {"user@other.org..", "user@other.org.."},
        {"user@.", "user@."},
        {"user@", "user@"},
        {"user@[192.0.2.1]", "user@[192.0.2.1]"},
        {"user@[x", "user@[x"},
        {"a!b", "b@a.example.com"},
        {"a!b!c", "b!c@a.example.com"},
        {"a.org!b%c", "b%c@a.org"},
        {"a!b@c.org", "a!b@c.org"},
        {"user%dom.org", "user@dom.org"},
        {"user%a%b.org", "user%a@b.org"},
        {"user%dom@c.org", "user%dom@c.org"},
        {"u v!w", "u v!w@example.com"},
        {"u v%w", "u v%w@example.com"},
        {"user@dom@relay.org", "user@dom@relay.org"},
        {".user@other.org", ".user@other.org"},
        {"@other.org", "@other.org"},
        {"!", "@"},
        {"%", "@"},
        {"postmaster", "postmaster@example.com"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(&usual, REWRITE_LOCAL, rows[i][0], rows[i][1]);
}

Test(rewrite, adds_nothing_to_headers_from_elsewhere)
{
    static const char *const rows[][2] = {
        {"user", "user"},         {"user@host", "user@host"},    {"a!b", "b@a"},
        {"user%dom", "user@dom"}, {"user@x.org.", "user@x.org"}, {"user.", "user."},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(&usual, REWRITE_REMOTE, rows[i][0], rows[i][1]);
}

Test(rewrite, adds_the_domain_set_for_remote_headers)
{
    struct rewrite_config config = usual;
    config.remote_header_rewrite_domain = SPAN("domain.invalid");

    check(&config, REWRITE_REMOTE, "user", "user@domain.invalid");
    check(&config, REWRITE_REMOTE, "user@host", "user@host.domain.invalid");
}

Test(rewrite, every_step_can_be_switched_off)
{
    struct rewrite_config none = {.myorigin = SPAN_INIT("example.com"), .mydomain = SPAN_INIT("example.com")};

    check(&none, REWRITE_LOCAL, "user", "user");
    check(&none, REWRITE_LOCAL, "user@host", "user@host");
    check(&none, REWRITE_LOCAL, "a!b", "a!b");
    check(&none, REWRITE_LOCAL, "a%b", "a%b");
    check(&none, REWRITE_LOCAL, "a@b.", "a@b");
}
