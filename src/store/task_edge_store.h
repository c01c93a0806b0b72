/* task_edge_store.h: which tasks wait for which, in the store. Rules as in task_store.h. */
#ifndef PENSTOCK_STORE_TASK_EDGE_STORE_H
#define PENSTOCK_STORE_TASK_EDGE_STORE_H

#include "core/task_graph.h"
#include "store/store.h"

struct task_edge_row {
    int64_t parent, child;
    enum after_when when;
};
MUST_CHECK bool task_edge_store_add(struct tx *tx, const struct task_edge_row *rows, size_t count,
                                    struct err *err);
/* The parent has ended: nobody has to wait for it (any more) `when` so. */
MUST_CHECK bool task_edge_store_drop(struct tx *tx, int64_t parent, enum after_when when,
                                     struct err *err);
/* What the child waits for, or has waited for when it was cancelled, is forgotten. */
MUST_CHECK bool task_edge_store_forget(struct tx *tx, int64_t child, struct err *err);
/* Who waits for the one waits for the other. */
MUST_CHECK bool task_edge_store_move(struct tx *tx, int64_t from, int64_t to, int64_t child,
                                     struct err *err);
/* Those of children that have not ended. */
MUST_CHECK bool task_edge_store_load(struct tx *tx,
                                     void (*each)(void *context, const struct task_edge_row *row),
                                     void *context, struct err *err);
/* Those of one child, which may have been cancelled. */
MUST_CHECK bool task_edge_store_parents(struct tx *tx, int64_t child,
                                        void (*each)(void *context,
                                                     const struct task_edge_row *row),
                                        void *context, struct err *err);

#endif
