/* node_log.c: see node_log.h. */
#include "run/node_log.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TAIL_BYTES = 8 << 10, BANNER_BYTES = 4096 };
#define BANNER_START "==== "

bool node_log_make_folders(const char *path, struct err *err)
{
    OWNED_MEM char *folder = xstrdup(path);
    for (char *slash = folder + 1; *folder && (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = '\0';
        if (mkdir(folder, 0777) != 0 && errno != EEXIST)
            return err_errno(err, errno, "make the folder %s", folder);
    }
    return true;
}

bool node_log_open(const char *path, int *fd, int64_t *length_bytes, struct err *err)
{
    const int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY;
    OWNED_FD int file = open(path, flags, 0666);
    if (file < 0 && errno == ENOENT) {
        if (!node_log_make_folders(path, err))
            return false;
        file = open(path, flags, 0666);
    }
    struct stat status;
    if (file < 0 || fstat(file, &status) != 0)
        return err_errno(err, errno, "open the log %s", path);
    *length_bytes = status.st_size;
    *fd = TAKE_FD(file);
    return true;
}

static void begin_line(struct buf *line, const struct node_banner *b)
{
    char at[32];
    struct tm parts;
    time_t seconds = (time_t)(b->at_us / 1000000);
    localtime_r(&seconds, &parts);
    strftime(at, sizeof at, "%Y-%m-%d %H:%M:%S", &parts);
    buf_init(line, BANNER_BYTES);
    buf_add_format(line, BANNER_START "%s node %" PRId32 " \"%.512s\": ", at, b->node, b->name);
    if (b->max_attempts > 1)
        buf_add_format(line, "attempt %" PRId64 " of %" PRId64 " ", b->attempt, b->max_attempts);
}

static void write_line(int fd, struct buf *line)
{
    buf_add_text(line, " ====\n");
    (void)!write(fd, line->data, line->len);
    buf_release(line);
}

void node_log_begin(int fd, const struct node_banner *b)
{
    struct buf line;
    begin_line(&line, b);
    buf_add_text(&line, "starts");
    if (b->wait_s > 0)
        buf_add_format(&line, " after a wait of %g s", b->wait_s);
    write_line(fd, &line);
}

void node_log_end(const char *path, const struct node_banner *b, const char *end, double elapsed_s)
{
    struct buf line;
    OWNED_FD int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return;
    begin_line(&line, b);
    buf_add_format(&line, "%s after %.3f s", end, elapsed_s);
    write_line(fd, &line);
}

/* Where the last `lines` lines of the text begin that are no banners; those are left out by who
 * prints them. */
static const char *last_lines(struct str text, int lines)
{
    const char *at = text.ptr + text.len;
    if (text.len && at[-1] == '\n')
        at--;
    for (const char *line = NULL; at > text.ptr && lines > 0; at = line ? line - 1 : text.ptr) {
        line = memrchr(text.ptr, '\n', (size_t)(at - text.ptr));
        const char *start = line ? line + 1 : text.ptr;
        if (strncmp(start, BANNER_START, sizeof BANNER_START - 1) != 0)
            lines--;
        if (lines == 0 || !line)
            return start;
        line++;
    }
    return text.ptr;
}

/* A line as a terminal and JSON bear it. */
static void add_shown(struct buf *out, struct str line)
{
    while (line.len) {
        size_t len = str_utf8_length(line);
        bool control = len == 1 && (((unsigned char)*line.ptr < 0x20 && *line.ptr != '\t') ||
                                    *line.ptr == 0x7f);
        if (len && !control)
            buf_add(out, line.ptr, len);
        else
            buf_add_char(out, '?');
        line = (struct str){line.ptr + (len ? len : 1), line.len - (len ? len : 1)};
    }
}

void node_log_tail(const char *path, int64_t from_bytes, int lines, struct buf *out)
{
    char text[TAIL_BYTES + 1];
    struct err ignored;
    struct stat status;
    size_t got = 0;
    OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || lines < 1)
        return;
    int64_t from =
        status.st_size - TAIL_BYTES > from_bytes ? status.st_size - TAIL_BYTES : from_bytes;
    if (from < 0 || from >= status.st_size ||
        !file_read_at(fd, from, text, TAIL_BYTES, &got, path, &ignored) || got == 0)
        return;
    text[got] = '\0';
    const char *at = last_lines((struct str){text, got}, lines), *end = text + got;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        const char *next = line_end ? line_end + 1 : end;
        if (strncmp(at, BANNER_START, sizeof BANNER_START - 1) != 0) {
            add_shown(out, (struct str){at, (size_t)((line_end ? line_end : end) - at)});
            buf_add_char(out, '\n');
        }
        at = next;
    }
}
