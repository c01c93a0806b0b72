/* test_task_store.c: tasks, who waits for whom, and counts in the store, on every engine. */
#include "store_fixture.h"

#include "store/blob_store.h"
#include "store/stmt.h"
#include "store/task_edge_store.h"
#include "store/task_store.h"
#include "store/task_tally_store.h"

static struct task_row row_of(int64_t id)
{
    return (struct task_row){.id = id,
                             .state = JOB_PENDING,
                             .queue = 1,
                             .function = 2,
                             .max_attempts = 5,
                             .created_at_us = 10,
                             .key = STR("d"),
                             .arguments = STR("{}")};
}

static void insert(struct fixture *f, const struct task_row *row)
{
    OK(f, task_store_insert(f->tx, &row, 1, &f->err));
}

static bool copy_state(void *context, const struct task_row *row, struct err *err)
{
    struct task_row *out = context;
    (void)err;
    *out = (struct task_row){.id = row->id,
                             .state = row->state,
                             .attempts = row->attempts,
                             .fence = row->fence,
                             .session = row->session,
                             .ended_at_us = row->ended_at_us};
    return true;
}

static bool count_row(void *context, const struct task_row *row, struct err *err)
{
    (void)row, (void)err;
    ++*(int *)context;
    return true;
}

static void a_task_goes_its_way_and_is_found_where_it_is(void **state)
{
    struct fixture *f = *state;
    struct task_row row = row_of(7), got = {0};
    const struct task_row *rows = &row;
    bool found = false;
    int open = 0, failed = 0;
    int64_t looked = 0;
    fixture_begin(f);
    insert(f, &row);
    row.attempts = row.fence = 1;
    row.session = 3;
    OK(f, task_store_start(f->tx, &rows, 1, &f->err));
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    OK(f, task_store_read(f->tx, 7, &found, copy_state, &got, &f->err));
    assert_true(found && got.state == JOB_RUNNING && got.session == 3 && got.fence == 1);
    OK(f, task_store_load_open(f->tx, count_row, &open, &f->err));
    assert_int_equal(open, 1);
    row.ended_at_us = 20;
    row.state = JOB_FAILED;
    row.session = 0;
    OK(f, task_store_save(f->tx, &rows, 1, &f->err));
    open = 0;
    OK(f, task_store_load_open(f->tx, count_row, &open, &f->err));
    OK(f, task_store_walk(f->tx, WALK_FAILED, 0, 10, &looked, count_row, &failed, &f->err));
    assert_true(open == 0 && failed == 1 && looked == 1);
    OK(f, task_store_delete(f->tx, &row.id, 1, 30, &f->err));
    OK(f, task_store_read(f->tx, 7, &found, copy_state, &got, &f->err));
    assert_false(found);
    fixture_roll_back(f);
}

static void what_is_not_there_cannot_be_changed(void **state)
{
    struct fixture *f = *state;
    struct task_row row = row_of(7);
    const struct task_row *rows = &row;
    fixture_begin(f);
    REFUSED(f, ERR_NOT_FOUND, task_store_start(f->tx, &rows, 1, &f->err));
    REFUSED(f, ERR_NOT_FOUND, task_store_complete(f->tx, &rows, 1, &f->err));
    REFUSED(f, ERR_NOT_FOUND, task_store_save(f->tx, &rows, 1, &f->err));
    insert(f, &row);
    REFUSED(f, ERR_CONFLICT, task_store_insert(f->tx, &rows, 1, &f->err));
    fixture_roll_back(f);
}

static void the_last_id_is_that_of_jobs_and_tasks(void **state)
{
    struct fixture *f = *state;
    int64_t last = 0;
    fixture_begin(f);
    int64_t job = fixture_job(f, "job");
    OK(f, task_store_last_id(f->tx, &last, &f->err));
    assert_int_equal(last, job);
    OK(f, task_store_set_last_id(f->tx, job + 5, &f->err));
    OK(f, task_store_last_id(f->tx, &last, &f->err));
    assert_int_equal(last, job + 5);
    fixture_roll_back(f);
}

static void count_edge(void *context, const struct task_edge_row *row)
{
    (void)row;
    ++*(int *)context;
}

static void edges_go_with_their_parents_and_children(void **state)
{
    struct fixture *f = *state;
    const struct task_edge_row edges[] = {
        {1, 9, AFTER_COMPLETED}, {1, 8, AFTER_ENDED}, {2, 9, AFTER_COMPLETED}};
    int count = 0;
    fixture_begin(f);
    OK(f, task_edge_store_add(f->tx, edges, 3, &f->err));
    OK(f, task_edge_store_drop(f->tx, 1, AFTER_ENDED, &f->err));
    OK(f, task_edge_store_parents(f->tx, 9, count_edge, &count, &f->err));
    assert_int_equal(count, 2);
    OK(f, task_edge_store_forget(f->tx, 9, &f->err));
    count = 0;
    OK(f, task_edge_store_load(f->tx, count_edge, &count, &f->err));
    assert_int_equal(count, 0);
    fixture_roll_back(f);
}

static void take_tally(void *context, const struct task_tally_row *row)
{
    struct task_tally_row *out = context;
    memcpy(out->counts, row->counts, sizeof out->counts);
    out->first_at_us = row->first_at_us;
    out->last_at_us = row->last_at_us;
}

static void counts_are_added_up(void **state)
{
    struct fixture *f = *state;
    struct task_tally_row row = {
        .key = STR("d"), .queue = 1, .function = 2, .first_at_us = 5, .last_at_us = 5};
    struct task_tally_row got = {0};
    fixture_begin(f);
    row.counts[JOB_PENDING] = 3;
    OK(f, task_tally_store_add(f->tx, &row, 1, &f->err));
    row.counts[JOB_PENDING] = -1;
    row.counts[JOB_RUNNING] = 1;
    row.first_at_us = row.last_at_us = 8;
    OK(f, task_tally_store_add(f->tx, &row, 1, &f->err));
    OK(f,
       task_tally_store_list(f->tx, STR("d"), (struct str){0}, true, 9, take_tally, &got, &f->err));
    assert_int_equal(got.counts[JOB_PENDING], 2);
    assert_int_equal(got.counts[JOB_RUNNING], 1);
    assert_int_equal(got.first_at_us, 5);
    assert_int_equal(got.last_at_us, 8);
    fixture_roll_back(f);
}

static void count_tally(void *context, const struct task_tally_row *row)
{
    (void)row;
    ++*(int *)context;
}

static int count_tallies_to(struct fixture *f, int64_t most)
{
    int count = 0;
    OK(f, task_tally_store_list(f->tx, (struct str){0}, (struct str){0}, false, most, count_tally,
                                &count, &f->err));
    return count;
}

static int count_tallies(struct fixture *f)
{
    return count_tallies_to(f, INT64_MAX);
}

static int64_t tally_rows(struct fixture *f)
{
    int64_t count = -1;
    OWNED(stmt) struct stmt *q = tx_query(f->tx, "SELECT count(*) FROM task_tally", &f->err);
    assert_non_null(q);
    assert_int_equal(stmt_only_i64(q, &count, &f->err), ROW_HERE);
    return count;
}

static void counts_of_nothing_are_forgotten(void **state)
{
    struct fixture *f = *state;
    struct task_tally_row rows[2] = {{.key = STR("a"), .queue = 1, .function = 2},
                                     {.key = STR("b"), .queue = 1, .function = 2}};
    fixture_begin(f);
    OK(f, task_tally_store_add(f->tx, rows, 2, &f->err));
    assert_int_equal(tally_rows(f), 0);
    rows[0].counts[JOB_COMPLETED] = 2;
    rows[1].counts[JOB_FAILED] = 1;
    OK(f, task_tally_store_add(f->tx, rows, 2, &f->err));
    assert_true(tally_rows(f) == 2 && count_tallies(f) == 2);
    assert_int_equal(count_tallies_to(f, 1), 1);
    rows[0].counts[JOB_COMPLETED] = -2;
    rows[1].counts[JOB_FAILED] = 0;
    OK(f, task_tally_store_add(f->tx, rows, 2, &f->err));
    assert_true(tally_rows(f) == 1 && count_tallies(f) == 1);
    fixture_roll_back(f);
}

static bool take_blobs(void *context, const struct task_row *row, struct err *err)
{
    int64_t *bytes = context;
    (void)err;
    bytes[0] = row->arguments_blob.hash ? row->arguments_blob.bytes : 0;
    bytes[1] = row->result_blob.hash ? row->result_blob.bytes : 0;
    assert_true(!bytes[0] || row->arguments.len == 0);
    return true;
}

static int64_t refs_of(struct fixture *f, const uint8_t *hash)
{
    struct blob_row row = {0};
    bool found = false;
    OK(f, blob_store_find(f->tx, hash, &row, &found, &f->err));
    return found ? row.refs : -1;
}

static void blobs_are_needed_as_long_as_their_rows_are(void **state)
{
    struct fixture *f = *state;
    static const uint8_t in[BLOB_STORE_HASH_BYTES] = {1}, other[BLOB_STORE_HASH_BYTES] = {2},
                         out[BLOB_STORE_HASH_BYTES] = {3};
    struct task_row row = row_of(7);
    const struct task_row *rows = &row;
    bool found = false;
    int64_t bytes[2] = {0}, id = 7;
    fixture_begin(f);
    row.arguments_blob = (struct task_blob){in, 70000};
    insert(f, &row);
    OK(f, task_store_read(f->tx, 7, &found, take_blobs, bytes, &f->err));
    assert_true(bytes[0] == 70000 && bytes[1] == 0 && refs_of(f, in) == 1);
    row.arguments_blob = (struct task_blob){other, 80000};
    OK(f, task_store_replace(f->tx, &row, 15, &f->err));
    assert_true(refs_of(f, in) == 0 && refs_of(f, other) == 1);
    row.result_blob = (struct task_blob){out, 90000};
    row.ended_at_us = 20;
    OK(f, task_store_complete(f->tx, &rows, 1, &f->err));
    OK(f, task_store_read(f->tx, 7, &found, take_blobs, bytes, &f->err));
    assert_true(bytes[0] == 80000 && bytes[1] == 90000 && refs_of(f, out) == 1);
    OK(f, task_store_delete(f->tx, &id, 1, 30, &f->err));
    assert_true(refs_of(f, other) == 0 && refs_of(f, out) == 0);
    fixture_roll_back(f);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(a_task_goes_its_way_and_is_found_where_it_is),
        CASE(what_is_not_there_cannot_be_changed),
        CASE(the_last_id_is_that_of_jobs_and_tasks),
        CASE(edges_go_with_their_parents_and_children),
        CASE(counts_are_added_up),
        CASE(counts_of_nothing_are_forgotten),
        CASE(blobs_are_needed_as_long_as_their_rows_are),
    };
    return RUN(cases);
}
