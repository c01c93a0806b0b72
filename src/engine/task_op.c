/* task_op.c: the beginning and the end of ops about tasks. */
#include "engine/engine_state.h"

#include <stdlib.h>

void task_op_init(struct op *op)
{
    if (op->kind == OP_TASK_CLAIM)
        buf_init(&op->task_claim.texts, BUF_NO_CAP);
    if (op->kind == OP_TASK_SETTLE)
        buf_init(&op->task_settle.claim.texts, BUF_NO_CAP);
}

bool enqueue_needs_all_blobs(const struct op_enqueue *enqueue)
{
    for (size_t i = 0; i < enqueue->count; i++) {
        const struct task_new *task = &enqueue->tasks[i];
        if (task->arguments_blob.bytes && (task->left_out || task->existing))
            return false;
        /* What it has replaced may be an earlier one of the list. */
        if (task->existing && task->on_clash == CLASH_REPLACE)
            return false;
    }
    return true;
}

void task_claim_release(struct task_claim *claim)
{
    free(claim->tasks);
    free(claim->aborts);
    free(claim->queue_places);
    free(claim->function_places);
    claim->queue_places = claim->function_places = NULL;
    buf_release(&claim->texts);
    claim->tasks = NULL;
    claim->aborts = NULL;
    claim->count = claim->abort_count = 0;
}

void task_view_release(struct task_view *view)
{
    char *const texts[] = {view->function,  view->queue,   view->key,    view->batch,
                           view->lock,      view->unique,  view->result, view->error,
                           view->arguments, view->options, view->worker, view->progress_text};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    free(view->parents);
    *view = (struct task_view){0};
}

static void release_list(struct op_task_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        task_view_release(&list->views[i]);
    free(list->views);
}

static void release_errors(struct op_task_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        free(errors->groups[i].function);
        free(errors->groups[i].type);
        free(errors->groups[i].example);
    }
    free(errors->groups);
}

static void release_status(struct op_task_status *status)
{
    for (size_t i = 0; i < status->count; i++) {
        free(status->leaves[i].key);
        free(status->leaves[i].batch);
        free(status->leaves[i].queue);
        free(status->leaves[i].function);
    }
    free(status->leaves);
}

static void release_gates(struct op_gates *gates)
{
    for (size_t i = 0; i < gates->count; i++)
        free(gates->views[i].name);
    free(gates->views);
}

static void release_limits(struct op_limits *limits)
{
    for (size_t i = 0; i < limits->count; i++) {
        free(limits->rules[i].name);
        free(limits->rules[i].pattern);
    }
    free(limits->rules);
}

static void release_workers(struct op_workers *workers)
{
    for (size_t i = 0; i < workers->count; i++) {
        free(workers->sessions[i].worker);
        free(workers->sessions[i].queues);
        free(workers->sessions[i].functions);
        free(workers->sessions[i].tasks);
    }
    free(workers->sessions);
}

void task_op_release(struct op *op)
{
    switch (op->kind) {
    case OP_TASK_CLAIM:
        task_claim_release(&op->task_claim);
        break;
    case OP_TASK_SETTLE:
        task_claim_release(&op->task_settle.claim);
        free(op->task_settle.aborts);
        break;
    case OP_TASK_EXTEND:
        free(op->task_extend.aborts);
        break;
    case OP_TASK_SHOW:
        task_view_release(&op->task_show.view);
        break;
    case OP_TASK_LIST:
        release_list(&op->task_list);
        break;
    case OP_TASK_ERRORS:
        release_errors(&op->task_errors);
        break;
    case OP_TASK_STATUS:
        release_status(&op->task_status);
        break;
    case OP_GATES:
        release_gates(&op->gates);
        break;
    case OP_LIMITS:
        release_limits(&op->limits);
        break;
    case OP_WORKERS:
        release_workers(&op->workers);
        break;
    default:
        break;
    }
}
