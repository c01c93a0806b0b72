/* http_client.h: the program's way to a server: HTTP by a URL or by a Unix socket.
 *
 * One client serves one thread. A question (client_ask) waits for its answer; calls go side by
 * side, each on a connection of its own that is kept from one request to the next, so that several
 * requests are on the way at once; a stream follows events (http_stream.h). */
#ifndef PENSTOCK_RUN_HTTP_CLIENT_H
#define PENSTOCK_RUN_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/err.h"

#include <poll.h>

struct client;

/* Where a server is and who asks. Borrowed for the call. */
struct client_target {
    const char *url;       /* http://host:port, https://…, unix:///path/of/the.sock */
    const char *state_dir; /* instead of `url`: the folder of a server on this machine */
    const char *key;       /* API key, or @FILE that holds it; NULL */
    const char *token;     /* token of the job that is meant, likewise; NULL */
    const char *ca;        /* certificates to trust instead of the system's; NULL */
};

/* Looks at the target; connects with the first request. ERR_INVALID. ERR_BUSY when the folder has
 * no socket: no server runs there. */
MUST_CHECK bool client_new(const struct client_target *target, struct client **out,
                           struct err *err);
void client_free(struct client *c);
DEFINE_OWNED(client)

/* One request. `body` is JSON, empty: none. A 2xx answer's body is appended to `answer` (NULL: not
 * wanted). Anything else is an error with the server's own words, its code by the status; ERR_BUSY
 * when the server cannot be reached. */
MUST_CHECK bool client_ask(struct client *c, const char *method, const char *path, struct str body,
                           struct buf *answer, struct err *err);

/* One request after the other on one connection, without waiting. */
struct call;
struct call *call_new(struct client *c);
void call_free(struct call *call); /* gives up what is on the way; before client_free */
DEFINE_OWNED(call)
/* Its requests may wait at the server for hours: silence does not end them. Of a server whose host
 * may vanish without a word, nothing may be awaited so. */
void call_wait_long(struct call *call);
/* Sends a request; none may be on the way. `body` is borrowed until call_ended says true. */
MUST_CHECK bool call_begin(struct call *call, const char *method, const char *path, struct str body,
                           struct err *err);
/* Whether a request was sent whose end was not taken. */
bool call_pending(const struct call *call);
/* Whether the request on the way has ended; its outcome is then to be taken by call_end. */
bool call_ended(const struct call *call);
/* Takes the outcome of the request that has ended: as client_ask. `status` is the answer's, 0 when
 * none came. `answer`, initialised, is exchanged for the body, so that nothing is copied; what it
 * held is dropped and its room used again. */
MUST_CHECK bool call_end(struct call *call, long *status, struct buf *answer, struct err *err);
/* Moves what can be moved on all calls; waits up to `wait_us` (NEVER_US: no limit) for that or for
 * one of `fds` (their revents are set). ERR_INTERNAL. */
MUST_CHECK bool client_wait(struct client *c, struct pollfd *fds, size_t count, int64_t wait_us,
                            struct err *err);

/* The path of a job as the user names it ("titles", or "@17" by its id), with `rest` behind. */
char *client_job_path(const char *job, const char *rest);
/* Appends a text for a path or query, percent-encoded. */
void client_escape(struct buf *out, const char *text);

#endif
