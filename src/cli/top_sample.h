/* top_sample.h: what `penstock top` shows: the server's answers of one moment, and how fast each
 * queue went since the moment before. Threads: the main one. */
#ifndef PENSTOCK_CLI_TOP_SAMPLE_H
#define PENSTOCK_CLI_TOP_SAMPLE_H

#include "base/buf.h"
#include "base/err.h"
#include "run/http_client.h"

enum top_list { TOP_QUEUES, TOP_RUNNING, TOP_WORKERS, TOP_ERRORS, TOP_LIST_COUNT };

struct top_sample {
    struct buf answers[TOP_LIST_COUNT]; /* the server's, whole */
    int64_t at_us;                      /* monotonic */
};

/* Zeroed buffers do not do. */
void top_sample_init(struct top_sample *s);
void top_sample_release(struct top_sample *s);
/* Asks for everything. Errors as client_ask; `s` holds what had come until then. */
MUST_CHECK bool top_sample_take(struct client *client, struct top_sample *s, struct err *err);
/* The list itself, JSON: an array; "[]" when nothing was asked for yet. */
struct str top_sample_list(const struct top_sample *s, enum top_list list);
/* The member under which the server and --json show a list. */
const char *top_list_name(enum top_list list);
/* Tasks of a queue (an element of TOP_QUEUES) that ended a second since `before`; -1: not known. */
double top_sample_rate(const struct top_sample *now, const struct top_sample *before,
                       struct str queue);

#endif
