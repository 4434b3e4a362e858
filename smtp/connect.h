/* Connections to servers over TCP, from smtp_bind_address where that is set. */
#ifndef SMTP_CONNECT_H
#define SMTP_CONNECT_H

#include "smtp/smtp.h"

/* waits until the deadline. result: a connected socket, the caller's; -1 with errno */
int connect_inet(const struct smtp *smtp, const struct endpoint *to, mono_ms deadline);

#endif
