/* Options as tables: what a command line may say, and what is answered to a slip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/option_member.h"

#include <string.h>

static const struct option first[] = {
    {.name = "port", .value = "N"},
    {.name = "data", .value = "DIR", .many = true},
    {.name = "json"},
    {0},
};
static const struct option second[] = {
    {.name = "key", .value = "KEY", .variable = "PENSTOCK_TEST_KEY"},
    {.name = "size", .value = "BYTES"},
    {0},
};
static const struct option *const tables[] = {first, second, NULL};

enum { WORDS_MAX = 8 };

/* Reads words up to NULL. */
static bool read_words(const char *const *words, struct options **out, struct err *err)
{
    static char *argv[WORDS_MAX];
    int argc = 0;
    for (; words[argc]; argc++)
        argv[argc] = (char *)(uintptr_t)words[argc];
    return options_read(tables, argc, argv, out, err);
}
#define READ(out, err, ...)                                                                        \
    read_words((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL}, out, err)

static void values_come_from_the_next_word_or_behind_an_equals_sign(void **state)
{
    (void)state;
    struct err err;
    OWNED(options) struct options *o = NULL;
    assert_true(READ(&o, &err, "--port", "80", "--key=a=b", "--json"));
    assert_string_equal(options_text(o, "port"), "80");
    assert_string_equal(options_text(o, "key"), "a=b");
    assert_true(options_has(o, "json"));
    assert_false(options_has(o, "size"));
    assert_null(options_text(o, "size"));
    assert_int_equal(options_argument_count(o), 0);
}

static void an_empty_value_is_a_value(void **state)
{
    (void)state;
    struct err err;
    OWNED(options) struct options *o = NULL;
    assert_true(READ(&o, &err, "--key="));
    assert_string_equal(options_text(o, "key"), "");
}

static void arguments_stand_anywhere_and_two_minuses_end_the_options(void **state)
{
    (void)state;
    struct err err;
    OWNED(options) struct options *o = NULL;
    assert_true(READ(&o, &err, "one", "--json", "-", "--", "--port"));
    assert_int_equal(options_argument_count(o), 3);
    assert_string_equal(options_argument(o, 0), "one");
    assert_string_equal(options_argument(o, 1), "-");
    assert_string_equal(options_argument(o, 2), "--port");
    assert_null(options_argument(o, 3));
    assert_false(options_has(o, "port"));
}

static void what_may_be_repeated_keeps_its_order(void **state)
{
    (void)state;
    struct err err;
    OWNED(options) struct options *o = NULL;
    assert_true(READ(&o, &err, "--data", "a", "--data=b"));
    assert_int_equal(options_count(o, "data"), 2);
    assert_string_equal(options_at(o, "data", 0), "a");
    assert_string_equal(options_at(o, "data", 1), "b");
    assert_null(options_at(o, "data", 2));
}

static void a_variable_stands_in_and_the_option_is_stronger(void **state)
{
    (void)state;
    struct err err;
    OWNED(options) struct options *none = NULL;
    OWNED(options) struct options *given = NULL;
    setenv("PENSTOCK_TEST_KEY", "env", 1);
    assert_true(READ(&none, &err));
    assert_string_equal(options_text(none, "key"), "env");
    assert_false(options_has(none, "key"));
    assert_true(READ(&given, &err, "--key", "word"));
    assert_string_equal(options_text(given, "key"), "word");
    setenv("PENSTOCK_TEST_KEY", "", 1);
    assert_null(options_text(none, "key"));
    unsetenv("PENSTOCK_TEST_KEY");
    assert_null(options_text(none, "key"));
}

static void assert_refused(bool good, const struct err *err, const char *text)
{
    assert_false(good);
    assert_int_equal(err->code, ERR_INVALID);
    assert_string_equal(err->text, text);
}

static void slips_are_refused_with_what_to_do(void **state)
{
    (void)state;
    struct err err;
    struct options *o = NULL;
    assert_refused(READ(&o, &err, "--prot", "1"), &err, "no option --prot; do you mean --port?");
    assert_refused(READ(&o, &err, "--si"), &err, "no option --si; do you mean --size?");
    assert_refused(READ(&o, &err, "--colour"), &err, "no option --colour");
    assert_refused(READ(&o, &err, "--port"), &err, "--port needs a value (N)");
    assert_refused(READ(&o, &err, "--json=1"), &err, "--json takes no value");
    assert_refused(READ(&o, &err, "--port=1", "--port=1"), &err, "--port is given twice");
    assert_refused(READ(&o, &err, "-p"), &err, "no option -p; options have long names (--help)");
    assert_refused(READ(&o, &err, "--p=1"), &err, "no option --p");
    assert_null(o);
}

static void numbers_are_checked_and_name_their_option(void **state)
{
    (void)state;
    struct err err;
    int64_t n = 0;
    OWNED(options) struct options *o = NULL;
    assert_true(READ(&o, &err, "--port", "80", "--size", "2K"));
    assert_true(options_i64(o, "port", 0, 100, 5, &n, &err));
    assert_int_equal(n, 80);
    assert_true(options_bytes(o, "size", 0, 4096, 5, &n, &err));
    assert_int_equal(n, 2048);
    assert_true(options_i64(o, "key", 0, 100, 5, &n, &err));
    assert_int_equal(n, 5);
    assert_refused(options_i64(o, "port", 0, 79, 5, &n, &err), &err,
                   "--port: '80' is not a whole number from 0 to 79");
    assert_false(options_bytes(o, "size", 0, 100, 5, &n, &err));
    assert_int_equal(n, 5);
}

static void a_word_is_one_of_a_list(void **state)
{
    (void)state;
    static const char *const words[] = {"none", "keys", NULL};
    struct err err;
    int word = 7;
    OWNED(options) struct options *o = NULL;
    assert_true(READ(&o, &err, "--port", "keys", "--key", "perhaps"));
    assert_true(options_word(o, "port", words, 0, &word, &err));
    assert_int_equal(word, 1);
    assert_true(options_word(o, "size", words, 0, &word, &err));
    assert_int_equal(word, 0);
    assert_refused(options_word(o, "key", words, 0, &word, &err), &err,
                   "--key: \"perhaps\" is none of none, keys");
}

static void the_nearest_word_is_a_slip_away_or_none(void **state)
{
    (void)state;
    static const char *const words[] = {"serve", "job start", "job list"};
    assert_string_equal(option_nearest("serv", words, 3), "serve");
    assert_string_equal(option_nearest("jbo list", words, 3), "job list");
    assert_null(option_nearest("doctor", words, 3));
    assert_null(option_nearest("", words, 3));
    char endless[200];
    for (size_t i = 0; i < sizeof endless; i++)
        endless[i] = 's';
    endless[sizeof endless - 1] = '\0';
    assert_null(option_nearest(endless, words, 3));
}

static void they_become_members_of_a_body(void **state)
{
    (void)state;
    struct err err;
    struct json_out out;
    OWNED_BUF struct buf body;
    OWNED(options) struct options *o = NULL;
    assert_true(READ(&o, &err, "--port", " 8e1 ", "--key", "{\"a\": 1}", "--size", "\"q\""));
    buf_init(&body, BUF_NO_CAP);
    json_out_init(&out, &body);
    json_out_open(&out, '{');
    option_member_text(o, "size", "text", &out);
    option_member_text(o, "data", "none", &out);
    assert_true(option_member_number(o, "port", "number", &out, &err));
    assert_true(option_member_number(o, "data", "none", &out, &err));
    assert_true(option_member_json(o, "key", "any", &out, &err));
    assert_true(option_member_json(o, "data", "none", &out, &err));
    assert_refused(option_member_number(o, "key", "n", &out, &err), &err,
                   "--key: \"{\"a\": 1}\" is no number");
    json_out_close(&out, '}');
    assert_true(
        str_is(buf_str(&body), "{\"text\":\"\\\"q\\\"\",\"number\":8e1,\"any\":{\"a\": 1}}"));
}

static void what_is_no_json_becomes_no_member(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "x", "1 2", "{", "nan", "1e999"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct err err;
        struct json_out out;
        OWNED_BUF struct buf body;
        OWNED(options) struct options *o = NULL;
        OWNED_MEM char *word = xasprintf("--port=%s", texts[i]);
        OWNED_MEM char *told = xasprintf("--port: \"%s\" is no number", texts[i]);
        OWNED_MEM char *told_json = xasprintf("--port: \"%s\" is no JSON", texts[i]);
        assert_true(READ(&o, &err, word));
        buf_init(&body, BUF_NO_CAP);
        json_out_init(&out, &body);
        assert_refused(option_member_number(o, "port", "n", &out, &err), &err, told);
        if (strcmp(texts[i], "1e999") != 0)
            assert_refused(option_member_json(o, "port", "n", &out, &err), &err, told_json);
        assert_int_equal(body.len, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_from_the_next_word_or_behind_an_equals_sign),
        cmocka_unit_test(an_empty_value_is_a_value),
        cmocka_unit_test(arguments_stand_anywhere_and_two_minuses_end_the_options),
        cmocka_unit_test(what_may_be_repeated_keeps_its_order),
        cmocka_unit_test(a_variable_stands_in_and_the_option_is_stronger),
        cmocka_unit_test(slips_are_refused_with_what_to_do),
        cmocka_unit_test(they_become_members_of_a_body),
        cmocka_unit_test(what_is_no_json_becomes_no_member),
        cmocka_unit_test(numbers_are_checked_and_name_their_option),
        cmocka_unit_test(a_word_is_one_of_a_list),
        cmocka_unit_test(the_nearest_word_is_a_slip_away_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
