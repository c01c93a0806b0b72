/* flow_place.h: where a flow lives: its folders, and the environment of its nodes. Threads: the
 * main one. */
#ifndef PENSTOCK_CLI_FLOW_PLACE_H
#define PENSTOCK_CLI_FLOW_PLACE_H

#include "cli/option.h"
#include "core/flow.h"

/* --list, --profile, --env: what all commands on flows take to find it. */
extern const struct option flow_place_options[];

struct flow_place {
    char *list;       /* path of the task list, as given */
    char **variables; /* NAME=VALUE, ended by NULL: the environment of its nodes */
    size_t count, room;
    size_t given; /* the first of them that are defaults */
};

/* Reads the options, sources the profile (bash) and works out every APP_ variable: set by --env,
 * else by the profile or the environment, else its default. Nothing is made. ERR_INVALID,
 * ERR_NOT_FOUND; a profile that fails is ERR_INVALID with its last words on standard error. */
MUST_CHECK bool flow_place_read(struct flow_place *p, const struct options *options,
                                struct err *err);
void flow_place_release(struct flow_place *p);
/* NULL when it is not defined; borrowed. Takes a struct flow_place, as flow_lookup asks. */
const char *flow_place_lookup(void *place, const char *name);

/* Reads the list of the place; what is wrong with it is printed on standard error, 50 problems at
 * most. ERR_INVALID then; `out` is empty. */
MUST_CHECK bool flow_place_load(struct flow_place *p, struct flow *out, struct err *err);
/* The same, of a list in JSON when `json` says so. */
MUST_CHECK bool flow_place_load_as(struct flow_place *p, bool json, struct flow *out,
                                   struct err *err);
/* The same, which prints nothing: what is wrong is added to `problems`, warnings too. */
MUST_CHECK bool flow_place_check(struct flow_place *p, bool json, struct flow *out,
                                 struct flow_problems *problems, struct err *err);
/* Sets a variable that is what it is by default; false when somebody has set it. */
bool flow_place_keep(struct flow_place *p, const char *name, const char *value);

#endif
