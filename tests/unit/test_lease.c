/* Leases: who holds what until when, against a plain model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rng.h"
#include "core/lease.h"

#include <string.h>

static const uint8_t *token_of(int n)
{
    static uint8_t token[LEASE_TOKEN_BYTES];
    memset(token, 0, sizeof token);
    memcpy(token, &n, sizeof n);
    return token;
}

static void a_lease_is_found_by_its_token_and_by_what_it_holds(void **state)
{
    (void)state;
    OWNED(leases) struct leases *all = leases_new();
    assert_null(leases_find(all, token_of(1)));
    assert_null(leases_first(all));
    struct lease *one = leases_add(all, token_of(1), 100), *two = leases_add(all, token_of(2), 50);
    lease_add(one, 5);
    lease_add(two, 7);
    assert_ptr_equal(leases_find(all, token_of(1)), one);
    assert_ptr_equal(leases_find(all, token_of(2)), two);
    assert_null(leases_find(all, token_of(3)));
    assert_ptr_equal(leases_holder(all, 7), two);
    assert_null(leases_holder(all, 6));
    assert_ptr_equal(leases_holder(all, 7), two); /* found again, as it was found last */
    assert_ptr_equal(leases_first(all), two);
    assert_int_equal(leases_count(all), 2);
    assert_ptr_equal(leases_by_number(all, lease_number(one)), one);
    int64_t number = lease_number(two);
    assert_int_equal(lease_ends_us(one), 100);
    assert_memory_equal(lease_token(two), token_of(2), LEASE_TOKEN_BYTES);
    leases_end(all, two);
    assert_ptr_equal(leases_first(all), one);
    assert_null(leases_by_number(all, number));
    leases_clear(all);
    assert_int_equal(leases_count(all), 0);
}

static void the_first_to_end_is_always_first(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    OWNED(leases) struct leases *all = leases_new();
    struct lease *leases[COUNT];
    struct rng rng;
    rng_init(&rng, 7);
    for (int i = 0; i < COUNT; i++)
        leases[i] = leases_add(all, token_of(i), (int64_t)rng_below(&rng, 50));
    for (int round = 0; round < 2000; round++) {
        int i = (int)rng_below(&rng, COUNT);
        if (!leases[i])
            leases[i] = leases_add(all, token_of(i), (int64_t)rng_below(&rng, 50));
        else if (rng_below(&rng, 3))
            lease_extend(all, leases[i],
                         rng_below(&rng, 9) ? (int64_t)rng_below(&rng, 50) : NEVER_US);
        else {
            leases_end(all, leases[i]);
            leases[i] = NULL;
        }
        int64_t first = NEVER_US, count = 0;
        for (int k = 0; k < COUNT; k++)
            if (leases[k]) {
                count++;
                first = lease_ends_us(leases[k]) < first ? lease_ends_us(leases[k]) : first;
            }
        assert_int_equal(leases_count(all), count);
        assert_true(count == 0 || lease_ends_us(leases_first(all)) == first);
    }
}

/* By token and by number, while others come and go: what has ended is found no more, and what is
 * left always is. */
static void of_many_leases_each_is_found(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    OWNED(leases) struct leases *all = leases_new();
    int64_t numbers[COUNT];
    struct rng rng;
    rng_init(&rng, 9);
    for (int i = 0; i < COUNT; i++) {
        struct lease *l = leases_add(all, token_of(i), (int64_t)rng_below(&rng, 50));
        numbers[i] = lease_number(l);
        if (i % 7 == 0)
            lease_keep(l, STR(""), 1);
        else if (i % 3 == 0)
            lease_add(l, i);
    }
    leases_end(all, leases_find(all, token_of(0)));
    leases_sweep(all);
    for (int i = 0; i < COUNT; i++) {
        const struct lease *l = leases_find(all, token_of(i));
        assert_true((l != NULL) == (i > 0 && (i % 7 == 0 || i % 3 == 0)));
        assert_ptr_equal(leases_by_number(all, numbers[i]), l);
        assert_true(!l || lease_number(l) == numbers[i]);
    }
    leases_clear(all);
    assert_null(leases_find(all, token_of(7)));
    assert_null(leases_by_number(all, numbers[7]));
}

static void leases_that_hold_nothing_are_swept_away(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    OWNED(leases) struct leases *all = leases_new();
    for (int i = 0; i < COUNT; i++) {
        struct lease *l = leases_add(all, token_of(i), COUNT - i);
        if (i % 3)
            lease_add(l, i);
    }
    leases_sweep(all);
    assert_int_equal(leases_count(all), COUNT - (COUNT + 2) / 3);
    int64_t before = 0;
    for (struct lease *first = NULL; (first = leases_first(all));) {
        assert_true(lease_ends_us(first) >= before);
        assert_int_equal(lease_open(first), 1);
        before = lease_ends_us(first);
        leases_end(all, first);
    }
    leases_sweep(all);
}

struct walk {
    int64_t last, count;
    const bool *model;
};

static void visit(void *context, int64_t record)
{
    struct walk *w = context;
    assert_true(record > w->last);
    assert_true(w->model[record]);
    w->last = record;
    w->count++;
}

static void a_lease_holds_what_was_added_and_not_dropped(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    OWNED(leases) struct leases *all = leases_new();
    struct lease *l = leases_add(all, token_of(0), NEVER_US);
    bool model[COUNT] = {false};
    int64_t open = 0;
    struct rng rng;
    rng_init(&rng, 99);
    for (int round = 0; round < 20000; round++) {
        int64_t record = (int64_t)rng_below(&rng, COUNT);
        if (model[record])
            lease_drop(l, record);
        else
            lease_add(l, record);
        model[record] = !model[record];
        open += model[record] ? 1 : -1;
        if (round % 100)
            continue;
        struct walk w = {.last = -1, .model = model};
        lease_each(l, visit, &w);
        assert_int_equal(w.count, open);
        assert_int_equal(lease_open(l), open);
        for (int64_t i = 0; i < COUNT; i++)
            assert_int_equal(lease_holds(l, i), model[i]);
    }
    assert_false(lease_holds(l, -1));
    assert_false(lease_holds(l, COUNT));
}

static void a_kept_lease_stays_and_knows_its_worker(void **state)
{
    (void)state;
    OWNED(leases) struct leases *all = leases_new();
    struct lease *kept = leases_add(all, token_of(1), 10),
                 *plain = leases_add(all, token_of(2), 20);
    assert_false(lease_is_kept(kept));
    assert_string_equal(lease_worker(kept), "");
    lease_keep(kept, STR("host:1"), 30);
    assert_true(lease_is_kept(kept) && !lease_is_kept(plain));
    assert_string_equal(lease_worker(kept), "host:1");
    assert_int_equal(lease_span_us(kept), 30);
    lease_set_span(kept, 40);
    assert_int_equal(lease_span_us(kept), 40);
    assert_true(lease_number(kept) < lease_number(plain));
    leases_sweep(all);
    assert_int_equal(leases_count(all), 1);
    assert_ptr_equal(leases_at(all, 0), kept);
}

static void a_recall_takes_out_what_its_worker_does_not_know_of(void **state)
{
    (void)state;
    OWNED(leases) struct leases *all = leases_new();
    struct lease *l = leases_add(all, token_of(1), NEVER_US);
    struct record_set known = {0};
    lease_keep(l, (struct str){0}, 1);
    for (int64_t record = 0; record < 6; record++)
        lease_add(l, record);
    record_set_add(&known, 1);
    record_set_add(&known, 4);
    record_set_add(&known, 900); /* it may say what it likes */
    int64_t answer = lease_count_answer(l);
    assert_false(lease_was_recalled(l, answer));
    struct record_set back = lease_recall(l, &known);
    assert_int_equal(back.size, 4);
    assert_true(record_set_has(&back, 0) && record_set_has(&back, 5));
    assert_int_equal(lease_open(l), 2);
    assert_true(lease_holds(l, 1) && lease_holds(l, 4));
    assert_true(lease_was_recalled(l, answer));
    assert_false(lease_was_recalled(l, lease_count_answer(l)));
    record_set_release(&back);
    record_set_release(&known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lease_is_found_by_its_token_and_by_what_it_holds),
        cmocka_unit_test(the_first_to_end_is_always_first),
        cmocka_unit_test(of_many_leases_each_is_found),
        cmocka_unit_test(leases_that_hold_nothing_are_swept_away),
        cmocka_unit_test(a_kept_lease_stays_and_knows_its_worker),
        cmocka_unit_test(a_recall_takes_out_what_its_worker_does_not_know_of),
        cmocka_unit_test(a_lease_holds_what_was_added_and_not_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
