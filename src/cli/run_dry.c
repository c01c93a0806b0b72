/* run_dry.c: see run_dry.h. */
#include "cli/run_dry.h"

#include "base/file.h"
#include "base/terminal.h"
#include "cli/run_place.h"
#include "core/job.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* So much of a file is looked at; what is longer is told by the length of its lines there. */
enum { PIECE_BYTES = 1 << 20 };
#define LOOK_MOST_BYTES (INT64_C(256) << 20)

struct estimate {
    double records;
    bool known, exact;
};

static void line(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("  %-12s", name);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

/* The lines within the first `most` bytes; *got is how many bytes there were. */
static bool count_lines(int fd, const char *path, int64_t most, int64_t *got, double *lines,
                        struct err *err)
{
    OWNED_MEM char *bytes = xcalloc(1, PIECE_BYTES);
    bool open_line = false;
    size_t piece = PIECE_BYTES;
    for (*got = 0; *got < most && piece == PIECE_BYTES; *got += (int64_t)piece) {
        if (!file_read_at(fd, *got, bytes, PIECE_BYTES, &piece, path, err))
            return false;
        for (const char *at = bytes; (at = memchr(at, '\n', (size_t)(bytes + piece - at))); at++)
            ++*lines;
        open_line = piece > 0 ? bytes[piece - 1] != '\n' : open_line;
    }
    *lines += open_line;
    return true;
}

/* Adds the records of a file; of what is compressed they cannot be told. */
static bool estimate(const char *path, const char *what, struct estimate *e, struct err *err)
{
    struct stat st;
    int64_t got = 0;
    double lines = 0;
    OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        return err_set(err, ERR_INVALID, "%s %s: %s", what, path, strerror(errno));
    if (!S_ISREG(st.st_mode) || compression_of_path(path) != COMPRESS_NONE) {
        e->known = false;
        return true;
    }
    if (!count_lines(fd, path, LOOK_MOST_BYTES, &got, &lines, err))
        return err_add(err, "%s", what);
    if (got > 0 && got < st.st_size) {
        lines *= (double)st.st_size / (double)got;
        e->exact = false;
    }
    if (data_format_of_path(path) == FORMAT_CSV) {
        e->exact = false; /* a record may have several lines */
        lines -= lines > 0;
    }
    e->records += lines;
    return true;
}

/* How many results an output, or failures an error file, has. */
static bool look_at_results(const char *path, const char *what, struct estimate *e, struct err *err)
{
    *e = (struct estimate){.known = true, .exact = true};
    return strcmp(path, "-") == 0 || access(path, F_OK) != 0 || estimate(path, what, e, err);
}

static bool look_at_inputs(const struct run_settings *s, struct estimate *e, struct err *err)
{
    for (size_t i = 0; i < s->input_count; i++) {
        OWNED_MEM char *path = NULL;
        if (!run_path_of_input(s->inputs[i], &path, err))
            return false;
        if (strcmp(path, "-") == 0)
            e->known = false;
        else if (!estimate(path, "input", e, err))
            return false;
    }
    return true;
}

/* The nearest folder on the way to a file that is there must let us write. */
static bool look_at_way(const char *path, struct err *err)
{
    OWNED_MEM char *folder = xstrdup(path);
    if (strcmp(path, "-") == 0)
        return true;
    if (access(path, F_OK) == 0)
        return access(path, W_OK) == 0 ||
               err_set(err, ERR_INVALID, "%s cannot be written: %s", path, strerror(errno));
    for (;;) {
        char *slash = strrchr(folder, '/');
        if (slash == folder)
            slash[1] = '\0';
        else if (slash)
            *slash = '\0';
        else
            snprintf(folder, strlen(folder) + 1, ".");
        if (access(folder, F_OK) == 0)
            return access(folder, W_OK | X_OK) == 0 ||
                   err_set(err, ERR_INVALID, "%s cannot be written: %s", path, strerror(errno));
    }
}

static void show_count(const char *name, const struct estimate *e, const char *behind)
{
    char count[COUNT_TEXT_SIZE];
    count_text((int64_t)(e->records + 0.5), count);
    line(name, "%s%s%s", e->exact ? "" : "about ", count, behind);
}

/* What is left of the records: those that the output has no line of; or those that have failed. */
static void show_records(const struct run_settings *s, const struct estimate *in,
                         const struct estimate *done, const struct estimate *failed)
{
    char span[SPAN_TEXT_SIZE];
    struct estimate todo = s->only_failed ? *failed : *in;
    int64_t most = s->limit ? s->limit : s->sample;
    if (in->known)
        show_count("records", in, "");
    else
        line("records", "not known before it is read");
    if (done->known && done->records > 0)
        show_count("done", done, ", by the lines of the output");
    if (!s->only_failed) {
        todo.known = todo.known && done->known;
        todo.exact = todo.exact && done->exact;
        todo.records = todo.records > done->records ? todo.records - done->records : 0;
    }
    if (most > 0 && (!todo.known || (double)most < todo.records))
        todo = (struct estimate){(double)most, true, true};
    if (!todo.known)
        return;
    show_count("to do", &todo, "");
    if (s->rpm > 0) {
        span_text(todo.records / s->rpm * 60, span);
        line("time", "at least %s, at %.6g starts a minute", span, s->rpm);
    }
}

bool run_dry(const struct run_settings *s, const char *errors, struct err *err)
{
    struct estimate in = {.known = true, .exact = true}, done, failed;
    if (!look_at_inputs(s, &in, err) || !look_at_results(s->output, "output", &done, err) ||
        !look_at_results(errors, "errors", &failed, err) || !look_at_way(s->output, err) ||
        !look_at_way(errors, err) || (s->log && !look_at_way(s->log, err)))
        return false;
    printf("dry run: nothing was changed\n");
    line("function", "%s", s->target ? s->target : s->exec);
    for (size_t i = 0; i < s->input_count; i++)
        line(i ? "" : "input", "%s", s->inputs[i]);
    line("output", "%s%s", s->output,
         access(s->output, F_OK) == 0 ? " (is there: results are appended)" : "");
    line("errors", "%s", errors);
    if (s->log)
        line("log", "%s", s->log);
    line("id", "%s", s->id_key ? s->id_key : "the place in the input");
    OWNED_MEM char *at_once =
        s->concurrency ? xasprintf("%lld", (long long)s->concurrency) : xstrdup("no limit");
    line("concurrency", "%s in %lld process%s", at_once, (long long)s->processes,
         s->processes == 1 ? "" : "es");
    if (s->retries > 0)
        line("retries", "%lld, the first after %g s", (long long)s->retries,
             (double)s->retry_delay_us / 1e6);
    show_records(s, &in, &done, &failed);
    return true;
}
