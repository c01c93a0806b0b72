/* local_engine.h: the engine in this process, for commands that work when no server runs. */
#ifndef PENSTOCK_CLI_LOCAL_ENGINE_H
#define PENSTOCK_CLI_LOCAL_ENGINE_H

#include "cli/option.h"
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

#endif
