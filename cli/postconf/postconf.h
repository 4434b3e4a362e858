/* postconf: shows and edits main.cf and master.cf, with Postfix's options and output.
 *
 * main.c reads the command line into a request; config.c reads the files; main_cf.c
 * and master_cf.c show, notices.c the texts of notifications; edit.c changes files, edit_main.c and edit_master.c say what.
 * Runs as whoever calls it; waits for the disk, and for another postconf that edits. */
#ifndef POSTCONF_POSTCONF_H
#define POSTCONF_POSTCONF_H

#include "lib/param/mastercf.h"
#include "lib/param/usage.h"

/* Options, as bits of request.flags. */
enum {
    OPT_DEFAULTS = 1 << 0,     /* -d */
    OPT_SET_ONLY = 1 << 1,     /* -n */
    OPT_EXPAND = 1 << 2,       /* -x */
    OPT_FOLD = 1 << 3,         /* -f */
    OPT_NO_NAME = 1 << 4,      /* -h */
    OPT_NO_VALUE = 1 << 5,     /* -H */
    OPT_OVERRIDE = 1 << 6,     /* -o */
    OPT_EDIT = 1 << 7,         /* -e, or an argument with '=' */
    OPT_REMOVE = 1 << 8,       /* -X */
    OPT_COMMENT = 1 << 9,      /* -# */
    OPT_SERVICES = 1 << 10,    /* -M */
    OPT_FIELDS = 1 << 11,      /* -F */
    OPT_PARAMETERS = 1 << 12,  /* -P */
    OPT_CLASSES = 1 << 13,     /* -C */
    OPT_TABLE_TYPES = 1 << 14, /* -m */
    OPT_LOCK_TYPES = 1 << 15,  /* -l */
    OPT_MAIN = 1 << 16,        /* -p */
    OPT_NOTICES = 1 << 17,     /* -b */
    OPT_TEMPLATES = 1 << 18,   /* -t */
};
#define OPT_ANY_EDIT (OPT_EDIT | OPT_REMOVE | OPT_COMMENT)
#define OPT_MASTER (OPT_SERVICES | OPT_FIELDS | OPT_PARAMETERS)

/* What the command line asks for. */
struct request {
    unsigned flags;         /* OPT_* */
    unsigned classes;       /* 1 << PARAM_CLASS_*, of -C; 0: all */
    const char *dir;        /* of main.cf and master.cf */
    bool dir_is_given;      /* by -c or MAIL_CONFIG */
    char *const *overrides; /* the arguments of -o */
    size_t override_count;
    char *const *args; /* names, patterns or edits */
    size_t arg_count;
};

/* The configuration as read. */
struct config {
    struct arena arena;
    struct buf main_path, master_path;
    struct settings settings;
    struct mastercf master; /* all services, those of one name and type too */
    bool has_master;
    struct param_usage usage;
    struct param_errors errors; /* warnings to print, and what is fatal */
};

/* Prints "postconf: fatal: ..." or "postconf: warning: ..." to standard error. result: false */
bool say_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints and drops the collected messages.
 * result: false: one was an error */
bool say_errors(struct param_errors *errors);

/* Reads what the request needs; prints messages. The caller ends c by config_fini().
 * result: false: said */
bool config_read(struct config *c, const struct request *r);
/* Finds out which names count; what is undefined or of no use is added to the errors, as warnings. */
void config_look_for_unused(struct config *c, const struct request *r);
void config_fini(struct config *c);
/* All services of a master.cf, none replaced by a later one. result: false: there are errors */
bool config_parse_services(struct config *c, struct span text);

/* Prints "name = value" (or one of them), whitespace runs as one space, folded where asked. */
void print_setting(const struct request *r, struct span name, struct span value);
/* Appends a service in columns, its arguments behind it or (fold) on lines below. */
void put_service(struct buf *out, const struct service *service, bool fold);
/* Prints "name = command and its arguments" likewise. */
void print_command(const struct request *r, struct span name, const struct service *service);

/* What the request shows. result: false: said */
bool show_main(struct config *c, const struct request *r);
bool show_services(struct config *c, const struct request *r);
bool show_fields(struct config *c, const struct request *r);
bool show_parameters(struct config *c, const struct request *r);
/* -b and -t: the texts of notifications, or their templates. */
bool show_notices(struct config *c, const struct request *r);

/* "name[/type[/rest]]"; missing parts and "*" match all. */
struct pattern {
    struct span name, type, rest; /* borrowed from the argument */
    struct span value;            /* behind '=', for edits */
    bool used;                    /* something matched */
};
/* parts: how many parts may be there, 2 or 3. result: false: more parts, or a type that there is not (said)
 */
bool pattern_parse(struct span text, size_t parts, struct pattern *p);
bool pattern_matches(const struct pattern *p, const struct service *service);
bool pattern_matches_rest(const struct pattern *p, struct span rest);

/* What becomes of one logical line of a file. */
enum edit_action {
    EDIT_KEEP,
    EDIT_REPLACE, /* by the text given; comments in between stay, below it */
    EDIT_COMMENT,
    EDIT_REMOVE,
};

struct edit {
    /* Asked for each logical line, in order. text: appended to for EDIT_REPLACE, with its line end */
    enum edit_action (*line)(void *context, struct span line, struct buf *text);
    /* Asked once at the end: appends what the file lacks. result: false: give up, nothing is changed (said)
     */
    bool (*end)(void *context, struct buf *text);
    /* Judges the whole new text. result: false: give up (said). May be NULL */
    bool (*check)(void *context, struct span text);
    void *context;
};

/* Applies an edit to text. result: false: given up (said) */
bool edit_text(struct span text, const struct edit *edit, struct buf *out);
/* The same to a file, atomically: the file is either as before or wholly new, on
 * stable storage, with the mode and owner it had; other postconfs wait meanwhile.
 * result: false: said */
bool edit_file(const char *path, const struct edit *edit);

bool edit_main(struct config *c, const struct request *r);
bool edit_master(struct config *c, const struct request *r);

#endif
