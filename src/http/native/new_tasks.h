/* new_tasks.h: tasks to be enqueued, read where they lie in a request's body.
 *
 * One pass, no trees: names are slices of the body (decoded there when they have escapes),
 * arguments are raw slices. What each member means is said in docs/queue.md. Threads: any. */
#ifndef PENSTOCK_HTTP_NATIVE_NEW_TASKS_H
#define PENSTOCK_HTTP_NATIVE_NEW_TASKS_H

#include "base/json.h"
#include "engine/task_op.h"

/* Tasks in one request, and what they wait for in all. */
#define NEW_TASKS_MAX 100000
#define NEW_TASKS_AFTER_MAX 4000000

/* Zeroed is valid and empty. */
struct new_tasks {
    struct task_new *tasks; /* owned; texts lie in the body and in `options` */
    size_t count, cap;
    int64_t *after; /* owned: what all tasks wait for, one after the other */
    size_t after_count, after_cap;
    struct buf options; /* all tasks' options, one after the other */
};

/* Reads {"tasks":[{...},...]}. The body is written to and must outlive the tasks. Errors:
 * ERR_INVALID naming member, place and value; ERR_LIMIT. In any case to be released. */
MUST_CHECK bool new_tasks_read(struct new_tasks *l, char *body, size_t len, struct err *err);
/* The same of a list inside a body that is walked already: the cursor stands before it, `name` is
 * the member's. `settled`: within a settlement, a task may say `of` which it is. A fault of the
 * cursor is the caller's to see: true then. */
MUST_CHECK bool new_tasks_read_list(struct new_tasks *l, struct json *j, const char *name,
                                    bool settled, struct err *err);
void new_tasks_release(struct new_tasks *l);

#endif
