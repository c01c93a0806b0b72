/* tasks_world.c: see tasks_world.h. */
#include "tasks_sim.h"

#include "base/json.h"

#include <math.h>
#include <unistd.h>

const char *const queue_names[QUEUES] = {"default", "slow"};
const char *const function_names[FUNCTIONS] = {"parse", "index"};
const char *const key_names[KEYS] = {"", "k1", "k2", "other"};
const char *const lock_names[LOCKS] = {"", "x", "y"};

int pick(int n)
{
    return (int)rng_below(&world->rng, (uint64_t)n);
}

struct known_gate *gate_of_queue(int queue)
{
    return &world->gates[queue];
}

struct known_gate *gate_of_function(int function)
{
    return &world->gates[QUEUES + function];
}

struct known_gate *gate_of_key(int key)
{
    return &world->gates[QUEUES + FUNCTIONS + key];
}

void known_set_gate(struct known_gate *g, const struct gate *gate)
{
    if (gate->rpm > g->gate.rpm || gate->rpm < g->gate.rpm)
        g->counted_from = g->start_count;
    g->gate = *gate;
}

/* --- time --- */

struct instant machine_now(void)
{
    return (struct instant){world->now.mono_us - world->booted_us, world->now.wall_us};
}

void time_passes(int64_t us)
{
    world->now.mono_us += us;
    world->now.wall_us += us;
    if (world->now.wall_us > world->latest_wall_us)
        world->latest_wall_us = world->now.wall_us;
}

void clock_is_set(void)
{
    static const int64_t spans_s[] = {2, 60, 86400, 400 * 86400};
    int64_t span_us = spans_s[pick((int)(sizeof spans_s / sizeof *spans_s))] * SECOND_US;
    world->now.wall_us += pick(2) ? span_us : -span_us;
    SAY("  the clock is set to %lld us\n", (long long)world->now.wall_us);
    time_passes(pick(3) * SECOND_US);
}

bool known_may_wait(const struct known *k)
{
    bool timed_out = k->times_out && k->ran; /* perhaps, and nobody knows when */
    bool delayed = k->era != world->era && k->delay_wall_us > world->now.wall_us;
    return k->state == KNOWN_FAILED || k->run_at_us > world->now.wall_us || timed_out || delayed;
}

struct known *known_by_id(int64_t id)
{
    for (int i = 0; i < world->task_count; i++)
        if (world->tasks[i].id == id)
            return &world->tasks[i];
    return NULL;
}

bool known_is_live(int session)
{
    return session > 0 && world->now.mono_us < world->sessions[session].deadline_us;
}

/* --- limits --- */

static bool is_of(const struct known *k, const struct known_gate *g)
{
    return g == gate_of_queue(k->queue) || g == gate_of_function(k->function) ||
           (k->key && g == gate_of_key(k->key));
}

static int64_t started_within(const struct known_gate *g, int64_t span_us)
{
    int64_t count = 0;
    for (size_t i = g->start_count; i-- > g->counted_from && i + STARTS_MAX > g->start_count;) {
        if (g->starts[i % STARTS_MAX] <= world->asked_us - span_us)
            break;
        count++;
    }
    return count;
}

static void check_gate(struct known_gate *g, const struct known *k)
{
    int64_t live = 0;
    MUST(!g->gate.paused, "task %lld of what is paused", (long long)k->id);
    for (int i = 0; i < world->task_count; i++)
        live += is_of(&world->tasks[i], g) && known_is_live(world->tasks[i].session) &&
                !world->tasks[i].aborting;
    MUST(!g->gate.concurrency || live <= g->gate.concurrency, "%lld run of %lld", (long long)live,
         (long long)g->gate.concurrency);
    g->starts[g->start_count++ % STARTS_MAX] = world->asked_us;
    double rpm = g->gate.rpm;
    MUST(!(rpm > 0) || (double)started_within(g, 60 * SECOND_US) <= ceil(rpm),
         "more than %g start in a minute", rpm);
    MUST(rpm < 60 || (double)started_within(g, SECOND_US) <= ceil(rpm / 60),
         "more than %g start in a second", ceil(rpm / 60));
}

/* --- a start --- */

/* Whether it is `other` that a task waits for, or may be: when the one that it waited for was to be
 * retried, and another had its unique key. */
static bool stands_for(const struct known *other, const struct known *parent)
{
    return other == parent || (parent->unique && other->unique == parent->unique);
}

static bool is_over(const struct known *k, const struct known *parent)
{
    for (int i = 0; i < world->task_count; i++) {
        const struct known *other = &world->tasks[i];
        if (stands_for(other, parent) &&
            (k->when == AFTER_ENDED ? other->ever_ended : other->ever_completed))
            return true;
    }
    return false;
}

static void check_parents(const struct known *k)
{
    for (int i = 0; i < k->parent_count; i++) {
        const struct known *parent = &world->tasks[k->parents[i]];
        MUST(is_over(k, parent), "task %lld runs before task %lld", (long long)k->id,
             (long long)parent->id);
    }
}

static void check_others(const struct known *k)
{
    MUST(!known_is_live(k->session) || k->aborting, "task %lld is in two live leases",
         (long long)k->id);
    for (int i = 0; i < world->task_count && k->lock; i++) {
        const struct known *other = &world->tasks[i];
        MUST(other == k || other->lock != k->lock || other->queue != k->queue || other->aborting ||
                 !known_is_live(other->session),
             "tasks %lld and %lld hold one lock", (long long)k->id, (long long)other->id);
    }
}

static void check_arguments(const struct known *k, const struct task_handed *handed)
{
    OWNED_MEM char *text = text_or_blob(handed->arguments, &handed->arguments_blob);
    MUST(k->schedule || number_in(text, "n") == k->arguments, "task %lld has %s", (long long)k->id,
         text);
    MUST(!k->schedule || number_in(text, "s") == k->schedule - 1, "tick %lld has %s",
         (long long)k->id, text);
    MUST(str_is(handed->queue, queue_names[k->queue]) &&
             str_is(handed->function, function_names[k->function]) &&
             str_is(handed->key, key_names[k->key]) && str_is(handed->lock, lock_names[k->lock]),
         "task %lld: names", (long long)k->id);
}

void known_handed(struct known *k, const struct task_handed *handed, int session, bool late)
{
    long long id = (long long)k->id;
    bool was_seen = late && k->session == -1 && handed->fence == k->fence;
    MUST(k->state == KNOWN_OPEN, "task %lld has ended and comes again", id);
    MUST(was_seen || handed->fence > k->fence, "the fence of task %lld is %u after %lld", id,
         handed->fence, (long long)k->fence);
    MUST(handed->attempt >= 1 && handed->attempt <= handed->max_attempts &&
             handed->max_attempts == k->max_attempts,
         "attempt %u of %u of task %lld", handed->attempt, handed->max_attempts, id);
    MUST(k->run_at_us <= world->latest_wall_us, "task %lld comes before its time", id);
    MUST(k->era != world->era || k->delay_until_us <= world->asked_us,
         "task %lld comes before its delay is over", id);
    check_arguments(k, handed);
    check_parents(k);
    check_others(k);
    SAY("  task %lld to session %d, fence %u\n", id, session, handed->fence);
    k->fence = handed->fence;
    k->session = session;
    k->started_us = world->asked_us;
    k->hangs = k->times_out && pick(3) == 0;
    k->aborting =
        (was_seen && k->aborting) || k->times_out; /* its time may be over at any moment */
    k->ran = true;
    check_gate(gate_of_queue(k->queue), k);
    check_gate(gate_of_function(k->function), k);
    if (k->key)
        check_gate(gate_of_key(k->key), k);
}

/* --- looking --- */

static bool may_never_end(const struct known *parent)
{
    for (int i = 0; i < world->task_count; i++) {
        const struct known *other = &world->tasks[i];
        if (stands_for(other, parent) &&
            (other->cancel_asked || other->state == KNOWN_CANCELLED || other->state == KNOWN_GONE))
            return true;
    }
    return false;
}

/* Whether one more may be cancelled. */
static bool spread_once(void)
{
    bool any = false;
    for (int i = 0; i < world->task_count; i++) {
        struct known *k = &world->tasks[i];
        for (int p = 0; p < k->parent_count && !k->cancel_asked; p++)
            if (may_never_end(&world->tasks[k->parents[p]]))
                k->cancel_asked = any = true;
    }
    return any;
}

void known_spread_cancel(void)
{
    while (spread_once())
        ;
}

static enum known_state state_of(const struct task_view *view)
{
    switch (view->state) {
    case JOB_COMPLETED:
        return KNOWN_COMPLETED;
    case JOB_FAILED:
        return KNOWN_FAILED;
    case JOB_CANCELLED:
        return KNOWN_CANCELLED;
    default:
        return KNOWN_OPEN;
    }
}

static void check_change(struct known *k, const struct task_view *view, enum known_state now)
{
    long long id = (long long)k->id;
    if (now == k->state)
        return;
    MUST(k->state == KNOWN_OPEN, "task %lld was over (%d) and is %s", id, (int)k->state,
         job_state_name(view->state));
    MUST(now != KNOWN_COMPLETED, "nobody completed task %lld", id);
    if (now == KNOWN_CANCELLED)
        known_spread_cancel();
    MUST(now != KNOWN_CANCELLED || k->cancel_asked, "nobody cancelled task %lld", id);
    MUST(now != KNOWN_FAILED || k->times_out || k->failed_finally || !k->retries ||
             view->attempts >= k->max_attempts,
         "task %lld has failed after %lld attempts", id, (long long)view->attempts);
    SAY("  task %lld is %s\n", id, job_state_name(view->state));
    k->state = now;
    k->ever_ended = true;
    k->session = 0;
}

static void check_time_out(const struct known *k)
{
    int64_t since_us = k->started_us > world->looked_us ? k->started_us : world->looked_us;
    MUST(!k->times_out || world->now.mono_us - since_us < TIMED_OUT_US,
         "task %lld runs for %lld us, whose time was over", (long long)k->id,
         (long long)(world->now.mono_us - since_us));
}

void known_seen(struct known *k, const struct task_view *view)
{
    enum known_state now = state_of(view);
    long long id = (long long)k->id;
    check_change(k, view, now);
    MUST(view->attempts <= k->max_attempts && view->fence >= k->fence, "task %lld: %lld, %lld", id,
         (long long)view->attempts, (long long)view->fence);
    MUST(view->max_attempts == k->max_attempts, "task %lld: max_attempts is %lld, not %lld, %s", id,
         (long long)view->max_attempts, (long long)k->max_attempts, job_state_name(view->state));
    if (view->state == JOB_RUNNING && view->fence > k->fence)
        k->session = -1; /* it was handed out, and nobody has heard of it */
    if (view->fence > k->fence)
        k->ran = true;
    k->fence = view->fence;
    MUST(view->state == JOB_RUNNING || !known_is_live(k->session) || k->aborting,
         "task %lld is %s, and somebody has it", id, job_state_name(view->state));
    if (view->state != JOB_RUNNING)
        k->session = 0;
    else
        check_time_out(k);
}
