/* flow_plan.h: what a run of a flow does with each node of its list, and why. Pure.
 *
 * A fresh run runs all that is selected; the others are N. A restart keeps what is C or N and runs
 * all else; with a selection it runs what is selected, whatever its mark, and keeps the others as
 * they are. Nodes are matched by their ids. A restart is a fresh run when there are no earlier
 * marks, or when (without a selection) all of them are C or N. */
#ifndef PENSTOCK_CORE_FLOW_PLAN_H
#define PENSTOCK_CORE_FLOW_PLAN_H

#include "core/flow_marks.h"
#include "core/flow_web.h"

/* What is known of a node from earlier runs. */
struct flow_past {
    int32_t id;
    enum flow_mark mark;
    int64_t run;    /* in which run it got its mark, from 1 */
    uint64_t print; /* of what its row said then */
};

/* What is selected: all that each of these allows. */
struct flow_select {
    const int32_t *only; /* with has_only: these */
    size_t only_count;
    bool has_only;
    const int32_t *norun; /* all but these */
    size_t norun_count;
    int32_t ancestors;   /* this one and its ancestors; 0 */
    int32_t descendants; /* this one and its descendants; 0 */
};

enum flow_does { FLOW_DOES_RUN, FLOW_DOES_KEEP, FLOW_DOES_NORUN, FLOW_DOES_COUNT };
extern const char *const flow_does_names[FLOW_DOES_COUNT + 1]; /* "run", "keep", "norun", NULL */

struct flow_planned {
    enum flow_does does;
    bool edited;   /* it is kept as C, and its row says something else now */
    uint32_t past; /* place in the list of earlier marks; UINT32_MAX: none */
    bool selected;
};

struct flow_plan {
    bool fresh; /* earlier marks and the context are forgotten */
    size_t count, does[FLOW_DOES_COUNT];
    size_t edited;
    struct flow_planned *nodes; /* by place */
};

/* Plans. `prints` are of the rows now, by place. ERR_INVALID: the selection names a node that is
 * not there. In any case to be released. */
MUST_CHECK bool flow_plan_make(struct flow_web *web, const struct flow_web_node *nodes,
                               const uint64_t *prints, bool restart,
                               const struct flow_select *select, const struct flow_past *past,
                               size_t past_count, struct flow_plan *out, struct err *err);
void flow_plan_release(struct flow_plan *p); /* zeroed is fine */
/* Why, in words: "failed in run 1". */
void flow_plan_why(const struct flow_plan *p, size_t place, const struct flow_past *past,
                   struct buf *out);

#endif
