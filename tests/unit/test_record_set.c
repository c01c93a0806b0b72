/* Sets of records, against a plain model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/record_set.h"

enum { RECORDS = 1000 };

struct walk {
    const bool *model;
    int64_t last, count;
};

static void visit(void *context, int64_t record)
{
    struct walk *w = context;
    assert_true(record > w->last && w->model[record]);
    w->last = record;
    w->count++;
}

static void check(const struct record_set *set, const bool *model)
{
    struct walk w = {.model = model, .last = -1};
    int64_t size = 0;
    for (int i = 0; i < RECORDS; i++) {
        size += model[i];
        assert_int_equal(record_set_has(set, i), model[i]);
    }
    record_set_each(set, visit, &w);
    assert_int_equal(w.count, size);
    assert_int_equal(set->size, size);
}

static void it_has_what_was_added_and_not_dropped(void **state)
{
    (void)state;
    struct record_set set = {0};
    bool model[RECORDS] = {false};
    struct rng rng;
    rng_init(&rng, 21);
    for (int round = 0; round < 50000; round++) {
        /* Full at times, empty at others. */
        bool fills = round / 5000 % 2 == 0;
        int64_t record = (int64_t)rng_below(&rng, RECORDS);
        if (model[record] == fills)
            continue;
        (fills ? record_set_add : record_set_drop)(&set, record);
        model[record] = fills;
        if (round % 97 == 0)
            check(&set, model);
    }
    check(&set, model);
    assert_false(record_set_has(&set, INT64_C(1) << 45));
    record_set_release(&set);
    assert_int_equal(set.size, 0);
    assert_false(record_set_has(&set, 0));
}

static void joined_it_has_what_either_had(void **state)
{
    (void)state;
    struct record_set one = {0}, two = {0};
    bool model[RECORDS] = {false};
    for (int i = 0; i < RECORDS; i += 3) {
        record_set_add(&one, i);
        model[i] = true;
    }
    for (int i = 0; i < RECORDS; i += 70) {
        record_set_add(&two, i);
        model[i] = true;
    }
    record_set_join(&one, &two);
    check(&one, model);
    record_set_release(&one);
    record_set_release(&two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_has_what_was_added_and_not_dropped),
        cmocka_unit_test(joined_it_has_what_either_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
