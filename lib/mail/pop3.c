#include "lib/mail/pop3.h"

bool pop3_line_parse(struct span line, struct pop3_line *parsed)
{
    size_t end = 0;
    *parsed = (struct pop3_line){0};
    for (size_t i = 0; i < line.n; i++)
        if (span_at(line, i) < 0x20 || span_at(line, i) == 0x7f)
            return false;
    while (end < line.n && byte_is_alnum(span_at(line, end)))
        end++;
    if (end == 0 || (end < line.n && line.p[end] != ' '))
        return false;
    parsed->word = span_slice(line, 0, end);
    parsed->rest = span_skip(line, end + 1);
    struct span rest = parsed->rest, word;
    while (span_next_token(&rest, SPAN(" "), &word)) {
        if (parsed->n < POP3_ARGUMENTS_MAX)
            parsed->at[parsed->n] = word;
        if (++parsed->n > POP3_ARGUMENTS_MAX)
            break;
    }
    return true;
}

size_t pop3_message_number(struct span text, size_t most)
{
    uint64_t number = 0;
    return span_to_u64(text, most, &number) ? (size_t)number : 0;
}

/* RFC 2449 6, RFC 3206, RFC 5034 6, RFC 6856 2. The same before and after the login. */
static const char capabilities[] = "+OK Capability list follows\r\n"
                                   "TOP\r\n"
                                   "UIDL\r\n"
                                   "USER\r\n"
                                   "SASL PLAIN LOGIN\r\n"
                                   "PIPELINING\r\n"
                                   "RESP-CODES\r\n"
                                   "AUTH-RESP-CODE\r\n"
                                   "UTF8 USER\r\n"
                                   "EXPIRE NEVER\r\n"
                                   "IMPLEMENTATION Merpati\r\n"
                                   ".\r\n";

void pop3_put_capabilities(struct buf *out)
{
    buf_puts(out, capabilities);
}
