/* The other processes as smtpd's sessions use them, over channels. */
#ifndef SMTPD_SERVICES_H
#define SMTPD_SERVICES_H

#include "smtpd/smtpd.h"

struct proc;

struct smtpd_services services_open(struct proc *p);

#endif
