/* exec_answer.h: one line that a program printed for one record. Pure. */
#ifndef PENSTOCK_RUN_EXEC_ANSWER_H
#define PENSTOCK_RUN_EXEC_ANSWER_H

#include "run/outcomes.h"

/* Adds to `out` what the line (without its end) says of the record:
 *   nothing, or null                         done, nothing to write
 *   {"penstock":{"skip":true}}               the same
 *   {"penstock":{"fail":"why", ...}}         a failure; perhaps with "type" (text), "final" (bool),
 *                                            "retry_after_s" (number), "throttled" (bool)
 *   {"penstock":{"enqueue":[...],"result":x}}  of a task: its result (null unless said), and tasks
 * to be enqueued with it any other JSON                           the result anything else a
 * failure of type NotJson False when it is a failure; `why`, emptied before, then holds the reason.
 */
bool exec_answer_take(struct str line, int64_t record, struct outcomes *out, struct buf *why);

#endif
