#include "mailbox/pipe_args.h"

#include <criterion/criterion.h>

struct scene {
    struct msg_recipient recipients[2];
    struct msg_attempt about;
    struct arena arena;
    struct pipe_command command;
    const char *dsn, *no;
};

static struct scene scene_new(void)
{
    return (struct scene){
        .recipients = {{.number = 1, .address = SPAN("Ann+Ext@Example.Com"), .original = SPAN("orig@x")},
                       {.number = 2, .address = SPAN("bob@b.test")}},
        .about = {.id = SPAN("ID1"),
                  .sender = SPAN("a b@sender.test"),
                  .nexthop = SPAN("Hop.Test"),
                  .text_size = 4711,
                  .envid = SPAN("E1"),
                  .login = SPAN("user1"),
                  .client_name = SPAN("host"),
                  .client_address = SPAN("192.0.2.1"),
                  .helo = SPAN("helo"),
                  .protocol = SPAN("ESMTP")}};
}

/* words: separated by '|'. result: the command's words, with '|' between */
static const char *make(struct scene *s, size_t recipients, const char *words)
{
    struct buf arguments = BUF_INIT, joined = BUF_INIT;
    for (const char *c = words; *c; c++)
        buf_putc(&arguments, *c == '|' ? '\0' : *c);
    buf_putc(&arguments, '\0');
    s->about.recipients.at = s->recipients;
    s->about.recipients.n = recipients;
    s->no = pipe_args_make(&s->arena, buf_span(&arguments), &s->about, SPAN("+"), &s->command, &s->dsn);
    for (size_t i = 0; !s->no && s->command.argv[i]; i++)
        buf_printf(&joined, "%s%s", i ? "|" : "", s->command.argv[i]);
    const char *result = arena_text(&s->arena, buf_span(&joined));
    buf_fini(&arguments);
    buf_fini(&joined);
    return s->no ? s->no : result;
}

Test(pipe_args, makes_the_words_of_the_command)
{
    static const struct {
        const char *says;
        size_t recipients;
        const char *words, *want;
    } rows[] = {
        {"words as they are", 1, "user=x|argv=/bin/cmd|-o|a b", "/bin/cmd|-o|a b"},
        {"names", 1, "argv=c|${sender}|${recipient}|$user|$(extension)|${domain}|${mailbox}",
         "c|a b@sender.test|Ann+Ext@Example.Com|Ann|Ext|Example.Com|Ann+Ext"},
        {"more names", 1, "argv=c|${nexthop}|${size}|${queue_id}|${envid}|${original_recipient}|x${sasl_username}",
         "c|Hop.Test|4711|ID1|E1|orig@x|xuser1"},
        {"the client", 1, "argv=c|$client_hostname|$client_address|$client_helo|$client_protocol",
         "c|host|192.0.2.1|helo|ESMTP"},
        {"a word for each recipient", 2, "argv=c|-f|${sender}|to=${recipient}|end",
         "c|-f|a b@sender.test|to=Ann+Ext@Example.Com|to=bob@b.test|end"},
        {"empty words stay", 2, "argv=c|${extension}||end", "c|Ext|||end"},
        {"folded", 1, "flags=hu|argv=c|${recipient}|${user}|${domain}|${nexthop}|${extension}",
         "c|ann+ext@example.com|ann|example.com|hop.test|ext"},
        {"quoted", 1, "flags=q|argv=c|${sender}|${recipient}", "c|\"a b\"@sender.test|Ann+Ext@Example.Com"},
        {"an option of the template", 1, "argv=c|-f${sender}", "c|-fa b@sender.test"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s = scene_new();

        const char *got = make(&s, rows[i].recipients, rows[i].words);

        cr_expect_str_eq(got, rows[i].want, "%s: %s", rows[i].says, got);
        arena_fini(&s.arena);
    }
}

Test(pipe_args, reads_the_settings)
{
    struct scene s = scene_new();

    make(&s, 1, "flags=BDFORX.>|user=u|directory=/var/x|eol=\\r\\n|null_sender=nobody|size=4711|argv=c");

    cr_expect_null(s.no);
    cr_expect_eq(s.command.flags, PIPE_BLANK_END | PIPE_DELIVERED_TO | PIPE_FROM_LINE | PIPE_ORIGINAL_TO |
                                      PIPE_RETURN_PATH | PIPE_FINAL | PIPE_DOTS | PIPE_QUOTE_FROM);
    cr_expect_str_eq(s.command.directory, "/var/x");
    cr_expect(span_eq(s.command.eol, SPAN("\r\n")));
    arena_fini(&s.arena);
}

Test(pipe_args, names_the_null_sender)
{
    struct scene s = scene_new();
    s.about.sender = SPAN_NONE;

    cr_expect_str_eq(make(&s, 1, "argv=c|${sender}"), "c|MAILER-DAEMON");
    cr_expect_str_eq(make(&s, 1, "null_sender=|argv=c|-f|${sender}|x"), "c|-f||x");
    arena_fini(&s.arena);
}

Test(pipe_args, lets_no_address_become_an_option)
{
    static const char *const words[] = {"argv=c|${recipient}", "argv=c|${user}", "argv=c|${extension}",
                                        "argv=c|${sender}", "argv=c|$(mailbox)"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct scene s = scene_new();
        s.recipients[0].address = SPAN("--help+-x@example.com");
        s.about.sender = SPAN("-oQ/tmp@x");

        make(&s, 1, words[i]);

        cr_expect_not_null(s.no, "%s", words[i]);
        cr_expect_str_eq(s.dsn, "5.1.3", "%s", words[i]);
        arena_fini(&s.arena);
    }
}

Test(pipe_args, refuses_what_it_cannot_do)
{
    static const struct {
        const char *says;
        size_t recipients;
        const char *words, *dsn;
    } rows[] = {
        {"no argv", 1, "user=x", "4.3.5"},
        {"an unknown setting", 1, "color=red|argv=c", "4.3.5"},
        {"an unknown flag", 1, "flags=Z|argv=c", "4.3.5"},
        {"an unknown name", 1, "argv=c|${color}", "4.3.5"},
        {"an open brace", 1, "argv=c|${sender", "4.3.5"},
        {"a chroot", 1, "chroot=/x|argv=c", "4.3.5"},
        {"D for two", 2, "flags=D|argv=c", "4.3.5"},
        {"a size that is no number", 1, "size=big|argv=c", "4.3.5"},
        {"a message over the size", 1, "size=4710|argv=c", "5.2.3"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s = scene_new();

        make(&s, rows[i].recipients, rows[i].words);

        cr_expect_not_null(s.no, "%s", rows[i].says);
        cr_expect_str_eq(s.dsn, rows[i].dsn, "%s", rows[i].says);
        arena_fini(&s.arena);
    }
}

Test(pipe_args, does_not_expand_what_addresses_hold)
{
    struct scene s = scene_new();
    s.recipients[0].address = SPAN("${sender}$(id)`x`;|&@example.com");

    cr_expect_str_eq(make(&s, 1, "argv=c|${recipient}"), "c|${sender}$(id)`x`;|&@example.com");
    arena_fini(&s.arena);
}
