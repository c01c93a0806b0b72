/* steps_hands.c: the workers of the simulation of steps: they claim, put outputs, settle, give back
 * and die (steps_sim.h). */
#include "steps_sim.h"

/* What was asked with a session: it lives on, or the engine knows it no more. */
static void heard_of(int session, const struct op *op)
{
    struct session *s = &world->sessions[session];
    if (op->refusal != REFUSED_LEASE_ENDED) {
        session_heard(session);
        return;
    }
    MUST(world->now.mono_us >= s->ends_us, "a session has ended early");
    *s = (struct session){0};
}

/* --- claims ---------------------------------------------------------------------------------- */

static int job_of(int64_t id)
{
    for (int i = 0; i < world->model.job_count; i++)
        if (world->model.jobs[i].id == id)
            return i;
    MUST(false, "job %lld comes from nowhere", (long long)id);
    return NONE;
}

static void take(const struct task_handed *t, int owner, int session)
{
    struct str raw;
    int64_t number = 0;
    int job = job_of(t->id);
    const struct known_job *j = &world->model.jobs[job];
    MUST(!j->gone && j->state == JOB_PENDING && j->owner == owner, "job %lld is handed out",
         (long long)t->id);
    MUST(str_is(t->function, step_kinds[j->step].function), "job %lld calls %.*s", (long long)t->id,
         (int)t->function.len, t->function.ptr);
    MUST(json_find(t->arguments, "job", &raw) && json_i64(raw, 0, INT64_MAX, &number) &&
             number == t->id,
         "job %lld has %.*s", (long long)t->id, (int)t->arguments.len, t->arguments.ptr);
    int64_t before = j->fence;
    model_started(&world->model, job, session, t->fence);
    /* One that a failed commit has used is not used again. */
    MUST(t->fence > before && (int)t->attempt == j->attempts, "job %lld: attempt %u, fence %u",
         (long long)t->id, t->attempt, t->fence);
    SAY("  job %lld runs in session %d\n", (long long)t->id, session);
    world->runs++;
}

void claim(int session, int owner, int most)
{
    static const char *const queues[OWNERS] = {"steps", "steps/lab"};
    struct session *s = &world->sessions[session];
    struct str queue = str_of(queues[owner]);
    int pending = 0;
    struct op op;
    for (int i = 0; i < world->model.job_count; i++)
        pending += !world->model.jobs[i].gone && world->model.jobs[i].owner == owner &&
                   world->model.jobs[i].state == JOB_PENDING;
    op_init(&op, OP_TASK_CLAIM);
    op.task_claim.queues = &queue;
    op.task_claim.queue_count = 1;
    op.task_claim.max = most;
    op.task_claim.worker = STR("w");
    op.task_claim.lease_us = SPAN_US;
    op.task_claim.has_lease = s->has_token;
    memcpy(op.task_claim.token, s->token, sizeof s->token);
    world->claim_doubt = true;
    world->claim_owner = owner;
    world->claim_session = s->has_token ? session : SESSION_UNKNOWN;
    dare_quietly(&op);
    world->claim_doubt = false;
    if (op.err.code == ERR_NONE) {
        s->has_token = true;
        memcpy(s->token, op.task_claim.token, sizeof s->token);
        session_heard(session);
        MUST((int)op.task_claim.count == (pending < most ? pending : most),
             "%zu of %d jobs are handed out", op.task_claim.count, pending);
        for (size_t i = 0; i < op.task_claim.count; i++)
            take(&op.task_claim.tasks[i], owner, session);
    } else if (op.err.code != ERR_STORE && op.err.code != ERR_NO_SPACE) {
        heard_of(session, &op);
    }
    op_release(&op);
}

void verb_claim(void)
{
    claim(pick(SESSIONS), pick(OWNERS), 1 + pick(3));
}

/* --- outcomes -------------------------------------------------------------------------------- */

static void foresee(struct model *m, int job, const struct task_settle_entry *entry, int result)
{
    if (entry->outcome == TASK_COMPLETED)
        model_completed(m, job, result);
    else if (entry->outcome == TASK_FAILED && entry->lost && !m->jobs[job].retries &&
             !entry->final && !m->jobs[job].cancel_asked)
        model_lost(m, job);
    else if (entry->outcome == TASK_FAILED)
        model_failed(m, job, entry->final);
    else {
        m->jobs[job].session = NONE;
        m->jobs[job].state = JOB_CANCELLED;
        m->jobs[job].cancel_asked = false;
        tell(&m->jobs[job], 'x');
    }
}

static void choose_outcome(struct task_settle_entry *entry, const struct known_job *j, bool well,
                           char value[32], int result)
{
    snprintf(value, 32, "{\"r\":%d}", result);
    *entry = (struct task_settle_entry){.id = j->id, .outcome = TASK_COMPLETED};
    if (well || pick(3))
        entry->value = str_of(value);
    else if (j->cancel_asked && pick(2))
        entry->outcome = TASK_ABORTED;
    else
        *entry = (struct task_settle_entry){.id = j->id,
                                            .outcome = TASK_FAILED,
                                            .value = STR("{\"message\":\"no\",\"type\":\"E\"}"),
                                            .type = STR("E"),
                                            .final = pick(3) == 0,
                                            .lost = pick(4) == 0};
}

void settle(int session, bool well)
{
    struct session *s = &world->sessions[session];
    struct task_settle_entry entries[JOBS];
    char values[JOBS][32];
    bool held[JOBS];
    struct op op;
    if (!s->has_token)
        return;
    op_init(&op, OP_TASK_SETTLE);
    struct op_task_settle *settle = &op.task_settle;
    memcpy(settle->token, s->token, sizeof s->token);
    settle->entries = entries;
    world->asked = world->model;
    for (int i = 0; i < world->model.job_count; i++) {
        const struct known_job *j = &world->model.jobs[i];
        size_t n = settle->count;
        /* Now and then one that it does not hold: that changes nothing. */
        bool holds = j->state == JOB_RUNNING && j->session == session;
        if (j->gone || (holds ? !well && pick(3) == 0 : pick(20)))
            continue;
        held[settle->count++] = holds;
        choose_outcome(&entries[n], j, well, values[n], 1 + world->completions + (int)n);
        if (holds)
            foresee(&world->asked, i, &entries[n], 1 + world->completions + (int)n);
    }
    bool ended = world->now.mono_us >= s->ends_us;
    world->in_doubt = true;
    dare_quietly(&op);
    world->in_doubt = false;
    if (op.err.code == ERR_NONE) {
        world->model = world->asked;
        world->completions += JOBS;
        for (size_t i = 0; i < settle->count; i++)
            MUST(entries[i].stale != held[i], "job %lld: whether it was held",
                 (long long)entries[i].id);
    } else if (op.err.code != ERR_STORE && op.err.code != ERR_NO_SPACE) {
        MUST(ended, "settle: %s", op.err.text);
    }
    if (op.err.code != ERR_STORE && op.err.code != ERR_NO_SPACE)
        heard_of(session, &op);
    op_release(&op);
}

void verb_settle(void)
{
    settle(pick(SESSIONS), false);
}

/* --- outputs --------------------------------------------------------------------------------- */

static int some_running_job(void)
{
    for (int tries = 0; tries < 20 && world->model.job_count; tries++) {
        int job = pick(world->model.job_count);
        if (!world->model.jobs[job].gone &&
            (world->model.jobs[job].state == JOB_RUNNING || pick(20) == 0))
            return job;
    }
    return NONE;
}

/* What it is refused with, else ERR_NONE. */
static enum err_code may_put(const struct known_job *j, const struct op_artifact_add *ask)
{
    const struct step_kind *kind = j->step == NONE ? NULL : &step_kinds[j->step];
    if (j->state != JOB_RUNNING || ask->fence != j->fence)
        return ask->by.job ? ERR_UNAUTHORIZED : ERR_CONFLICT;
    if (ask->slot >= kind->outputs)
        return ERR_NOT_FOUND;
    return ask->place >= kind->places ? ERR_INVALID : ERR_NONE;
}

void verb_output(void)
{
    struct err err;
    char text[CONTENTS + 1] = "";
    int content = pick(CONTENTS), job = some_running_job();
    struct blob_pin *pin = NULL;
    struct op op;
    if (job == NONE || world->model.artifact_count == ARTIFACTS)
        return;
    const struct known_job *j = &world->model.jobs[job];
    memset(text, 'a' + content, (size_t)content + 1);
    MUST(blob_put(engine_blobs(sim_engine), str_of(text), &pin, &err), "put: %s", err.text);
    op_init(&op, OP_ARTIFACT_ADD);
    op.artifact_add.by = asker(j->owner);
    op.artifact_add.bytes = blob_pin_bytes(pin);
    memcpy(op.artifact_add.hash, blob_pin_hash(pin)->bytes, ARTIFACT_HASH_BYTES);
    op.artifact_add.folder = STR("/");
    op.artifact_add.job = j->id;
    op.artifact_add.fence = pick(8) ? j->fence : j->fence - 1;
    op.artifact_add.slot = pick(8) ? 0 : pick(3);
    op.artifact_add.place = pick(3) ? 0 : pick(3);
    if (pick(2)) { /* with the token of its run */
        op.artifact_add.by.job = j->id;
        op.artifact_add.by.fence = op.artifact_add.fence;
    }
    world->asked = world->model;
    enum err_code expected = may_put(j, &op.artifact_add);
    int place = NONE;
    if (expected == ERR_NONE) {
        place = model_new_artifact(&world->asked, j->owner, content, "/");
        model_put_output(&world->asked, place, job, (int)op.artifact_add.slot,
                         (int)op.artifact_add.place);
    }
    bool good = dare(&op, expected);
    if (good)
        world->model.artifacts[place].id = op.artifact_add.artifact->id;
    op_release(&op);
    blob_pin_free(pin, good);
}

/* --- signs of life, and none ----------------------------------------------------------------- */

void verb_extend(void)
{
    int session = pick(SESSIONS);
    struct op op;
    if (!world->sessions[session].has_token)
        return;
    op_init(&op, OP_TASK_EXTEND);
    memcpy(op.task_extend.token, world->sessions[session].token, LEASE_TOKEN_BYTES);
    ask(&op);
    if (op.err.code != ERR_STORE && op.err.code != ERR_NO_SPACE)
        heard_of(session, &op);
    op_release(&op);
}

/* All that it holds goes back, or is lost with it. */
void verb_release(void)
{
    int session = pick(SESSIONS);
    struct session *s = &world->sessions[session];
    struct op op;
    if (!s->has_token)
        return;
    op_init(&op, OP_TASK_RELEASE);
    memcpy(op.task_release.token, s->token, sizeof s->token);
    op.task_release.died = pick(2);
    s->ends_us = world->now.mono_us; /* if nobody answers it may be over */
    world->asked = world->model;
    for (int i = 0; i < world->model.job_count; i++) {
        const struct known_job *j = &world->model.jobs[i];
        if (j->gone || j->state != JOB_RUNNING || j->session != session)
            continue;
        if (op.task_release.died)
            model_lost(&world->asked, i);
        else
            model_given_back(&world->asked, i);
    }
    world->in_doubt = true;
    dare_quietly(&op);
    world->in_doubt = false;
    if (op.err.code == ERR_NONE) {
        world->model = world->asked;
        *s = (struct session){0};
    } else if (op.err.code != ERR_STORE && op.err.code != ERR_NO_SPACE) {
        heard_of(session, &op);
    }
    op_release(&op);
}
