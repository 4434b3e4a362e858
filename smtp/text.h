/* The text of a message, and its form on the wire.
 *
 * Text is stored with LF line ends (lib/wire/attempt.msg.h); on the wire lines end in CR LF and a
 * leading dot is doubled (RFC 5321 2.3.8, 4.5.2). So no octet of it can be sent as it is stored, and
 * the kernel cannot send the file for us (smtp/DESIGN has the figures).
 *
 * What leaves here never holds a CR or LF that is not part of a CR LF: a stray CR becomes a blank, so that no
 * server down the line can read it as a line end (and, behind a dot, as the end of the message).
 * Reading may wait for the disk; nothing else waits. */
#ifndef SMTP_TEXT_H
#define SMTP_TEXT_H

#include "lib/base/buf.h"

enum { TEXT_CHUNK = 64 * 1024 /* octets that are read and converted at a time */ };

struct text {
    struct span inner;     /* what is stored, where fd is -1; borrowed */
    int fd;                /* borrowed */
    uint64_t offset;       /* where it stands in the file */
    uint64_t size;         /* octets of the text, head included */
    struct span head;      /* stands for the first octets of what is stored; borrowed */
    uint64_t replaced;     /* how many these are; 0 without head */
};

/* Reads up to TEXT_CHUNK octets from an offset in the text.
 * room:   of TEXT_CHUNK octets at least, for what comes from a file
 * chunk:  set to the octets, in the text itself or in room; empty at the end
 * result: false with errno: it cannot be read, or the file is too short (ENODATA) */
bool text_read(const struct text *t, uint64_t at, struct buf *room, struct span *chunk);

/* What has to be known of a text before MAIL. */
struct text_facts {
    uint64_t wire_size;   /* octets with CR LF, without doubled dots. RFC 1870 3 */
    bool eight_bit;       /* an octet over 127 anywhere */
    bool eight_bit_header; /* in the header section: it needs SMTPUTF8. RFC 6531 3.4, 6532 */
};
/* result: false with errno. Gives others a turn from time to time: waits */
bool text_scan(const struct text *t, struct text_facts *facts);

/* Turns text into its wire form, in pieces of any size. */
struct wire_form {
    bool dots;        /* double leading dots (DATA) or not (BDAT) */
    uint64_t limit;   /* smtp_line_length_limit: longer lines are broken by CR LF and a blank; 0: none */
    /* where it stands; zeros at the beginning of a text */
    bool inside;      /* of a line */
    uint64_t column;  /* octets of the line so far */
    bool broken;      /* a line was broken */
};
/* Appends the wire form of the next octets. */
void wire_form_put(struct wire_form *w, struct span octets, struct buf *out);
/* The end of the text: a last line that has no end gets one. */
void wire_form_end(struct wire_form *w, struct buf *out);

#endif
