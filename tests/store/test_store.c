/* test_store.c: what a transaction promises, on every engine. */
#include "store_fixture.h"

#include "base/fault.h"

static void what_was_rolled_back_is_not_there(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    fixture_job(f, "gone");
    fixture_roll_back(f);
    fixture_begin(f);
    assert_int_equal(fixture_count_jobs(f), 0);
    fixture_roll_back(f);
}

static void what_was_committed_is_there_after_a_restart(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    fixture_job(f, "kept");
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    assert_int_equal(fixture_count_jobs(f), 1);
    fixture_roll_back(f);
}

static void closing_rolls_back(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    fixture_job(f, "gone");
    f->tx = NULL;
    fixture_reopen(f);
    fixture_begin(f);
    assert_int_equal(fixture_count_jobs(f), 0);
    fixture_roll_back(f);
}

static void commit_one_and_begin_another(struct fixture *f)
{
    fixture_begin(f);
    fixture_job(f, "committed");
    fixture_commit(f);
    fixture_begin(f);
    fixture_job(f, "begun");
}

static bool is_committed(void *context, struct job_row *row, struct err *err)
{
    (void)context;
    (void)err;
    assert_string_equal(row->name, "committed");
    job_row_release(row);
    return true;
}

static void a_crash_keeps_what_was_committed_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    fixture_crash(f, commit_one_and_begin_another);
    fixture_begin(f);
    assert_int_equal(fixture_count_jobs(f), 1);
    OK(f, job_store_load(f->tx, is_committed, NULL, &f->err));
    fixture_roll_back(f);
}

static void commit_many(struct fixture *f)
{
    for (int i = 0; i < 500; i++) {
        OWNED_MEM char *name = xasprintf("job %d", i);
        fixture_begin(f);
        fixture_job(f, name);
        fixture_commit(f);
    }
}

static void a_crash_after_many_commits_loses_none(void **state)
{
    struct fixture *f = *state;
    fixture_crash(f, commit_many);
    fixture_begin(f);
    assert_int_equal(fixture_count_jobs(f), 500);
    fixture_roll_back(f);
}

static void a_broken_transaction_takes_no_more_and_cannot_be_committed(void **state)
{
    struct fixture *f = *state;
    struct ledger_page page = {.number = 0};
    fixture_begin(f);
    fixture_job(f, "half");
    REFUSED(f, ERR_NOT_FOUND, ledger_store_save(f->tx, 4711, &page, 1, &f->err));
    REFUSED(f, ERR_NOT_FOUND, ledger_store_clear(f->tx, 1, &f->err));
    REFUSED(f, ERR_NOT_FOUND, tx_commit(f->tx, &f->err));
    fixture_roll_back(f);
    fixture_begin(f);
    assert_int_equal(fixture_count_jobs(f), 0);
    fixture_job(f, "whole");
    fixture_commit(f);
}

#ifdef PENSTOCK_FAULTS
static void expect_fault(struct fixture *f, const char *plan, enum err_code code)
{
    fixture_begin(f);
    fixture_job(f, plan);
    fault_set(plan);
    REFUSED(f, code, tx_commit(f->tx, &f->err));
    fault_set(NULL);
    fixture_roll_back(f);
}

static void a_commit_that_fails_stores_nothing_and_the_next_one_works(void **state)
{
    struct fixture *f = *state;
    expect_fault(f, "store.commit:1:full", ERR_NO_SPACE);
    expect_fault(f, "store.commit:1:fail", ERR_STORE);
    fixture_begin(f);
    assert_int_equal(fixture_count_jobs(f), 0);
    fixture_job(f, "after");
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    assert_int_equal(fixture_count_jobs(f), 1);
    fixture_roll_back(f);
}

static void a_commit_whose_answer_is_lost_is_fatal(void **state)
{
    struct fixture *f = *state;
    expect_fault(f, "store.committed:1:fail", ERR_FATAL);
    fixture_reopen(f);
    fixture_begin(f);
    assert_int_equal(fixture_count_jobs(f), 1);
    fixture_roll_back(f);
}

static void a_begin_that_fails_leaves_the_store_usable(void **state)
{
    struct fixture *f = *state;
    fault_set("store.begin:1:full,store.begin:2:fail");
    REFUSED(f, ERR_NO_SPACE, tx_begin(f->store, &f->tx, &f->err));
    REFUSED(f, ERR_STORE, tx_begin(f->store, &f->tx, &f->err));
    fault_set(NULL);
    assert_null(f->tx);
    fixture_begin(f);
    fixture_roll_back(f);
}
#endif

static void must_not_say(void *context, const char *fault)
{
    (void)context;
    fail_msg("a fault was found: %s", fault);
}

static void a_sound_store_verifies_without_a_word(void **state)
{
    struct fixture *f = *state;
    struct ledger_page pages[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    fixture_begin(f);
    OK(f, ledger_store_save(f->tx, fixture_job(f, "job"), pages, 3, &f->err));
    fixture_commit(f);
    OK(f, store_verify(f->store, must_not_say, NULL, &f->err));
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(what_was_rolled_back_is_not_there),
        CASE(what_was_committed_is_there_after_a_restart),
        CASE(closing_rolls_back),
        CASE(a_crash_keeps_what_was_committed_and_nothing_else),
        CASE(a_crash_after_many_commits_loses_none),
        CASE(a_broken_transaction_takes_no_more_and_cannot_be_committed),
#ifdef PENSTOCK_FAULTS
        CASE(a_commit_that_fails_stores_nothing_and_the_next_one_works),
        CASE(a_commit_whose_answer_is_lost_is_fatal),
        CASE(a_begin_that_fails_leaves_the_store_usable),
#endif
        CASE(a_sound_store_verifies_without_a_word),
    };
    return RUN(cases);
}
