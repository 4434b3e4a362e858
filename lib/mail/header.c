#include "lib/mail/header.h"
#include "lib/base/check.h"

enum { FOLD_AT = 78 };

#define ROW(name, flags)                                                                                     \
    {                                                                                                        \
        SPAN_INIT(name), (flags)                                                                             \
    }
static const struct header_info table[HEADER_IDS] = {
    [HEADER_OTHER] = {{"", 0}, 0},
    [HEADER_APPARENTLY_TO] = ROW("Apparently-To", HEADER_HAS_RECIPIENTS),
    [HEADER_BCC] = ROW("Bcc", HEADER_HAS_RECIPIENTS | HEADER_IS_EXTRACTED | HEADER_IS_DROPPED),
    [HEADER_CC] = ROW("Cc", HEADER_HAS_RECIPIENTS | HEADER_IS_EXTRACTED),
    [HEADER_CONTENT_DESCRIPTION] = ROW("Content-Description", HEADER_IS_MIME),
    [HEADER_CONTENT_DISPOSITION] = ROW("Content-Disposition", HEADER_IS_MIME),
    [HEADER_CONTENT_ID] = ROW("Content-Id", HEADER_IS_MIME),
    [HEADER_CONTENT_LENGTH] = ROW("Content-Length", HEADER_IS_DROPPED),
    [HEADER_CONTENT_TRANSFER_ENCODING] = ROW("Content-Transfer-Encoding", HEADER_IS_MIME),
    [HEADER_CONTENT_TYPE] = ROW("Content-Type", HEADER_IS_MIME),
    [HEADER_DATE] = ROW("Date", 0),
    [HEADER_DELIVERED_TO] = ROW("Delivered-To", 0),
    [HEADER_DISPOSITION_NOTIFICATION_TO] = ROW("Disposition-Notification-To", HEADER_HAS_SENDER),
    [HEADER_ERRORS_TO] = ROW("Errors-To", HEADER_HAS_SENDER),
    [HEADER_FROM] = ROW("From", HEADER_HAS_SENDER),
    [HEADER_MAIL_FOLLOWUP_TO] = ROW("Mail-Followup-To", HEADER_HAS_SENDER),
    [HEADER_MESSAGE_ID] = ROW("Message-Id", 0),
    [HEADER_MIME_VERSION] = ROW("MIME-Version", HEADER_IS_MIME),
    [HEADER_RECEIVED] = ROW("Received", 0),
    [HEADER_REPLY_TO] = ROW("Reply-To", HEADER_HAS_SENDER),
    [HEADER_RESENT_BCC] =
        ROW("Resent-Bcc", HEADER_HAS_RECIPIENTS | HEADER_IS_EXTRACTED | HEADER_IS_RESENT | HEADER_IS_DROPPED),
    [HEADER_RESENT_CC] = ROW("Resent-Cc", HEADER_HAS_RECIPIENTS | HEADER_IS_EXTRACTED | HEADER_IS_RESENT),
    [HEADER_RESENT_DATE] = ROW("Resent-Date", HEADER_IS_RESENT),
    [HEADER_RESENT_FROM] = ROW("Resent-From", HEADER_HAS_SENDER | HEADER_IS_RESENT),
    [HEADER_RESENT_MESSAGE_ID] = ROW("Resent-Message-Id", HEADER_IS_RESENT),
    [HEADER_RESENT_REPLY_TO] = ROW("Resent-Reply-To", HEADER_HAS_RECIPIENTS | HEADER_IS_RESENT),
    [HEADER_RESENT_SENDER] = ROW("Resent-Sender", HEADER_HAS_SENDER | HEADER_IS_RESENT),
    [HEADER_RESENT_TO] = ROW("Resent-To", HEADER_HAS_RECIPIENTS | HEADER_IS_EXTRACTED | HEADER_IS_RESENT),
    [HEADER_RETURN_PATH] = ROW("Return-Path", HEADER_HAS_SENDER | HEADER_IS_DROPPED),
    [HEADER_RETURN_RECEIPT_TO] = ROW("Return-Receipt-To", HEADER_HAS_SENDER),
    [HEADER_SENDER] = ROW("Sender", HEADER_HAS_SENDER),
    [HEADER_TO] = ROW("To", HEADER_HAS_RECIPIENTS | HEADER_IS_EXTRACTED),
};

const struct header_info *header_info_get(enum header_id id)
{
    CHECK((unsigned)id < HEADER_IDS);
    return &table[id];
}

enum header_id header_id_of(struct span name)
{
    for (unsigned id = HEADER_OTHER + 1; id < HEADER_IDS; id++)
        if (span_eq_nocase(table[id].name, name))
            return (enum header_id)id;
    return HEADER_OTHER;
}

static bool is_blank(unsigned char c)
{
    return c == ' ' || c == '\t';
}

/* ftext of RFC 5322 3.6.8 */
static bool is_name_byte(unsigned char c)
{
    return c > ' ' && c < 0x7f && c != ':';
}

/* Length of the name that a line starts with; 0: the line is no header. Blanks may
 * stand before the colon (obsolete form, RFC 5322 4.5). */
static size_t find_name(struct span line)
{
    size_t n = 0;
    while (n < line.n && is_name_byte(span_at(line, n)))
        n++;
    size_t colon = n;
    while (colon < line.n && is_blank(span_at(line, colon)))
        colon++;
    return colon < line.n && line.p[colon] == ':' ? n : 0;
}

/* The line at from with its LF, if it has one. */
static struct span line_at(struct span text, size_t from)
{
    struct span rest = span_skip(text, from);
    return span_slice(rest, 0, span_find(rest, '\n') + 1);
}

static struct span without_eol(struct span line)
{
    if (line.n > 0 && line.p[line.n - 1] == '\n')
        line.n--;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

static struct span without_blank_tail(struct span s)
{
    while (s.n > 0 && byte_is_space(span_at(s, s.n - 1)))
        s.n--;
    return s;
}

void header_scan_init(struct header_scan *scan, struct span text, size_t limit)
{
    *scan = (struct header_scan){.text = text, .limit = limit};
}

static bool is_mbox_line(struct span line)
{
    while (line.n > 0 && line.p[0] == '>')
        line = span_skip(line, 1);
    return span_starts(line, SPAN("From "));
}

/* Takes the continuation lines behind a first line into header->raw. */
static void take_folds(struct header_scan *scan, struct header *header, size_t start)
{
    size_t end = scan->at;
    header->cut = false;
    while (scan->at < scan->text.n && is_blank(span_at(scan->text, scan->at))) {
        struct span line = line_at(scan->text, scan->at);
        if (end - start < scan->limit)
            end = scan->at + line.n;
        else
            header->cut = true;
        scan->at += line.n;
    }
    header->raw = without_eol(span_slice(scan->text, start, end));
    if (header->raw.n > scan->limit && header->raw.n - scan->limit > HEADER_LINE_SLACK) {
        header->raw.n = scan->limit;
        header->cut = true;
    }
    if (header->cut) /* the cut may have left half a line end */
        header->raw = without_blank_tail(header->raw);
}

enum header_event header_next(struct header_scan *scan, struct header *header)
{
    *header = (struct header){0};
    struct span line = line_at(scan->text, scan->at), bare = without_eol(line);
    size_t start = scan->at, name = find_name(bare);
    bool first = !scan->begun;
    scan->begun = true;
    if (first && is_mbox_line(bare)) {
        scan->at += line.n;
        scan->begun = false;
        header->raw = bare;
        return HEADER_MBOX_LINE;
    }
    if (scan->ended || name == 0) {
        if (!scan->ended && bare.n == 0)
            scan->at += line.n;
        else if (!scan->ended)
            scan->blank_missing = true;
        scan->ended = true;
        return HEADER_BODY;
    }
    scan->at += line.n;
    take_folds(scan, header, start);
    header->name = span_slice(header->raw, 0, name);
    header->value = span_trim(span_skip(header->raw, span_find(header->raw, ':') + 1));
    header->id = header_id_of(header->name);
    return HEADER_FIELD;
}

void header_put_unfolded(struct buf *out, struct span value)
{
    while (value.n > 0) {
        struct span line = line_at(value, 0);
        buf_put(out, without_eol(line));
        value = span_skip(value, line.n);
    }
}

static bool is_good_name(struct span name)
{
    for (size_t i = 0; i < name.n; i++)
        if (!is_name_byte(span_at(name, i)))
            return false;
    return name.n > 0;
}

static void put_eol(struct buf *out, enum header_eol eol)
{
    buf_puts(out, eol == HEADER_CRLF ? "\r\n" : "\n");
}

/* The byte before which value, from from on, is broken: the last blank within room,
 * else the first one behind it; value.n where nothing needs or allows a break. A
 * break leaves something that is not blank on either side. */
static size_t find_break(struct span value, size_t from, size_t room)
{
    size_t best = value.n, i = from;
    while (i < value.n && is_blank(span_at(value, i)))
        i++;
    for (bool inside = false; i < value.n; i++) {
        bool blank = is_blank(span_at(value, i));
        if (blank && inside) {
            if (i - from > room)
                return best < value.n ? best : i;
            best = i;
        }
        inside = !blank;
    }
    return value.n - from > room ? best : value.n;
}

bool header_put(struct buf *out, enum header_eol eol, struct span name, struct span value)
{
    if (!is_good_name(name) || span_has_any(value, span_of("\r\n\0", 3)))
        return false;
    value = span_trim(value);
    buf_put(out, name);
    buf_puts(out, value.n ? ": " : ":");
    size_t room = name.n + 2 < FOLD_AT ? FOLD_AT - name.n - 2 : 0;
    for (size_t from = 0; from < value.n; room = FOLD_AT) {
        size_t to = find_break(value, from, room);
        buf_put(out, span_slice(value, from, to));
        if (to < value.n)
            put_eol(out, eol);
        from = to;
    }
    put_eol(out, eol);
    return true;
}

/* Every line but the first starts with a blank and holds something else; no bare CR, no NUL. */
static bool is_well_folded(struct span value)
{
    bool first = true;
    do {
        struct span line = line_at(value, 0), bare = without_eol(line);
        if (span_has_any(bare, span_of("\r\0", 2)))
            return false;
        if (!first && (bare.n == 0 || !is_blank(span_at(bare, 0)) || span_trim(bare).n == 0))
            return false;
        first = false;
        value = span_skip(value, line.n);
    } while (value.n > 0);
    return true;
}

bool header_put_folded(struct buf *out, enum header_eol eol, struct span name, struct span value)
{
    value = span_trim(value);
    if (!is_good_name(name) || !is_well_folded(value))
        return false;
    buf_put(out, name);
    buf_puts(out, value.n ? ": " : ":");
    do {
        struct span line = line_at(value, 0);
        buf_put(out, without_eol(line));
        put_eol(out, eol);
        value = span_skip(value, line.n);
    } while (value.n > 0);
    return true;
}
