#include "lib/queue/journal.h"
#include "lib/queue/journal_format.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MESSAGES = 24, SMALL = JOURNAL_SEGMENT_MIN, FILES = 64 };

/* --- a directory, and what survives of it ------------------------------------------ */

struct file {
    char name[JOURNAL_FILE_NAME];
    char *octets;
    size_t n;
};

/* A copy of a directory. */
struct copy {
    struct file files[FILES];
    size_t count;
};

static int make_directory(void)
{
    char path[] = "/tmp/journal-test.XXXXXX";
    cr_assert_not_null(mkdtemp(path));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    return fd;
}

static void remove_directory(int dir)
{
    char link[64], path[256];
    DIR *d = fdopendir(dup(dir));
    rewinddir(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            unlinkat(dir, e->d_name, 0);
    closedir(d);
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t n = readlink(link, path, sizeof path - 1);
    close(dir);
    if (n > 0) {
        path[n] = '\0';
        rmdir(path);
    }
}

static void load_fd(int fd, struct file *f)
{
    struct stat st;
    fstat(fd, &st);
    f->n = (size_t)st.st_size;
    f->octets = realloc(f->octets, f->n + 1);
    cr_assert_eq(pread(fd, f->octets, f->n, 0), (ssize_t)f->n);
}

static struct copy copy_directory(int dir)
{
    struct copy c = {0};
    int again = openat(dir, ".", O_RDONLY | O_DIRECTORY);
    DIR *d = fdopendir(again);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        struct file *f = &c.files[c.count++];
        snprintf(f->name, sizeof f->name, "%.20s", e->d_name);
        int fd = openat(dir, f->name, O_RDONLY);
        load_fd(fd, f);
        close(fd);
    }
    closedir(d);
    return c;
}

static void put_file(int dir, const struct file *f, size_t n)
{
    int fd = openat(dir, f->name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    cr_assert_eq(write(fd, f->octets, n), (ssize_t)n);
    close(fd);
}

static void free_copy(struct copy *c)
{
    for (size_t i = 0; i < c->count; i++)
        free(c->files[i].octets);
    c->count = 0;
}

static struct file *file_of(struct copy *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->files[i].name, name) == 0)
            return &c->files[i];
    return NULL;
}

/* --- an owner: messages with one number each that only grows ----------------------------- */

struct owner {
    struct journal *journal;
    uint64_t put[MESSAGES], acked[MESSAGES]; /* the number of each */
    uint64_t base[MESSAGES]; /* segment below which nothing stands about it; 0: nothing stands */
};

static void put_number(struct owner *o, size_t i, uint64_t number)
{
    char id[16];
    int n = snprintf(id, sizeof id, "ID%02zu", i);
    o->put[i] = number;
    uint64_t segment = journal_put(
        o->journal, &(struct msg_journal_entry){
                        .id = span_of(id, (size_t)n),
                        .event = JOURNAL_DEFERRED,
                        .recipient = 1,
                        .until_us = number,
                        .text = SPAN("connect to mail.example.org[192.0.2.1]:25: Connection refused")});
    if (o->base[i] == 0)
        o->base[i] = segment;
}

static bool repeat(uint64_t segment, size_t octets, void *context)
{
    struct owner *o = context;
    size_t done = 0;
    (void)octets;
    for (size_t i = 0; i < MESSAGES; i++) {
        if (o->base[i] == 0 || o->base[i] > segment)
            continue;
        if (done++ == 3)
            return true;
        o->base[i] = journal_segment(o->journal);
        put_number(o, i, o->put[i]);
    }
    return false;
}

static bool commit(struct owner *o)
{
    struct buf why = BUF_INIT;
    bool good = journal_commit(o->journal, &why);
    if (good)
        memcpy(o->acked, o->put, sizeof o->put);
    else
        cr_expect(why.len > 0, "a failure has a reason");
    buf_fini(&why);
    return good;
}

struct replayed {
    uint64_t number[MESSAGES], base[MESSAGES];
    unsigned damaged, about[MESSAGES], unknown, entries;
    int64_t before_us;
};

static void take_entry(const struct msg_journal_entry *e, int64_t written_us, uint64_t segment, void *context)
{
    struct replayed *r = context;
    uint64_t i;
    (void)written_us;
    r->entries++;
    if (e->id.n != 4 || !span_to_u64(span_skip(e->id, 2), MESSAGES - 1, &i))
        return;
    r->number[i] = e->until_us;
    if (!r->base[i])
        r->base[i] = segment;
}

static void take_damage(struct span id, int64_t before_us, const char *what, void *context)
{
    struct replayed *r = context;
    uint64_t i;
    cr_expect(what[0]);
    r->damaged++;
    r->before_us = before_us;
    if (id.n == 4 && span_to_u64(span_skip(id, 2), MESSAGES - 1, &i))
        r->about[i]++;
    else
        r->unknown++;
}

static struct replayed replay(int dir, struct journal_summary *summary)
{
    struct replayed r = {0};
    struct journal_reader reader = {take_entry, take_damage, &r};
    struct buf why = BUF_INIT;
    cr_assert(journal_replay(dir, &reader, summary, &why), "%s", buf_text(&why));
    return r;
}

static struct replayed open_journal(struct owner *o, int dir, const struct journal_io *io)
{
    struct replayed r = {0};
    struct journal_reader reader = {take_entry, take_damage, &r};
    struct journal_options options = {.segment_size = SMALL, .io = io, .repeat = repeat, .context = o};
    struct journal_summary summary;
    struct buf why = BUF_INIT;
    o->journal = journal_open(dir, &options, &reader, &summary, &why);
    cr_assert_not_null(o->journal, "%s", buf_text(&why));
    memcpy(o->put, r.number, sizeof r.number);
    memcpy(o->acked, r.number, sizeof r.number);
    memcpy(o->base, r.base, sizeof r.base);
    return r;
}

/* --- what is promised --------------------------------------------------------------------- */

Test(journal, gives_back_every_entry_in_order_after_a_new_start)
{
    int dir = make_directory();
    struct owner o = {0};
    open_journal(&o, dir, NULL);
    for (uint64_t n = 1; n <= 50; n++) {
        for (size_t i = 0; i < MESSAGES; i++)
            put_number(&o, i, n * 100 + i);
        cr_assert(commit(&o));
    }
    journal_close(&o.journal);

    struct replayed r = open_journal(&o, dir, NULL);

    for (size_t i = 0; i < MESSAGES; i++)
        cr_expect_eq(r.number[i], 5000 + i);
    cr_expect_eq(r.entries, 50u * MESSAGES);
    cr_expect_eq(r.damaged, 0u);
    journal_close(&o.journal);
    remove_directory(dir);
}

Test(journal, keeps_every_field_of_an_entry)
{
    int dir = make_directory();
    struct owner o = {0};
    open_journal(&o, dir, NULL);
    put_number(&o, 7, 1);
    char big[5000];
    memset(big, 'x', sizeof big);
    struct msg_journal_entry e = {.id = SPAN("ID07"),
                                  .event = JOURNAL_FAILED,
                                  .recipient = 3,
                                  .until_us = 42,
                                  .dsn = SPAN("5.1.1"),
                                  .text = span_of(big, sizeof big),
                                  .relay = span_of(big, sizeof big),
                                  .remote_mta = span_of(big, sizeof big),
                                  .diagnostic = span_of(big, sizeof big),
                                  .action = SPAN("failed"),
                                  .new_id = SPAN("NEW"),
                                  .kind = 2,
                                  .flags = 3};

    journal_cut_texts(&e);
    journal_put(o.journal, &e);

    cr_expect(commit(&o), "an entry with every text at its limit fits");
    cr_expect_eq(replay(dir, &(struct journal_summary){0}).number[7], 42u);
    journal_close(&o.journal);
    remove_directory(dir);
}

Test(journal, does_not_give_back_what_was_not_committed)
{
    int dir = make_directory();
    struct owner o = {0};
    open_journal(&o, dir, NULL);
    put_number(&o, 1, 1);
    cr_assert(commit(&o));
    put_number(&o, 1, 2);
    cr_expect(journal_is_dirty(o.journal));
    journal_close(&o.journal);

    struct replayed r = replay(dir, &(struct journal_summary){0});

    cr_expect_eq(r.number[1], 1u);
    remove_directory(dir);
}

Test(journal, takes_a_tail_torn_at_any_octet_as_normal)
{
    int dir = make_directory();
    struct owner o = {0};
    struct journal_summary summary;
    open_journal(&o, dir, NULL);
    for (size_t i = 0; i < 8; i++)
        put_number(&o, i, 1);
    cr_assert(commit(&o));
    replay(dir, &summary);
    uint64_t synced = summary.last_end;
    for (size_t i = 0; i < 8; i++)
        put_number(&o, i, 2);
    cr_assert(commit(&o));
    replay(dir, &summary);
    uint64_t end = summary.last_end;
    journal_close(&o.journal);
    struct copy whole = copy_directory(dir);
    char name[JOURNAL_FILE_NAME];
    journal_file_name(name, summary.last);
    struct file *f = file_of(&whole, name);

    for (uint64_t at = synced; at <= end; at++) {
        for (int cut = 0; cut < 2; cut++) { /* the rest is zeros, or the file is shorter */
            struct file torn = {.octets = calloc(1, f->n), .n = cut ? at : f->n};
            snprintf(torn.name, sizeof torn.name, "%s", f->name);
            memcpy(torn.octets, f->octets, at);
            put_file(dir, &torn, torn.n);

            struct replayed r = replay(dir, &summary);

            cr_assert_eq(r.damaged, 0u, "torn at %llu", (unsigned long long)at);
            for (size_t i = 0; i < 8; i++)
                cr_assert(r.number[i] == 1 || r.number[i] == 2, "torn at %llu: %zu", (unsigned long long)at,
                          i);
            cr_assert(at < end || r.number[7] == 2);
            free(torn.octets);
        }
    }
    free_copy(&whole);
    remove_directory(dir);
}

Test(journal, goes_on_behind_a_torn_tail_and_never_reads_it_again)
{
    int dir = make_directory();
    struct owner o = {0};
    struct journal_summary summary;
    open_journal(&o, dir, NULL);
    put_number(&o, 1, 1);
    cr_assert(commit(&o));
    put_number(&o, 1, 2);
    cr_assert(commit(&o));
    replay(dir, &summary);
    journal_close(&o.journal);
    char name[JOURNAL_FILE_NAME];
    journal_file_name(name, summary.last);
    int fd = openat(dir, name, O_RDWR);
    cr_assert_eq(pwrite(fd, "torn", 4, (off_t)summary.last_end - 20), 4);
    close(fd);

    struct replayed first = open_journal(&o, dir, NULL);
    put_number(&o, 2, 9);
    cr_assert(commit(&o));
    journal_close(&o.journal);
    struct replayed second = open_journal(&o, dir, NULL);

    cr_expect_eq(first.number[1], 1u);
    cr_expect_eq(first.damaged, 0u);
    cr_expect_eq(second.number[1], 1u);
    cr_expect_eq(second.number[2], 9u);
    cr_expect_eq(second.damaged, 0u);
    journal_close(&o.journal);
    remove_directory(dir);
}

/* Where octets of synced batches are changed, nothing is made up, and what is lost is reported. */
static void check_flip(int dir, const struct file *f, size_t at, const struct replayed *sound)
{
    struct journal_summary summary;
    struct file bad = *f;
    bad.octets = malloc(f->n);
    memcpy(bad.octets, f->octets, f->n);
    bad.octets[at] = (char)(bad.octets[at] ^ 0x10);
    put_file(dir, &bad, bad.n);

    struct replayed r = replay(dir, &summary);

    for (size_t i = 0; i < MESSAGES; i++) {
        cr_assert_leq(r.number[i], sound->number[i], "%s flipped at %zu", f->name, at);
        if (r.number[i] != sound->number[i])
            cr_assert(r.unknown || r.about[i], "%s flipped at %zu: loss of %zu not reported", f->name, at, i);
    }
    put_file(dir, f, f->n);
    free(bad.octets);
}

Test(journal, reports_a_flip_of_any_octet_that_was_synced, .timeout = 120)
{
    int dir = make_directory();
    struct owner o = {0};
    struct journal_summary summary;
    open_journal(&o, dir, NULL);
    uint64_t before_last = 0;
    for (uint64_t n = 1; n <= 20; n++) {
        for (size_t i = 0; i < 5; i++)
            put_number(&o, i, n);
        cr_assert(commit(&o));
        if (n == 19) {
            replay(dir, &summary);
            before_last = summary.last_end;
        }
    }
    struct replayed sound = replay(dir, &summary);
    journal_close(&o.journal);
    cr_assert_gt(summary.segments, 2u);
    struct copy whole = copy_directory(dir);

    for (size_t k = 0; k < whole.count; k++) {
        struct file *f = &whole.files[k];
        uint64_t number;
        cr_assert(span_to_u64(span_text(f->name), UINT64_MAX, &number));
        /* The last batch of the last segment cannot be told from a torn one. */
        size_t end = number == summary.last ? before_last : number < summary.last ? f->n : 0;
        for (size_t at = 0; at < end; at++)
            check_flip(dir, f, at, &sound);
    }
    free_copy(&whole);
    remove_directory(dir);
}

Test(journal, names_the_message_whose_entry_went_bad)
{
    int dir = make_directory();
    struct owner o = {0};
    struct journal_summary summary;
    open_journal(&o, dir, NULL);
    put_number(&o, 3, 1);
    cr_assert(commit(&o));
    replay(dir, &summary);
    size_t at = summary.last_end;
    put_number(&o, 4, 1);
    cr_assert(commit(&o));
    put_number(&o, 5, 1);
    cr_assert(commit(&o));
    journal_close(&o.journal);
    char name[JOURNAL_FILE_NAME];
    journal_file_name(name, summary.last);
    int fd = openat(dir, name, O_RDWR);
    cr_assert_eq(pwrite(fd, "?", 1, (off_t)at + 90), 1); /* in the text */
    close(fd);

    struct replayed r = replay(dir, &summary);

    cr_expect_eq(r.about[4], 1u);
    cr_expect_eq(r.damaged, 1u);
    cr_expect_eq(r.number[3], 1u);
    cr_expect_eq(r.number[5], 1u);
    remove_directory(dir);
}

Test(journal, reports_a_segment_that_is_missing_in_the_middle)
{
    int dir = make_directory();
    struct owner o = {0};
    struct journal_summary summary;
    open_journal(&o, dir, NULL);
    for (uint64_t n = 1; n <= 30; n++) {
        for (size_t i = 0; i < 5; i++)
            put_number(&o, i, n);
        cr_assert(commit(&o));
    }
    journal_close(&o.journal);
    replay(dir, &summary);
    cr_assert_gt(summary.segments, 3u);
    char name[JOURNAL_FILE_NAME];
    journal_file_name(name, summary.first + 1);
    cr_assert_eq(unlinkat(dir, name, 0), 0);

    struct replayed r = replay(dir, &summary);

    cr_expect_eq(r.unknown, 1u);
    cr_expect_eq(r.number[0], 30u);
    remove_directory(dir);
}

Test(journal, leaves_foreign_files_alone)
{
    int dir = make_directory();
    struct owner o = {0};
    close(openat(dir, "README", O_RDWR | O_CREAT, 0600));
    cr_assert_eq(mkdirat(dir, "00000077", 0700), 0);

    struct replayed r = open_journal(&o, dir, NULL);

    cr_expect_eq(r.damaged, 0u);
    cr_expect_eq(faccessat(dir, "README", F_OK, 0), 0);
    cr_expect_gt(journal_segment(o.journal), 77u);
    journal_close(&o.journal);
    unlinkat(dir, "00000077", AT_REMOVEDIR);
    remove_directory(dir);
}

/* --- a machine that crashes, and one that fails ---------------------------------------------- */

/* What the disk holds: a file's octets as of its last sync, a name as of the directory's. */
struct machine {
    struct owner *owner;
    int dir;
    struct copy synced;  /* every file ever created, with the octets that were synced */
    bool named[FILES];   /* its name was synced, and not removed in a synced way */
    bool removed[FILES]; /* its name was removed since */
    bool dead[FILES];    /* a sync of it failed: later ones say yes and save nothing */
    unsigned steps;
    unsigned fail_at; /* the step that fails with EIO; 0: none */
    bool fail_on;     /* and all after it */
    bool looking;     /* check at every step */
};

static void check_state(struct machine *m, int dir, const char *what)
{
    struct journal_summary summary;
    struct replayed r = replay(dir, &summary);
    cr_assert_eq(r.damaged, 0u, "step %u, %s", m->steps, what);
    for (size_t i = 0; i < MESSAGES; i++) {
        cr_assert_geq(r.number[i], m->owner->acked[i], "step %u, %s: message %zu", m->steps, what, i);
        cr_assert_leq(r.number[i], m->owner->put[i], "step %u, %s: message %zu", m->steps, what, i);
    }
}

static int paste_synced(const struct machine *m, bool with_removed)
{
    int dir = make_directory();
    for (size_t i = 0; i < m->synced.count; i++)
        if (m->named[i] && (with_removed || !m->removed[i]))
            put_file(dir, &m->synced.files[i], m->synced.files[i].n);
    return dir;
}

/* As if the power failed now: everything written has reached the disk; or only what was synced, with
 * the removals or without them. */
static bool step(struct machine *m)
{
    m->steps++;
    if (m->looking) {
        check_state(m, m->dir, "all written");
        for (int with = 0; with < 2; with++) {
            int dir = paste_synced(m, with == 1);
            check_state(m, dir, with ? "removals undone" : "only what was synced");
            remove_directory(dir);
        }
    }
    if (m->fail_at && (m->steps == m->fail_at || (m->fail_on && m->steps > m->fail_at))) {
        errno = EIO;
        return false;
    }
    return true;
}

static int machine_create(int dir, const char *name, void *context)
{
    struct machine *m = context;
    if (!step(m))
        return -1;
    cr_assert_lt(m->synced.count, (size_t)FILES);
    snprintf(m->synced.files[m->synced.count++].name, JOURNAL_FILE_NAME, "%s", name);
    return openat(dir, name, O_RDWR | O_CREAT | O_EXCL, 0600);
}

static ssize_t machine_write(int fd, const void *p, size_t n, off_t at, void *context)
{
    return step(context) ? pwrite(fd, p, n, at) : -1;
}

static int machine_sync(int fd, bool directory, void *context)
{
    struct machine *m = context;
    char link[64], path[256];
    bool good = step(m);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    cr_assert_gt(n, 0);
    path[n] = '\0';
    for (size_t i = 0; i < m->synced.count; i++) {
        bool meant = strstr(path, m->synced.files[i].name) != NULL;
        if (directory && good)
            m->named[i] = !m->removed[i];
        else if (meant && !good)
            m->dead[i] = true;
        else if (meant && !m->dead[i])
            load_fd(fd, &m->synced.files[i]);
    }
    return good ? 0 : -1;
}

static int machine_remove(int dir, const char *name, void *context)
{
    struct machine *m = context;
    if (!step(m))
        return -1;
    for (size_t i = 0; i < m->synced.count; i++)
        if (strcmp(m->synced.files[i].name, name) == 0)
            m->removed[i] = true;
    return unlinkat(dir, name, 0);
}

/* Puts and commits for a while, with housekeeping; retries what fails. result: commits that failed */
static unsigned live_for(struct owner *o, unsigned rounds, uint64_t from)
{
    unsigned failed = 0;
    for (unsigned n = 0; n < rounds; n++) {
        for (size_t i = n % 4; i < MESSAGES; i += 4)
            put_number(o, i, from + n);
        while (!commit(o) && failed < 1000)
            failed++;
        for (int slice = 0; slice < 80 && journal_work(o->journal); slice++)
            while (slice % 3 == 2 && !commit(o) && failed < 1000)
                failed++;
        while (!commit(o) && failed < 1000)
            failed++;
    }
    return failed;
}

Test(journal, loses_nothing_in_a_crash_at_any_step_of_compaction, .timeout = 120)
{
    int dir = make_directory();
    struct owner o = {0};
    struct machine m = {.owner = &o, .dir = dir};
    struct journal_io io = {machine_create, machine_write, machine_sync, machine_remove, &m};
    open_journal(&o, dir, &io);
    m.looking = true;

    live_for(&o, 110, 1);

    struct journal_summary summary;
    replay(dir, &summary);
    cr_expect_gt(m.steps, 400u);
    cr_expect_gt(summary.first, 1u, "segments left from the old end");
    cr_expect_lt(summary.segments, 40u);
    journal_close(&o.journal);
    free_copy(&m.synced);
    remove_directory(dir);
}

Test(journal, stands_again_after_an_error_at_any_step, .timeout = 120)
{
    for (unsigned at = 1; at < 200; at++) {
        int dir = make_directory();
        struct owner o = {0};
        struct machine m = {.owner = &o, .dir = dir};
        struct journal_io io = {machine_create, machine_write, machine_sync, machine_remove, &m};
        open_journal(&o, dir, &io);
        m.steps = 0;
        m.fail_at = at;

        live_for(&o, 12, 1);

        cr_assert_not(journal_is_broken(o.journal));
        check_state(&m, dir, "after the error");
        int survived = paste_synced(&m, true);
        check_state(&m, survived, "power cut after the error");
        remove_directory(survived);
        journal_close(&o.journal);
        struct replayed r = open_journal(&o, dir, NULL);
        cr_expect_eq(r.damaged, 0u, "error at step %u", at);
        for (size_t i = 0; i < MESSAGES; i++)
            cr_expect_eq(r.number[i], m.owner->put[i], "error at step %u", at);
        journal_close(&o.journal);
        free_copy(&m.synced);
        remove_directory(dir);
    }
}

Test(journal, says_that_it_is_broken_while_errors_last_and_keeps_what_was_put)
{
    int dir = make_directory();
    struct owner o = {0};
    struct machine m = {.owner = &o, .dir = dir};
    struct journal_io io = {machine_create, machine_write, machine_sync, machine_remove, &m};
    open_journal(&o, dir, &io);
    put_number(&o, 1, 1);
    cr_assert(commit(&o));
    m.steps = 0;
    m.fail_at = 1;
    m.fail_on = true;
    put_number(&o, 1, 2);

    cr_expect_not(commit(&o));
    cr_expect(journal_is_broken(o.journal));
    put_number(&o, 2, 2);
    cr_expect_not(commit(&o));
    cr_expect_eq(replay(dir, &(struct journal_summary){0}).number[1], 1u);
    m.fail_at = 0;
    cr_expect(commit(&o));
    cr_expect_not(journal_is_broken(o.journal));
    struct replayed r = replay(dir, &(struct journal_summary){0});

    cr_expect_eq(r.number[1], 2u);
    cr_expect_eq(r.number[2], 2u);
    cr_expect_eq(r.damaged, 0u);
    journal_close(&o.journal);
    free_copy(&m.synced);
    remove_directory(dir);
}

Test(journal, stays_bounded_while_it_lives, .timeout = 60)
{
    int dir = make_directory();
    struct owner o = {0};
    open_journal(&o, dir, NULL);

    live_for(&o, 1500, 1);

    cr_expect_lt(journal_octets(o.journal), (size_t)40 * SMALL);
    journal_close(&o.journal);
    struct replayed r = open_journal(&o, dir, NULL);
    cr_expect_eq(r.number[3], 1500u);
    journal_close(&o.journal);
    remove_directory(dir);
}

Test(journal, stays_bounded_over_many_starts, .timeout = 60)
{
    int dir = make_directory();
    struct owner o = {0};

    for (uint64_t n = 1; n <= 60; n++) {
        open_journal(&o, dir, NULL);
        live_for(&o, 1, n);
        journal_close(&o.journal);
    }

    struct journal_summary summary;
    replay(dir, &summary);
    cr_expect_lt(summary.segments, 30u);
    remove_directory(dir);
}

Test(journal, forgets_what_was_damaged_once_everything_has_been_repeated)
{
    int dir = make_directory();
    struct owner o = {0};
    struct journal_summary summary;
    open_journal(&o, dir, NULL);
    for (uint64_t n = 1; n <= 3; n++) {
        put_number(&o, n, n);
        cr_assert(commit(&o));
    }
    journal_close(&o.journal);
    replay(dir, &summary);
    char name[JOURNAL_FILE_NAME];
    journal_file_name(name, summary.last);
    int fd = openat(dir, name, O_RDWR);
    cr_assert_eq(pwrite(fd, "damage", 6, SEGMENT_BEGIN + 100), 6);
    close(fd);
    cr_assert_gt(open_journal(&o, dir, NULL).damaged, 0u);

    while (journal_work(o.journal))
        cr_assert(commit(&o));
    journal_close(&o.journal);

    cr_expect_eq(replay(dir, &summary).damaged, 0u);
    remove_directory(dir);
}
