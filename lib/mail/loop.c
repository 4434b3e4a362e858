#include "lib/mail/loop.h"
#include "lib/mail/address.h"
#include "lib/mail/header.h"

#include <unistd.h>

struct span loop_read_head(struct arena *a, struct span text, int fd, uint64_t offset, uint64_t size)
{
    if (fd < 0)
        return text;
    size_t room = size < LOOP_HEAD_MAX ? (size_t)size : LOOP_HEAD_MAX;
    char *head = arena_alloc(a, room);
    ssize_t n = pread(fd, head, room, (off_t)offset);
    return span_of(head, n > 0 ? (size_t)n : 0);
}

bool loop_is_there(struct span head, struct span address)
{
    struct header_scan scan;
    struct header h;
    enum header_event event;
    struct buf external = BUF_INIT;
    bool found = false;
    address_put_external(&external, address);
    header_scan_init(&scan, head, HEADER_SIZE_LIMIT);
    while (!found && (event = header_next(&scan, &h)) != HEADER_BODY)
        found = event == HEADER_FIELD && h.id == HEADER_DELIVERED_TO &&
                span_eq_nocase(span_trim(h.value), buf_span(&external));
    buf_fini(&external);
    return found;
}
