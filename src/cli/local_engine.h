/* local_engine.h: the engine in this process, for commands that work when no server runs. */
#ifndef PENSTOCK_CLI_LOCAL_ENGINE_H
#define PENSTOCK_CLI_LOCAL_ENGINE_H

#include "cli/client.h"
#include "engine/op.h"

/* Opens the state folder that the options name, with the data folders that its last server used.
 * ERR_BUSY: a server runs there; ask that. ERR_NOT_FOUND: no such folder (and `make` is false). */
struct local_engine;
MUST_CHECK bool local_engine_open(const char *state_dir, bool make, struct local_engine **out,
                                  struct err *err);
void local_engine_free(struct local_engine *l);
DEFINE_OWNED(local_engine)
/* Posts the op and waits for its answer. False with its error in `err`. */
MUST_CHECK bool local_engine_ask(struct local_engine *l, struct op *op, struct err *err);
/* As engine_token_hash. */
void local_engine_hash(const struct local_engine *l, struct str token,
                       uint8_t out[TOKEN_HASH_BYTES]);

/* For commands that work either way, by the options of client.h: *client when a server is named or
 * runs on the state folder, else *local; the other stays NULL. `make`: as in local_engine_open. */
MUST_CHECK bool local_or_client(const struct options *options, bool make,
                                struct local_engine **local, struct client **client,
                                struct err *err);

#endif
