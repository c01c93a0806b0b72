/* task_gates.c: what is said about queues, functions, keys and workers, and what can be set. */
#include "engine/engine_state.h"

#include <stdlib.h>

/* --- queues and functions --- */

static const struct gate *settings_of(struct engine *e, bool of_function, uint32_t place)
{
    struct dispatch *d = e->tasks->dispatch;
    return of_function ? dispatch_function_gate(d, place) : dispatch_queue_gate(d, place);
}

/* Whether a text of names with commas has that one; NULL has all. */
static bool names_it(const char *names, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = names; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, len) == 0 && (at[len] == ',' || at[len] == 0))
            return true;
    return !names;
}

/* Whoever asks for all queues does not mean those of step jobs. */
static bool takes_from(const struct task_session *session, const char *queue)
{
    return session->queues ? names_it(session->queues, queue) : !step_queue_is(str_of(queue));
}

int64_t task_sessions_taking(const struct engine *e, const char *queue, const char *function,
                             int64_t most)
{
    const struct tasks *tasks = e->tasks;
    int64_t count = 0;
    for (size_t i = 0; i < tasks->session_count && count < most; i++)
        count += takes_from(tasks->sessions[i], queue) &&
                 names_it(tasks->sessions[i]->functions, function);
    return count;
}

enum task_hold task_explain(const struct engine *e, const struct task *t, int64_t *by)
{
    const struct dispatch *d = e->tasks->dispatch;
    enum task_hold hold = dispatch_explain(d, t, e->now, by);
    if ((hold != HOLD_NOTHING && hold != HOLD_BEHIND) ||
        task_sessions_taking(e, dispatch_queue_name(d, task_queue(t)),
                             dispatch_function_name(d, task_function(t)), 1) > 0)
        return hold;
    *by = 0;
    return HOLD_NO_WORKER;
}

static void view_gate(struct engine *e, bool of_function, uint32_t place, struct gate_view *view)
{
    const struct tasks *tasks = e->tasks;
    struct dispatch *d = tasks->dispatch;
    const struct task_gate *gate = gate_at(e, of_function, place);
    const char *name =
        of_function ? dispatch_function_name(d, place) : dispatch_queue_name(d, place);
    *view =
        (struct gate_view){.name = xstrdup(name),
                           .gate = *settings_of(e, of_function, place),
                           .counts = of_function ? dispatch_function_counts(d, place)
                                                 : dispatch_queue_counts(d, place),
                           .completed = gate->counts[JOB_COMPLETED] + gate->delta[JOB_COMPLETED],
                           .failed = gate->counts[JOB_FAILED] + gate->delta[JOB_FAILED],
                           .cancelled = gate->counts[JOB_CANCELLED] + gate->delta[JOB_CANCELLED]};
    for (size_t i = 0; i < tasks->session_count; i++)
        view->workers += names_it(
            of_function ? tasks->sessions[i]->functions : tasks->sessions[i]->queues, name);
}

static bool set_gate(struct engine *e, struct op *op, uint32_t *place)
{
    const struct op_gates *ask = &op->gates;
    if (ask->set.len > TASK_NAME_MAX_BYTES || !str_is_utf8(ask->set))
        return err_set(&op->err, ERR_INVALID, "the name is not 1 to %d bytes of UTF-8",
                       TASK_NAME_MAX_BYTES);
    if (ask->gate.concurrency < 0 || ask->gate.concurrency > LIMIT_CONCURRENCY_MAX ||
        !(ask->gate.rpm >= 0) || ask->gate.rpm > LIMIT_RPM_MAX)
        return err_set(&op->err, ERR_INVALID,
                       "concurrency is between 1 and %d, rpm up to %.0f, or nothing at all",
                       LIMIT_CONCURRENCY_MAX, LIMIT_RPM_MAX);
    *place = gate_need(e, ask->of_functions, ask->set);
    struct gate gate = *settings_of(e, ask->of_functions, *place);
    if (ask->sets_paused)
        gate.paused = ask->gate.paused;
    if (ask->sets_concurrency)
        gate.concurrency = ask->gate.concurrency;
    if (ask->sets_rpm)
        gate.rpm = ask->gate.rpm;
    if (ask->sets_fair && !ask->of_functions)
        gate.fair = ask->gate.fair;
    (ask->of_functions ? dispatch_set_function_gate : dispatch_set_queue_gate)(e->tasks->dispatch,
                                                                               *place, &gate);
    gate_at(e, ask->of_functions, *place)->changed = true;
    e->building.tasks.gates_changed = true;
    e->tasks->stirred = true;
    return true;
}

enum op_fate op_gates(struct engine *e, struct op *op)
{
    struct op_gates *ask = &op->gates;
    uint32_t place = 0;
    if (!tasks_are_ready(e, op, ask->set.len > 0))
        return FATE_NOW;
    if (ask->set.len) {
        if (!set_gate(e, op, &place))
            return FATE_NOW;
        ask->views = xcalloc(1, sizeof *ask->views);
        ask->count = 1;
        view_gate(e, ask->of_functions, place, &ask->views[0]);
        return FATE_DURABLE;
    }
    size_t count = ask->of_functions ? dispatch_function_count(e->tasks->dispatch)
                                     : dispatch_queue_count(e->tasks->dispatch);
    ask->views = xcalloc(count, sizeof *ask->views);
    for (place = 0; place < count; place++)
        if (gate_at(e, ask->of_functions, place)->number)
            view_gate(e, ask->of_functions, place, &ask->views[ask->count++]);
    return FATE_NOW;
}

/* --- rules for keys --- */

static struct key_rule *find_rule(const struct tasks *tasks, struct str name)
{
    for (size_t i = 0; i < tasks->rule_count; i++)
        if (str_is(name, tasks->rules[i].name))
            return &tasks->rules[i];
    return NULL;
}

static void put_rule(struct tasks *tasks, const struct key_rule *asked)
{
    struct key_rule *rule = find_rule(tasks, str_of(asked->name));
    if (!rule) {
        tasks->rules = xrealloc(tasks->rules, (tasks->rule_count + 1) * sizeof *tasks->rules);
        rule = &tasks->rules[tasks->rule_count++];
        *rule = (struct key_rule){.name = xstrdup(asked->name)};
    }
    free(rule->pattern);
    rule->pattern = xstrdup(asked->pattern);
    rule->concurrency = asked->concurrency;
    rule->rpm = asked->rpm;
}

static void delete_rule(struct tasks *tasks, struct key_rule *rule)
{
    free(rule->name);
    free(rule->pattern);
    *rule = tasks->rules[--tasks->rule_count];
}

static bool change_rules(struct engine *e, struct op *op)
{
    const struct op_limits *ask = &op->limits;
    struct tasks *tasks = e->tasks;
    if (ask->verb == LIMITS_PUT) {
        if (!key_rule_check(&ask->rule, &op->err))
            return false;
        put_rule(tasks, &ask->rule);
    } else {
        struct key_rule *rule = find_rule(tasks, str_of(ask->rule.name));
        if (!rule)
            return err_set(&op->err, ERR_NOT_FOUND, "no limit has the name %s", ask->rule.name);
        delete_rule(tasks, rule);
    }
    dispatch_set_key_rules(tasks->dispatch, tasks->rules, tasks->rule_count);
    e->building.tasks.rules_changed = true;
    tasks->stirred = true;
    return true;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct key_rule *)a)->name, ((const struct key_rule *)b)->name);
}

enum op_fate op_limits(struct engine *e, struct op *op)
{
    struct op_limits *ask = &op->limits;
    const struct tasks *tasks = e->tasks;
    bool changes = ask->verb != LIMITS_LIST;
    if (!tasks_are_ready(e, op, changes) || (changes && !change_rules(e, op)))
        return FATE_NOW;
    ask->rules = xcalloc(tasks->rule_count, sizeof *ask->rules);
    for (; ask->count < tasks->rule_count; ask->count++) {
        const struct key_rule *rule = &tasks->rules[ask->count];
        ask->rules[ask->count] = *rule;
        ask->rules[ask->count].name = xstrdup(rule->name);
        ask->rules[ask->count].pattern = xstrdup(rule->pattern);
    }
    if (ask->count)
        qsort(ask->rules, ask->count, sizeof *ask->rules, by_name);
    return changes ? FATE_DURABLE : FATE_NOW;
}

/* --- workers --- */

enum { TASKS_LISTED = 100 };

static void list_task(void *context, int64_t id)
{
    struct session_view *view = context;
    if (view->task_count < TASKS_LISTED)
        view->tasks[view->task_count++] = id;
}

enum op_fate op_workers(struct engine *e, struct op *op)
{
    struct op_workers *ask = &op->workers;
    const struct tasks *tasks = e->tasks;
    if (!tasks_are_ready(e, op, false))
        return FATE_NOW;
    ask->sessions = xcalloc(tasks->session_count, sizeof *ask->sessions);
    for (size_t i = 0; i < tasks->session_count; i++) {
        const struct task_session *session = tasks->sessions[i];
        const struct lease *lease = leases_by_number(tasks->leases, session->number);
        if (!lease)
            continue;
        struct session_view *view = &ask->sessions[ask->count++];
        *view = (struct session_view){.worker = xstrdup(lease_worker(lease)),
                                      .queues = xstrdup_or_null(session->queues),
                                      .functions = xstrdup_or_null(session->functions),
                                      .holding = lease_open(lease),
                                      .since_at_us = session->since_at_us,
                                      .last_at_us = session->last_at_us,
                                      .ends_at_us =
                                          e->now.wall_us + lease_ends_us(lease) - e->now.mono_us,
                                      .tasks = xcalloc(TASKS_LISTED, sizeof *view->tasks)};
        lease_each(lease, list_task, view);
    }
    return FATE_NOW;
}
