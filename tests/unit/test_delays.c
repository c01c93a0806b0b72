/* Delays: what waits until when, against a plain model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/delays.h"

static void records_come_out_when_they_are_due_and_not_before(void **state)
{
    (void)state;
    OWNED(delays) struct delays *d = delays_new();
    assert_true(delays_first_us(d) == NEVER_US);
    delays_add(d, 7, 50);
    delays_add(d, 8, 30);
    assert_int_equal(delays_first_us(d), 30);
    assert_int_equal(delays_take_due(d, 29), -1);
    assert_int_equal(delays_take_due(d, 60), 8);
    assert_true(delays_has(d, 7));
    assert_int_equal(delays_take_due(d, 60), 7);
    assert_int_equal(delays_take_due(d, 60), -1);
    assert_int_equal(delays_count(d), 0);
}

static void what_was_taken_out_may_wait_again(void **state)
{
    (void)state;
    OWNED(delays) struct delays *d = delays_new();
    delays_add(d, 1, 10);
    delays_add(d, 2, 90);
    assert_true(delays_remove(d, 1));
    assert_false(delays_remove(d, 1));
    delays_add(d, 1, 40);
    assert_int_equal(delays_take_due(d, 20), -1);
    assert_int_equal(delays_take_due(d, 40), 1);
    delays_clear(d);
    assert_int_equal(delays_take_due(d, 1000), -1);
    assert_false(delays_has(d, 2));
}

static void any_number_of_them_comes_in_order(void **state)
{
    (void)state;
    enum { RECORDS = 200 };
    OWNED(delays) struct delays *d = delays_new();
    int64_t model[RECORDS] = {0}, now = 1;
    struct rng rng;
    rng_init(&rng, 4);
    for (int round = 0; round < 50000; round++) {
        int64_t record = (int64_t)rng_below(&rng, RECORDS);
        int64_t waiting = 0, first = NEVER_US;
        if (!model[record]) {
            model[record] = now + 1 + (int64_t)rng_below(&rng, 100);
            delays_add(d, record, model[record]);
        } else if (rng_below(&rng, 3) == 0) {
            assert_true(delays_remove(d, record));
            model[record] = 0;
        }
        now += (int64_t)rng_below(&rng, 3);
        for (int64_t got = 0; (got = delays_take_due(d, now)) >= 0; model[got] = 0)
            assert_true(model[got] && model[got] <= now);
        for (int i = 0; i < RECORDS; i++) {
            assert_true(!model[i] || model[i] > now);
            waiting += model[i] != 0;
            first = model[i] && model[i] < first ? model[i] : first;
        }
        assert_int_equal(delays_count(d), waiting);
        assert_true(delays_first_us(d) <= first);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_out_when_they_are_due_and_not_before),
        cmocka_unit_test(what_was_taken_out_may_wait_again),
        cmocka_unit_test(any_number_of_them_comes_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
