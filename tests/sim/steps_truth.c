/* steps_truth.c: what has happened to the simulation of steps: runs that are lost with their
 * sessions, what a killed process has done of what it was asked, what events have told; and what
 * must hold all the time (steps_sim.h). */
#include "engine/feed.h"
#include "steps_sim.h"

/* --- what happens by itself ------------------------------------------------------------------ */

void observe_losses(void)
{
    for (int i = 0; i < world->model.job_count; i++) {
        struct known_job *j = &world->model.jobs[i];
        bool there = false;
        if (j->gone || j->state != JOB_RUNNING ||
            world->sessions[j->session].ends_us > world->now.mono_us)
            continue;
        struct task_view view = task_of(j->id, &there);
        bool late = world->sessions[j->session].late_us <= world->now.mono_us;
        bool runs = there && view.state == JOB_RUNNING;
        MUST(!runs || !late || world->refused_until_us > world->now.mono_us,
             "job %lld runs on, its session is over", (long long)j->id);
        task_view_release(&view);
        if (!runs)
            model_lost(&world->model, i);
    }
}

/* A claim was not answered: what of the owner's jobs runs now, it has taken. */
static void resolve_claim(void)
{
    struct session *unknown = &world->sessions[SESSION_UNKNOWN];
    if (!world->claim_doubt)
        return;
    world->claim_doubt = false;
    for (int i = 0; i < world->model.job_count; i++) {
        const struct known_job *j = &world->model.jobs[i];
        bool there = false;
        if (j->gone || j->state != JOB_PENDING || j->owner != world->claim_owner)
            continue;
        struct task_view view = task_of(j->id, &there);
        if (there && view.state == JOB_RUNNING && view.fence > j->fence)
            model_started(&world->model, i, world->claim_session, view.fence);
        task_view_release(&view);
    }
    if (world->claim_session == SESSION_UNKNOWN)
        unknown->ends_us = world->now.mono_us;
}

void resolve(void)
{
    char why[200];
    observe_losses();
    resolve_claim();
    if (world->in_doubt && same_as(&world->asked, why, sizeof why))
        world->model = world->asked;
    world->in_doubt = false;
}

/* --- events ---------------------------------------------------------------------------------- */

/* Of those that tell of a state, or of beginning and end; 0: of others. */
static char event_letter(struct str kind)
{
    static const struct {
        const char *kind;
        char letter;
    } letters[] = {
        {"step-job.created", 'c'},   {"step-job.pending", 'p'}, {"step-job.running", 'r'},
        {"step-job.completed", 'd'}, {"step-job.failed", 'f'},  {"step-job.cancelled", 'x'},
        {"step-job.deleted", 'D'},   {"artifact.created", 'C'}, {"artifact.deleted", 'E'}};
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (str_is(kind, letters[i].kind))
            return letters[i].letter;
    return 0;
}

static void hear_file(int64_t id, char letter)
{
    for (int i = 0; i < world->model.artifact_count; i++) {
        char *heard = &world->heard_files[i];
        if (world->model.artifacts[i].id != id)
            continue;
        MUST(letter == (*heard == 0 ? 'C' : 'E') && *heard != 'E', "artifact %lld: %c after %c",
             (long long)id, letter, *heard ? *heard : '-');
        *heard = letter;
        return;
    }
    /* Of one that came and went before anybody has looked. */
}

static void hear(int64_t id, struct str kind)
{
    char letter = event_letter(kind);
    if (letter == 'C' || letter == 'E')
        hear_file(id, letter);
    for (int i = 0; letter && i < world->model.job_count; i++) {
        char *heard = world->heard[i];
        if (world->model.jobs[i].id != id)
            continue;
        MUST(strlen(heard) + 1 < TOLD, "job %lld has too many events", (long long)id);
        heard[strlen(heard)] = letter;
    }
}

/* "id: 7\nevent: step-job.created\ndata: {...}\n\n", from `at` on. */
static void hear_lines(const struct buf *text)
{
    int64_t number = 0;
    struct str kind = {NULL, 0};
    for (const char *at = text->data, *end = at + text->len; at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        MUST(line_end, "half an event");
        struct str line = {at, (size_t)(line_end - at)};
        if (line.len > 4 && strncmp(at, "id: ", 4) == 0) {
            number = strtoll(at + 4, NULL, 10);
            MUST(number > world->last_event, "event %lld after %lld", (long long)number,
                 (long long)world->last_event);
            world->last_event = number;
        } else if (line.len > 7 && strncmp(at, "event: ", 7) == 0) {
            kind = (struct str){at + 7, line.len - 7};
        } else if (line.len > 6 && strncmp(at, "data: ", 6) == 0) {
            struct str raw, data = {at + 6, line.len - 6};
            int64_t id = 0;
            if (json_find(data, "job", &raw) && json_i64(raw, 0, INT64_MAX, &id))
                hear(id, kind);
        }
        at = line_end + 1;
    }
}

static void no_wake(void *context)
{
    (void)context;
}

/* All since the last that was heard. */
static void hear_all(void)
{
    struct subscription *s = subscription_new(no_wake, NULL);
    OWNED_BUF struct buf text;
    char part[4096];
    struct op op;
    buf_init(&text, BUF_NO_CAP);
    op_init(&op, OP_SUBSCRIBE);
    op.subscribe.subscription = s;
    op.subscribe.after = world->last_event;
    ask(&op);
    MUST(op.err.code == ERR_NONE, "subscribe: %s", op.err.text);
    for (bool refill = true; refill;) {
        size_t len = 0;
        refill = false;
        while (subscription_take(s, part, sizeof part, &len, &refill))
            buf_add(&text, part, len);
        if (!refill)
            break;
        op_init(&op, OP_SUBSCRIBE);
        op.subscribe.subscription = s;
        op.subscribe.after = -2;
        ask(&op);
    }
    op_init(&op, OP_UNSUBSCRIBE);
    op.subscribe.subscription = s;
    ask(&op);
    subscription_free(s);
    hear_lines(&text);
}

static void check_events(void)
{
    hear_all();
    for (int i = 0; i < world->model.job_count; i++)
        MUST(strcmp(world->heard[i], world->model.jobs[i].told) == 0,
             "the events of job %lld told %s, not %s", (long long)world->model.jobs[i].id,
             world->heard[i], world->model.jobs[i].told);
    for (int i = 0; i < world->model.artifact_count; i++)
        MUST(world->heard_files[i] == (world->model.artifacts[i].gone ? 'E' : 'C'),
             "the events of artifact %lld", (long long)world->model.artifacts[i].id);
}

/* --- what must hold -------------------------------------------------------------------------- */

static void check_doctor(void)
{
    struct op op;
    op_init(&op, OP_DOCTOR);
    ask(&op);
    if (op.err.code == ERR_NONE)
        MUST(op.doctor.faults == 0, "doctor: %.*s", (int)op.doctor.findings.len,
             op.doctor.findings.data);
    op_release(&op);
}

static void check_totals(int owner)
{
    int64_t bytes = 0;
    struct op op;
    enum job_state state = (enum job_state)pick(JOB_STATE_COUNT);
    int64_t expected = 0;
    for (int i = 0; i < world->model.job_count; i++)
        expected += !world->model.jobs[i].gone && world->model.jobs[i].owner == owner &&
                    world->model.jobs[i].state == state;
    op_init(&op, OP_STEP_JOBS);
    op.step_jobs.by = asker(owner);
    op.step_jobs.filter =
        (struct step_filter){.owner = str_of(owner_names[owner]), .by_state = true, .state = state};
    op.step_jobs.page.limit = 1;
    op.step_jobs.wants_total = true;
    ask(&op);
    MUST(op.err.code == ERR_NONE && op.step_jobs.total == expected, "%lld jobs are %s, not %lld",
         (long long)op.step_jobs.total, job_state_name(state), (long long)expected);
    op_release(&op);
    for (int i = 0; i < world->model.artifact_count; i++)
        if (!world->model.artifacts[i].gone && world->model.artifacts[i].owner == owner)
            bytes += 1 + world->model.artifacts[i].content;
    op_init(&op, OP_STEP_USAGE);
    op.step_usage.by = asker(owner);
    ask(&op);
    MUST(op.err.code == ERR_NONE && op.step_usage.artifact_bytes == bytes,
         "%lld bytes are used, not %lld", (long long)op.step_usage.artifact_bytes,
         (long long)bytes);
    op_release(&op);
}

static void check_bytes(const struct known_artifact *a)
{
    struct err err;
    struct blob_hash hash;
    char text[CONTENTS + 1] = "";
    OWNED_BUF struct buf bytes;
    buf_init(&bytes, 1000);
    memset(text, 'a' + a->content, (size_t)a->content + 1);
    blob_hash_of(str_of(text), &hash);
    MUST(blob_load(engine_blobs(sim_engine), &hash, &bytes, &err), "artifact %lld: %s",
         (long long)a->id, err.text);
    MUST(str_is(buf_str(&bytes), text), "artifact %lld is damaged", (long long)a->id);
}

void check_all(void)
{
    char why[200];
    MUST(same_as(&world->model, why, sizeof why), "%s", why);
    check_totals(pick(OWNERS));
    check_events();
}

void check_deeply(void)
{
    for (int i = 0; i < world->model.artifact_count; i++)
        if (!world->model.artifacts[i].gone)
            check_bytes(&world->model.artifacts[i]);
    check_doctor();
}

static void count_one(void *context, const struct blob_hash *hash, int64_t bytes)
{
    (void)hash, (void)bytes;
    ++*(int *)context;
}

void check_nothing_is_left(void)
{
    struct err err;
    int left = 1;
    for (int i = 0; i < world->model.job_count; i++)
        MUST(world->model.jobs[i].gone, "job %lld stays", (long long)world->model.jobs[i].id);
    for (int rounds = 0; left > 0; rounds++) {
        left = 0;
        pass(GRACE_US / 4, true);
        MUST(blobs_each(engine_blobs(sim_engine), count_one, &left, &err), "%s", err.text);
        MUST(rounds < 200, "%d blobs stay for ever", left);
    }
}
