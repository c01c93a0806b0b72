/* tasks_settle.c: settling in the simulation of the queue (tasks_sim.h). */
#include "tasks_sim.h"

struct settlement {
    struct task_settle_entry entries[HELD_MAX];
    int places[HELD_MAX];
    int64_t results[HELD_MAX];
    char texts[HELD_MAX][64];
    struct blob_pin *pins[HELD_MAX];
    size_t count;
};

static void settlement_release(struct settlement *s, bool stored)
{
    for (size_t i = 0; i < s->count; i++)
        blob_pin_free(s->pins[i], stored && !s->entries[i].stale && !s->entries[i].keeps_value);
}

static void choose_outcome(struct settlement *s, int place)
{
    size_t i = s->count++;
    struct task_settle_entry *e = &s->entries[i];
    *e = (struct task_settle_entry){.id = world->tasks[place].id};
    s->places[i] = place;
    s->results[i] = 0;
    s->pins[i] = NULL;
    if (world->ending || pick(3)) {
        e->outcome = TASK_COMPLETED;
        s->results[i] = ++world->results;
        snprintf(s->texts[i], sizeof s->texts[i], "{\"r\":%lld}", (long long)s->results[i]);
    } else {
        e->outcome = pick(6) ? TASK_FAILED : TASK_ABORTED;
        e->type = STR("Sim");
        e->final = pick(6) == 0;
        e->retry_after_us = pick(4) ? 0 : pick(5) * SECOND_US;
        snprintf(s->texts[i], sizeof s->texts[i], "{\"message\":\"would not\",\"type\":\"Sim\"}");
    }
    if (e->outcome == TASK_COMPLETED && pick(5) == 0 &&
        (s->pins[i] = put_text(s->texts[i], &e->value_blob)))
        return;
    if (e->outcome != TASK_ABORTED)
        e->value = str_of(s->texts[i]);
}

/* Some of what it holds; now and then what it held, or never did. */
static void choose_settlement(struct settlement *s, const struct worker *w)
{
    *s = (struct settlement){0};
    for (int i = 0; i < w->count; i++)
        if (pick(3) && !world->tasks[w->held[i]].hangs)
            choose_outcome(s, w->held[i]);
    int place = world->task_count && pick(8) == 0 ? pick(world->task_count) : -1;
    if (place >= 0 && world->tasks[place].id && !holds(w, place))
        choose_outcome(s, place);
}

static void note_outcome(const struct worker *w, const struct task_settle_entry *e, int place,
                         int64_t result)
{
    struct known *k = &world->tasks[place];
    bool live = known_is_live(w->session) && !k->aborting;
    MUST(!e->stale || k->session != w->session || !live, "task %lld is held, and stale",
         (long long)e->id);
    SAY("  task %lld by session %d: %d%s\n", (long long)e->id, w->session, (int)e->outcome,
        e->stale ? ", stale" : "");
    if (e->stale)
        return;
    MUST(k->session == w->session || k->session == -1, "task %lld is settled by who has it not",
         (long long)e->id);
    MUST(k->state == KNOWN_OPEN, "task %lld is settled twice", (long long)e->id);
    k->session = 0;
    k->failed_finally |= e->outcome == TASK_FAILED && e->final;
    k->delay_wall_us = world->now.wall_us + RETRY_MAX_US;
    k->cancel_asked |= e->outcome == TASK_ABORTED;
    if (e->outcome != TASK_COMPLETED)
        return;
    k->state = KNOWN_COMPLETED;
    k->ever_completed = k->ever_ended = true;
    k->result = result;
}

/* Whether an attempt that failed was the last: who waited for it may be handed out by the same
 * answer. */
static void see_failures(const struct settlement *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct known *k = &world->tasks[s->places[i]];
        if (s->entries[i].stale || k->state != KNOWN_OPEN)
            continue;
        struct task_view view = show(k->id);
        if (job_state_is_final(view.state))
            known_seen(k, &view);
        task_view_release(&view);
    }
}

static void note_settled(struct worker *w, struct settlement *s, const struct op_task_settle *op)
{
    int64_t outcomes[3] = {0}, stale = 0;
    for (size_t i = 0; i < s->count; i++) {
        note_outcome(w, &s->entries[i], s->places[i], s->results[i]);
        stale += s->entries[i].stale;
        outcomes[s->entries[i].outcome] += !s->entries[i].stale;
    }
    MUST(op->completed == outcomes[TASK_COMPLETED] &&
             op->completed + op->retried + op->failed + op->cancelled == (int64_t)s->count - stale,
         "%lld completed, %lld retried, %lld failed, %lld cancelled", (long long)op->completed,
         (long long)op->retried, (long long)op->failed, (long long)op->cancelled);
}

/* What was enqueued with it: all, unless the task that asks for it was stale. */
static void note_followers(const struct settlement *s, struct asked *a)
{
    bool wanted = false;
    for (size_t i = 0; i < s->count; i++)
        wanted = wanted ||
                 (!s->entries[i].stale && (!a->tasks[0].of || a->tasks[0].of == s->entries[i].id));
    for (int i = 0; i < a->count; i++)
        MUST((a->tasks[i].id != 0) == wanted, "a follower has the id %lld",
             (long long)a->tasks[i].id);
    note_enqueued(a);
}

static void remember_open(const struct settlement *s, const struct worker *w, bool enqueues)
{
    world->open_settles = true;
    world->open_worker = (int)(w - world->workers);
    world->open_request = enqueues ? world->requests : 0;
    world->open_count = (int)s->count;
    memcpy(world->open_tasks, s->places, sizeof s->places);
    memcpy(world->open_results, s->results, sizeof s->results);
}

void verb_settle(void)
{
    struct worker *w = &world->workers[pick(WORKERS)];
    static struct settlement s;
    struct asked a;
    struct op op;
    if (!w->session)
        return;
    choose_settlement(&s, w);
    if (s.count == 0)
        return;
    op_init(&op, OP_TASK_SETTLE);
    memcpy(op.task_settle.token, w->token, sizeof w->token);
    op.task_settle.entries = s.entries;
    op.task_settle.count = s.count;
    bool enqueues = pick(3) == 0 && choose_tasks(&a, 3, false);
    if (enqueues) {
        op.task_settle.enqueue.tasks = a.tasks;
        op.task_settle.enqueue.count = (size_t)a.count;
        int64_t of = pick(2) ? s.entries[pick((int)s.count)].id : 0;
        for (int i = 0; i < a.count; i++)
            a.tasks[i].of = of;
        world->open_of = of;
    }
    op.task_settle.claims = pick(3) == 0;
    op.task_settle.claim.max = 1 + pick(3);
    op.task_settle.claim.max_bytes = 1 << 20;
    remember_open(&s, w, enqueues);
    dare(&op);
    world->open_settles = false;
    world->open_request = 0;
    settlement_release(&s, op.err.code == ERR_NONE);
    if (enqueues)
        asked_release(&a, &op.task_settle.enqueue, op.err.code == ERR_NONE);
    if (op.refusal == REFUSED_LEASE_ENDED) {
        session_over(w);
    } else if (op.err.code == ERR_NONE) {
        note_settled(w, &s, &op.task_settle);
        see_failures(&s);
        if (enqueues)
            note_followers(&s, &a);
        heard_of(w->session);
        note_aborts(w, op.task_settle.aborts, op.task_settle.abort_count);
        if (op.task_settle.claims)
            note_handed(w, &op.task_settle.claim, false, pick(12) != 0);
        for (size_t i = 0; i < s.count && pick(12); i++) /* or it will settle some twice */
            drop_held(w, s.places[i]);
    } else {
        MUST(op.err.code == ERR_STORE || op.err.code == ERR_NO_SPACE ||
                 op.refusal == REFUSED_PARENT,
             "settle: %s", op.err.text);
        w->unsure = true;
    }
    op_release(&op);
}
