/* helper_message.h: what a node runner and the Python helper say to each other, as JSON
 * (docs/flow-run.md). Pure. */
#ifndef PENSTOCK_RUN_HELPER_MESSAGE_H
#define PENSTOCK_RUN_HELPER_MESSAGE_H

#include "run/node_task.h"

#include <sys/types.h>

#define HELPER_MESSAGE_MAX_BYTES (64 << 10)

/* What a helper is told first. Borrowed; NULL where there is nothing. */
struct helper_setup {
    const char *const *path; /* folders of modules, NULL ends it */
    const char *server, *key;
    bool interactive;
    int64_t no_retry_code; /* -1: none */
};
void helper_setup_write(const struct helper_setup *setup, struct buf *out);
/* The order to run an attempt. ERR_LIMIT: its texts are too long for a message. */
MUST_CHECK bool helper_run_write(const struct node_task *t, struct buf *out, struct err *err);

enum helper_message_kind {
    HELPER_READY,
    HELPER_IMPORTING, /* task */
    HELPER_STARTED,   /* task, pid */
    HELPER_REFUSED,   /* task, code, error */
    HELPER_EXITED,    /* task, pid, status */
    HELPER_OUTCOME,   /* task, code, final, error */
    HELPER_MESSAGE_KIND_COUNT
};
struct helper_message {
    enum helper_message_kind kind;
    int64_t task, code, status;
    pid_t pid;
    bool final;
    struct str error; /* an object of type, message, traceback; or empty. Borrowed */
};
/* ERR_INVALID: it is no such message. */
MUST_CHECK bool helper_message_read(struct str text, struct helper_message *out, struct err *err);

#endif
