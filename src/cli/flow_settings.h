/* flow_settings.h: what `penstock flow run` and `flow worker` are asked to do: options, else the
 * APP_ variables that PyRunner has for them. Threads: the main one. */
#ifndef PENSTOCK_CLI_FLOW_SETTINGS_H
#define PENSTOCK_CLI_FLOW_SETTINGS_H

#include "cli/flow_place.h"
#include "cli/option.h"

extern const struct option flow_run_options[];
/* Those that `flow worker` has as well. */
extern const struct option flow_hands_options[];

struct flow_pool {
    char *name;
    int64_t size;
    char *pattern; /* as of fnmatch(3): over MODULE.WORKER and PROCESS_NAME */
};

/* Nodes, by their ids. */
struct flow_ids {
    int32_t *ids;
    size_t count;
};

struct flow_settings {
    bool restart, dry_run, keep_context, interactive;
    bool debug, quiet, json, dump_logs, zip;
    bool allow_duplicates, abort;
    bool json_list;      /* the task list is JSON */
    int64_t max_running; /* 0: no limit */
    double gap_s;        /* least time between two starts */
    double timeout_s;    /* of nodes that have none of their own; 0: none */
    int64_t import_timeout_us;
    int64_t no_retry_code;      /* -1: none */
    int64_t log_retention_days; /* -1: logs are kept */
    struct flow_ids only, norun, always;
    int32_t ancestors, descendants; /* 0: none */
    const char *process_name;       /* NULL */
    struct flow_pool *pools;
    size_t pool_count;
    char **context; /* NAME=VALUE, as given; NULL ends it */
    const char *email;
    bool email_on_fail, email_on_success;
    const char *on_finish, *context_file;
};

/* Reads them. Texts are borrowed from the options and the place. ERR_INVALID. */
MUST_CHECK bool flow_settings_read(struct flow_settings *s, const struct options *options,
                                   struct flow_place *place, struct err *err);
void flow_settings_release(struct flow_settings *s);
/* --max-procs and --import-timeout alone. */
MUST_CHECK bool flow_settings_read_hands(struct flow_settings *s, const struct options *options,
                                         struct err *err);
/* Looks up what names nodes: ids that the list does not have are ERR_INVALID, as is a
 * process_name that none or several have; it becomes `only`. */
MUST_CHECK bool flow_settings_find(struct flow_settings *s, const struct flow *flow,
                                   struct err *err);
/* The pool of a node, NULL: none; the first whose pattern fits. */
const struct flow_pool *flow_settings_pool(const struct flow_settings *s,
                                           const struct flow_node *node);
bool flow_ids_has(const struct flow_ids *ids, int32_t id);

#endif
