/* The texts of delivery status notifications: those built in, and those of a file in
 * Postfix's form (bounce(5)).
 *
 *     failure_template = <<EOF
 *     Charset: us-ascii
 *     From: Mail Delivery System <MAILER-DAEMON>
 *     Subject: Undelivered Mail Returned to Sender
 *     Postmaster-Subject: Postmaster Copy: Undelivered Mail
 *
 *     This is the mail system at host $myhostname.
 *     EOF
 *
 * What is wrong with one template costs that template: a warning, and the one that stood
 * there before stays. What is no template at all makes the whole file no good.
 * Any process may call these; none waits. */
#ifndef MAIL_NOTICE_TEMPLATE_H
#define MAIL_NOTICE_TEMPLATE_H

#include "lib/base/buf.h"
#include "lib/param/settings.h"

enum notice_kind {
    NOTICE_FAILURE,
    NOTICE_DELAY,
    NOTICE_SUCCESS,
    NOTICE_VERIFY, /* the answer to sendmail -bv */
    NOTICE_KINDS,
};

enum {
    NOTICE_FILE_MAX = 1024 * 1024, /* octets of a file of templates */
    NOTICE_TIME_MAX = 999,         /* a time that is shown as a larger number is warned of */
};

/* One template; its spans are borrowed from the file's text, or our own. */
struct notice_template {
    struct span charset, from, subject;
    struct span postmaster_subject; /* empty where no copies go to a postmaster (success, verify) */
    struct span text;               /* lines with their ends; $names are not expanded yet */
    bool eight_bit;                 /* there is a byte over 127 in the text */
    unsigned line;                  /* of the file, where its text begins; 0: built in */
};

struct notice_templates {
    struct notice_template at[NOTICE_KINDS];
    struct span file; /* how messages name it; borrowed */
};

/* Who hears the warnings, without a line end. */
struct notice_warnings {
    void (*warn)(void *context, const char *text);
    void *context;
};

/* The templates built in, in Postfix's words. */
struct notice_templates notice_templates_builtin(void);

/* Replaces templates by those of a file's text.
 * text:   borrowed for as long as the templates are used
 * file:   its name for messages, borrowed likewise
 * why:    set to what makes it no file of templates, with its name and line
 * result: false: nothing is replaced */
bool notice_templates_read(struct notice_templates *t, struct span text, struct span file,
                           const struct notice_warnings *warnings, struct buf *why);

/* Appends the text of a template with its $names expanded: parameters of main.cf, and
 * delay_warning_time_<unit> and maximal_queue_lifetime_<unit> with a unit of seconds,
 * minutes, hours, days, weeks, rounded down.
 * why:    set to what is wrong: an unknown name, bad syntax; with file and line
 * result: false: out is as it was */
bool notice_template_expand(struct buf *out, const struct notice_templates *t, enum notice_kind kind,
                            const struct settings *s, const struct notice_warnings *warnings, struct buf *why);

/* Appends a template's header and text as they stand in a file, without the <<EOF around them. */
void notice_template_put(struct buf *out, const struct notice_template *t);
/* result: "failure", "delay", "success" or "verify" */
const char *notice_kind_name(enum notice_kind kind);

#endif
