/* tasks_sessions.c: claims, those that wait too, and sessions in the simulation of the queue
 * (tasks_sim.h). */
#include "tasks_sim.h"

static void forget_session(struct worker *w)
{
    *w = (struct worker){0};
}

void heard_of(int session)
{
    struct session *s = &world->sessions[session];
    s->deadline_us = world->asked_us + s->span_us;
}

bool holds(const struct worker *w, int place)
{
    for (int i = 0; i < w->count; i++)
        if (w->held[i] == place)
            return true;
    return false;
}

void drop_held(struct worker *w, int place)
{
    for (int i = w->count; i-- > 0;)
        if (w->held[i] == place)
            w->held[i] = w->held[--w->count];
}

void note_aborts(const struct worker *w, const struct task_aborted *aborts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct known *k = known_by_id(aborts[i].id);
        if (k && k->session == -1) /* the claim that brought it was not answered: now it is known */
            k->session = w->session;
        MUST(k && k->session == w->session, "abort of task %lld of another",
             (long long)aborts[i].id);
        MUST(aborts[i].why == ABORT_CANCELLED ? k->cancel_asked : k->times_out,
             "abort of task %lld for nothing", (long long)aborts[i].id);
        k->aborting = true;
    }
}

/* Parents may have ended since they were last looked at: lost with their sessions, say. */
static void see_parents(const struct known *k)
{
    for (int i = 0; i < k->parent_count; i++) {
        struct known *parent = &world->tasks[k->parents[i]];
        if (parent->state != KNOWN_OPEN)
            continue;
        struct task_view view = show(parent->id);
        if (job_state_is_final(view.state))
            known_seen(parent, &view);
        task_view_release(&view);
    }
}

/* To whichever session a claim handed that out. */
static void note_given(const struct task_claim *claim, int session, bool late)
{
    int64_t asked_us = world->asked_us;
    /* It was handed out at some moment since: the answer says when the lease began anew. */
    if (late)
        world->asked_us = world->now.mono_us - (world->now.wall_us - claim->lease_ends_at_us) -
                          world->sessions[session].span_us;
    for (size_t i = 0; i < claim->count; i++) {
        struct known *k = known_or_tick(claim->tasks[i].id);
        MUST(k, "task %lld is not known", (long long)claim->tasks[i].id);
        see_parents(k);
        known_handed(k, &claim->tasks[i], session, late);
    }
    if (late)
        world->asked_us = asked_us;
}

/* What a claim handed out; `heard`: the answer gets through. */
void note_handed(struct worker *w, const struct task_claim *claim, bool late, bool heard)
{
    note_given(claim, w->session, late);
    for (size_t i = 0; i < claim->count; i++) {
        int place = (int)(known_by_id(claim->tasks[i].id) - world->tasks);
        drop_held(w, place); /* it had lost it without knowing */
        if (heard)
            w->held[w->count++] = place;
    }
    if (!heard)
        w->unsure = true;
}

void session_over(struct worker *w)
{
    MUST(!known_is_live(w->session), "a session has ended too early");
    forget_session(w);
}

/* What the session holds besides what it says goes back. */
static void note_holds(const struct worker *w)
{
    for (int i = 0; i < world->task_count; i++) {
        struct known *k = &world->tasks[i];
        if (k->session != w->session || holds(w, i))
            continue;
        SAY("  task %lld goes back from session %d\n", (long long)k->id, w->session);
        k->session = 0;
    }
}

/* The same, where it is not known whether that was heard. */
void maybe_back(const struct worker *w)
{
    for (int i = 0; i < world->task_count; i++)
        if (world->tasks[i].session == w->session && !holds(w, i))
            world->tasks[i].session = -1;
}

static size_t tell_holds(const struct worker *w, int64_t *ids)
{
    for (int i = 0; i < w->count; i++)
        ids[i] = world->tasks[w->held[i]].id;
    return (size_t)w->count;
}

static void begin_session(struct worker *w, const struct task_claim *claim)
{
    MUST(world->session_count + 1 < SESSIONS_MAX, "so many sessions");
    w->session = ++world->session_count;
    world->sessions[w->session].span_us = claim->lease_us;
    memcpy(w->token, claim->token, sizeof w->token);
}

void verb_claim(void)
{
    struct worker *w = &world->workers[pick(WORKERS)];
    struct str queue = str_of(queue_names[pick(QUEUES)]);
    struct str function = str_of(function_names[pick(FUNCTIONS)]);
    int64_t ids[HELD_MAX];
    struct op op;
    op_init(&op, OP_TASK_CLAIM);
    struct task_claim *c = &op.task_claim;
    bool fresh = !w->session;
    c->max = 1 + pick(6);
    c->max_bytes = 1 << 20;
    c->worker = STR("sim");
    c->lease_us = fresh ? (5 + pick(20)) * SECOND_US : 0;
    c->has_lease = !fresh;
    memcpy(c->token, w->token, sizeof w->token);
    if (pick(4) == 0) {
        c->queues = &queue;
        c->queue_count = 1;
    }
    if (pick(4) == 0) {
        c->functions = &function;
        c->function_count = 1;
    }
    if (!fresh && (w->unsure || pick(10) == 0)) {
        c->has_holds = true;
        c->holds = ids;
        c->holds_count = tell_holds(w, ids);
        world->open_holds = w->session;
    }
    dare(&op);
    world->open_holds = 0;
    if (op.refusal == REFUSED_LEASE_ENDED) {
        session_over(w);
    } else if (op.err.code == ERR_NONE) {
        if (fresh)
            begin_session(w, c);
        if (c->has_holds) {
            note_holds(w);
            w->unsure = false;
        }
        heard_of(w->session);
        note_aborts(w, c->aborts, c->abort_count);
        note_handed(w, c, false, pick(12) != 0);
    } else {
        w->unsure = !fresh;
        if (c->has_holds)
            maybe_back(w);
    }
    op_release(&op);
}

/* --- claims that wait --- */

/* A worker's claim that waits, in the engine's process: it dies with that. Its answer is looked at
 * when what was asked meanwhile has been noted, for it may come with what that has brought. */
static struct waiting {
    struct op op;
    bool waits, answered;
    int session;
    struct str queue;
} waitings[WORKERS];

static void hear(struct worker *w, struct waiting *x)
{
    const struct task_claim *c = &x->op.task_claim;
    bool same = w->session == x->session; /* else it has forgotten it, and so its tasks */
    SAY("  session %d has waited: %s, %d tasks\n", x->session,
        x->op.err.code == ERR_NONE ? "well" : x->op.err.text, (int)c->count);
    if (x->op.refusal == REFUSED_LEASE_ENDED && same)
        session_over(w);
    else if (x->op.err.code != ERR_NONE)
        w->unsure = w->unsure || same;
    else if (!same || atomic_load(&c->given_up)) {
        note_given(c, x->session, true);
        w->unsure = w->unsure || same;
    } else {
        note_aborts(w, c->aborts, c->abort_count);
        note_handed(w, c, true, pick(12) != 0);
    }
    op_release(&x->op);
    x->waits = false;
}

void hear_all(void)
{
    for (int i = 0; i < WORKERS; i++)
        if (waitings[i].waits && waitings[i].answered)
            hear(&world->workers[i], &waitings[i]);
}

void verb_wait(void)
{
    int at = pick(WORKERS);
    struct worker *w = &world->workers[at];
    struct waiting *x = &waitings[at];
    if (x->waits && pick(4) == 0)
        atomic_store(&x->op.task_claim.given_up, true);
    if (!w->session || w->unsure || x->waits)
        return;
    *x = (struct waiting){.waits = true, .session = w->session};
    x->queue = str_of(queue_names[pick(QUEUES)]);
    op_init(&x->op, OP_TASK_CLAIM);
    struct task_claim *c = &x->op.task_claim;
    c->max = 1 + pick(6);
    c->max_bytes = 1 << 20;
    c->has_lease = true;
    memcpy(c->token, w->token, sizeof w->token);
    c->wait_until_us = machine_now().mono_us + pick(30) * SECOND_US;
    if (pick(3) == 0) {
        c->queues = &x->queue;
        c->queue_count = 1;
    }
    x->op.done = on_done;
    x->op.context = &x->answered;
    x->op.right.trusted = true;
    world->asked_us = world->now.mono_us;
    step(&x->op);
}

void verb_extend(void)
{
    struct worker *w = &world->workers[pick(WORKERS)];
    int64_t ids[HELD_MAX];
    struct op op;
    if (!w->session)
        return;
    op_init(&op, OP_TASK_EXTEND);
    memcpy(op.task_extend.token, w->token, sizeof w->token);
    struct task_progress progress = {.part = 0.5, .text = STR("half")};
    if (w->count) {
        progress.id = world->tasks[w->held[pick(w->count)]].id;
        op.task_extend.progress = &progress;
        op.task_extend.progress_count = 1;
    }
    if (w->unsure || pick(4) == 0) {
        op.task_extend.has_holds = true;
        op.task_extend.holds = ids;
        op.task_extend.holds_count = tell_holds(w, ids);
        world->open_holds = w->session;
    }
    dare(&op);
    world->open_holds = 0;
    if (op.refusal == REFUSED_LEASE_ENDED) {
        session_over(w);
    } else if (op.err.code == ERR_NONE) {
        if (op.task_extend.has_holds) {
            note_holds(w);
            w->unsure = false;
        }
        heard_of(w->session);
        note_aborts(w, op.task_extend.aborts, op.task_extend.abort_count);
    } else if (op.task_extend.has_holds) {
        maybe_back(w);
    }
    op_release(&op);
}

void verb_release(void)
{
    struct worker *w = &world->workers[pick(WORKERS)];
    struct op op;
    if (!w->session)
        return;
    op_init(&op, OP_TASK_RELEASE);
    memcpy(op.task_release.token, w->token, sizeof w->token);
    op.task_release.died = pick(2);
    world->sessions[w->session].deadline_us = 0; /* whatever becomes of it, nobody uses it more */
    dare(&op);
    op_release(&op);
    forget_session(w);
}

/* It dies, and nobody says so. */
void verb_die(void)
{
    forget_session(&world->workers[pick(WORKERS)]);
}
