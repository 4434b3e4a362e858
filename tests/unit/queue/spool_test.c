#include "lib/queue/spool.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- a disk that fails on demand: these stand before the C library's -------------- */

static int sync_error;      /* errno of every fsync */
static unsigned syncs;      /* calls so far */
static bool no_tmpfile;     /* a file system without O_TMPFILE */

int fsync(int fd)
{
    syncs++;
    if (sync_error) {
        errno = sync_error;
        return -1;
    }
    int (*real)(int);
    *(void **)&real = dlsym(RTLD_NEXT, "fsync");
    return real(fd);
}

int openat(int directory, const char *name, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(args, mode_t) : 0;
    va_end(args);
    if (no_tmpfile && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    int (*real)(int, const char *, int, ...);
    *(void **)&real = dlsym(RTLD_NEXT, "openat");
    return real(directory, name, flags, mode);
}

/* --- fixtures ----------------------------------------------------------------------- */

static char where[64];
static int directory;
static int queue, scratch, corrupt;
static struct spool spool;
static struct queue_id_source ids = {.incarnation = 9};

/* The directories as master makes them. */
static void open_spool(void)
{
    cr_assert(mkdirat(directory, "queue", 0700) == 0 || errno == EEXIST);
    cr_assert(mkdirat(directory, "slot", 0700) == 0 || errno == EEXIST);
    cr_assert(mkdirat(directory, "corrupt", 0700) == 0 || errno == EEXIST);
    queue = openat(directory, "queue", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    scratch = openat(directory, "slot", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    corrupt = openat(directory, "corrupt", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    spool = spool_open(queue, scratch);
}

static void close_spool(void)
{
    close(queue);
    close(scratch);
    close(corrupt);
}

static void setup(void)
{
    snprintf(where, sizeof where, "%s", "/tmp/spool-test.XXXXXX");
    cr_assert_not_null(mkdtemp(where));
    directory = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    open_spool();
}

static void teardown(void)
{
    char command[128];
    close_spool();
    close(directory);
    snprintf(command, sizeof command, "rm -rf %s", where);
    cr_assert_eq(system(command), 0);
}

TestSuite(spool, .init = setup, .fini = teardown);

static enum store_result begin(struct spool_file *f, const struct queue_id *id, uint64_t text_size)
{
    struct buf envelope = BUF_INIT, why = BUF_INIT;
    struct msg_recipient r = {.address = SPAN("anna@example.org"), .number = 1};
    struct msg_stored_envelope e = {.id = queue_id_span(id), .sender = SPAN("s@example.net"), .recipients = {&r, 1},
                                    .text_size = text_size};
    stored_put_envelope(&envelope, &e);
    enum store_result result = spool_begin(&spool, f, id, buf_span(&envelope), text_size, &why);
    buf_fini(&envelope);
    buf_fini(&why);
    return result;
}

/* A file up to before its commit. */
static enum store_result prepare(struct spool_file *f, const struct queue_id *id, struct span text)
{
    struct buf why = BUF_INIT;
    enum store_result result = begin(f, id, text.n);
    for (size_t at = 0; result == STORE_OK && at < text.n; at += 10000)
        result = spool_put(f, span_slice(text, at, at + 10000), &why);
    if (result == STORE_OK)
        result = spool_end(f, &why);
    buf_fini(&why);
    return result;
}

static enum store_result commit(struct spool_file *f)
{
    struct buf why = BUF_INIT;
    spool_commit(&spool, &f, 1, &why);
    buf_fini(&why);
    return f->result;
}

static enum store_result put(const struct queue_id *id, struct span text)
{
    struct spool_file f;
    enum store_result result = prepare(&f, id, text);
    if (result == STORE_OK)
        return commit(&f);
    spool_drop(&f);
    return result;
}

static enum spool_found get(const struct queue_id *id, struct span *text)
{
    static char room[300000];
    struct arena a = ARENA_INIT;
    struct stored st;
    struct buf why = BUF_INIT;
    int fd;
    enum spool_found found = spool_get(&spool, &a, id, &st, &fd, &why);
    cr_expect_eq(found == SPOOL_GOOD, why.len == 0);
    cr_expect_eq(found == SPOOL_GOOD, fd >= 0);
    if (found == SPOOL_GOOD) {
        *text = span_of(room, (size_t)st.text_size);
        cr_expect(span_eq(st.envelope.sender, SPAN("s@example.net")));
        cr_expect_eq(pread(fd, room, (size_t)st.text_size, (off_t)st.text_offset), (ssize_t)st.text_size);
        found = spool_prove(fd, &st, &why);
        close(fd);
    }
    arena_fini(&a);
    buf_fini(&why);
    return found;
}

struct seen {
    unsigned messages, unknown;
    struct queue_id last;
    char name[64];
};

static void saw_message(const struct queue_id *id, void *context)
{
    ((struct seen *)context)->messages++;
    ((struct seen *)context)->last = *id;
}

static void saw_unknown(const char *name, void *context)
{
    ((struct seen *)context)->unknown++;
    snprintf(((struct seen *)context)->name, sizeof ((struct seen *)context)->name, "%s", name);
}

static struct seen scan(void)
{
    static const struct spool_visitor visitor = {saw_message, saw_unknown};
    struct seen seen = {0};
    struct buf why = BUF_INIT;
    cr_assert(spool_scan(&spool, &visitor, &seen, &why), "%s", buf_text(&why));
    buf_fini(&why);
    return seen;
}

/* All files below the directory, whatever their names. */
static unsigned count_files(void)
{
    char command[128], line[32] = "";
    snprintf(command, sizeof command, "find %s -type f | wc -l", where);
    FILE *f = popen(command, "r");
    cr_assert_not_null(fgets(line, sizeof line, f));
    pclose(f);
    return (unsigned)strtoul(line, NULL, 10);
}

static void path_of(const struct queue_id *id, char *path, size_t size)
{
    snprintf(path, size, "queue/%s", id->text);
}

static struct span long_text(void)
{
    static char text[250000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + i % 26);
    return span_of(text, sizeof text);
}

/* --- what stands ---------------------------------------------------------------------- */

Test(spool, reads_back_what_it_wrote)
{
    struct queue_id id = queue_id_draw(&ids);
    struct span text = SPAN_NONE;

    cr_assert_eq(put(&id, long_text()), STORE_OK);

    cr_expect_eq(get(&id, &text), SPOOL_GOOD);
    cr_expect(span_eq(text, long_text()));
    struct seen seen = scan();
    cr_expect_eq(seen.messages, 1);
    cr_expect_eq(queue_id_compare(&seen.last, &id), 0);
}

Test(spool, works_where_files_cannot_be_unnamed)
{
    struct queue_id id;
    struct span text = SPAN_NONE;
    int fd;
    no_tmpfile = true;
    close_spool();
    open_spool();

    for (int i = 0; i < 10; i++) {
        id = queue_id_draw(&ids);
        cr_assert_eq(put(&id, long_text()), STORE_OK);
    }
    struct buf why = BUF_INIT;
    cr_expect_eq(newfile_scratch(&spool.home, &fd, &why), STORE_OK);

    cr_expect_eq(get(&id, &text), SPOOL_GOOD);
    cr_expect_geq(fd, 0);
    cr_expect_eq(count_files(), 10);
    close(fd);
    buf_fini(&why);
}

Test(spool, makes_a_batch_safe_with_one_directory_sync)
{
    struct spool_file files[20], *list[20];
    struct buf why = BUF_INIT;
    struct queue_id first = queue_id_draw(&ids);
    cr_assert_eq(put(&first, SPAN("the directory is there now")), STORE_OK);
    for (unsigned i = 0; i < 20; i++) {
        struct queue_id id = queue_id_make(queue_id_time_us(&first), 100 + i);
        cr_assert_eq(prepare(&files[i], &id, SPAN("text")), STORE_OK);
        list[i] = &files[i];
    }

    syncs = 0;
    spool_commit(&spool, list, 20, &why);

    cr_expect_eq(syncs, 21);
    for (unsigned i = 0; i < 20; i++)
        cr_expect_eq(files[i].result, STORE_OK);
    cr_expect_eq(scan().messages, 21);
    buf_fini(&why);
}

Test(spool, leaves_no_file_before_the_commit)
{
    struct queue_id id = queue_id_draw(&ids);
    struct spool_file f;
    cr_assert_eq(prepare(&f, &id, SPAN("text")), STORE_OK);

    cr_expect_eq(count_files(), 0);
    spool_drop(&f);
    spool_drop(&f);

    cr_expect_eq(count_files(), 0);
}

Test(spool, takes_the_same_message_twice_but_not_another_of_its_name)
{
    struct queue_id id = queue_id_draw(&ids);
    struct span text = SPAN_NONE;
    cr_assert_eq(put(&id, SPAN("text")), STORE_OK);

    cr_expect_eq(put(&id, SPAN("text")), STORE_OK, "a repetition after a crash");
    cr_expect_eq(put(&id, SPAN("a text that is so much longer that the file is too")), STORE_FAILED);

    cr_expect_eq(get(&id, &text), SPOOL_GOOD);
    cr_expect(span_eq(text, SPAN("text")));
    cr_expect_eq(count_files(), 1);
}

Test(spool, removes_a_message_and_says_so_again)
{
    struct queue_id id = queue_id_draw(&ids);
    struct span text;
    struct buf why = BUF_INIT;
    cr_assert_eq(put(&id, SPAN("text")), STORE_OK);

    cr_expect(spool_remove(&spool, &id, &why));
    cr_expect(spool_remove(&spool, &id, &why));
    syncs = 0;
    cr_expect(spool_sync(&spool, &why));
    cr_expect(spool_sync(&spool, &why));

    cr_expect_eq(syncs, 1);
    cr_expect_eq(get(&id, &text), SPOOL_GONE);
    cr_expect_eq(scan().messages, 0);
    buf_fini(&why);
}

/* --- damage ------------------------------------------------------------------------------ */

Test(spool, refuses_a_file_damaged_at_any_octet)
{
    struct queue_id id = queue_id_draw(&ids);
    struct span text;
    char path[64], octet;
    struct stat st;
    cr_assert_eq(put(&id, SPAN("text")), STORE_OK);
    path_of(&id, path, sizeof path);
    int fd = openat(directory, path, O_RDWR);
    fstat(fd, &st);

    for (off_t at = 0; at < st.st_size; at++) {
        cr_assert_eq(pread(fd, &octet, 1, at), 1);
        char wrong = (char)(octet ^ 16);
        cr_assert_eq(pwrite(fd, &wrong, 1, at), 1);
        cr_expect_eq(get(&id, &text), SPOOL_DAMAGED, "octet %ld", (long)at);
        cr_assert_eq(pwrite(fd, &octet, 1, at), 1);
    }
    cr_expect_eq(get(&id, &text), SPOOL_GOOD);
    close(fd);
}

Test(spool, refuses_a_file_of_any_other_length)
{
    struct queue_id id = queue_id_draw(&ids);
    struct span text;
    char path[64];
    struct stat st;
    cr_assert_eq(put(&id, SPAN("text")), STORE_OK);
    path_of(&id, path, sizeof path);
    int fd = openat(directory, path, O_RDWR);
    fstat(fd, &st);

    cr_assert_eq(ftruncate(fd, st.st_size + 1), 0);
    cr_expect_eq(get(&id, &text), SPOOL_DAMAGED, "one octet longer");
    for (off_t n = st.st_size; n-- > 0;) {
        cr_assert_eq(ftruncate(fd, n), 0);
        cr_expect_eq(get(&id, &text), SPOOL_DAMAGED, "cut to %ld", (long)n);
    }
    close(fd);
}

Test(spool, refuses_what_is_no_file_or_a_link_or_has_another_messages_name)
{
    struct queue_id id = queue_id_draw(&ids), linked = queue_id_make(queue_id_time_us(&id), 500),
                    renamed = queue_id_make(queue_id_time_us(&id), 501),
                    fifo = queue_id_make(queue_id_time_us(&id), 502);
    struct span text;
    char path[64], other[64];
    cr_assert_eq(put(&id, SPAN("text")), STORE_OK);
    path_of(&id, path, sizeof path);
    path_of(&linked, other, sizeof other);
    cr_assert_eq(symlinkat(id.text, directory, other), 0);
    path_of(&renamed, other, sizeof other);
    cr_assert_eq(linkat(directory, path, directory, other, 0), 0);
    path_of(&fifo, other, sizeof other);
    cr_assert_eq(mkfifoat(directory, other, 0600), 0);

    cr_expect_eq(get(&linked, &text), SPOOL_DAMAGED);
    cr_expect_eq(get(&renamed, &text), SPOOL_DAMAGED);
    cr_expect_eq(get(&fifo, &text), SPOOL_DAMAGED);
}

Test(spool, sets_a_damaged_message_aside_under_a_free_name)
{
    struct queue_id id = queue_id_draw(&ids);
    struct buf name = BUF_INIT, why = BUF_INIT;

    cr_assert_eq(put(&id, SPAN("first")), STORE_OK);
    cr_expect(spool_set_aside(&spool, corrupt, &id, &name, &why));
    cr_expect_str_eq(buf_text(&name), id.text);
    cr_assert_eq(put(&id, SPAN("second")), STORE_OK);
    cr_expect(spool_set_aside(&spool, corrupt, &id, &name, &why));

    cr_expect_eq(buf_text(&name)[strlen(id.text)], '.');
    cr_expect_eq(scan().messages, 0);
    cr_expect_eq(count_files(), 2, "nothing is deleted");
    cr_expect(!spool_set_aside(&spool, corrupt, &id, &name, &why), "there is none any more");
    buf_fini(&name);
    buf_fini(&why);
}

Test(spool, tells_unknown_names)
{
    struct queue_id id = queue_id_draw(&ids);
    cr_assert_eq(put(&id, SPAN("text")), STORE_OK);
    close(openat(queue, "notes.txt", O_CREAT | O_RDWR, 0600));

    struct seen seen = scan();

    cr_expect_eq(seen.messages, 1);
    cr_expect_eq(seen.unknown, 1);
    cr_expect_str_eq(seen.name, "notes.txt");
}

Test(spool, sweeps_temporary_files_of_a_process_that_is_gone)
{
    struct queue_id id = queue_id_draw(&ids);
    struct spool_file f;
    no_tmpfile = true;
    close_spool();
    open_spool();
    cr_assert_eq(prepare(&f, &id, SPAN("text")), STORE_OK);
    cr_assert_eq(count_files(), 1);

    newfile_sweep(scratch);

    cr_expect_eq(count_files(), 0);
    cr_expect_eq(commit(&f), STORE_FAILED);
}

/* --- errors ------------------------------------------------------------------------------- */

Test(spool, refuses_after_a_sync_error_and_leaves_nothing)
{
    struct queue_id id = queue_id_draw(&ids);
    struct spool_file f;
    struct span text;
    cr_assert_eq(put(&id, SPAN("the directory is there now")), STORE_OK);
    id = queue_id_make(queue_id_time_us(&id), 77);
    cr_assert_eq(prepare(&f, &id, SPAN("text")), STORE_OK);

    sync_error = EIO;
    syncs = 0;
    cr_expect_eq(commit(&f), STORE_FAILED);
    sync_error = 0;

    cr_expect_eq(syncs, 1, "it is not tried again");
    cr_expect_eq(get(&id, &text), SPOOL_GONE);
    cr_expect_eq(count_files(), 1);
}

Test(spool, answers_full_where_a_file_may_not_grow)
{
    struct queue_id id = queue_id_draw(&ids);
    struct rlimit limit = {100000, 100000};
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);

    cr_expect_eq(put(&id, long_text()), STORE_FULL);

    cr_expect_eq(count_files(), 0);
    cr_expect_eq(put(&id, SPAN("short")), STORE_OK);
}

/* A file system of 2 MB where the spool is, in a mount namespace of this process: it goes with it. */
static bool mount_small_disk(void)
{
    if (unshare(CLONE_NEWNS) != 0)
        return false;
    /* Refused where the root is no mount point (a chroot): nothing is shared with it then. */
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 && errno != EINVAL)
        return false;
    return mount("none", where, "tmpfs", 0, "size=2m,nr_inodes=64") == 0;
}

Test(spool, answers_full_on_a_full_disk_and_takes_mail_again_when_there_is_room)
{
    struct queue_id id, last = {0};
    unsigned stored = 0;
    struct buf why = BUF_INIT;
    if (geteuid() != 0)
        cr_skip_test("only root can mount a small disk; the file size limit is tried above");
    cr_assert(mount_small_disk(), "%s", strerror(errno));
    close_spool();
    close(directory);
    directory = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    open_spool();

    for (;;) {
        id = queue_id_draw(&ids);
        enum store_result result = put(&id, long_text());
        if (result != STORE_OK) {
            cr_expect_eq(result, STORE_FULL);
            break;
        }
        last = id;
        stored++;
    }

    cr_expect_geq(stored, 6);
    cr_expect_eq(count_files(), stored, "no part of the refused one is left");
    cr_expect(spool_remove(&spool, &last, &why));
    cr_expect_eq(put(&id, long_text()), STORE_OK);
    close_spool();
    close(directory);
    umount2(where, MNT_DETACH);
    directory = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    open_spool();
    buf_fini(&why);
}
