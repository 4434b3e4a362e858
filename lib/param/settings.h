/* Settings: the raw name = value pairs of a configuration, with where each came from.
 *
 * They are what main.cf and -o options say, neither expanded nor checked:
 * lib/param/param.h makes typed values of them. The front-end (master, a
 * command) opens files and parses their text; every other process reads the
 * flat form that master made. Text comes as spans. Facts about the machine and
 * the process travel as settings too: process_name, service_name,
 * config_directory, and names that no main.cf can hold because they start with
 * '.' (lib/param/facts.h).
 *
 * Any process may call these; none waits, but settings_load_file(). */
#ifndef PARAM_SETTINGS_H
#define PARAM_SETTINGS_H

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/map.h"
#include "lib/param/errors.h"

enum setting_origin {
    SETTING_FACT,   /* set by the front-end or master, not by the administrator */
    SETTING_FILE,   /* main.cf */
    SETTING_OPTION, /* -o of a command line or of master.cf */
};

struct setting {
    struct span name;  /* never empty; terminated; owned by the settings, as are all */
    struct span value; /* raw, trimmed; terminated */
    struct span file;  /* "/etc/merpati/main.cf", "-o", ...; may be empty */
    unsigned line;     /* of its first line; 0 where there is none */
    enum setting_origin origin;
};

struct settings {
    struct arena arena;   /* owns all that stands below */
    struct map by_name;   /* name -> struct setting */
    struct setting **all; /* in order of first definition; owned */
    size_t count, cap;
};

enum {
    SETTINGS_MAX = 10000,            /* settings in one configuration */
    SETTING_NAME_MAX = 200,          /* octets of a name */
    SETTING_VALUE_MAX = 1024 * 1024, /* octets of a value */
};

#define SETTINGS_INIT ((struct settings){0})

/* Frees all names and values; the settings are empty then. */
void settings_fini(struct settings *s);

/* Sets name, replacing what stood there. The bytes are copied; they hold no NUL.
 * result: false where a limit above is passed (nothing set) */
bool settings_set(struct settings *s, struct span name, struct span value, enum setting_origin origin,
                  struct param_place place);
/* The same for a fact: no file, no limit that our own values could pass. */
void settings_set_fact(struct settings *s, const char *name, struct span value);

/* result: the setting, borrowed until the next change, or NULL */
const struct setting *settings_get(const struct settings *s, struct span name);
static inline struct param_place setting_place(const struct setting *set)
{
    return (struct param_place){set->file, set->line};
}

/* Parses the text of a main.cf. A later definition of a name overrides an
 * earlier one, with a warning.
 * file:   how messages name it
 * result: false where a line is no setting (said in errors; the other lines are taken) */
bool settings_parse(struct settings *s, struct span text, struct span file, struct param_errors *errors);

/* Sets from one "name = value" or "{ name = value }", as after -o.
 * place:  where it was written, for messages
 * result: false: said in errors */
bool settings_parse_option(struct settings *s, struct span text, struct param_place place,
                           struct param_errors *errors);

/* Cuts "name = value" at its '='; both parts trimmed, borrowed.
 * result: NULL, or what is wrong, as words for a message */
const char *settings_split(struct span text, struct span *name, struct span *value);

/* Appends all settings in the flat form; out grows as needed. */
void settings_write(const struct settings *s, struct buf *out);
/* Adds the settings of a flat form; s should be empty.
 * why:    set to words where it is not one
 * result: false: malformed or cut short (s is then empty) */
bool settings_read(struct settings *s, struct span flat, struct buf *why);

/* A deep copy: what the services of one configuration start from before their -o. to should be empty. */
void settings_copy(struct settings *to, const struct settings *from);

/* Front-ends only: reads a whole file, at most max octets.
 * waits:  for the disk
 * why:    set to words where it failed, without the path
 * result: false: not readable, not a regular file, or over max */
bool settings_load_file(const char *path, size_t max, struct buf *text, struct buf *why);

#endif
