/* A source that pauses gives the same records as one that does not, and pauses before it has read
 * much more than it was allowed. */
#include "source_tell.h"

#include <zlib.h>
#include <zstd.h>

enum { RECORDS = 20000, LONG_LINE = SOURCE_LINE_MAX + (6 << 20) };

static void store(struct temp *t, enum compression kind, const char *text, size_t len)
{
    size_t cap = ZSTD_compressBound(len) + len;
    OWNED_MEM char *out = xcalloc(1, cap);
    if (kind == COMPRESS_NONE) {
        temp_put(t, "in", O_TRUNC, text, len);
    } else if (kind == COMPRESS_ZSTD) {
        size_t size = ZSTD_compress(out, cap, text, len, 1);
        assert_false(ZSTD_isError(size));
        temp_put(t, "in", O_TRUNC, out, size);
    } else {
        gzFile file = gzopen(temp_path(t, "in"), "wb1");
        assert_int_equal(gzwrite(file, text, (unsigned)len), (int)len);
        assert_int_equal(gzclose(file), Z_OK);
    }
}

static char *many_rows(enum data_format format)
{
    struct buf text;
    buf_init(&text, BUF_NO_CAP);
    buf_add_text(&text, format == FORMAT_CSV ? "n,text\n" : "");
    for (int i = 0; i < RECORDS; i++)
        buf_add_format(&text, format == FORMAT_CSV ? "%d,%0*d\n" : "{\"n\":%d,\"text\":\"%0*d\"}\n",
                       i, 10 + i % 90, i);
    return buf_take(&text);
}

/* All records with a pause wherever one is possible; how often it paused. */
static int read_paused(struct temp *t, struct source *s, struct buf *out)
{
    int pauses = 0;
    for (bool paused = false;;) {
        struct source_record r;
        source_allow(s, paused ? 1 : 0);
        enum source_got got = source_next(s, &r, &t->err);
        paused = got == SOURCE_PAUSE;
        assert_int_equal(source_paused(s), paused);
        pauses += paused;
        if (paused)
            continue;
        if (got == SOURCE_FAILED)
            fail_msg("%s", t->err.text);
        if (got != SOURCE_RECORD)
            return pauses;
        buf_add_format(out, "%lld:%.*s ", (long long)r.number, (int)r.json.len, r.json.ptr);
    }
}

static void for_each_kind(struct temp *t, void (*check)(struct temp *t, enum data_format format,
                                                        enum compression kind))
{
    static const enum data_format formats[] = {FORMAT_JSONL, FORMAT_CSV};
    static const enum compression kinds[] = {COMPRESS_NONE, COMPRESS_GZIP, COMPRESS_ZSTD};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
            OWNED_MEM char *text = many_rows(formats[i]);
            store(t, kinds[k], text, strlen(text));
            check(t, formats[i], kinds[k]);
        }
}

static void check_same_records(struct temp *t, enum data_format format, enum compression kind)
{
    (void)kind;
    OWNED(source) struct source *s = must_open_in(t, format);
    OWNED(source) struct source *paused = must_open_in(t, format);
    OWNED_MEM char *whole = tell_all(t, s);
    OWNED_BUF struct buf got;
    buf_init(&got, BUF_NO_CAP);
    assert_true(read_paused(t, paused, &got) >= 4);
    assert_int_equal(got.len, strlen(whole) - 1); /* all but the end */
    assert_memory_equal(got.data, whole, got.len);
}

static void pauses_change_no_record(void **state)
{
    for_each_kind(*state, check_same_records);
}

static void check_ways(struct temp *t, enum data_format format, enum compression kind)
{
    struct source_record r;
    struct place place = {0};
    OWNED(source) struct source *walk = must_open_in(t, format);
    OWNED(source) struct source *s = must_open_in(t, format);
    for (int i = 0; i < RECORDS - 5; i++) {
        if (i == RECORDS - 2000)
            place = source_place(walk);
        assert_int_equal(source_next(walk, &r, &t->err), SOURCE_RECORD);
    }
    int pauses = 0;
    do {
        source_allow(s, 1);
        assert_true(source_seek(s, place, &t->err));
        pauses += source_paused(s);
    } while (source_paused(s));
    assert_int_equal(pauses > 0, kind != COMPRESS_NONE); /* a plain file is not read on the way */
    source_allow(s, 1);
    assert_true(source_seek(s, (struct place){0, 0, 1}, &t->err));
    assert_false(source_paused(s));
    do {
        source_allow(s, 1);
        assert_true(source_skip_to(s, RECORDS - 5, &t->err));
        pauses += source_paused(s);
    } while (source_paused(s));
    assert_true(pauses > 1);
    source_allow_more(s, 1 << 20);
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_RECORD);
    assert_int_equal(r.number, RECORDS - 5);
}

static void long_ways_pause_and_go_on(void **state)
{
    for_each_kind(*state, check_ways);
}

/* How often a reading pauses that is allowed 2 MiB at a time; what it came to. */
static int pauses_before(struct temp *t, struct source *s, enum source_got *got,
                         struct source_record *r)
{
    for (int pauses = 0;; pauses++) {
        source_allow(s, 2 << 20);
        *got = source_next(s, r, &t->err);
        if (*got != SOURCE_PAUSE)
            return pauses;
    }
}

static void a_line_that_is_too_long_is_passed_in_slices(void **state)
{
    static const enum data_format formats[] = {FORMAT_JSONL, FORMAT_CSV};
    static const enum compression kinds[] = {COMPRESS_NONE, COMPRESS_GZIP, COMPRESS_ZSTD};
    struct temp *t = *state;
    OWNED_MEM char *text = xcalloc(1, LONG_LINE + 64);
    size_t begin = (size_t)sprintf(text, "[0]\n");
    memset(text + begin, 'x', LONG_LINE);
    size_t len = begin + LONG_LINE + (size_t)sprintf(text + begin + LONG_LINE, "\n[1]\n");
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < 3; k++) {
            store(t, kinds[k], text, len);
            OWNED(source) struct source *s = must_open_in(t, formats[i]);
            struct source_record r;
            enum source_got got;
            if (formats[i] == FORMAT_JSONL)
                assert_int_equal(source_next(s, &r, &t->err), SOURCE_RECORD);
            assert_in_range(pauses_before(t, s, &got, &r), 30, 40);
            assert_int_equal(got, SOURCE_BAD);
            assert_string_equal(r.reason, "longer than 64 MiB");
            pauses_before(t, s, &got, &r);
            assert_int_equal(got, SOURCE_RECORD);
        }
}

/* They give nothing to read, so that nothing else would ever end the reading of them. */
static void empty_frames_pause_too(void **state)
{
    static const unsigned char empty[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3,
                                          3,    0,    0, 0, 0, 0, 0, 0, 0, 0};
    enum { FRAMES = 50000 };
    struct temp *t = *state;
    OWNED_MEM char *all = xcalloc(FRAMES, sizeof empty);
    for (size_t i = 0; i < FRAMES; i++)
        memcpy(all + i * sizeof empty, empty, sizeof empty);
    temp_put(t, "in", O_TRUNC, all, FRAMES * sizeof empty);
    OWNED(source) struct source *s = must_open_in(t, FORMAT_JSONL);
    OWNED_BUF struct buf got;
    buf_init(&got, BUF_NO_CAP);
    assert_true(read_paused(t, s, &got) >= 3);
    assert_int_equal(got.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(pauses_change_no_record),
        UNIT(long_ways_pause_and_go_on),
        UNIT(a_line_that_is_too_long_is_passed_in_slices),
        UNIT(empty_frames_pause_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
