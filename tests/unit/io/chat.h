/* A small line protocol, straight on: the same session runs blocking and on coroutines.
 *
 *     SAY words     answers "200 words"
 *     TEXT          answers "354", reads lines to "." and answers "250 lines octets [bare-cr] [bare-lf]"
 *     TAKE n        reads n octets and answers "250 sum"
 *     SEND n        answers "200" and n octets of the session's file
 *     QUIT          answers "221" and ends
 */
#ifndef TESTS_IO_CHAT_H
#define TESTS_IO_CHAT_H

#include "lib/io/conn.h"

enum { CHAT_LINE_LIMIT = 100, CHAT_PIECE_LIMIT = 64 };

struct chat {
    struct conn *conn;
    int file;           /* for SEND */
    unsigned timeout_ms; /* 0: none */
    enum conn_result ended;
    unsigned commands;
};

static inline enum conn_result chat_text(struct chat *chat)
{
    size_t lines = 0, octets = 0;
    bool any_cr = false, any_lf = false, at_start = true;
    conn_printf(chat->conn, "354 go on\r\n");
    for (;;) {
        struct span piece;
        enum line_ending ending;
        bool bare_cr;
        enum conn_result got = conn_read_piece(chat->conn, CHAT_PIECE_LIMIT, &piece, &ending, &bare_cr);
        if (got != CONN_OK)
            return got;
        if (at_start && ending == LINE_CRLF && span_eq(piece, SPAN(".")))
            break;
        octets += piece.n;
        lines += ending != LINE_CUT;
        any_cr |= bare_cr;
        any_lf |= ending == LINE_BARE_LF;
        at_start = ending == LINE_CRLF;
    }
    return conn_printf(chat->conn, "250 %zu %zu%s%s\r\n", lines, octets, any_cr ? " bare-cr" : "",
                       any_lf ? " bare-lf" : "");
}

static inline enum conn_result chat_take(struct chat *chat, uint64_t n)
{
    unsigned sum = 0;
    while (n > 0) {
        struct span bytes;
        enum conn_result got = conn_read_bytes(chat->conn, (size_t)n, &bytes);
        if (got != CONN_OK)
            return got;
        for (size_t i = 0; i < bytes.n; i++)
            sum += span_at(bytes, i);
        n -= bytes.n;
    }
    return conn_printf(chat->conn, "250 %u\r\n", sum);
}

static inline enum conn_result chat_command(struct chat *chat, struct span line)
{
    uint64_t n = 0;
    chat->commands++;
    if (span_starts(line, SPAN("SAY ")))
        return conn_printf(chat->conn, "200 %.*s\r\n", SPAN_ARG(span_skip(line, 4)));
    if (span_eq(line, SPAN("TEXT")))
        return chat_text(chat);
    if (span_starts(line, SPAN("TAKE ")) && span_to_u64(span_skip(line, 5), 1 << 20, &n))
        return chat_take(chat, n);
    if (span_starts(line, SPAN("SEND ")) && span_to_u64(span_skip(line, 5), 1 << 20, &n)) {
        conn_printf(chat->conn, "200 file follows\r\n");
        return conn_send_file(chat->conn, chat->file, 0, (size_t)n);
    }
    return conn_printf(chat->conn, "500 what\r\n");
}

/* Runs to QUIT or the end of the connection; closes it. */
static inline void chat_session(struct chat *chat)
{
    conn_printf(chat->conn, "220 hello\r\n");
    for (;;) {
        struct span line;
        enum line_ending ending;
        conn_set_deadline(chat->conn, chat->timeout_ms ? clock_after_ms(chat->timeout_ms) : MONO_NEVER);
        chat->ended = conn_read_line(chat->conn, CHAT_LINE_LIMIT, &line, &ending);
        if (chat->ended == CONN_TOO_LONG) {
            conn_printf(chat->conn, "500 too long\r\n");
            continue;
        }
        if (chat->ended != CONN_OK)
            break;
        if (span_eq(line, SPAN("QUIT"))) {
            conn_printf(chat->conn, "221 bye\r\n");
            chat->ended = conn_flush(chat->conn);
            break;
        }
        chat->ended = chat_command(chat, line);
        if (chat->ended != CONN_OK)
            break;
    }
    if (chat->ended == CONN_TIMEOUT || chat->ended == CONN_CANCELLED)
        conn_printf(chat->conn, "421 ending\r\n");
    conn_close(&chat->conn);
}

/* What a peer says to all of this, and what it hears; the session's file holds chat_file. */
static const char chat_file[] = "file\r\n";
static const char chat_says[] =
    "SAY hi\r\nTEXT\r\nline\r\nbare\nc\rr\r\n..\r\n.\n.\r\n.\r\nTAKE 3\r\nabcSEND 6\r\nHUH\r\nQUIT\r\nmore";
static const char chat_hears[] = "220 hello\r\n200 hi\r\n354 go on\r\n250 6 15 bare-cr bare-lf\r\n250 294\r\n"
                                 "200 file follows\r\nfile\r\n500 what\r\n221 bye\r\n";

#endif
