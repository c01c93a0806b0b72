/* engine_host.h: the engine in this process with its thread and, if wanted, an HTTP server before
 * it: what `serve`, `run` and commands without a server have in common.
 *
 * Things are started from the inside out and ended the other way: the server stops accepting, the
 * intake answers what waits, then all is freed. Nothing depends on that order being gone through:
 * a kill at any point loses nothing. Threads: the main one. */
#ifndef PENSTOCK_CLI_ENGINE_HOST_H
#define PENSTOCK_CLI_ENGINE_HOST_H

#include "http/server.h"

struct engine_host;

/* Opens the engine and starts its thread. `wake` of the options is set here; all else they point to
 * must outlive the host. When durability is in doubt the process ends by itself (status 75), after
 * saying why on standard error. Errors: as engine_open. */
MUST_CHECK bool engine_host_open(const struct engine_options *options, struct engine_host **out,
                                 struct err *err);
/* Posts the op and waits for its answer. False with its error in `err`. */
MUST_CHECK bool engine_host_ask(struct engine_host *h, struct op *op, struct err *err);
/* As engine_token_hash. */
void engine_host_hash(const struct engine_host *h, struct str token, uint8_t out[TOKEN_HASH_BYTES]);
/* Serves all surfaces as `http` says, whose engine, intake, surfaces and folder of the socket (the
 * state folder) are set here. Once. Errors: as server_start. */
MUST_CHECK bool engine_host_serve(struct engine_host *h, const struct server_options *http,
                                  struct err *err);
/* The TCP port, 0: none. */
int engine_host_port(const struct engine_host *h);
/* As server_stop_if_idle; serving. After true only engine_host_free is of use. */
bool engine_host_stop_if_idle(struct engine_host *h, int64_t idle_us, int64_t *again_us);
/* A descriptor of the state folder; borrowed. */
int engine_host_state_fd(const struct engine_host *h);
/* Ends all of it, in order. */
void engine_host_free(struct engine_host *h);
DEFINE_OWNED(engine_host)

#endif
