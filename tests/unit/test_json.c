/* Reading: the cursor and the conversions. The grammar is in test_json_scan.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"

#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static struct str nested(char *out, int depth, const char *opening, const char *closing)
{
    char *p = out;
    for (int i = 0; i < depth; i++)
        p = stpcpy(p, opening);
    *p++ = '1';
    for (int i = 0; i < depth; i++)
        p = stpcpy(p, closing);
    return (struct str){out, (size_t)(p - out)};
}

static void a_cursor_reads_what_is_there(void **state)
{
    (void)state;
    struct json j;
    struct str name, raw;
    json_open(&j, STR(" { \"a\" : [ 1 , \"x\", {\"k\":[]} ] , \"b\\n\" : null , \"c\":{} } "));
    assert_int_equal(json_peek(&j), JSON_OBJECT);
    assert_true(json_enter(&j, '{'));
    assert_int_equal(json_peek(&j), JSON_NONE); /* nothing was announced yet */
    assert_true(json_member(&j, &name));
    assert_true(str_is(name, "\"a\""));
    assert_int_equal(json_peek(&j), JSON_ARRAY);
    assert_true(json_enter(&j, '['));
    assert_true(json_item(&j));
    assert_int_equal(json_peek(&j), JSON_NUMBER);
    assert_true(json_value(&j, &raw));
    assert_true(str_is(raw, "1"));
    assert_true(json_item(&j));
    assert_int_equal(json_peek(&j), JSON_STRING);
    assert_true(json_value(&j, &raw));
    assert_true(str_is(raw, "\"x\""));
    assert_true(json_item(&j));
    assert_true(json_value(&j, &raw));
    assert_true(str_is(raw, "{\"k\":[]}"));
    assert_false(json_item(&j));
    assert_true(json_member(&j, &name));
    assert_true(str_is(name, "\"b\\n\""));
    assert_int_equal(json_peek(&j), JSON_NULL);
    assert_true(json_value(&j, &raw));
    assert_true(json_member(&j, &name));
    assert_true(json_enter(&j, '{'));
    assert_false(json_member(&j, &name));
    assert_false(json_member(&j, &name));
    assert_true(json_end(&j));
    assert_null(j.fault);
}

static void a_scalar_and_empty_containers_are_texts_too(void **state)
{
    (void)state;
    struct json j;
    struct str raw;
    json_open(&j, STR(" 12 "));
    assert_true(json_value(&j, &raw));
    assert_true(str_is(raw, "12"));
    assert_true(json_end(&j));
    json_open(&j, STR("[ ]"));
    assert_true(json_enter(&j, '['));
    assert_false(json_item(&j));
    assert_true(json_end(&j));
    json_open(&j, (struct str){NULL, 0});
    assert_int_equal(json_peek(&j), JSON_NONE);
    assert_false(json_value(&j, &raw));
    assert_int_equal(json_fault_at(&j), 0);
}

static void what_is_not_read_is_passed_and_checked(void **state)
{
    (void)state;
    struct json j;
    struct str name;
    int64_t count = 0;
    json_open(&j, STR("{\"a\":[1,{\"x\":2}],\"b\":3,\"c\":[]}"));
    assert_true(json_enter(&j, '{'));
    while (json_member(&j, &name))
        count++;
    assert_int_equal(count, 3);
    assert_true(json_end(&j));

    json_open(&j, STR("[1,[2}]"));
    assert_true(json_enter(&j, '['));
    assert_true(json_item(&j));
    assert_true(json_item(&j));
    assert_false(json_item(&j));
    assert_string_equal(j.fault, "expected ',' or ']'");
    assert_int_equal(json_fault_at(&j), 5);
}

static void faults_stick(void **state)
{
    (void)state;
    struct json j;
    struct str name, raw;
    json_open(&j, STR("[{\"a\":tru},2]"));
    assert_true(json_enter(&j, '['));
    assert_true(json_item(&j));
    assert_false(json_value(&j, &raw));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(json_fault_at(&j), 9);
        assert_string_equal(j.fault, "expected a value");
        assert_int_equal(json_peek(&j), JSON_NONE);
        assert_false(json_enter(&j, '{'));
        assert_false(json_item(&j));
        assert_false(json_member(&j, &name));
        assert_false(json_value(&j, &raw));
        assert_false(json_end(&j));
    }
}

static void a_cursor_faults_where_the_text_does(void **state)
{
    (void)state;
    struct json j;
    struct str name, raw;

    json_open(&j, STR(" 5"));
    assert_false(json_enter(&j, '{'));
    assert_string_equal(j.fault, "expected an object");
    assert_int_equal(json_fault_at(&j), 1);

    json_open(&j, STR("{}"));
    assert_false(json_enter(&j, '['));
    assert_string_equal(j.fault, "expected an array");

    json_open(&j, STR("  "));
    assert_false(json_enter(&j, '['));
    assert_string_equal(j.fault, "the text ends too early");
    assert_int_equal(json_fault_at(&j), 2);

    json_open(&j, STR("[1 2]"));
    assert_true(json_enter(&j, '[') && json_item(&j) && json_value(&j, &raw));
    assert_false(json_item(&j));
    assert_int_equal(json_fault_at(&j), 3);

    json_open(&j, STR("[1,]"));
    assert_true(json_enter(&j, '[') && json_item(&j) && json_value(&j, &raw) && json_item(&j));
    assert_false(json_value(&j, &raw));
    assert_int_equal(json_fault_at(&j), 3);

    json_open(&j, STR("{\"a\":1,}"));
    assert_true(json_enter(&j, '{') && json_member(&j, &name) && json_value(&j, &raw));
    assert_false(json_member(&j, &name));
    assert_string_equal(j.fault, "expected a name in quotes");
    assert_int_equal(json_fault_at(&j), 7);

    json_open(&j, STR("{\"a\" 1}"));
    assert_true(json_enter(&j, '{'));
    assert_false(json_member(&j, &name));
    assert_int_equal(json_fault_at(&j), 5);

    json_open(&j, STR("[1"));
    assert_true(json_enter(&j, '[') && json_item(&j) && json_value(&j, &raw));
    assert_false(json_item(&j));
    assert_string_equal(j.fault, "the text ends too early");

    json_open(&j, STR("1 2"));
    assert_true(json_value(&j, &raw));
    assert_false(json_end(&j));
    assert_string_equal(j.fault, "more than one value");
    assert_int_equal(json_fault_at(&j), 2);
}

static void an_end_before_the_end_is_a_fault(void **state)
{
    (void)state;
    struct json j;
    json_open(&j, STR("[1]"));
    assert_true(json_enter(&j, '['));
    assert_false(json_end(&j));
    assert_string_equal(j.fault, "the value was not read to its end");
    json_open(&j, STR("1"));
    assert_false(json_end(&j));
    json_open(&j, STR(""));
    assert_false(json_end(&j));
    assert_string_equal(j.fault, "the text ends too early");
}

static void a_value_may_be_as_deep_inside_a_message_as_alone(void **state)
{
    (void)state;
    char text[400];
    for (int entered = 0; entered <= 64; entered++)
        for (int depth = 64; depth <= 65; depth++) {
            struct json j;
            struct str raw;
            json_open(&j, nested(text, entered + depth, "[", "]"));
            for (int i = 0; i < entered; i++)
                assert_true(json_enter(&j, '[') && json_item(&j));
            assert_int_equal(json_value(&j, &raw), depth == 64);
            if (depth == 65)
                assert_int_equal(json_fault_at(&j), entered + 64);
        }
    struct json j;
    json_open(&j, nested(text, 65, "[", "]"));
    for (int i = 0; i < 64; i++)
        assert_true(json_enter(&j, '[') && json_item(&j));
    assert_false(json_enter(&j, '['));
    assert_string_equal(j.fault, "too many containers inside each other");
    /* And left ones do not. */
    json_open(&j, nested(text, 64, "[", "]"));
    for (int i = 0; i < 64; i++)
        assert_true(json_enter(&j, '[') && json_item(&j));
    for (int i = 0; i < 64; i++)
        assert_false(json_item(&j));
    assert_true(json_end(&j));
}

static void the_last_of_doubled_names_wins(void **state)
{
    (void)state;
    struct str value;
    struct str object = STR("{\"a\":1,\"b\":[2],\"a\":{\"a\":3},\"\\u0061\":4,\"aa\":5,\"\":6}");
    assert_true(json_find(object, "a", &value));
    assert_true(str_is(value, "4"));
    assert_true(json_find(object, "b", &value));
    assert_true(str_is(value, "[2]"));
    assert_true(json_find(object, "", &value));
    assert_true(str_is(value, "6"));
    assert_false(json_find(object, "c", &value));
    assert_true(str_is(value, "6"));
    assert_false(json_find(STR("[\"a\",1]"), "a", &value));
    assert_false(json_find(STR("{}"), "a", &value));
}

/* In one pass with the check of the whole. */
static void wanted_members_are_found_while_a_text_is_checked(void **state)
{
    (void)state;
    struct json_wanted wanted[2] = {{"a", 1, {NULL, 0}}, {"b", 1, {NULL, 0}}};
    struct str object = STR(" {\"a\":1,\"b\" : [2] ,\"a\":{\"a\":3},\"\\u0061\":4,\"aa\":5} ");
    size_t at = 0;
    const char *fault = NULL;
    assert_true(json_check_members(object, wanted, 2, &at, &fault));
    assert_true(str_is(wanted[0].value, "4") && str_is(wanted[1].value, "[2]"));
    assert_true(json_check_members(STR("{}"), wanted, 2, NULL, NULL));
    assert_null(wanted[0].value.ptr);
    assert_true(json_check_members(STR("[{\"a\":1}]"), wanted, 2, NULL, NULL));
    assert_null(wanted[0].value.ptr);
    assert_false(json_check_members(STR("{\"a\":1,}"), wanted, 2, &at, &fault));
    assert_int_equal(at, 7);
    assert_string_equal(fault, "expected a name in quotes");
    assert_false(json_check_members(STR("{\"a\":1} x"), wanted, 2, &at, &fault));
    assert_false(json_check_members(STR(""), wanted, 2, NULL, NULL));
}

static void names_compare_by_what_they_mean(void **state)
{
    (void)state;
    assert_true(json_name_is(STR("\"ab\""), "ab"));
    assert_true(json_name_is(STR("\"\""), ""));
    assert_true(json_name_is(STR("\"\\u0061\\/\\n\""), "a/\n"));
    assert_true(json_name_is(STR("\"\\ud83d\\ude00\""), "\xf0\x9f\x98\x80"));
    assert_false(json_name_is(STR("\"ab\""), "a"));
    assert_false(json_name_is(STR("\"a\""), "ab"));
    assert_false(json_name_is(STR("\"\""), "a"));
    static const char ends_twice[] = "a\0";
    assert_false(json_name_is(STR("\"a\\u0000\""), ends_twice));
    assert_false(json_name_is(STR("\"\\u0000\""), ""));
    assert_false(json_name_is(STR("\"\\u00e4\""), "\xc3"));
    assert_false(json_name_is(STR("12"), "12"));
}

static void texts_have_their_escapes_undone(void **state)
{
    (void)state;
    static const struct {
        struct str raw, text;
    } rows[] = {
        {STR_INIT("\"\""), STR_INIT("")},
        {STR_INIT("\"plain\""), STR_INIT("plain")},
        {STR_INIT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), STR_INIT("\"\\/\b\f\n\r\t")},
        {STR_INIT("\"a\\u0041b\""), STR_INIT("aAb")},
        {STR_INIT("\"\\u0000x\""), STR_INIT("\0x")},
        {STR_INIT("\"\\u007F\\u0080\\u07ff\\u0800\\uFfFf\""),
         STR_INIT("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf")},
        {STR_INIT("\"\\uD800\\uDC00\\uDBFF\\uDFFF\\ud83d\\ude00\""),
         STR_INIT("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\xf0\x9f\x98\x80")},
        {STR_INIT("\"\xd0\xb6\\n\xd0\xb6\""), STR_INIT("\xd0\xb6\n\xd0\xb6")},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf out;
        buf_init(&out, BUF_NO_CAP);
        buf_add_char(&out, '>');
        assert_true(json_text(rows[i].raw, &out));
        assert_int_equal(out.len, 1 + rows[i].text.len);
        assert_memory_equal(out.data + 1, rows[i].text.ptr, rows[i].text.len);
        buf_release(&out);
    }
    struct buf out;
    buf_init(&out, BUF_NO_CAP);
    assert_false(json_text(STR("null"), &out));
    assert_false(json_text(STR("[\"a\"]"), &out));
    assert_int_equal(out.len, 0);
    buf_release(&out);
}

static void a_c_string_holds_no_nul(void **state)
{
    (void)state;
    char *text = json_take_text(STR("\"a\\tb\""));
    assert_string_equal(text, "a\tb");
    free(text);
    text = json_take_text(STR("\"\""));
    assert_string_equal(text, "");
    free(text);
    assert_null(json_take_text(STR("\"a\\u0000b\"")));
    assert_null(json_take_text(STR("17")));
}

static void numbers_convert_when_they_fit(void **state)
{
    (void)state;
    int64_t number = 7;
    assert_true(json_i64(STR("9223372036854775807"), INT64_MIN, INT64_MAX, &number));
    assert_true(number == INT64_MAX);
    assert_true(json_i64(STR("-9223372036854775808"), INT64_MIN, INT64_MAX, &number));
    assert_true(number == INT64_MIN);
    assert_true(json_i64(STR("-0"), 0, 10, &number));
    assert_int_equal(number, 0);
    static const char *const refused[] = {
        "9223372036854775808",     "1.0", "1e3", "11", "-1", "true", "\"5\"", "null", "[]",
        "100000000000000000000000"};
    for (size_t i = 0; i < COUNT(refused); i++)
        assert_false(json_i64(str_of(refused[i]), 0, 10, &number));
    assert_int_equal(number, 0);

    double real = 0;
    assert_true(json_double(STR("-1.25e2"), &real));
    assert_true(real == -125.0);
    assert_true(json_double(STR("0.1"), &real));
    assert_true(real == 0.1);
    assert_true(json_double(STR("1e-999"), &real));
    assert_true(real == 0.0);
    char digits[2000];
    memset(digits, '1', sizeof digits);
    digits[1] = '.';
    assert_true(json_double((struct str){digits, sizeof digits}, &real));
    assert_true(real > 1.1111 && real < 1.1112);
    assert_false(json_double(STR("1e999"), &real));
    assert_false(json_double(STR("\"1\""), &real));
    assert_false(json_double(STR("null"), &real));

    bool yes = false;
    assert_true(json_bool(STR("true"), &yes) && yes);
    assert_true(json_bool(STR("false"), &yes) && !yes);
    assert_false(json_bool(STR("1"), &yes));
    assert_false(json_bool(STR("\"true\""), &yes));
}

static void every_digit_is_kept(void **state)
{
    (void)state;
    struct str text = STR("[1234567890123456789012345678901234567890, 0.10000000000000000000001,"
                          "1e999, -0.0, 1E+02]");
    static const char *const digits[] = {"1234567890123456789012345678901234567890",
                                         "0.10000000000000000000001", "1e999", "-0.0", "1E+02"};
    struct json j;
    json_open(&j, text);
    assert_true(json_enter(&j, '['));
    for (size_t i = 0; i < COUNT(digits); i++) {
        struct str raw;
        assert_true(json_item(&j));
        assert_true(json_value(&j, &raw));
        assert_true(str_is(raw, digits[i]));
    }
    assert_false(json_item(&j));
    assert_true(json_end(&j));
}

static void types_are_told_by_the_first_byte(void **state)
{
    (void)state;
    assert_int_equal(json_type_of(STR("{}")), JSON_OBJECT);
    assert_int_equal(json_type_of(STR("[]")), JSON_ARRAY);
    assert_int_equal(json_type_of(STR("\"\"")), JSON_STRING);
    assert_int_equal(json_type_of(STR("-1")), JSON_NUMBER);
    assert_int_equal(json_type_of(STR("9")), JSON_NUMBER);
    assert_int_equal(json_type_of(STR("true")), JSON_TRUE);
    assert_int_equal(json_type_of(STR("false")), JSON_FALSE);
    assert_int_equal(json_type_of(STR("null")), JSON_NULL);
    assert_int_equal(json_type_of(STR("")), JSON_NONE);
}

static void a_check_takes_null_for_what_nobody_wants(void **state)
{
    (void)state;
    assert_true(json_check(STR("1"), NULL, NULL));
    assert_false(json_check(STR("x"), NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_reads_what_is_there),
        cmocka_unit_test(a_scalar_and_empty_containers_are_texts_too),
        cmocka_unit_test(what_is_not_read_is_passed_and_checked),
        cmocka_unit_test(faults_stick),
        cmocka_unit_test(a_cursor_faults_where_the_text_does),
        cmocka_unit_test(an_end_before_the_end_is_a_fault),
        cmocka_unit_test(a_value_may_be_as_deep_inside_a_message_as_alone),
        cmocka_unit_test(the_last_of_doubled_names_wins),
        cmocka_unit_test(wanted_members_are_found_while_a_text_is_checked),
        cmocka_unit_test(names_compare_by_what_they_mean),
        cmocka_unit_test(texts_have_their_escapes_undone),
        cmocka_unit_test(a_c_string_holds_no_nul),
        cmocka_unit_test(numbers_convert_when_they_fit),
        cmocka_unit_test(every_digit_is_kept),
        cmocka_unit_test(types_are_told_by_the_first_byte),
        cmocka_unit_test(a_check_takes_null_for_what_nobody_wants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
