/* flow_marks.h: how far a run of a flow is: the mark of each node, what remains, how long that
 * takes. Pure.
 *
 *             start          complete
 *   P ───────────────► R ──────────────► C      F, D, A: the task of the node has ended, too
 *   │  ◄───────────────┤
 *   │     give back    ├── fail ───────► F      N: deselected, it has no task in this run
 *   ├── default ─► D   └── abort ──────► A
 *   ├── fail ────► F   (its last attempt was lost, or its time was over)
 *   ├── abort ───► A
 *   └── leave ───► P, and closed: the run was stopped before it began
 *
 * A node is open while it has a task that has not ended. */
#ifndef PENSTOCK_CORE_FLOW_MARKS_H
#define PENSTOCK_CORE_FLOW_MARKS_H

#include "base/buf.h"
#include "base/err.h"
#include "core/job.h"

enum flow_mark {
    FLOW_PENDING,
    FLOW_RUNNING,
    FLOW_COMPLETED,
    FLOW_FAILED,
    FLOW_DEFAULTED, /* an ancestor failed */
    FLOW_NORUN,     /* deselected */
    FLOW_ABORTED,
    FLOW_MARK_COUNT
};
char flow_mark_letter(enum flow_mark mark); /* P R C F D N A */
bool flow_mark_read(struct str letter, enum flow_mark *out);

/* What happens to a node's task. */
enum flow_step {
    FLOW_START,
    FLOW_GIVE_BACK, /* it waits (again): for its next attempt, or for another worker */
    FLOW_COMPLETE,
    FLOW_FAIL,    /* for good */
    FLOW_DEFAULT, /* it will never be ready */
    FLOW_ABORT,
    FLOW_LEAVE,
    FLOW_STEP_COUNT
};

struct flow_marks;

/* `count` nodes, each P and closed. */
struct flow_marks *flow_marks_new(size_t count);
void flow_marks_free(struct flow_marks *m);
DEFINE_OWNED(flow_marks)

/* Sets a node as the store or a plan has it, before anything happens: `open` with P only. ahead_us:
 * from its start to the end of what follows, as earlier runs took (0: not known). */
void flow_marks_put(struct flow_marks *m, size_t place, int32_t id, enum flow_mark mark, bool open,
                    int64_t ahead_us);
/* The one table of moves. False, and nothing changes, when the node is not open or that cannot
 * happen to it: then whoever says so is mistaken. A step but for START and GIVE_BACK closes it. */
MUST_CHECK bool flow_marks_move(struct flow_marks *m, size_t place, enum flow_step step,
                                int64_t now_us);

size_t flow_marks_count(const struct flow_marks *m);
int32_t flow_marks_id(const struct flow_marks *m, size_t place);
const int32_t *flow_marks_ids(const struct flow_marks *m,
                              size_t *stride_bytes); /* for flow_places */
enum flow_mark flow_marks_get(const struct flow_marks *m, size_t place);
bool flow_marks_is_open(const struct flow_marks *m, size_t place);
int64_t flow_marks_since_us(const struct flow_marks *m, size_t place); /* R: wall; else 0 */
/* How many have the mark; how many are open. */
int64_t flow_marks_of(const struct flow_marks *m, enum flow_mark mark);
int64_t flow_marks_open(const struct flow_marks *m);
/* The first place from `from` on with that mark; the count of nodes: there is none. */
size_t flow_marks_next(const struct flow_marks *m, enum flow_mark mark, size_t from);

/* How long the rest takes at least, as earlier runs took: the longest way from what runs or may run
 * to the end; -1: nothing is known of what is open. One look at each node. */
int64_t flow_marks_eta_us(const struct flow_marks *m, int64_t now_us);
/* What a run is when nothing of it is open: `stopped` by a person: cancelled; completed when each
 * node of it is C or N or was kept as it was (`kept` of them are neither), else failed. */
enum job_state flow_marks_outcome(const struct flow_marks *m, bool stopped, int64_t kept);

#endif
