/* task_filter_options.h: the options by which commands say which tasks they mean. Threads: the main
 * one. */
#ifndef PENSTOCK_CLI_TASK_FILTER_OPTIONS_H
#define PENSTOCK_CLI_TASK_FILTER_OPTIONS_H

#include "base/json.h"
#include "cli/option.h"

/* --queue, --function, --of (the key of tasks; --key is the API key), --batch, --lock, --error. */
extern const struct option task_filter_options[];
/* --only STATE; for commands that mean tasks of any state otherwise. */
extern const struct option task_state_options[];

/* Appends them as parameters of a query ("&queue=..."). `with_state`: --only as well. */
void task_filter_query(const struct options *options, bool with_state, struct buf *out);
/* Writes them as members of an object that is open, --only as well. */
void task_filter_members(const struct options *options, struct json_out *o);

#endif
