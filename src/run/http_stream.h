/* http_stream.h: a stream of server-sent events, followed. Threads: the client's. */
#ifndef PENSTOCK_RUN_HTTP_STREAM_H
#define PENSTOCK_RUN_HTTP_STREAM_H

#include "run/http_client.h"

struct client_stream;
/* Begins to follow `path`, behind the event `after` (-1: from now on). Connects while waiting. */
struct client_stream *client_follow(struct client *c, const char *path, int64_t after);
void client_stream_free(struct client_stream *s);
DEFINE_OWNED(client_stream)
/* Waits until the server has answered: what happens from then on comes as an event. Errors as
 * client_ask. */
MUST_CHECK bool client_stream_begin(struct client_stream *s, struct err *err);
/* Waits up to `wait_ms` for the next event. True with *data set (one line of JSON, borrowed until
 * the next call; *id its number), or with data->ptr NULL when none came in time. False when the
 * stream has ended or failed: follow again. */
MUST_CHECK bool client_stream_next(struct client_stream *s, int wait_ms, struct str *data,
                                   int64_t *id, struct err *err);

/* Whether all that had happened before it began has come; true once it is. client_stream_next
 * comes back without an event when it becomes true. */
bool client_stream_is_present(const struct client_stream *s);

#endif
