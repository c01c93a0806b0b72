/* test_tail_store.c: the tails of outputs in the store, on every engine. */
#include "store_fixture.h"

#include "store/tail_store.h"

static void assert_tail(struct fixture *f, int64_t job_id, int64_t at, int64_t end,
                        const char *text)
{
    OWNED_BUF struct buf got;
    buf_init(&got, BUF_NO_CAP);
    OK(f, tail_store_load(f->tx, job_id, at, end, &got, &f->err));
    assert_true(str_is(buf_str(&got), text));
}

static int64_t job_with_a_tail(struct fixture *f, const char *name)
{
    int64_t id = fixture_job(f, name);
    OK(f, tail_store_add(f->tx, id, 10, STR("one\n"), &f->err));
    OK(f, tail_store_add(f->tx, id, 14, STR("two\n"), &f->err));
    OK(f, tail_store_add(f->tx, id, 18, STR("three\n"), &f->err));
    return id;
}

static void a_tail_comes_back_in_order_and_of_its_job_alone(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    int64_t one = job_with_a_tail(f, "one"), two = fixture_job(f, "two");
    OK(f, tail_store_add(f->tx, two, 10, STR("other\n"), &f->err));
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    assert_tail(f, one, 10, 24, "one\ntwo\nthree\n");
    assert_tail(f, two, 10, 16, "other\n");
    fixture_roll_back(f);
}

static void a_seal_stands_beside_the_tail(void **state)
{
    struct fixture *f = *state;
    OWNED_BUF struct buf got;
    int64_t end = -1;
    buf_init(&got, BUF_NO_CAP);
    fixture_begin(f);
    int64_t one = job_with_a_tail(f, "one");
    OK(f, tail_store_load_seal(f->tx, one, &end, &got, &f->err));
    assert_int_equal(end, 0);
    OK(f, tail_store_seal(f->tx, one, 4, STR("old\n"), &f->err));
    OK(f, tail_store_seal(f->tx, one, 10, STR("zero\n"), &f->err));
    assert_tail(f, one, 10, 24, "one\ntwo\nthree\n");
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    OK(f, tail_store_load_seal(f->tx, one, &end, &got, &f->err));
    assert_int_equal(end, 10);
    assert_true(str_is(buf_str(&got), "zero\n"));
    OK(f, tail_store_drop(f->tx, one, INT64_MAX, &f->err));
    OK(f, tail_store_load_seal(f->tx, one, &end, &got, &f->err));
    assert_int_equal(end, 0);
    fixture_roll_back(f);
}

static void its_beginning_is_dropped_piece_by_piece(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    int64_t one = job_with_a_tail(f, "one"), two = job_with_a_tail(f, "two");
    OK(f, tail_store_drop(f->tx, one, 10, &f->err));
    assert_tail(f, one, 10, 24, "one\ntwo\nthree\n");
    OK(f, tail_store_drop(f->tx, one, 18, &f->err));
    assert_tail(f, one, 18, 24, "three\n");
    OK(f, tail_store_drop(f->tx, one, INT64_MAX, &f->err));
    assert_tail(f, one, 24, 24, "");
    assert_tail(f, two, 10, 24, "one\ntwo\nthree\n");
    fixture_roll_back(f);
}

static void a_tail_with_a_gap_or_of_another_length_is_damage(void **state)
{
    static const struct {
        int64_t at, end;
    } wrong[] = {{10, 20}, {10, 30}, {9, 24}, {14, 24}, {18, 24}, {24, 24}};
    struct fixture *f = *state;
    OWNED_BUF struct buf got;
    buf_init(&got, BUF_NO_CAP);
    fixture_begin(f);
    int64_t id = job_with_a_tail(f, "one");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        REFUSED(f, ERR_STORE, tail_store_load(f->tx, id, wrong[i].at, wrong[i].end, &got, &f->err));
    OK(f, tail_store_add(f->tx, id, 25, STR("far\n"), &f->err));
    REFUSED(f, ERR_STORE, tail_store_load(f->tx, id, 10, 29, &got, &f->err));
    fixture_roll_back(f);
}

static void a_tail_goes_with_its_job(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    int64_t id = job_with_a_tail(f, "one");
    OK(f, job_store_delete(f->tx, &id, 1, &f->err));
    assert_tail(f, id, 0, 0, "");
    fixture_roll_back(f);
}

static void a_tail_without_a_job_or_at_a_place_that_is_taken_is_refused(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    REFUSED(f, ERR_NOT_FOUND, tail_store_add(f->tx, 77, 0, STR("1\n"), &f->err));
    fixture_roll_back(f);
    fixture_begin(f);
    int64_t id = job_with_a_tail(f, "one");
    REFUSED(f, ERR_CONFLICT, tail_store_add(f->tx, id, 14, STR("1\n"), &f->err));
    fixture_roll_back(f);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(a_tail_comes_back_in_order_and_of_its_job_alone),
        CASE(a_seal_stands_beside_the_tail),
        CASE(its_beginning_is_dropped_piece_by_piece),
        CASE(a_tail_with_a_gap_or_of_another_length_is_damage),
        CASE(a_tail_goes_with_its_job),
        CASE(a_tail_without_a_job_or_at_a_place_that_is_taken_is_refused),
    };
    return RUN(cases);
}
