/* program_words.c: see program_words.h. */
#include "io/program_words.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool program_words_open(struct program_words *w, int *theirs, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return err_errno(err, errno, "pipe");
    OWNED_FD int ours = ends[0], other = ends[1];
    if (fcntl(ours, F_SETFL, O_NONBLOCK))
        return err_errno(err, errno, "pipe");
    *w = (struct program_words){.fd = TAKE_FD(ours)};
    *theirs = TAKE_FD(other);
    return true;
}

/* Nobody can be told when standard error takes nothing. */
static void pass_on(const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = write(STDERR_FILENO, bytes, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

/* Keeps the line as plain text that ends with a whole character. */
static void keep(struct program_words *w, struct str line)
{
    line = str_trim(line);
    if (line.len == 0)
        return;
    size_t len = line.len < sizeof w->last ? line.len : sizeof w->last - 1;
    while (len < line.len && len && ((unsigned char)line.ptr[len] & 0xc0) == 0x80)
        len--;
    bool text = str_is_utf8((struct str){line.ptr, len});
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line.ptr[i];
        w->last[i] = c < ' ' || c == 0x7f || (c > 0x7f && !text) ? '?' : line.ptr[i];
    }
    w->last[len] = '\0';
}

/* All whole lines that are held, or all there is. */
static void take_lines(struct program_words *w, bool rest)
{
    size_t at = 0;
    for (const char *end = NULL; (end = memchr(w->held + at, '\n', w->len - at));) {
        keep(w, (struct str){w->held + at, (size_t)(end - w->held) - at});
        at = (size_t)(end - w->held) + 1;
    }
    if ((rest || w->len == sizeof w->held) && at < w->len) {
        keep(w, (struct str){w->held + at, w->len - at});
        at = w->len;
    }
    pass_on(w->held, at);
    w->len -= at;
    memmove(w->held, w->held + at, w->len);
}

void program_words_take(struct program_words *w)
{
    while (w->fd >= 0) {
        ssize_t n = read(w->fd, w->held + w->len, sizeof w->held - w->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            program_words_close(w);
            return;
        }
        w->len += (size_t)n;
        take_lines(w, false);
    }
}

void program_words_close(struct program_words *w)
{
    take_lines(w, true);
    fd_drop(&w->fd);
    w->fd = -1;
}
