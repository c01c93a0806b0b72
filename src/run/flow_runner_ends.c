/* flow_runner_ends.c: how attempts end: stopped, killed, or by themselves; what is told to the
 * server then, and, when that is durable, to whoever looks on. */
#include "run/flow_runner_own.h"

#include "base/clock.h"
#include "base/json.h"

#include <signal.h>
#include <stdlib.h>

#define GRACE_US INT64_C(10000000)
/* Between the kill of a Python node and the word of its end, which is its helper's to say. */
#define WORD_US INT64_C(2000000)

void run_free(struct run *run)
{
    node_task_free(run->task);
    node_outcome_release(&run->outcome);
    free(run);
}

void flow_runner_fail(struct flow_runner *r, const struct err *err)
{
    if (r->failure.code == ERR_NONE)
        r->failure = *err;
}

/* ---- stopping ---- */

static void send_signal(struct flow_runner *r, const struct run *run, int number)
{
    struct err err;
    if (run->program && !keeper_signal(r->plan.keeper, run->program, number, &err))
        flow_runner_fail(r, &err);
    /* Its leader is reaped by nobody before we hear of it, or by the keeper a moment ago. */
    if (run->group > 1)
        kill(-run->group, number);
}

void run_stop(struct flow_runner *r, struct run *run, enum node_stop why)
{
    if (run->stop == STOP_NOT || why == STOP_ABORT)
        run->stop = why;
    if (run->kill_at_us != NEVER_US)
        return;
    run->kill_at_us = r->now_us + GRACE_US;
    run->timeout_at_us = NEVER_US;
    send_signal(r, run, SIGTERM);
}

/* ---- ends ---- */

/* Whether it is told to the server: who only leaves a flow that goes on spends no attempt, the
 * release gives the node back. */
static bool settle(struct flow_runner *r, const struct node_past *past, const struct ended *e)
{
    int64_t task = past->task->task;
    const char *traceback = past->outcome->traceback;
    const struct node_failure why = {
        .message = str_of(e->why),
        .type = str_of(node_past_type(past)),
        .traceback = str_of(traceback ? traceback : ""),
        .code = e->code,
        .final = e->end == NODE_FAILED,
    };
    if (e->end == NODE_COMPLETED)
        node_session_complete(r->session, task);
    else if (e->end != NODE_ABORTED)
        node_session_fail(r->session, task, &why);
    else if (r->plan.queue || !r->stopping)
        node_session_abort(r->session, task);
    else
        return false;
    return true;
}

static void tell_started(struct flow_runner *r, const struct node_task *task)
{
    const struct node_seen seen = {.task = task};
    r->plan.hooks->started(r->plan.context, &seen);
}

void run_started(struct flow_runner *r, struct run *run)
{
    run->behind = r->ended.first ? r->added : 0;
    if (run->behind)
        r->untold++;
    else
        tell_started(r, run->task);
}

static void tell_untold(struct flow_runner *r)
{
    for (struct run *run = r->runs; run && r->untold; run = run->next) {
        if (!run->behind || run->behind > r->told)
            continue;
        run->behind = 0;
        r->untold--;
        if (!run->forgotten)
            tell_started(r, run->task);
    }
}

void flow_runner_add_ended(struct flow_runner *r, struct ended *e)
{
    ended_list_add(&r->ended, e);
    r->added++;
}

void flow_runner_drop_ended(struct flow_runner *r)
{
    ended_list_clear(&r->ended);
    r->told = r->added;
}

static void tell_ended(struct flow_runner *r, const struct ended *e)
{
    if (e->untold)
        tell_started(r, e->task);
    const struct node_seen seen = {.task = e->task,
                                   .end = e->end,
                                   .code = e->code,
                                   .why = e->why,
                                   .elapsed_s = e->elapsed_s,
                                   .tail = str_of(e->tail)};
    r->plan.hooks->ended(r->plan.context, &seen);
}

static bool is_stale(struct str list, int64_t task)
{
    struct json j;
    struct str raw;
    int64_t id = 0;
    json_open(&j, list);
    if (list.len <= 2 || !json_enter(&j, '['))
        return false;
    while (json_item(&j) && json_value(&j, &raw))
        if (json_i64(raw, 1, INT64_MAX, &id) && id == task)
            return true;
    return false;
}

void flow_runner_settled(void *context, size_t count, struct str stale)
{
    struct flow_runner *r = context;
    for (; count > 0; count--) {
        OWNED(ended) struct ended *e = ended_list_take(&r->ended);
        if (!e)
            return;
        r->told++;
        if (e->task && !is_stale(stale, e->task->task))
            tell_ended(r, e);
    }
    tell_untold(r);
}

static void remove_run(struct flow_runner *r, struct run *run)
{
    struct run **at = &r->runs;
    while (*at != run)
        at = &(*at)->next;
    *at = run->next;
    r->untold -= run->behind != 0;
    if (!*at)
        r->runs_end = at;
    r->running--;
    run_free(run);
}

void run_end(struct flow_runner *r, struct run *run, int status)
{
    const struct node_past past = {
        .task = run->task, .outcome = &run->outcome, .stop = run->stop, .status = status};
    /* What is left of the group of a Python node; of a shell node's the keeper has seen to it. */
    if (run->group > 1)
        kill(-run->group, SIGKILL);
    if (!run->forgotten) {
        OWNED(ended)
        struct ended *e = ended_new(&past, node_past_judge(&past, r->plan.no_retry_code),
                                    (double)(r->now_us - run->began_us) / 1e6, run->log_from_bytes);
        bool told = settle(r, &past, e);
        e->task = TAKE(run->task);
        e->untold = run->behind != 0;
        if (told)
            flow_runner_add_ended(r, TAKE(e));
        else
            tell_ended(r, e);
    }
    remove_run(r, run);
}

/* Until its end is told. What was not forked yet, as an import hangs, will not be. A helper that
 * says nothing of an attempt that was killed is stuck itself: it goes, and the keeper tells. */
void run_kill(struct flow_runner *r, struct run *run)
{
    struct err err;
    bool again = run->killed && run->group;
    run->killed = true;
    run->kill_at_us = r->now_us + (run->group && !again ? WORD_US : GRACE_US);
    send_signal(r, run, SIGKILL);
    if (again && !flow_helper_renew(r->helper, run->task->task, r->now_us, &err))
        flow_runner_fail(r, &err);
    if (run->program || run->group)
        return;
    flow_helper_forget(r->helper, run->task->task);
    run_end(r, run, SIGKILL);
}
