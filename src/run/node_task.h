/* node_task.h: a task of the queue that is a node of a flow, as a claim's answer has it
 * (docs/flow-run.md). Pure. */
#ifndef PENSTOCK_RUN_NODE_TASK_H
#define PENSTOCK_RUN_NODE_TASK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

#define NODE_FUNCTION "penstock.flow.node"

struct node_task {
    int64_t task, fence, flow, attempt, max_attempts;
    int32_t node;
    double timeout_s, retry_wait_s; /* timeout_s 0: no limit */
    char *name, *logfile;
    char *command; /* NULL: a Python node, and then: */
    char *module, *worker;
    struct str arguments; /* JSON array of texts */
    struct str variables; /* JSON object of texts */
    char **environment;   /* the same as NAME=VALUE; NULL ends it */
    char *raw;            /* the bytes that arguments and variables point to */
};

/* One element of an answer's "tasks". ERR_INVALID says what is wrong with it; then *task, of what
 * could be read, has its id, so that it can be settled. The caller's. */
MUST_CHECK bool node_task_read(struct str raw, struct node_task **out, int64_t *task,
                               struct err *err);
void node_task_free(struct node_task *t);
DEFINE_OWNED(node_task)

#endif
