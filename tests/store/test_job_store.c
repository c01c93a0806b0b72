/* test_job_store.c: jobs in the store, on every engine. */
#include "store_fixture.h"

#include <stdlib.h>

static void fill_progress(struct data_progress *p)
{
    *p = (struct data_progress){.known = 10000001,
                                .reading = {9999990, INT64_C(5000000000), 10000000},
                                .served_below = 10000000,
                                .sink_bytes = -1,
                                .errors_bytes = 77,
                                .bad_records = 3,
                                .repeats = 4,
                                .written = INT64_MAX,
                                .source_print_bytes = 65536};
    p->sink_columns = xstrdup("[\"größe\", null]");
    memset(p->source_print, 'f', 64);
}

static struct job_row full_row(const char *name)
{
    struct job_row row = {.kind = JOB_FLOW,
                          .state = JOB_FAILED,
                          .paused = true,
                          .has_token = true,
                          .created_at_us = 1,
                          .started_at_us = 2,
                          .ended_at_us = 3};
    row.name = xstrdup(name);
    row.spec = xstrdup("{\"mode\":\"read-write\"}");
    row.inputs = xstrdup("[[2,2,\"ab\"]]");
    row.failure = xstrdup("das Eingabefile fehlt: 入力.jsonl");
    for (int i = 0; i < TOKEN_HASH_BYTES; i++)
        row.token_hash[i] = (uint8_t)(i * 7);
    fill_progress(&row.progress);
    return row;
}

static void assert_same_text(const char *a, const char *b)
{
    assert_int_equal(a == NULL, b == NULL);
    if (a)
        assert_string_equal(a, b);
}

static void assert_same_progress(const struct data_progress *a, const struct data_progress *b)
{
    assert_int_equal(a->known, b->known);
    assert_int_equal(a->reading.record, b->reading.record);
    assert_int_equal(a->reading.bytes, b->reading.bytes);
    assert_int_equal(a->reading.line, b->reading.line);
    assert_int_equal(a->served_below, b->served_below);
    assert_int_equal(a->sink_bytes, b->sink_bytes);
    assert_same_text(a->sink_columns, b->sink_columns);
    assert_int_equal(a->errors_bytes, b->errors_bytes);
    assert_int_equal(a->bad_records, b->bad_records);
    assert_int_equal(a->repeats, b->repeats);
    assert_int_equal(a->written, b->written);
    assert_string_equal(a->source_print, b->source_print);
    assert_int_equal(a->source_print_bytes, b->source_print_bytes);
}

static void assert_same_job(const struct job_row *a, const struct job_row *b)
{
    assert_int_equal(a->id, b->id);
    assert_same_text(a->name, b->name);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->paused, b->paused);
    assert_same_text(a->spec, b->spec);
    assert_same_text(a->inputs, b->inputs);
    assert_same_text(a->failure, b->failure);
    assert_int_equal(a->has_token, b->has_token);
    assert_memory_equal(a->token_hash, b->token_hash, TOKEN_HASH_BYTES);
    assert_int_equal(a->created_at_us, b->created_at_us);
    assert_int_equal(a->started_at_us, b->started_at_us);
    assert_int_equal(a->ended_at_us, b->ended_at_us);
    assert_same_progress(&a->progress, &b->progress);
}

struct expected_jobs {
    const struct job_row *rows;
    int count, seen;
};

static bool as_expected(void *context, struct job_row *row, struct err *err)
{
    struct expected_jobs *want = context;
    (void)err;
    assert_true(want->seen < want->count);
    assert_same_job(row, &want->rows[want->seen++]);
    job_row_release(row);
    return true;
}

static void assert_jobs(struct fixture *f, const struct job_row *rows, int count)
{
    struct expected_jobs want = {.rows = rows, .count = count};
    OK(f, job_store_load(f->tx, as_expected, &want, &f->err));
    assert_int_equal(want.seen, count);
}

static void jobs_come_back_as_they_were_stored_in_order_of_their_ids(void **state)
{
    struct fixture *f = *state;
    struct job_row rows[3] = {full_row("zuletzt"), {.kind = JOB_DATA}, full_row("данные/表 🚰")};
    rows[1].name = xstrdup("a'; DROP TABLE job; --");
    rows[1].spec = xstrdup("");
    fixture_begin(f);
    OK(f, job_store_insert(f->tx, rows, 3, &f->err));
    fixture_commit(f);
    assert_true(0 < rows[0].id && rows[0].id < rows[1].id && rows[1].id < rows[2].id);
    fixture_reopen(f);
    fixture_begin(f);
    assert_jobs(f, rows, 3);
    fixture_roll_back(f);
    for (int i = 0; i < 3; i++)
        job_row_release(&rows[i]);
}

static void names_that_differ_in_case_or_form_are_different(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    fixture_job(f, "job");
    fixture_job(f, "Job");
    fixture_job(f, "caf\xc3\xa9");
    fixture_job(f, "cafe\xcc\x81");
    assert_int_equal(fixture_count_jobs(f), 4);
    fixture_commit(f);
}

static void saving_writes_all_but_id_name_kind_and_creation(void **state)
{
    struct fixture *f = *state;
    struct job_row was[2] = {{.kind = JOB_TASK, .created_at_us = 9}, {.kind = JOB_TASK}};
    was[0].name = xstrdup("before");
    was[0].spec = xstrdup("{}");
    was[1].name = xstrdup("untouched");
    was[1].spec = xstrdup("{}");
    fixture_begin(f);
    OK(f, job_store_insert(f->tx, was, 2, &f->err));
    struct job_row now[2] = {full_row("after"), was[1]};
    now[0].id = was[0].id;
    const struct job_row *save = &now[0];
    OK(f, job_store_save(f->tx, &save, 1, &f->err));
    fixture_commit(f);
    now[0].kind = JOB_TASK;
    now[0].created_at_us = 9;
    free(now[0].name);
    now[0].name = xstrdup("before");
    fixture_reopen(f);
    fixture_begin(f);
    assert_jobs(f, now, 2);
    fixture_roll_back(f);
    job_row_release(&was[0]);
    job_row_release(&was[1]);
    job_row_release(&now[0]);
}

static void a_token_and_a_failure_can_be_taken_away(void **state)
{
    struct fixture *f = *state;
    struct job_row row = full_row("job");
    fixture_begin(f);
    OK(f, job_store_insert(f->tx, &row, 1, &f->err));
    row.has_token = false;
    memset(row.token_hash, 0, sizeof row.token_hash);
    free(TAKE(row.failure));
    free(TAKE(row.progress.sink_columns));
    const struct job_row *save = &row;
    OK(f, job_store_save(f->tx, &save, 1, &f->err));
    assert_jobs(f, &row, 1);
    fixture_commit(f);
    job_row_release(&row);
}

static void saving_a_job_that_is_not_there_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct job_row row = full_row("nobody");
    row.id = 17;
    const struct job_row *save = &row;
    fixture_begin(f);
    REFUSED(f, ERR_NOT_FOUND, job_store_save(f->tx, &save, 1, &f->err));
    fixture_roll_back(f);
    job_row_release(&row);
}

static void a_taken_name_is_a_conflict_and_none_of_the_batch_is_inserted(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    fixture_job(f, "taken");
    struct job_row rows[3] = {full_row("first"), full_row("second"), full_row("taken")};
    REFUSED(f, ERR_CONFLICT, job_store_insert(f->tx, rows, 3, &f->err));
    assert_non_null(strstr(f->err.text, "taken"));
    /* It was an answer: the transaction goes on. */
    assert_int_equal(fixture_count_jobs(f), 1);
    fixture_job(f, "first");
    fixture_commit(f);
    fixture_begin(f);
    assert_int_equal(fixture_count_jobs(f), 2);
    fixture_roll_back(f);
    for (int i = 0; i < 3; i++)
        job_row_release(&rows[i]);
}

static void ids_of_jobs_are_never_given_twice(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    fixture_job(f, "first");
    int64_t last = fixture_job(f, "last");
    OK(f, job_store_delete(f->tx, &last, 1, &f->err));
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    assert_true(fixture_job(f, "last") > last);
    fixture_roll_back(f);
}

static void deleting_takes_pages_and_attempts_along_and_leaves_events(void **state)
{
    struct fixture *f = *state;
    struct ledger_page page = {.number = 0};
    struct attempt_row attempt = {.record = 5, .attempts = 1};
    int64_t ids[3];
    fixture_begin(f);
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"a", "b", "c"};
        ids[i] = fixture_job(f, names[i]);
        struct event event = {.job_id = ids[i], .kind = STR("job.created")};
        OK(f, ledger_store_save(f->tx, ids[i], &page, 1, &f->err));
        OK(f, attempt_store_save(f->tx, ids[i], &attempt, 1, &f->err));
        OK(f, event_store_add(f->tx, &event, 1, &f->err));
    }
    fixture_commit(f);
    fixture_begin(f);
    OK(f, job_store_delete(f->tx, ids, 2, &f->err));
    OK(f, job_store_delete(f->tx, ids, 2, &f->err)); /* unknown by now */
    fixture_commit(f);
    fixture_begin(f);
    assert_int_equal(fixture_count_jobs(f), 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(fixture_count_pages(f, ids[i]), i == 2);
        assert_int_equal(fixture_count_attempts(f, ids[i]), i == 2);
    }
    assert_int_equal(fixture_count_events(f), 3);
    fixture_job(f, "a"); /* the name is free again */
    fixture_roll_back(f);
}

static bool stop_job(void *context, struct job_row *row, struct err *err)
{
    (void)context;
    job_row_release(row);
    return err_set(err, ERR_LIMIT, "enough");
}

static void a_walk_that_is_ended_fails_with_its_own_error(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    fixture_job(f, "a");
    fixture_job(f, "b");
    REFUSED(f, ERR_LIMIT, job_store_load(f->tx, stop_job, NULL, &f->err));
    assert_string_equal(f->err.text, "enough");
    /* That was no failure of the store. */
    assert_int_equal(fixture_count_jobs(f), 2);
    fixture_commit(f);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(jobs_come_back_as_they_were_stored_in_order_of_their_ids),
        CASE(names_that_differ_in_case_or_form_are_different),
        CASE(saving_writes_all_but_id_name_kind_and_creation),
        CASE(a_token_and_a_failure_can_be_taken_away),
        CASE(saving_a_job_that_is_not_there_is_not_found),
        CASE(a_taken_name_is_a_conflict_and_none_of_the_batch_is_inserted),
        CASE(ids_of_jobs_are_never_given_twice),
        CASE(deleting_takes_pages_and_attempts_along_and_leaves_events),
        CASE(a_walk_that_is_ended_fails_with_its_own_error),
    };
    return RUN(cases);
}
