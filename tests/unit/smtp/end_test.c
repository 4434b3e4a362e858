#include "tests/unit/smtp/world.h"

/* What a server may say to the end of a message, and what each leads to. The same rows are the
 * table in docs/design/smtp-replies.md, which is compared with them. */

static struct world w;

enum { SENT = 2, DEFERRED = 4, BOUNCED = 5 };

static char long_line[5000], very_long_line[70000], many_lines[6000];

static const struct row {
    const char *says;  /* in words, for the table */
    const char *on;    /* the command that it is said to: "." unless an earlier one */
    const char *say;   /* NULL: hangs up; "": says nothing */
    const char *shown; /* for the table; NULL: say, escaped */
    unsigned class;
    const char *dsn, *words;
    bool quits; /* the client takes its leave in order: QUIT */
} rows[] = {
    {"the usual yes", ".", "250 2.0.0 Ok: queued as 1\r\n", NULL, SENT, "2.0.0", "250 2.0.0 Ok", true},
    {"yes without enhanced code", ".", "250 ok\r\n", NULL, SENT, "2.0.0", "250 ok", true},
    {"yes without text", ".", "250\r\n", NULL, SENT, "2.0.0", "250", true},
    {"yes with a blank", ".", "250 \r\n", NULL, SENT, "2.0.0", "250", true},
    {"yes ended by LF alone", ".", "250 ok\n", NULL, SENT, "2.0.0", "250 ok", true},
    {"yes in two lines", ".", "250-one\r\n250 two\r\n", NULL, SENT, "2.0.0", "250-one 250 two", true},
    {"another 2xx", ".", "299 odd\r\n", NULL, SENT, "2.0.0", "299 odd", true},
    {"yes with an enhanced code of failure", ".", "250 5.7.1 no\r\n", NULL, SENT, "2.0.0", "250 5.7.1 no", true},
    {"yes, then the server ends the session", ".", "250 ok\r\n421 bye\r\n", NULL, SENT, "2.0.0", "250 ok", false},
    {"two yes", ".", "250 ok\r\n250 ok\r\n", NULL, SENT, "2.0.0", "250 ok", false},
    {"yes, then no", ".", "250 ok\r\n554 no\r\n", NULL, SENT, "2.0.0", "250 ok", false},
    {"yes, then half a line", ".", "250 ok\r\n25", NULL, SENT, "2.0.0", "250 ok", false},
    {"yes with control characters", ".", "250 a\033b\r\n", NULL, SENT, "2.0.0", "250 a?b", true},
    {"not now", ".", "451 4.7.0 later\r\n", NULL, DEFERRED, "4.7.0", "end of DATA command", true},
    {"not now, without enhanced code", ".", "450 later\r\n", NULL, DEFERRED, "4.0.0", "450 later", true},
    {"not now, with an enhanced code of a yes", ".", "451 2.0.0 fine\r\n", NULL, DEFERRED, "4.0.0", "451 2.0.0 fine", true},
    {"not now, in lines of different 4xx", ".", "450-a\r\n451 b\r\n", NULL, DEFERRED, "4.0.0", "450-a 451 b", true},
    {"end of service", ".", "421 4.3.2 closing\r\n", NULL, DEFERRED, "4.3.2", "421 4.3.2 closing", false},
    {"not now, then it hangs up", ".", "452 4.3.1 full\r\n", NULL, DEFERRED, "4.3.1", "452 4.3.1 full", true},
    {"no", ".", "554 5.7.1 spam\r\n", NULL, BOUNCED, "5.7.1", "554 5.7.1 spam", true},
    {"no, without enhanced code", ".", "550 no\r\n", NULL, BOUNCED, "5.0.0", "550 no", true},
    {"no, with an enhanced code of a yes", ".", "550 2.0.0 no\r\n", NULL, BOUNCED, "5.0.0", "550 2.0.0 no", true},
    {"no, with an enhanced code of \"not now\"", ".", "550 4.7.1 no\r\n", NULL, BOUNCED, "5.0.0", "550 4.7.1 no", true},
    {"no, in lines", ".", "550-5.7.1 not\r\n550 5.7.1 you\r\n", NULL, BOUNCED, "5.7.1", "550-5.7.1 not 550 5.7.1 you", true},
    {"no, in a very long line", ".", long_line, "550 and 4,990 letters", BOUNCED, "5.0.0", "550 xxxx", true},
    {"a second \"go on\"", ".", "354 go on\r\n", NULL, DEFERRED, "4.5.0", "an answer to something else", false},
    {"a greeting", ".", "220 remote.test ESMTP\r\n", NULL, DEFERRED, "4.5.0", "an answer to something else", false},
    {"a farewell", ".", "221 bye\r\n", NULL, DEFERRED, "4.5.0", "an answer to something else", false},
    {"an answer to AUTH", ".", "334 VXNlcm5hbWU6\r\n", NULL, DEFERRED, "4.5.0", "an answer to something else", false},
    {"1xx", ".", "150 soon\r\n", NULL, DEFERRED, "4.5.0", "out of range", false},
    {"0xx", ".", "050 x\r\n", NULL, DEFERRED, "4.5.0", "out of range", false},
    {"6xx", ".", "650 x\r\n", NULL, DEFERRED, "4.5.0", "out of range", false},
    {"two digits", ".", "25 ok\r\n", NULL, DEFERRED, "4.5.0", "without reply code", false},
    {"four digits", ".", "2500 ok\r\n", NULL, DEFERRED, "4.5.0", "without reply code", false},
    {"code and text without a blank", ".", "250ok\r\n", NULL, DEFERRED, "4.5.0", "without reply code", false},
    {"a blank before the code", ".", " 250 ok\r\n", NULL, DEFERRED, "4.5.0", "without reply code", false},
    {"an empty line before the reply", ".", "\r\n250 ok\r\n", NULL, DEFERRED, "4.5.0", "without reply code", false},
    {"text without a code", ".", "ok\r\n", NULL, DEFERRED, "4.5.0", "without reply code", false},
    {"garbage before the reply", ".", "debug: stored\r\n250 ok\r\n", NULL, DEFERRED, "4.5.0", "without reply code", false},
    {"a NUL before the code", ".", "\001\r\n250 ok\r\n", NULL, DEFERRED, "4.5.0", "without reply code", false},
    {"HTTP", ".", "HTTP/1.1 400 Bad Request\r\n\r\n", NULL, DEFERRED, "4.5.0", "without reply code", false},
    {"POP3", ".", "+OK\r\n", NULL, DEFERRED, "4.5.0", "without reply code", false},
    {"lines that disagree: yes, no", ".", "250-ok\r\n550 no\r\n", NULL, DEFERRED, "4.5.0", "different codes", false},
    {"lines that disagree: no, yes", ".", "550-no\r\n250 ok\r\n", NULL, DEFERRED, "4.5.0", "different codes", false},
    {"lines that disagree: go on, yes", ".", "354-a\r\n250 ok\r\n", NULL, DEFERRED, "4.5.0", "different codes", false},
    {"a line of text among its lines", ".", "250-a\r\nb\r\n250 c\r\n", NULL, DEFERRED, "4.5.0", "without reply code", false},
    {"an endless reply", ".", many_lines, "600 times 250-x", DEFERRED, "4.5.0", "too many lines", false},
    {"a line without end", ".", very_long_line, "250 and 69,990 letters", DEFERRED, "4.5.0", "too much text", false},
    {"nothing: it hangs up", ".", NULL, "", DEFERRED, "4.4.2", "may be sent more than once", false},
    {"nothing: it is silent", ".", "", "", DEFERRED, "4.4.2", "timed out while sending end of data", false},
    {"half a line, then silence", ".", "250 o", NULL, DEFERRED, "4.4.2", "timed out while sending end of data", false},
    {"the first of two lines, then silence", ".", "250-ok\r\n", NULL, DEFERRED, "4.4.2", "timed out", false},
    {"yes before the text was sent", "DATA", "354 go on\r\n250 ok\r\n", NULL, DEFERRED, "4.5.0", "answers nothing", false},
    {"no before the text was sent", "DATA", "354 go on\r\n554 no\r\n", NULL, DEFERRED, "4.5.0", "answers nothing", false},
    {"a reply too many to MAIL", "MAIL", "250 ok\r\n250 ok\r\n", NULL, DEFERRED, "4.5.0", "answers nothing", false},
    {"a reply too many to RCPT", "RCPT", "250 ok\r\n250 ok\r\n", NULL, DEFERRED, "4.5.0", "answers nothing", false},
    {"a reply too many to EHLO", "EHLO", "250 remote.test\r\n250 ok\r\n", NULL, DEFERRED, "4.5.0", "answers nothing", false},
    {"yes instead of \"go on\"", "DATA", "250 ok\r\n", NULL, DEFERRED, "4.5.0", "an answer to something else", false},
};
enum { ROWS = sizeof rows / sizeof *rows };

static void fill_long_ones(void)
{
    memset(long_line, 'x', sizeof long_line - 1);
    memcpy(long_line, "550 ", 4);
    memcpy(long_line + sizeof long_line - 3, "\r\n", 3);
    memset(very_long_line, 'x', sizeof very_long_line - 1);
    memcpy(very_long_line, "250 ", 4);
    memcpy(very_long_line + sizeof very_long_line - 3, "\r\n", 3);
    for (size_t i = 0; i < 600; i++)
        memcpy(many_lines + i * 7, "250-x\r\n", 8);
}

Test(end_of_data, leads_to_what_the_table_says)
{
    fill_long_ones();
    for (size_t i = 0; i < ROWS; i++) {
        const struct line lines[] = {{rows[i].on, rows[i].say}, {NULL, NULL}};
        const struct server servers[] = {{"192.0.2.1", lines, "250-8BITMIME\r\n"}, {NULL, NULL, NULL}};
        world_open(&w, "smtp_data_done_timeout = 1s", false);
        w.servers = servers;

        world_deliver(&w);

        const struct msg_verdict *v = &w.d.verdicts[0];
        cr_expect_eq(v->class, rows[i].class, "%s: class %d: %.*s", rows[i].says, (int)v->class, SPAN_ARG(v->text));
        cr_expect(span_eq(v->dsn, span_text(rows[i].dsn)), "%s: %.*s", rows[i].says, SPAN_ARG(v->dsn));
        cr_expect(memmem(v->text.p, v->text.n, rows[i].words, strlen(rows[i].words)), "%s: %.*s", rows[i].says,
                  SPAN_ARG(v->text));
        bool quits = strstr(world_heard(&w, 0), "QUIT\r\n") != NULL;
        cr_expect_eq(quits, rows[i].quits, "%s: %s", rows[i].says, quits ? "QUIT" : "no QUIT");
        world_close(&w);
    }
}

/* --- the document ------------------------------------------------------------------- */

static void put_escaped(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\r')
            buf_puts(out, "\\r");
        else if (*text == '\n')
            buf_puts(out, "\\n");
        else if (*text == '|')
            buf_puts(out, "\\|");
        else if (byte_is_print((unsigned char)*text))
            buf_putc(out, *text);
        else
            buf_printf(out, "\\x%02x", (unsigned)(unsigned char)*text);
    }
}

static void put_row(struct buf *out, const struct row *r)
{
    static const char *const classes[] = {[SENT] = "sent", [DEFERRED] = "deferred", [BOUNCED] = "bounced"};
    buf_printf(out, "| %s | %s | ", r->says, r->on[0] == '.' ? "end of data" : r->on);
    const char *shown = r->shown ? r->shown : r->say;
    if (shown[0]) {
        buf_putc(out, '`');
        put_escaped(out, shown);
        buf_putc(out, '`');
    }
    buf_printf(out, " | %s %s | %s |\n", classes[r->class], r->dsn, r->quits ? "QUIT" : "closed");
}

Test(end_of_data, is_told_so_in_the_document)
{
    struct buf table = BUF_INIT, page = BUF_INIT;
    char block[4096];
    for (size_t i = 0; i < ROWS; i++)
        put_row(&table, &rows[i]);

    FILE *f = fopen("docs/design/smtp-replies.md", "r");
    cr_assert(f, "run from the top of the sources");
    for (size_t n; (n = fread(block, 1, sizeof block, f));)
        buf_put(&page, span_of(block, n));
    fclose(f);

    cr_expect(strstr(buf_text(&page), buf_text(&table)), "docs/design/smtp-replies.md: its table should be:\n%s",
              buf_text(&table));
    buf_fini(&table);
    buf_fini(&page);
}
