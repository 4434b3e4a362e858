#include "lib/proc/wall.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern void __asan_init(void) __attribute__((weak));

enum { NOBODY = 65534, NOT_DENIED = 0, BROKEN = 250 };

/* A directory that is given, beside one that is not. */
struct room {
    char root[64];
    int given;
};

static void room_make(struct room *r)
{
    char path[128];
    strcpy(r->root, "/tmp/wall.XXXXXX");
    cr_assert(mkdtemp(r->root) != NULL);
    chmod(r->root, 0755);
    for (const char *const *d = (const char *const[]){"given", "other", NULL}; *d; d++) {
        snprintf(path, sizeof path, "%s/%s", r->root, *d);
        cr_assert_eq(mkdir(path, 0777), 0);
        chmod(path, 0777);
        snprintf(path, sizeof path, "%s/%s/file", r->root, *d);
        int fd = open(path, O_CREAT | O_WRONLY, 0666);
        cr_assert(fd >= 0 && write(fd, "mail", 4) == 4);
        fchmod(fd, 0666);
        close(fd);
    }
    snprintf(path, sizeof path, "%s/given", r->root);
    r->given = open(path, O_RDONLY | O_DIRECTORY);
    cr_assert(r->given >= 0);
}

static void room_end(struct room *r)
{
    char command[128];
    close(r->given);
    snprintf(command, sizeof command, "rm -rf %s", r->root);
    cr_assert_eq(system(command), 0);
}

static int result_of(long rc)
{
    return rc < 0 ? errno : NOT_DENIED;
}

/* Runs what in a child behind the wall of program, which is given the directory "name".
 * result: what it returned (an errno or NOT_DENIED), or 1000 + the signal that ended it */
static int behind_wall(const char *program, const char *name, bool as_root, const struct room *r,
                       int (*what)(const struct room *r))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct buf why = BUF_INIT;
        if (!as_root && getuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
            _exit(BROKEN);
        if (!wall_enter(program, &r->given, &name, 1, &why)) {
            fprintf(stderr, "%s: %s\n", program, buf_text(&why));
            _exit(BROKEN);
        }
        _exit(what(r));
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* --- what nobody may ---------------------------------------------------------- */

static int read_shadow(const struct room *r)
{
    (void)r;
    return result_of(open("/etc/shadow", O_RDONLY));
}
static int read_other(const struct room *r)
{
    char path[128];
    snprintf(path, sizeof path, "%s/other/file", r->root);
    return result_of(open(path, O_RDONLY));
}
static int read_other_from_given(const struct room *r)
{
    return result_of(openat(r->given, "../other/file", O_RDONLY));
}
static int write_other(const struct room *r)
{
    char path[128];
    snprintf(path, sizeof path, "%s/other/file", r->root);
    return result_of(open(path, O_WRONLY));
}
static int make_other(const struct room *r)
{
    char path[128];
    snprintf(path, sizeof path, "%s/other/new", r->root);
    return result_of(open(path, O_CREAT | O_WRONLY, 0600));
}
static int remove_other(const struct room *r)
{
    char path[128];
    snprintf(path, sizeof path, "%s/other/file", r->root);
    return result_of(unlink(path));
}
static int rename_out(const struct room *r)
{
    char path[128];
    snprintf(path, sizeof path, "%s/other/out", r->root);
    return result_of(renameat(r->given, "file", AT_FDCWD, path));
}
static int make_socket_raw(const struct room *r)
{
    (void)r;
    return result_of(socket(AF_NETLINK, SOCK_RAW, 0));
}
static int run_program(const struct room *r)
{
    (void)r;
    return result_of(execl("/bin/true", "true", (char *)NULL));
}
static int fork_child(const struct room *r)
{
    (void)r;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    return result_of(pid);
}
static int signal_parent(const struct room *r)
{
    (void)r;
    return result_of(kill(getppid(), 0));
}
static int memory_to_code(const struct room *r)
{
    (void)r;
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? errno : NOT_DENIED;
}
static int raise_limit(const struct room *r)
{
    (void)r;
    struct rlimit limit = {1 << 20, 1 << 20};
    return result_of(setrlimit(RLIMIT_NOFILE, &limit));
}
static int become_dumpable(const struct room *r)
{
    (void)r;
    return result_of(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}
static int change_mode(const struct room *r)
{
    char path[128];
    snprintf(path, sizeof path, "%s/other", r->root);
    return result_of(chown(path, 0, 0));
}
static int listen_tcp(const struct room *r)
{
    (void)r;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? errno : result_of(bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 1) ? -1 : 0);
}

static const struct {
    const char *says;
    int (*attempt)(const struct room *r);
    bool by_filter; /* denied by the filter, which a sanitized build has not */
} forbidden[] = {
    {"reads /etc/shadow", read_shadow, false},
    {"reads a file beside its directory", read_other, false},
    {"reads a file beside its directory by ..", read_other_from_given, false},
    {"writes a file beside its directory", write_other, false},
    {"makes a file beside its directory", make_other, false},
    {"removes a file beside its directory", remove_other, false},
    {"renames a file out of its directory", rename_out, false},
    {"opens a netlink socket", make_socket_raw, true},
    {"runs a program", run_program, true},
    {"forks", fork_child, true},
    {"signals its parent", signal_parent, true},
    {"makes memory that is both written and run", memory_to_code, true},
    {"raises its limits", raise_limit, true},
    {"makes itself dumpable", become_dumpable, true},
    {"gives a directory to another owner", change_mode, true},
    {"listens on a TCP port", listen_tcp, true},
};

static bool is_walled(const struct wall *w)
{
    return !wall_has_word(w->syscalls, SPAN("any"));
}

/* /etc/shadow is reached through /etc by the row that holds NSS; there the uid is what denies. */
static bool row_allows(const struct wall *w, unsigned attempt, bool as_root)
{
    return as_root && attempt == 0 && strstr(w->directories, "/etc:r") != NULL;
}

static void each_wall_denies(bool as_root)
{
    struct room r;
    room_make(&r);

    const struct wall *w;
    for (unsigned i = 0; (w = wall_at(i)); i++)
        for (unsigned k = 0; is_walled(w) && k < sizeof forbidden / sizeof *forbidden; k++) {
            if ((forbidden[k].by_filter && __asan_init) || row_allows(w, k, as_root))
                continue;
            int result = behind_wall(w->program, "", as_root, &r, forbidden[k].attempt);
            cr_expect(result == EPERM || result == EACCES || result == EXDEV, "%s %s: result %d", w->program,
                      forbidden[k].says, result);
        }

    room_end(&r);
}

Test(wall, denies_every_program_what_nobody_may)
{
    each_wall_denies(false);
}

Test(wall, denies_it_to_root_as_well)
{
    if (getuid() == 0)
        each_wall_denies(true);
}

/* --- what ends the process ----------------------------------------------------- */

static int trace(const struct room *r)
{
    (void)r;
    return result_of(syscall(SYS_ptrace, 16, getppid(), 0, 0));
}
static int load_bpf(const struct room *r)
{
    (void)r;
    return result_of(syscall(SYS_bpf, 0, NULL, 0));
}
static int mount_something(const struct room *r)
{
    (void)r;
    return result_of(syscall(SYS_mount, "none", r->root, "tmpfs", 0, NULL));
}
static int set_up_io_uring(const struct room *r)
{
    (void)r;
    return result_of(syscall(SYS_io_uring_setup, 1, NULL));
}
static int read_keys(const struct room *r)
{
    (void)r;
    return result_of(syscall(SYS_keyctl, 0, 0, 0, 0, 0));
}
static int new_namespace(const struct room *r)
{
    (void)r;
    return result_of(syscall(SYS_unshare, CLONE_NEWUSER));
}
static int fault_handler(const struct room *r)
{
    (void)r;
    return result_of(syscall(SYS_userfaultfd, 0));
}

Test(wall, ends_a_process_that_attacks_the_kernel)
{
    static const struct {
        const char *says;
        int (*attempt)(const struct room *r);
    } rows[] = {
        {"ptrace", trace},         {"bpf", load_bpf},           {"mount", mount_something}, {"io_uring", set_up_io_uring},
        {"keyctl", read_keys},     {"unshare", new_namespace},  {"userfaultfd", fault_handler},
    };
    struct room r;
    room_make(&r);

    for (unsigned k = 0; !__asan_init && k < sizeof rows / sizeof *rows; k++) {
        int result = behind_wall("smtpd", "", false, &r, rows[k].attempt);
        cr_expect_eq(result, 1000 + SIGSYS, "%s: result %d", rows[k].says, result);
    }

    room_end(&r);
}

/* --- what a row allows --------------------------------------------------------- */

static int ask_about_descriptor(const struct room *r)
{
    struct stat st;
    return result_of(fstat(r->given, &st));
}
Test(wall, lets_every_program_ask_about_a_descriptor)
{
    struct room r;
    const struct wall *w;
    room_make(&r);

    for (unsigned i = 0; (w = wall_at(i)); i++)
        cr_expect_eq(behind_wall(w->program, "", false, &r, ask_about_descriptor), NOT_DENIED, "%s", w->program);

    room_end(&r);
}

static int read_given(const struct room *r)
{
    char data[4];
    int fd = openat(r->given, "file", O_RDONLY);
    return fd < 0 ? errno : result_of(read(fd, data, 4));
}
static int store_in_given(const struct room *r)
{
    int fd = openat(r->given, "new", O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (fd < 0)
        return errno;
    if (write(fd, "x", 1) != 1 || fsync(fd) != 0 || renameat(r->given, "new", r->given, "kept") != 0 ||
        fsync(r->given) != 0)
        return errno;
    return NOT_DENIED;
}
static int link_unnamed_into_given(const struct room *r)
{
    char path[64];
    int fd = openat(r->given, ".", O_TMPFILE | O_WRONLY, 0600);
    if (fd < 0)
        return errno;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return result_of(linkat(AT_FDCWD, path, r->given, "linked", AT_SYMLINK_FOLLOW));
}
static int remove_given(const struct room *r)
{
    return result_of(unlinkat(r->given, "file", 0));
}
static int make_dir_in_given(const struct room *r)
{
    return result_of(mkdirat(r->given, "dir", 0700));
}

Test(wall, opens_each_directory_as_far_as_its_row_says)
{
    static const struct {
        const char *says, *program, *directory;
        int (*attempt)(const struct room *r);
        bool allowed;
    } rows[] = {
        {"cleanup stores in its intake", "cleanup", "intake", store_in_given, true},
        {"cleanup links an unnamed file into the queue", "cleanup", "queue", link_unnamed_into_given, true},
        {"cleanup reads its intake", "cleanup", "intake", read_given, true},
        {"cleanup cannot read what lies in the queue", "cleanup", "queue", read_given, false},
        {"cleanup cannot remove from the queue", "cleanup", "queue", remove_given, false},
        {"qmgr reads the queue", "qmgr", "queue", read_given, true},
        {"qmgr removes from the queue", "qmgr", "queue", remove_given, true},
        {"qmgr keeps its journal", "qmgr", "journal", store_in_given, true},
        {"qmgr makes no directory", "qmgr", "queue", make_dir_in_given, false},
        {"pickup reads the maildrop", "pickup", "maildrop", read_given, true},
        {"pickup puts nothing into the maildrop", "pickup", "maildrop", store_in_given, false},
        {"a mailbox process makes directories", "mailbox", "mailbox", make_dir_in_given, true},
        {"a POP3 session removes mail", "pop3box", "mailbox", remove_given, true},
        {"smtpd reads no directory, whatever it is called", "smtpd", "queue", read_given, false},
    };

    for (unsigned k = 0; k < sizeof rows / sizeof *rows; k++) {
        struct room r;
        room_make(&r);
        int result = behind_wall(rows[k].program, rows[k].directory, false, &r, rows[k].attempt);
        cr_expect_eq(result == NOT_DENIED, rows[k].allowed, "%s: result %d", rows[k].says, result);
        room_end(&r);
    }
}

static int abort_itself(const struct room *r)
{
    (void)r;
    abort();
}

Test(wall, lets_a_process_abort_on_a_bug)
{
    struct room r;
    room_make(&r);

    int result = behind_wall("smtpd", "", false, &r, abort_itself);

    cr_expect_eq(result, 1000 + SIGABRT, "result %d", result);
    room_end(&r);
}

static int call_taken_by_tracer(const struct room *r)
{
    (void)r;
    return result_of(syscall(-1));
}

Test(wall, gives_a_call_that_a_tracer_took_away_back_as_unknown)
{
    struct room r;
    room_make(&r);

    int result = behind_wall("qmgr", "", false, &r, call_taken_by_tracer);

    cr_expect_eq(result, ENOSYS, "result %d", result);
    room_end(&r);
}

/* --- what /proc shows ---------------------------------------------------------- */

static char status_lines[4096];

static int status_of_itself(const struct room *r)
{
    (void)r;
    /* Opened before the wall: a process behind one has no /proc. */
    ssize_t n = pread(r->given, status_lines, sizeof status_lines - 1, 0);
    return n < 0 ? errno : (int)!(write(1, status_lines, (size_t)n) == n);
}

static void status_behind(const char *program, char *text, size_t size)
{
    int out[2];
    cr_assert_eq(pipe(out), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct buf why = BUF_INIT;
        struct room r = {.given = open("/proc/self/status", O_RDONLY)};
        const char *name = "";
        dup2(out[1], 1);
        if (!wall_enter(program, &r.given, &name, 0, &why))
            _exit(BROKEN);
        _exit(status_of_itself(&r));
    }
    close(out[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(out[0], text + n, size - 1 - n)) > 0; n += (size_t)got)
        ;
    text[n] = 0;
    close(out[0]);
    waitpid(pid, NULL, 0);
}

Test(wall, leaves_no_capability_and_no_way_to_new_ones)
{
    static const char *const want[] = {"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000",
                                       "CapEff:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1"};
    char text[4096];

    status_behind("smtpd", text, sizeof text);

    for (unsigned i = 0; i < sizeof want / sizeof *want; i++)
        cr_expect(strstr(text, want[i]) != NULL, "no %s in:\n%s", want[i], text);
    if (getuid() == 0)
        cr_expect(strstr(text, "CapBnd:\t0000000000000000") != NULL, "bounding set in:\n%s", text);
    if (!__asan_init)
        cr_expect(strstr(text, "Seccomp:\t2") != NULL, "no filter in:\n%s", text);
}

Test(wall, leaves_deliver_what_it_takes_to_become_a_user)
{
    char text[4096];

    status_behind("deliver", text, sizeof text);

    if (getuid() == 0) /* CHOWN 0, KILL 5, SETGID 6, SETUID 7 */
        for (unsigned i = 0; i < 3; i++) {
            static const char *const want[] = {"CapPrm:\t00000000000000e1", "CapEff:\t00000000000000e1",
                                               "CapBnd:\t00000000000000e1"};
            cr_expect(strstr(text, want[i]) != NULL, "no %s in:\n%s", want[i], text);
        }
    cr_expect(strstr(text, "NoNewPrivs:\t0") != NULL, "a user's command must not inherit it:\n%s", text);
}

/* --- the table ------------------------------------------------------------------ */

Test(wall, refuses_a_program_without_a_row)
{
    struct buf why = BUF_INIT;

    cr_expect_not(wall_enter("finger", NULL, NULL, 0, &why));

    cr_expect_str_eq(buf_text(&why), "no wall is declared for finger");
    buf_fini(&why);
}

Test(wall, has_rows_that_name_only_programs_with_rows)
{
    const struct wall *w;

    for (unsigned i = 0; (w = wall_at(i)); i++) {
        struct span rest = span_text(w->channels), word;
        cr_expect(w->files_max >= 64 && *w->never, "%s: limits and a phrase", w->program);
        while (span_next_token(&rest, SPAN(" "), &word)) {
            char name[32];
            snprintf(name, sizeof name, "%.*s", SPAN_ARG(word));
            cr_expect(wall_find(name) != NULL, "%s may speak to %s, which has no row", w->program, name);
        }
    }
}

/* --- the documents ---------------------------------------------------------------- */

static void put_cell(struct buf *row, const char *text)
{
    buf_printf(row, " %s |", *text ? text : "-");
}

Test(wall, is_documented_row_by_row)
{
    struct buf text = BUF_INIT;
    FILE *f = fopen("docs/security.md", "r");
    cr_assert(f != NULL, "docs/security.md; tests run at the top of the tree");
    for (size_t n; (n = fread(buf_reserve(&text, 4096), 1, 4096, f)) > 0;)
        buf_grown(&text, n);
    fclose(f);

    const struct wall *w;
    for (unsigned i = 0; (w = wall_at(i)); i++) {
        struct buf row = BUF_INIT;
        buf_printf(&row, "| `%s` |", w->program);
        put_cell(&row, w->user);
        put_cell(&row, w->directories);
        put_cell(&row, w->channels);
        put_cell(&row, w->syscalls);
        put_cell(&row, w->files);
        buf_printf(&row, " %u | %s |\n", w->files_max, w->never);
        buf_putc(&text, 0);
        cr_expect(strstr(text.data, buf_text(&row)) != NULL, "docs/security.md has no line\n%s", buf_text(&row));
        buf_truncate(&text, text.len - 1);
        buf_fini(&row);
    }
    buf_fini(&text);
}
