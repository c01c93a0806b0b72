/* JSONL input: every physical line has its number, whatever it holds and wherever reading begins.
 */
#include "source_tell.h"

#include <zlib.h>
#include <zstd.h>

static struct source *open_in(struct temp *t)
{
    return must_open_in(t, FORMAT_JSONL);
}

static struct source *source_over(struct temp *t, const char *text)
{
    temp_write(t, "in", text);
    return open_in(t);
}

static void assert_reads(struct temp *t, const char *text, const char *expected)
{
    assert_format_reads(t, FORMAT_JSONL, text, expected);
}

static void bad_and_empty_lines_use_up_their_number(void **state)
{
    assert_reads(*state, "{\"a\":1}\n{bad\n\n [2] \n", "0:{\"a\":1} 1! 2! 3:[2] .");
    assert_reads(*state, "", ".");
    assert_reads(*state, "\n \t\n", "0! 1! .");
    assert_reads(*state, "1 2\n\"x\"\nnull\n", "0! 1:\"x\" 2:null .");
    assert_reads(*state, "NaN\n1e999\n007\n", "0! 1:1e999 2! .");
}

static void lines_end_with_lf_crlf_or_cr(void **state)
{
    assert_reads(*state, "1\r\n2\r3\n4\r\n", "0:1 1:2 2:3 3:4 .");
    assert_reads(*state, "1\r\r\n\n2\r", "0:1 1! 2! 3:2 .");
    assert_reads(*state, "\"\xe2\x80\xa8\"\n2\n", "0:\"\xe2\x80\xa8\" 1:2 .");
}

static void the_last_line_needs_no_end(void **state)
{
    assert_reads(*state, "1\n2", "0:1 1:2 .");
    assert_reads(*state, "1\n{\"a\":", "0:1 1?");
    assert_reads(*state, "1\n  ", "0:1 .");
}

static void a_byte_order_mark_is_dropped(void **state)
{
    assert_reads(*state, "\xef\xbb\xbf{\"a\":1}\n2\n", "0:{\"a\":1} 1:2 .");
    assert_reads(*state, "\xef\xbb\xbf", ".");
    assert_reads(*state, "\xef\xbb", "0?");
    assert_reads(*state,
                 "1\n\xef\xbb\xbf"
                 "2\n",
                 "0:1 1! .");
}

static void bytes_that_are_not_utf8_spoil_one_line_only(void **state)
{
    assert_reads(*state, "\"a\xff\"\n\"\xed\xa0\x80\"\n\"ok\"\n", "0! 1! 2:\"ok\" .");
}

static void zero_bytes_and_deep_nesting_spoil_one_line_only(void **state)
{
    struct temp *t = *state;
    temp_put(t, "in", O_TRUNC, "\"a\0b\"\n\0\n1\n", 10);
    OWNED(source) struct source *s = open_in(t);
    assert_reads_on(t, s, "0! 1! 2:1 .");
    char deep[300];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    strcpy(deep + 200, "\n1\n");
    assert_reads(t, deep, "0! 1:1 .");
}

static void reasons_name_the_fault_and_its_place(void **state)
{
    struct temp *t = *state;
    OWNED(source) struct source *s = source_over(t, "\n[1,]\n");
    struct source_record r;
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_BAD);
    assert_string_equal(r.reason, "empty line");
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_BAD);
    assert_non_null(strstr(r.reason, "at byte 4"));
    assert_int_equal(r.line, 2);
}

static void appended_lines_are_read_later(void **state)
{
    struct temp *t = *state;
    OWNED(source) struct source *s = source_over(t, "1\n");
    assert_reads_on(t, s, "0:1 .");
    temp_append(t, "in", "2\n{\"a\"");
    assert_reads_on(t, s, "1:2 2?");
    temp_append(t, "in", ":3}");
    assert_reads_on(t, s, "2:{\"a\":3} .");
    temp_append(t, "in", "\n4\n");
    assert_reads_on(t, s, "3:4 .");
}

static void a_served_last_line_owns_what_is_appended_to_it(void **state)
{
    struct temp *t = *state;
    OWNED(source) struct source *s = source_over(t, "1\n2");
    assert_reads_on(t, s, "0:1 1:2 .");
    struct place place = source_place(s);
    temp_append(t, "in", " {\"lost\":1}\r\n3\n");
    assert_reads_on(t, s, "2:3 .");
    assert_true(source_seek(s, place, &t->err));
    assert_reads_on(t, s, "2:3 .");
}

static void a_line_end_split_by_growth_is_one(void **state)
{
    struct temp *t = *state;
    OWNED(source) struct source *s = source_over(t, "1\r");
    assert_reads_on(t, s, "0:1 .");
    struct place place = source_place(s);
    temp_append(t, "in", "\n2\n");
    assert_reads_on(t, s, "1:2 .");
    OWNED(source) struct source *again = open_in(t);
    assert_true(source_seek(again, place, &t->err));
    assert_reads_on(t, again, "1:2 .");
}

static const char varied[] = "\xef\xbb\xbf{\"a\":1}\r\n\n[1]\r2\r\r\n{bad}\n \"x\" \n3\n\"last\"";

/* Reads on from the place of every record, in a source of its own. */
static void assert_every_place_leads_on(struct temp *t)
{
    OWNED(source) struct source *all = open_in(t);
    OWNED_MEM char *whole = tell_all(t, all);
    assert_true(source_seek(all, (struct place){0, 0, 1}, &t->err));
    struct buf got;
    buf_init(&got, BUF_NO_CAP);
    do {
        struct place place = source_place(all);
        OWNED(source) struct source *s = open_in(t);
        assert_true(source_seek(s, place, &t->err));
        struct place same = source_place(s);
        assert_memory_equal(&place, &same, sizeof place);
        OWNED_MEM char *rest = tell_all(t, s);
        assert_string_equal(rest, whole + got.len);
        tell_next(t, all, &got);
    } while (got.data[got.len - 1] != '.');
    buf_release(&got);
}

static void every_place_leads_on_to_the_same_records(void **state)
{
    struct temp *t = *state;
    temp_write(t, "in", varied);
    assert_every_place_leads_on(t);
}

static void records_are_skipped_without_losing_count(void **state)
{
    struct temp *t = *state;
    temp_write(t, "in", varied);
    OWNED(source) struct source *all = open_in(t);
    OWNED_MEM char *whole = tell_all(t, all);
    for (int64_t to = 0; to < 9; to++) {
        OWNED(source) struct source *s = open_in(t);
        assert_true(source_skip_to(s, to, &t->err));
        assert_int_equal(source_place(s).record, to);
        OWNED_MEM char *rest = tell_all(t, s);
        assert_string_equal(rest, whole + strlen(whole) - strlen(rest));
    }
    assert_true(source_skip_to(all, 1000, &t->err));
    assert_int_equal(source_place(all).record, 9);
}

static void a_tail_is_not_skipped(void **state)
{
    struct temp *t = *state;
    OWNED(source) struct source *s = source_over(t, "1\n{");
    assert_true(source_skip_to(s, 5, &t->err));
    assert_reads_on(t, s, "1?");
}

/* `count` lines of varied lengths, some longer than a read. */
static void write_many(struct temp *t, int count, char *line_end)
{
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    for (int i = 0; i < count; i++) {
        int pad = i % 500 == 499 ? 400000 : i * 37 % 400;
        buf_add_format(&text, "[%d,\"%*s\"]%s", i, pad, "", line_end);
    }
    temp_put(t, "in", O_TRUNC, text.data, text.len);
}

static void assert_many(struct temp *t, int count, int from)
{
    OWNED(source) struct source *s = open_in(t);
    if (from)
        assert_true(source_skip_to(s, from, &t->err));
    for (int i = from; i < count; i++) {
        struct source_record r;
        char begin[32];
        if (i == count / 2) {
            struct place place = source_place(s);
            assert_true(source_seek(s, (struct place){0, 0, 1}, &t->err));
            assert_true(source_seek(s, place, &t->err));
        }
        assert_int_equal(source_next(s, &r, &t->err), SOURCE_RECORD);
        assert_int_equal(r.number, i);
        int len = snprintf(begin, sizeof begin, "[%d,", i);
        assert_memory_equal(r.json.ptr, begin, (size_t)len);
    }
    assert_reads_on(t, s, ".");
}

static void lines_that_cross_reads_stay_whole(void **state)
{
    char *ends[] = {"\n", "\r\n", "\r"};
    for (size_t i = 0; i < 3; i++) {
        write_many(*state, 3000, ends[i]);
        assert_many(*state, 3000, 0);
        assert_many(*state, 3000, 1234);
    }
}

static void a_line_longer_than_the_limit_is_bad_and_not_held(void **state)
{
    struct temp *t = *state;
    size_t len = SOURCE_LINE_MAX + 1000;
    OWNED_MEM char *line = xcalloc(1, len + 3);
    memset(line, '1', len);
    memcpy(line + len, "\n2\n", 3);
    temp_write(t, "in", "0\n");
    temp_put(t, "in", O_APPEND, line, len);
    OWNED(source) struct source *s = open_in(t);
    assert_reads_on(t, s, "0:0 1?");
    assert_int_equal(source_place(s).bytes, 2);
    temp_put(t, "in", O_APPEND, line + len, 3);
    struct source_record r;
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_BAD);
    assert_string_equal(r.reason, "longer than 64 MiB");
    assert_reads_on(t, s, "2:2 .");
}

static size_t gzip_of(const char *text, size_t len, char *out, size_t cap)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)text;
    z.avail_in = (uInt)len;
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)cap;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t got = cap - z.avail_out;
    deflateEnd(&z);
    return got;
}

static size_t zstd_of(const char *text, size_t len, char *out, size_t cap)
{
    size_t got = ZSTD_compress(out, cap, text, len, 3);
    assert_false(ZSTD_isError(got));
    return got;
}

typedef size_t (*packer)(const char *text, size_t len, char *out, size_t cap);
static const packer packers[] = {gzip_of, zstd_of};

static void compressed_inputs_read_like_plain_ones(void **state)
{
    struct temp *t = *state;
    for (size_t i = 0; i < 2; i++) {
        char out[1024];
        size_t half = sizeof varied / 2;
        temp_put(t, "in", O_TRUNC, out, packers[i](varied, half, out, sizeof out));
        temp_put(t, "in", O_APPEND, out,
                 packers[i](varied + half, strlen(varied) - half, out, sizeof out));
        assert_every_place_leads_on(t);
    }
}

static void large_compressed_inputs_are_read_whole(void **state)
{
    struct temp *t = *state;
    for (size_t i = 0; i < 2; i++) {
        OWNED_BUF struct buf plain;
        buf_init(&plain, BUF_NO_CAP);
        write_many(t, 3000, "\n");
        assert_true(file_read_all(temp_path(t, "in"), SIZE_MAX, &plain, &t->err));
        OWNED_MEM char *out = xcalloc(1, plain.len);
        temp_put(t, "in", O_TRUNC, out, packers[i](plain.data, plain.len, out, plain.len));
        assert_many(t, 3000, 0);
        assert_many(t, 3000, 2222);
    }
}

static void compressed_inputs_grow_by_frames(void **state)
{
    struct temp *t = *state;
    for (size_t i = 0; i < 2; i++) {
        char out[256];
        temp_put(t, "in", O_TRUNC, out, packers[i]("1\n2", 3, out, sizeof out));
        OWNED(source) struct source *s = open_in(t);
        assert_reads_on(t, s, "0:1 1:2 .");
        temp_put(t, "in", O_APPEND, out, packers[i]("\n3\n", 3, out, sizeof out));
        assert_reads_on(t, s, "2:3 .");
        assert_reads_on(t, s, ".");
    }
}

static void a_compressed_input_that_is_cut_off_fails_after_its_last_line(void **state)
{
    struct temp *t = *state;
    for (size_t i = 0; i < 2; i++) {
        char text[4001], out[4096];
        for (size_t k = 0; k < 1000; k++)
            snprintf(text + 4 * k, 5, "%03d%c", (int)(1 + (k * 7919) % 900), k == 999 ? ' ' : '\n');
        for (size_t k = 0; k < 4000; k += 4)
            text[k] = '1';
        size_t len = packers[i](text, 4000, out, sizeof out);
        temp_put(t, "in", O_TRUNC, out, len - 3);
        OWNED(source) struct source *s = open_in(t);
        OWNED_MEM char *got = tell_all(t, s);
        assert_true(strchr(got, '#'));
        assert_error(t, ERR_INVALID, "middle of a compressed frame");
        temp_put(t, "in", O_APPEND, out + len - 3, 3);
        OWNED_MEM char *rest = tell_all(t, s);
        assert_true(strchr(rest, '.'));
        assert_int_equal(source_place(s).record, 1000);
    }
}

static void damaged_compressed_data_fails(void **state)
{
    struct temp *t = *state;
    for (size_t i = 0; i < 2; i++) {
        char out[256];
        size_t len = packers[i]("1\n2\n", 4, out, sizeof out);
        temp_put(t, "in", O_TRUNC, out, len);
        temp_append(t, "in", "junk that is no frame");
        OWNED(source) struct source *s = open_in(t);
        OWNED_MEM char *got = tell_all(t, s);
        assert_true(strchr(got, '#'));
        assert_error(t, ERR_INVALID, "damaged");
    }
}

static void lines_before_a_damage_are_given_out_and_it_is_told_each_time(void **state)
{
    struct temp *t = *state;
    char out[256];
    size_t len = gzip_of("1\n2\n", 4, out, sizeof out);
    out[len - 8] ^= 1; /* the checksum: found only after all bytes are out */
    temp_put(t, "in", O_TRUNC, out, len);
    OWNED(source) struct source *s = open_in(t);
    assert_reads_on(t, s, "0:1 1:2 #");
    assert_reads_on(t, s, "#");
    assert_true(source_seek(s, (struct place){1, 2, 2}, &t->err));
    assert_reads_on(t, s, "1:2 #");
}

static void zeros_behind_a_gzip_member_are_no_damage(void **state)
{
    struct temp *t = *state;
    char out[256] = {0};
    gzip_of("1\n", 2, out, sizeof out);
    temp_put(t, "in", O_TRUNC, out, sizeof out);
    OWNED(source) struct source *s = open_in(t);
    assert_reads_on(t, s, "0:1 .");
}

static void a_beginning_that_could_still_be_compressed_waits(void **state)
{
    struct temp *t = *state;
    char out[256];
    size_t len = zstd_of("1\n", 2, out, sizeof out);
    temp_put(t, "in", O_TRUNC, out, 3);
    OWNED(source) struct source *s = open_in(t);
    assert_reads_on(t, s, ".");
    temp_put(t, "in", O_APPEND, out + 3, len - 3);
    assert_reads_on(t, s, "0:1 .");
}

static void what_is_no_text_is_named(void **state)
{
    struct temp *t = *state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *said;
    } inputs[] = {
        {"\xff\xfe{\0}\0", 6, "UTF-16"},
        {"\xfe\xff\0{\0}", 6, "UTF-16"},
        {"PK\x03\x04\x14", 5, "ZIP"},
        {"\xfd\x37zXZ", 5, "xz"},
    };
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        temp_put(t, "in", O_TRUNC, inputs[i].bytes, inputs[i].len);
        OWNED(source) struct source *s = open_in(t);
        assert_reads_on(t, s, "#");
        assert_error(t, ERR_INVALID, inputs[i].said);
        assert_reads_on(t, s, "#"); /* each time */
    }
}

static void the_fingerprint_is_of_the_stored_beginning(void **state)
{
    struct temp *t = *state;
    OWNED(source) struct source *s = source_over(t, "abc");
    char print[65], again[65];
    int64_t bytes;
    assert_true(source_fingerprint(s, 0, print, &bytes, &t->err));
    assert_int_equal(bytes, 3);
    assert_string_equal(print, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    temp_append(t, "in", "def");
    assert_true(source_fingerprint(s, 3, again, &bytes, &t->err));
    assert_string_equal(print, again);
    assert_false(source_fingerprint(s, 7, again, &bytes, &t->err));
    assert_error(t, ERR_CONFLICT, "shorter");
    assert_true(source_fingerprint(s, 0, again, &bytes, &t->err));
    assert_int_equal(bytes, 6);
}

static void a_place_behind_the_end_is_refused(void **state)
{
    struct temp *t = *state;
    OWNED(source) struct source *s = source_over(t, "1\n2\n");
    assert_false(source_seek(s, (struct place){9, 100, 10}, &t->err));
    assert_error(t, ERR_CONFLICT, "shorter");
}

static void the_extent_tells_how_far_reading_is(void **state)
{
    struct temp *t = *state;
    OWNED(source) struct source *s = source_over(t, "1\n22\n");
    int64_t size, at;
    struct source_record r;
    assert_true(source_extent(s, &size, &at));
    assert_int_equal(size, 5);
    assert_int_equal(at, 0);
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_RECORD);
    assert_true(source_extent(s, &size, &at));
    assert_int_equal(at, 2);
    assert_string_equal(source_name(s), "in");
    assert_true(source_fd(s) >= 0);
}

static void a_failed_read_fails_and_can_be_repeated(void **state)
{
#ifdef PENSTOCK_FAULTS
    struct temp *t = *state;
    OWNED(source) struct source *s = source_over(t, "1\n");
    fault_set("file.read:2:fail");
    assert_reads_on(t, s, "#");
    assert_error(t, ERR_IO, "read in");
    fault_set(NULL);
    assert_reads_on(t, s, "0:1 .");
#else
    (void)state;
#endif
}

static void other_formats_are_refused(void **state)
{
    struct temp *t = *state;
    struct source *s;
    t->spec.source_format = FORMAT_PROGRAM;
    assert_false(source_open(&t->spec, t->folders, &s, &t->err));
    assert_error(t, ERR_INVALID, "program");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(bad_and_empty_lines_use_up_their_number),
        UNIT(lines_end_with_lf_crlf_or_cr),
        UNIT(the_last_line_needs_no_end),
        UNIT(a_byte_order_mark_is_dropped),
        UNIT(bytes_that_are_not_utf8_spoil_one_line_only),
        UNIT(zero_bytes_and_deep_nesting_spoil_one_line_only),
        UNIT(reasons_name_the_fault_and_its_place),
        UNIT(appended_lines_are_read_later),
        UNIT(a_served_last_line_owns_what_is_appended_to_it),
        UNIT(a_line_end_split_by_growth_is_one),
        UNIT(every_place_leads_on_to_the_same_records),
        UNIT(records_are_skipped_without_losing_count),
        UNIT(a_tail_is_not_skipped),
        UNIT(lines_that_cross_reads_stay_whole),
        UNIT(a_line_longer_than_the_limit_is_bad_and_not_held),
        UNIT(compressed_inputs_read_like_plain_ones),
        UNIT(large_compressed_inputs_are_read_whole),
        UNIT(compressed_inputs_grow_by_frames),
        UNIT(a_compressed_input_that_is_cut_off_fails_after_its_last_line),
        UNIT(damaged_compressed_data_fails),
        UNIT(lines_before_a_damage_are_given_out_and_it_is_told_each_time),
        UNIT(zeros_behind_a_gzip_member_are_no_damage),
        UNIT(what_is_no_text_is_named),
        UNIT(a_beginning_that_could_still_be_compressed_waits),
        UNIT(the_fingerprint_is_of_the_stored_beginning),
        UNIT(a_place_behind_the_end_is_refused),
        UNIT(the_extent_tells_how_far_reading_is),
        UNIT(a_failed_read_fails_and_can_be_repeated),
        UNIT(other_formats_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
