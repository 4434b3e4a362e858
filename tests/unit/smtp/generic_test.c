#include "smtp/generic.h"
#include "tests/unit/smtp/world.h"

static struct world w; /* too large for a frame; each test is a process of its own */
static struct tables *tables;
static const struct line usual[] = {{NULL, NULL}};
static const struct server one_server[] = {{"192.0.2.1", usual, "250-SIZE\r\n"}, {NULL, NULL, NULL}};

static void open_with(const char *settings)
{
    world_open(&w, settings, false);
    tables = tables_new(&table_files_by_path, NULL);
    w.smtp.generic = generic_open(&w.arena, tables, &w.main, &w.mine);
    w.servers = one_server;
}

static void close_all(void)
{
    generic_close(&w.smtp.generic);
    tables_free(&tables);
    world_close(&w);
}

Test(generic, is_none_without_tables)
{
    open_with("");

    cr_expect_null(w.smtp.generic);
    close_all();
}

Test(generic, replaces_addresses_of_envelope_and_headers)
{
    open_with("smtp_generic_maps = inline:{ {me@home.lan = me@isp.test} {you@home.lan = you@isp.test} {@other.lan = all@isp.test} }");
    w.m.sender = SPAN("me@home.lan");
    w.recipients[0].address = SPAN("you@home.lan");
    w.m.text = SPAN("From: Me <me@home.lan>\nTo: \"You\" <YOU@home.lan>,\n\tx@other.lan, stays@test\nSubject: me@home.lan\n\n"
                    "me@home.lan stays in the text\n");

    world_deliver(&w);

    WANT(&w, 0, 2, "2.0.0", "ok");
    const char *heard = world_heard(&w, 0);
    cr_expect(strstr(heard, "MAIL FROM:<me@isp.test> SIZE=133\r\nRCPT TO:<you@isp.test>\r\n"), "%s", heard);
    cr_expect(strstr(heard, "From: Me <me@isp.test>\r\nTo: \"You\" <you@isp.test>,\r\n\tall@isp.test, stays@test\r\n"
                            "Subject: me@home.lan\r\n\r\nme@home.lan stays in the text\r\n.\r\n"),
              "%s", heard);
    close_all();
}

Test(generic, leaves_the_null_sender_alone)
{
    open_with("smtp_generic_maps = static:all@isp.test");
    w.m.sender = SPAN("");

    world_deliver(&w);

    cr_expect(strstr(world_heard(&w, 0), "MAIL FROM:<> "), "%s", world_heard(&w, 0));
    close_all();
}

Test(generic, keeps_a_text_without_body)
{
    static const struct {
        const char *text, *wire;
    } rows[] = {
        {"From: a@home.lan\n", "From: a@isp.test\r\n\r\n.\r\n"},
        {"From: a@home.lan\n\n", "From: a@isp.test\r\n\r\n.\r\n"},
        {"From: a@home.lan\nno header\n", "From: a@isp.test\r\n\r\nno header\r\n.\r\n"},
        {"\nbody\n", "DATA\r\n\r\nbody\r\n.\r\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        open_with("smtp_generic_maps = inline:{ {a@home.lan = a@isp.test} }");
        w.m.text = span_text(rows[i].text);

        world_deliver(&w);

        cr_expect(strstr(world_heard(&w, 0), rows[i].wire), "%s", world_heard(&w, 0));
        close_all();
    }
}

Test(generic, knows_a_local_address_by_its_local_part)
{
    open_with("mydestination = home.lan\nsmtp_generic_maps = inline:{ {me = me@isp.test} }");
    w.m.sender = SPAN("me@home.lan");
    w.recipients[0].address = SPAN("me@elsewhere.test");

    world_deliver(&w);

    cr_expect(strstr(world_heard(&w, 0), "FROM:<me@isp.test>"), "%s", world_heard(&w, 0));
    cr_expect(strstr(world_heard(&w, 0), "TO:<me@elsewhere.test>"), "%s", world_heard(&w, 0));
    close_all();
}

Test(generic, waits_where_a_table_does_not_work)
{
    open_with("smtp_generic_maps = texthash:/nonexistent/table");

    world_deliver(&w);

    WANT(&w, 0, 4, "4.3.0", "smtp_generic_maps lookup problem");
    cr_expect_eq(w.connects, 0u);
    close_all();
}
