/* log.c: see log.h. */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct log_line {
    struct buf text;
};

enum { VALUE_MAX = 1024 };

static atomic_int level_now = LOG_INFO;
static atomic_int fd_now = STDERR_FILENO;

void log_set_level(enum log_level level)
{
    atomic_store(&level_now, (int)level);
}

void log_set_fd(int fd)
{
    atomic_store(&fd_now, fd);
}

struct log_line *log_begin(enum log_level level, const char *event)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    if ((int)level > atomic_load(&level_now))
        return NULL;
    struct log_line *line = xcalloc(1, sizeof *line);
    char at[CLOCK_TEXT_SIZE];
    clock_text(clock_now().wall_us, at);
    buf_init(&line->text, 16384);
    buf_add_format(&line->text, "%s %s %s", at, names[level], event);
    return line;
}

static bool is_plain(const char *value)
{
    if (!*value)
        return false;
    for (const char *c = value; *c; c++)
        if ((unsigned char)*c <= ' ' || *c == '"' || *c == '\\' || *c == '=' || *c == 0x7f)
            return false;
    return true;
}

static void add_quoted(struct buf *out, const char *value)
{
    buf_add_char(out, '"');
    for (const char *c = value; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            buf_add_format(out, "\\x%02x", (unsigned char)*c);
        else {
            if (*c == '"' || *c == '\\')
                buf_add_char(out, '\\');
            buf_add_char(out, *c);
        }
    }
    buf_add_char(out, '"');
}

void log_value(struct log_line *line, const char *key, const char *format, ...)
{
    if (!line)
        return;
    char value[VALUE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    buf_add_format(&line->text, " %s=", key);
    if (is_plain(value))
        buf_add_text(&line->text, value);
    else
        add_quoted(&line->text, value);
}

void log_end(struct log_line *line)
{
    if (!line)
        return;
    buf_add_char(&line->text, '\n');
    /* A log that cannot be written must not stop the service. */
    if (write(atomic_load(&fd_now), line->text.data, line->text.len) < 0)
        line->text.len = 0;
    buf_release(&line->text);
    free(line);
}
