/* tasks_look.c: what the engine shows in the simulation of the queue, beside what is known
 * (tasks_sim.h). */
#include "tasks_sim.h"

struct op_task_list list_tasks(const struct task_filter *filter)
{
    struct op op;
    op_init(&op, OP_TASK_LIST);
    if (filter)
        op.task_list.filter = *filter;
    op.task_list.limit = 1000;
    ask(&op);
    MUST(op.err.code == ERR_NONE && !op.task_list.more, "list: %s", op.err.text);
    return op.task_list;
}

void list_tasks_release(struct op_task_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        task_view_release(&l->views[i]);
    free(l->views);
}

struct task_view show(int64_t id)
{
    struct op op;
    op_init(&op, OP_TASK_SHOW);
    op.task_show.id = id;
    ask(&op);
    MUST(op.err.code == ERR_NONE, "show %lld: %s", (long long)id, op.err.text);
    return op.task_show.view;
}

/* The number that a completed task's result holds; -1: none. */
int64_t result_of(const struct task_view *view)
{
    OWNED_MEM char *text = text_or_blob(str_of(view->result), &view->result_blob);
    return number_in(text, "r");
}

static void count_view(struct task_counts *c, enum job_state state)
{
    c->blocked += state == JOB_BLOCKED;
    c->pending += state == JOB_PENDING;
    c->running += state == JOB_RUNNING;
}

static void check_gates(bool of_functions, const char *const *names, size_t count,
                        const struct op_task_list *all)
{
    struct op op;
    op_init(&op, OP_GATES);
    op.gates.of_functions = of_functions;
    ask(&op);
    MUST(op.err.code == ERR_NONE, "gates: %s", op.err.text);
    for (size_t n = 0; n < count; n++) {
        struct task_counts listed = {0}, told = {0};
        for (size_t i = 0; i < all->count; i++)
            if (!strcmp(of_functions ? all->views[i].function : all->views[i].queue, names[n]))
                count_view(&listed, all->views[i].state);
        for (size_t i = 0; i < op.gates.count; i++)
            if (!strcmp(op.gates.views[i].name, names[n]))
                told = op.gates.views[i].counts;
        MUST(memcmp(&listed, &told, sizeof told) == 0, "counts of %s", names[n]);
    }
    op_release(&op);
}

static void check_status(const struct op_task_list *all)
{
    struct op op;
    int64_t counts[JOB_STATE_COUNT] = {0};
    op_init(&op, OP_TASK_STATUS);
    ask(&op);
    MUST(op.err.code == ERR_NONE, "status: %s", op.err.text);
    for (size_t i = 0; i < op.task_status.count; i++)
        for (int s = 0; s < JOB_STATE_COUNT; s++)
            counts[s] += op.task_status.leaves[i].counts[s];
    for (size_t i = 0; i < all->count; i++)
        counts[all->views[i].state]--;
    /* The store does not know when a time has come. */
    counts[JOB_PENDING] += counts[JOB_BLOCKED];
    counts[JOB_BLOCKED] = 0;
    for (int s = 0; s < JOB_STATE_COUNT; s++)
        MUST(counts[s] == 0, "the status tree has %lld more that are %s", (long long)counts[s],
             job_state_name((enum job_state)s));
    op_release(&op);
}

struct known *known_or_tick(int64_t id)
{
    struct known *k = known_by_id(id);
    return k ? k : tick_adopt(id);
}

/* Everything that was acknowledged is there, as far as it was told. */
void check_all(void)
{
    /* A list tells what is stored: what time alone has changed is, too, after this. */
    world->looking = true;
    step(NULL);
    for (int i = 0; i < 1000 && engine_next_us(sim_engine) <= machine_now().mono_us; i++)
        step(NULL);
    hear_all();
    struct op_task_list all = list_tasks(NULL);
    int seen = 0, there = 0;
    for (size_t i = 0; i < all.count; i++) {
        struct known *k = known_or_tick(all.views[i].id);
        MUST(k && k->state != KNOWN_GONE, "task %lld comes from nowhere",
             (long long)all.views[i].id);
        known_seen(k, &all.views[i]);
        seen++;
    }
    for (int i = 0; i < world->task_count; i++) {
        enum known_state state = world->tasks[i].state;
        there += state != KNOWN_NOT && state != KNOWN_GONE;
    }
    MUST(seen == there, "%d of %d are there", seen, there);
    check_gates(false, queue_names, QUEUES, &all);
    check_gates(true, function_names, FUNCTIONS, &all);
    check_status(&all);
    world->looking = false;
    list_tasks_release(&all);
    if (pick(8) == 0)
        blobs_check_needed();
}
