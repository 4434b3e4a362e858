/* What this client must not do without TLS, as long as it has none. */
#ifndef SMTP_POLICY_H
#define SMTP_POLICY_H

#include "smtp/smtp.h"

/* Whether the configuration wants more than may be sent in clear. result: true: *v is what is said of the mail */
bool policy_puts_off(const struct smtp *smtp, struct arena *a, struct verdict *v);

#endif
