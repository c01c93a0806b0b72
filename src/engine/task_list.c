/* task_list.c: many tasks: lists, failed ones by error, counts. Lists walk through rows; a walk
 * that takes long goes on a slice a step, so that nobody waits for it. */
#include "engine/engine_state.h"

#include "base/json.h"

#include <stdlib.h>

enum { SLICE_ROWS = 1000, LIST_MAX = 1000, GROUPS_MAX = 1000 };

/* --- ops that take many steps --- */

void task_slice_add(struct engine *e, struct op *op)
{
    struct op **at = &e->tasks->slices;
    while (*at)
        at = &(*at)->next;
    op->next = NULL;
    *at = op;
}

void task_slices_step(struct engine *e)
{
    for (struct op **at = &e->tasks->slices; *at;) {
        struct op *op = *at;
        bool done = op->kind == OP_TASK_LIST     ? task_list_slice(e, op)
                    : op->kind == OP_TASK_ERRORS ? task_errors_slice(e, op)
                                                 : task_control_slice(e, op);
        if (!done) {
            at = &op->next;
            continue;
        }
        *at = op->next;
        bool durable = op->err.code == ERR_NONE && tasks_stir(&e->building);
        op_meet_fate(e, op, durable ? FATE_DURABLE : FATE_NOW);
    }
}

/* The first slice at once, mostly the only one. */
static enum op_fate begin_slices(struct engine *e, struct op *op,
                                 bool (*slice)(struct engine *e, struct op *op))
{
    if (!tasks_are_ready(e, op, false) || slice(e, op))
        return FATE_NOW;
    task_slice_add(e, op);
    return FATE_WAITS;
}

/* --- filters --- */

static bool is_named(struct engine *e, bool of_function, int64_t number, struct str name)
{
    struct dispatch *d = e->tasks->dispatch;
    uint32_t place = gate_by_number(e, of_function, number);
    return place != UINT32_MAX && str_is(name, of_function ? dispatch_function_name(d, place)
                                                           : dispatch_queue_name(d, place));
}

static bool text_fits(struct str wanted, struct str text)
{
    return wanted.len == 0 || str_eq(wanted, text);
}

bool filter_matches(struct engine *e, const struct task_filter *filter, const struct task_row *row)
{
    return text_fits(filter->key, row->key) && text_fits(filter->batch, row->batch) &&
           text_fits(filter->lock, row->lock) && text_fits(filter->error_type, row->error_type) &&
           (!filter->by_state || task_state_of_row(e, row) == filter->state) &&
           (!filter->queue.len || is_named(e, false, row->queue, filter->queue)) &&
           (!filter->function.len || is_named(e, true, row->function, filter->function));
}

enum task_walk filter_walk(const struct task_filter *filter)
{
    if (!filter->by_state)
        return WALK_ALL;
    if (filter->state == JOB_FAILED)
        return WALK_FAILED;
    return job_state_is_final(filter->state) ? WALK_ALL : WALK_OPEN;
}

/* --- lists --- */

struct listing {
    struct engine *e;
    struct op_task_list *list;
};

static bool list_row(void *context, const struct task_row *row, struct err *err)
{
    struct listing *l = context;
    struct op_task_list *list = l->list;
    (void)err;
    if (!filter_matches(l->e, &list->filter, row)) {
        list->after = row->id;
        return true;
    }
    if ((int64_t)list->count == list->limit) {
        list->more = true;
        return false;
    }
    list->after = row->id;
    list->views = xrealloc(list->views, (list->count + 1) * sizeof *list->views);
    task_view_of_row(l->e, row, false, &list->views[list->count++]);
    return true;
}

bool task_list_slice(struct engine *e, struct op *op)
{
    struct op_task_list *list = &op->task_list;
    struct listing l = {e, list};
    int64_t looked = 0;
    OWNED(tx) struct tx *tx = NULL;
    return !tx_begin(e->store, &tx, &op->err) ||
           !task_store_walk(tx, filter_walk(&list->filter), list->after, SLICE_ROWS, &looked,
                            list_row, &l, &op->err) ||
           looked < SLICE_ROWS;
}

enum op_fate op_task_list(struct engine *e, struct op *op)
{
    struct op_task_list *list = &op->task_list;
    if (list->limit < 1 || list->limit > LIST_MAX)
        list->limit = LIST_MAX;
    return begin_slices(e, op, task_list_slice);
}

/* --- failed ones by function and error --- */

struct erring {
    struct engine *e;
    struct op_task_errors *errors;
};

static struct task_error_group *group_of(struct erring *f, const struct task_row *row)
{
    struct op_task_errors *errors = f->errors;
    for (size_t i = 0; i < errors->count; i++)
        if (str_is(row->error_type, errors->groups[i].type) &&
            is_named(f->e, true, row->function, str_of(errors->groups[i].function)))
            return &errors->groups[i];
    if (errors->count == GROUPS_MAX)
        return &errors->groups[GROUPS_MAX - 1];
    struct str message;
    uint32_t place = gate_by_number(f->e, true, row->function);
    errors->groups = xrealloc(errors->groups, (errors->count + 1) * sizeof *errors->groups);
    struct task_error_group *group = &errors->groups[errors->count++];
    *group = (struct task_error_group){
        .function = xstrdup(
            place == UINT32_MAX ? "" : dispatch_function_name(f->e->tasks->dispatch, place)),
        .type = xstrndup(row->error_type.ptr ? row->error_type.ptr : "", row->error_type.len),
        .example = row->error.ptr && json_find(row->error, "message", &message)
                       ? json_take_shown(message)
                       : NULL,
        .example_id = row->id,
        .first_at_us = row->ended_at_us};
    return group;
}

static bool err_row(void *context, const struct task_row *row, struct err *err)
{
    struct erring *f = context;
    (void)err;
    f->errors->reached = row->id;
    if (!filter_matches(f->e, &f->errors->filter, row))
        return true;
    struct task_error_group *group = group_of(f, row);
    group->count++;
    if (row->ended_at_us < group->first_at_us)
        group->first_at_us = row->ended_at_us;
    if (row->ended_at_us > group->last_at_us)
        group->last_at_us = row->ended_at_us;
    return true;
}

static int most_first(const void *a, const void *b)
{
    int64_t x = ((const struct task_error_group *)a)->count,
            y = ((const struct task_error_group *)b)->count;
    return x > y ? -1 : x < y;
}

bool task_errors_slice(struct engine *e, struct op *op)
{
    struct op_task_errors *errors = &op->task_errors;
    struct erring f = {e, errors};
    int64_t looked = 0;
    OWNED(tx) struct tx *tx = NULL;
    bool ok = tx_begin(e->store, &tx, &op->err) &&
              task_store_walk(tx, WALK_FAILED, errors->reached, SLICE_ROWS, &looked, err_row, &f,
                              &op->err);
    if (ok && looked == SLICE_ROWS)
        return false;
    if (errors->count)
        qsort(errors->groups, errors->count, sizeof *errors->groups, most_first);
    return true;
}

enum op_fate op_task_errors(struct engine *e, struct op *op)
{
    return begin_slices(e, op, task_errors_slice);
}

/* --- counts --- */

struct tallying {
    struct engine *e;
    struct op_task_status *status;
    size_t cap;
};

static char *text_of(struct str text)
{
    return xstrndup(text.ptr ? text.ptr : "", text.len);
}

static void tally_row(void *context, const struct task_tally_row *row)
{
    struct tallying *t = context;
    struct op_task_status *status = t->status;
    struct dispatch *d = t->e->tasks->dispatch;
    uint32_t queue = gate_by_number(t->e, false, row->queue),
             function = gate_by_number(t->e, true, row->function);
    if (queue == UINT32_MAX || function == UINT32_MAX)
        return;
    if (status->count == t->cap) {
        t->cap = t->cap ? t->cap * 2 : 64;
        status->leaves = xrealloc(status->leaves, t->cap * sizeof *status->leaves);
    }
    const struct task_leaf *leaf = leaf_find(t->e, queue, function, row->key, row->batch);
    struct task_tally *out = &status->leaves[status->count++];
    *out = (struct task_tally){.key = text_of(row->key),
                               .batch = text_of(row->batch),
                               .queue = xstrdup(dispatch_queue_name(d, queue)),
                               .function = xstrdup(dispatch_function_name(d, function)),
                               .first_at_us = row->first_at_us,
                               .last_at_us = row->last_at_us,
                               .rate = leaf ? leaf_rate(leaf, t->e->now.mono_us) : 0};
    memcpy(out->counts, row->counts, sizeof out->counts);
}

enum op_fate op_task_status(struct engine *e, struct op *op)
{
    struct op_task_status *status = &op->task_status;
    struct tallying t = {.e = e, .status = status};
    if (!tasks_are_ready(e, op, false))
        return FATE_NOW;
    OWNED(tx) struct tx *tx = NULL;
    bool ok = tx_begin(e->store, &tx, &op->err) &&
              task_tally_store_list(tx, status->key, status->batch, status->active_only,
                                    TASK_STATUS_LEAVES_MAX + 1, tally_row, &t, &op->err);
    if (ok && status->count > TASK_STATUS_LEAVES_MAX)
        err_set(&op->err, ERR_LIMIT,
                "more than %d functions of queues, batches and keys: ask for those of a key, of a "
                "batch, or that are active",
                TASK_STATUS_LEAVES_MAX);
    return FATE_NOW;
}
