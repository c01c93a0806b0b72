/* Which values are one id, and what a set remembers of them. core/id_set.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/id_set.h"

#include <stdlib.h>

static const struct id_form plain = {.seed = 7}, by_text = {.seed = 7, .by_text = true};

static struct id id(const char *raw, const struct id_form *form)
{
    struct id out;
    if (!id_of(str_of(raw), form, &out))
        fail_msg("%s is no id", raw);
    return out;
}

static void assert_same(const char *a, const char *b, const struct id_form *form)
{
    if (!id_same(id(a, form), id(b, form)))
        fail_msg("%s and %s are not the same", a, b);
}

static void assert_other(const char *a, const char *b, const struct id_form *form)
{
    if (id_same(id(a, form), id(b, form)))
        fail_msg("%s and %s are the same", a, b);
}

static void values_are_compared_as_python_does(void **state)
{
    (void)state;
    assert_same("1", "1.0", &plain);
    assert_same("1", "true", &plain);
    assert_same("0", "false", &plain);
    assert_same("0", "-0", &plain);
    assert_same("0", "-0.0", &plain);
    assert_same("1e2", "100", &plain);
    assert_same("-1.5", "-15e-1", &plain);
    assert_same("0.1", "0.10", &plain);
    assert_same("0.1", "0.1000000000000000055511151231257827", &plain);
    assert_other("1", "\"1\"", &plain);
    assert_other("1", "-1", &plain);
    assert_other("true", "\"true\"", &plain);
    assert_other("0", "\"\"", &plain);
    assert_other("1", "2", &plain);
    assert_other("1.5", "1", &plain);
}

static void large_numbers_keep_every_digit(void **state)
{
    (void)state;
    assert_other("9007199254740992", "9007199254740993", &plain);
    assert_other("12345678901234567890123", "12345678901234567890124", &plain);
    assert_other("12345678901234567890123", "-12345678901234567890123", &plain);
    assert_same("1e22", "10000000000000000000000", &plain);
    assert_same("-1e22", "-10000000000000000000000", &plain);
    /* 1e23 is the double below it. */
    assert_same("1e23", "99999999999999991611392", &plain);
    assert_other("1e23", "100000000000000000000000", &plain);
    assert_same("999999999999999999", "999999999999999999", &plain);
    assert_other("999999999999999999", "1000000000000000000", &plain);
    assert_same("1e999", "2e999", &plain); /* both are infinite */
    assert_other("1e999", "-1e999", &plain);
    assert_same("1e308", "1e308", &plain);
}

static void texts_are_compared_without_their_escapes(void **state)
{
    (void)state;
    assert_same("\"a\"", "\"\\u0061\"", &plain);
    assert_same("\"\\u00e9\"", "\"é\"", &plain);
    assert_same("\"\\/\"", "\"/\"", &plain);
    assert_same("\"\\ud83d\\ude00\"", "\"😀\"", &plain);
    assert_other("\"a\"", "\"A\"", &plain);
    assert_other("\"e\\u0301\"", "\"é\"", &plain);
    assert_other("\"a\\u0000\"", "\"a\"", &plain);
}

static void what_is_no_scalar_is_no_id(void **state)
{
    (void)state;
    struct id out;
    assert_false(id_of(STR("null"), &plain, &out));
    assert_false(id_of(STR("[1]"), &plain, &out));
    assert_false(id_of(STR("{}"), &plain, &out));
    assert_false(id_of(STR(""), &plain, &out));
    assert_true(id_of(STR("0"), &plain, &out));
    assert_true(id_of(STR("\"\""), &plain, &out));
    assert_true(id_of(STR("false"), &plain, &out));
}

/* A CSV has no types: what was written as 1 may be read as "1". */
static void through_a_csv_types_do_not_count(void **state)
{
    (void)state;
    assert_same("1", "\"1\"", &by_text);
    assert_same("1.0", "\"1\"", &by_text);
    assert_same("true", "\"True\"", &by_text);
    assert_same("false", "\"False\"", &by_text);
    assert_other("7", "\"007\"", &by_text);
    assert_other("\"-\"", "\"1\"", &by_text);
    assert_other("\"1x\"", "\"1\"", &by_text);
    assert_same("\"x\"", "\"x\"", &by_text);
}

static void seeds_and_our_own_numbers_keep_apart(void **state)
{
    (void)state;
    const struct id_form other = {.seed = 8};
    assert_false(id_same(id("1", &plain), id("1", &other)));
    assert_false(id_same(id("1", &plain), id_of_number(1, &plain)));
    assert_true(id_same(id_of_number(5, &plain), id_of_number(5, &plain)));
    assert_false(id_same(id_of_number(5, &plain), id_of_number(6, &plain)));
}

static void an_id_is_known_with_its_flags(void **state)
{
    (void)state;
    OWNED(id_set) struct id_set *s = id_set_new();
    struct id a = id("1", &plain), b = id("\"b\"", &plain);
    assert_int_equal(id_set_get(s, a), 0);
    id_set_unmark(s, a, ID_SEEN);
    id_set_prefetch(s, a);
    assert_int_equal(id_set_mark(s, a, ID_IN_OUTPUT), 0);
    assert_int_equal(id_set_mark(s, a, ID_SEEN), ID_IN_OUTPUT);
    assert_int_equal(id_set_get(s, a), ID_IN_OUTPUT | ID_SEEN);
    assert_int_equal(id_set_get(s, b), 0);
    id_set_unmark(s, a, ID_IN_OUTPUT);
    assert_int_equal(id_set_get(s, a), ID_SEEN);
    id_set_unmark(s, a, ID_SEEN | ID_RERUN);
    assert_int_equal(id_set_get(s, a), 0);
    assert_int_equal(id_set_mark(s, a, ID_RERUN | ID_FAILED | ID_FAILED_AGAIN), 0);
    assert_int_equal(id_set_count(s), 1);
}

static void many_ids_are_kept_apart(void **state)
{
    (void)state;
    enum { COUNT = 300000 };
    OWNED(id_set) struct id_set *s = id_set_new();
    for (int64_t i = 0; i < COUNT; i++) {
        struct id one = id_of_number(i * 3, &plain);
        id_set_prefetch(s, one);
        assert_int_equal(id_set_mark(s, one, i % 2 ? ID_SEEN : ID_NOTED), 0);
    }
    assert_int_equal(id_set_count(s), COUNT);
    for (int64_t i = 0; i < 3 * COUNT; i++) {
        unsigned expected = i % 3 ? 0 : i / 3 % 2 ? ID_SEEN : ID_NOTED;
        if (id_set_get(s, id_of_number(i, &plain)) != expected)
            fail_msg("%lld", (long long)i);
    }
}

static void room_that_is_made_beforehand_changes_nothing(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    OWNED(id_set) struct id_set *s = id_set_new();
    id_set_expect(s, 10);
    for (int64_t i = 0; i < COUNT; i++) {
        if (i == COUNT / 2)
            id_set_expect(s, 40 * COUNT);
        if (i == COUNT - 1)
            id_set_expect(s, 0);
        assert_int_equal(id_set_mark(s, id_of_number(i, &plain), ID_NOTED), 0);
    }
    assert_int_equal(id_set_count(s), COUNT);
    for (int64_t i = 0; i < 2 * COUNT; i++)
        assert_int_equal(id_set_get(s, id_of_number(i, &plain)), i < COUNT ? ID_NOTED : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_compared_as_python_does),
        cmocka_unit_test(large_numbers_keep_every_digit),
        cmocka_unit_test(texts_are_compared_without_their_escapes),
        cmocka_unit_test(what_is_no_scalar_is_no_id),
        cmocka_unit_test(through_a_csv_types_do_not_count),
        cmocka_unit_test(seeds_and_our_own_numbers_keep_apart),
        cmocka_unit_test(an_id_is_known_with_its_flags),
        cmocka_unit_test(many_ids_are_kept_apart),
        cmocka_unit_test(room_that_is_made_beforehand_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
