/* sink_temp.h: what the tests of sinks have in common. */
#ifndef PENSTOCK_TESTS_SINK_TEMP_H
#define PENSTOCK_TESTS_SINK_TEMP_H

#include "io_temp.h"

#include "io/sink.h"

static inline struct sink *open_with_tail(struct temp *t, const char *path, int64_t committed,
                                          const char *columns, const char *tail)
{
    size_t len = strlen(path);
    struct sink *s = NULL;
    struct sink_start start = {
        .committed_bytes = committed, .columns = columns, .tail = str_of(tail)};
    t->spec.sink_format = len > 4 && strstr(path, ".csv") ? FORMAT_CSV : FORMAT_JSONL;
    free(t->spec.sink_path);
    t->spec.sink_path = xstrdup(path);
    if (!sink_open(&t->spec, t->folders, &start, &s, &t->err))
        return NULL;
    return s;
}

static inline struct sink *open_at(struct temp *t, const char *path, int64_t committed,
                                   const char *columns)
{
    return open_with_tail(t, path, committed, columns, "");
}

static inline struct sink *open_new(struct temp *t, const char *path)
{
    struct sink *s = open_at(t, path, -1, NULL);
    if (!s)
        fail_msg("%s", t->err.text);
    return s;
}

static inline void add(struct temp *t, struct sink *s, const char *line)
{
    if (!sink_add(s, str_of(line), &t->err))
        fail_msg("%s", t->err.text);
}

static inline void flush(struct temp *t, struct sink *s)
{
    if (!sink_flush(s, &t->err))
        fail_msg("%s", t->err.text);
}

/* Writes what was added; it rides. */
static inline void ride(struct temp *t, struct sink *s)
{
    if (!sink_ride(s, &t->err))
        fail_msg("%s", t->err.text);
}

static inline void commit(struct temp *t, struct sink *s)
{
    flush(t, s);
    sink_commit(s);
}

#endif
