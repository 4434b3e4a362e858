#include "lib/dns/dns.h"

#include <criterion/criterion.h>

#include <unistd.h>

/* Somebody who answers in dnsd's place, in the same loop. */
struct fake {
    struct loop *loop;
    struct channel *ours, *theirs;
    unsigned asked, opened;
    bool silent;         /* answers nothing */
    unsigned dies_first; /* so many questions end the channel instead */
    struct msg_dns_reply a, aaaa, other;
};

static void answer_as_told(struct channel *c, struct frame *f, void *context)
{
    struct fake *fake = context;
    struct arena scratch = ARENA_INIT;
    struct msg_dns_query query;
    struct buf body = BUF_INIT;
    fake->asked++;
    cr_assert(msg_dns_query_get(&scratch, f->body, &query));
    if (fake->dies_first) {
        fake->dies_first--;
        channel_close(&fake->theirs);
    } else if (!fake->silent) {
        msg_dns_reply_put(&body, query.type == DNS_TYPE_A      ? &fake->a
                                 : query.type == DNS_TYPE_AAAA ? &fake->aaaa
                                                               : &fake->other);
        channel_reply(c, f->id, MSG_dns_reply, buf_span(&body), NULL, 0);
    }
    buf_fini(&body);
    arena_fini(&scratch);
}

static void ended(struct channel *c, void *context)
{
    struct fake *fake = context;
    if (fake->ours == c)
        channel_close(&fake->ours);
    else
        channel_close(&fake->theirs);
}

static struct channel *open_channel(void *context, mono_ms deadline)
{
    static const struct channel_handler handler = {answer_as_told, ended};
    struct fake *fake = context;
    int fds[2];
    (void)deadline;
    if (fake->ours)
        return fake->ours;
    fake->opened++;
    cr_assert(channel_pair(fds));
    fake->ours = channel_open(fake->loop, fds[0], "dnsd/0", &handler, fake);
    fake->theirs = channel_open(fake->loop, fds[1], "smtp/0", &handler, fake);
    return fake->ours;
}

static struct channel *no_channel(void *context, mono_ms deadline)
{
    (void)context, (void)deadline;
    return NULL;
}

static struct dns_client client_of(struct fake *fake)
{
    if (!fake->loop)
        fake->loop = loop_new();
    return (struct dns_client){
        .loop = fake->loop, .channel = open_channel, .context = fake, .families = DNS_IPV4 | DNS_IPV6};
}

static void fake_fini(struct fake *fake)
{
    if (fake->ours)
        channel_close(&fake->ours);
    if (fake->theirs)
        channel_close(&fake->theirs);
    loop_free(&fake->loop);
}

static struct msg_dns_reply says(enum dns_verdict verdict, unsigned flags, const char *why)
{
    return (struct msg_dns_reply){.verdict = verdict, .flags = flags, .why = span_text(why), .ttl = 60};
}

/* One record; room holds it. */
static struct msg_dns_reply says_record(struct msg_dns_reply_record *room, unsigned type, struct span name,
                                        struct span data)
{
    *room = (struct msg_dns_reply_record){.type = type, .ttl = 60, .preference = 10, .name = name, .data = data};
    return (struct msg_dns_reply){
        .verdict = DNS_OK, .flags = DNS_REPLY_SECURE, .canonical = SPAN("canon.test"), .ttl = 60, .records = {room, 1}};
}

Test(dns_client, hands_on_what_dnsd_says)
{
    struct arena a = ARENA_INIT;
    struct msg_dns_reply_record room;
    struct fake fake = {.other = says_record(&room, DNS_TYPE_MX, SPAN("mail.test"), SPAN_NONE)};
    struct dns_client client = client_of(&fake);
    struct dns_answer answer;

    dns_lookup(&client, &a, SPAN("test"), DNS_TYPE_MX, 0, clock_after(10), &answer);

    cr_assert_eq(answer.verdict, DNS_OK);
    cr_assert(answer.secure);
    cr_assert(span_eq(answer.canonical, SPAN("canon.test")));
    cr_assert_eq(answer.count, 1);
    cr_assert_eq(answer.records[0].preference, 10);
    cr_assert(span_eq(answer.records[0].name, SPAN("mail.test")));
    fake_fini(&fake);
    arena_fini(&a);
}

Test(dns_client, joins_the_addresses_of_both_families)
{
    static const char four[] = {1, 2, 3, 4}, six[16] = {0x20, 1};
    const struct {
        const char *says;
        struct msg_dns_reply a, aaaa;
        enum dns_verdict verdict;
        size_t count;
        bool partial, secure;
    } rows[] = {
        {"both", {.verdict = DNS_OK}, {.verdict = DNS_OK}, DNS_OK, 2, false, true},
        {"IPv4 alone", {.verdict = DNS_OK}, says(DNS_NO_DATA, DNS_REPLY_SECURE, ""), DNS_OK, 1, false, true},
        {"an insecure denial", {.verdict = DNS_OK}, says(DNS_NO_DATA, 0, ""), DNS_OK, 1, false, false},
        {"one family unknown", {.verdict = DNS_OK}, says(DNS_TEMPORARY, 0, "x"), DNS_OK, 1, true, true},
        {"no name", says(DNS_NO_NAME, 0, ""), says(DNS_NO_NAME, 0, ""), DNS_NO_NAME, 0, false, false},
        {"a name without addresses", says(DNS_NO_NAME, 0, ""), says(DNS_NO_DATA, 0, ""), DNS_NO_DATA, 0, false, false},
        {"a failure and a denial", says(DNS_NO_DATA, 0, ""), says(DNS_TEMPORARY, 0, ""), DNS_TEMPORARY, 0, false, false},
        {"a broken proof", says(DNS_BOGUS, 0, ""), says(DNS_NO_NAME, 0, ""), DNS_BOGUS, 0, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a = ARENA_INIT;
        struct msg_dns_reply_record rooms[2];
        struct fake fake = {.a = rows[i].a, .aaaa = rows[i].aaaa};
        if (rows[i].a.verdict == DNS_OK)
            fake.a = says_record(&rooms[0], DNS_TYPE_A, SPAN_NONE, span_of(four, 4));
        if (rows[i].aaaa.verdict == DNS_OK)
            fake.aaaa = says_record(&rooms[1], DNS_TYPE_AAAA, SPAN_NONE, span_of(six, 16));
        struct dns_client client = client_of(&fake);
        struct dns_answer answer;

        dns_addresses(&client, &a, SPAN("host.test"), 0, clock_after(10), &answer);

        cr_expect_eq(answer.verdict, rows[i].verdict, "%s", rows[i].says);
        cr_expect_eq(answer.count, rows[i].count, "%s", rows[i].says);
        cr_expect_eq(answer.partial, rows[i].partial, "%s", rows[i].says);
        cr_expect_eq(answer.secure, rows[i].secure, "%s", rows[i].says);
        cr_expect_eq(fake.asked, 2, "%s", rows[i].says);
        fake_fini(&fake);
        arena_fini(&a);
    }
}

Test(dns_client, asks_for_the_families_in_use)
{
    struct arena a = ARENA_INIT;
    struct fake fake = {.a = says(DNS_NO_DATA, 0, ""), .aaaa = says(DNS_TEMPORARY, 0, "")};
    struct dns_client client = client_of(&fake);
    struct dns_answer answer;

    client.families = DNS_IPV4;
    dns_addresses(&client, &a, SPAN("host.test"), 0, clock_after(10), &answer);

    cr_assert_eq(answer.verdict, DNS_NO_DATA);
    cr_assert_eq(fake.asked, 1);
    fake_fini(&fake);
    arena_fini(&a);
}

Test(dns_client, asks_again_where_dnsd_ended)
{
    struct arena a = ARENA_INIT;
    struct fake fake = {.other = says(DNS_NO_NAME, DNS_REPLY_SECURE, ""), .dies_first = 1};
    struct dns_client client = client_of(&fake);
    struct dns_answer answer;

    dns_lookup(&client, &a, SPAN("test"), DNS_TYPE_MX, 0, clock_after(10), &answer);

    cr_assert_eq(answer.verdict, DNS_NO_NAME);
    cr_assert_eq(fake.opened, 2);
    fake_fini(&fake);
    arena_fini(&a);
}

Test(dns_client, is_temporary_where_nobody_answers)
{
    struct arena a = ARENA_INIT;
    struct fake dies = {.dies_first = 2}, silent = {.silent = true}, odd = {.other = says(77, 0, "")};
    struct dns_client dying = client_of(&dies), waiting = client_of(&silent), strange = client_of(&odd),
                      alone = {.channel = no_channel};
    struct {
        const char *says;
        struct dns_client *client;
        int64_t ms;
    } rows[] = {{"dnsd ends twice", &dying, 10000},
                {"no answer", &waiting, 20},
                {"no verdict that we know", &strange, 10000},
                {"no channel", &alone, 10000}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct dns_answer answer;

        dns_lookup(rows[i].client, &a, SPAN("test"), DNS_TYPE_MX, 0, clock_after_ms(rows[i].ms), &answer);

        cr_expect_eq(answer.verdict, DNS_TEMPORARY, "%s", rows[i].says);
        cr_expect_gt(answer.why.n, 0, "%s", rows[i].says);
    }
    fake_fini(&dies);
    fake_fini(&silent);
    fake_fini(&odd);
    arena_fini(&a);
}

Test(dns_client, does_not_ask_for_what_can_be_no_name)
{
    char long_name[256], dotted[255];
    memset(long_name, 'a', sizeof long_name);
    for (size_t i = 60; i < sizeof long_name; i += 61)
        long_name[i] = '.';
    memcpy(dotted, long_name, sizeof dotted);
    dotted[253] = '.';
    const struct {
        const char *says;
        struct span name;
        unsigned asked;
    } rows[] = {
        {"empty", SPAN_INIT(""), 0},
        {"a NUL", SPAN_INIT("a\0b"), 0},
        {"a space", SPAN_INIT("a b"), 0},
        {"8 bits", SPAN_INIT("\xc3\xa9.test"), 0},
        {"253 octets", {long_name, 253}, 1},
        {"253 octets and the final dot", {dotted, 254}, 1},
        {"254 octets", {long_name, 254}, 0},
        {"the root", SPAN_INIT("."), 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a = ARENA_INIT;
        struct fake fake = {.other = says(DNS_NO_NAME, 0, "")};
        struct dns_client client = client_of(&fake);
        struct dns_answer answer;

        dns_lookup(&client, &a, rows[i].name, DNS_TYPE_MX, 0, clock_after(10), &answer);

        cr_expect_eq(answer.verdict, DNS_NO_NAME, "%s", rows[i].says);
        cr_expect_eq(fake.asked, rows[i].asked, "%s", rows[i].says);
        fake_fini(&fake);
        arena_fini(&a);
    }
}
