/* test_outage.c: what is said of a server that is away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/outage.h"

#define S INT64_C(1000000)

static void a_short_absence_is_not_worth_a_word(void **state)
{
    struct outage o = {0};
    char text[OUTAGE_TEXT_BYTES] = "";
    (void)state;
    assert_false(outage_answered(&o, 0, text));
    assert_false(outage_failed(&o, 5 * S, "refused", text));
    assert_false(outage_failed(&o, 6 * S - 1, "refused", text));
    assert_false(outage_answered(&o, 6 * S, text));
    assert_false(outage_failed(&o, 7 * S, "refused", text));
    assert_string_equal(text, "");
}

static void a_long_one_is_said_ever_more_rarely(void **state)
{
    struct outage o = {0};
    char text[OUTAGE_TEXT_BYTES];
    int64_t said[16] = {0};
    size_t count = 0;
    (void)state;
    for (int64_t now = 0; now <= 3000; now++)
        if (outage_failed(&o, now * S, "refused", text))
            said[count++] = now;
    const int64_t expected[] = {1, 31, 91, 211, 451, 931, 1531, 2131, 2731};
    assert_int_equal(count, sizeof expected / sizeof *expected);
    assert_memory_equal(said, expected, sizeof expected);
}

static void the_texts_say_how_long(void **state)
{
    struct outage o = {0};
    char text[OUTAGE_TEXT_BYTES];
    (void)state;
    assert_false(outage_failed(&o, 1 * S, "refused", text));
    assert_true(outage_failed(&o, 2 * S, "refused", text));
    assert_string_equal(text, "waiting for the server: refused");
    assert_true(outage_failed(&o, 32 * S, "no route", text));
    assert_string_equal(text, "waiting for the server, away for 31 s: no route");
    assert_true(outage_answered(&o, 96 * S, text));
    assert_string_equal(text, "the server is back, after 1 min 35 s");
    assert_false(outage_answered(&o, 97 * S, text));
    assert_false(outage_failed(&o, 98 * S, "refused", text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_absence_is_not_worth_a_word),
        cmocka_unit_test(a_long_one_is_said_ever_more_rarely),
        cmocka_unit_test(the_texts_say_how_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
