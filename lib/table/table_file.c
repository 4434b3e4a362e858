/* The pseudo-table "file:" (a list's text, whole) and the opener by path. */
#include "lib/base/check.h"
#include "lib/table/table_type.h"

#include <fcntl.h>
#include <stdlib.h>

static void *file_load(struct table_source *src, struct buf *why)
{
    struct buf *text = malloc(sizeof *text);
    CHECK(text != NULL);
    if (table_read_file(src, TABLE_RULE_BYTES, text, why)) {
        buf_puts(text, ""); /* an empty file is a text, too */
        return text;
    }
    free(text);
    return NULL;
}

static void file_unload(void *data)
{
    buf_fini(data);
    free(data);
}

const struct table_type table_type_file = {
    .name = "file",
    .suffix = "",
    .is_fixed = true,
    .key_bytes = TABLE_KEY_BYTES,
    .load = file_load,
    .unload = file_unload,
};

static int open_path(const char *path, void *context)
{
    (void)context;
    return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
}

static int stat_path(const char *path, struct stat *st, void *context)
{
    (void)context;
    return stat(path, st);
}

const struct table_files table_files_by_path = {.open = open_path, .stat = stat_path};
