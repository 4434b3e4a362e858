#include "pickup/user.h"

#include "lib/mail/address.h"

enum { PASSWD_NAME = 0, PASSWD_GECOS = 4, LOGIN_MAX = 256, FULL_NAME_MAX = 1000 };

static struct span field_of(struct span line, unsigned n)
{
    for (; n > 0; n--)
        line = span_skip(line, span_find(line, ':') + 1);
    return span_slice(line, 0, span_find(line, ':'));
}

/* The full name ends at a comma; "&" in it stands for the login name, its first letter a capital. */
static struct span full_name_of(struct arena *a, struct span gecos, struct span login)
{
    struct buf name = BUF_LIMITED(FULL_NAME_MAX);
    gecos = span_trim(span_slice(gecos, 0, span_find(gecos, ',')));
    for (size_t i = 0; i < gecos.n; i++) {
        if (gecos.p[i] != '&') {
            buf_putc(&name, gecos.p[i]);
            continue;
        }
        char first = login.p[0];
        buf_putc(&name, first >= 'a' && first <= 'z' ? (char)(first - 'a' + 'A') : first);
        buf_put(&name, span_skip(login, 1));
    }
    struct span made = name.full || !address_is_clean(buf_span(&name)) ? SPAN_NONE : arena_dup(a, buf_span(&name));
    buf_fini(&name);
    return made;
}

struct user user_parse(struct arena *a, unsigned uid, struct span line)
{
    struct user u = {.uid = uid};
    struct span login = field_of(line, PASSWD_NAME);
    u.known = login.n > 0 && login.n <= LOGIN_MAX && address_is_clean(login);
    if (u.known) {
        u.login = arena_dup(a, login);
        u.full_name = full_name_of(a, field_of(line, PASSWD_GECOS), login);
    } else {
        u.login = span_text(arena_printf(a, "%u", uid));
    }
    return u;
}

enum table_result user_may_submit(const struct user_policy *policy, const struct user *u, struct buf *why)
{
    return matchlist_has(policy->submitters, u->known ? u->login : SPAN("unknown"), why);
}

/* pattern: "*", "@domain", an address, or the word for the null sender */
static bool matches(const struct user_policy *policy, struct span pattern, struct span sender)
{
    if (span_eq(pattern, SPAN("*")))
        return true;
    if (sender.n == 0)
        return span_eq(pattern, policy->null_sender_key);
    if (span_starts(pattern, SPAN("@")))
        return span_eq_nocase(span_skip(pattern, 1), address_domain(sender));
    struct address_parts parts = address_split_extension(sender, policy->delimiters, false);
    size_t user = parts.user.n, at = sender.n - parts.domain.n - parts.has_domain;
    return span_eq_nocase(pattern, sender) ||
           (user < at && pattern.n > user && span_eq_nocase(span_slice(pattern, 0, user), parts.user) &&
            span_eq_nocase(span_skip(pattern, user), span_skip(sender, at)));
}

enum table_result user_may_send_as(const struct user_policy *policy, const struct user *u, struct span sender,
                                   struct buf *why)
{
    struct buf key = BUF_INIT, value = BUF_INIT;
    struct span list, pattern;
    buf_printf(&key, "%s%.*s", u->known ? "" : "uid:", SPAN_ARG(u->login));
    enum table_result found = maps_find(policy->senders, buf_span(&key), MAPS_ALL, &value, why);
    enum table_result result = found == TABLE_TEMP ? TABLE_TEMP : TABLE_NOT_FOUND;
    for (list = buf_span(&value); found == TABLE_FOUND && span_next_token(&list, SPAN(" \t\r\n,"), &pattern);)
        if (matches(policy, pattern, sender))
            result = TABLE_FOUND;
    buf_fini(&key);
    buf_fini(&value);
    return result;
}
