#include "cli/sendmail/sendmail.h"

#include <stdio.h>

int fatal(int status, const char *format, ...)
{
    struct buf line = BUF_INIT;
    va_list args;
    buf_puts(&line, "sendmail: fatal: ");
    va_start(args, format);
    buf_vprintf(&line, format, args);
    va_end(args);
    buf_putc(&line, '\n');
    fwrite(line.data, 1, line.len, stderr);
    buf_fini(&line);
    return status;
}
