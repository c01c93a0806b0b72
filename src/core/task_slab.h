/* task_slab.h: memory for tasks: no header each, and what is free in all of a chunk goes back. */
#ifndef PENSTOCK_CORE_TASK_SLAB_H
#define PENSTOCK_CORE_TASK_SLAB_H

#include "core/task.h"

struct task_slab;

struct task_slab *task_slab_new(void);
void task_slab_free(struct task_slab *s);         /* all tasks were given back; NULL is fine */
struct task *task_slab_take(struct task_slab *s); /* zeroed */
void task_slab_give(struct task_slab *s, struct task *t);

#endif
