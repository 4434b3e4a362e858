/* Making and changing cdb files. */
#include "cli/postmap/owner.h"
#include "cli/postmap/postmap.h"
#include "cli/postmap/store.h"
#include "lib/base/check.h"
#include "lib/mail/codec.h"
#include "lib/param/settings.h"
#include "lib/table/table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOURCE_BYTES = 1024 * 1024 * 1024 };

/* --- entries --------------------------------------------------------------------------- */

static struct span fold(const struct job *j, struct span key, struct buf *folded)
{
    if (j->flags & OPT_NO_FOLD)
        return key;
    buf_clear(folded);
    for (size_t i = 0; i < key.n; i++)
        buf_putc(folded, (char)byte_lower(span_at(key, i)));
    return buf_span(folded);
}

/* The content of the files that a value names, as base64.
 * result: false: said with a warning */
static bool read_value_files(struct span names, const char *place, struct buf *value)
{
    struct span separators = SPAN(", \t\r\n"), name;
    struct buf all = BUF_INIT, text = BUF_INIT, why = BUF_INIT, path = BUF_INIT;
    bool good = true;
    while (good && span_next_token(&names, separators, &name)) {
        buf_clear(&path);
        buf_put(&path, name);
        buf_clear(&text);
        good = settings_load_file(buf_text(&path), TABLE_VALUE_BYTES, &text, &why);
        if (!good)
            say_warning("%s: open %s: %s: skipping this entry", place, buf_text(&path), buf_text(&why));
        if (all.len)
            buf_putc(&all, '\n');
        buf_put(&all, buf_span(&text));
    }
    buf_clear(value);
    if (good)
        codec_base64_put(value, buf_span(&all));
    buf_fini(&all);
    buf_fini(&text);
    buf_fini(&why);
    buf_fini(&path);
    return good;
}

static void add_entry(const struct job *j, const char *place, const struct text_entry *entry, struct store *to)
{
    struct buf folded = BUF_INIT, content = BUF_INIT, shown = BUF_INIT;
    struct span key = fold(j, entry->key, &folded), value = entry->value;
    bool good = true;
    text_put_masked(&shown, span_slice(key, 0, 200));
    if (j->form == TEXT_MAP && key.p[key.n - 1] == ':')
        say_warning("%s: record is in \"key: value\" format; is this an alias file?", place);
    if (j->flags & OPT_FILES) {
        good = read_value_files(value, place, &content);
        value = buf_span(&content);
    }
    if (good && (key.n > TABLE_KEY_BYTES || value.n > TABLE_VALUE_BYTES))
        say_warning("%s: the %s is too long -- ignoring this line", place, key.n > TABLE_KEY_BYTES ? "key" : "value");
    else if (good && !store_put(to, key, value, j->flags & OPT_REPLACE) && !(j->flags & (OPT_REPLACE | OPT_NO_WARN)))
        say_warning("%s: duplicate entry: \"%s\"", place, buf_text(&shown));
    buf_fini(&folded);
    buf_fini(&content);
    buf_fini(&shown);
}

/* Reads source text into the store; says what is wrong with it. */
static void add_text(const struct job *j, const char *path, struct span text, struct store *to)
{
    struct text_lines lines;
    struct text_entry entry;
    struct buf name = BUF_INIT, fault = BUF_INIT, place = BUF_INIT;
    enum text_result result;
    text_lines_init(&lines, text);
    while ((result = text_next_entry(&lines, j->form, !(j->flags & OPT_NO_UTF8), &name, &entry, &fault)) != TEXT_END) {
        buf_clear(&place);
        buf_printf(&place, "%s, line %u", path, entry.line);
        if (result == TEXT_FAULT)
            say_warning("%s: %s", buf_text(&place), buf_text(&fault));
        else
            add_entry(j, buf_text(&place), &entry, to);
    }
    text_lines_fini(&lines);
    buf_fini(&name);
    buf_fini(&fault);
    buf_fini(&place);
}

/* --- files ----------------------------------------------------------------------------- */

static char *dup_part(struct span s)
{
    char *text = strndup(s.n ? s.p : "", s.n);
    CHECK(text != NULL);
    return text;
}

/* The directory of a path, "." for a bare name; owned by the caller. */
static char *directory_of(const char *path)
{
    size_t slash = span_rfind(span_text(path), '/');
    if (slash == strlen(path))
        return dup_part(SPAN("."));
    return dup_part(span_slice(span_text(path), 0, slash ? slash : 1));
}

static bool sync_directory(const char *directory)
{
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return good;
}

/* Writes the table beside its place and renames it there: a reader sees the old or the new one. */
static int replace_file(const struct job *j, const char *target, mode_t mode, const struct store *s)
{
    struct buf temporary = BUF_INIT, why = BUF_INIT;
    char *directory = directory_of(target);
    buf_printf(&temporary, "%s.XXXXXX.tmp", target);
    int status = EXIT_SUCCESS, fd = mkostemps(temporary.data, 4, O_CLOEXEC);
    if (fd < 0) {
        status = say_fatal("create %s: %s", target, strerror(errno));
    } else if (!store_write(s, j->flags & OPT_NUL, fd, &why)) {
        status = say_fatal("write %s: %s", target, buf_text(&why));
    } else if (fchmod(fd, mode) < 0 || rename(buf_text(&temporary), target) < 0 || !sync_directory(directory)) {
        status = say_fatal("replace %s: %s", target, strerror(errno));
    }
    if (fd >= 0 && status != EXIT_SUCCESS)
        unlink(buf_text(&temporary)); /* gone already where only the directory's sync failed */
    if (fd >= 0)
        close(fd);
    free(directory);
    buf_fini(&temporary);
    buf_fini(&why);
    return status;
}

/* Reads the present entries of the table, for a change.
 * result: false: said; a table that is missing is empty */
static bool keep_entry(struct span key, struct span value, void *context)
{
    if (key.n && key.p[key.n - 1] == '\0' && value.n && value.p[value.n - 1] == '\0') {
        key.n--; /* was made with -N */
        value.n--;
    }
    store_put(context, key, value, false);
    return true;
}

static bool read_present(const char *type, const char *path, const char *target, struct store *to)
{
    struct buf spec = BUF_INIT, why = BUF_INIT;
    bool good = true;
    if (access(target, F_OK) == 0) {
        struct tables *ts = tables_new(&table_files_by_path, NULL);
        buf_printf(&spec, "%s:%s", type, path);
        struct table *t = table_open(ts, buf_span(&spec), 0);
        good = table_walk(t, keep_entry, to, &why);
        if (!good)
            say_fatal("table %s", buf_text(&why));
        table_close(&t);
        tables_free(&ts);
    }
    buf_fini(&spec);
    buf_fini(&why);
    return good;
}

static char *target_of(const char *path)
{
    struct buf target = BUF_INIT;
    buf_printf(&target, "%s.cdb", path);
    char *text = dup_part(buf_span(&target));
    buf_fini(&target);
    return text;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_mode & 0666 : 0644;
}

/* --- root becomes the owner ------------------------------------------------------------- */

struct change {
    const struct job *job;
    const char *type, *path;
    char *target; /* owned */
    int (*work)(const struct change *c);
};

static uid_t owner_of(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 ? st.st_uid : 0;
}

/* Runs the work in a process that has become the user for good. */
static int work_as(const struct change *c, uid_t uid)
{
    struct buf why = BUF_INIT;
    int status = EXIT_FAILURE;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (owner_become(uid, &why))
            status = c->work(c);
        else
            say_fatal("%s: %s", c->path, buf_text(&why));
        fflush(NULL);
        _exit(status);
    }
    int state;
    if (child < 0 || waitpid(child, &state, 0) != child)
        return say_fatal("%s: cannot start a process: %s", c->path, strerror(errno));
    return WIFEXITED(state) ? WEXITSTATUS(state) : EXIT_FAILURE;
}

static int run_change(const struct job *j, const char *type, const char *path,
                      int (*work)(const struct change *c))
{
    struct change c = {.job = j, .type = type, .path = path, .target = target_of(path), .work = work};
    char *directory = directory_of(path);
    struct buf why = BUF_INIT;
    uid_t uid = 0;
    int status;
    if (geteuid() == 0 && !owner_choose(owner_of(directory), owner_of(path), j->flags & OPT_AS_ROOT, &uid, &why))
        status = say_fatal("%s: %s", c.target, buf_text(&why));
    else
        status = uid ? work_as(&c, uid) : work(&c);
    free(directory);
    free(c.target);
    buf_fini(&why);
    return status;
}

/* --- the three changes ------------------------------------------------------------------- */

static int build(const struct change *c)
{
    struct buf text = BUF_LIMITED(SOURCE_BYTES + 1), why = BUF_INIT;
    struct store s;
    int status;
    if (!settings_load_file(c->path, SOURCE_BYTES, &text, &why)) {
        status = say_fatal("open %s: %s", c->path, buf_text(&why));
    } else {
        store_init(&s);
        add_text(c->job, c->path, buf_span(&text), &s);
        status = replace_file(c->job, c->target, c->job->flags & OPT_OWN_MODE ? 0644 : mode_of(c->path), &s);
        store_fini(&s);
    }
    buf_fini(&text);
    buf_fini(&why);
    return status;
}

/* All of standard input; cut at the limit of a source. */
static void read_input(struct buf *text)
{
    enum { PIECE = 64 * 1024 };
    char *to;
    ssize_t n;
    *text = BUF_LIMITED(SOURCE_BYTES);
    while ((to = buf_reserve(text, PIECE - 1)) && (n = read(STDIN_FILENO, to, PIECE - 1)) > 0)
        buf_grown(text, (size_t)n);
}

static int increment(const struct change *c)
{
    struct store s;
    struct buf text;
    int status = EXIT_FAILURE;
    store_init(&s);
    if (read_present(c->type, c->path, c->target, &s)) {
        read_input(&text);
        add_text(c->job, "stdin", buf_span(&text), &s);
        buf_fini(&text);
        status = replace_file(c->job, c->target, access(c->target, F_OK) == 0 ? mode_of(c->target) : 0644, &s);
    }
    store_fini(&s);
    return status;
}

static bool remove_key(const struct job *j, struct store *s, struct span key)
{
    struct buf folded = BUF_INIT;
    bool found = store_remove(s, fold(j, key, &folded));
    buf_fini(&folded);
    return found;
}

static int take_out(const struct change *c)
{
    struct store s;
    struct buf text;
    bool found = false;
    int status = EXIT_FAILURE;
    store_init(&s);
    if (access(c->target, F_OK) != 0) {
        status = say_fatal("open database %s: %s", c->target, strerror(errno));
    } else if (read_present(c->type, c->path, c->target, &s)) {
        if (strcmp(c->job->remove, "-") == 0) {
            read_input(&text);
            struct span rest = buf_span(&text), line;
            while (span_next_token(&rest, SPAN("\n"), &line))
                found = remove_key(c->job, &s, line) || found;
            buf_fini(&text);
        } else {
            found = remove_key(c->job, &s, span_text(c->job->remove));
        }
        if (found)
            status = replace_file(c->job, c->target, mode_of(c->target), &s);
    }
    store_fini(&s);
    return status;
}

int job_build(const struct job *j, const char *type, const char *path)
{
    return run_change(j, type, path, build);
}

int job_increment(const struct job *j, const char *type, const char *path)
{
    return run_change(j, type, path, increment);
}

int job_remove(const struct job *j, const char *type, const char *path)
{
    return run_change(j, type, path, take_out);
}
