/* From one service of master.cf to a plan. For config.c alone. */
#ifndef MASTER_PLAN_H
#define MASTER_PLAN_H

#include "master/config.h"

/* Looks a user of the system up, in /etc/passwd alone. result: false: there is none */
bool user_find(const char *name, uid_t *uid, gid_t *gid);

/* Makes the plan of one service: program, limits, user, settings of its own.
 * service: NULL for a service that is there without a line; name is its name then
 * result: 1: made; 0: nothing has to run (said in errors where that is worth a warning);
 *         -1: wrong, said in errors */
int plan_make(struct config *c, const struct config_frame *frame, const struct service *service, const char *name,
              struct plan *plan, struct param_errors *errors);

/* Finds the addresses that an inet service is to listen on, and the public sockets of a program.
 * s: the service's own settings. result: false: said in errors */
bool plan_sockets(struct config *c, const struct settings *s, struct plan *plan,
                  struct param_errors *errors);

/* Refuses to run an open relay: every smtpd must have a restriction that rejects, and must not
 * call the whole internet its own network. result: false: said in errors */
bool plan_check_relay(struct config *c, const struct settings *s, const struct plan *plan,
                      struct param_errors *errors);

/* The files that the parameters name, for rows of lib/proc/walls.def that get them. */
void plan_files(struct config *c, const struct settings *s, struct plan *plan);

#endif
