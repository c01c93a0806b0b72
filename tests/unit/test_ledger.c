/* The ledger: bits, counts, pages, and what a stored page must be to be taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/ledger.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = LEDGER_PAGE_RECORDS };

/* Appends so many records in that state. */
static void append(struct ledger *l, int count, enum record_state state)
{
    for (int i = 0; i < count; i++) {
        int64_t n = ledger_known(l);
        ledger_append(l, (struct place){n, n * 10, n + 1}, state);
    }
}

static void a_new_ledger_knows_nothing(void **state)
{
    (void)state;
    OWNED(ledger) struct ledger *l = ledger_new();
    assert_int_equal(ledger_known(l), 0);
    assert_int_equal(ledger_get(l, 0), RECORD_UNREAD);
    assert_int_equal(ledger_get(l, -1), RECORD_UNREAD);
    assert_int_equal(ledger_get(l, INT64_MAX), RECORD_UNREAD);
    assert_int_equal(ledger_next_unread(l, 0), -1);
    assert_int_equal(ledger_unserve(l) + ledger_unfail(l), 0);
    assert_int_equal(ledger_changed_count(l), 0);
    ledger_check(l);
}

static void counts_are_those_of_the_bits(void **state)
{
    (void)state;
    OWNED(ledger) struct ledger *l = ledger_new();
    struct rng rng;
    uint8_t model[3 * PAGE + 77];
    enum { COUNT = sizeof model };
    rng_init(&rng, 42);
    for (int i = 0; i < COUNT; i++) {
        model[i] = (uint8_t)rng_below(&rng, RECORD_STATE_COUNT);
        append(l, 1, (enum record_state)model[i]);
    }
    for (int round = 0; round < 50000; round++) {
        int64_t record = (int64_t)rng_below(&rng, COUNT);
        uint8_t to = (uint8_t)rng_below(&rng, RECORD_STATE_COUNT);
        assert_int_equal(ledger_set(l, record, (enum record_state)to), model[record]);
        model[record] = to;
    }
    int64_t counts[RECORD_STATE_COUNT] = {0};
    for (int i = 0; i < COUNT; i++) {
        counts[model[i]]++;
        assert_int_equal(ledger_get(l, i), model[i]);
    }
    for (int s = 0; s < RECORD_STATE_COUNT; s++)
        assert_int_equal(ledger_count(l, (enum record_state)s), counts[s]);
    ledger_check(l);
    assert_int_equal(ledger_unserve(l), counts[RECORD_SERVED]);
    assert_int_equal(ledger_unfail(l), counts[RECORD_FAILED]);
    assert_int_equal(ledger_count(l, RECORD_DONE), counts[RECORD_DONE]);
    assert_int_equal(ledger_count(l, RECORD_UNREAD), COUNT - counts[RECORD_DONE]);
    ledger_check(l);
    ledger_clear(l);
    assert_int_equal(ledger_known(l), 0);
    ledger_check(l);
}

static void the_next_unread_record_is_found_across_pages(void **state)
{
    (void)state;
    OWNED(ledger) struct ledger *l = ledger_new();
    append(l, 4 * PAGE + 5, RECORD_DONE);
    assert_int_equal(ledger_next_unread(l, 0), -1);
    static const int64_t unread[] = {0, 1, PAGE - 1, PAGE, 3 * PAGE + 17, 4 * PAGE + 4};
    enum { COUNT = sizeof unread / sizeof *unread };
    for (int i = 0; i < COUNT; i++)
        ledger_set(l, unread[i], RECORD_UNREAD);
    assert_int_equal(ledger_next_unread(l, -5), 0);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(ledger_next_unread(l, unread[i]), unread[i]);
        assert_int_equal(ledger_next_unread(l, unread[i] + 1), i + 1 < COUNT ? unread[i + 1] : -1);
    }
    assert_int_equal(ledger_next_unread(l, 5 * PAGE), -1);
}

static void a_page_begins_where_its_first_record_can_be_read_from(void **state)
{
    (void)state;
    OWNED(ledger) struct ledger *l = ledger_new();
    append(l, 2 * PAGE + 1, RECORD_SERVED);
    assert_int_equal(ledger_place(l, 0).bytes, 0);
    assert_int_equal(ledger_place(l, PAGE - 1).record, 0);
    assert_int_equal(ledger_place(l, PAGE).record, PAGE);
    assert_int_equal(ledger_place(l, 2 * PAGE).bytes, 20 * PAGE);
    assert_int_equal(ledger_place(l, 2 * PAGE).line, 2 * PAGE + 1);
}

static void changed_pages_are_told_once_until_they_change_again(void **state)
{
    (void)state;
    OWNED(ledger) struct ledger *l = ledger_new();
    struct ledger_page *pages = calloc(4, sizeof *pages);
    append(l, 3 * PAGE, RECORD_SERVED);
    assert_int_equal(ledger_changed_count(l), 3);
    ledger_changed(l, false, pages);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pages[i].number, i);
    ledger_stored(l);
    assert_int_equal(ledger_changed_count(l), 0);
    ledger_set(l, PAGE, RECORD_SERVED); /* as it was */
    assert_int_equal(ledger_changed_count(l), 0);
    ledger_set(l, PAGE, RECORD_DONE);
    ledger_set(l, PAGE + 1, RECORD_DONE);
    assert_int_equal(ledger_changed_count(l), 1);
    ledger_changed(l, false, pages);
    assert_int_equal(pages[0].number, 1);
    ledger_stored(l);
    ledger_change_page(l, 2); /* its storing failed */
    ledger_change_page(l, 2);
    ledger_change_page(l, 99); /* it is forgotten meanwhile */
    assert_int_equal(ledger_changed_count(l), 1);
    ledger_changed(l, false, pages);
    assert_int_equal(pages[0].number, 2);
    free(pages);
}

static void store_and_load(struct ledger *from, struct ledger *to, bool keep_served)
{
    size_t count = ledger_changed_count(from);
    struct ledger_page *pages = calloc(count, sizeof *pages);
    ledger_changed(from, keep_served, pages);
    for (size_t i = 0; i < count; i++)
        assert_true(ledger_load_page(to, &pages[i]));
    free(pages);
    assert_true(ledger_load_known(to, ledger_known(from)));
    ledger_check(to);
}

static void what_is_in_flight_is_unread_after_a_restart_unless_it_is_kept(void **state)
{
    (void)state;
    OWNED(ledger) struct ledger *l = ledger_new();
    for (int i = 0; i < PAGE + 100; i++)
        append(l, 1, (enum record_state)(i * 7 / 3 % RECORD_STATE_COUNT));
    for (int keep = 0; keep < 2; keep++) {
        OWNED(ledger) struct ledger *loaded = ledger_new();
        store_and_load(l, loaded, keep);
        assert_int_equal(ledger_known(loaded), PAGE + 100);
        for (int64_t i = 0; i < PAGE + 100; i++) {
            enum record_state is = ledger_get(l, i);
            if (is == RECORD_SERVED && !keep)
                is = RECORD_UNREAD;
            assert_int_equal(ledger_get(loaded, i), is);
        }
        assert_int_equal(ledger_place(loaded, PAGE).bytes, 10 * PAGE);
        /* It goes on where it was. */
        append(loaded, 1, RECORD_DONE);
        assert_int_equal(ledger_get(loaded, PAGE + 100), RECORD_DONE);
        ledger_check(loaded);
    }
}

static void damaged_pages_are_refused(void **state)
{
    (void)state;
    OWNED(ledger) struct ledger *l = ledger_new();
    static const struct ledger_page damaged[] = {
        {.number = 1, .place = {0, 0, 1}},         {.number = -1, .place = {0, 0, 1}},
        {.number = INT64_MAX, .place = {0, 0, 1}}, {.number = INT64_MIN, .place = {0, 0, 1}},
        {.number = 0, .place = {1, 0, 1}},         {.number = 0, .place = {-1, 0, 1}},
        {.number = 0, .place = {0, -1, 1}},        {.number = 0, .place = {0, 0, 0}},
        {.number = 0, .place = {INT64_MIN, 0, 1}},
    };
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++)
        assert_false(ledger_load_page(l, &damaged[i]));
    assert_true(ledger_load_known(l, 0));
}

static void a_count_that_does_not_fit_the_pages_is_refused(void **state)
{
    (void)state;
    OWNED(ledger) struct ledger *l = ledger_new();
    struct ledger_page page = {.number = 0, .place = {0, 0, 1}};
    assert_false(ledger_load_known(l, 1));
    assert_true(ledger_load_page(l, &page));
    static const int64_t wrong[] = {0,         -1,        PAGE + 1, LEDGER_RECORDS_MAX + 1,
                                    INT64_MAX, INT64_MIN, -PAGE};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(ledger_load_known(l, wrong[i]));
    assert_true(ledger_load_known(l, PAGE));
}

/* Bits of records that nobody has reached: the page belongs to another count. */
static void bits_behind_the_count_are_refused(void **state)
{
    (void)state;
    static const int slots[] = {5, 6, 7, 8, PAGE - 1};
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
        OWNED(ledger) struct ledger *l = ledger_new();
        struct ledger_page page = {.number = 0, .place = {0, 0, 1}};
        page.bits[slots[i] / 4] = (uint8_t)(2 << slots[i] % 4 * 2);
        assert_true(ledger_load_page(l, &page));
        assert_false(ledger_load_known(l, 5));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_ledger_knows_nothing),
        cmocka_unit_test(counts_are_those_of_the_bits),
        cmocka_unit_test(the_next_unread_record_is_found_across_pages),
        cmocka_unit_test(a_page_begins_where_its_first_record_can_be_read_from),
        cmocka_unit_test(changed_pages_are_told_once_until_they_change_again),
        cmocka_unit_test(what_is_in_flight_is_unread_after_a_restart_unless_it_is_kept),
        cmocka_unit_test(damaged_pages_are_refused),
        cmocka_unit_test(a_count_that_does_not_fit_the_pages_is_refused),
        cmocka_unit_test(bits_behind_the_count_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
