/* CSV input: rows as the workers of the original see them, the same from every place. */
#include "source_tell.h"

#include <zlib.h>

static struct source *open_in(struct temp *t)
{
    return must_open_in(t, FORMAT_CSV);
}

static void assert_reads(struct temp *t, const char *text, const char *expected)
{
    assert_format_reads(t, FORMAT_CSV, text, expected);
}

static void the_header_is_not_served_and_blank_lines_have_no_number(void **state)
{
    assert_reads(*state, "a,b\n1,x\n\n \t\n2,y\n", "0:[1,\"x\"] 1:[2,\"y\"] .");
    assert_reads(*state, "\n\na,b\n1,2\n", "0:[1,2] .");
    assert_reads(*state, "a,b\n", ".");
    assert_reads(*state, "a\n\"\"\n1\n", "0:[null] 1:[1] .");
}

static void rows_end_with_lf_crlf_or_cr_and_the_last_needs_none(void **state)
{
    assert_reads(*state, "a,b\r\n1,2\r\n3,4\r\n", "0:[1,2] 1:[3,4] .");
    assert_reads(*state, "a,b\r1,2\r3,4", "0:[1,2] 1:[3,4] .");
}

static void a_byte_order_mark_is_dropped(void **state)
{
    assert_reads(*state, "\xef\xbb\xbf\"a\",b\n1,2\n", "0:[1,2] .");
}

static void quotes_enclose_commas_line_ends_and_quotes(void **state)
{
    assert_reads(*state, "a,b\n\"x,y\",\"l1\nl2\"\n\"q\"\"q\",\"\r\n\"\n",
                 "0:[\"x,y\",\"l1\\nl2\"] 1:[\"q\\\"q\",\"\\r\\n\"] .");
    assert_reads(*state, "a,b\nx\"y,\"a\"b\"c\n\"\"\"\",\"a\"\"b\"c\n",
                 "0:[\"x\\\"y\",\"ab\\\"c\"] 1:[\"\\\"\",\"a\\\"bc\"] .");
    assert_reads(*state, "\"a\n,\",b\n1,2\n", "0:[1,2] .");
}

static void integers_lose_sign_blanks_and_leading_zeros_but_no_digit(void **state)
{
    assert_reads(*state, "a\n+5\n-7\n 8 \n007\n-0\n18446744073709551616\n",
                 "0:[5] 1:[-7] 2:[8] 3:[7] 4:[0] 5:[18446744073709551616] .");
    assert_reads(*state, "a\n123456789012345678901234567890123\n",
                 "0:[123456789012345678901234567890123] .");
}

static void floats_keep_their_digits_and_make_the_column_float(void **state)
{
    assert_reads(*state, "a\n1.5\n.5\n1.\n1e5\n1000\n3.141592653589793\n",
                 "0:[1.5] 1:[0.5] 2:[1.0] 3:[1e5] 4:[1000.0] 5:[3.141592653589793] .");
    assert_reads(*state, "a\n-.5e-3\n+1.E+05\n-0\n007.50\n",
                 "0:[-0.5e-3] 1:[1.0E+05] 2:[-0.0] 3:[7.50] .");
}

static void what_only_looks_like_a_number_is_text(void **state)
{
    static const char *const words[] = {".",   "-",   "1e", "e5",  "1e+",   "1.2.3", "0x10", "1_0",
                                        "--1", "1 2", "1-", "+-1", "1e309", "NaNa",  "infi"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char text[64], expected[64];
        snprintf(text, sizeof text, "a\n%s\n", words[i]);
        snprintf(expected, sizeof expected, "0:[\"%s\"] .", words[i]);
        assert_reads(*state, text, expected);
    }
    char text[400] = "a\n", expected[420] = "0:[\"";
    memset(text + 2, '7', 301);
    memset(expected + 4, '7', 301);
    strcpy(text + 303, "\n");
    strcpy(expected + 305, "\"] .");
    assert_reads(*state, text, expected);
}

static void missing_cells_are_null_and_change_no_type(void **state)
{
    static const char *const marks[] = {
        "",        "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND",
        "1.#QNAN", "<NA>", "N/A",      "NA",  "NULL",    "NaN",      "n/a",  "nan",  "null"};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        char text[64];
        snprintf(text, sizeof text, "a,b\n1,x\n%s,%s\n", marks[i], marks[i]);
        assert_reads(*state, text, "0:[1,\"x\"] 1:[null,null] .");
    }
    assert_reads(*state, "a,b\n,\n", "0:[null,null] .");
    assert_reads(*state, "a\n\"NA\"\nnone\nNone\n NA\n",
                 "0:[null] 1:[\"none\"] 2:[\"None\"] 3:[\" NA\"] .");
}

static void infinite_cells_are_null_in_a_float_column(void **state)
{
    assert_reads(*state, "a\ninf\n-Infinity\n+INF\n1\n", "0:[null] 1:[null] 2:[null] 3:[1.0] .");
    assert_reads(*state, "a\ninf\nx\n", "0:[\"inf\"] 1:[\"x\"] .");
}

static void truth_values_come_in_any_case(void **state)
{
    assert_reads(*state, "a\nTrue\nfalse\nTRUE\nfAlSe\n\"\"\n",
                 "0:[true] 1:[false] 2:[true] 3:[false] 4:[null] .");
    assert_reads(*state, "a\nTrue\n1\n", "0:[\"True\"] 1:[\"1\"] .");
    assert_reads(*state, "a\nTrue\nyes\n", "0:[\"True\"] 1:[\"yes\"] .");
}

static void one_word_makes_the_column_text_exactly_as_written(void **state)
{
    assert_reads(*state, "a,b\n007,1.50\n foo ,+2\n", "0:[\"007\",1.50] 1:[\" foo \",2.0] .");
    assert_reads(*state, "a\n1\nfoo\n\"a\tb\\c\xc3\xa9\"\n",
                 "0:[\"1\"] 1:[\"foo\"] 2:[\"a\\tb\\\\c\xc3\xa9\"] .");
}

static void integers_are_floats_where_all_columns_are_numbers_and_one_is_float(void **state)
{
    assert_reads(*state, "a,b\n1,2.5\n3,4\n", "0:[1.0,2.5] 1:[3.0,4.0] .");
    assert_reads(*state, "a,b,c\n1,2.5,x\n", "0:[1,2.5,\"x\"] .");
    assert_reads(*state, "a,b,c\n1,2.5,True\n", "0:[1,2.5,true] .");
    assert_reads(*state, "a,b,c\n1,2.5,\n", "0:[1.0,2.5,null] .");
    assert_reads(*state, "a,b\n1,\n", "0:[1,null] .");
}

static void types_are_those_of_the_chunk(void **state)
{
    struct temp *t = *state;
    t->spec.chunk_rows = 2;
    assert_reads(t, "a\n1\nfoo\n1\n2\n1.5\n3\n4\n",
                 "0:[\"1\"] 1:[\"foo\"] 2:[1] 3:[2] 4:[1.5] 5:[3.0] 6:[4] .");
}

static void short_rows_are_filled_up_and_long_ones_are_bad(void **state)
{
    struct temp *t = *state;
    assert_reads(t, "a,b,c\n1\n1,2,3,4\n5,6,7\n", "0:[1,null,null] 1! 2:[5,6,7] .");
    temp_write(t, "in", "a,b\n1,2,x\n");
    OWNED(source) struct source *s = open_in(t);
    struct source_record r;
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_BAD);
    assert_string_equal(r.reason, "3 cells, the header has 2");
    assert_int_equal(r.line, 2);
}

static void bad_rows_have_no_say_in_the_types(void **state)
{
    struct temp *t = *state;
    assert_reads(t, "a,b\n1,2\nx,y,z\n\xff,w\n3,4\n", "0:[1,2] 1! 2! 3:[3,4] .");
    temp_write(t, "in", "a,b\n1,\"x\xff\"\n");
    temp_put(t, "in", O_APPEND, "\0,2\n", 4);
    OWNED(source) struct source *s = open_in(t);
    struct source_record r;
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_BAD);
    assert_string_equal(r.reason, "cell 2 is no UTF-8");
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_BAD);
    assert_string_equal(r.reason, "cell 1 has a NUL character");
}

static void lines_are_counted_through_quotes_and_blank_lines(void **state)
{
    struct temp *t = *state;
    temp_write(t, "in", "a,\"b\nb\"\r\n1,\"x\r\ny\rz\nw\"\r\n\r\n2,3\n");
    OWNED(source) struct source *s = open_in(t);
    struct source_record r;
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_RECORD);
    assert_int_equal(r.line, 3);
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_RECORD);
    assert_int_equal(r.line, 8);
}

static void an_input_without_header_is_refused(void **state)
{
    struct temp *t = *state;
    static const char *const texts[] = {"", "\n \n", "\xef\xbb\xbf"};
    for (size_t i = 0; i < 3; i++) {
        temp_write(t, "in", texts[i]);
        assert_null(try_in(t, FORMAT_CSV));
        assert_error(t, ERR_INVALID, "empty");
    }
    temp_write(t, "in", "a,\"b\n1,2\n");
    assert_null(try_in(t, FORMAT_CSV));
    assert_error(t, ERR_INVALID, "not closed");
    OWNED_BUF struct buf wide;
    buf_init(&wide, BUF_NO_CAP);
    for (int i = 0; i < 100001; i++)
        buf_add_char(&wide, ',');
    buf_add_char(&wide, '\n');
    temp_put(t, "in", O_TRUNC, wide.data, wide.len);
    assert_null(try_in(t, FORMAT_CSV));
    assert_error(t, ERR_INVALID, "more than 100000");
}

static void a_row_still_being_written_waits(void **state)
{
    struct temp *t = *state;
    temp_write(t, "in", "a,b\n1,2\n3");
    OWNED(source) struct source *s = open_in(t);
    assert_reads_on(t, s, "0:[1,2] 1?");
    temp_append(t, "in", ",\"4");
    assert_reads_on(t, s, "1?");
    temp_append(t, "in", "\n5\"");
    assert_reads_on(t, s, "1:[3,\"4\\n5\"] .");
    temp_append(t, "in", "\n");
    assert_reads_on(t, s, ".");
    temp_append(t, "in", "6,7\n");
    assert_reads_on(t, s, "2:[6,\"7\"] .");
}

static void an_unclosed_quote_is_told_as_the_tail(void **state)
{
    struct temp *t = *state;
    temp_write(t, "in", "a,b\n1,2\n3,\"4\n5,6\n");
    OWNED(source) struct source *s = open_in(t);
    struct source_record r;
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_RECORD);
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_TAIL);
    assert_string_equal(r.reason, "a quoted cell is not closed");
    assert_int_equal(r.number, 1);
    assert_int_equal(r.line, 3);
}

static void a_served_last_row_keeps_its_number_when_it_goes_on(void **state)
{
    struct temp *t = *state;
    t->spec.chunk_rows = 2;
    temp_write(t, "in", "a,b\n1,2\n3,4");
    OWNED(source) struct source *s = open_in(t);
    assert_reads_on(t, s, "0:[1,2] 1:[3,4] .");
    struct place place = source_place(s);
    temp_append(t, "in", "5,\"x");
    assert_reads_on(t, s, ".");
    temp_append(t, "in", "\"\n6,7\n");
    assert_reads_on(t, s, "2:[6,7] .");
    assert_true(source_seek(s, place, &t->err));
    assert_reads_on(t, s, "0:[1,2] 1! 2:[6,7] .");
}

static void appended_rows_join_the_unfinished_chunk(void **state)
{
    struct temp *t = *state;
    t->spec.chunk_rows = 3;
    temp_write(t, "in", "a\n1\n2\n");
    OWNED(source) struct source *s = open_in(t);
    assert_reads_on(t, s, "0:[1] 1:[2] .");
    struct place place = source_place(s);
    assert_int_equal(place.record, 0);
    temp_append(t, "in", "x\n4\n");
    assert_reads_on(t, s, "2:[\"x\"] 3:[4] .");
    assert_true(source_seek(s, place, &t->err));
    assert_reads_on(t, s, "0:[\"1\"] 1:[\"2\"] 2:[\"x\"] 3:[4] .");
}

static void a_header_still_being_written_waits(void **state)
{
    struct temp *t = *state;
    temp_write(t, "in", "a,b");
    OWNED(source) struct source *s = open_in(t);
    assert_reads_on(t, s, ".");
    assert_true(source_skip_to(s, 1, &t->err));
    struct place place = source_place(s);
    temp_append(t, "in", "c,d\n1,2,3\n");
    assert_reads_on(t, s, "0:[1,2,3] .");
    OWNED(source) struct source *again = open_in(t);
    assert_true(source_seek(again, place, &t->err));
    assert_reads_on(t, again, "0:[1,2,3] .");
}

/* What follows record `from` in what read_on told of the whole. */
static const char *told_from(const char *whole, int64_t from)
{
    char begin[32];
    for (const char *p = whole; p; p = strchr(p, ' ') ? strchr(p, ' ') + 1 : NULL) {
        int len = snprintf(begin, sizeof begin, "%lld", (long long)from);
        if (strncmp(p, begin, (size_t)len) == 0 && strchr(":!?", p[len]))
            return p;
    }
    return whole + strlen(whole) - 1;
}

/* From the place of every record reading leads to the same records, that one among them. */
static void assert_every_place_leads_on(struct temp *t)
{
    OWNED(source) struct source *all = open_in(t);
    OWNED_MEM char *whole = tell_all(t, all);
    assert_true(source_seek(all, (struct place){0, 0, 1}, &t->err));
    struct buf got;
    buf_init(&got, BUF_NO_CAP);
    int64_t number = 0;
    do {
        struct place place = source_place(all);
        assert_true(place.record <= number);
        OWNED(source) struct source *s = open_in(t);
        assert_true(source_seek(s, place, &t->err));
        struct place same = source_place(s);
        assert_memory_equal(&place, &same, sizeof place);
        OWNED_MEM char *rest = tell_all(t, s);
        assert_string_equal(rest, told_from(whole, place.record));
        assert_true(source_seek(s, place, &t->err));
        assert_true(source_skip_to(s, number, &t->err));
        OWNED_MEM char *wanted = tell_all(t, s);
        assert_string_equal(wanted, told_from(whole, number));
        tell_next(t, all, &got);
        number++;
    } while (got.data[got.len - 1] == ' ');
    buf_release(&got);
}

static const char varied[] = "\xef\xbb\xbf"
                             "a,b\r\n1,2\r\n\r\n3,\"x\r\ny\"\r\n4\r5,6,7\r \n"
                             "True,inf\n,\xff\n8,9.5\n\"\",\"\"\"\"\nlast,1";

static void every_place_leads_on_to_the_same_rows(void **state)
{
    struct temp *t = *state;
    temp_write(t, "in", varied);
    for (t->spec.chunk_rows = 1; t->spec.chunk_rows < 12; t->spec.chunk_rows++)
        assert_every_place_leads_on(t);
    temp_append(t, "in", "\r");
    t->spec.chunk_rows = 2;
    assert_every_place_leads_on(t);
}

static void compressed_rows_read_like_plain_ones(void **state)
{
    struct temp *t = *state;
    gzFile file = gzopen(temp_path(t, "in"), "wb");
    assert_int_equal(gzwrite(file, varied, sizeof varied - 1), (int)sizeof varied - 1);
    assert_int_equal(gzclose(file), Z_OK);
    t->spec.chunk_rows = 3;
    assert_every_place_leads_on(t);
}

static void rows_before_a_damage_are_given_out(void **state)
{
    struct temp *t = *state;
    gzFile file = gzopen(temp_path(t, "in"), "wb");
    assert_int_equal(gzputs(file, "a\n1\n2\n"), 6);
    assert_int_equal(gzclose(file), Z_OK);
    temp_append(t, "in", "junk behind");
    OWNED(source) struct source *s = open_in(t);
    assert_reads_on(t, s, "0:[1] 1:[2] #");
    assert_error(t, ERR_INVALID, "damaged");
}

/* More than a read, more than a chunk's bytes. */
static void large_chunks_are_cut_the_same_way_from_every_place(void **state)
{
    struct temp *t = *state;
    enum { COUNT = 120, PAD = 300000 };
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    buf_add_text(&text, "a,b\n");
    for (int i = 0; i < COUNT; i++)
        buf_add_format(&text, "%d,%*s\n", i, PAD, "x");
    temp_put(t, "in", O_TRUNC, text.data, text.len);
    OWNED(source) struct source *s = open_in(t);
    int64_t starts = 0, last = -1;
    for (int i = 0; i < COUNT; i++) {
        char begin[32];
        struct source_record r;
        struct place place = source_place(s);
        starts += place.record != last;
        last = place.record;
        assert_int_equal(source_next(s, &r, &t->err), SOURCE_RECORD);
        assert_int_equal(r.number, i);
        int len = snprintf(begin, sizeof begin, "[%d,", i);
        assert_memory_equal(r.json.ptr, begin, (size_t)len);
        if (i % 40 == 39) {
            place = source_place(s);
            assert_true(source_seek(s, place, &t->err));
            assert_true(source_skip_to(s, i + 1, &t->err));
        }
    }
    assert_true(starts == 3);
    assert_reads_on(t, s, ".");
}

static void a_row_longer_than_the_limit_is_bad_and_not_held(void **state)
{
    struct temp *t = *state;
    size_t len = SOURCE_LINE_MAX + 300000;
    OWNED_MEM char *row = xcalloc(1, len);
    memset(row, 'x', len);
    temp_write(t, "in", "a,b\n0,1\n\"");
    temp_put(t, "in", O_APPEND, row, len);
    OWNED(source) struct source *s = open_in(t);
    assert_reads_on(t, s, "0:[0,1] 1?");
    struct place place = source_place(s);
    temp_append(t, "in", "\n\",2\n3,4\n");
    struct source_record r;
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_BAD);
    assert_string_equal(r.reason, "longer than 64 MiB");
    assert_reads_on(t, s, "2:[3,4] .");
    assert_true(source_seek(s, place, &t->err));
    assert_true(source_skip_to(s, 2, &t->err));
    assert_int_equal(source_next(s, &r, &t->err), SOURCE_RECORD);
    assert_int_equal(r.line, 5);
}

static void a_failed_read_fails_and_can_be_repeated(void **state)
{
#ifdef PENSTOCK_FAULTS
    struct temp *t = *state;
    temp_write(t, "in", "a\n1\n");
    OWNED(source) struct source *s = open_in(t);
    fault_set("file.read:1:fail,file.read:2:fail");
    assert_reads_on(t, s, "0:[1] #");
    assert_error(t, ERR_IO, "read in");
    fault_set(NULL);
    assert_reads_on(t, s, ".");
    fault_set("file.read:2:fail");
    assert_null(try_in(t, FORMAT_CSV));
    fault_set(NULL);
#else
    (void)state;
#endif
}

static void rows_may_be_objects_named_by_the_header(void **state)
{
    struct temp *t = *state;
    t->spec.csv_objects = true;
    assert_reads(t, "a,\"b \"\"c\"\"\",\n1,x,2\n3\n\"y\",,z\n",
                 "0:{\"a\":\"1\",\"b \\\"c\\\"\":\"x\",\"column 3\":\"2\"} "
                 "1:{\"a\":\"3\",\"b \\\"c\\\"\":null,\"column 3\":null} "
                 "2:{\"a\":\"y\",\"b \\\"c\\\"\":null,\"column 3\":\"z\"} .");
    assert_reads(t,
                 "\xef\xbb\xbf"
                 "id\r\n1\r\n2,3\r\n",
                 "0:{\"id\":1} 1! .");
    t->spec.csv_objects = false;
    t->spec.id_key = xstrdup("id");
    assert_reads(t, "id\n1\n", "0:{\"id\":1} .");
    assert_reads(t, "id", ".");
}

static void headers_that_cannot_name_members_are_refused(void **state)
{
    struct temp *t = *state;
    t->spec.csv_objects = true;
    temp_write(t, "in", "a,b,a\n1,2,3\n");
    assert_null(try_in(t, FORMAT_CSV));
    assert_error(t, ERR_INVALID, "the header of in names the column \"a\" twice");
    temp_write(t, "in", "a,\xff\n1,2\n");
    assert_null(try_in(t, FORMAT_CSV));
    assert_error(t, ERR_INVALID, "the header of in is no UTF-8");
}

static char *header_now(struct temp *t)
{
    char *text = NULL;
    OWNED(source) struct source *s = open_in(t);
    assert_true(source_inputs(s, &text, &t->err));
    return text;
}

static bool has_header(struct temp *t, const char *before)
{
    OWNED(source) struct source *s = open_in(t);
    return source_check_inputs(s, before, &t->err);
}

static void another_header_is_noticed_by_its_names(void **state)
{
    struct temp *t = *state;
    t->spec.csv_objects = true;
    temp_write(t, "in", "a,\"b \"\"c\"\"\",\n1,2,3\n");
    OWNED_MEM char *before = header_now(t);
    assert_string_equal(before, "{\"header\":[\"a\",\"b \\\"c\\\"\",\"column 3\"]}");
    temp_write(t, "in", "\xef\xbb\xbf\"a\",\"b \"\"c\"\"\",\r\n7,8,9\r\n");
    assert_true(has_header(t, before));
    temp_write(t, "in", "a,c\n1,2,3\n");
    assert_false(has_header(t, before));
    assert_error(
        t, ERR_CONFLICT,
        "the header of in is [\"a\",\"c\"] now, it was [\"a\",\"b \\\"c\\\"\",\"column 3\"] "
        "when the job was started");
    assert_false(has_header(t, "[[6,6,\"00\"]]"));
    assert_error(t, ERR_CONFLICT, "on several inputs, not on in alone");
    OWNED(source) struct source *lines = must_open_in(t, FORMAT_JSONL);
    assert_false(source_check_inputs(lines, before, &t->err));
    assert_error(t, ERR_CONFLICT, "started on a CSV file, not on in");
}

static void a_header_that_says_nothing_is_not_compared(void **state)
{
    struct temp *t = *state;
    temp_write(t, "in", "a,b\n1,2\n");
    assert_null(header_now(t)); /* rows are arrays */
    t->spec.csv_objects = true;
    OWNED_MEM char *before = header_now(t);
    temp_write(t, "in", "a,b,c"); /* may go on */
    assert_null(header_now(t));
    assert_true(has_header(t, before));
    OWNED_BUF struct buf wide;
    buf_init(&wide, BUF_NO_CAP);
    for (int i = 0; i < 4000; i++)
        buf_add_format(&wide, "%d,", i);
    buf_add_text(&wide, "end\n");
    OWNED_MEM char *text = xstrndup(wide.data, wide.len);
    temp_write(t, "in", text);
    assert_null(header_now(t));
    assert_true(has_header(t, before));
}

static void of_a_long_header_the_beginning_is_told(void **state)
{
    struct temp *t = *state;
    t->spec.csv_objects = true;
    OWNED_BUF struct buf wide;
    buf_init(&wide, BUF_NO_CAP);
    for (int i = 0; i < 80; i++)
        buf_add_text(&wide, "\xc3\xa4"); /* of two bytes: cut between them */
    buf_add_text(&wide, "\n");
    OWNED_MEM char *text = xstrndup(wide.data, wide.len);
    temp_write(t, "in", text);
    OWNED_MEM char *before = header_now(t);
    temp_write(t, "in", "x\n");
    assert_false(has_header(t, before));
    assert_true(str_is_utf8(str_of(t->err.text)));
    assert_error(t, ERR_CONFLICT, "\xc3\xa4... when the job was started");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT(the_header_is_not_served_and_blank_lines_have_no_number),
        UNIT(rows_end_with_lf_crlf_or_cr_and_the_last_needs_none),
        UNIT(a_byte_order_mark_is_dropped),
        UNIT(quotes_enclose_commas_line_ends_and_quotes),
        UNIT(integers_lose_sign_blanks_and_leading_zeros_but_no_digit),
        UNIT(floats_keep_their_digits_and_make_the_column_float),
        UNIT(what_only_looks_like_a_number_is_text),
        UNIT(missing_cells_are_null_and_change_no_type),
        UNIT(infinite_cells_are_null_in_a_float_column),
        UNIT(truth_values_come_in_any_case),
        UNIT(one_word_makes_the_column_text_exactly_as_written),
        UNIT(integers_are_floats_where_all_columns_are_numbers_and_one_is_float),
        UNIT(types_are_those_of_the_chunk),
        UNIT(short_rows_are_filled_up_and_long_ones_are_bad),
        UNIT(bad_rows_have_no_say_in_the_types),
        UNIT(lines_are_counted_through_quotes_and_blank_lines),
        UNIT(an_input_without_header_is_refused),
        UNIT(a_row_still_being_written_waits),
        UNIT(an_unclosed_quote_is_told_as_the_tail),
        UNIT(a_served_last_row_keeps_its_number_when_it_goes_on),
        UNIT(appended_rows_join_the_unfinished_chunk),
        UNIT(a_header_still_being_written_waits),
        UNIT(every_place_leads_on_to_the_same_rows),
        UNIT(compressed_rows_read_like_plain_ones),
        UNIT(rows_before_a_damage_are_given_out),
        UNIT(large_chunks_are_cut_the_same_way_from_every_place),
        UNIT(a_row_longer_than_the_limit_is_bad_and_not_held),
        UNIT(a_failed_read_fails_and_can_be_repeated),
        UNIT(rows_may_be_objects_named_by_the_header),
        UNIT(headers_that_cannot_name_members_are_refused),
        UNIT(another_header_is_noticed_by_its_names),
        UNIT(a_header_that_says_nothing_is_not_compared),
        UNIT(of_a_long_header_the_beginning_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
