/* test_engine_steps_random.c: seeded users, workers and faults on steps, step jobs and artifacts.
 * After each op what is shown is remembered; an op that failed must have changed nothing, and after
 * a restart everything must be as it was shown, with counts and references that fit. */
#include "step_temp.h"

#include "base/rng.h"

enum { SEEDS = 8, OPS = 300, THINGS = 40 };

struct world {
    struct bench *b;
    struct rng rng;
    int64_t steps[3], jobs[THINGS], artifacts[THINGS];
    size_t job_count, artifact_count;
    struct hand hand;
    bool faulty; /* the next commit fails */
};

static size_t roll(struct world *w, size_t below)
{
    return (size_t)(rng_next(&w->rng) % below);
}

static int64_t some(struct world *w, const int64_t *ids, size_t count)
{
    return count ? ids[roll(w, count)] : 99999;
}

static void learn(int64_t *ids, size_t *count, int64_t id)
{
    if (*count < THINGS)
        ids[(*count)++] = id;
}

/* All that a job says, as text; "" when it is not there. To be freed. */
static char *look(struct world *w, int64_t id)
{
    struct op op;
    prepare(&op, OP_STEP_JOB_SHOW, "");
    op.step_job_show.id = id;
    ask(w->b, &op);
    if (op.err.code == ERR_NOT_FOUND)
        return xstrdup("");
    assert_went_well(&op);
    const struct step_job_view *v = &op.step_job_show.view;
    int64_t used = 0;
    for (size_t i = 0; i < v->input_count; i++)
        used += v->inputs[i]->used;
    char *text = xasprintf("%s %s %lld %s %s %zu/%lld %zu %lld %lld", v->job->name,
                           job_state_name(v->job->state), (long long)v->job->step,
                           v->job->parameters ? v->job->parameters : "-",
                           v->job->result ? v->job->result : "-", v->input_count, (long long)used,
                           v->output_count, (long long)v->job->sub_jobs, (long long)v->job->fence);
    op_release(&op);
    return text;
}

static void look_at_all(struct world *w, char **shown)
{
    for (size_t i = 0; i < w->job_count; i++)
        shown[i] = look(w, w->jobs[i]);
}

static void compare_all(struct world *w, char **shown, const char *when)
{
    for (size_t i = 0; i < w->job_count; i++) {
        OWNED_MEM char *now = look(w, w->jobs[i]);
        if (strcmp(now, shown[i]) != 0)
            fail_msg("%s: job %lld is \"%s\", was \"%s\"", when, (long long)w->jobs[i], now,
                     shown[i]);
        free(shown[i]);
    }
}

/* How many jobs there are in a state, as a list tells it. */
static int64_t total(struct world *w, enum job_state state)
{
    struct op op;
    prepare(&op, OP_STEP_JOBS, "");
    op.step_jobs.by = nobody;
    op.step_jobs.filter = (struct step_filter){.by_state = true, .state = state};
    op.step_jobs.page = (struct step_page){.limit = 1, .descending = true};
    op.step_jobs.wants_total = true;
    ask(w->b, &op);
    assert_went_well(&op);
    int64_t count = op.step_jobs.total;
    op_release(&op);
    return count;
}

/* --- ops: true when it went well --- */

static bool edit(struct world *w)
{
    struct op op;
    int64_t ids[2] = {some(w, w->artifacts, w->artifact_count),
                      some(w, w->artifacts, w->artifact_count)};
    struct step_fill_ask fill = {.slot = 0, .ids = ids, .count = roll(w, 3)};
    unsigned sets = (unsigned)roll(w, 2 * STEP_JOB_STARTS);
    prepare_edit(&op, roll(w, 2) ? some(w, w->jobs, w->job_count) : 0, sets);
    struct op_step_job_edit *e = &op.step_job_edit;
    e->step = w->steps[roll(w, 3)];
    e->parameters = roll(w, 4) ? STR("{\"x\":1}") : STR("{\"x\":\"a\"}");
    e->output_deletable = roll(w, 2);
    e->folder = STR("/a");
    e->max_attempts = 1 + (int64_t)roll(w, 3);
    e->options = STR("{\"retry\":{\"kind\":\"fixed\",\"delay_s\":0}}");
    e->fills = &fill;
    e->fill_count = roll(w, 2);
    e->parent = !e->id && roll(w, 4) == 0 ? some(w, w->jobs, w->job_count) : 0;
    ask(w->b, &op);
    bool good = op.err.code == ERR_NONE;
    if (good && !e->id)
        learn(w->jobs, &w->job_count, e->job);
    op_release(&op);
    return good;
}

static bool end(struct world *w)
{
    struct op op;
    prepare_end(&op, some(w, w->jobs, w->job_count), (enum step_job_end)roll(w, 3));
    ask(w->b, &op);
    return op.err.code == ERR_NONE;
}

static bool add(struct world *w)
{
    struct op op;
    OWNED_MEM char *bytes = xasprintf("%zu", roll(w, 10));
    struct blob_pin *pin = prepare_artifact(w->b, &op, "name", bytes);
    if (w->hand.count && roll(w, 2)) {
        op.artifact_add.job = w->hand.ids[0];
        op.artifact_add.fence = 1 + (int64_t)roll(w, 2);
        op.artifact_add.slot_name = STR("plot");
    }
    ask(w->b, &op);
    bool good = op.err.code == ERR_NONE;
    if (good)
        learn(w->artifacts, &w->artifact_count, op.artifact_add.artifact->id);
    blob_pin_free(pin, good);
    op_release(&op);
    return good;
}

static bool drop(struct world *w)
{
    struct op op;
    prepare_artifact_edit(&op, some(w, w->artifacts, w->artifact_count),
                          roll(w, 3) ? ARTIFACT_DELETES : ARTIFACT_SETS_DELETABLE);
    op.artifact_edit.deletable = roll(w, 4) > 0;
    ask(w->b, &op);
    bool good = op.err.code == ERR_NONE;
    op_release(&op);
    return good;
}

static bool claim_some(struct world *w)
{
    struct str queue = STR("steps");
    struct op op;
    prepare_take(&op, &w->hand, 1 + (int64_t)roll(w, 2));
    op.task_claim.queues = &queue;
    op.task_claim.queue_count = 1;
    ask(w->b, &op);
    bool good = op.err.code == ERR_NONE;
    if (good)
        taken(&w->hand, &op);
    else
        w->hand = (struct hand){.count = 0}; /* a new session */
    op_release(&op);
    return good;
}

static bool settle_one(struct world *w)
{
    struct outcomes o;
    if (!w->hand.count)
        return false;
    outcomes_begin(&o, &w->hand);
    enum task_outcome kind = roll(w, 3) ? TASK_COMPLETED : TASK_FAILED;
    outcome(&o, w->hand.ids[0], kind, kind == TASK_COMPLETED ? "7" : "{\"message\":\"no\"}")->type =
        STR("E");
    ask(w->b, &o.op);
    bool good = o.op.err.code == ERR_NONE;
    op_release(&o.op);
    return good;
}

static bool retry(struct world *w)
{
    struct op op;
    int64_t id = some(w, w->jobs, w->job_count);
    prepare(&op, OP_TASK_CONTROL, "");
    op.task_control.verb = (enum task_verb)roll(w, 2);
    op.task_control.filter = (struct task_filter){.ids = &id, .id_count = 1};
    ask(w->b, &op);
    return op.err.code == ERR_NONE;
}

static void act(struct world *w)
{
    static bool (*const acts[])(struct world * w) = {
        edit, edit, edit, end, add, drop, add, claim_some, settle_one, retry, claim_some};
    char *shown[THINGS];
    size_t known = w->job_count;
    w->faulty = roll(w, 12) == 0;
    look_at_all(w, shown);
    if (w->faulty)
        plan_fault("store.commit:1:fail");
    bool good = acts[roll(w, sizeof acts / sizeof *acts)](w);
    no_faults();
    if (w->faulty) { /* changes are refused for a moment */
        pass_time(w->b, 3 * SECOND_US);
        w->hand = (struct hand){.count = 0};
    }
    w->job_count = good ? w->job_count : known;
    if (!good && !w->faulty)
        compare_all(w, shown, "refused");
    else
        for (size_t i = 0; i < known; i++)
            free(shown[i]);
}

static void live(struct bench *b, uint64_t seed)
{
    struct world w = {.b = b};
    rng_init(&w.rng, seed);
    w.steps[0] = register_step(b, STEP_MANIFEST("a", "1"), nobody);
    w.steps[1] = register_step(b, STEP_MANIFEST("a", "2"), nobody);
    w.steps[2] = register_step(b, STEP_MANIFEST("b", "1"), nobody);
    for (int i = 0; i < OPS; i++) {
        act(&w);
        if (roll(&w, 20))
            continue;
        char *shown[THINGS];
        int64_t totals[JOB_STATE_COUNT];
        look_at_all(&w, shown);
        for (int k = 0; k < JOB_STATE_COUNT; k++)
            totals[k] = total(&w, (enum job_state)k);
        reopen_engine(b);
        for (int k = 0; k < JOB_STATE_COUNT; k++)
            assert_int_equal(total(&w, (enum job_state)k), totals[k]);
        compare_all(&w, shown, "restarted");
        assert_sound(b);
    }
    assert_sound(b);
}

static void whatever_happens_what_was_shown_holds(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        live(*state, seed);
        bench_end(state);
        bench_begin(state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {ENGINE_TEST(whatever_happens_what_was_shown_holds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
