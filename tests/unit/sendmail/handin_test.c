#include "cli/sendmail/sendmail.h"
#include "lib/wire/channel.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static char place[] = "/tmp/handin-test-XXXXXX";
static int queue;

static void setup(void)
{
    cr_assert(mkdtemp(place));
    queue = open(place, O_RDONLY | O_DIRECTORY);
    cr_assert_eq(mkdirat(queue, "public", 0700), 0);
    cr_assert_eq(mkdirat(queue, "maildrop", 0700), 0);
    cr_assert_eq(fchmodat(queue, "maildrop", 03733, 0), 0);
}

static void teardown(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -rf %s", place);
    cr_expect_eq(system(command), 0);
}

TestSuite(handin, .init = setup, .fini = teardown);

static int message(void)
{
    static struct msg_drop_recipient one = {.address = SPAN_INIT("you")};
    struct msg_drop m = {.recipients = {&one, 1}};
    struct drop_writer w;
    int fd = handin_open();
    cr_assert(fd >= 0 && drop_write_begin(&w, fd, &m));
    drop_write(&w, SPAN("text\n"));
    cr_assert_eq(drop_write_end(&w), 0);
    return fd;
}

/* The name of the only file in maildrop/; NULL: there is none */
static const char *only_file(void)
{
    static char name[300];
    DIR *dir = fdopendir(openat(queue, "maildrop", O_RDONLY));
    struct dirent *entry;
    unsigned n = 0;
    while ((entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && ++n)
            snprintf(name, sizeof name, "maildrop/%s", entry->d_name);
    closedir(dir);
    cr_expect_leq(n, 1u);
    return n ? name : NULL;
}

/* A pickup in a process of its own. script: r greets, a answers the offer, u says that it is untouched,
 * x refuses it; at the end it goes. */
struct pickup_talk {
    const char *script;
    bool ended;
    struct note done;
};

static void pickup_frame(struct channel *c, struct frame *f, void *context)
{
    struct pickup_talk *t = context;
    struct msg_drop_answer m = {.id = SPAN("ID1")};
    struct buf body = BUF_INIT;
    int fd = frame_take_fd(f, 0);
    cr_assert(fd >= 0 && f->type == MSG_drop_offer);
    cr_assert(pwrite(fd, "x", 1, 0) < 0 && ftruncate(fd, 0) < 0, "it is sealed");
    if (*t->script == 'u')
        m = (struct msg_drop_answer){.class = 4, .dsn = SPAN("4.3.0"), .text = SPAN("not now"), .untouched = 1};
    if (*t->script == 'x')
        m = (struct msg_drop_answer){.class = 5, .dsn = SPAN("5.7.1"), .text = SPAN("not you")};
    msg_drop_answer_put(&body, &m);
    if (*t->script)
        channel_reply(c, f->id, MSG_drop_answer, buf_span(&body), NULL, 0);
    buf_fini(&body);
    close(fd);
    channel_flush(c);
    note_set(&t->done);
}

static void pickup_closed(struct channel *c, void *context)
{
    (void)c;
    note_set(&((struct pickup_talk *)context)->done);
}

static pid_t start_pickup(const char *script)
{
    static const struct channel_handler handler = {pickup_frame, pickup_closed};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/public/pickup", place);
    cr_assert(bind(s, (struct sockaddr *)&address, sizeof address) == 0 && listen(s, 5) == 0);
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct pickup_talk t = {.script = script};
    struct loop *l = loop_new();
    struct channel *c = channel_open(l, accept(s, NULL, NULL), "sendmail", &handler, &t);
    if (*t.script == 'r') {
        t.script++;
        channel_notify(c, MSG_drop_ready, SPAN_NONE, NULL, 0);
        wait_note(l, &t.done, clock_after(10));
    }
    channel_close(&c);
    _exit(0);
}

static void end_pickup(pid_t pid)
{
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect_eq(status, 0);
}

Test(handin, leaves_a_whole_file_where_no_server_runs)
{
    struct receipt r = {0};
    struct arena a = ARENA_INIT;
    struct buf why = BUF_INIT;
    struct stat st, dir;
    struct drop d;
    int fd = message();

    handin(place, fd, &r);

    cr_assert_eq(r.class, 0u, "%s", buf_text(&r.text));
    cr_expect_eq(r.id.len, 0u);
    cr_assert(only_file());
    cr_assert_eq(fstatat(queue, only_file(), &st, 0), 0);
    cr_assert_eq(fstatat(queue, "maildrop", &dir, 0), 0);
    cr_expect_eq(st.st_mode, (mode_t)(S_IFREG | 0640));
    cr_expect_eq(st.st_gid, dir.st_gid);
    cr_expect_neq(only_file()[strlen("maildrop/")], '.');
    int left = openat(queue, only_file(), O_RDONLY);
    cr_expect_eq(drop_read(&a, left, (uint64_t)st.st_size, &d, &why), DROP_OK, "%s", buf_text(&why));
    close(left);
    close(fd);
    arena_fini(&a);
    receipt_fini(&r);
}

Test(handin, gives_the_message_to_a_server_that_greets)
{
    struct receipt r = {0};
    pid_t pid = start_pickup("ra");
    int fd = message();

    handin(place, fd, &r);

    cr_expect_eq(r.class, 0u);
    cr_expect_str_eq(buf_text(&r.id), "ID1");
    cr_expect_null(only_file());
    end_pickup(pid);
    close(fd);
    receipt_fini(&r);
}

Test(handin, tells_that_the_server_refuses)
{
    struct receipt r = {0};
    pid_t pid = start_pickup("rx");
    int fd = message();

    handin(place, fd, &r);

    cr_expect_eq(r.class, 5u);
    cr_expect_eq(handin_status(&r), EX_NOPERM);
    cr_expect_str_eq(buf_text(&r.text), "not you");
    cr_expect_null(only_file());
    end_pickup(pid);
    close(fd);
    receipt_fini(&r);
}

Test(handin, leaves_a_file_where_the_server_has_not_touched_it)
{
    static const char *const scripts[] = {"", "ru"};
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
        struct receipt r = {0};
        pid_t pid = start_pickup(scripts[i]);
        int fd = message();

        handin(place, fd, &r);

        cr_expect_eq(r.class, 0u, "\"%s\": %s", scripts[i], buf_text(&r.text));
        cr_assert(only_file(), "\"%s\"", scripts[i]);
        unlinkat(queue, only_file(), 0);
        unlinkat(queue, "public/pickup", 0);
        end_pickup(pid);
        close(fd);
        receipt_fini(&r);
    }
}

Test(handin, leaves_no_second_copy_where_the_server_may_have_one)
{
    struct receipt r = {0};
    pid_t pid = start_pickup("r");
    int fd = message();

    handin(place, fd, &r);

    cr_expect_eq(r.class, 4u);
    cr_expect_eq(handin_status(&r), EX_TEMPFAIL);
    cr_expect_null(only_file());
    end_pickup(pid);
    close(fd);
    receipt_fini(&r);
}

Test(handin, says_try_again_where_nothing_can_be_left)
{
    struct receipt r = {0};
    int fd = message();
    cr_assert_eq(unlinkat(queue, "maildrop", AT_REMOVEDIR), 0);
    cr_assert_eq(symlinkat("/tmp", queue, "maildrop"), 0);

    handin(place, fd, &r);

    cr_expect_eq(r.class, 4u);
    cr_expect_eq(handin_status(&r), EX_TEMPFAIL);
    close(fd);
    receipt_fini(&r);
}

Test(handin, finds_a_server_behind_a_long_path)
{
    char path[4096];
    int at = open(place, O_PATH | O_DIRECTORY);
    size_t n = (size_t)snprintf(path, sizeof path, "%s", place);
    for (int i = 0; i < 3; i++) {
        static const char part[] = "/a-directory-with-a-rather-long-name-so-that-no-socket-address-can-hold-its-path";
        n += (size_t)snprintf(path + n, sizeof path - n, "%s", part);
        cr_assert_eq(mkdir(path, 0700), 0);
    }
    snprintf(path + n, sizeof path - n, "/public");
    cr_assert_eq(symlink("../../../public", path), 0);
    path[n] = 0;
    struct receipt r = {0};
    pid_t pid = start_pickup("ra");
    int fd = message();

    handin(path, fd, &r);

    cr_expect_eq(r.class, 0u, "%s", buf_text(&r.text));
    cr_expect_str_eq(buf_text(&r.id), "ID1");
    end_pickup(pid);
    close(fd);
    close(at);
    receipt_fini(&r);
}

Test(handin, has_an_exit_status_for_each_outcome)
{
    static const struct {
        unsigned class;
        const char *dsn;
        int status;
    } rows[] = {
        {0, "", EX_OK},           {4, "4.3.0", EX_TEMPFAIL},     {5, "5.1.0", EX_DATAERR}, {5, "5.1.1", EX_NOUSER},
        {5, "5.6.0", EX_DATAERR}, {5, "5.3.4", EX_UNAVAILABLE},  {5, "5.7.1", EX_NOPERM},  {5, "", EX_UNAVAILABLE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct receipt r = {.class = rows[i].class};
        buf_puts(&r.dsn, rows[i].dsn);
        cr_expect_eq(handin_status(&r), rows[i].status, "%u %s", rows[i].class, rows[i].dsn);
        receipt_fini(&r);
    }
}
