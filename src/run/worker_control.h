/* worker_control.h: the worker's end of what it and its supervisor say to each other; the other end
 * is worker_message.h. Threads: one. */
#ifndef PENSTOCK_RUN_WORKER_CONTROL_H
#define PENSTOCK_RUN_WORKER_CONTROL_H

#include "base/buf.h"
#include "base/err.h"

/* What a worker is to do. Strings are owned, NULL where nothing was said. */
struct worker_orders {
    char *server, *key, *ca, *job, *token, *worker; /* no job: tasks of the queue */
    char *queues, *functions;                       /* of tasks: JSON arrays of names; NULL: all */
    bool one_shot;                                  /* of tasks: until none is left */
    double timeout_s;                               /* of one record; 0: no limit */
    double alive_s;                                 /* how often it says that it lives; 0: never */
    int64_t max_memory_bytes, max_records;
    int64_t slots_hint; /* its part when the job's limit is shared evenly; 0: not known */
};
void worker_orders_release(struct worker_orders *o);

struct worker_control {
    int fd; /* borrowed; -1: nobody is there any more, what is said is lost */
    struct buf got;
};

void worker_control_init(struct worker_control *c, int fd);
void worker_control_release(struct worker_control *c);

enum control_news { CONTROL_QUIET, CONTROL_GO, CONTROL_STOP, CONTROL_CLOSED };
/* Takes one message, if one is there; does not wait. CONTROL_GO: *orders, released before, is
 * filled. CONTROL_STOP: *grace_us. ERR_INVALID: it makes no sense. */
MUST_CHECK bool worker_control_read(struct worker_control *c, enum control_news *news,
                                    struct worker_orders *orders, int64_t *grace_us,
                                    struct err *err);
/* Waits for a message. */
MUST_CHECK bool worker_control_wait(struct worker_control *c, struct err *err);

/* What the worker says. A supervisor that is gone is noticed by reading. */
void worker_control_hello(struct worker_control *c, const char *what, const char *kind);
void worker_control_ready(struct worker_control *c);
void worker_control_alive(struct worker_control *c);
void worker_control_lease(struct worker_control *c, const char *token);
void worker_control_failed(struct worker_control *c, const char *where, const char *text);
void worker_control_bye(struct worker_control *c, int64_t ran, const char *reason);
/* A line for the run's log: level "error", "warning", "info" or "debug". */
void worker_control_log(struct worker_control *c, const char *level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same about one record; the text is cut when it is long. */
void worker_control_log_record(struct worker_control *c, int64_t record, const char *level,
                               struct str text);
/* That the server is away, or that it is back: the person is told. */
void worker_control_away(struct worker_control *c, bool away, const char *text);

#endif
