/* Reading the configuration anew while the server runs. */
#ifndef MASTER_RELOAD_H
#define MASTER_RELOAD_H

#include "master/master.h"

/* Logs what a load found. result: how many lines were errors */
size_t reload_log_errors(const struct param_errors *errors);

/* Reads both files again; where they are good the services follow them, else all stays as it is
 * and the log says why. */
void reload(struct master *m);

#endif
