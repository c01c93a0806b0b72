/* schedules.c: enqueues what schedules say, when they say it.
 *
 * A tick is enqueued as anybody's task would be, under a unique key of schedule and time; when that
 * is durable the tick is noted. A crash between leaves a tick that is enqueued again and is known
 * by its key. One tick of a schedule is under way at a time, so that a thousand missed ones keep
 * nobody from his turn.
 *
 * Ticks are at moments of the wall clock. Nobody tells when that is set, so it is looked at every
 * minute. */
#include "base/json.h"
#include "base/log.h"
#include "engine/engine_state.h"
#include "store/schedule_store.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LOOK_AGAIN_US INT64_C(60000000)
#define RETRY_US INT64_C(1000000)

/* What is enqueued, and for whom. */
struct shot {
    struct engine *engine;
    struct scheduled *of; /* a tick's schedule; NULL: */
    struct op *asker;     /* OP_SCHEDULES that runs one now */
    int64_t at_us;
    struct op op; /* OP_ENQUEUE */
    struct task_new task;
    struct schedule spec; /* a copy: the schedule may be set anew meanwhile */
    char *unique, *arguments;
    struct blob_pin *pin; /* of large arguments */
};

struct scheduled {
    struct schedule_row row;
    struct schedule_clock clock;
    int64_t next_at_us; /* wall; NEVER_US */
    int64_t retry_us;   /* monotonic: not before; 0 */
    int64_t clipped_us; /* wall: what was missed up to then is what is made up for */
    bool busy;          /* a tick is under way */
    bool gone;          /* deleted meanwhile */
    char *failure;      /* why the last tick came to nothing */
    struct op tick;     /* OP_SCHEDULE_TICK */
    struct engine *engine;
};

static void scheduled_free(struct scheduled *s)
{
    schedule_row_release(&s->row);
    schedule_clock_release(&s->clock);
    free(s->failure);
    free(s);
}

static void shot_free(struct shot *shot)
{
    /* A tick that was there already has its own. */
    blob_pin_free(shot->pin, shot->op.err.code == ERR_NONE && !shot->task.existing);
    op_release(&shot->op);
    schedule_release(&shot->spec);
    free(shot->unique);
    free(shot->arguments);
    free(shot);
}

/* --- the task --- */

static struct str text_or_none(const char *text)
{
    return text ? str_of(text) : (struct str){0};
}

/* The arguments with the time among them: the last of two members counts. */
static char *arguments_at(const struct schedule *s, int64_t at_us)
{
    char time[CLOCK_TEXT_SIZE];
    struct str given = str_trim(s->arguments ? str_of(s->arguments) : STR("{}"));
    if (!s->pass_time)
        return xstrndup(given.ptr, given.len);
    struct buf b;
    struct str inside = str_trim((struct str){given.ptr + 1, given.len - 2});
    clock_text(at_us, time);
    buf_init(&b, BUF_NO_CAP);
    buf_add_char(&b, '{');
    buf_add_str(&b, inside);
    buf_add_text(&b, inside.len ? ",\"timestamp\":\"" : "\"timestamp\":\"");
    buf_add_text(&b, time);
    buf_add_text(&b, "\"}");
    return buf_take(&b);
}

static struct shot *shot_new(struct engine *e, const struct schedule *spec, int64_t at_us)
{
    struct shot *shot = xcalloc(1, sizeof *shot);
    shot->engine = e;
    shot->at_us = at_us;
    schedule_copy(spec, &shot->spec);
    const struct schedule *s = &shot->spec;
    shot->arguments = arguments_at(s, at_us);
    shot->task = (struct task_new){.function = text_or_none(s->function),
                                   .queue = text_or_none(s->queue),
                                   .arguments = str_of(shot->arguments),
                                   .options = text_or_none(s->options),
                                   .key = text_or_none(s->key),
                                   .batch = text_or_none(s->batch),
                                   .lock = text_or_none(s->lock),
                                   .priority = s->priority,
                                   .max_attempts = s->max_attempts};
    op_init(&shot->op, OP_ENQUEUE);
    shot->op.context = shot;
    shot->op.right.trusted = true;
    shot->op.enqueue = (struct op_enqueue){.tasks = &shot->task, .count = 1, .refused = SIZE_MAX};
    return shot;
}

/* As with everybody's tasks large arguments go into a blob. */
static bool put_large(struct engine *e, struct shot *shot)
{
    struct task_new *task = &shot->task;
    if (task->arguments.len <= TASK_TEXT_MAX_BYTES)
        return true;
    if (!blob_put(e->blobs, task->arguments, &shot->pin, &shot->op.err))
        return false;
    task->arguments_blob =
        (struct task_blob_ref){*blob_pin_hash(shot->pin), blob_pin_bytes(shot->pin)};
    task->arguments = (struct str){NULL, 0};
    return true;
}

static void fire(struct engine *e, struct shot *shot)
{
    op_meet_fate(e, &shot->op, put_large(e, shot) ? op_enqueue(e, &shot->op) : FATE_NOW);
}

/* --- ticks --- */

static void say_failed(struct scheduled *s, const struct err *why)
{
    struct log_line *line = log_begin(LOG_WARN, "schedule.failed");
    log_value(line, "schedule", "%s", s->row.spec.name);
    log_value(line, "reason", "%s", why->text);
    log_end(line);
    free(s->failure);
    s->failure = xstrdup(why->text);
}

/* Whether it may go well a little later. */
static bool may_pass(const struct err *err)
{
    return err->code == ERR_BUSY || err->code == ERR_NO_SPACE || err->code == ERR_STORE ||
           err->code == ERR_IO || err->code == ERR_FATAL;
}

static void set_next_after(struct scheduled *s, int64_t after_us)
{
    s->clipped_us = 0;
    s->next_at_us =
        s->clock.zone || s->clock.every_us > 0 ? schedule_next(&s->clock, after_us) : NEVER_US;
}

static void set_next(struct scheduled *s)
{
    int64_t after_us = s->row.last_at_us > s->row.set_at_us ? s->row.last_at_us : s->row.set_at_us;
    int64_t now_us = s->engine->now.wall_us;
    set_next_after(s, after_us - now_us > SCHEDULE_SET_BACK_US ? now_us : after_us);
}

/* A clock that was far ahead and is right now: nobody waits until it is there again. */
static void notice_set_back(struct engine *e)
{
    int64_t before_us = e->schedules_wall_us;
    e->schedules_wall_us = e->now.wall_us;
    if (before_us - e->now.wall_us <= SCHEDULE_SET_BACK_US)
        return;
    for (size_t i = 0; i < e->schedules.count; i++) {
        struct scheduled *s = e->schedules.items[i];
        if (s->next_at_us != NEVER_US)
            set_next_after(s, e->now.wall_us);
    }
}

/* Of a long time that was missed the last part is made up for, and that is said. */
static void clip(struct engine *e, struct scheduled *s)
{
    int64_t now_us = e->now.wall_us, before_us = s->next_at_us;
    if (s->row.spec.missed != MISSED_ALL || before_us >= now_us - SCHEDULE_LATE_US ||
        before_us <= s->clipped_us)
        return;
    s->clipped_us = now_us;
    s->next_at_us = schedule_clip(&s->clock, before_us, now_us, SCHEDULE_MISSED_MOST);
    if (s->next_at_us == before_us)
        return;
    char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE];
    clock_text(before_us, from);
    clock_text(s->next_at_us, to);
    struct log_line *line = log_begin(LOG_WARN, "schedule.missed");
    log_value(line, "schedule", "%s", s->row.spec.name);
    log_value(line, "made-up-for", "the last %d", SCHEDULE_MISSED_MOST);
    log_value(line, "lost-from", "%s", from);
    log_value(line, "lost-before", "%s", to);
    log_end(line);
}

static void rest(struct scheduled *s)
{
    s->busy = false;
    if (s->gone)
        scheduled_free(s);
}

static void tick_noted(struct op *op)
{
    struct scheduled *s = op->context;
    /* It is known by its key when it comes again after a restart. */
    if (op->err.code != ERR_NONE)
        say_failed(s, &op->err);
    rest(s);
}

static void note_tick(struct scheduled *s, int64_t at_us, int64_t task_id)
{
    struct engine *e = s->engine;
    s->row.last_at_us = at_us;
    s->row.last_task_id = task_id;
    op_init(&s->tick, OP_SCHEDULE_TICK);
    s->tick.done = tick_noted;
    s->tick.context = s;
    s->tick.schedule_tick =
        (struct op_schedule_tick){.name = s->row.spec.name, .at_us = at_us, .task_id = task_id};
    op_meet_fate(e, &s->tick, op_store(e, &s->tick));
}

static void tick_enqueued(struct op *op)
{
    struct shot *shot = op->context;
    struct scheduled *s = shot->of;
    struct err err = op->err;
    int64_t at_us = shot->at_us, task_id = shot->task.id;
    shot_free(shot);
    if (err.code != ERR_NONE)
        say_failed(s, &err);
    if (may_pass(&err)) {
        s->next_at_us = at_us;
        s->retry_us = s->engine->now.mono_us + RETRY_US;
        rest(s);
        return;
    }
    if (err.code == ERR_NONE)
        free(TAKE(s->failure));
    note_tick(s, at_us, err.code == ERR_NONE ? task_id : 0);
}

static void start_tick(struct engine *e, struct scheduled *s, int64_t at_us)
{
    char time[CLOCK_TEXT_SIZE];
    struct shot *shot = shot_new(e, &s->row.spec, at_us);
    clock_text(at_us, time);
    shot->of = s;
    shot->unique = xasprintf("schedule/%s/%s", s->row.spec.name, time);
    shot->task.unique = str_of(shot->unique);
    shot->task.unique_while = UNIQUE_STORED;
    shot->task.on_clash = CLASH_EXISTING;
    shot->op.done = tick_enqueued;
    s->busy = true;
    fire(e, shot);
}

static bool is_waiting(const struct scheduled *s)
{
    return !s->busy && !s->row.spec.paused && s->next_at_us != NEVER_US;
}

void schedules_due(struct engine *e)
{
    notice_set_back(e);
    for (size_t i = 0; i < e->schedules.count; i++) {
        struct scheduled *s = e->schedules.items[i];
        int64_t tick_us = 0;
        if (is_waiting(s))
            clip(e, s);
        if (is_waiting(s) && s->retry_us <= e->now.mono_us && s->next_at_us <= e->now.wall_us &&
            schedule_due(&s->clock, s->row.spec.missed, e->now.wall_us, &s->next_at_us, &tick_us))
            start_tick(e, s, tick_us);
    }
}

int64_t schedules_next_us(const struct engine *e)
{
    int64_t next_us = NEVER_US;
    for (size_t i = 0; i < e->schedules.count; i++) {
        const struct scheduled *s = e->schedules.items[i];
        if (!is_waiting(s))
            continue;
        int64_t wait_us = s->next_at_us - e->now.wall_us;
        int64_t at_us = e->now.mono_us + (wait_us > LOOK_AGAIN_US ? LOOK_AGAIN_US : wait_us);
        if (at_us < s->retry_us)
            at_us = s->retry_us;
        if (at_us < next_us)
            next_us = at_us;
    }
    return next_us;
}

/* --- the table --- */

static struct scheduled *find(const struct engine *e, const char *name, size_t *at)
{
    size_t i = 0;
    struct scheduled *found = NULL;
    for (; i < e->schedules.count; i++) {
        struct scheduled *s = e->schedules.items[i];
        int by = strcmp(s->row.spec.name, name);
        if (by == 0)
            found = s;
        if (by >= 0)
            break;
    }
    if (at)
        *at = i;
    return found;
}

static struct scheduled *insert(struct engine *e, size_t at)
{
    struct scheduled *s = xcalloc(1, sizeof *s);
    struct list *l = &e->schedules;
    s->engine = e;
    s->next_at_us = NEVER_US;
    list_add(l, s);
    memmove(l->items + at + 1, l->items + at, (l->count - 1 - at) * sizeof *l->items);
    l->items[at] = s;
    return s;
}

static void take_row(void *context, struct schedule_row *row)
{
    struct engine *e = context;
    struct err err;
    struct scheduled *s = insert(e, e->schedules.count);
    s->row = *row;
    /* A zone that tzdata knows no more keeps nobody from the others. */
    if (schedule_check(&s->row.spec, &s->clock, &err))
        set_next(s);
    else
        say_failed(s, &err);
}

bool schedules_load(struct engine *e, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, err) && schedule_store_load(tx, take_row, e, err);
}

void schedules_free(struct engine *e)
{
    for (size_t i = 0; i < e->schedules.count; i++)
        scheduled_free(e->schedules.items[i]);
    list_release(&e->schedules);
}

/* --- ops --- */

void schedule_op_release(struct op *op)
{
    for (size_t i = 0; op->kind == OP_SCHEDULES && i < op->schedules.count; i++) {
        schedule_release(&op->schedules.views[i].spec);
        free(op->schedules.views[i].failure);
    }
    if (op->kind == OP_SCHEDULES)
        free(op->schedules.views);
}

static void show(struct op_schedules *all, const struct scheduled *s)
{
    all->views = xrealloc(all->views, (all->count + 1) * sizeof *all->views);
    struct schedule_view *view = &all->views[all->count++];
    *view = (struct schedule_view){.created_at_us = s->row.created_at_us,
                                   .last_at_us = s->row.last_at_us,
                                   .last_task_id = s->row.last_task_id,
                                   .failure = xstrdup_or_null(s->failure)};
    if (s->next_at_us != NEVER_US && !s->row.spec.paused)
        view->next_at_us = s->next_at_us;
    schedule_copy(&s->row.spec, &view->spec);
}

static enum op_fate unknown(struct op *op)
{
    return op_refuse(op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "there is no schedule %s",
                     op->schedules.name);
}

static bool put_row(struct engine *e, const struct schedule_row *row, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, err) && schedule_store_put(tx, row, err) && tx_commit(tx, err);
}

static enum op_fate set(struct engine *e, struct op *op)
{
    const struct schedule *spec = op->schedules.spec;
    struct schedule_clock clock = {.every_us = 0};
    struct schedule_row row = {.created_at_us = e->now.wall_us, .set_at_us = e->now.wall_us};
    size_t at = 0;
    if (!schedule_check(spec, &clock, &op->err))
        return FATE_NOW;
    struct scheduled *s = find(e, spec->name, &at);
    if (s) {
        row = s->row;
        row.set_at_us = e->now.wall_us;
    }
    schedule_copy(spec, &row.spec);
    if (!put_row(e, &row, &op->err)) {
        schedule_release(&row.spec);
        schedule_clock_release(&clock);
        return FATE_NOW;
    }
    if (!s)
        s = insert(e, at);
    /* The tick under way has its own copy, but for the name, which stays. */
    char *name = s->row.spec.name;
    if (name) {
        free(row.spec.name);
        row.spec.name = name;
        s->row.spec.name = NULL;
    }
    schedule_row_release(&s->row);
    schedule_clock_release(&s->clock);
    s->row = row;
    s->clock = clock;
    s->retry_us = 0;
    free(TAKE(s->failure));
    set_next(s);
    show(&op->schedules, s);
    return FATE_NOW;
}

static bool delete_row(struct engine *e, const char *name, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    return tx_begin(e->store, &tx, err) && schedule_store_delete(tx, name, err) &&
           tx_commit(tx, err);
}

static enum op_fate forget(struct engine *e, struct op *op)
{
    size_t at = 0;
    struct scheduled *s = find(e, op->schedules.name, &at);
    if (!s)
        return unknown(op);
    if (!delete_row(e, op->schedules.name, &op->err))
        return FATE_NOW;
    e->schedules.count--;
    memmove(e->schedules.items + at, e->schedules.items + at + 1,
            (e->schedules.count - at) * sizeof *e->schedules.items);
    s->gone = true;
    if (!s->busy)
        scheduled_free(s);
    return FATE_NOW;
}

static void ran(struct op *op)
{
    struct shot *shot = op->context;
    struct op *asker = shot->asker;
    asker->err = op->err;
    asker->refusal = op->refusal;
    asker->schedules.task_id = shot->task.id;
    shot_free(shot);
    asker->done(asker);
}

static enum op_fate run_now(struct engine *e, struct op *op)
{
    const struct scheduled *s = find(e, op->schedules.name, NULL);
    if (!s)
        return unknown(op);
    struct shot *shot = shot_new(e, &s->row.spec, e->now.wall_us);
    shot->asker = op;
    shot->op.done = ran;
    fire(e, shot);
    return FATE_WAITS;
}

static enum op_fate list(struct engine *e, struct op *op)
{
    const char *name = op->schedules.name;
    const struct scheduled *one = name ? find(e, name, NULL) : NULL;
    if (name && !one)
        return unknown(op);
    if (one)
        show(&op->schedules, one);
    for (size_t i = 0; !name && i < e->schedules.count; i++)
        show(&op->schedules, e->schedules.items[i]);
    return FATE_NOW;
}

enum op_fate op_schedules(struct engine *e, struct op *op)
{
    switch (op->schedules.verb) {
    case SCHEDULES_LIST:
        return list(e, op);
    case SCHEDULES_SET:
        return set(e, op);
    case SCHEDULES_DELETE:
        return forget(e, op);
    case SCHEDULES_RUN:
        return run_now(e, op);
    }
    return op_refuse(op, REFUSED_OTHERWISE, ERR_INTERNAL, "no such verb");
}
