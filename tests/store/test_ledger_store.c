/* test_ledger_store.c: ledger pages and attempts in the store, on every engine. */
#include "store_fixture.h"

enum { PAGES = 2442 }; /* ten million records */

static void fill_page(struct ledger_page *page, int64_t number, int salt)
{
    page->number = number;
    page->place = (struct place){number * LEDGER_PAGE_RECORDS, number * 1000000 + salt, number + 2};
    for (int i = 0; i < LEDGER_PAGE_BYTES; i++)
        page->bits[i] = (uint8_t)(number * 31 + i * 7 + salt);
}

struct expected_pages {
    int64_t next;
    int salt;
};

static bool page_as_expected(void *context, const struct ledger_page *page, struct err *err)
{
    struct expected_pages *want = context;
    struct ledger_page expected;
    (void)err;
    fill_page(&expected, want->next++, want->salt);
    assert_memory_equal(page, &expected, sizeof expected);
    return true;
}

static void assert_pages(struct fixture *f, int64_t job_id, int salt, int64_t count)
{
    struct expected_pages want = {.salt = salt};
    OK(f, ledger_store_load(f->tx, job_id, page_as_expected, &want, &f->err));
    assert_int_equal(want.next, count);
}

static void pages_come_back_whole_and_in_order(void **state)
{
    struct fixture *f = *state;
    OWNED_MEM struct ledger_page *pages = xcalloc(PAGES, sizeof *pages);
    for (int i = 0; i < PAGES; i++)
        fill_page(&pages[i], PAGES - 1 - i, 0);
    fixture_begin(f);
    int64_t one = fixture_job(f, "one"), two = fixture_job(f, "two");
    OK(f, ledger_store_save(f->tx, one, pages, PAGES, &f->err));
    OK(f, ledger_store_save(f->tx, two, pages + PAGES - 3, 3, &f->err));
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    assert_pages(f, one, 0, PAGES);
    assert_pages(f, two, 0, 3);
    assert_pages(f, 4711, 0, 0);
    fixture_roll_back(f);
}

static void a_page_that_is_saved_again_is_replaced(void **state)
{
    struct fixture *f = *state;
    struct ledger_page pages[3];
    fixture_begin(f);
    int64_t id = fixture_job(f, "job");
    for (int salt = 1; salt <= 5; salt++) {
        for (int i = 0; i < 3; i++)
            fill_page(&pages[i], i, salt);
        OK(f, ledger_store_save(f->tx, id, pages, 3, &f->err));
        assert_pages(f, id, salt, 3);
    }
    fixture_commit(f);
}

static bool stop_page(void *context, const struct ledger_page *page, struct err *err)
{
    (void)context;
    (void)page;
    return err_set(err, ERR_STORE, "page is out of order");
}

static void a_page_that_is_not_taken_ends_the_load(void **state)
{
    struct fixture *f = *state;
    struct ledger_page page = {.number = 0};
    fixture_begin(f);
    int64_t id = fixture_job(f, "job");
    OK(f, ledger_store_save(f->tx, id, &page, 1, &f->err));
    REFUSED(f, ERR_STORE, ledger_store_load(f->tx, id, stop_page, NULL, &f->err));
    assert_string_equal(f->err.text, "page is out of order");
    fixture_roll_back(f);
}

static void clearing_removes_pages_and_attempts_of_that_job_alone(void **state)
{
    struct fixture *f = *state;
    struct ledger_page page = {.number = 0};
    struct attempt_row attempt = {.record = 5, .attempts = 1};
    fixture_begin(f);
    int64_t ids[2] = {fixture_job(f, "a"), fixture_job(f, "b")};
    for (int i = 0; i < 2; i++) {
        OK(f, ledger_store_save(f->tx, ids[i], &page, 1, &f->err));
        OK(f, attempt_store_save(f->tx, ids[i], &attempt, 1, &f->err));
    }
    OK(f, ledger_store_clear(f->tx, ids[0], &f->err));
    assert_int_equal(fixture_count_pages(f, ids[0]), 0);
    assert_int_equal(fixture_count_attempts(f, ids[0]), 0);
    assert_int_equal(fixture_count_pages(f, ids[1]), 1);
    assert_int_equal(fixture_count_attempts(f, ids[1]), 1);
    assert_int_equal(fixture_count_jobs(f), 2);
    fixture_commit(f);
}

struct seen_attempts {
    struct attempt_row rows[8];
    size_t count;
};

static bool see_attempt(void *context, const struct attempt_row *row, struct err *err)
{
    struct seen_attempts *seen = context;
    (void)err;
    assert_true(seen->count < 8);
    seen->rows[seen->count++] = *row;
    return true;
}

static void attempts_are_kept_by_record_and_zero_removes_them(void **state)
{
    struct fixture *f = *state;
    const struct attempt_row first[] = {{9, 1}, {INT64_C(1) << 45, 2}, {0, 7}, {3, 1}};
    const struct attempt_row then[] = {{9, 2}, {0, 0}, {4, 0}};
    const struct attempt_row want[] = {{3, 1}, {9, 2}, {INT64_C(1) << 45, 2}};
    struct seen_attempts seen = {0};
    fixture_begin(f);
    int64_t id = fixture_job(f, "job");
    OK(f, attempt_store_save(f->tx, id, first, 4, &f->err));
    OK(f, attempt_store_save(f->tx, id, then, 3, &f->err));
    fixture_commit(f);
    fixture_begin(f);
    OK(f, attempt_store_load(f->tx, id, see_attempt, &seen, &f->err));
    assert_int_equal(seen.count, 3);
    assert_memory_equal(seen.rows, want, sizeof want);
    fixture_roll_back(f);
}

static void attempts_of_a_job_that_is_not_there_are_refused(void **state)
{
    struct fixture *f = *state;
    struct attempt_row attempt = {.record = 5, .attempts = 1};
    fixture_begin(f);
    REFUSED(f, ERR_NOT_FOUND, attempt_store_save(f->tx, 4711, &attempt, 1, &f->err));
    fixture_roll_back(f);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(pages_come_back_whole_and_in_order),
        CASE(a_page_that_is_saved_again_is_replaced),
        CASE(a_page_that_is_not_taken_ends_the_load),
        CASE(clearing_removes_pages_and_attempts_of_that_job_alone),
        CASE(attempts_are_kept_by_record_and_zero_removes_them),
        CASE(attempts_of_a_job_that_is_not_there_are_refused),
    };
    return RUN(cases);
}
