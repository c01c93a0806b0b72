/* tasks_control.c: bulk verbs, gates and limits in the simulation of the queue (tasks_sim.h). */
#include "tasks_sim.h"

static bool matches(const struct known *k, const struct task_filter *f)
{
    bool listed = !f->ids;
    for (size_t i = 0; i < f->id_count; i++)
        listed = listed || f->ids[i] == k->id;
    enum known_state wanted = f->state == JOB_FAILED      ? KNOWN_FAILED
                              : f->state == JOB_COMPLETED ? KNOWN_COMPLETED
                                                          : KNOWN_CANCELLED;
    bool of_state = !f->by_state || k->state == wanted;
    return k->state != KNOWN_NOT && k->state != KNOWN_GONE && listed && of_state &&
           (!f->queue.len || str_is(f->queue, queue_names[k->queue])) &&
           (!f->function.len || str_is(f->function, function_names[k->function])) &&
           (!f->key.len || str_is(f->key, key_names[k->key]));
}

static bool waits_for_what_is_gone(const struct known *k)
{
    for (int i = 0; i < k->parent_count; i++)
        if (world->tasks[k->parents[i]].state == KNOWN_GONE)
            return true;
    return false;
}

/* It may have been refused because another has its unique key, or because what it waits for will
 * never be. */
static bool is_open_again(const struct known *k)
{
    struct task_view view = show(k->id);
    bool open = !job_state_is_final(view.state);
    task_view_release(&view);
    MUST(open || k->unique || waits_for_what_is_gone(k), "task %lld was not retried",
         (long long)k->id);
    return open;
}

/* What may become of a task that the verb means. */
static void note_asked(struct known *k, enum task_verb verb)
{
    bool over = k->state != KNOWN_OPEN;
    if (verb == TASK_CANCEL && !over) {
        k->cancel_asked = true;
        k->aborting = k->aborting || k->session != 0;
    } else if (verb == TASK_RETRY && (k->state == KNOWN_FAILED || k->state == KNOWN_CANCELLED) &&
               is_open_again(k)) {
        k->run_at_us = k->delay_until_us = k->delay_wall_us = 0;
        k->state = KNOWN_OPEN;
        k->cancel_asked = k->failed_finally = k->aborting = false;
    } else if (verb == TASK_DELETE && over) {
        k->state = KNOWN_GONE;
        k->cancel_asked = true;
    }
}

void control(enum task_verb verb, const struct task_filter *filter)
{
    struct op op;
    recover();
    check_all(); /* so that what has ended is known to have */
    op_init(&op, OP_TASK_CONTROL);
    op.task_control.verb = verb;
    op.task_control.filter = *filter;
    ask(&op);
    MUST(op.err.code == ERR_NONE, "control: %s", op.err.text);
    for (int i = 0; i < world->task_count; i++)
        if (matches(&world->tasks[i], filter))
            note_asked(&world->tasks[i], verb);
    for (int i = 0; i < world->task_count; i++) {
        const struct known *k = &world->tasks[i];
        if (verb == TASK_RETRY && k->state == KNOWN_OPEN &&
            (k->unique_while != UNIQUE_PENDING || !k->ran))
            check_has_key_alone(k);
    }
    known_spread_cancel();
    op_release(&op);
}

void verb_control(void)
{
    int64_t ids[3];
    struct task_filter filter = {0};
    if (!world->task_count || pick(4))
        return;
    switch (pick(3)) {
    case 0:
        filter.key = str_of(key_names[1 + pick(KEYS - 1)]);
        break;
    case 1:
        filter.queue = str_of(queue_names[1]);
        filter.function = str_of(function_names[pick(FUNCTIONS)]);
        break;
    default:
        for (filter.ids = ids; filter.id_count < 3; filter.id_count++)
            ids[filter.id_count] = world->tasks[pick(world->task_count)].id + (pick(20) == 0);
    }
    control((enum task_verb)pick(3), &filter);
}

void set_gate(bool of_functions, int place, const struct gate *gate)
{
    struct op op;
    recover();
    op_init(&op, OP_GATES);
    op.gates.of_functions = of_functions;
    op.gates.set = str_of(of_functions ? function_names[place] : queue_names[place]);
    op.gates.sets_paused = op.gates.sets_concurrency = op.gates.sets_rpm = true;
    op.gates.sets_fair = !of_functions;
    op.gates.gate = *gate;
    ask(&op);
    MUST(op.err.code == ERR_NONE, "gate: %s", op.err.text);
    known_set_gate(of_functions ? gate_of_function(place) : gate_of_queue(place), gate);
    op_release(&op);
}

static struct gate some_gate(void)
{
    static const double rates[] = {0, 0, 30, 60, 600};
    return (struct gate){.concurrency = pick(2) ? 0 : 1 + pick(6), .rpm = rates[pick(5)]};
}

void verb_gate(void)
{
    bool of_functions = pick(2);
    struct gate gate = some_gate();
    gate.paused = pick(4) == 0;
    gate.fair = !of_functions && pick(2);
    set_gate(of_functions, pick(of_functions ? FUNCTIONS : QUEUES), &gate);
}

void set_limit(bool put, struct gate gate)
{
    static char name[] = "each", pattern[] = "k*";
    struct op op;
    recover();
    op_init(&op, OP_LIMITS);
    op.limits.verb = put ? LIMITS_PUT : LIMITS_DELETE;
    op.limits.rule = (struct key_rule){
        .name = name, .pattern = pattern, .concurrency = gate.concurrency, .rpm = gate.rpm};
    ask(&op);
    MUST(op.err.code == ERR_NONE, "limit: %s", op.err.text);
    world->has_rule = put;
    for (int k = 1; k <= 2; k++)
        known_set_gate(gate_of_key(k), put ? &gate : &(struct gate){0});
    op_release(&op);
}

void verb_limit(void)
{
    struct gate gate = some_gate();
    if (gate.concurrency || gate.rpm > 0)
        set_limit(true, gate);
    else if (world->has_rule)
        set_limit(false, (struct gate){0});
}
