/* request.h: one request, from its first line until its answer has left.
 *
 * It belongs to one HTTP thread at a time (its connection's), or, between request_call and the
 * answer, to nobody but the engine. All that is borrowed from it lives as long as it does: until
 * the reply was sent. */
#ifndef PENSTOCK_HTTP_REQUEST_H
#define PENSTOCK_HTTP_REQUEST_H

#include "base/buf.h"
#include "engine/op.h"
#include "http/route.h"

struct server;

struct str request_method(const struct request *req);
/* Value of a {name} in the route's path, decoded (UTF-8, no NUL: else the path matches no route).
 */
struct str request_path_param(const struct request *req, const char *name);
/* A query parameter, decoded ('+' is a blank, bytes that are no UTF-8 become U+FFFD); of one given
 * twice the last. False when it is not there. Ended by NUL behind its len; may hold NULs. */
bool request_param(struct request *req, const char *name, struct str *value);
/* How many different or repeated parameters there are, and the i-th, for those who refuse unknown
 * ones. */
size_t request_param_count(struct request *req);
void request_param_at(struct request *req, size_t i, struct str *name, struct str *value);
/* A header's value, NULL when absent. Borrowed. */
const char *request_header(const struct request *req, const char *name);
/* The whole body (BODY_TAKEN); writable, for parsers that work in place. */
char *request_body(struct request *req, size_t *len);
/* Takes a piece of the body. False: the upload has failed, and this is told. */
typedef bool request_taker(struct request *req, struct str piece, struct err *err);
/* For a handler of a BODY_STREAMED route, and the last thing it does: `take` gets the body as it
 * comes, then `whole` is called as a handler is. Always true. */
bool request_take_body(struct request *req, request_taker *take, route_handler *whole);
/* "http://host" for absolute links, appended to out: the public root, if there is one and the
 * client came by TCP, else as it called us. */
void request_origin(const struct request *req, struct buf *out);
/* Monotonic and wall time when the request was read. */
struct instant request_at(const struct request *req);

/* What the asker has proven by key or by the Unix socket; SCOPE_ADMIN when the server asks for no
 * keys (auth mode none). */
enum scope request_scope(const struct request *req);
/* On whose behalf it asks about steps (engine/step_op.h): the owner of the key or of the step token
 * that was shown, else the house. Borrowed from the request. */
void request_step_asker(const struct request *req, struct step_asker *out);
/* The same for a list, in which who sees the things of all owners says by ?owner= whose to show. */
void request_list_asker(struct request *req, struct step_asker *out);
/* The right to present to the engine. Trusted: a key of scope `needed`, or the Unix socket. Else
 * the job token of `token` (NULL: of the header Penstock-Token), if there is one. When keys are
 * asked for and none was shown, the right is strict: a job without a token is closed too. */
void request_right(const struct request *req, enum scope needed, const struct str *token,
                   struct op_right *right);
/* Whether the server has a master token. */
bool request_has_master(const struct request *req);
/* The hash under which the engine knows a token. */
void request_token_hash(const struct request *req, struct str token, uint8_t out[TOKEN_HASH_BYTES]);

/* The request's op, initialised for `kind` (a former answer is released). */
struct op *request_op(struct request *req, enum op_kind kind);
/* Asks the engine; the last thing a handler (or a finish: one question may follow another) does.
 * `finish` is called when the op went well; its failure goes to the surface. Always true. */
bool request_call(struct request *req, route_finish *finish);
/* The same, `finish` sees failures too (op->err). */
bool request_ask(struct request *req, route_finish *finish);
/* What may wait for the disk. False: it has failed. */
typedef bool request_work(struct request *req, struct err *err);
/* Has `work` done on a thread of its own, as an answer to the request's op, which only carries its
 * error: then `finish` is called as with request_call. Always true. */
bool request_hand_over(struct request *req, request_work *work, route_finish *finish);
/* The request's op is a claim whose records or tasks are in the reply (for tasks, perhaps within a
 * settlement): when the reply cannot be sent to its end, or the client is gone already, they are
 * given back (OP_RELEASE, OP_TASK_RELEASE). */
void request_claims(struct request *req);

/* Memory that lives as long as the request; zeroed. For what ops borrow. Limited by the body's
 * size in use; NULL when memory is out. */
void *request_alloc(struct request *req, size_t bytes);
char *request_strdup(struct request *req, struct str text); /* NUL-ended copy */
/* Calls `release(thing)` when the request ends. */
void request_own(struct request *req, void *thing, void (*release)(void *thing));
/* One pointer of the handler's, for its finish. NULL at first. */
void request_set_state(struct request *req, void *state);
void *request_state(const struct request *req);

/* For engine access outside of a request's own op (OP_UNSUBSCRIBE after the end). */
struct intake;
struct intake *request_intake(const struct request *req);
struct engine;
struct engine *request_engine(const struct request *req);

#endif
