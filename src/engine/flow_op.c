/* flow_op.c: the beginning and the end of ops about flows. */
#include "engine/engine_state.h"

#include <stdlib.h>

void flow_op_init(struct op *op)
{
    if (op->kind == OP_FLOW_START)
        buf_init(&op->flow_start.told, BUF_NO_CAP);
    if (op->kind == OP_FLOW_GET)
        buf_init(&op->flow_get.value, BUF_NO_CAP);
    if (op->kind == OP_FLOW_PUT)
        op->flow_put.only_if = -1;
}

void flow_view_release(struct flow_view *view)
{
    for (size_t i = 0; i < view->running_count; i++)
        free(view->running[i].name);
    free(view->running);
    free(view->failed);
    free(view->name);
    free(view->variables);
    free(view->pools);
    *view = (struct flow_view){0};
}

static void release_list(struct op_flow_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        flow_view_release(&list->views[i]);
    free(list->views);
}

static void release_nodes(struct op_flow_nodes *nodes)
{
    for (size_t i = 0; i < nodes->count; i++) {
        free(nodes->views[i].name);
        free(nodes->views[i].logfile);
        free(nodes->views[i].after);
        free(nodes->views[i].error);
    }
    free(nodes->views);
}

static void release_values(struct op_flow_get *get)
{
    for (size_t i = 0; i < get->count; i++)
        free(get->values[i].key);
    free(get->values);
    buf_release(&get->value);
}

void flow_op_release(struct op *op)
{
    switch (op->kind) {
    case OP_FLOW_START:
        free(op->flow_start.edited);
        buf_release(&op->flow_start.told);
        break;
    case OP_FLOW_SHOW:
        flow_view_release(&op->flow_show.view);
        break;
    case OP_FLOW_ABORT:
        flow_view_release(&op->flow_abort.view);
        break;
    case OP_FLOW_LIST:
        release_list(&op->flow_list);
        break;
    case OP_FLOW_NODES:
        release_nodes(&op->flow_nodes);
        break;
    case OP_FLOW_GET:
        release_values(&op->flow_get);
        break;
    default:
        break;
    }
}
