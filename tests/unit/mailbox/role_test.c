#include "mailbox/role.h"
#include "lib/param/param.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct scene {
    char path[64], home[200];
    int base;
    struct role role;
    struct arena arena;
    struct role_items items;
    struct buf warnings;
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

/* A role of that kind for the user ann, whose home is home/. */
static void scene_init(struct scene *s, unsigned kind)
{
    char here[128];
    struct buf body = BUF_INIT;
    *s = (struct scene){.path = "build/role-test-XXXXXX"};
    cr_assert(mkdtemp(s->path) != NULL && getcwd(here, sizeof here));
    snprintf(s->home, sizeof s->home, "%s/%s/home", here, s->path);
    cr_assert_eq(mkdir(s->home, 0700), 0);
    s->base = open(s->home, O_RDONLY | O_DIRECTORY);
    msg_mailbox_begin_put(
        &body, &(struct msg_mailbox_begin){
                   .kind = kind,
                   .user = SPAN("ann"),
                   .home = span_text(s->home),
                   .mailbox = SPAN("Maildir/"),
                   .locks = 1u << PARAM_lock_method_fcntl,
                   .flags = MAILBOX_STRICT_OWNER | MAILBOX_FORWARD_COMMANDS | MAILBOX_FORWARD_FILES,
                   .forward_path = SPAN("$home/.forward${recipient_delimiter}${extension}, $home/.forward"),
                   .forward_filter = SPAN("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/.+-_")});
    cr_assert(role_init(&s->role, buf_span(&body), s->base));
    buf_fini(&body);
}

static void scene_end(struct scene *s)
{
    buf_fini(&s->warnings);
    arena_fini(&s->arena);
    arena_fini(&s->role.arena);
    close(s->base);
    nftw(s->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put_forward(const struct scene *s, const char *name, const char *text)
{
    int fd = openat(s->base, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static bool read_forward(struct scene *s, const char *extension)
{
    buf_clear(&s->warnings);
    return role_read_forward(&s->role, &s->arena, span_text(extension), &s->items, &s->warnings);
}

/* --- .forward ------------------------------------------------------------------------ */

Test(role, reads_the_items_of_a_forward)
{
    static const unsigned kinds[] = {OWNER_USER, OWNER_FILES, OWNER_COMMANDS};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct scene s;
        scene_init(&s, kinds[k]);
        put_forward(&s, ".forward", "# mine\n\\ann, bob@b.test\n\"|cmd -x\"\n/file\n");

        bool good = read_forward(&s, "");

        cr_assert(good && s.items.n == 4, "%u: %zu %s", kinds[k], s.items.n, buf_text(&s.warnings));
        cr_expect(s.items.at[0].final && span_eq(s.items.at[0].text, SPAN("ann")));
        cr_expect(s.items.at[2].kind == ALIASES_COMMAND && span_eq(s.items.at[2].text, SPAN("cmd -x")));
        cr_expect_not(s.items.extension_used);
        scene_end(&s);
    }
}

Test(role, prefers_the_forward_of_the_extension)
{
    struct scene s;
    scene_init(&s, OWNER_USER);
    put_forward(&s, ".forward", "plain\n");
    put_forward(&s, ".forward+ext", "one\ntwo\n");
    put_forward(&s, ".forward+e_t", "three\nthree\nthree\n");

    cr_expect(read_forward(&s, "+ext") && s.items.n == 2 && s.items.extension_used);
    cr_expect(read_forward(&s, "+e;t") && s.items.n == 3, "the filter makes e_t of it");
    cr_expect(read_forward(&s, "+other") && s.items.n == 1 && !s.items.extension_used);
    cr_expect(read_forward(&s, "+../x") && s.items.n == 1, "an extension is no path");
    scene_end(&s);
}

Test(role, has_no_items_where_there_is_no_forward)
{
    struct scene s;
    scene_init(&s, OWNER_USER);

    cr_expect(read_forward(&s, "") && s.items.n == 0 && s.warnings.len == 0);
    put_forward(&s, ".forward", "");
    cr_expect(read_forward(&s, "") && s.items.n == 0 && s.warnings.len == 0);
    scene_end(&s);
}

Test(role, heeds_no_forward_that_others_can_make_or_change)
{
    static const struct {
        const char *says;
        mode_t mode;
        int kind; /* 'f' file, 'l' link, 'd' directory, 'p' fifo, 'o' of another owner */
        bool heeded;
    } rows[] = {
        {"its own", 0600, 'f', true},     {"readable by all", 0644, 'f', true}, {"writable by the group", 0620, 'f', false},
        {"writable by all", 0602, 'f', false}, {"a link", 0, 'l', false},     {"a directory", 0700, 'd', false},
        {"a fifo", 0600, 'p', false},     {"somebody else's", 0644, 'o', false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s;
        if (rows[i].kind == 'o' && geteuid() != 0)
            continue;
        scene_init(&s, OWNER_USER);
        put_forward(&s, "target", "evil\n");
        if (rows[i].kind == 'l')
            cr_assert_eq(symlinkat("target", s.base, ".forward"), 0);
        else if (rows[i].kind == 'd')
            cr_assert_eq(mkdirat(s.base, ".forward", rows[i].mode), 0);
        else if (rows[i].kind == 'p')
            cr_assert_eq(mkfifoat(s.base, ".forward", rows[i].mode), 0);
        else
            put_forward(&s, ".forward", "x\n");
        if (rows[i].kind != 'l')
            cr_assert_eq(fchmodat(s.base, ".forward", rows[i].mode, 0), 0);
        if (rows[i].kind == 'o')
            cr_assert_eq(fchownat(s.base, ".forward", 12345, 12345, 0), 0);

        bool good = read_forward(&s, "");

        cr_expect(good, "%s", rows[i].says);
        cr_expect_eq(s.items.n, rows[i].heeded ? 1 : 0, "%s", rows[i].says);
        cr_expect_eq(s.warnings.len == 0, rows[i].heeded, "%s: %s", rows[i].says, buf_text(&s.warnings));
        scene_end(&s);
    }
}

Test(role, holds_the_size_of_a_forward)
{
    for (size_t more = 0; more <= 1; more++) {
        struct scene s;
        struct buf text = BUF_INIT;
        scene_init(&s, OWNER_USER);
        buf_puts(&text, "ann\n#");
        while (text.len < ROLE_FORWARD_MAX + more)
            buf_putc(&text, 'x');
        put_forward(&s, ".forward", buf_text(&text));

        cr_expect(read_forward(&s, ""));

        cr_expect_eq(s.items.n, more ? 0 : 1);
        buf_fini(&text);
        scene_end(&s);
    }
}

Test(role, reads_forwards_in_the_home_only)
{
    struct scene s;
    scene_init(&s, OWNER_USER);
    put_forward(&s, "outside", "evil\n");
    cr_assert_eq(renameat(s.base, "outside", s.base, "../outside"), 0);
    s.role.m.forward_path = SPAN("/etc/passwd $home/../outside /$user");

    cr_expect(read_forward(&s, ""));

    cr_expect_eq(s.items.n, 0);
    scene_end(&s);
}

/* --- what may be done --------------------------------------------------------------------- */

Test(role, stores_in_the_one_mailbox_of_the_user)
{
    static const struct {
        const char *says;
        unsigned kind;
        const char *path;
        unsigned format;
        bool may;
    } rows[] = {
        {"the mailbox", OWNER_USER, "Maildir/", STORE_MAILDIR, true},
        {"another file", OWNER_USER, ".ssh/authorized_keys", STORE_MBOX, false},
        {"no path", OWNER_USER, "", STORE_MBOX, false},
        {"an unknown format", OWNER_USER, "Maildir/", 9, false},
        {"the mailbox of the spool", OWNER_SPOOL, "Maildir/", STORE_MBOX, true},
        {"another one there", OWNER_SPOOL, "bob", STORE_MBOX, false},
        {"a virtual one", OWNER_VIRTUAL, "any/where", STORE_MBOX, true},
        {"a file of the .forward", OWNER_FILES, "/tmp/saved", STORE_MBOX, true},
        {"another file", OWNER_FILES, "/tmp/saved2", STORE_MBOX, false},
        {"a process for commands", OWNER_COMMANDS, "/tmp/saved", STORE_MBOX, false},
        {"a process for a pipe", OWNER_PIPE, "/tmp/saved", STORE_MBOX, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s;
        scene_init(&s, rows[i].kind);
        put_forward(&s, ".forward", "/tmp/saved\n");
        struct msg_store m = {.path = span_text(rows[i].path), .format = rows[i].format};

        const char *no = role_refuses_store(&s.role, &m);

        cr_expect_eq(no == NULL, rows[i].may, "%s: %s", rows[i].says, no ? no : "");
        scene_end(&s);
    }
}

Test(role, runs_what_the_user_or_the_administrator_wrote)
{
    static const struct {
        const char *says;
        unsigned kind;
        bool user;
        unsigned source;
        const char *command, *runs; /* runs NULL: refused */
    } rows[] = {
        {"a command of the .forward", OWNER_COMMANDS, true, RUN_FORWARD, "cmd -x", "cmd -x"},
        {"another one", OWNER_COMMANDS, true, RUN_FORWARD, "cmd -y", NULL},
        {"a longer one", OWNER_COMMANDS, true, RUN_FORWARD, "cmd -x; id", NULL},
        {"mailbox_command, whatever is said", OWNER_COMMANDS, true, RUN_MAILBOX_COMMAND, "evil", "/usr/bin/mda"},
        {"an alias's as a user", OWNER_COMMANDS, true, RUN_ALIAS, "cmd -x", NULL},
        {"an alias's as nobody", OWNER_COMMANDS, false, RUN_ALIAS, "anything", "anything"},
        {"mailbox_command as nobody", OWNER_COMMANDS, false, RUN_MAILBOX_COMMAND, "", NULL},
        {"a pipe's", OWNER_PIPE, false, RUN_PIPE, "", ""},
        {"another in a pipe's process", OWNER_PIPE, false, RUN_ALIAS, "x", NULL},
        {"a command for a mailbox process", OWNER_USER, true, RUN_FORWARD, "cmd -x", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scene s;
        struct msg_recipient to = {.number = 1};
        struct msg_attempt about = {.recipients = {&to, 1}};
        struct span command;
        scene_init(&s, rows[i].kind);
        put_forward(&s, ".forward", "\"|cmd -x\"\n");
        s.role.m.mailbox_command = SPAN("/usr/bin/mda");
        if (!rows[i].user)
            s.role.m.user = SPAN_NONE;
        struct msg_run m = {.source = rows[i].source, .command = span_text(rows[i].command), .about = {&about, 1}};

        const char *no = role_refuses_run(&s.role, &m, &command);

        cr_expect_eq(no == NULL, rows[i].runs != NULL, "%s: %s", rows[i].says, no ? no : "");
        if (!no && rows[i].runs)
            cr_expect(span_eq(command, span_text(rows[i].runs)), "%s: %.*s", rows[i].says, SPAN_ARG(command));
        scene_end(&s);
    }
}

Test(role, heeds_what_the_administrator_forbids_in_forwards)
{
    struct scene s;
    struct msg_recipient to = {.number = 1};
    struct msg_attempt about = {.recipients = {&to, 1}};
    struct msg_run run = {.source = RUN_FORWARD, .command = SPAN("cmd"), .about = {&about, 1}};
    struct msg_store store = {.path = SPAN("/saved"), .format = STORE_MBOX};
    struct span command;

    scene_init(&s, OWNER_COMMANDS);
    put_forward(&s, ".forward", "|cmd\n/saved\n");
    s.role.m.flags = 0;
    cr_expect_str_eq(role_refuses_run(&s.role, &run, &command), "mail to command is restricted");
    s.role.m.kind = OWNER_FILES;
    cr_expect_str_eq(role_refuses_store(&s.role, &store), "mail to file is restricted");
    scene_end(&s);
}

Test(role, includes_what_the_user_includes)
{
    struct scene s;
    scene_init(&s, OWNER_FILES);
    put_forward(&s, ".forward", ":include:/tmp/list\n");

    cr_expect_null(role_refuses_include(&s.role, &(struct msg_include){.path = SPAN("/tmp/list")}));
    cr_expect_not_null(role_refuses_include(&s.role, &(struct msg_include){.path = SPAN("/etc/passwd")}));
    s.role.m.user = SPAN_NONE;
    cr_expect_null(role_refuses_include(&s.role, &(struct msg_include){.path = SPAN("/etc/passwd")}));
    s.role.m.kind = OWNER_USER;
    cr_expect_not_null(role_refuses_include(&s.role, &(struct msg_include){.path = SPAN("/tmp/list")}));
    scene_end(&s);
}

Test(role, reads_included_files)
{
    struct scene s;
    char path[300];
    scene_init(&s, OWNER_FILES);
    put_forward(&s, "list", "a@x\nb@x, c@x\n");
    snprintf(path, sizeof path, "%s/list", s.home);

    cr_expect(role_read_include(&s.role, &s.arena, span_text(path), &s.items, &s.warnings));
    cr_expect_eq(s.items.n, 3);
    cr_assert_eq(fchmodat(s.base, "list", 0606, 0), 0);
    cr_expect_not(role_read_include(&s.role, &s.arena, span_text(path), &s.items, &s.warnings), "anybody's list");
    cr_expect_not(role_read_include(&s.role, &s.arena, SPAN("/no/such/file"), &s.items, &s.warnings));
    cr_expect_not(role_read_include(&s.role, &s.arena, SPAN("list"), &s.items, &s.warnings));
    scene_end(&s);
}
