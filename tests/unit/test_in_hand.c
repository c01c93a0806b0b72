/* What is remembered of records in workers' hands. core/in_hand.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/in_hand.h"

#include <stdlib.h>

static const struct id none;

static bool is_small(void *context, int64_t number)
{
    return number < *(int64_t *)context;
}

static void what_is_put_in_is_found_until_it_is_swept(void **state)
{
    (void)state;
    int64_t bound = 5;
    OWNED(in_hand) struct in_hand *h = in_hand_new();
    assert_null(in_hand_find(h, 0));
    in_hand_sweep(h, is_small, &bound);
    in_hand_put(h, 0, (struct id){1, 2}, STR("{\"a\":1}"));
    in_hand_put(h, 5, (struct id){3, 4}, (struct str){NULL, 0});
    const struct held_record *held = in_hand_find(h, 0);
    assert_non_null(held);
    assert_int_equal(held->id.high, 1);
    assert_int_equal(held->len, 7);
    assert_memory_equal(held->bytes, "{\"a\":1}", 7);
    assert_null(in_hand_find(h, 5)->bytes);
    in_hand_put(h, 0, none, STR("x"));
    assert_int_equal(in_hand_find(h, 0)->len, 1);
    assert_int_equal(in_hand_count(h), 2);
    in_hand_sweep(h, is_small, &bound);
    assert_null(in_hand_find(h, 5));
    assert_int_equal(in_hand_find(h, 0)->len, 1);
    in_hand_clear(h);
    assert_null(in_hand_find(h, 0));
    assert_int_equal(in_hand_count(h), 0);
}

static void many_come_and_go(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    OWNED(in_hand) struct in_hand *h = in_hand_new();
    for (int64_t i = 0; i < COUNT; i++)
        in_hand_put(h, i * 4096, (struct id){(uint64_t)i, 0}, STR("r"));
    for (int64_t left = COUNT; left > 0; left /= 3) {
        int64_t bound = left * 4096;
        in_hand_sweep(h, is_small, &bound);
        assert_int_equal(in_hand_count(h), left);
        for (int64_t i = 0; i < COUNT; i += 7) {
            const struct held_record *held = in_hand_find(h, i * 4096);
            assert_true(i < left ? held && held->id.high == (uint64_t)i : !held);
        }
    }
}

/* 100 bytes the first of which tell of the number. */
static struct str bytes_of(int64_t number)
{
    static char text[100];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)('a' + (number + (int64_t)i) % 26);
    return (struct str){text, sizeof text};
}

static bool is_third(void *context, int64_t number)
{
    (void)context;
    return number % 3 == 0;
}

static void bytes_stay_what_they_were_whatever_moves(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    OWNED(in_hand) struct in_hand *h = in_hand_new();
    for (int64_t round = 0; round < 4; round++) {
        for (int64_t i = 0; i < COUNT; i++)
            in_hand_put(h, round * COUNT + i, none, bytes_of(i));
        /* Tried again, some of them again and again. */
        for (int64_t i = 0; i < COUNT; i += 2)
            for (int64_t times = 0; times < i % 5; times++)
                in_hand_put(h, round * COUNT + i, none, bytes_of(i));
        in_hand_sweep(h, is_third, NULL);
        assert_int_equal(in_hand_count(h), (round + 1) * COUNT / 3);
        for (int64_t i = 0; i < (round + 1) * COUNT; i++) {
            const struct held_record *held = in_hand_find(h, i);
            assert_true(!held == (i % 3 != 0));
            struct str bytes = bytes_of(i % COUNT);
            if (held)
                assert_true(str_eq((struct str){held->bytes, held->len}, bytes));
        }
    }
    in_hand_put(h, 7, none, (struct str){"", 0});
    assert_non_null(in_hand_find(h, 7)->bytes);
    assert_int_equal(in_hand_find(h, 7)->len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_in_is_found_until_it_is_swept),
        cmocka_unit_test(many_come_and_go),
        cmocka_unit_test(bytes_stay_what_they_were_whatever_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
