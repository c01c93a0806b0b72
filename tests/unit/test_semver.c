/* test_semver.c: versions of functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/semver.h"

static void versions_are_recognised(void **state)
{
    static const char *const good[] = {
        "0",          "1",         "1.2",     "1.2.3", "0.0.0", "12345678.0.0",
        "1.0.0-beta", "1-a.b-c_d", "1.2.3-1", "00.1.2"};
    static const char *const bad[] = {"",        ".",
                                      "1.",      "1..2",
                                      "1.2.3.4", "a",
                                      "1.2.x",   "1.2.3-",
                                      "v1.2",    "1.2.3 ",
                                      " 1.2.3",  "123456789",
                                      "-1",      "1.2.3-\xc3\xa4",
                                      "1.2+b",   "1.0.0-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct semver v;
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(semver_parse(str_of(good[i]), &v, &err));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(semver_parse(str_of(bad[i]), &v, &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void versions_have_a_semantic_order(void **state)
{
    static const char *const grow[] = {"no version", "0.0.0",    "0.9.9",       "1.0.0-1",
                                       "1.0.0-2",    "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1",
                                       "1.0.0-beta", "1.0.0",    "1.0.1",       "1.2",
                                       "2.0.0",      "9.0.0",    "10.0.0",      "12345678"};
    size_t count = sizeof grow / sizeof *grow;
    (void)state;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++) {
            int by = semver_compare_texts(str_of(grow[i]), str_of(grow[k]));
            assert_int_equal((by > 0) - (by < 0), (i > k) - (i < k));
        }
    assert_int_equal(semver_compare_texts(STR("1"), STR("1.0.0")), 0);
    assert_int_equal(semver_compare_texts(STR("1.0-01"), STR("1.0-1")), 0);
}

static void patterns_match(void **state)
{
    static const struct {
        const char *pattern, *version;
        bool matches;
    } table[] = {
        {"*", "1.2.3", true},         {"*", "1.2.3-b", true},     {"1.*", "1.9", true},
        {"1.*", "10.0", false},       {"1.2.*", "1.2.7", true},   {"1.2.*", "1.3.0", false},
        {"1.2.3", "1.2.3", true},     {"1.2", "1.2.0", false},    {"=1.2", "1.2.0", true},
        {">1.2.0", "1.2.1", true},    {">1.2.0", "1.2.0", false}, {">=1.2.0", "1.2.0", true},
        {"<2", "1.9.9", true},        {"<2", "2.0.0", false},     {"<=2", "2.0.0", true},
        {"^1.2", "1.9.0", true},      {"^1.2", "1.1.0", false},   {"^1.2", "2.0.0", false},
        {"~1.2.3", "1.2.9", true},    {"~1.2.3", "1.3.0", false}, {">=1.2  <2", "1.5.0", true},
        {">=1.2 <2", "2.5.0", false}, {"1.0-b", "1.0-b", true},   {"=1.0", "1.0-b", false},
    };
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_true(semver_pattern_check(str_of(table[i].pattern), &err));
        bool got = semver_matches(str_of(table[i].pattern), str_of(table[i].version));
        if (got != table[i].matches)
            fail_msg("%s and %s", table[i].pattern, table[i].version);
    }
    assert_false(semver_matches(STR("*"), STR("no version")));
}

static void what_is_no_pattern_is_refused(void **state)
{
    static const char *const bad[] = {"",  "  ", "1.*.2",   "*.1", "**",   "1*",
                                      ">", ">x", "1.2.3.*", "^*",  "1.0 x"};
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(semver_pattern_check(str_of(bad[i]), &err));
        assert_int_equal(err.code, ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_are_recognised),
        cmocka_unit_test(versions_have_a_semantic_order),
        cmocka_unit_test(patterns_match),
        cmocka_unit_test(what_is_no_pattern_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
