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
#include <sys/stat.h>
#include <unistd.h>

/* So much of an input is looked at to say how long its lines are. */
enum { SAMPLE_BYTES = 1 << 20 };

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

/* Lines in the first bytes, scaled up to the size; what is compressed cannot be told so. */
static bool estimate(const char *path, struct estimate *e, struct err *err)
{
    struct stat st;
    size_t got = 0;
    OWNED_MEM char *bytes = xcalloc(1, SAMPLE_BYTES);
    OWNED_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) != 0)
        return err_set(err, ERR_INVALID, "input %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || compression_of_path(path) != COMPRESS_NONE) {
        e->known = false;
        return true;
    }
    if (!file_read_at(fd, 0, bytes, SAMPLE_BYTES, &got, path, err))
        return err_add(err, "input");
    double lines = 0;
    for (const char *at = bytes; (at = memchr(at, '\n', (size_t)(bytes + got - at))); at++)
        lines++;
    if (got > 0 && bytes[got - 1] != '\n')
        lines++;
    if ((int64_t)got < st.st_size) {
        lines *= (double)st.st_size / (double)got;
        e->exact = false;
    }
    e->records += lines;
    return true;
}

static bool look_at_inputs(const struct run_settings *s, struct estimate *e, struct err *err)
{
    for (size_t i = 0; i < s->input_count; i++) {
        OWNED_MEM char *path = NULL;
        if (!run_path_of_input(s->inputs[i], &path, err))
            return false;
        if (strcmp(path, "-") == 0)
            e->known = false;
        else if (!estimate(path, e, err))
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

static void show_records(const struct run_settings *s, const struct estimate *e)
{
    char count[COUNT_TEXT_SIZE], span[SPAN_TEXT_SIZE];
    double todo = e->records;
    if (!e->known && !s->limit && !s->sample) {
        line("records", "not known before it is read");
        return;
    }
    int64_t most = s->limit ? s->limit : s->sample;
    if (most > 0 && (!e->known || (double)most < todo))
        todo = (double)most;
    count_text((int64_t)(todo + 0.5), count);
    line("records", "%s%s, without those that are done", e->exact || most ? "" : "about ", count);
    if (s->rpm > 0) {
        span_text(todo / s->rpm * 60, span);
        line("time", "at least %s, at %.6g starts a minute", span, s->rpm);
    }
}

bool run_dry(const struct run_settings *s, const char *errors, struct err *err)
{
    struct estimate e = {.known = true, .exact = true};
    if (!look_at_inputs(s, &e, err) || !look_at_way(s->output, err) || !look_at_way(errors, err) ||
        (s->log && !look_at_way(s->log, err)))
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
    show_records(s, &e);
    return true;
}
