/* The version of this tree, as $mail_version and every --version print it. */
#ifndef CONF_VERSION_H
#define CONF_VERSION_H

#define MERPATI_VERSION "0.1.0"

#endif
