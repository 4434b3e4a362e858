/* Log segments. The first octet chooses: 0: the rest is a whole segment file; else: the rest is what
 * stands behind a good header. */
#include "lib/queue/segment.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct walk {
    uint64_t until; /* what was reported so far ends here */
};

static bool found(uint64_t offset, uint64_t length, const struct stored *s, struct span record, void *context)
{
    struct walk *walk = context;
    if (offset < walk->until || length == 0 || offset + length > SEGMENT_SIZE_MIN ||
        (s && (record.n != length || s->length != length || s->text_offset + s->text_size > length)))
        abort();
    walk->until = offset + length;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct segment_header h = {.slot = 0, .number = 1, .size = SEGMENT_SIZE_MIN, .bond = {.generation = 1}};
    struct walk walk = {SEGMENT_DATA};
    struct buf why = BUF_INIT;
    if (size == 0 || size > SEGMENT_SIZE_MIN - SEGMENT_DATA)
        return 0;
    int fd = memfd_create("segment", MFD_CLOEXEC);
    off_t at = data[0] ? SEGMENT_DATA : 0;
    if (fd < 0 || ftruncate(fd, SEGMENT_SIZE_MIN) != 0 || pwrite(fd, data + 1, size - 1, at) < 0)
        abort();
    if (data[0] == 0 && !segment_get_header(fd, 0, 1, &h, &why))
        h.size = 0;
    if (h.size > SEGMENT_DATA && h.size <= SEGMENT_SIZE_MIN)
        (void)segment_scan(fd, &h, found, &walk, &why);
    buf_fini(&why);
    close(fd);
    return 0;
}
