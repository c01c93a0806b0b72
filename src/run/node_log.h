/* node_log.h: the log file of a node: made with its folders, appended to by each attempt between
 * two banners; its last lines for the report of a failure. Threads: any. */
#ifndef PENSTOCK_RUN_NODE_LOG_H
#define PENSTOCK_RUN_NODE_LOG_H

#include "base/buf.h"
#include "base/err.h"
#include "base/own.h"

/* Opens it to append (close-on-exec); missing folders are made. *length_bytes: how long it is.
 * Errors: as the system says, with the path. */
MUST_CHECK bool node_log_open(const char *path, int *fd, int64_t *length_bytes, struct err *err);

/* What the banners say. Texts borrowed. */
struct node_banner {
    int32_t node;
    const char *name;
    int64_t attempt, max_attempts;
    double wait_s; /* that was waited since the attempt before; 0: none */
    int64_t at_us; /* wall clock */
};
/* One write each, in local time. What cannot be written is left out: the attempt itself will show
 * what is wrong. `end` says how it ended, such as "completed" or "failed with code 3". */
void node_log_begin(int fd, const struct node_banner *b);
void node_log_end(const char *path, const struct node_banner *b, const char *end, double elapsed_s);

/* Appends the last `lines` lines of what stands behind from_bytes, up to some KiB of them, without
 * banners; control characters but tabs, and bytes that are no UTF-8, become '?'. Nothing when it
 * cannot be read. */
void node_log_tail(const char *path, int64_t from_bytes, int lines, struct buf *out);

/* Makes the folders on the way to the file `path`. */
MUST_CHECK bool node_log_make_folders(const char *path, struct err *err);

#endif
