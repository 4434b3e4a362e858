#include "cli/sendmail/sendmail.h"
#include "lib/wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    READY_WAIT_S = 20,   /* for pickup's greeting */
    ANSWER_WAIT_S = 900, /* for its answer: it may be held back while delivery catches up */
    NAME_BYTES = 16,     /* random octets in a name in maildrop/ */
};

enum offer_result {
    OFFER_ANSWERED,
    OFFER_UNTOUCHED, /* there is no server, or none that takes it: nothing has been stored */
    OFFER_LOST,      /* it may have been stored */
};

void receipt_fini(struct receipt *r)
{
    buf_fini(&r->dsn);
    buf_fini(&r->text);
    buf_fini(&r->id);
}

static void receipt_fill(struct receipt *r, unsigned class, struct span dsn, struct span text)
{
    buf_clear(&r->dsn);
    buf_clear(&r->text);
    r->class = class;
    buf_put(&r->dsn, dsn);
    buf_put(&r->text, text);
}

int handin_open(void)
{
    return memfd_create("mail", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

/* --- the server ------------------------------------------------------------------------ */

/* result: a connection, or -1. A path that is too long for a socket goes by way of /proc. */
static int connect_to_pickup(const char *queue)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int directory = open(queue, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int n = snprintf(address.sun_path, sizeof address.sun_path, "%s/public/pickup", queue);
    if (n >= (int)sizeof address.sun_path)
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/public/pickup", directory);
    /* Not blocking: a backlog that is full counts as no server. */
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        fd = -1;
    }
    if (directory >= 0)
        close(directory);
    return fd;
}

struct talk {
    struct note ready, gone;
};

static void take_frame(struct channel *c, struct frame *f, void *context)
{
    struct talk *t = context;
    (void)c;
    if (f->type == MSG_drop_ready)
        note_set(&t->ready);
}

static void take_end(struct channel *c, void *context)
{
    struct talk *t = context;
    (void)c;
    note_set(&t->gone);
    note_set(&t->ready);
}

static enum offer_result converse(struct loop *l, struct channel *c, struct talk *t, int fd, struct receipt *r,
                                  bool *may_go_to_maildrop)
{
    struct arena a = ARENA_INIT;
    struct buf body = BUF_INIT;
    struct frame reply;
    struct msg_drop_answer answer;
    struct stat st;
    enum offer_result result = OFFER_UNTOUCHED;
    wait_note(l, &t->ready, clock_after(READY_WAIT_S));
    if (t->ready.set && !t->gone.set && fstat(fd, &st) == 0) {
        msg_drop_offer_put(&body, &(struct msg_drop_offer){.size = (uint64_t)st.st_size});
        result = OFFER_LOST;
        if (channel_call(c, MSG_drop_offer, buf_span(&body), &fd, 1, clock_after(ANSWER_WAIT_S), MSG_drop_answer, &a,
                         &reply) == CALL_OK &&
            msg_drop_answer_get(&a, reply.body, &answer)) {
            result = OFFER_ANSWERED;
            receipt_fill(r, (unsigned)answer.class, answer.dsn, answer.text);
            buf_put(&r->id, answer.id);
            *may_go_to_maildrop = answer.class == 4 && answer.untouched;
        }
    }
    buf_fini(&body);
    arena_fini(&a);
    return result;
}

static enum offer_result offer(const char *queue, int fd, struct receipt *r)
{
    static const struct channel_handler handler = {take_frame, take_end};
    struct talk t = {0};
    bool may_go_to_maildrop = false;
    int end = connect_to_pickup(queue);
    if (end < 0)
        return OFFER_UNTOUCHED;
    struct loop *l = loop_new();
    struct channel *c = channel_open(l, end, "pickup", &handler, &t);
    enum offer_result result = converse(l, c, &t, fd, r, &may_go_to_maildrop);
    channel_close(&c);
    loop_free(&l);
    return may_go_to_maildrop ? OFFER_UNTOUCHED : result;
}

/* --- maildrop ---------------------------------------------------------------------------- */

/* In a directory that cannot be listed the name keeps the others of this system away. */
static bool make_name(char *name, size_t size)
{
    unsigned char random[NAME_BYTES];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return false;
    for (size_t i = 0; i < sizeof random && 2 * i + 2 < size; i++)
        snprintf(name + 2 * i, 3, "%02x", random[i]);
    return true;
}

/* Writes the file under the hidden name and gives it the other one when it is on the disk. result: an errno */
static int store(int directory, const char *hidden, const char *name, int from)
{
    int fd = openat(directory, hidden, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int error = drop_copy(from, fd);
    /* Its group is the directory's: pickup reads it by that. */
    if (error == 0 && (fchmod(fd, 0640) != 0 || fsync(fd) != 0 ||
                       renameat(directory, hidden, directory, name) != 0))
        error = errno;
    /* The directory cannot be opened to be synced; the file's own sync takes its new name along. */
    if (error == 0 && fsync(fd) != 0)
        error = errno;
    if (error)
        (void)unlinkat(directory, hidden, 0);
    close(fd);
    return error;
}

static void leave_in_maildrop(const char *queue, int fd, struct receipt *r)
{
    char hidden[2 * NAME_BYTES + 2] = ".", *name = hidden + 1;
    struct buf text = BUF_INIT;
    int top = open(queue, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int directory = top < 0 ? -1 : openat(top, "maildrop", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int error = directory >= 0 && make_name(name, sizeof hidden - 1) ? store(directory, hidden, name, fd) : errno;
    if (error == 0) {
        receipt_fill(r, 0, SPAN_NONE, SPAN_NONE);
        buf_clear(&r->id);
    } else {
        buf_printf(&text, "the server does not take mail now, and %s/maildrop: %s", queue, strerror(error));
        receipt_fill(r, 4, SPAN("4.3.0"), buf_span(&text));
    }
    if (directory >= 0)
        close(directory);
    if (top >= 0)
        close(top);
    buf_fini(&text);
}

void handin(const char *queue, int fd, struct receipt *r)
{
    receipt_fill(r, 0, SPAN_NONE, SPAN_NONE);
    buf_clear(&r->id);
    enum offer_result result = OFFER_UNTOUCHED;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0)
        result = offer(queue, fd, r);
    if (result == OFFER_UNTOUCHED)
        leave_in_maildrop(queue, fd, r);
    if (result == OFFER_LOST)
        receipt_fill(r, 4, SPAN("4.3.0"), SPAN("the server has gone away; it may have taken the message or not"));
}

int handin_status(const struct receipt *r)
{
    static const struct {
        struct span code; /* or its beginning */
        int status;
    } table[] = {
        {SPAN_INIT("5.1.0"), EX_DATAERR}, /* no recipient in the header */
        {SPAN_INIT("5.1."), EX_NOUSER},  {SPAN_INIT("5.6."), EX_DATAERR},
        {SPAN_INIT("5.7."), EX_NOPERM},
    };
    if (r->class == 0)
        return EX_OK;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (span_starts(buf_span(&r->dsn), table[i].code))
            return table[i].status;
    return r->class == 4 ? EX_TEMPFAIL : EX_UNAVAILABLE;
}
