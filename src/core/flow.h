/* flow.h: what a flow is: nodes that wait for each other, as a task list (a .lst file) says. Pure.
 *
 * A list is read whole: every problem in it is told, with line and column, and nothing of it is
 * used when there is an error. docs/flow.md says what a list looks like. */
#ifndef PENSTOCK_CORE_FLOW_H
#define PENSTOCK_CORE_FLOW_H

#include "base/buf.h"

#define FLOW_ID_MAX INT32_MAX
#define FLOW_ATTEMPTS_MAX 1000000
#define FLOW_WAIT_MAX_US (INT64_C(366) * 24 * 3600 * 1000000)

enum flow_mode {
    FLOW_PYTHON, /* a node is a Worker class of a module */
    FLOW_SHELL   /* a node is a command for /bin/sh */
};

struct flow_node {
    int32_t id;
    uint32_t line; /* of the list, from 1; and in which columns of it these stand: */
    uint32_t id_column, parents_column, name_column;
    uint32_t parents_at, parent_count;    /* in flow.parents */
    uint32_t argument_at, argument_count; /* in flow.arguments */
    int64_t max_attempts;                 /* starts in all */
    int64_t retry_wait_us;
    int64_t timeout_us; /* 0: none; task lists in JSON have it */
    char *name;
    char *module;  /* NULL in a shell flow */
    char *work;    /* the Worker class, or the shell command */
    char *logfile; /* "": none was named */
};

struct flow {
    enum flow_mode mode;
    struct flow_node *nodes; /* in the order of their lines */
    uint32_t *parents;       /* places of nodes */
    char **arguments;
    size_t node_count, parent_count, argument_count;
};

/* Something wrong with the list. */
struct flow_problem {
    uint32_t line, column; /* from 1; the column in characters */
    bool warning;
    const char *field; /* name of the column, "EXTRA" or "FILE"; static */
    char *text;        /* owned */
};

struct flow_problems {
    struct flow_problem *items; /* in order of their lines */
    size_t count, room;
    size_t errors; /* of them */
};

/* The value of an environment variable, NULL when it is not defined. */
typedef const char *flow_lookup(void *context, const char *name);

/* Reads a list; `out` is filled when there are no errors (warnings may be), and empty otherwise.
 * Returns whether there are none. */
bool flow_read(struct str text, flow_lookup *lookup, void *context, struct flow *out,
               struct flow_problems *problems);
/* The same of a list in JSON: {"tasks":{NAME:{"module","worker","dependencies":[names],"arguments",
 * "max_attempts","retry_wait_time","timeout","logfile"}}}. Ids count from 1, in the order of the
 * text (flow_json.c). */
bool flow_read_json(struct str text, flow_lookup *lookup, void *context, struct flow *out,
                    struct flow_problems *problems);
void flow_release(struct flow *f);
void flow_problems_release(struct flow_problems *p);
/* Adds a problem, formatted. */
void flow_problem_add(struct flow_problems *p, const struct flow_problem *where, const char *format,
                      ...) __attribute__((format(printf, 3, 4)));

/* How many nodes must run one after the other before each one does, at least: 0 for roots. `out`
 * holds node_count. */
void flow_depths(const struct flow *f, uint32_t *out);

#endif
