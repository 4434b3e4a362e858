#include "smtpd/smtpd.h"

enum { ANVIL_WAIT_S = 10 }; /* a client is let in rather than held up for long */

static struct msg_client_counts tell(struct session *s, unsigned kind)
{
    const struct smtpd_services *services = &s->server->services;
    return services->client_event(services->context, s->client.address, kind, clock_after(ANVIL_WAIT_S));
}

static bool over(struct session *s, const char *what, uint64_t count, uint64_t limit, enum reply_id id,
                 struct reply *r)
{
    if (limit == 0 || count <= limit)
        return false;
    log_line(&s->log, LOG_LEVEL_WARNING, "%s limit exceeded: %llu from %s for service %s", what,
             (unsigned long long)count, client_text(s), s->server->service);
    *r = say(s, id, s->client.address);
    return true;
}

bool limit_connection(struct session *s, struct reply *r)
{
    const struct params_smtpd *mine = s->server->mine;
    if (s->client.unlimited ||
        (!mine->smtpd_client_connection_count_limit && !mine->smtpd_client_connection_rate_limit))
        return false;
    struct msg_client_counts counts = tell(s, CLIENT_CONNECTS);
    s->client.counted = true;
    return over(s, "Connection concurrency", counts.connections, mine->smtpd_client_connection_count_limit,
                REPLY_too_many_connections, r) ||
           over(s, "Connection rate", counts.rate, mine->smtpd_client_connection_rate_limit, REPLY_connection_rate, r);
}

void limit_connection_ended(struct session *s)
{
    const struct smtpd_services *services = &s->server->services;
    if (s->client.counted)
        services->client_left(services->context, s->client.address);
}

bool limit_message(struct session *s, struct reply *r)
{
    uint64_t limit = s->server->mine->smtpd_client_message_rate_limit;
    return limit && !s->client.unlimited &&
           over(s, "Message delivery request rate", tell(s, CLIENT_SENDS).rate, limit, REPLY_message_rate, r);
}

bool limit_recipient(struct session *s, struct reply *r)
{
    uint64_t limit = s->server->mine->smtpd_client_recipient_rate_limit;
    return limit && !s->client.unlimited &&
           over(s, "Recipient address rate", tell(s, CLIENT_NAMES_RECIPIENT).rate, limit, REPLY_recipient_rate, r);
}
