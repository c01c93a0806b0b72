/* Attempts: a table from record to count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/attempts.h"
#include "core/ledger.h"

static void a_record_that_never_failed_has_none(void **state)
{
    (void)state;
    OWNED(attempts) struct attempts *a = attempts_new();
    assert_int_equal(attempts_get(a, 0), 0);
    assert_int_equal(attempts_get(a, LEDGER_RECORDS_MAX), 0);
    attempts_set(a, 3, 0);
    assert_int_equal(attempts_get(a, 3), 0);
}

static void counts_are_kept_however_many_there_are(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    OWNED(attempts) struct attempts *a = attempts_new();
    int64_t model[COUNT] = {0};
    struct rng rng;
    rng_init(&rng, 5);
    for (int round = 0; round < 40000; round++) {
        int64_t i = (int64_t)rng_below(&rng, COUNT);
        model[i] = (int64_t)rng_below(&rng, 4);
        /* Far apart and close together. */
        attempts_set(a, i % 2 ? i : i * 4096, model[i]);
    }
    for (int64_t i = 0; i < COUNT; i++)
        assert_int_equal(attempts_get(a, i % 2 ? i : i * 4096), model[i]);
    attempts_clear(a);
    for (int64_t i = 0; i < COUNT; i++)
        assert_int_equal(attempts_get(a, i), 0);
    attempts_set(a, 9, 2);
    assert_int_equal(attempts_get(a, 9), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_that_never_failed_has_none),
        cmocka_unit_test(counts_are_kept_however_many_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
