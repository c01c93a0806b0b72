/* tasks_enqueue.c: enqueueing in the simulation of the queue (tasks_sim.h). */
#include "tasks_sim.h"

void asked_release(struct asked *a, const struct op_enqueue *enqueue, bool went_well)
{
    bool known = went_well && enqueue_needs_all_blobs(enqueue);
    for (int i = 0; i < a->count; i++)
        blob_pin_free(a->pins[i], known);
}

static void choose_parents(struct asked *a, int place, struct task_new *t)
{
    struct known *k = &world->tasks[place];
    int64_t *after = a->after[place - a->first];
    for (int tries = pick(4) ? 0 : 1 + pick(PARENTS_MAX); tries > 0 && place > 0; tries--) {
        int p = pick(place);
        const struct known *parent = &world->tasks[p];
        bool same = p >= a->first, twice = false;
        for (int i = 0; i < k->parent_count; i++)
            twice = twice || k->parents[i] == p;
        /* What has ended otherwise, or may be about to, would be refused. */
        if (twice || (same ? parent->unique != 0
                           : parent->state != KNOWN_OPEN && parent->state != KNOWN_COMPLETED))
            continue;
        after[k->parent_count] = same ? -1 - (p - a->first) : parent->id;
        k->parents[k->parent_count++] = p;
    }
    k->when = pick(4) ? AFTER_COMPLETED : AFTER_ENDED;
    t->after = after;
    t->after_count = (size_t)k->parent_count;
    t->after_when = k->when;
}

static void choose_delay(struct known *k, struct task_new *t)
{
    t->delay_us = pick(20) * SECOND_US;
    k->era = world->era;
    k->delay_until_us = world->now.mono_us + t->delay_us;
    k->delay_wall_us = world->now.wall_us + t->delay_us;
}

static void choose_task(struct asked *a, int place, bool unique)
{
    static const char *const options[] = {
        "", "{\"retry\":{\"kind\":\"fixed\",\"delay_s\":2}}",
        "{\"retry\":{\"kind\":\"exponential\",\"delay_s\":1,\"factor\":3}}",
        "{\"retry\":{\"delay_s\":0},\"timeout_s\":20}"};
    int i = place - a->first, option = pick(4);
    struct known *k = &world->tasks[place];
    struct task_new *t = &a->tasks[i];
    *k = (struct known){.request = world->requests,
                        .arguments = place,
                        .queue = pick(4) ? 0 : 1,
                        .function = pick(FUNCTIONS),
                        .key = pick(KEYS),
                        .lock = pick(3) ? 0 : pick(LOCKS),
                        .unique = unique && pick(3) == 0 ? 1 + pick(UNIQUES - 1) : 0,
                        .max_attempts = 1 + pick(4),
                        .priority = pick(3) ? 0 : pick(9) - 4,
                        .retries = option != 0,
                        .times_out = option == 3};
    *t = (struct task_new){.queue = k->queue ? str_of(queue_names[k->queue]) : STR(""),
                           .function = str_of(function_names[k->function]),
                           .options = str_of(options[option]),
                           .key = str_of(key_names[k->key]),
                           .lock = str_of(lock_names[k->lock]),
                           .max_attempts = k->max_attempts,
                           .priority = k->priority,
                           .batch = str_of(a->batch)};
    snprintf(a->texts[i], sizeof a->texts[i], "{\"n\":%d}", place);
    t->arguments = str_of(a->texts[i]);
    if (pick(5) == 0 && (a->pins[i] = put_text(a->texts[i], &t->arguments_blob))) {
        t->arguments = (struct str){NULL, 0};
        k->large = true;
    }
    if (k->unique) {
        snprintf(a->uniques[i], sizeof a->uniques[i], "u%d", k->unique);
        t->unique = str_of(a->uniques[i]);
        t->unique_while = k->unique_while = (enum unique_while)pick(3);
        t->on_clash = (enum unique_clash)pick(3);
    }
    if (pick(5) == 0)
        t->run_at_us = k->run_at_us = world->now.wall_us + pick(60) * SECOND_US;
    else if (pick(8) == 0)
        choose_delay(k, t);
    choose_parents(a, place, t);
}

/* False when no more are to be had. */
bool choose_tasks(struct asked *a, int most, bool unique)
{
    *a = (struct asked){.first = world->task_count, .count = 1 + pick(most)};
    if (world->ending || a->first + a->count > TASKS_MAX)
        return false;
    snprintf(a->batch, sizeof a->batch, "e%lld", (long long)++world->requests);
    for (int i = 0; i < a->count; i++) {
        world->task_count++;
        choose_task(a, a->first + i, unique);
    }
    return true;
}

/* Whether a task with that unique key keeps others out. */
static bool keeps_out(struct known *k)
{
    if (k->state == KNOWN_NOT || k->state == KNOWN_GONE)
        return false;
    struct task_view view = show(k->id);
    known_seen(k, &view);
    task_view_release(&view);
    if (k->unique_while == UNIQUE_STORED)
        return true;
    return k->state == KNOWN_OPEN && (k->unique_while == UNIQUE_UNFINISHED || !k->ran);
}

/* The old one says from now on what the new one says. */
void take_over(struct known *old, const struct known *asked)
{
    old->queue = asked->queue;
    old->function = asked->function;
    old->key = asked->key;
    old->lock = asked->lock;
    old->unique_while = asked->unique_while;
    memcpy(old->parents, asked->parents, sizeof old->parents);
    old->parent_count = asked->parent_count;
    old->when = asked->when;
    old->failed_finally = old->aborting = old->hangs = false;
    old->session = 0; /* who had it lost it with its time, or was never told */
    old->priority = asked->priority;
    old->run_at_us = asked->run_at_us;
    old->delay_until_us = 0;
    old->delay_wall_us = asked->delay_wall_us;
    old->era = -1; /* that delay goes by the wall clock */
    old->arguments = asked->arguments;
    old->max_attempts = asked->max_attempts;
    old->retries = asked->retries;
    old->times_out = asked->times_out;
}

static void note_existing(const struct known *asked, const struct task_new *t)
{
    struct known *old = known_by_id(t->id);
    MUST(asked->unique && old && old->unique == asked->unique && old->state != KNOWN_GONE,
         "task %lld is none of that unique key", (long long)t->id);
    if (t->on_clash != CLASH_REPLACE)
        return;
    MUST(!known_is_live(old->session) || old->aborting, "task %lld was replaced while it runs",
         (long long)t->id);
    struct task_view view = show(old->id);
    if (job_state_is_final(view.state))
        known_seen(old, &view);
    else
        take_over(old, asked);
    task_view_release(&view);
}

void check_has_key_alone(const struct known *k)
{
    for (int i = 0; i < world->task_count && k->unique; i++) {
        struct known *other = &world->tasks[i];
        MUST(other == k || other->unique != k->unique || !keeps_out(other),
             "task %lld should have kept task %lld out", (long long)other->id, (long long)k->id);
    }
}

static void note_new(struct known *k, const struct task_new *t)
{
    MUST(t->id > 0 && !known_by_id(t->id), "id %lld is given twice", (long long)t->id);
    k->id = t->id;
    k->state = KNOWN_OPEN;
    check_has_key_alone(k);
}

void note_enqueued(struct asked *a)
{
    for (int i = 0; i < a->count; i++) {
        struct known *k = &world->tasks[a->first + i];
        if (!a->tasks[i].id) /* whoever asks for it was stale */
            continue;
        SAY("  task %lld is %s, place %d, unique %d, clash %d, options %.*s\n",
            (long long)a->tasks[i].id, a->tasks[i].existing ? "there" : "new", a->first + i,
            k->unique, (int)a->tasks[i].on_clash, (int)a->tasks[i].options.len,
            a->tasks[i].options.len ? a->tasks[i].options.ptr : "");
        if (a->tasks[i].existing)
            note_existing(k, &a->tasks[i]);
        else
            note_new(k, &a->tasks[i]);
    }
}

void verb_enqueue(void)
{
    struct asked a;
    struct op op;
    if (!choose_tasks(&a, 6, true))
        return;
    op_init(&op, OP_ENQUEUE);
    op.enqueue.tasks = a.tasks;
    op.enqueue.count = (size_t)a.count;
    world->open_request = world->requests;
    dare(&op);
    world->open_request = 0;
    asked_release(&a, &op.enqueue, op.err.code == ERR_NONE);
    if (op.err.code == ERR_NONE)
        note_enqueued(&a);
    else
        MUST(op.err.code == ERR_CONFLICT || op.err.code == ERR_STORE ||
                 op.err.code == ERR_NO_SPACE || op.refusal == REFUSED_PARENT ||
                 strstr(op.err.text, "it would wait for itself") || strstr(op.err.text, "circle"),
             "enqueue: %s", op.err.text);
    op_release(&op);
}
