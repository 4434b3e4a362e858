/* Message headers: the one scanner, the one table of known names, the one emitter.
 *
 * The scanner cuts message text into logical headers (folded lines together) and
 * finds where the body begins. It borrows everything from the text, needs no
 * memory, and takes linear time. The emitter is the only way by which a header
 * comes into a message: it refuses line breaks and NUL, so nothing that came from
 * outside can start a header of its own. Any process may call these; none waits. */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include "lib/base/buf.h"

enum {
    HEADER_SIZE_LIMIT = 102400, /* default of header_size_limit */
    HEADER_LINE_SLACK = 2048,   /* what one line may have over it: line_length_limit */
};

/* What a known header is, as cleanup needs it. */
enum header_flag {
    HEADER_HAS_SENDER = 1,     /* addresses of the sending side, rewritten by sender maps */
    HEADER_HAS_RECIPIENTS = 2, /* addresses of recipients, rewritten by recipient maps */
    HEADER_IS_EXTRACTED = 4,   /* recipients are taken from it when asked to (sendmail -t) */
    HEADER_IS_RESENT = 8,      /* Resent-*: stands for its plain twin where one is present */
    HEADER_IS_DROPPED = 16,    /* removed by default (message_drop_headers) */
    HEADER_IS_MIME = 32,       /* structure of the message, not of the mail */
};

enum header_id {
    HEADER_OTHER, /* not in the table */
    HEADER_APPARENTLY_TO,
    HEADER_BCC,
    HEADER_CC,
    HEADER_CONTENT_DESCRIPTION,
    HEADER_CONTENT_DISPOSITION,
    HEADER_CONTENT_ID,
    HEADER_CONTENT_LENGTH,
    HEADER_CONTENT_TRANSFER_ENCODING,
    HEADER_CONTENT_TYPE,
    HEADER_DATE,
    HEADER_DELIVERED_TO,
    HEADER_DISPOSITION_NOTIFICATION_TO,
    HEADER_ERRORS_TO,
    HEADER_FROM,
    HEADER_MAIL_FOLLOWUP_TO,
    HEADER_MESSAGE_ID,
    HEADER_MIME_VERSION,
    HEADER_RECEIVED,
    HEADER_REPLY_TO,
    HEADER_RESENT_BCC,
    HEADER_RESENT_CC,
    HEADER_RESENT_DATE,
    HEADER_RESENT_FROM,
    HEADER_RESENT_MESSAGE_ID,
    HEADER_RESENT_REPLY_TO,
    HEADER_RESENT_SENDER,
    HEADER_RESENT_TO,
    HEADER_RETURN_PATH,
    HEADER_RETURN_RECEIPT_TO,
    HEADER_SENDER,
    HEADER_TO,
    HEADER_IDS,
};

/* A row of the table. */
struct header_info {
    struct span name; /* in its usual spelling */
    unsigned flags;   /* a set of enum header_flag */
};
/* result: the row of an id; HEADER_OTHER has an empty name and no flags */
const struct header_info *header_info_get(enum header_id id);
/* The id of a name, whatever its case. */
enum header_id header_id_of(struct span name);

enum header_event {
    HEADER_FIELD,     /* one logical header */
    HEADER_MBOX_LINE, /* "From " or ">From " line of a mailbox file before the first header */
    HEADER_BODY,      /* the header section has ended; at is where the body begins */
};

/* One logical header; all borrowed from the text. */
struct header {
    enum header_id id;
    struct span raw;   /* all of it as it stands, without the last line end */
    struct span name;  /* without the colon and blanks before it */
    struct span value; /* behind the colon, still folded, blanks around it removed */
    bool cut;          /* it was longer than the limit; the rest of it was skipped */
};

struct header_scan {
    struct span text;   /* borrowed; lines end in LF or CRLF */
    size_t at;          /* where the next line begins */
    size_t limit;       /* bytes of one logical header that are kept */
    bool begun;         /* a header line has been taken */
    bool ended;         /* the body was found */
    bool blank_missing; /* once ended: no empty line stands before the body */
};

/* limit: header_size_limit, in bytes of one logical header. Continuation lines that
 * begin behind it are skipped, as Postfix does; where a line is so long that more
 * than HEADER_LINE_SLACK would still stand over it, the line is cut at the limit. */
void header_scan_init(struct header_scan *scan, struct span text, size_t limit);
/* The next header, or where the body begins: behind the empty line, or at the first
 * line that is no header (such a body has no empty line before it and needs one).
 * header: set for HEADER_FIELD; for HEADER_MBOX_LINE raw only
 * result: HEADER_BODY for ever once it has come. RFC 5322 2.2 */
enum header_event header_next(struct header_scan *scan, struct header *header);

/* Appends the value with its folds undone: line ends dropped, blanks kept. RFC 5322 2.2.3 */
void header_put_unfolded(struct buf *out, struct span value);

enum header_eol { HEADER_LF, HEADER_CRLF };

/* Appends "Name: value" and a line end, folded at blanks so that lines stay within
 * 78 bytes where there are blanks to fold at. RFC 5322 2.1.1
 * result: false, and nothing appended, for an empty name, a byte in it that no
 *         name has, or CR, LF or NUL in the value */
bool header_put(struct buf *out, enum header_eol eol, struct span name, struct span value);
/* The same for a value that is folded already ("\n\t" or "\r\n "): its folds stay
 * where they are, with our line end.
 * result: also false for a line end that no blank follows, an empty folded line, or a bare CR */
bool header_put_folded(struct buf *out, enum header_eol eol, struct span name, struct span value);

#endif
