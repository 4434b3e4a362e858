#include "lib/mail/aliases.h"

#include <criterion/criterion.h>

static struct buf out = BUF_INIT;

/* All items as one line: "A[address]", "F[address]" for a final one, "|[command]", "/[path]", "I[path]", "!".
 */
static const char *describe(struct span text, enum aliases_form form)
{
    static const char letters[] = {'A', '|', '/', 'I', '!'};
    struct arena a = ARENA_INIT;
    struct aliases_scan scan;
    struct aliases_item item;
    buf_clear(&out);
    aliases_init(&scan, text, form);
    while (aliases_next(&scan, &a, &item)) {
        buf_putc(&out, item.final ? 'F' : letters[item.kind]);
        buf_putc(&out, '[');
        buf_put(&out, item.text);
        buf_putc(&out, ']');
    }
    arena_fini(&a);
    return buf_text(&out);
}

Test(aliases, tells_addresses_commands_files_and_inclusions_apart)
{
    static const struct {
        const char *says, *in, *want;
    } rows[] = {
        {"one", "user", "A[user]"},
        {"several", "user, a@b ,  c@d", "A[user]A[a@b]A[c@d]"},
        {"only blanks between", "a b", "A[a]A[b]"},
        {"a name", "User Name <a@b>, c", "A[a@b]A[c]"},
        {"empty", " , ,", ""},
        {"command", "|/bin/cat", "|[/bin/cat]"},
        {"command with words", "|/bin/cat -u x, user", "|[/bin/cat -u x]A[user]"},
        {"quoted command", "\"|/bin/cat a, b\", user", "|[/bin/cat a, b]A[user]"},
        {"command quoted behind the bar", "|\"/bin/cat a, b\"", "|[/bin/cat a, b]"},
        {"escapes in a command", "\"|echo \\\"x\\\" \\\\\"", "|[echo \"x\" \\]"},
        {"quotes within a command", "|sh -c \"a, b\" x", "|[sh -c \"a, b\" x]"},
        {"parentheses in a command", "|(cd x; y), z", "|[(cd x; y)]A[z]"},
        {"blank behind the bar", "| cmd", "|[cmd]"},
        {"no command", "|", "![]"},
        {"file", "/var/mail/x, y", "/[/var/mail/x]A[y]"},
        {"Maildir", "/home/x/Maildir/", "/[/home/x/Maildir/]"},
        {"quoted file", "\"/var/mail/a b, c\"", "/[/var/mail/a b, c]"},
        {"inclusion", ":include:/etc/list", "I[/etc/list]"},
        {"inclusion in capitals", ":Include: /etc/list , x", "I[/etc/list]A[x]"},
        {"quoted inclusion", "\":include:/etc/a b\"", "I[/etc/a b]"},
        {"path quoted within", ":include:\"/etc/a b\"", "I[/etc/a b]"},
        {"relative inclusion", ":include:list", "![list]"},
        {"inclusion of nothing", ":include:", "![]"},
        {"backslash", "\\user", "F[user]"},
        {"backslash and others", "\\user, other, \"|cmd\"", "F[user]A[other]|[cmd]"},
        {"comment", "user (the user, really), b", "A[user]A[b]"},
        {"an unclosed quote", "\"|cmd, user", "![\"|cmd, user]"},
        {"a quoted address", "\"a b\"@c", "A[a b@c]"},
        {"a group", "x: a, b;, c", "A[a]A[b]A[c]"},
        {"null", "<>", "![]"},
        {"a control byte in a path", "/tmp/a\x01", "![/tmp/a\x01]"},
        {"a CR in a command", "\"|a\rb\"", "![ab]"},
        {"a TAB in a command", "\"|a\tb\"", "![a\tb]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = describe(span_text(rows[i].in), ALIASES_VALUE);
        cr_expect_str_eq(got, rows[i].want, "%s: %s", rows[i].says, got);
    }
    cr_expect_str_eq(describe(SPAN("/tmp/a\0b"), ALIASES_VALUE), "![/tmp/a", "a NUL is no end");
}

Test(aliases, reads_files_line_by_line)
{
    cr_expect_str_eq(describe(SPAN("# comment, x\na, b\r\n\n|\"cmd x\"\n#y\n  \\c\n/f"), ALIASES_FILE),
                     "A[a]A[b]|[cmd x]F[c]/[/f]");
    cr_expect_str_eq(describe(SPAN("\"unclosed, x\nnext"), ALIASES_FILE), "![\"unclosed, x]A[next]");
    cr_expect_str_eq(describe(SPAN("a(\nb"), ALIASES_FILE), "A[a]A[b]");
    cr_expect_str_eq(describe(SPAN(""), ALIASES_FILE), "");
    cr_expect_str_eq(describe(SPAN("\n\n#"), ALIASES_FILE), "");
    cr_expect_str_eq(describe(SPAN("a,\nb"), ALIASES_FILE), "A[a]A[b]");
    cr_expect_str_eq(describe(SPAN("# a\nb"), ALIASES_VALUE), "A[#]A[a]A[b]");
}
