/* err.c: see err.h. Texts are cut at the end, never refused: a long path must not hide the error.
 */
#define PENSTOCK_BASE_ERR_C
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int exit_status;
} codes[ERR_CODE_COUNT] = {
    [ERR_NONE] = {"none", 0},
    [ERR_INVALID] = {"invalid", 2},
    [ERR_UNAUTHORIZED] = {"unauthorized", 1},
    [ERR_FORBIDDEN] = {"forbidden", 1},
    [ERR_NOT_FOUND] = {"not-found", 1},
    [ERR_CONFLICT] = {"conflict", 1},
    [ERR_LIMIT] = {"limit", 1},
    [ERR_BUSY] = {"busy", 75},
    [ERR_NO_SPACE] = {"no-space", 75},
    [ERR_GONE] = {"output-gone", 75},
    [ERR_IO] = {"io", 1},
    [ERR_STORE] = {"store", 1},
    [ERR_FATAL] = {"fatal", 75},
    [ERR_INTERNAL] = {"internal", 1},
    [ERR_INTERRUPTED] = {"interrupted", 130},
    [ERR_TERMINATED] = {"terminated", 143},
    [ERR_NOT_STARTED] = {"not-started", 3},
    [ERR_BROKEN] = {"broken", 70},
};

/* One line only, whatever file names hold. */
static void keep_one_line(char *text)
{
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20)
            *c = ' ';
}

bool err_set(struct err *err, enum err_code code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    err->code = code;
    keep_one_line(err->text);
    return false;
}

bool err_errno(struct err *err, int number, const char *format, ...)
{
    char what[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    enum err_code code = ERR_IO;
    /* EFBIG: of the room that a file may take nothing is left. */
    if (number == ENOSPC || number == EDQUOT || number == EFBIG)
        code = ERR_NO_SPACE;
    else if (number == ENOENT)
        code = ERR_NOT_FOUND;
    return err_set(err, code, "%.380s: %s", what, strerror(number));
}

bool err_add(struct err *err, const char *format, ...)
{
    char joined[sizeof err->text];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(joined, sizeof joined, format, args);
    va_end(args);
    size_t used = len < 0 ? 0 : (size_t)len;
    if (used < sizeof joined - 3) {
        memcpy(joined + used, ": ", 2);
        used += 2;
        size_t left = strnlen(err->text, sizeof joined - used - 1);
        memcpy(joined + used, err->text, left);
        joined[used + left] = '\0';
    }
    memcpy(err->text, joined, sizeof joined);
    keep_one_line(err->text);
    return false;
}

const char *err_name(enum err_code code)
{
    return code < ERR_CODE_COUNT ? codes[code].name : "internal";
}

int err_exit_status(enum err_code code)
{
    return code < ERR_CODE_COUNT ? codes[code].exit_status : 1;
}
