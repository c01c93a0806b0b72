/* Writing: commas, escapes, numbers; what is written reads back as what was meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>

static void assert_written(struct buf *buf, const char *text)
{
    if (!str_is(buf_str(buf), text))
        fail_msg("wrote %.*s, not %s", (int)buf->len, buf->data, text);
    buf_release(buf);
}

static void commas_stand_where_they_must(void **state)
{
    (void)state;
    struct buf buf;
    struct json_out o;
    buf_init(&buf, BUF_NO_CAP);
    json_out_init(&o, &buf);
    json_out_open(&o, '{');
    json_out_name(&o, "a");
    json_out_i64(&o, -5);
    json_out_name(&o, "b");
    json_out_open(&o, '[');
    json_out_open(&o, '[');
    json_out_close(&o, ']');
    json_out_open(&o, '{');
    json_out_close(&o, '}');
    json_out_bool(&o, true);
    json_out_bool(&o, false);
    json_out_null(&o);
    json_out_text(&o, NULL);
    json_out_text(&o, "x");
    json_out_raw(&o, STR("{\"r\": 1.0}"));
    json_out_close(&o, ']');
    json_out_name(&o, "n\n");
    json_out_double(&o, 0.5);
    json_out_close(&o, '}');
    assert_true(json_check(buf_str(&buf), NULL, NULL));
    assert_written(&buf, "{\"a\":-5,\"b\":[[],{},true,false,null,null,\"x\",{\"r\": 1.0}],"
                         "\"n\\n\":0.5}");
}

static struct buf written(struct str text)
{
    struct buf buf;
    struct json_out o;
    buf_init(&buf, BUF_NO_CAP);
    json_out_init(&o, &buf);
    json_out_str(&o, text);
    return buf;
}

static void strings_are_escaped_no_more_than_needed(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *raw;
    } rows[] = {
        {STR_INIT(""), "\"\""},
        {STR_INIT("plain / ' text"), "\"plain / ' text\""},
        {STR_INIT("\"\\"), "\"\\\"\\\\\""},
        {STR_INIT("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {STR_INIT("a\0b\x01\x1f\x7f"), "\"a\\u0000b\\u0001\\u001f\x7f\""},
        {STR_INIT("\xd0\xb6\xe6\xbc\xa2\xf0\x9f\x98\x80"),
         "\"\xd0\xb6\xe6\xbc\xa2\xf0\x9f\x98\x80\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf buf = written(rows[i].text);
        assert_written(&buf, rows[i].raw);
    }
    struct buf buf = written((struct str){NULL, 0});
    assert_written(&buf, "\"\"");
}

static void bad_utf8_becomes_the_replacement_character(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        const char *raw;
    } rows[] = {
        {STR_INIT("\xff"), "\"\xef\xbf\xbd\""},
        {STR_INIT("a\xc3"), "\"a\xef\xbf\xbd\""},
        {STR_INIT("\xc3"
                  "b"),
         "\"\xef\xbf\xbd"
         "b\""},
        {STR_INIT("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {STR_INIT("\xd0\xb6\x80\xd0\xb6"), "\"\xd0\xb6\xef\xbf\xbd\xd0\xb6\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf buf = written(rows[i].text);
        assert_written(&buf, rows[i].raw);
    }
}

static void any_bytes_written_are_json_and_read_back(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 11);
    for (int round = 0; round < 20000; round++) {
        char bytes[24];
        size_t len = rng_below(&rng, sizeof bytes + 1);
        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)rng_below(&rng, round & 1 ? 128 : 256);
        struct str text = {bytes, len};
        struct buf buf = written(text), back;
        assert_true(json_check(buf_str(&buf), NULL, NULL));
        buf_init(&back, BUF_NO_CAP);
        assert_true(json_text(buf_str(&buf), &back));
        assert_true(str_is_utf8(buf_str(&back)));
        if (str_is_utf8(text))
            assert_true(str_eq(buf_str(&back), text));
        buf_release(&back);
        buf_release(&buf);
    }
}

static void whole_numbers_read_back(void **state)
{
    (void)state;
    static const int64_t numbers[] = {0, 1, -1, INT64_MAX, INT64_MIN, 1234567890123};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct buf buf;
        struct json_out o;
        int64_t back;
        buf_init(&buf, BUF_NO_CAP);
        json_out_init(&o, &buf);
        json_out_i64(&o, numbers[i]);
        assert_true(json_i64(buf_str(&buf), INT64_MIN, INT64_MAX, &back));
        assert_true(back == numbers[i]);
        buf_release(&buf);
    }
}

static void write_double(struct buf *buf, double number)
{
    struct json_out o;
    buf_init(buf, BUF_NO_CAP);
    json_out_init(&o, buf);
    json_out_double(&o, number);
}

static void doubles_are_short_and_read_back(void **state)
{
    (void)state;
    static const struct {
        double number;
        const char *text;
    } rows[] = {{0, "0"},        {-0.0, "-0"},      {0.1, "0.1"},  {1.25, "1.25"},    {100, "100"},
                {1e22, "1e+22"}, {-1e-7, "-1e-07"}, {NAN, "null"}, {INFINITY, "null"}};
    struct buf buf;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_double(&buf, rows[i].number);
        assert_written(&buf, rows[i].text);
    }
    struct rng rng;
    rng_init(&rng, 5);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = rng_next(&rng);
        double number, back;
        memcpy(&number, &bits, sizeof number);
        if (!isfinite(number))
            continue;
        write_double(&buf, number);
        assert_true(json_check(buf_str(&buf), NULL, NULL));
        assert_true(json_double(buf_str(&buf), &back));
        assert_true(back == number);
        buf_release(&buf);
    }
}

static void past_the_cap_the_buf_says_so(void **state)
{
    (void)state;
    struct buf buf;
    struct json_out o;
    buf_init(&buf, 8);
    json_out_init(&o, &buf);
    json_out_text(&o, "far longer than eight bytes");
    assert_true(buf.full);
    buf_release(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_stand_where_they_must),
        cmocka_unit_test(strings_are_escaped_no_more_than_needed),
        cmocka_unit_test(bad_utf8_becomes_the_replacement_character),
        cmocka_unit_test(any_bytes_written_are_json_and_read_back),
        cmocka_unit_test(whole_numbers_read_back),
        cmocka_unit_test(doubles_are_short_and_read_back),
        cmocka_unit_test(past_the_cap_the_buf_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
