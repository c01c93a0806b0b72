/* tasks_ticks.c: schedules in the simulation of the queue: each tick is there once at most, and one
 * that is set ticks. Their tasks are tasks like others, and go through all that those go through.
 */
#include "tasks_sim.h"

#include "core/schedule.h"

#include <string.h>

/* No further ticks where the simulation has no room for them. */
enum { ROOM_FOR_TICKS = 120 };
/* The last is for seeing that one ticks: no earlier task has its keys, whatever the clock says. */
enum { AT_THE_END = SCHEDULES };
static const char *const schedule_names[SCHEDULES + 1] = {"s0", "s1", "s2", "end"};

static bool has_room(void)
{
    return world->task_count < TASKS_MAX - ROOM_FOR_TICKS;
}

static struct op ask_schedules(enum schedules_verb verb, int at, const struct schedule *spec,
                               bool dares)
{
    struct op op;
    op_init(&op, OP_SCHEDULES);
    op.schedules.verb = verb;
    op.schedules.name = schedule_names[at];
    op.schedules.spec = spec;
    if (dares)
        dare(&op);
    else
        ask(&op);
    MUST(op.err.code == ERR_NONE || op.err.code == ERR_NOT_FOUND || dares, "schedule: %s",
         op.err.text);
    return op;
}

static void set(int at, int64_t every_us, enum schedule_missed missed, bool dares)
{
    char name[8], function[16], queue[16], arguments[32];
    struct schedule spec = {.name = name,
                            .function = function,
                            .queue = queue,
                            .arguments = arguments,
                            .every_us = every_us,
                            .missed = missed,
                            .paused = dares && pick(6) == 0,
                            .pass_time = pick(2)};
    snprintf(name, sizeof name, "%s", schedule_names[at]);
    snprintf(function, sizeof function, "%s", function_names[0]);
    snprintf(queue, sizeof queue, "%s", queue_names[1]);
    snprintf(arguments, sizeof arguments, "{\"s\":%d}", at);
    struct op op = ask_schedules(SCHEDULES_SET, at, &spec, dares);
    op_release(&op);
}

void ticks_delete_all(void)
{
    for (int i = 0; i <= AT_THE_END; i++) {
        struct op op = ask_schedules(SCHEDULES_DELETE, i, NULL, false);
        op_release(&op);
    }
}

void verb_schedule(void)
{
    int at = pick(SCHEDULES);
    if (!has_room()) {
        recover();
        ticks_delete_all();
        return;
    }
    struct op op;
    switch (pick(4)) {
    case 0:
        op = ask_schedules(SCHEDULES_DELETE, at, NULL, true);
        op_release(&op);
        break;
    case 1:
        op = ask_schedules(SCHEDULES_RUN, at, NULL, true);
        op_release(&op);
        break;
    default:
        /* Of many that were missed few are made up for. */
        if (pick(3) == 0)
            set(at, 40 * 86400 * SECOND_US, MISSED_ALL, true);
        else
            set(at, (5 + pick(40)) * SECOND_US, pick(2) ? MISSED_SKIP : MISSED_ONCE, true);
    }
}

/* Its unique key says of when it is. */
static int64_t time_of(const struct task_view *view)
{
    int64_t at_us = 0;
    char start[32];
    if (!view->unique)
        return 0;
    int place = (int)number_in(view->arguments, "s");
    int len = snprintf(start, sizeof start, "schedule/%s/", schedule_names[place]);
    MUST(strncmp(view->unique, start, (size_t)len) == 0 &&
             clock_parse(str_of(view->unique + len), &at_us),
         "tick %lld is called %s", (long long)view->id, view->unique);
    return at_us;
}

static void check_is_only_one(const struct known *tick)
{
    for (int i = 0; i < world->task_count && tick->tick_at_us; i++) {
        const struct known *other = &world->tasks[i];
        MUST(other == tick || other->schedule != tick->schedule || other->state == KNOWN_GONE ||
                 other->tick_at_us != tick->tick_at_us,
             "tasks %lld and %lld are one tick", (long long)other->id, (long long)tick->id);
    }
}

struct known *tick_adopt(int64_t id)
{
    struct task_view view = show(id);
    int64_t schedule = view.arguments ? number_in(view.arguments, "s") : -1;
    if (schedule < 0) {
        task_view_release(&view);
        return NULL;
    }
    MUST(world->task_count < TASKS_MAX, "so many ticks");
    struct known *k = &world->tasks[world->task_count];
    *k = (struct known){.state = KNOWN_OPEN,
                        .id = id,
                        .schedule = 1 + (int)schedule,
                        .tick_at_us = time_of(&view),
                        .arguments = world->task_count++,
                        .queue = 1,
                        .max_attempts = view.max_attempts,
                        /* It may have been before anybody has seen it. */
                        .cancel_asked = view.state == JOB_CANCELLED};
    SAY("  task %lld is a tick of %s\n", (long long)id, schedule_names[schedule]);
    MUST(k->tick_at_us <= world->latest_wall_us, "tick %lld comes before its time", (long long)id);
    check_is_only_one(k);
    task_view_release(&view);
    return k;
}

void ticks_check_alive(void)
{
    ticks_delete_all();
    check_all();
    int before = world->task_count;
    set(AT_THE_END, 30 * SECOND_US, MISSED_SKIP, false);
    for (int i = 0; i < 31; i++)
        pass(SECOND_US);
    ticks_delete_all();
    check_all();
    MUST(world->task_count > before, "a schedule is silent");
}
