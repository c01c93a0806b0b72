/* test_held_store.c: results that wait for their turn, on every engine. */
#include "store_fixture.h"

#include "store/held_store.h"

#include <stdio.h>

static void tell(void *context, const struct held_row *row)
{
    char *text = context;
    size_t len = strlen(text);
    snprintf(text + len, 256 - len, "%lld%s:%.*s ", (long long)row->key, row->id.len ? "+" : "",
             (int)row->line.len, row->line.ptr);
}

static void assert_held(struct fixture *f, int64_t job, const char *expected)
{
    char got[256] = "";
    OK(f, held_store_load(f->tx, job, tell, got, &f->err));
    assert_string_equal(got, expected);
}

static void add(struct fixture *f, int64_t job, int64_t key, const char *line)
{
    struct held_row row = {key, {"0123456789abcdef", line[0] == 'i' ? 16 : 0}, str_of(line)};
    OK(f, held_store_add(f->tx, job, &row, 1, &f->err));
}

static void results_come_back_in_order_and_go(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    int64_t job = fixture_job(f, "job"), other = fixture_job(f, "other");
    add(f, job, 70000, "late");
    add(f, job, 3, "id");
    add(f, other, 3, "theirs");
    OK(f, held_store_add(f->tx, job, NULL, 0, &f->err));
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    assert_held(f, job, "3+:id 70000:late ");
    OK(f, held_store_remove(f->tx, job, (int64_t[]){3, 99}, 2, &f->err));
    OK(f, held_store_remove(f->tx, job, NULL, 0, &f->err));
    assert_held(f, job, "70000:late ");
    OK(f, held_store_clear(f->tx, job, &f->err));
    assert_held(f, job, "");
    assert_held(f, other, "3:theirs ");
    OK(f, job_store_delete(f->tx, &other, 1, &f->err));
    assert_held(f, other, "");
    fixture_commit(f);
}

static void parked_results_never_share_a_key(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    int64_t job = fixture_job(f, "job"), other = fixture_job(f, "other");
    add(f, other, 1, "other");
    add(f, job, 0, "a");
    add(f, job, 5, "b");
    OK(f, held_store_park(f->tx, job, &f->err));
    assert_held(f, job, "-6:b -1:a ");
    add(f, job, 0, "c");
    add(f, job, 1, "d");
    OK(f, held_store_park(f->tx, job, &f->err));
    OK(f, held_store_park(f->tx, job, &f->err));
    assert_held(f, job, "-8:d -7:c -6:b -1:a ");
    assert_held(f, other, "1:other ");
    fixture_commit(f);
}

static void a_key_that_is_taken_and_a_job_that_is_not_there_are_refused(void **state)
{
    struct fixture *f = *state;
    struct held_row row = {1, {NULL, 0}, STR("x")};
    fixture_begin(f);
    int64_t job = fixture_job(f, "job");
    add(f, job, 1, "first");
    REFUSED(f, ERR_CONFLICT, held_store_add(f->tx, job, &row, 1, &f->err));
    fixture_roll_back(f);
    fixture_begin(f);
    REFUSED(f, ERR_NOT_FOUND, held_store_add(f->tx, 4711, &row, 1, &f->err));
    REFUSED(f, ERR_NOT_FOUND, held_store_park(f->tx, 4711, &f->err));
    fixture_roll_back(f);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(results_come_back_in_order_and_go),
        CASE(parked_results_never_share_a_key),
        CASE(a_key_that_is_taken_and_a_job_that_is_not_there_are_refused),
    };
    return RUN(cases);
}
