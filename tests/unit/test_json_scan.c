/* What is JSON and what is not, and where the fault is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"

#include <stdlib.h>

/* The text in an allocation of its very size, so that a read behind it is seen by ASan, and at
 * every distance from the end, because wide steps go over to narrow ones there. */
static bool check_at_distance(struct str text, size_t blanks, size_t *at, const char **why)
{
    char *copy = malloc(text.len + blanks + 1);
    assert_non_null(copy);
    if (text.len)
        memcpy(copy, text.ptr, text.len);
    memset(copy + text.len, ' ', blanks);
    bool ok = json_check((struct str){copy, text.len + blanks}, at, why);
    free(copy);
    return ok;
}

static void assert_valid(struct str text)
{
    for (size_t blanks = 0; blanks < 40; blanks++) {
        size_t at = 0;
        const char *why = "";
        if (!check_at_distance(text, blanks, &at, &why))
            fail_msg("refused at byte %zu, %s: %.*s", at, why, (int)text.len, text.ptr);
    }
}

static void assert_invalid(struct str text, size_t fault_at, const char *fault)
{
    for (size_t blanks = 0; blanks < 40; blanks++) {
        size_t at = SIZE_MAX;
        const char *why = NULL;
        if (check_at_distance(text, blanks, &at, &why))
            fail_msg("taken: %.*s", (int)text.len, text.ptr);
        assert_non_null(why);
        if (blanks)
            continue;
        if (at != fault_at || !strstr(why, fault))
            fail_msg("at %zu '%s', not at %zu '%s': %.*s", at, why, fault_at, fault, (int)text.len,
                     text.ptr);
    }
}

struct refused {
    struct str text;
    size_t at;
    const char *why;
};

static void refuses_all(const struct refused *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_invalid(rows[i].text, rows[i].at, rows[i].why);
}

#define COUNT(table) (sizeof(table) / sizeof *(table))

static void takes_what_is_json(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1",
        "-1",
        "10",
        "123456789012345678901234567890123",
        "0.5",
        "-0.5",
        "1.25",
        "0.0000",
        "1e999",
        "1E9",
        "1e+9",
        "1e-9",
        "0e0",
        "0E+0",
        "1.5e3",
        "1e00009",
        "-1.0e-0",
        "\"\"",
        "\"a\"",
        "\"\\\"\"",
        "\"\\\\\"",
        "\"\\/\"",
        "\"\\b\\f\\n\\r\\t\"",
        "\"\\u0000\"",
        "\"\\u00e4\"",
        "\"\\uD83D\\uDE00\"",
        "\"\\ud83d\\ude00\"",
        "\"\\uDBFF\\uDFFF\"",
        "\"\\uFFFF\"",
        "\"\x7f\"",
        "\"a\\u0062c\"",
        "\"/\"",
        "\"'\"",
        "\"// no comment\"",
        "[]",
        "[ ]",
        "[1]",
        "[1,2]",
        "[1 , 2 ]",
        "[[],[[]],{}]",
        "[null,true,false,\"x\",{\"a\":[]}]",
        "{}",
        "{ }",
        "{\"a\":1}",
        "{\"\":0}",
        "{\"a\":1,\"a\":2}",
        "{ \"a\" : { \"b\" : [ { } , [ ] ] } }",
        "{\"\\u0061\":\"\\u0062\"}",
        " \t\r\n1\r\n\t ",
        "\n[\n]\n",
        "[-0.0,-1e1]",
        "{\"id\": 123456, \"name\": \"n\", \"n\": 1.25, \"tags\": [\"a\", \"b\"], \"ok\": true}",
        "\"exactly 16 byte!\"",
        "\"more than sixteen bytes and then an \\n escape and more\""};
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_valid(str_of(texts[i]));
}

static void refuses_what_is_cut_short(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",          " ",           "\n\n",         "-",
        "1.",        "1e",          "1e+",          "t",
        "tru",       "fals",        "nul",          "\"",
        "\"abc",     "\"abc\\",     "\"\\u",        "\"\\u12",
        "\"\\ud800", "\"\\ud800\\", "\"\\ud800\\u", "\"\\ud800\\udc0",
        "[",         "[ ",          "[1",           "[1 ",
        "[1,",       "[1, ",        "[[]",          "{",
        "{ ",        "{\"a",        "{\"a\"",       "{\"a\" ",
        "{\"a\":",   "{\"a\": ",    "{\"a\":1",     "{\"a\":1,",
        "{\"a\":{}", "[\"a\""};
    for (size_t i = 0; i < COUNT(texts); i++) {
        size_t at = 0;
        const char *why = NULL;
        assert_false(check_at_distance(str_of(texts[i]), 0, &at, &why));
        assert_string_equal(why, "the text ends too early");
        assert_int_equal(at, strlen(texts[i]));
    }
}

static void says_what_is_wrong_and_where(void **state)
{
    (void)state;
    static const struct refused rows[] = {
        {STR_INIT("tree"), 2, "expected a value"},
        {STR_INIT("True"), 0, "expected a value"},
        {STR_INIT("NaN"), 0, "expected a value"},
        {STR_INIT("nan"), 1, "expected a value"},
        {STR_INIT("Infinity"), 0, "expected a value"},
        {STR_INIT("-Infinity"), 1, "expected a digit"},
        {STR_INIT("+1"), 0, "expected a value"},
        {STR_INIT(".5"), 0, "expected a value"},
        {STR_INIT("01"), 1, "leading zero"},
        {STR_INIT("-01"), 2, "leading zero"},
        {STR_INIT("00"), 1, "leading zero"},
        {STR_INIT("[012]"), 2, "leading zero"},
        {STR_INIT("--1"), 1, "expected a digit"},
        {STR_INIT("- 1"), 1, "expected a digit"},
        {STR_INIT("1.x"), 2, "expected a digit"},
        {STR_INIT("[1.]"), 3, "expected a digit"},
        {STR_INIT("1.e5"), 2, "expected a digit"},
        {STR_INIT("[1e]"), 3, "expected a digit"},
        {STR_INIT("1e+-1"), 3, "expected a digit"},
        {STR_INIT("1.2.3"), 3, "more than one value"},
        {STR_INIT("0x1f"), 1, "more than one value"},
        {STR_INIT("1_000"), 1, "more than one value"},
        {STR_INIT("1 2"), 2, "more than one value"},
        {STR_INIT("{}{}"), 2, "more than one value"},
        {STR_INIT("truex"), 4, "more than one value"},
        {STR_INIT("nullnull"), 4, "more than one value"},
        {STR_INIT("[]]"), 2, "more than one value"},
        {STR_INIT("1\0"), 1, "more than one value"},
        {STR_INIT("\v1"), 0, "expected a value"},
        {STR_INIT("\xc2\xa0"
                  "1"),
         0, "expected a value"},
        {STR_INIT("\xef\xbb\xbf{}"), 0, "expected a value"},
        {STR_INIT("'a'"), 0, "expected a value"},
        {STR_INIT("[,]"), 1, "expected a value"},
        {STR_INIT("[,1]"), 1, "expected a value"},
        {STR_INIT("[1,]"), 3, "expected a value"},
        {STR_INIT("[1,,2]"), 3, "expected a value"},
        {STR_INIT("[1 2]"), 3, "expected ',' or ']'"},
        {STR_INIT("[1}"), 2, "expected ',' or ']'"},
        {STR_INIT("[1:2]"), 2, "expected ',' or ']'"},
        {STR_INIT("[}"), 1, "expected a value"},
        {STR_INIT("]"), 0, "expected a value"},
        {STR_INIT("}"), 0, "expected a value"},
        {STR_INIT(","), 0, "expected a value"},
        {STR_INIT("[1] // x"), 4, "more than one value"},
        {STR_INIT("/* x */ 1"), 0, "expected a value"},
        {STR_INIT("[1 /* x */]"), 3, "expected ',' or ']'"},
        {STR_INIT("# x\n1"), 0, "expected a value"},
        {STR_INIT("{1:2}"), 1, "expected a name in quotes"},
        {STR_INIT("{a:1}"), 1, "expected a name in quotes"},
        {STR_INIT("{'a':1}"), 1, "expected a name in quotes"},
        {STR_INIT("{null:1}"), 1, "expected a name in quotes"},
        {STR_INIT("{,}"), 1, "expected a name in quotes"},
        {STR_INIT("{\"a\":1,}"), 7, "expected a name in quotes"},
        {STR_INIT("{\"a\":1,,}"), 7, "expected a name in quotes"},
        {STR_INIT("{]"), 1, "expected a name in quotes"},
        {STR_INIT("{\"a\" 1}"), 5, "expected ':'"},
        {STR_INIT("{\"a\"}"), 4, "expected ':'"},
        {STR_INIT("{\"a\",1}"), 4, "expected ':'"},
        {STR_INIT("{\"a\"::1}"), 5, "expected a value"},
        {STR_INIT("{\"a\":}"), 5, "expected a value"},
        {STR_INIT("{\"a\":1 \"b\":2}"), 7, "expected ',' or '}'"},
        {STR_INIT("{\"a\":1]"), 6, "expected ',' or '}'"},
        {STR_INIT("{\"a\":[}]"), 6, "expected a value"},
    };
    refuses_all(rows, COUNT(rows));
}

static void refuses_bad_escapes(void **state)
{
    (void)state;
    static const struct refused rows[] = {
        {STR_INIT("\"\\x41\""), 2, "unknown escape"},
        {STR_INIT("\"\\a\""), 2, "unknown escape"},
        {STR_INIT("\"\\'\""), 2, "unknown escape"},
        {STR_INIT("\"\\N\""), 2, "unknown escape"},
        {STR_INIT("\"\\U0041\""), 2, "unknown escape"},
        {STR_INIT("\"\\0\""), 2, "unknown escape"},
        {STR_INIT("\"\\\0\""), 2, "unknown escape"},
        {STR_INIT("\"\\\n\""), 2, "unknown escape"},
        {STR_INIT("\"\\\xc3\xa4\""), 2, "unknown escape"},
        {STR_INIT("\"\\u\""), 3, "four hex digits"},
        {STR_INIT("\"\\u12\""), 5, "four hex digits"},
        {STR_INIT("\"\\u123\""), 6, "four hex digits"},
        {STR_INIT("\"\\u12g4\""), 5, "four hex digits"},
        {STR_INIT("\"\\u+123\""), 3, "four hex digits"},
        {STR_INIT("\"\\u 123\""), 3, "four hex digits"},
        {STR_INIT("\"\\u12@4\""), 5, "four hex digits"},
        {STR_INIT("\"\\u12`4\""), 5, "four hex digits"},
        {STR_INIT("\"\\ud800\""), 1, "lone surrogate"},
        {STR_INIT("\"\\uDBFF\""), 1, "lone surrogate"},
        {STR_INIT("\"\\udc00\""), 1, "lone surrogate"},
        {STR_INIT("\"\\udfff\""), 1, "lone surrogate"},
        {STR_INIT("\"\\ud800x\""), 1, "lone surrogate"},
        {STR_INIT("\"\\ud800\\n\""), 1, "lone surrogate"},
        {STR_INIT("\"\\ud800\\u0041\""), 1, "lone surrogate"},
        {STR_INIT("\"\\ud800\\ud800\""), 1, "lone surrogate"},
        {STR_INIT("\"\\udc00\\ud800\""), 1, "lone surrogate"},
        {STR_INIT("\"\\udc00\\udc00\""), 1, "lone surrogate"},
        {STR_INIT("\"\\ud800\\ue000\""), 1, "lone surrogate"},
        {STR_INIT("\"\\ud800\\udbff\""), 1, "lone surrogate"},
        {STR_INIT("\"\\ud83d\\ude00\\ude00\""), 13, "lone surrogate"},
        {STR_INIT("\"\\ud800\\u12x4\""), 11, "four hex digits"},
        {STR_INIT("{\"\\ud800\":1}"), 2, "lone surrogate"},
        {STR_INIT("{\"\\q\":1}"), 3, "unknown escape"},
    };
    refuses_all(rows, COUNT(rows));
}

static void refuses_control_characters_in_strings(void **state)
{
    (void)state;
    /* At every place of the 16 that are looked at together, and behind them. */
    for (unsigned char c = 0; c < 0x20; c++)
        for (size_t i = 1; i < 40; i++) {
            char text[42];
            memset(text, 'x', sizeof text);
            text[0] = text[41] = '"';
            text[i] = (char)c;
            assert_invalid((struct str){text, sizeof text}, i, "control character");
        }
}

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

static void nesting_ends_at_64(void **state)
{
    (void)state;
    char text[1000];
    assert_valid(nested(text, 64, "[", "]"));
    assert_valid(nested(text, 64, "{\"a\":", "}"));
    assert_valid(nested(text, 32, "[{\"a\":", "}]"));
    assert_invalid(nested(text, 65, "[", "]"), 64, "too many containers");
    assert_invalid(nested(text, 65, "{\"a\":", "}"), (size_t)64 * 5, "too many containers");
    assert_invalid(nested(text, 33, "[{\"a\":", "}]"), (size_t)32 * 6, "too many containers");
    /* Closed ones do not count. */
    struct buf many;
    buf_init(&many, BUF_NO_CAP);
    for (int i = 0; i < 200; i++)
        buf_add_text(&many, i ? ",[{}]" : "[[{}]");
    buf_add_char(&many, ']');
    assert_valid(buf_str(&many));
    buf_release(&many);
}

static void containers_left_and_entered_keep_their_kind(void **state)
{
    (void)state;
    assert_valid(STR("[{\"a\":[{}]},[{\"b\":[]}],{\"c\":{\"d\":[1,{\"e\":2}]}}]"));
    assert_invalid(STR("[{\"a\":[1},2]"), 8, "expected ',' or ']'");
    assert_invalid(STR("[{\"a\":[]],2]"), 8, "expected ',' or '}'");
    assert_invalid(STR("{\"a\":{\"b\":1}]"), 12, "expected ',' or '}'");
}

/* `text` at every place within ASCII, Cyrillic and a string's ends. */
static void each_place(struct str text, void (*look)(struct str, size_t))
{
    static const char *const fillers[] = {"x", "\xd0\xb6", "\xe6\xbc\xa2", "\xf0\x9f\x98\x80"};
    for (size_t filler = 0; filler < COUNT(fillers); filler++)
        for (int before = 0; before < 24; before++)
            for (int after = 0; after < 24; after += 5) {
                struct buf s;
                buf_init(&s, BUF_NO_CAP);
                buf_add_char(&s, '"');
                for (int i = 0; i < before; i++)
                    buf_add_text(&s, fillers[filler]);
                size_t at = s.len;
                buf_add_str(&s, text);
                for (int i = 0; i < after; i++)
                    buf_add_text(&s, fillers[filler]);
                buf_add_char(&s, '"');
                look(buf_str(&s), at);
                buf_release(&s);
            }
}

static void look_valid(struct str text, size_t at)
{
    (void)at;
    char *copy = xstrndup(text.ptr, text.len); /* ends where the text ends, but for a NUL */
    size_t fault_at = 0;
    if (!json_check((struct str){copy, text.len}, &fault_at, NULL))
        fail_msg("refused at %zu of %zu", fault_at, text.len);
    free(copy);
}

static void look_invalid(struct str text, size_t at)
{
    size_t fault_at = 0;
    const char *why = NULL;
    if (json_check(text, &fault_at, &why))
        fail_msg("taken: %.*s", (int)text.len, text.ptr);
    assert_string_equal(why, "not well-formed UTF-8");
    assert_int_equal(fault_at, at);
}

static void takes_well_formed_utf8(void **state)
{
    (void)state;
    static const char *const texts[] = {"\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xe0\xbf\xbf",
                                        "\xe1\x80\x80",
                                        "\xec\xbf\xbf",
                                        "\xed\x80\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xef\xbf\xbf",
                                        "\xef\xbf\xbd",
                                        "\xf0\x90\x80\x80",
                                        "\xf0\xbf\xbf\xbf",
                                        "\xf1\x80\x80\x80",
                                        "\xf3\xbf\xbf\xbf",
                                        "\xf4\x80\x80\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "\xef\xbb\xbf",
                                        "a\xc3\xa4o\xc3\xb6u\xc3\xbc"};
    for (size_t i = 0; i < COUNT(texts); i++)
        each_place(str_of(texts[i]), look_valid);
}

static void refuses_malformed_utf8(void **state)
{
    (void)state;
    static const char *const texts[] = {"\x80",
                                        "\xbf",
                                        "\xc0\x80",
                                        "\xc0\xaf",
                                        "\xc1\xbf",
                                        "\xc2",
                                        "\xc2"
                                        "A",
                                        "\xc2\xc2\x80",
                                        "\xc2\xe1\x80\x80",
                                        "\xdf"
                                        "x",
                                        "\xe0\x80\x80",
                                        "\xe0\x9f\xbf",
                                        "\xe0\xa0",
                                        "\xe0\xa0"
                                        "A",
                                        "\xe1\x80",
                                        "\xe1"
                                        "A\x80",
                                        "\xe1\x80\xc2\x80",
                                        "\xed\xa0\x80",
                                        "\xed\xbf\xbf",
                                        "\xed\xa0\xbd\xed\xb8\x80",
                                        "\xf0\x80\x80\x80",
                                        "\xf0\x8f\xbf\xbf",
                                        "\xf0\x9f\x98",
                                        "\xf0\x9f\x98"
                                        "A",
                                        "\xf0\x9f"
                                        "A",
                                        "\xf0"
                                        "A",
                                        "\xf1\x80\x80\xf1\x80\x80\x80",
                                        "\xf4\x90\x80\x80",
                                        "\xf4\xbf\xbf\xbf",
                                        "\xf5\x80\x80\x80",
                                        "\xf7\xbf\xbf\xbf",
                                        "\xf8\x88\x80\x80\x80",
                                        "\xfc\x84\x80\x80\x80\x80",
                                        "\xfe",
                                        "\xff",
                                        "\xfe\xff",
                                        "\xff\xfe"};
    for (size_t i = 0; i < COUNT(texts); i++)
        each_place(str_of(texts[i]), look_invalid);
}

static void refuses_utf8_cut_anywhere(void **state)
{
    (void)state;
    static const char *const texts[] = {"\xc3\xa4", "\xe6\xbc\xa2", "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < COUNT(texts); i++)
        for (size_t cut = 1; cut < strlen(texts[i]); cut++) {
            each_place((struct str){texts[i], cut}, look_invalid);
            /* By the end of the text, too. */
            for (size_t before = 0; before < 20; before++) {
                char text[40] = "\"";
                memset(text + 1, 'x', before);
                memcpy(text + 1 + before, texts[i], cut);
                size_t at = 0;
                const char *why = NULL;
                assert_false(check_at_distance((struct str){text, 1 + before + cut}, 0, &at, &why));
                assert_int_equal(at, 1 + before);
            }
        }
}

static void a_surplus_continuation_byte_is_refused_where_it_stands(void **state)
{
    (void)state;
    char text[60] = "\"";
    for (size_t i = 1; i < 58; i += 2)
        memcpy(text + i, "\xd0\xb6", 2);
    text[59] = '"';
    for (size_t i = 1; i < 57; i += 2) {
        char copy[60];
        memcpy(copy, text, sizeof copy);
        memmove(copy + i + 3, copy + i + 2, sizeof copy - i - 3);
        copy[i + 2] = '\x80';
        look_invalid((struct str){copy, sizeof copy}, i + 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_json),
        cmocka_unit_test(refuses_what_is_cut_short),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(refuses_bad_escapes),
        cmocka_unit_test(refuses_control_characters_in_strings),
        cmocka_unit_test(nesting_ends_at_64),
        cmocka_unit_test(containers_left_and_entered_keep_their_kind),
        cmocka_unit_test(takes_well_formed_utf8),
        cmocka_unit_test(refuses_malformed_utf8),
        cmocka_unit_test(refuses_utf8_cut_anywhere),
        cmocka_unit_test(a_surplus_continuation_byte_is_refused_where_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
