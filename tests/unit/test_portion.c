/* What of an input one run takes. core/portion.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/portion.h"

#include <stdlib.h>
#include <string.h>

static void assert_wrong(const char *json, const char *part)
{
    struct err err;
    struct portion p = {.limit = 7};
    assert_false(portion_read(str_of(json), &p, &err));
    if (err.code != ERR_INVALID || !strstr(err.text, part))
        fail_msg("%s: \"%s\" has no \"%s\"", json, err.text, part);
    assert_int_equal(p.limit, 7);
}

static void a_portion_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct err err;
    struct portion p = {0}, again = {0};
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    assert_true(portion_read(STR("{}"), &p, &err));
    assert_false(portion_is_part(&p));
    assert_true(portion_read(
        STR("{\"sample\":5,\"seed\":-3,\"retry_skipped\":true,\"limit\":null}"), &p, &err));
    assert_true(portion_is_part(&p) && p.retry_skipped && p.sample == 5);
    portion_write(&p, &text);
    assert_true(portion_read(buf_str(&text), &again, &err));
    assert_int_equal(again.seed, p.seed);
    assert_int_equal(again.sample, 5);
    assert_true(portion_read(STR("{\"only_failed\":true,\"limit\":2}"), &p, &err));
    assert_true(portion_is_part(&p));
}

static void what_is_wrong_with_a_portion_is_named(void **state)
{
    (void)state;
    assert_wrong("[]", "expected an object");
    assert_wrong("{\"limit\":-1}", "portion.limit");
    assert_wrong("{\"sample\":10000001}", "portion.sample");
    assert_wrong("{\"seed\":1.5}", "portion.seed");
    assert_wrong("{\"only_failed\":1}", "portion.only_failed");
    assert_wrong("{\"retry_skipped\":\"\"}", "portion.retry_skipped");
    assert_wrong("{\"most\":1}", "unknown member \"most\"");
    assert_wrong("{\"limit\":1,\"sample\":1}", "exclude each other");
    assert_wrong("{\"only_failed\":true,\"sample\":1}", "exclude each other");
}

static void a_sample_is_drawn_evenly_and_in_order(void **state)
{
    (void)state;
    enum { NUMBERS = 1000, SIZE = 100, ROUNDS = 200 };
    int taken[NUMBERS] = {0};
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        size_t count = 0;
        OWNED(sample) struct sample *s = sample_new(SIZE, seed);
        for (int64_t i = 0; i < NUMBERS; i++)
            sample_offer(s, i);
        OWNED_MEM int64_t *numbers = sample_take(s, &count);
        assert_int_equal(count, SIZE);
        for (size_t i = 0; i < count; i++) {
            assert_true(i == 0 || numbers[i] > numbers[i - 1]);
            taken[numbers[i]]++;
        }
    }
    /* Twenty times each on average, give or take four and a half. */
    for (int i = 0; i < NUMBERS; i++)
        assert_in_range(taken[i], 2, 45);
}

static void a_sample_of_few_is_all_of_them(void **state)
{
    (void)state;
    size_t count = 0;
    OWNED(sample) struct sample *s = sample_new(10, 1);
    sample_offer(s, 3);
    sample_offer(s, 1);
    OWNED_MEM int64_t *numbers = sample_take(s, &count);
    assert_int_equal(count, 2);
    assert_int_equal(numbers[0], 1);
    assert_int_equal(numbers[1], 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_portion_is_read_as_it_was_written),
        cmocka_unit_test(what_is_wrong_with_a_portion_is_named),
        cmocka_unit_test(a_sample_is_drawn_evenly_and_in_order),
        cmocka_unit_test(a_sample_of_few_is_all_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
