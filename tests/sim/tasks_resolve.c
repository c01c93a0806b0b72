/* tasks_resolve.c: what was asked when the process was killed: it has happened whole, or not at all
 * (tasks_sim.h). */
#include "tasks_sim.h"

/* What a task's arguments say; -1: nothing that was asked for. */
static int place_of(const struct task_view *view)
{
    OWNED_MEM char *text = text_or_blob(str_of(view->arguments), &view->arguments_blob);
    int64_t place = number_in(text, "n");
    MUST(place < world->task_count, "arguments %s", text);
    return (int)place;
}

/* The tasks of that request, if they were stored: all or none. */
static bool adopt(int64_t request)
{
    char batch[32];
    snprintf(batch, sizeof batch, "e%lld", (long long)request);
    struct task_filter filter = {.batch = str_of(batch)};
    struct op_task_list found = list_tasks(&filter);
    size_t wanted = 0;
    for (int i = 0; i < world->task_count; i++)
        wanted += world->tasks[i].request == request && !world->tasks[i].unique;
    for (size_t i = 0; i < found.count; i++) {
        struct task_view view = show(found.views[i].id);
        int place = place_of(&view);
        MUST(place >= 0 && world->tasks[place].request == request, "task %lld has %s",
             (long long)view.id, view.arguments);
        struct known *k = &world->tasks[place], *old = known_by_id(view.id);
        if (old) { /* it has replaced that one */
            take_over(old, k);
            task_view_release(&view);
            continue;
        }
        /* Another of the request may have replaced it at once. */
        for (int other = 0; k->unique && other < place; other++)
            if (world->tasks[other].request == request && world->tasks[other].unique == k->unique) {
                k = &world->tasks[other];
                break;
            }
        if (k != &world->tasks[place])
            take_over(k, &world->tasks[place]);
        wanted -= !k->unique;
        k->id = view.id;
        k->state = KNOWN_OPEN;
        task_view_release(&view);
    }
    MUST(found.count == 0 || wanted == 0, "a part of request %lld was stored", (long long)request);
    bool stored = found.count > 0;
    list_tasks_release(&found);
    return stored;
}

/* Those that the request may have replaced: their arguments say so. */
static void adopt_replaced(int64_t request)
{
    for (int i = 0; i < world->task_count; i++) {
        struct known *k = &world->tasks[i];
        if (!k->unique || k->state != KNOWN_OPEN)
            continue;
        struct task_view view = show(k->id);
        int place = place_of(&view);
        if (place != k->arguments) {
            MUST(world->tasks[place].request == request, "task %lld has %s", (long long)k->id,
                 view.arguments);
            take_over(k, &world->tasks[place]);
        }
        task_view_release(&view);
    }
}

/* Whether a completion of the settlement was stored that asks for followers. */
static bool adopt_settlement(void)
{
    bool any = false;
    for (int i = 0; i < world->open_count; i++) {
        struct known *k = &world->tasks[world->open_tasks[i]];
        if (k->state != KNOWN_OPEN)
            continue;
        struct task_view view = show(k->id);
        bool same = world->open_results[i] && result_of(&view) == world->open_results[i];
        bool asks = !world->open_of || world->open_of == k->id;
        if (view.state != JOB_RUNNING) { /* it may be that it has failed, or was given back */
            k->session = 0;
            k->delay_wall_us = world->latest_wall_us + RETRY_MAX_US;
        }
        k->failed_finally |= view.state == JOB_FAILED;
        k->cancel_asked |= view.state == JOB_CANCELLED;
        if (same && view.state == JOB_COMPLETED) {
            k->state = KNOWN_COMPLETED;
            k->ever_completed = k->ever_ended = true;
            k->result = world->open_results[i];
            any = any || asks;
        }
        task_view_release(&view);
    }
    return any;
}

void resolve(void)
{
    bool settled = world->open_settles && adopt_settlement();
    bool stored = world->open_request && adopt(world->open_request);
    if (world->open_request)
        adopt_replaced(world->open_request);
    if (world->open_settles && world->open_request)
        MUST(!settled || stored, "a settlement was stored without what it enqueues");
    for (int i = 0; i < WORKERS; i++) {
        struct worker *w = &world->workers[i];
        w->unsure = w->session != 0;
        if (w->session && w->session == world->open_holds)
            maybe_back(w);
    }
    world->open_holds = 0;
    world->open_settles = false;
    world->open_request = 0;
}
