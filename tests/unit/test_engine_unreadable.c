/* A store that holds a job which this program cannot read: the others are served, it is shown with
 * the reason, and nothing of it is lost. start.c, engine_open.c. */
#include "engine_temp.h"

#include <sqlite3.h>

static void change_store(struct bench *b, const char *sql)
{
    sqlite3 *db = NULL;
    char *why = NULL;
    assert_int_equal(sqlite3_open(path_of(b, "state/penstock.db"), &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    assert_int_equal(sqlite3_changes(db), 1);
    sqlite3_close(db);
}

/* The job "job" half done, and another, "other". */
static void prepare_two(struct bench *b)
{
    start_lines(b, 4);
    assert_int_equal(claim(b, 4), 4);
    settle(b, 0, 2);
    put(b, "data/other.jsonl", "1\n2\n");
    free(b->spec.source_path);
    free(b->spec.sink_path);
    b->spec.source_path = xstrdup("other.jsonl");
    b->spec.sink_path = xstrdup("other-out.jsonl");
    start(b, "other");
}

static void spoil(struct bench *b, const char *sql)
{
    log_set_level(LOG_ERROR + 1);
    close_engine(b);
    change_store(b, sql);
    open_engine(b);
}

static void assert_unreadable(struct bench *b, const char *why)
{
    struct job_view v = view_of(b, "job");
    assert_int_equal(v.state, JOB_FAILED);
    if (!strstr(v.failure, why))
        fail_msg("the failure is \"%s\", without \"%s\"", v.failure, why);
    job_view_release(&v);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n{\"r\":1}\n");
}

static void assert_other_is_served(struct bench *b)
{
    struct op op;
    prepare_claim(&op, "other", 1);
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.claim.count, 1);
    op_release(&op);
}

static const char bad_spec[] = "UPDATE job SET spec = json_set(spec, '$.newer', 1) WHERE id = 1";

static void a_job_that_cannot_be_read_keeps_nobody_from_the_others(void **state)
{
    static const struct {
        const char *sql, *why;
    } faults[] = {
        {bad_spec, "newer"},
        {"UPDATE job SET spec = 'none' WHERE id = 1", "cannot be read: "},
        {"UPDATE job SET known = 99999 WHERE id = 1", "its ledger is damaged"},
        {"UPDATE ledger_page SET bits = x'00' WHERE job_id = 1", "page 0 of the ledger"},
        {"UPDATE job SET token_hash = x'00' WHERE id = 1", "kind, state or token"},
    };
    struct bench *b = *state;
    prepare_two(b);
    OWNED_MEM char *store = xasprintf("cp -r %s/state %s/spare", b->dir, b->dir);
    OWNED_MEM char *restore =
        xasprintf("rm -r %s/state; cp -r %s/spare %s/state", b->dir, b->dir, b->dir);
    close_engine(b);
    assert_int_equal(system(store), 0);
    open_engine(b);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        spoil(b, faults[i].sql);
        assert_unreadable(b, faults[i].why);
        assert_other_is_served(b);
        close_engine(b);
        assert_int_equal(system(restore), 0);
        open_engine(b);
        assert_int_equal(state_of(b, "job"), JOB_RUNNING);
    }
}

static void nothing_is_done_with_it_and_nothing_stored_of_it(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct settling s;
    prepare_two(b);
    spoil(b, bad_spec);
    prepare_claim(&op, "job", 1);
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "delete it or start it clean");
    prepare_results(&s, 2, 1);
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_OTHERWISE, ERR_CONFLICT, "cannot be read");
    static const enum control_verb verbs[] = {CONTROL_PAUSE, CONTROL_RESUME, CONTROL_CANCEL,
                                              CONTROL_CLEAN, CONTROL_REPAIR};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        control_op(b, &op, "job", verbs[i]);
        assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "cannot be read");
    }
    prepare_start(b, &op, "job");
    op.start.repair = true;
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "start it clean");
    prepare_start(b, &op, "third"); /* its output is nobody else's */
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("out.jsonl");
    ask(b, &op);
    assert_refused(&op, REFUSED_OUTPUT_TAKEN, ERR_CONFLICT, "is the output of job job");
    prepare(&op, OP_DOCTOR, "");
    ask(b, &op);
    assert_int_equal(op.doctor.faults, 1);
    op_release(&op);
    close_engine(b);
    change_store(b, "UPDATE job SET spec = json_remove(spec, '$.newer') WHERE id = 1");
    open_engine(b);
    assert_int_equal(state_of(b, "job"), JOB_RUNNING);
    assert_claim(b, 9, "[[2,{\"n\":2}],[3,{\"n\":3}]]");
}

static void it_can_be_deleted(void **state)
{
    struct bench *b = *state;
    struct op op;
    prepare_two(b);
    spoil(b, bad_spec);
    control_op(b, &op, "job", CONTROL_DELETE);
    assert_went_well(&op);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n{\"r\":1}\n");
    reopen_engine(b);
    assert_other_is_served(b);
}

static void it_can_be_started_clean(void **state)
{
    struct bench *b = *state;
    struct op op;
    prepare_two(b);
    spoil(b, bad_spec);
    free(b->spec.source_path);
    free(b->spec.sink_path);
    b->spec.source_path = xstrdup("in.jsonl");
    b->spec.sink_path = xstrdup("out.jsonl");
    prepare_start(b, &op, "job");
    op.start.clean_start = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(claim(b, 9), 4);
    settle(b, 0, 4);
    reopen_engine(b);
    assert_int_equal(counts_of(b, "job").done, 4);
}

static void with_purge_it_goes_too(void **state)
{
    struct bench *b = *state;
    struct op op;
    prepare_two(b);
    spoil(b, bad_spec);
    prepare(&op, OP_CONTROL, "");
    op.control.verb = CONTROL_PURGE;
    op.right.trusted = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.control.jobs, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_job_that_cannot_be_read_keeps_nobody_from_the_others),
        ENGINE_TEST(nothing_is_done_with_it_and_nothing_stored_of_it),
        ENGINE_TEST(it_can_be_deleted),
        ENGINE_TEST(it_can_be_started_clean),
        ENGINE_TEST(with_purge_it_goes_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
