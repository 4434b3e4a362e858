#include "lib/io/conn.h"
#include "lib/base/buf.h"
#include "lib/io/transport.h"
#include "tests/unit/io/chat.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    struct conn *conn;
    int peer;
};

static struct fixture fixture_new(void)
{
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    signal(SIGPIPE, SIG_IGN);
    struct fixture f = {.conn = conn_new(fds[0]), .peer = fds[1]};
    conn_set_deadline(f.conn, clock_after(10));
    return f;
}

static void fixture_end(struct fixture *f)
{
    conn_close(&f->conn);
    close(f->peer);
}

static void say(const struct fixture *f, struct span bytes)
{
    cr_assert_eq(write(f->peer, bytes.p, bytes.n), (ssize_t)bytes.n);
}

static void expect_heard(const struct fixture *f, const char *want)
{
    char heard[4096];
    ssize_t n = read(f->peer, heard, sizeof heard - 1);
    heard[n > 0 ? n : 0] = '\0';
    cr_expect_str_eq(heard, want);
}

static void expect_line(struct fixture *f, size_t limit, enum conn_result want, struct span text, enum line_ending end)
{
    struct span line;
    enum line_ending ending = LINE_CUT;
    enum conn_result got = conn_read_line(f->conn, limit, &line, &ending);
    cr_expect_eq(got, want, "result %d, not %d", (int)got, (int)want);
    if (want == CONN_OK) {
        cr_expect(span_eq(line, text), "line '%.*s', not '%.*s'", SPAN_ARG(line), SPAN_ARG(text));
        cr_expect_eq(ending, end);
    }
}

/* --- lines ------------------------------------------------------------------- */

Test(conn_read_line, knows_crlf_bare_lf_and_leaves_bare_cr_to_the_parser)
{
    struct fixture f = fixture_new();
    say(&f, SPAN("EHLO a\r\nNOOP\nRS\rET\r\n\r\n\n\r\r\nnul\0x\r\n"));

    expect_line(&f, 100, CONN_OK, SPAN("EHLO a"), LINE_CRLF);
    expect_line(&f, 100, CONN_OK, SPAN("NOOP"), LINE_BARE_LF);
    expect_line(&f, 100, CONN_OK, SPAN("RS\rET"), LINE_CRLF);
    expect_line(&f, 100, CONN_OK, SPAN(""), LINE_CRLF);
    expect_line(&f, 100, CONN_OK, SPAN(""), LINE_BARE_LF);
    expect_line(&f, 100, CONN_OK, SPAN("\r"), LINE_CRLF);
    expect_line(&f, 100, CONN_OK, SPAN("nul\0x"), LINE_CRLF);
    cr_expect_not(conn_has_input(f.conn));
    fixture_end(&f);
}

Test(conn_read_line, takes_a_line_at_the_limit_and_drops_one_beyond)
{
    struct fixture f = fixture_new();
    say(&f, SPAN("12345\r\n123456\r\n12345\n123456\n1234567890123456789012345678901234567890\r\nok\r\n"));

    expect_line(&f, 5, CONN_OK, SPAN("12345"), LINE_CRLF);
    expect_line(&f, 5, CONN_TOO_LONG, SPAN_NONE, LINE_CUT);
    expect_line(&f, 5, CONN_OK, SPAN("12345"), LINE_BARE_LF);
    expect_line(&f, 5, CONN_TOO_LONG, SPAN_NONE, LINE_CUT);
    expect_line(&f, 5, CONN_TOO_LONG, SPAN_NONE, LINE_CUT);
    expect_line(&f, 5, CONN_OK, SPAN("ok"), LINE_CRLF);
    cr_expect_eq(conn_state(f.conn), CONN_OK, "a long line is not sticky");
    fixture_end(&f);
}

Test(conn_read_line, reads_a_line_longer_than_any_buffer_to_its_end)
{
    struct fixture f = fixture_new();
    pid_t child = fork();
    if (child == 0) {
        fcntl(f.peer, F_SETFL, 0);
        char block[4096];
        memset(block, 'x', sizeof block);
        for (int i = 0; i < 100; i++)
            (void)!write(f.peer, block, sizeof block);
        (void)!write(f.peer, "\nnext\r\n", 7);
        _exit(0);
    }

    expect_line(&f, 1000, CONN_TOO_LONG, SPAN_NONE, LINE_CUT);
    expect_line(&f, 1000, CONN_OK, SPAN("next"), LINE_CRLF);

    waitpid(child, NULL, 0);
    cr_expect_eq(conn_bytes_in(f.conn), 409607U);
    fixture_end(&f);
}

Test(conn_read_line, ends_with_the_input_and_drops_a_line_without_end)
{
    struct fixture f = fixture_new();
    say(&f, SPAN("one\r\nrest"));
    shutdown(f.peer, SHUT_WR);

    expect_line(&f, 100, CONN_OK, SPAN("one"), LINE_CRLF);
    cr_expect_eq(conn_state(f.conn), CONN_OK);
    expect_line(&f, 100, CONN_EOF, SPAN_NONE, LINE_CUT);
    expect_line(&f, 100, CONN_EOF, SPAN_NONE, LINE_CUT);
    cr_expect_eq(conn_state(f.conn), CONN_EOF);
    cr_expect_eq(conn_printf(f.conn, "bye\r\n"), CONN_OK, "replies still go out");
    cr_expect_eq(conn_flush(f.conn), CONN_OK);

    expect_heard(&f, "bye\r\n");
    fixture_end(&f);
}

/* Every text of up to five of CR LF NUL a, at a limit of three, given whole and cut at each place. */
static size_t rejoin(struct conn *c, char *out, bool *good)
{
    size_t n = 0;
    for (;;) {
        struct span piece;
        enum line_ending ending;
        bool bare_cr;
        enum conn_result got = conn_read_piece(c, 3, &piece, &ending, &bare_cr);
        if (got != CONN_OK) {
            *good &= got == CONN_EOF;
            return n;
        }
        *good &= piece.n <= 3 && !memchr(piece.p, '\n', piece.n);
        *good &= bare_cr == (memchr(piece.p, '\r', piece.n) != NULL);
        *good &= piece.n + (ending != LINE_CUT) > 0;
        memcpy(out + n, piece.p, piece.n);
        n += piece.n;
        if (ending == LINE_CRLF)
            out[n++] = '\r';
        if (ending != LINE_CUT)
            out[n++] = '\n';
    }
}

/* As transport_plain, but reads by a plan: how many octets each time. */
struct sips {
    struct span text;
    size_t cut; /* the first read ends here */
    bool one_by_one;
};

static ssize_t sip(void *layer, struct transport_try *how, char *to, size_t n)
{
    struct sips *s = layer;
    size_t most = s->one_by_one ? 1 : s->cut ? s->cut : s->text.n;
    (void)how;
    s->cut = 0;
    if (n > most)
        n = most;
    if (n > s->text.n)
        n = s->text.n;
    if (n > 0)
        memcpy(to, s->text.p, n);
    s->text = span_skip(s->text, n);
    return (ssize_t)n;
}

static const struct transport_ops transport_sips = {.read = sip, .write = NULL};

static bool text_comes_back(struct span text, size_t cut, bool one_by_one)
{
    struct sips sips = {.text = text, .cut = cut, .one_by_one = one_by_one};
    struct conn *c = conn_new(-1);
    conn_set_transport(c, &transport_sips, &sips);
    char out[64];
    bool good = true;
    size_t n = rejoin(c, out, &good);
    conn_close(&c);
    return good && span_eq(span_of(out, n), text);
}

Test(conn_read_piece, gives_back_every_mixture_of_endings_however_it_arrives)
{
    const char bytes[] = {'\r', '\n', '\0', 'a'};
    for (size_t n = 0; n <= 7; n++) {
        for (unsigned code = 0; code < 1U << (2 * n); code++) {
            char text[8];
            for (size_t i = 0; i < n; i++)
                text[i] = bytes[code >> (2 * i) & 3];
            struct span whole = span_of(text, n);
            for (size_t cut = 0; cut <= (n > 5 ? 0 : n); cut++)
                cr_assert(text_comes_back(whole, cut, false), "n %zu code %u cut %zu", n, code, cut);
            cr_assert(text_comes_back(whole, 0, true), "n %zu code %u one by one", n, code);
        }
    }
}

Test(conn_read_line, takes_a_line_at_the_limit_octet_by_octet)
{
    struct sips sips = {.text = SPAN("12345\r\n12345\n123456\r\nok\r\n"), .one_by_one = true};
    struct fixture f = {.conn = conn_new(-1), .peer = -1};
    conn_set_transport(f.conn, &transport_sips, &sips);

    expect_line(&f, 5, CONN_OK, SPAN("12345"), LINE_CRLF);
    expect_line(&f, 5, CONN_OK, SPAN("12345"), LINE_BARE_LF);
    expect_line(&f, 5, CONN_TOO_LONG, SPAN_NONE, LINE_CUT);
    expect_line(&f, 5, CONN_OK, SPAN("ok"), LINE_CRLF);
    fixture_end(&f);
}

static void expect_piece(struct fixture *f, size_t limit, struct span text, enum line_ending end, bool bare)
{
    struct span piece;
    enum line_ending ending = LINE_CUT;
    bool has_bare = false;
    enum conn_result got = conn_read_piece(f->conn, limit, &piece, &ending, &has_bare);
    cr_expect_eq(got, CONN_OK);
    cr_expect(span_eq(piece, text), "piece '%.*s', not '%.*s'", SPAN_ARG(piece), SPAN_ARG(text));
    cr_expect_eq(ending, end, "ending %d after '%.*s'", (int)ending, SPAN_ARG(text));
    cr_expect_eq(has_bare, bare, "bare %d in '%.*s'", has_bare, SPAN_ARG(text));
}

Test(conn_read_piece, cuts_beyond_the_limit_and_nowhere_else)
{
    struct fixture f = fixture_new();
    say(&f, SPAN("12345\r\n123456\r\n12345\n123456\n1234\r5\r\n12345\r6\r\n12345\r\r\nend\r"));
    shutdown(f.peer, SHUT_WR);

    expect_piece(&f, 5, SPAN("12345"), LINE_CRLF, false);
    expect_piece(&f, 5, SPAN("12345"), LINE_CUT, false);
    expect_piece(&f, 5, SPAN("6"), LINE_CRLF, false);
    expect_piece(&f, 5, SPAN("12345"), LINE_BARE_LF, false);
    expect_piece(&f, 5, SPAN("12345"), LINE_CUT, false);
    expect_piece(&f, 5, SPAN("6"), LINE_BARE_LF, false);
    expect_piece(&f, 5, SPAN("1234\r"), LINE_CUT, true);
    expect_piece(&f, 5, SPAN("5"), LINE_CRLF, false);
    expect_piece(&f, 5, SPAN("12345"), LINE_CUT, false);
    expect_piece(&f, 5, SPAN("\r6"), LINE_CRLF, true);
    expect_piece(&f, 5, SPAN("12345"), LINE_CUT, false);
    expect_piece(&f, 5, SPAN("\r"), LINE_CRLF, true);
    expect_piece(&f, 5, SPAN("end\r"), LINE_CUT, true);
    fixture_end(&f);
}

Test(conn_read_piece, waits_for_the_follower_of_a_cr_at_the_cut)
{
    struct fixture f = fixture_new();
    struct span piece;
    enum line_ending ending;
    bool bare;
    conn_set_deadline(f.conn, clock_after_ms(20));
    say(&f, SPAN("12345\r"));

    cr_expect_eq(conn_read_piece(f.conn, 5, &piece, &ending, &bare), CONN_TIMEOUT);
    cr_expect_eq(conn_read_piece(f.conn, 5, &piece, &ending, &bare), CONN_TIMEOUT, "sticky");
    fixture_end(&f);
}

/* --- bytes, and input at hand --------------------------------------------------- */

Test(conn_read_bytes, gives_what_has_come_up_to_n)
{
    struct fixture f = fixture_new();
    struct span bytes;
    say(&f, SPAN("BDAT 7\r\nab\r\ncd\nQUIT\r\n"));
    expect_line(&f, 100, CONN_OK, SPAN("BDAT 7"), LINE_CRLF);

    cr_expect_eq(conn_read_bytes(f.conn, 0, &bytes), CONN_OK);
    cr_expect_eq(bytes.n, 0);
    cr_expect_eq(conn_read_bytes(f.conn, 7, &bytes), CONN_OK);
    cr_expect(span_eq(bytes, SPAN("ab\r\ncd\n")));
    expect_line(&f, 100, CONN_OK, SPAN("QUIT"), LINE_CRLF);
    shutdown(f.peer, SHUT_WR);
    cr_expect_eq(conn_read_bytes(f.conn, 7, &bytes), CONN_EOF);
    fixture_end(&f);
}

Test(conn, tells_input_at_hand_and_drops_it)
{
    struct fixture f = fixture_new();

    cr_expect_not(conn_poll_input(f.conn));
    say(&f, SPAN("STARTTLS\r\nMAIL FROM:<>\r\n"));
    cr_expect_not(conn_has_input(f.conn), "not without asking the kernel");
    cr_expect(conn_poll_input(f.conn));
    expect_line(&f, 100, CONN_OK, SPAN("STARTTLS"), LINE_CRLF);
    cr_expect(conn_has_input(f.conn));
    cr_expect_eq(conn_drop_input(f.conn), 14);
    cr_expect_not(conn_has_input(f.conn));
    fixture_end(&f);
}

Test(conn, gives_its_descriptor_away_with_unread_input)
{
    struct fixture f = fixture_new();
    struct buf unread = BUF_INIT;
    int fd = conn_fd(f.conn);
    say(&f, SPAN("PASS x\r\nSTAT\r\n"));
    expect_line(&f, 100, CONN_OK, SPAN("PASS x"), LINE_CRLF);

    cr_expect_eq(conn_take_fd(&f.conn, &unread), fd);

    cr_expect_null(f.conn);
    cr_expect_str_eq(buf_text(&unread), "STAT\r\n");
    cr_expect_eq(write(fd, "+OK", 3), 3, "the descriptor is open");
    buf_fini(&unread);
    close(fd);
    close(f.peer);
}

/* --- output ------------------------------------------------------------------- */

Test(conn, gathers_replies_and_sends_them_before_it_waits)
{
    struct fixture f = fixture_new();
    say(&f, SPAN("one\r\ntwo\r\n"));
    expect_line(&f, 100, CONN_OK, SPAN("one"), LINE_CRLF);
    conn_write(f.conn, SPAN("250 one\r\n"));
    expect_line(&f, 100, CONN_OK, SPAN("two"), LINE_CRLF);
    conn_printf(f.conn, "250 %s\r\n", "two");
    cr_expect_eq(read(f.peer, &(char){0}, 1), -1, "nothing is sent while commands are at hand");
    conn_set_deadline(f.conn, clock_after_ms(5));

    expect_line(&f, 100, CONN_TIMEOUT, SPAN_NONE, LINE_CUT);

    expect_heard(&f, "250 one\r\n250 two\r\n");
    fixture_end(&f);
}

Test(conn, tries_a_last_word_after_a_timeout)
{
    struct fixture f = fixture_new();
    conn_set_deadline(f.conn, clock_mono());
    expect_line(&f, 100, CONN_TIMEOUT, SPAN_NONE, LINE_CUT);

    cr_expect_eq(conn_printf(f.conn, "421 too slow\r\n"), CONN_TIMEOUT);
    for (int i = 0; i < 20000; i++)
        conn_write(f.conn, SPAN("1234567890"));
    conn_close(&f.conn);

    static char heard[100000];
    ssize_t n = read(f.peer, heard, sizeof heard);
    cr_expect_gt(n, 60000);
    cr_expect_leq(n, 65536, "no more than the limit is queued");
    cr_expect_eq(memcmp(heard, "421 too slow\r\n", 14), 0);
    close(f.peer);
}

Test(conn, keeps_the_error_of_a_lost_connection)
{
    struct fixture f = fixture_new();
    struct span bytes;
    close(f.peer);
    conn_write(f.conn, SPAN("hello"));

    cr_expect_eq(conn_flush(f.conn), CONN_ERROR);
    cr_expect_eq(conn_errno(f.conn), EPIPE);
    cr_expect_eq(conn_read_bytes(f.conn, 1, &bytes), CONN_ERROR);
    cr_expect_eq(conn_write(f.conn, SPAN("again")), CONN_ERROR);
    cr_expect_eq(conn_state(f.conn), CONN_ERROR);
    conn_close(&f.conn);
}

/* A peer that reads everything slowly and prints a checksum as its exit status. */
static pid_t start_reader(const struct fixture *f, size_t total)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    close(conn_fd(f->conn));
    fcntl(f->peer, F_SETFL, 0);
    unsigned sum = 0;
    char block[5000];
    for (ssize_t n; (n = read(f->peer, block, sizeof block)) > 0; total -= (size_t)n) {
        for (ssize_t i = 0; i < n; i++)
            sum = sum * 31 + (unsigned char)block[i];
    }
    _exit(total == 0 ? (int)(sum % 250) : 255);
}

static char pattern_at(size_t i)
{
    return (char)('a' + i * i % 23);
}

Test(conn, sends_large_writes_and_files_through_a_full_socket)
{
    struct fixture f = fixture_new();
    enum { FILE_BYTES = 700000, SKIP = 100, BLOCK = 40000, SMALL = 9000 };
    char *pattern = malloc(FILE_BYTES);
    for (size_t i = 0; i < FILE_BYTES; i++)
        pattern[i] = pattern_at(i);
    int file = memfd_create("file", MFD_CLOEXEC);
    cr_assert_eq(write(file, pattern, FILE_BYTES), FILE_BYTES);
    size_t total = 5 + BLOCK + SMALL + (FILE_BYTES - SKIP) + 3;
    pid_t reader = start_reader(&f, total);
    close(f.peer);

    conn_write(f.conn, SPAN("+OK\r\n"));
    conn_write(f.conn, span_of(pattern, BLOCK));
    conn_send_file(f.conn, file, 0, SMALL);
    conn_send_file(f.conn, file, SKIP, FILE_BYTES - SKIP);
    conn_write(f.conn, SPAN(".\r\n"));
    cr_expect_eq(conn_flush(f.conn), CONN_OK);
    cr_expect_eq(conn_bytes_out(f.conn), total);
    conn_close(&f.conn);

    unsigned sum = 0;
    const struct span parts[] = {SPAN("+OK\r\n"), span_of(pattern, BLOCK), span_of(pattern, SMALL),
                                 span_of(pattern + SKIP, FILE_BYTES - SKIP), SPAN(".\r\n")};
    for (size_t p = 0; p < 5; p++) {
        for (size_t i = 0; i < parts[p].n; i++)
            sum = sum * 31 + span_at(parts[p], i);
    }
    int status;
    waitpid(reader, &status, 0);
    cr_expect_eq(WEXITSTATUS(status), sum % 250);
    free(pattern);
    close(file);
}

Test(conn, fails_where_a_file_is_shorter_than_promised)
{
    const size_t promised[] = {5000, 50000};
    for (int i = 0; i < 2; i++) {
        struct fixture f = fixture_new();
        int file = memfd_create("file", MFD_CLOEXEC);
        cr_assert_eq(ftruncate(file, (off_t)promised[i] - 1), 0);

        cr_expect_eq(conn_send_file(f.conn, file, 0, promised[i]), CONN_ERROR);

        cr_expect_eq(conn_errno(f.conn), ENODATA);
        close(file);
        fixture_end(&f);
    }
}

Test(conn, a_write_over_the_queue_limit_meets_the_deadline_of_a_peer_that_does_not_read)
{
    struct fixture f = fixture_new();
    conn_set_deadline(f.conn, clock_after_ms(20));
    enum conn_result got = CONN_OK;

    for (int i = 0; i < 100000 && got == CONN_OK; i++)
        got = conn_write(f.conn, SPAN("0123456789012345678901234567890123456789012345678901234567890\r\n"));

    cr_expect_eq(got, CONN_TIMEOUT);
    fixture_end(&f);
}

Test(conn, a_peer_that_never_pauses_still_meets_the_deadline)
{
    struct fixture f = fixture_new();
    pid_t child = fork();
    if (child == 0) {
        char block[4096];
        memset(block, 'x', sizeof block);
        close(conn_fd(f.conn));
        fcntl(f.peer, F_SETFL, 0);
        while (write(f.peer, block, sizeof block) > 0)
            ;
        _exit(0);
    }
    conn_set_deadline(f.conn, clock_after_ms(100));

    expect_line(&f, 100, CONN_TIMEOUT, SPAN_NONE, LINE_CUT);

    close(f.peer);
    conn_close(&f.conn);
    waitpid(child, NULL, 0);
}

/* --- a whole session ------------------------------------------------------------- */

static void run_chat(struct chat *chat, struct span says, struct buf *heard)
{
    struct fixture f = fixture_new();
    say(&f, says);
    shutdown(f.peer, SHUT_WR);
    chat->conn = f.conn;
    chat_session(chat);
    char block[4096];
    for (ssize_t n; (n = read(f.peer, block, sizeof block)) > 0;)
        buf_put(heard, span_of(block, (size_t)n));
    close(f.peer);
}

Test(conn, holds_a_whole_pipelined_session)
{
    struct chat chat = {.file = memfd_create("file", MFD_CLOEXEC)};
    struct buf heard = BUF_INIT;
    cr_assert_eq(write(chat.file, chat_file, sizeof chat_file - 1), (ssize_t)sizeof chat_file - 1);

    run_chat(&chat, span_text(chat_says), &heard);

    cr_expect_str_eq(buf_text(&heard), chat_hears);
    cr_expect_eq(chat.ended, CONN_OK);
    close(chat.file);
    buf_fini(&heard);
}

Test(conn, reads_what_another_has_read_before_what_comes_now)
{
    struct fixture f = fixture_new();

    conn_put_input(f.conn, SPAN("STAT\r\nLI"));
    say(&f, SPAN("ST\r\n"));

    expect_line(&f, 100, CONN_OK, SPAN("STAT"), LINE_CRLF);
    expect_line(&f, 100, CONN_OK, SPAN("LIST"), LINE_CRLF);
    fixture_end(&f);
}
