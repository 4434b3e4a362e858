#include "dnsd/anchors.h"

#include "dnsd/servers.h"
#include "lib/mail/codec.h"

enum { FIELDS = 4, REVOKED = 0x80 /* of a key's flags; RFC 5011 2.1 */ };

/* The octets of a digest, by its type. result: 0: one that nobody knows (it is libunbound's to judge) */
static size_t digest_size(uint64_t type)
{
    static const size_t sizes[] = {[1] = 20, [2] = 32, [3] = 32, [4] = 48};
    return type < sizeof sizes / sizeof *sizes ? sizes[type] : 0;
}

/* What is left, with the blanks taken out that a long field may hold. */
static void join_rest(struct span rest, struct buf *joined)
{
    struct span word;
    while (span_next_token(&rest, SPAN(" \t"), &word))
        buf_put(joined, word);
}

/* flags or tag, protocol or algorithm, algorithm or digest type, then octets as text. */
static bool data_is_good(struct span rest, bool is_key, bool *revoked)
{
    struct buf joined = BUF_INIT, octets = BUF_INIT;
    uint64_t numbers[FIELDS - 1];
    struct span word;
    bool good = true;
    for (size_t i = 0; good && i < FIELDS - 1; i++)
        good = span_next_token(&rest, SPAN(" \t"), &word) && span_to_u64(word, i ? UINT8_MAX : UINT16_MAX, &numbers[i]);
    if (good) {
        join_rest(rest, &joined);
        good = is_key ? codec_base64_get(&octets, buf_span(&joined)) : codec_hex_get(&octets, buf_span(&joined));
        *revoked = is_key && (numbers[0] & REVOKED);
        if (!is_key && digest_size(numbers[2]))
            good = good && octets.len == digest_size(numbers[2]);
        good = good && octets.len > 0;
    }
    buf_fini(&joined);
    buf_fini(&octets);
    return good;
}

/* name [ttl] [IN] DS or DNSKEY, data. result: 1 an anchor, 0 a revoked one, -1 none */
static int line_parse(struct span line, struct span *owner)
{
    struct span word;
    uint64_t ttl;
    bool revoked = false;
    if (!span_next_token(&line, SPAN(" \t"), owner) || !span_next_token(&line, SPAN(" \t"), &word))
        return -1;
    if (span_to_u64(word, UINT32_MAX, &ttl) && !span_next_token(&line, SPAN(" \t"), &word))
        return -1;
    if (span_eq_nocase(word, SPAN("IN")) && !span_next_token(&line, SPAN(" \t"), &word))
        return -1;
    struct span bare = owner->n > 1 && owner->p[owner->n - 1] == '.' ? span_slice(*owner, 0, owner->n - 1) : *owner;
    bool is_key = span_eq_nocase(word, SPAN("DNSKEY"));
    if ((!is_key && !span_eq_nocase(word, SPAN("DS"))) || !domain_is_good(bare) || !data_is_good(line, is_key, &revoked))
        return -1;
    return revoked ? 0 : 1;
}

void anchors_add(struct arena *a, struct span text, struct anchors *anchors)
{
    anchors->wrong = 0;
    for (unsigned number = 1; text.n; number++) {
        size_t end = span_find(text, '\n');
        struct span line = span_slice(text, 0, end), owner;
        text = span_skip(text, end + 1);
        line = span_trim(span_slice(line, 0, span_find(line, ';')));
        if (line.n == 0)
            continue;
        int found = span_find(line, '\0') < line.n ? -1 : line_parse(line, &owner);
        if (found < 0 || anchors->n == ANCHORS_MAX)
            anchors->wrong = anchors->wrong ? anchors->wrong : number;
        else if (found > 0) {
            anchors->owners[anchors->n] = arena_dup(a, owner);
            anchors->at[anchors->n++] = arena_dup(a, line);
        }
    }
}
