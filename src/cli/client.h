/* client.h: the command line's way to a running server: HTTP, by a URL or by the socket in a state
 * folder. Threads: the main one. */
#ifndef PENSTOCK_CLI_CLIENT_H
#define PENSTOCK_CLI_CLIENT_H

#include "base/buf.h"
#include "cli/option.h"

/* --server, --state, --key, --ca: rows for every command that talks to a server. */
extern const struct option client_options[];

/* The state folder when none is named. */
#define STATE_DIR_DEFAULT ".penstock"

struct client;

/* Looks at the options; connects with the first request. ERR_INVALID. ERR_BUSY when the state
 * folder has no socket: no server runs there. */
MUST_CHECK bool client_open(const struct options *options, struct client **out, struct err *err);
void client_free(struct client *c);
DEFINE_OWNED(client)

/* One request. `body` is JSON, empty: none. A 2xx answer's body is appended to `answer` (NULL: not
 * wanted). Anything else is an error with the server's own words, its code by the status; ERR_BUSY
 * when the server cannot be reached. */
MUST_CHECK bool client_ask(struct client *c, const char *method, const char *path, struct str body,
                           struct buf *answer, struct err *err);

/* A stream of server-sent events. */
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

/* The path of a job as the user names it ("titles", or "@17" by its id), with `rest` behind. */
char *client_job_path(const char *job, const char *rest);
/* Appends a text for a path or query, percent-encoded. */
void client_escape(struct buf *out, const char *text);

#endif
