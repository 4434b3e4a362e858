#include "lib/queue/intake.h"
#include "lib/queue/reader.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- a disk that fails on demand: these two stand before the C library's --- */

static int sync_error;        /* errno of every fdatasync; 0: works */
static unsigned syncs;        /* fdatasync calls so far */
static int write_error;       /* errno of the one pwrite after which write_left octets were through */
static size_t write_left = SIZE_MAX;

int fdatasync(int fd)
{
    syncs++;
    if (sync_error) {
        errno = sync_error;
        return -1;
    }
    return fsync(fd);
}

ssize_t pwrite(int fd, const void *octets, size_t n, off_t at)
{
    if (write_left == 0) {
        write_left = SIZE_MAX;
        errno = write_error;
        return -1;
    }
    if (n > write_left)
        n = write_left;
    if (write_left != SIZE_MAX)
        write_left -= n;
    ssize_t (*real)(int, const void *, size_t, off_t);
    *(void **)&real = dlsym(RTLD_NEXT, "pwrite");
    return real(fd, octets, n, at);
}

/* --- fixtures ---------------------------------------------------------------- */

static char where[64];
static int directory, own;
static struct queue_id_source ids = {.incarnation = 9};

static void setup(void)
{
    snprintf(where, sizeof where, "%s", "/tmp/intake-test.XXXXXX");
    cr_assert_not_null(mkdtemp(where));
    directory = open(where, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(mkdirat(directory, "3", 0700), 0);
    own = openat(directory, "3", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void teardown(void)
{
    char command[128];
    write_left = SIZE_MAX;
    close(directory);
    close(own);
    snprintf(command, sizeof command, "rm -rf %s", where);
    cr_assert_eq(system(command), 0);
}

static struct intake *open_intake(unsigned spare_max)
{
    struct buf why = BUF_INIT;
    struct intake *i = intake_open(&(struct intake_config){.directory = own, .slot = 3, .segment_bytes = SEGMENT_SIZE_MIN,
                                                           .spare_max = spare_max}, &why);
    cr_assert_not_null(i, "%s", buf_text(&why));
    buf_fini(&why);
    return i;
}

static enum store_result append(struct intake *i, struct span text, struct intake_place *at, struct queue_id *id)
{
    struct buf envelope = BUF_INIT, why = BUF_INIT;
    struct msg_recipient r = {.address = SPAN("anna@example.org"), .number = 1};
    *id = queue_id_draw(&ids);
    struct msg_stored_envelope e = {.id = queue_id_span(id), .sender = SPAN("s@example.net"), .recipients = {&r, 1},
                                    .text_size = text.n};
    stored_put_envelope(&envelope, &e);
    enum store_result result = intake_append(i, id, buf_span(&envelope), text, at, &why);
    buf_fini(&envelope);
    buf_fini(&why);
    return result;
}

static enum store_result commit(struct intake *i)
{
    struct buf why = BUF_INIT;
    enum store_result result = intake_commit(i, &why);
    cr_expect_eq(result == STORE_OK, why.len == 0);
    buf_fini(&why);
    return result;
}

static enum store_result recycle(struct intake *i, uint32_t segment, uint64_t generation)
{
    struct buf why = BUF_INIT;
    enum store_result result = intake_recycle(i, segment, generation, &why);
    buf_fini(&why);
    return result;
}

/* What a scan finds. */
struct seen {
    unsigned messages, segments, empty, damages;
    struct queue_id last;
    struct intake_place place;
    uint64_t texts; /* octets of all texts */
};

static void saw_message(const struct intake_place *at, const struct stored *s, struct span text, void *context)
{
    struct seen *seen = context;
    seen->messages++;
    seen->last = s->id;
    seen->place = *at;
    seen->texts += text.n;
}

static void saw_segment(uint32_t slot, uint32_t number, uint64_t generation, uint64_t messages, void *context)
{
    struct seen *seen = context;
    cr_expect_eq(slot, 3);
    cr_expect(number > 0 && generation > 0);
    seen->segments++;
    seen->empty += messages == 0;
}

static void saw_damage(uint32_t slot, const char *what, void *context)
{
    struct seen *seen = context;
    cr_expect(slot == 3 && *what);
    seen->damages++;
}

static const struct intake_visitor visitor = {saw_message, saw_segment, saw_damage};

static struct seen scan(void)
{
    struct seen seen = {0};
    struct buf why = BUF_INIT;
    cr_assert(intake_scan(directory, &visitor, &seen, &why), "%s", buf_text(&why));
    buf_fini(&why);
    return seen;
}

static void overwrite(const struct intake_place *at, uint64_t offset, int octet, size_t n)
{
    char name[64], octets[4096];
    snprintf(name, sizeof name, "3/%u", (unsigned)at->segment);
    int fd = openat(directory, name, O_RDWR);
    memset(octets, octet, sizeof octets);
    cr_assert(fd >= 0 && n <= sizeof octets);
    cr_assert_eq(pwrite(fd, octets, n, (off_t)(at->offset + offset)), (ssize_t)n);
    close(fd);
}

static void flip(const struct intake_place *at, uint64_t offset)
{
    char name[64], octet;
    snprintf(name, sizeof name, "3/%u", (unsigned)at->segment);
    int fd = openat(directory, name, O_RDWR);
    cr_assert_eq(pread(fd, &octet, 1, (off_t)(at->offset + offset)), 1);
    octet = (char)(octet ^ 4);
    cr_assert_eq(pwrite(fd, &octet, 1, (off_t)(at->offset + offset)), 1);
    close(fd);
}

TestSuite(intake, .init = setup, .fini = teardown);

/* --- what stands ---------------------------------------------------------------- */

Test(intake, syncs_once_for_all_records_of_a_batch)
{
    struct intake *i = open_intake(2);
    struct intake_place at;
    struct queue_id id;
    struct buf why = BUF_INIT;
    cr_assert_eq(intake_prepare(i, &why), STORE_OK);

    syncs = 0;
    for (int n = 0; n < 50; n++)
        cr_assert_eq(append(i, SPAN("Subject: x\n\nhello\n"), &at, &id), STORE_OK);
    cr_expect_eq(intake_pending(i), 50);
    cr_expect_eq(commit(i), STORE_OK);

    cr_expect_eq(syncs, 1);
    cr_expect_eq(intake_pending(i), 0);
    struct seen seen = scan();
    cr_expect_eq(seen.messages, 50);
    cr_expect_eq(seen.damages, 0);
    cr_expect_eq(queue_id_compare(&seen.last, &id), 0);
    cr_expect_eq(seen.place.offset, at.offset);
    buf_fini(&why);
    intake_close(&i);
}

Test(intake, finds_nothing_of_a_batch_that_was_not_committed)
{
    struct intake *i = open_intake(2);
    struct intake_place at;
    struct queue_id id;
    cr_assert_eq(append(i, SPAN("one"), &at, &id), STORE_OK);
    cr_assert_eq(commit(i), STORE_OK);

    cr_assert_eq(append(i, SPAN("two"), &at, &id), STORE_OK);
    intake_close(&i);

    cr_expect_eq(scan().messages, 1);
}

Test(intake, never_writes_again_into_a_block_with_a_committed_record)
{
    struct intake *i = open_intake(2);
    struct intake_place first, second;
    struct queue_id id;

    append(i, SPAN("one"), &first, &id);
    commit(i);
    append(i, SPAN("two"), &second, &id);
    commit(i);

    cr_expect_eq(first.offset % SEGMENT_BLOCK, 0);
    cr_expect_eq(second.offset, first.offset + SEGMENT_BLOCK);
    struct seen seen = scan();
    cr_expect_eq(seen.messages, 2);
    cr_expect_eq(seen.damages, 0);
    intake_close(&i);
}

Test(intake, reads_a_record_by_its_place)
{
    struct intake *i = open_intake(2);
    struct intake_reader *r = intake_reader_new(directory);
    struct intake_place at;
    struct queue_id id;
    struct arena a = ARENA_INIT;
    struct stored s;
    struct span text;
    struct buf why = BUF_INIT;
    append(i, SPAN("the text"), &at, &id);
    commit(i);

    cr_assert(intake_reader_get(r, &a, &at, &s, &text, &why), "%s", buf_text(&why));

    cr_expect(span_eq(text, SPAN("the text")));
    cr_expect(span_eq(s.envelope.sender, SPAN("s@example.net")));
    cr_expect(intake_fetch(i, &a, &at, &s, &text, &why));
    cr_expect(span_eq(text, SPAN("the text")));
    at.offset += 8;
    cr_expect(!intake_reader_get(r, &a, &at, &s, &text, &why));
    at.offset -= 8, at.length -= 8;
    cr_expect(!intake_reader_get(r, &a, &at, &s, &text, &why));
    at.length += 8, at.generation--;
    cr_expect(!intake_reader_get(r, &a, &at, &s, &text, &why));
    arena_fini(&a);
    buf_fini(&why);
    intake_reader_free(&r);
    intake_close(&i);
}

Test(intake, goes_on_to_another_segment_where_one_is_full)
{
    struct intake *i = open_intake(2);
    struct intake_place first, at;
    struct queue_id id;
    static const char text[60000] = "x";
    append(i, span_of(text, sizeof text), &first, &id);

    unsigned n = 1;
    do {
        cr_assert_eq(append(i, span_of(text, sizeof text), &at, &id), STORE_OK);
        n++;
    } while (at.segment == first.segment);
    commit(i);

    cr_expect_gt(n, SEGMENT_SIZE_MIN / 70000);
    struct seen seen = scan();
    cr_expect_eq(seen.messages, n);
    cr_expect_eq(seen.segments, 2);
    cr_expect_eq(seen.texts, n * sizeof text);
    cr_expect_eq(seen.damages, 0);
    intake_close(&i);
}

Test(intake, takes_a_record_of_the_greatest_length_and_no_longer_one)
{
    struct intake *i = open_intake(2);
    struct intake_place at;
    struct queue_id id = queue_id_draw(&ids);
    struct buf envelope = BUF_INIT, why = BUF_INIT;
    struct msg_recipient r = {.address = SPAN("a@b"), .number = 1};
    uint64_t most = 0;
    struct msg_stored_envelope e = {.id = queue_id_span(&id), .recipients = {&r, 1}, .text_size = 1};
    stored_put_envelope(&envelope, &e); /* a number has eight octets, whatever its value */
    for (uint64_t text = 0; intake_takes(envelope.len, text); text++)
        most = text;
    e.text_size = most;
    buf_clear(&envelope);
    stored_put_envelope(&envelope, &e);
    char *text = calloc(1, (size_t)most);

    cr_expect(!intake_takes(envelope.len, most + 1));
    cr_assert_eq(intake_append(i, &id, buf_span(&envelope), span_of(text, (size_t)most), &at, &why), STORE_OK);
    cr_assert_eq(commit(i), STORE_OK);

    cr_expect_eq(at.length, SEGMENT_RECORD_MAX);
    cr_expect_eq(scan().texts, most);
    free(text);
    buf_fini(&envelope);
    buf_fini(&why);
    intake_close(&i);
}

Test(intake, makes_the_next_segment_ahead_of_need_but_not_before)
{
    static const char text[60000] = "x";
    struct intake *i = open_intake(2);
    struct intake_place at;
    struct queue_id id;
    struct buf why = BUF_INIT;
    cr_expect(!intake_is_prepared(i));
    cr_expect_eq(intake_prepare(i, &why), STORE_OK);
    cr_expect(intake_is_prepared(i));
    cr_expect_eq(scan().segments, 1);

    while (intake_is_prepared(i)) {
        append(i, span_of(text, sizeof text), &at, &id);
        commit(i);
    }
    cr_expect_gt(at.offset, SEGMENT_SIZE_MIN / 3);
    cr_expect_eq(scan().segments, 1);
    cr_expect_eq(intake_prepare(i, &why), STORE_OK);

    cr_expect(intake_is_prepared(i));
    cr_expect_eq(scan().segments, 2);
    buf_fini(&why);
    intake_close(&i);
}

/* --- damage --------------------------------------------------------------------- */

Test(intake, scan_finds_the_others_where_any_octet_of_a_record_is_damaged)
{
    struct intake *i = open_intake(2);
    struct intake_place first, middle, last;
    struct queue_id id;
    append(i, SPAN("one"), &first, &id);
    append(i, SPAN("two"), &middle, &id);
    append(i, SPAN("three"), &last, &id);
    commit(i);
    intake_close(&i);

    for (uint64_t at = 0; at < middle.length; at++) {
        flip(&middle, at);
        struct seen seen = scan();
        cr_expect(seen.messages == 2 && seen.damages == 1, "octet %llu: %u found, %u damaged", (unsigned long long)at,
                  seen.messages, seen.damages);
        flip(&middle, at);
    }
    cr_expect_eq(scan().messages, 3);
}

Test(intake, scan_takes_a_tail_torn_at_any_octet_for_the_end)
{
    struct intake *i = open_intake(2);
    struct intake_place first, last;
    struct queue_id id;
    append(i, SPAN("one"), &first, &id);
    append(i, SPAN("two"), &last, &id);
    commit(i);
    intake_close(&i);

    for (uint64_t at = last.length; at-- > 0;) {
        overwrite(&last, at, 0, 1);
        struct seen seen = scan();
        if (at < last.length - 8) /* the last octets of a hash may be zeros already */
            cr_expect(seen.messages == 1 && seen.damages == 0, "torn at %llu: %u found, %u damaged",
                      (unsigned long long)at, seen.messages, seen.damages);
    }
}

Test(intake, does_not_take_octets_inside_a_damaged_message_for_a_message)
{
    struct intake *i = open_intake(2);
    struct intake_place at;
    struct queue_id id = queue_id_draw(&ids);
    uint32_t segment;
    struct stored_bond bond = {0};
    struct buf forged = BUF_INIT, envelope = BUF_INIT, why = BUF_INIT;
    struct msg_recipient r = {.address = SPAN("victim@example.org"), .number = 1};
    cr_assert_eq(intake_prepare(i, &why), STORE_OK);
    cr_assert(intake_current(i, &segment, &bond.generation)); /* who knows even this still lacks the seed */
    struct msg_stored_envelope e = {.id = queue_id_span(&id), .recipients = {&r, 1}, .text_size = 4};
    stored_put_envelope(&envelope, &e);
    for (int n = 0; n < 8; n++) { /* at every alignment */
        stored_put(&forged, &bond, &id, buf_span(&envelope), SPAN("evil"));
        buf_putc(&forged, 'x');
    }

    cr_assert_eq(append(i, buf_span(&forged), &at, &id), STORE_OK);
    cr_assert_eq(commit(i), STORE_OK);
    cr_expect_eq(scan().messages, 1);
    flip(&at, 1);

    cr_expect_eq(scan().messages, 0);
    buf_fini(&forged);
    buf_fini(&envelope);
    buf_fini(&why);
    intake_close(&i);
}

Test(intake, lives_with_one_damaged_copy_of_the_header_but_not_with_two)
{
    struct intake *i = open_intake(2);
    struct intake_place at;
    struct queue_id id;
    append(i, SPAN("one"), &at, &id);
    commit(i);
    intake_close(&i);
    struct intake_place start = {.segment = at.segment};

    overwrite(&start, 0, 0x55, SEGMENT_BLOCK);
    cr_expect_eq(scan().messages, 1);
    overwrite(&start, SEGMENT_BLOCK, 0x55, SEGMENT_BLOCK);
    struct seen seen = scan();

    cr_expect_eq(seen.messages, 0);
    cr_expect_eq(seen.damages, 1);
    i = open_intake(2);
    cr_expect_not_null(intake_damage(i));
    append(i, SPAN("two"), &at, &id);
    cr_expect_neq(at.segment, start.segment, "the damaged file is left alone");
    intake_close(&i);
}

Test(intake, leaves_unknown_files_alone)
{
    close(openat(directory, "README", O_CREAT | O_RDWR, 0600));
    close(openat(directory, "3/.new-0123", O_CREAT | O_RDWR, 0600));
    close(openat(directory, "3/01", O_CREAT | O_RDWR, 0600));
    close(openat(directory, "3/7", O_CREAT | O_RDWR, 0600));

    struct intake *i = open_intake(2);
    struct seen seen = scan();

    cr_expect_eq(seen.damages, 1, "only 7 looks like a segment");
    cr_expect_eq(faccessat(directory, "3/7", F_OK, 0), 0);
    cr_expect_eq(faccessat(directory, "3/01", F_OK, 0), 0);
    cr_expect_eq(faccessat(directory, "3/.new-0123", F_OK, 0), -1, "a temporary file of a process that is gone");
    intake_close(&i);
}

/* --- using segments anew ---------------------------------------------------------- */

/* Fills the current segment, so that the next record goes to another. */
static struct intake_place fill(struct intake *i)
{
    static const char text[60000] = "x";
    struct intake_place first, at;
    struct queue_id id;
    append(i, span_of(text, sizeof text), &first, &id);
    do
        append(i, span_of(text, sizeof text), &at, &id);
    while (at.segment == first.segment);
    commit(i);
    return first;
}

Test(intake, uses_a_segment_anew_and_forgets_its_records)
{
    struct intake *i = open_intake(2);
    struct intake_place old = fill(i), now;

    cr_assert_eq(recycle(i, old.segment, old.generation), STORE_OK);
    now = fill(i);
    while (now.segment != old.segment)
        now = fill(i);

    cr_expect_gt(now.generation, old.generation);
    struct intake_reader *r = intake_reader_new(directory);
    struct arena a = ARENA_INIT;
    struct stored s;
    struct span text;
    struct buf why = BUF_INIT;
    cr_expect(!intake_reader_get(r, &a, &old, &s, &text, &why));
    cr_expect_str_eq(buf_text(&why), "the segment has been used anew");
    arena_fini(&a);
    buf_fini(&why);
    intake_reader_free(&r);
    intake_close(&i);
}

Test(intake, scan_after_recycling_finds_no_old_record)
{
    struct intake *i = open_intake(2);
    struct intake_place old = fill(i);
    unsigned before = scan().messages;

    cr_assert_eq(recycle(i, old.segment, old.generation), STORE_OK);

    struct seen seen = scan();
    cr_expect_lt(seen.messages, before);
    cr_expect_eq(seen.empty, 1);
    cr_expect_eq(seen.damages, 0);
    cr_expect_eq(recycle(i, old.segment, old.generation), STORE_OK, "again: it is gone already");
    intake_close(&i);
}

Test(intake, refuses_to_recycle_what_is_being_written_unknown_or_of_another_use)
{
    struct intake *i = open_intake(2);
    struct intake_place old = fill(i), now;
    struct queue_id id;
    append(i, SPAN("x"), &now, &id);
    commit(i);

    cr_expect_eq(recycle(i, now.segment, now.generation), STORE_EXISTS);
    cr_expect_eq(recycle(i, 99, old.generation), STORE_EXISTS);
    cr_expect_eq(recycle(i, old.segment, old.generation + 1), STORE_EXISTS);
    unsigned messages = scan().messages;
    cr_expect_eq(recycle(i, old.segment, old.generation - 1), STORE_OK, "that use is over");
    cr_expect_eq(scan().messages, messages, "nothing was done");
    intake_close(&i);
}

Test(intake, removes_segments_beyond_the_spare_ones)
{
    struct intake *i = open_intake(1);
    struct intake_place old[3];
    for (int n = 0; n < 3; n++)
        old[n] = fill(i);

    for (int n = 0; n < 3; n++)
        cr_assert_eq(recycle(i, old[n].segment, old[n].generation), STORE_OK);

    cr_expect_eq(scan().segments, 2, "the current and one spare");
    intake_close(&i);
}

Test(intake, of_a_new_process_does_not_touch_what_the_dead_one_left)
{
    struct intake *i = open_intake(2);
    struct intake_place old, now;
    struct queue_id id;
    append(i, SPAN("one"), &old, &id);
    commit(i);
    intake_close(&i);

    i = open_intake(2);
    append(i, SPAN("two"), &now, &id);
    commit(i);

    cr_expect_neq(now.segment, old.segment);
    cr_expect_eq(scan().messages, 2);
    cr_expect_eq(recycle(i, old.segment, old.generation), STORE_OK);
    cr_expect_eq(scan().messages, 1);
    intake_close(&i);
}

Test(intake, of_a_new_process_uses_an_empty_segment_under_a_generation_of_its_own)
{
    struct intake *i = open_intake(2);
    struct buf why = BUF_INIT;
    uint32_t segment;
    uint64_t generation;
    cr_assert_eq(intake_prepare(i, &why), STORE_OK);
    cr_assert(intake_current(i, &segment, &generation));
    intake_close(&i);

    i = open_intake(2);
    struct intake_place old = fill(i);
    while (old.segment != segment)
        old = fill(i);
    fill(i);
    unsigned messages = scan().messages;

    cr_expect_gt(old.generation, generation);
    cr_expect_eq(recycle(i, segment, generation), STORE_OK, "asked for the use that is over");
    cr_expect_eq(scan().messages, messages, "nothing was lost");
    buf_fini(&why);
    intake_close(&i);
}

/* --- errors ----------------------------------------------------------------------- */

Test(intake, refuses_the_whole_batch_after_a_sync_error_and_leaves_the_segment)
{
    struct intake *i = open_intake(2);
    struct intake_place good, lost, next;
    struct queue_id id;
    append(i, SPAN("kept"), &good, &id);
    cr_assert_eq(commit(i), STORE_OK);
    append(i, SPAN("lost"), &lost, &id);
    append(i, SPAN("lost too"), &lost, &id);

    sync_error = EIO;
    syncs = 0;
    cr_expect_eq(commit(i), STORE_FAILED);
    sync_error = 0;

    cr_expect_eq(syncs, 1, "the sync is not tried again");
    cr_expect_eq(scan().messages, 1, "what was refused is not found later");
    cr_assert_eq(append(i, SPAN("next"), &next, &id), STORE_OK);
    cr_assert_eq(commit(i), STORE_OK);
    cr_expect_neq(next.segment, good.segment);
    cr_expect_eq(scan().messages, 2);
    cr_expect_eq(recycle(i, good.segment, good.generation), STORE_OK);
    cr_expect_eq(faccessat(directory, "3/1", F_OK, 0), -1, "the broken segment is removed, not used again");
    intake_close(&i);
}

Test(intake, refuses_the_whole_batch_on_a_full_disk_and_goes_on_when_there_is_room)
{
    struct intake *i = open_intake(2);
    struct intake_place good, lost, next;
    struct queue_id id;
    append(i, SPAN("kept"), &good, &id);
    cr_assert_eq(commit(i), STORE_OK);

    for (size_t through = 0; through < 300; through += 7) {
        append(i, SPAN("lost"), &lost, &id);
        append(i, SPAN("lost too"), &lost, &id);
        write_error = ENOSPC;
        write_left = through;
        cr_expect_eq(commit(i), STORE_FULL, "after %zu octets", through);
        cr_expect_eq(scan().messages, 1, "after %zu octets", through);
    }

    cr_assert_eq(append(i, SPAN("next"), &next, &id), STORE_OK);
    cr_assert_eq(commit(i), STORE_OK);
    cr_expect_eq(next.segment, good.segment);
    cr_expect_eq(scan().messages, 2);
    intake_close(&i);
}

Test(intake, leaves_no_file_where_a_new_segment_does_not_fit)
{
    struct intake *i = open_intake(2);
    struct intake_place at;
    struct queue_id id;
    write_error = ENOSPC;
    write_left = 500000;

    cr_expect_eq(append(i, SPAN("x"), &at, &id), STORE_FULL);

    cr_expect_eq(commit(i), STORE_OK, "nothing was in the batch");
    cr_expect_eq(scan().segments, 0);
    cr_expect_eq(append(i, SPAN("x"), &at, &id), STORE_OK);
    cr_expect_eq(commit(i), STORE_OK);
    intake_close(&i);
}
