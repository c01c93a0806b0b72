/* The engine's thread: ops from many threads are answered exactly once, whatever happens. */
#include "step_temp.h"

#include "engine/intake.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { THREADS = 6, ROUNDS = 150, BATCH = 5, DEADLINE_S = 60 };

static atomic_int fatals;

static void on_fatal(const struct err *err)
{
    (void)err;
    atomic_fetch_add(&fatals, 1);
}

static struct intake *start_intake(struct bench *b)
{
    struct intake *in = intake_new();
    atomic_store(&fatals, 0);
    assert_true(intake_start(in, b->engine, on_fatal, &b->err));
    return in;
}

static bool call_start(struct bench *b, struct intake *in)
{
    struct op op;
    prepare_start(b, &op, "job");
    return intake_call(in, &op);
}

/* Claims and settles until nothing comes; returns how many records it settled. */
static void *work(void *context)
{
    struct intake *in = context;
    intptr_t settled = 0;
    for (;;) {
        struct op op;
        prepare_claim(&op, "job", BATCH);
        op.claim.wait_until_us = clock_now().mono_us + DEADLINE_S * SECOND_US;
        bool ok = intake_call(in, &op);
        int64_t count = op.claim.count;
        struct settling s;
        settling_begin(&s, "job");
        struct json j;
        struct str number, record;
        int64_t n = -1;
        json_open(&j, buf_str(&op.claim.records));
        if (ok && json_enter(&j, '['))
            while (json_item(&j) && json_enter(&j, '[') && json_item(&j) &&
                   json_value(&j, &number) && json_item(&j) && json_value(&j, &record) &&
                   !json_item(&j) && json_i64(number, 0, INT64_MAX, &n))
                settling_result(&s, n);
        op_release(&op);
        if (count == 0)
            return (void *)settled;
        if (!intake_call(in, &s.op))
            return (void *)-1;
        settled += (intptr_t)s.op.settle.written;
    }
}

static void many_threads_share_the_records_of_a_job(void **state)
{
    struct bench *b = *state;
    enum { RECORDS = THREADS * ROUNDS * BATCH };
    put_lines(b, "data/in.jsonl", 0, RECORDS);
    struct intake *in = start_intake(b);
    assert_true(call_start(b, in));
    pthread_t threads[THREADS];
    intptr_t settled = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, in), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_true((intptr_t)result >= 0);
        settled += (intptr_t)result;
    }
    assert_int_equal(settled, RECORDS);
    intake_stop(in);
    intake_free(in);
    assert_int_equal(line_count(b, "data/out.jsonl"), RECORDS);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

/* Posts without waiting, counting answers. */
static atomic_int posted, answers;

static void count_done(struct op *op)
{
    op_release(op);
    free(op);
    atomic_fetch_add(&answers, 1);
}

static void *flood(void *context)
{
    struct intake *in = context;
    for (int i = 0; i < ROUNDS; i++) {
        struct op *op = xcalloc(1, sizeof *op);
        op_init(op, i % 3 == 0 ? OP_CLAIM : i % 3 == 1 ? OP_STATS : OP_REPORT);
        op->done = count_done;
        op->job.name = STR("job");
        if (op->kind == OP_CLAIM) {
            op->claim.max_records = i % 2 ? 1 : 200;
            op->claim.max_bytes = 1 << 20;
            op->claim.wait_until_us = NEVER_US;
        }
        atomic_fetch_add(&posted, 1);
        intake_post(in, op);
    }
    return NULL;
}

static void a_stop_answers_all_exactly_once(void **state)
{
    struct bench *b = *state;
    put_lines(b, "data/in.jsonl", 0, 100);
    struct intake *in = start_intake(b);
    assert_true(call_start(b, in));
    pthread_t threads[THREADS];
    atomic_store(&posted, 0);
    atomic_store(&answers, 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, flood, in), 0);
    intake_stop(in); /* in the middle of it */
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&answers), atomic_load(&posted));
    struct op late;
    prepare(&late, OP_STATS, "");
    assert_false(intake_call(in, &late));
    assert_int_equal(late.err.code, ERR_BUSY);
    intake_free(in);
}

static void before_it_runs_it_refuses(void **state)
{
    struct bench *b = *state;
    struct intake *in = intake_new();
    struct op op;
    prepare(&op, OP_STATS, "");
    assert_false(intake_call(in, &op));
    assert_int_equal(op.err.code, ERR_BUSY);
    intake_stop(in); /* never started: nothing to do */
    assert_true(intake_start(in, b->engine, on_fatal, &b->err));
    prepare(&op, OP_STATS, "");
    assert_true(intake_call(in, &op));
    op_release(&op);
    intake_stop(in);
    intake_stop(in);
    intake_free(in);
    intake_free(NULL);
}

static void a_wait_ends_at_its_time_without_another_op(void **state)
{
    struct bench *b = *state;
    struct intake *in = start_intake(b);
    put_lines(b, "data/in.jsonl", 0, 1);
    assert_true(call_start(b, in));
    for (int i = 0; i < 3; i++) {
        struct op op;
        prepare_claim(&op, "job", 1);
        op.claim.wait_until_us = clock_now().mono_us + SECOND_US / 50;
        assert_true(intake_call(in, &op));
        assert_true(i == 0 || clock_now().mono_us >= op.claim.wait_until_us);
        assert_int_equal(op.claim.count, i == 0);
        op_release(&op);
    }
    intake_free(in);
}

struct claiming {
    struct intake *in;
    struct op *op;
};

static void *claim_there(void *context)
{
    struct claiming *c = context;
    (void)intake_call(c->in, c->op);
    return NULL;
}

/* Whether the line is there before the claim waits or after: it is woken. */
static void a_wait_ends_when_the_input_grows(void **state)
{
    struct bench *b = *state;
    struct intake *in = start_intake(b);
    put_lines(b, "data/in.jsonl", 0, 1);
    assert_true(call_start(b, in));
    struct op op;
    prepare_claim(&op, "job", 1);
    assert_true(intake_call(in, &op)); /* it stays in flight: the job does not end */
    op_release(&op);
    for (int i = 1; i < 20; i++) {
        pthread_t thread;
        prepare_claim(&op, "job", 1);
        op.claim.wait_until_us = clock_now().mono_us + DEADLINE_S * SECOND_US;
        struct claiming c = {in, &op};
        assert_int_equal(pthread_create(&thread, NULL, claim_there, &c), 0);
        put_lines(b, "data/in.jsonl", i, 1);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_went_well(&op);
        assert_int_equal(op.claim.count, 1);
        op_release(&op);
    }
    intake_free(in);
}

static void a_failed_sync_is_told_once_and_ends_it(void **state)
{
    struct bench *b = *state;
    put_lines(b, "data/in.jsonl", 0, 10);
    struct intake *in = start_intake(b);
    assert_true(call_start(b, in));
    struct op op;
    prepare_claim(&op, "job", 10);
    assert_true(intake_call(in, &op));
    op_release(&op);
    plan_fault("file.sync:1:fail");
    struct settling s;
    settling_large(&s, 0);
    assert_false(intake_call(in, &s.op));
    assert_int_equal(s.op.err.code, ERR_FATAL);
    settling_release(&s);
    /* Whether or not the thread has noticed: no later op is acknowledged. */
    prepare_results(&s, 5, 5);
    assert_false(intake_call(in, &s.op));
    intake_stop(in);
    assert_int_equal(atomic_load(&fatals), 1);
    intake_free(in);
    no_faults();
    reopen_engine(b);
    assert_int_equal(counts_of(b, "job").done, 0);
}

/* --- who only looks --- */

struct looking {
    struct op op;
    pthread_t by;
    atomic_bool done;
};

static void note_thread(struct op *op)
{
    struct looking *l = op->context;
    l->by = pthread_self();
    atomic_store(&l->done, true);
}

static void prepare_look(struct op *op, int64_t job)
{
    prepare(op, OP_STEP_JOB_SHOW, "");
    op->step_job_show.by = nobody;
    op->step_job_show.id = job;
}

static void prepare_step_look(struct op *op, int64_t step)
{
    prepare(op, OP_STEPS, "");
    op->steps.verb = STEPS_SHOW;
    op->steps.by = nobody;
    op->steps.id = step;
}

static void prepare_usage(struct op *op, int64_t ignored)
{
    (void)ignored;
    prepare(op, OP_STEP_USAGE, "");
    op->step_usage.by = nobody;
}

/* Whether the thread that posts it answers it, as it does when the engine's thread sleeps. */
static bool is_answered_here(struct intake *in, void (*look)(struct op *op, int64_t id), int64_t id)
{
    struct looking l = {.done = false};
    look(&l.op, id);
    l.op.done = note_thread;
    l.op.context = &l;
    intake_post(in, &l.op);
    while (!atomic_load(&l.done))
        sched_yield();
    assert_went_well(&l.op);
    op_release(&l.op);
    return pthread_equal(l.by, pthread_self());
}

static void who_only_looks_wakes_nobody(void **state)
{
    struct bench *b = *state;
    struct op op;
    prepare_edit(&op, 0, STEP_JOB_SETS_NAME);
    int64_t job = edited(b, &op), step = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody);
    const struct {
        void (*look)(struct op *op, int64_t id);
        int64_t id;
    } looks[] = {{prepare_look, job}, {prepare_step_look, step}, {prepare_usage, 0}};
    struct intake *in = start_intake(b);
    int64_t end_us = clock_now().mono_us + DEADLINE_S * SECOND_US;
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
        while (!is_answered_here(in, looks[i].look, looks[i].id))
            assert_true(clock_now().mono_us < end_us);
    intake_stop(in);
    intake_free(in);
}

/* Makes jobs and looks at each. */
static void *make_and_look(void *context)
{
    enum { JOBS = 60 };
    struct intake *in = context;
    for (int i = 0; i < JOBS; i++) {
        struct op op;
        prepare_edit(&op, 0, STEP_JOB_SETS_NAME);
        if (!intake_call(in, &op))
            return NULL;
        int64_t id = op.step_job_edit.job;
        op_release(&op);
        prepare_look(&op, id);
        bool found = intake_call(in, &op) && op.step_job_show.view.job->id == id;
        op_release(&op);
        if (!found)
            return NULL;
    }
    return in;
}

static void what_was_acknowledged_is_seen_by_all(void **state)
{
    struct bench *b = *state;
    struct intake *in = start_intake(b);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, make_and_look, in), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result = NULL;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_ptr_equal(result, in);
    }
    intake_stop(in);
    intake_free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(many_threads_share_the_records_of_a_job),
        ENGINE_TEST(a_stop_answers_all_exactly_once),
        ENGINE_TEST(before_it_runs_it_refuses),
        ENGINE_TEST(a_wait_ends_at_its_time_without_another_op),
        ENGINE_TEST(a_wait_ends_when_the_input_grows),
        ENGINE_TEST(a_failed_sync_is_told_once_and_ends_it),
        ENGINE_TEST(who_only_looks_wakes_nobody),
        ENGINE_TEST(what_was_acknowledged_is_seen_by_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
