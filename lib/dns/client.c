#include "lib/dns/dns.h"

#include <stdlib.h>

enum { ASKED_AT_ONCE = 2, TRIES = 2 };

/* One question and its answer. */
struct question {
    struct span name;
    unsigned type, flags;
    struct dns_answer *answer;
    struct asking *asking;
    uint64_t request; /* 0: answered, or not sent */
    bool lost;        /* the channel ended first */
};

/* Some questions that are waited for together. */
struct asking {
    struct arena *arena;
    struct question *questions;
    size_t count, open;
    struct note done;
};

static void set_verdict(struct dns_answer *answer, enum dns_verdict verdict, const char *why)
{
    *answer = (struct dns_answer){.verdict = verdict, .why = span_text(why)};
}

/* --- what dnsd says ----------------------------------------------------------------- */

static void take_records(struct arena *a, const struct msg_dns_reply *m, struct dns_answer *answer)
{
    struct dns_record *records = arena_calloc(a, m->records.n, sizeof *records);
    for (size_t i = 0; i < m->records.n; i++) {
        const struct msg_dns_reply_record *from = &m->records.at[i];
        records[i] = (struct dns_record){.type = (uint16_t)from->type,
                                         .preference = (uint16_t)from->preference,
                                         .weight = (uint16_t)from->weight,
                                         .port = (uint16_t)from->port,
                                         .ttl = (uint32_t)from->ttl,
                                         .name = from->name,
                                         .data = from->data};
    }
    answer->records = records;
    answer->count = m->records.n;
}

static bool take_reply(struct arena *a, struct span body, struct dns_answer *answer)
{
    struct msg_dns_reply m;
    if (!msg_dns_reply_get(a, arena_dup(a, body), &m) || m.verdict < DNS_OK || m.verdict > DNS_MALFORMED ||
        m.records.n > DNS_RECORDS_MAX || (m.verdict == DNS_OK) != (m.records.n > 0))
        return false;
    *answer = (struct dns_answer){.verdict = (enum dns_verdict)m.verdict,
                                  .secure = (m.flags & DNS_REPLY_SECURE) != 0,
                                  .from_hosts = (m.flags & DNS_REPLY_HOSTS) != 0,
                                  .aliases = (unsigned)m.aliases,
                                  .canonical = m.canonical,
                                  .why = m.why,
                                  .ttl = (uint32_t)m.ttl};
    take_records(a, &m, answer);
    return true;
}

static void answered(struct frame *reply, void *context)
{
    struct question *q = context;
    struct asking *asking = q->asking;
    q->request = 0;
    q->lost = reply == NULL;
    if (reply && (reply->type != MSG_dns_reply || !take_reply(asking->arena, reply->body, q->answer)))
        set_verdict(q->answer, DNS_TEMPORARY, "the resolver service answers nonsense");
    if (--asking->open == 0)
        note_set(&asking->done);
}

/* --- asking --------------------------------------------------------------------------- */

/* What can be no name in the DNS is not asked for. */
static bool can_be_asked(struct span name)
{
    if (name.n > 1 && name.p[name.n - 1] == '.')
        name.n--;
    for (size_t i = 0; i < name.n; i++)
        if (!byte_is_print(span_at(name, i)) || name.p[i] == ' ')
            return false;
    return name.n > 0 && name.n <= DNS_NAME_MAX;
}

static void send_question(struct channel *c, struct question *q, mono_ms deadline)
{
    int64_t wait = deadline - clock_mono();
    struct buf body = BUF_INIT;
    msg_dns_query_put(&body, &(struct msg_dns_query){.name = q->name,
                                                     .type = q->type,
                                                     .flags = q->flags,
                                                     .wait_ms = wait < 1 ? 1 : (uint64_t)wait});
    q->lost = true;
    q->request = channel_request(c, MSG_dns_query, buf_span(&body), NULL, 0, answered, q);
    if (q->request)
        q->asking->open++;
    buf_fini(&body);
}

static void wait_for_answers(const struct dns_client *client, struct channel *c, struct asking *asking,
                             mono_ms deadline)
{
    enum wait_result waited = WAIT_OK;
    asking->done = (struct note){0};
    if (asking->open)
        waited = wait_note(client->loop, &asking->done, deadline);
    for (size_t i = 0; i < asking->count; i++) {
        struct question *q = &asking->questions[i];
        if (!q->request)
            continue;
        /* One that was not answered has an open channel: a channel that ends answers all. */
        channel_forget(c, q->request);
        q->request = 0;
        q->lost = false;
        set_verdict(q->answer, DNS_TEMPORARY,
                    waited == WAIT_TIMEOUT ? "the lookup took too long" : "the lookup was given up");
    }
    asking->open = 0;
}

static bool send_all(const struct dns_client *client, struct asking *asking, mono_ms deadline)
{
    struct channel *c = client->channel(client->context, deadline);
    bool lost = false;
    if (!c)
        return false;
    for (size_t i = 0; i < asking->count; i++)
        if (asking->questions[i].lost)
            send_question(c, &asking->questions[i], deadline);
    wait_for_answers(client, c, asking, deadline);
    for (size_t i = 0; i < asking->count; i++)
        lost = lost || asking->questions[i].lost;
    return !lost;
}

static void ask_all(const struct dns_client *client, struct arena *a, struct question *questions, size_t count,
                    mono_ms deadline)
{
    struct asking asking = {.arena = a, .questions = questions, .count = count};
    for (size_t i = 0; i < count; i++) {
        questions[i].asking = &asking;
        questions[i].lost = can_be_asked(questions[i].name);
        set_verdict(questions[i].answer, questions[i].lost ? DNS_TEMPORARY : DNS_NO_NAME,
                    questions[i].lost ? "the resolver service does not answer" : "this can be no name in the DNS");
    }
    for (int i = 0; i < TRIES; i++)
        if (send_all(client, &asking, deadline))
            break;
    for (size_t i = 0; i < count; i++)
        if (questions[i].answer->canonical.n == 0)
            questions[i].answer->canonical = questions[i].name;
}

void dns_lookup(const struct dns_client *client, struct arena *a, struct span name, unsigned type, unsigned flags,
                mono_ms deadline, struct dns_answer *answer)
{
    struct question q = {.name = name, .type = type, .flags = flags, .answer = answer};
    ask_all(client, a, &q, 1, deadline);
}

/* --- addresses ---------------------------------------------------------------------------- */

/* Which of two that found nothing is the one to tell: what may come right later, before what will not;
 * that a name is there, before that it is not. */
static unsigned weight_of(const struct dns_answer *answer)
{
    static const unsigned weights[] = {[DNS_NO_NAME] = 1,   [DNS_NO_DATA] = 2,   [DNS_MALFORMED] = 3,
                                       [DNS_TEMPORARY] = 4, [DNS_BOGUS] = 5,     [DNS_OK] = 6};
    return weights[answer->verdict];
}

static void join_records(struct arena *a, const struct dns_answer *first, const struct dns_answer *second,
                         struct dns_answer *answer)
{
    struct dns_record *records = arena_calloc(a, first->count + second->count, sizeof *records);
    if (first->count)
        memcpy(records, first->records, first->count * sizeof *records);
    if (second->count)
        memcpy(records + first->count, second->records, second->count * sizeof *records);
    answer->records = records;
    answer->count = first->count + second->count;
}

static void join(struct arena *a, const struct dns_answer *first, const struct dns_answer *second,
                 struct dns_answer *answer)
{
    const struct dns_answer *better = weight_of(second) > weight_of(first) ? second : first;
    const struct dns_answer *other = better == first ? second : first;
    *answer = *better;
    answer->secure = first->secure && second->secure;
    if (answer->verdict == DNS_OK || dns_is_permanent(answer))
        answer->ttl = first->ttl < second->ttl ? first->ttl : second->ttl;
    if (answer->verdict == DNS_OK && other->verdict != DNS_OK && !dns_is_permanent(other)) {
        answer->partial = true;
        answer->why = other->why;
        answer->ttl = better->ttl;
        answer->secure = better->secure;
    }
    join_records(a, first, second, answer);
}

void dns_addresses(const struct dns_client *client, struct arena *a, struct span name, unsigned flags,
                   mono_ms deadline, struct dns_answer *answer)
{
    struct dns_answer answers[ASKED_AT_ONCE];
    struct question questions[ASKED_AT_ONCE];
    size_t n = 0;
    if (client->families & DNS_IPV6)
        questions[n++] = (struct question){.name = name, .type = DNS_TYPE_AAAA, .flags = flags};
    if (client->families & DNS_IPV4)
        questions[n++] = (struct question){.name = name, .type = DNS_TYPE_A, .flags = flags};
    for (size_t i = 0; i < n; i++)
        questions[i].answer = &answers[i];
    ask_all(client, a, questions, n, deadline);
    if (n == 1)
        *answer = answers[0];
    else if (n == 2)
        join(a, &answers[0], &answers[1], answer);
    else
        set_verdict(answer, DNS_NO_DATA, "inet_protocols leaves no kind of address");
}

void dns_names(const struct dns_client *client, struct arena *a, const struct addr *address, unsigned flags,
               mono_ms deadline, struct dns_answer *answer)
{
    struct buf name = BUF_INIT;
    if (dns_put_reverse_name(&name, address))
        dns_lookup(client, a, arena_dup(a, buf_span(&name)), DNS_TYPE_PTR, flags, deadline, answer);
    else
        set_verdict(answer, DNS_NO_NAME, "no internet address");
    buf_fini(&name);
}
