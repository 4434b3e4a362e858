/* Listening sockets: opened before any process starts, kept over reloads.
 *
 * Master binds and listens; it never accepts on them. */
#ifndef MASTER_SOCKETS_H
#define MASTER_SOCKETS_H

#include "master/config.h"

struct sockets;

struct sockets *sockets_new(void);
/* Opens those of the configuration that are not open yet; those it does not name stay as they are.
 * result: false: said in errors, and nothing has changed */
bool sockets_open(struct sockets *s, const struct config *c, struct param_errors *errors);
/* Closes those that the configuration does not name. */
void sockets_keep_only(struct sockets *s, const struct config *c);
/* result: the descriptor of an open socket, borrowed; -1 */
int sockets_get(const struct sockets *s, const char *key);
/* Closes all; removes the paths of UNIX sockets. Nulls *s. */
void sockets_free(struct sockets **s);

#endif
