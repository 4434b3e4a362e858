/* What runs, for "merpati status": a text that whoever connects to public/status is sent. Nothing
 * is read from them.
 *
 *     server pid=123 generation=2 started=1732450000 config=/etc/merpati
 *     trouble text                       (why the last reload failed)
 *     listen inet:[127.0.0.1]:25 smtp
 *     process pid=124 service=smtp program=smtpd slot=0 generation=1 state=ready sessions=3 */
#ifndef MASTER_STATUS_H
#define MASTER_STATUS_H

#include "master/master.h"

#define STATUS_PATH "public/status"

/* result: false with errno */
bool status_open(struct master *m);
void status_close(struct master *m);

#endif
