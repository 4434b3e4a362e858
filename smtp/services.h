/* A delivery's services as they are in the running server: lookups by dnsd, connections by the kernel. */
#ifndef SMTP_SERVICES_H
#define SMTP_SERVICES_H

#include "lib/proc/proc.h"
#include "smtp/smtp.h"

/* Before the sandbox. Fills smtp->services. result: false after proc_trouble() */
bool services_open(struct proc *p, struct smtp *smtp);

#endif
