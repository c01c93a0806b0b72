/* source_tell.h: what a source gives out, as text that tests compare. Included by the tests. */
#ifndef PENSTOCK_TESTS_SOURCE_TELL_H
#define PENSTOCK_TESTS_SOURCE_TELL_H

#include "io_temp.h"

#include "io/source.h"

/* One next call: "0:{...} ", "2! " (bad), "3?" (tail), "." (end), "#" (failed). */
static inline void tell_next(struct temp *t, struct source *s, struct buf *out)
{
    struct source_record r;
    switch (source_next(s, &r, &t->err)) {
    case SOURCE_RECORD:
        buf_add_format(out, "%lld:%.*s ", (long long)r.number, (int)r.json.len, r.json.ptr);
        break;
    case SOURCE_BAD:
        assert_true(*r.reason);
        buf_add_format(out, "%lld! ", (long long)r.number);
        break;
    case SOURCE_TAIL:
        assert_true(*r.reason);
        buf_add_format(out, "%lld?", (long long)r.number);
        break;
    case SOURCE_END:
        buf_add_char(out, '.');
        break;
    case SOURCE_PAUSE:
        fail_msg("a pause that nobody asked for");
        break;
    case SOURCE_FAILED:
        buf_add_char(out, '#');
        break;
    }
}

/* Everything up to the end; a string to be freed. */
static inline char *tell_all(struct temp *t, struct source *s)
{
    struct buf out;
    buf_init(&out, BUF_NO_CAP);
    do
        tell_next(t, s, &out);
    while (!strchr(".?#", out.data[out.len - 1]));
    return buf_take(&out);
}

static inline void assert_reads_on(struct temp *t, struct source *s, const char *expected)
{
    OWNED_MEM char *got = tell_all(t, s);
    assert_string_equal(got, expected);
}

/* The input "in" of the test's folder; NULL and t->err when it cannot be opened. */
static inline struct source *try_in(struct temp *t, enum data_format format)
{
    struct source *s = NULL;
    t->spec.source_format = format;
    free(t->spec.source_path);
    t->spec.source_path = xstrdup("in");
    return source_open(&t->spec, t->folders, &s, &t->err) ? s : NULL;
}

static inline struct source *must_open_in(struct temp *t, enum data_format format)
{
    struct source *s = try_in(t, format);
    if (!s)
        fail_msg("%s", t->err.text);
    return s;
}

/* Reads the whole text, and its end twice. */
static inline void assert_format_reads(struct temp *t, enum data_format format, const char *text,
                                       const char *expected)
{
    temp_write(t, "in", text);
    OWNED(source) struct source *s = must_open_in(t, format);
    const char *last = strrchr(expected, ' ');
    assert_reads_on(t, s, expected);
    assert_reads_on(t, s, last ? last + 1 : expected);
}

#endif
