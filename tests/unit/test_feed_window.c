/* test_feed_window.c: how many records a program is given ahead of its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/feed_window.h"

static void a_fast_program_is_given_more_and_more(void **state)
{
    (void)state;
    struct feed_window w;
    feed_window_init(&w);
    size_t before = w.size;
    for (int64_t at = 1000; at < 100000; at += 1000)
        feed_window_answered(&w, w.size, at);
    assert_true(w.size > 1000 * before);
}

static void a_slow_one_is_given_little(void **state)
{
    (void)state;
    struct feed_window w;
    feed_window_init(&w);
    for (int64_t at = 1; at < 100; at++)
        feed_window_answered(&w, 1, at * 1000000);
    assert_int_equal(w.size, 2);
}

static void one_that_takes_its_time_is_given_what_it_takes(void **state)
{
    (void)state;
    struct feed_window w;
    feed_window_init(&w);
    for (int64_t at = 1; at < 5000; at++)
        feed_window_answered(&w, 1, at * 2000);
    assert_in_range(w.size, 16, 256);
}

static void one_that_waits_for_input_is_given_more_at_once(void **state)
{
    (void)state;
    struct feed_window w;
    feed_window_init(&w);
    size_t before = w.size;
    assert_true(w.probe_us == NEVER_US);
    feed_window_is_full(&w, 1000);
    int64_t probe_us = w.probe_us;
    feed_window_is_full(&w, 2000);
    assert_int_equal(w.probe_us, probe_us);
    feed_window_probed(&w, PROGRAM_READS, 1000, probe_us);
    assert_int_equal(w.size, 2 * before);
    assert_true(w.probe_us > probe_us);
    feed_window_answered(&w, 1, probe_us);
    assert_true(w.probe_us == NEVER_US);
}

static void one_that_waits_for_something_is_given_more_slowly(void **state)
{
    (void)state;
    struct feed_window w;
    feed_window_init(&w);
    size_t before = w.size;
    feed_window_is_full(&w, 0);
    for (int i = 0; i < 100 && w.probe_us < 10000000; i++)
        feed_window_probed(&w, PROGRAM_UNKNOWN, 0, w.probe_us);
    assert_in_range(w.size, 64 * before, 65536 * before);
}

static void one_that_works_is_left_alone(void **state)
{
    (void)state;
    struct feed_window w;
    feed_window_init(&w);
    size_t before = w.size;
    feed_window_is_full(&w, 0);
    for (int i = 0; i < 100; i++)
        feed_window_probed(&w, PROGRAM_BUSY, 0, w.probe_us);
    assert_int_equal(w.size, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fast_program_is_given_more_and_more),
        cmocka_unit_test(a_slow_one_is_given_little),
        cmocka_unit_test(one_that_takes_its_time_is_given_what_it_takes),
        cmocka_unit_test(one_that_waits_for_input_is_given_more_at_once),
        cmocka_unit_test(one_that_waits_for_something_is_given_more_slowly),
        cmocka_unit_test(one_that_works_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
