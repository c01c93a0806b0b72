/* worker_message.h: what a worker process and its supervisor say to each other on descriptor 3: one
 * line of JSON each, an object of one member. docs/worker-protocol.md describes them. Pure. */
#ifndef PENSTOCK_RUN_WORKER_MESSAGE_H
#define PENSTOCK_RUN_WORKER_MESSAGE_H

#include "base/buf.h"
#include "base/err.h"

/* Set in the environment of a process that is spoken to, to the number of the descriptor. */
#define WORKER_CONTROL_VARIABLE "PENSTOCK_CONTROL_FD"
#define WORKER_CONTROL_FD 3
#define WORKER_MESSAGE_MAX_BYTES (1 << 20)

enum worker_message_kind {
    WORKER_HELLO,  /* body: pid, what, kind, batch_size, retry, settings */
    WORKER_ERROR,  /* it cannot begin: text, traceback */
    WORKER_FAILED, /* a hook failed: text, traceback, where */
    WORKER_READY,  /* on_startup is done */
    WORKER_ALIVE,  /* it goes on, and will say so again */
    WORKER_LEASE,  /* body: the token, a text */
    WORKER_LOG,    /* level, text, perhaps record and id */
    WORKER_BYE,    /* ran, reason */
    WORKER_MESSAGE_KIND_COUNT
};

/* The kind of a line, and its body borrowed from it. ERR_INVALID when it is no such message. */
MUST_CHECK bool worker_message_read(struct str line, enum worker_message_kind *kind,
                                    struct str *body, struct err *err);
/* A text among the members of a body, to be freed; NULL when there is none. */
char *worker_message_text(struct str body, const char *member);

/* What a process is told when it may begin. Borrowed; NULL and 0 where there is nothing. */
struct worker_go {
    const char *server; /* http://…, https://… or unix:///path of a socket */
    const char *key, *ca, *job, *token, *worker;
    double timeout_s;
    int64_t max_memory_bytes, max_records, slots_hint;
    const char *const *queues; /* tasks of these, NULL ends it; NULL: of all */
    int64_t concurrency;       /* tasks at once; 0: as it chooses */
    bool one_shot;             /* until there are no more tasks */
    double alive_s;            /* it shall say so often that it is alive; 0: it need not */
};
void worker_go_write(const struct worker_go *go, struct buf *out);
void worker_stop_write(double grace_s, struct buf *out);

#endif
