#include "smtp/policy.h"

#include "lib/mail/dsn.h"

/* The parameter that asks for TLS in a way that "perhaps" does not satisfy. result: NULL: none does */
static const char *demanding(const struct params_smtp *mine)
{
    struct span level = mine->smtp_tls_security_level;
    bool optional = span_eq_nocase(level, SPAN("none")) || span_eq_nocase(level, SPAN("may"));
    if (level.n && !optional)
        return "smtp_tls_security_level";
    if (level.n == 0 && mine->smtp_enforce_tls)
        return "smtp_enforce_tls";
    if (mine->smtp_tls_wrappermode)
        return "smtp_tls_wrappermode";
    if (mine->smtp_tls_policy_maps.n)
        return "smtp_tls_policy_maps";
    return mine->smtp_tls_per_site.n ? "smtp_tls_per_site" : NULL;
}

bool policy_puts_off(const struct smtp *smtp, struct arena *a, struct verdict *v)
{
    const char *parameter = demanding(smtp->mine);
    if (!parameter)
        return false;
    *v = verdict_make(VERDICT_TEMP, DSN(4, 7, 5),
                      span_text(arena_printf(a, "TLS is required by %s, but this client cannot do TLS yet", parameter)));
    return true;
}
