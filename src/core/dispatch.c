/* dispatch.c: a task's way through the dispatcher: in, handed out, back, away. Where it stands
 * meanwhile is dispatch_own.h's to say. */
#include "core/dispatch_own.h"

static uint64_t hash_of_id(int64_t id)
{
    /* Eight neighbours share a cache line of the table: ids are given and handed out in order. */
    uint64_t group = (uint64_t)id >> 3, mixed = group * UINT64_C(0x9e3779b97f4a7c15);
    return (mixed >> 32) << 3 | ((uint64_t)id & 7);
}

static uint64_t task_hash(const void *item)
{
    return hash_of_id(((const struct task *)item)->id);
}

static bool task_is(const void *item, const void *ask)
{
    return ((const struct task *)item)->id == *(const int64_t *)ask;
}

static const struct table_kind by_id = {task_hash, task_is};

struct dispatch *dispatch_new(void)
{
    struct dispatch *d = xcalloc(1, sizeof *d);
    d->slab = task_slab_new();
    return d;
}

static void run_free(struct task *t)
{
    if (t->run)
        free(t->run->progress_text);
    free(TAKE(t->run));
}

void dispatch_free(struct dispatch *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->tasks.size; i++)
        if (d->tasks.slots[i]) {
            run_free(d->tasks.slots[i]);
            task_slab_give(d->slab, d->tasks.slots[i]);
        }
    free(d->tasks.slots);
    task_slab_free(d->slab);
    locks_release(d);
    lanes_release(d);
    keys_release(d);
    times_release(d);
    stations_release(&d->queues);
    stations_release(&d->functions);
    free(d);
}

void dispatch_begin(struct dispatch *d, struct instant now)
{
    d->now = now;
    d->began_us = now.mono_us;
}

struct task *dispatch_find(const struct dispatch *d, int64_t id)
{
    return table_find(&d->tasks, &by_id, hash_of_id(id), &id);
}

size_t dispatch_count(const struct dispatch *d)
{
    return d->tasks.count;
}

void dispatch_each(const struct dispatch *d, void (*each)(void *context, struct task *t),
                   void *context)
{
    for (size_t i = 0; i < d->tasks.size; i++)
        if (d->tasks.slots[i])
            each(context, d->tasks.slots[i]);
}

uint32_t task_queue(const struct task *t)
{
    return station_of_queue(t)->place;
}

uint32_t task_function(const struct task *t)
{
    return station_of_function(t)->place;
}

struct str task_key_name(const struct task *t)
{
    return (struct str){t->lane->key->name, t->lane->key->len};
}

struct str task_lock_name(const struct task *t)
{
    return t->lock ? (struct str){t->lock->name, t->lock->len} : (struct str){NULL, 0};
}

/* --- states --- */

/* Which moves there are between the states of a task that has not ended. */
static const bool moves[JOB_STATE_COUNT][JOB_STATE_COUNT] = {
    [JOB_BLOCKED] = {[JOB_BLOCKED] = true, [JOB_PENDING] = true},
    [JOB_PENDING] = {[JOB_BLOCKED] = true, [JOB_PENDING] = true, [JOB_RUNNING] = true},
    [JOB_RUNNING] = {[JOB_BLOCKED] = true, [JOB_PENDING] = true},
};

static int64_t *count_of(struct task_counts *counts, unsigned state)
{
    return state == JOB_BLOCKED   ? &counts->blocked
           : state == JOB_PENDING ? &counts->pending
                                  : &counts->running;
}

static void count(struct task *t, int64_t change)
{
    *count_of(&station_of_queue(t)->counts, t->state) += change;
    *count_of(&station_of_function(t)->counts, t->state) += change;
}

/* The one writer of a task's state. */
static void set_state(struct task *t, enum job_state to)
{
    assert(moves[t->state][to]);
    count(t, -1);
    t->state = (uint8_t)to;
    count(t, 1);
}

/* --- waiting --- */

/* It may run as far as time and parents go. */
static void become_ready(struct dispatch *d, struct task *t)
{
    set_state(t, JOB_PENDING);
    if (t->lock)
        lock_enter(d, t);
    else
        lane_add(d, t);
}

/* It is in no place: puts it where it belongs. Of both moments (0: none) the later one holds. */
static void enter(struct dispatch *d, struct task *t, int64_t run_at_us, int64_t retry_us)
{
    int64_t wall = run_at_us ? run_at_us - d->now.wall_us : 0;
    int64_t mono = retry_us ? retry_us - d->now.mono_us : 0;
    if (wall > 0 && wall >= mono)
        times_add(d, t, WAITS_WALL, run_at_us);
    else if (mono > 0)
        times_add(d, t, WAITS_MONO, retry_us);
    if (t->parents || t->waits != WAITS_NOT)
        set_state(t, JOB_BLOCKED);
    else
        become_ready(d, t);
}

/* Takes a task that does not run out of its place. */
static void leave(struct dispatch *d, struct task *t)
{
    if (t->waits != WAITS_NOT)
        times_remove(d, t);
    else if (t->state == JOB_PENDING && t->lock)
        lock_leave(d, t);
    else if (t->state == JOB_PENDING)
        lane_remove(d, t);
}

struct task *dispatch_add(struct dispatch *d, const struct task_entry *entry, struct instant now)
{
    assert(entry->id > 0 && !dispatch_find(d, entry->id));
    assert(entry->queue < d->queues.count && entry->function < d->functions.count);
    struct station *queue = d->queues.all[entry->queue];
    struct task *t = task_slab_take(d->slab);
    d->now = now;
    t->id = entry->id;
    t->lane = lane_must(d, queue, d->functions.all[entry->function], entry->key);
    t->lock = entry->lock.len ? lock_must(d, queue, entry->lock) : NULL;
    t->attempts = entry->attempts;
    t->max_attempts = entry->max_attempts;
    t->fence = entry->fence;
    t->priority = entry->priority;
    t->parents = entry->parents;
    t->state = JOB_BLOCKED;
    count(t, 1);
    table_add(&d->tasks, &by_id, t);
    enter(d, t, entry->run_at_us, entry->retry_us);
    return t;
}

void dispatch_parent_done(struct dispatch *d, struct task *t, struct instant now)
{
    assert(t->parents > 0);
    d->now = now;
    if (--t->parents == 0 && t->waits == WAITS_NOT)
        become_ready(d, t);
}

void dispatch_change(struct dispatch *d, struct task *t, int16_t priority, int64_t run_at_us,
                     struct instant now)
{
    assert(t->state != JOB_RUNNING);
    d->now = now;
    if (run_at_us == DISPATCH_SAME_TIME && t->state == JOB_BLOCKED) {
        t->priority = priority; /* nothing is ordered by it while it waits */
        return;
    }
    struct key *key = t->lane->key;
    uint32_t kept = key->ready ? 1 : 0; /* its turn, should this be all it has */
    key->ready += kept;
    leave(d, t);
    t->priority = priority;
    enter(d, t, run_at_us == DISPATCH_SAME_TIME ? 0 : run_at_us, 0);
    key->ready -= kept;
}

static bool let_through(struct dispatch *d)
{
    bool any = false;
    for (struct task *t = NULL; (t = times_take_due(d, d->now));)
        if (!t->parents) {
            become_ready(d, t);
            any = true;
        }
    return any;
}

/* Notes what can run now that could not before. */
static void look(struct dispatch *d, struct instant now)
{
    d->gained = rates_open_us(d) <= now.mono_us || d->gained;
    d->now = now;
    d->looked_us = now.mono_us;
    d->gained = let_through(d) || d->gained;
    d->gained = keys_look(d, now.mono_us) || d->gained;
}

bool dispatch_tick(struct dispatch *d, struct instant now)
{
    look(d, now);
    bool gained = d->gained;
    d->gained = false;
    return gained;
}

/* --- running --- */

static void begin_run(struct dispatch *d, struct task *t, int64_t session, bool resumed)
{
    struct station *stations[] = {station_of_queue(t), station_of_function(t)};
    if (t->lock)
        lock_start(d, t);
    else
        lane_remove(d, t);
    for (size_t i = 0; i < 2; i++)
        if (resumed)
            limit_resume(&stations[i]->limit);
        else
            limit_start(&stations[i]->limit, d->now.mono_us);
    key_start(d, t->lane->key, resumed, d->now.mono_us);
    set_state(t, JOB_RUNNING);
    t->run = xcalloc(1, sizeof *t->run);
    *t->run = (struct task_run){
        .session = session, .ends_us = NEVER_US, .lost_us = NEVER_US, .progress = -1};
}

/* Gives back what it used; its lock is not free yet. */
static void end_run(struct dispatch *d, struct task *t)
{
    run_free(t);
    limit_end(&station_of_queue(t)->limit);
    limit_end(&station_of_function(t)->limit);
    key_end(d, t->lane->key, d->now.mono_us);
}

size_t dispatch_take(struct dispatch *d, const struct claim_ask *ask, int64_t session,
                     struct instant now, struct task **out)
{
    size_t taken = 0;
    look(d, now);
    dispatch_ask(d, ask);
    while (taken < ask->max) {
        struct lane *lane = lane_next(d, now.mono_us);
        if (!lane)
            break;
        struct task *t = lane->tasks.items[0];
        begin_run(d, t, session, false);
        t->run->started_at_us = now.wall_us;
        t->attempts++;
        t->fence++;
        out[taken++] = t;
    }
    return taken;
}

void dispatch_resume(struct dispatch *d, struct task *t, int64_t session, int64_t started_at_us)
{
    assert(t->state == JOB_PENDING);
    begin_run(d, t, session, true);
    t->run->started_at_us = started_at_us;
}

void dispatch_return(struct dispatch *d, struct task *t, bool spent, int64_t retry_us,
                     struct instant now)
{
    assert(t->state == JOB_RUNNING);
    d->now = now;
    end_run(d, t);
    if (!spent)
        t->attempts--;
    if (t->lock)
        lock_leave(d, t);
    enter(d, t, 0, retry_us);
}

void dispatch_remove(struct dispatch *d, struct task *t, struct instant now)
{
    d->now = now;
    if (t->state == JOB_RUNNING) {
        end_run(d, t);
        if (t->lock)
            lock_leave(d, t);
    } else {
        leave(d, t);
    }
    count(t, -1);
    table_remove(&d->tasks, &by_id, t);
    if (t->lock)
        lock_unref(d, t->lock);
    lane_unref(d, t->lane);
    task_slab_give(d->slab, t);
}
