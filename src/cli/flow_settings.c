/* flow_settings.c: see flow_settings.h. */
#include "cli/flow_settings.h"

#include "base/parse.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECOND_US INT64_C(1000000)
enum { RUNNING_LEAST = 8, RUNNING_MOST = 1000000, POOL_MOST = 1000000, DAYS_MOST = 100000 };

const struct option flow_hands_options[] = {
    {.name = "max-procs",
     .letter = 'n',
     .value = "N",
     .help = "nodes at once (default: as many as CPUs, at least 8; 0 or -1: no limit)"},
    {.name = "import-timeout",
     .value = "S",
     .help = "how long the import of a Python module may take (default: 60)"},
    {.name = "python",
     .value = "PATH",
     .help = "the Python of the nodes (default: that of the active virtual environment, the one "
             "beside penstock, python3)",
     .variable = "PENSTOCK_PYTHON"},
    {0},
};

const struct option flow_run_options[] = {
    {.name = "restart", .letter = 'r', .help = "go on from the point of failure"},
    {.name = "exec-only", .letter = 'x', .value = "IDS", .help = "only these nodes"},
    {.name = "exec-proc-name", .value = "NAME", .help = "only the node of that PROCESS_NAME"},
    {.name = "norun", .letter = 'N', .value = "IDS", .help = "all nodes but these"},
    {.name = "to", .letter = 'A', .value = "ID", .help = "only this node and its ancestors"},
    {.name = "ancestors", .value = "ID", .help = "the same as --to"},
    {.name = "from", .letter = 'D', .value = "ID", .help = "only this node and its descendants"},
    {.name = "descendants", .value = "ID", .help = "the same as --from"},
    {.name = "descendents", .value = "ID", .help = "the same as --from"},
    {.name = "dry-run", .help = "say what would run and why, node by node, and start nothing"},
    {.name = "dryrun", .help = "the same as --dry-run"},
    {.name = "timeout", .value = "S", .help = "a node that takes longer is stopped and has failed"},
    {.name = "pool",
     .value = "NAME=SIZE:GLOB",
     .help = "at most SIZE at once of the nodes whose MODULE.WORKER or PROCESS_NAME match GLOB",
     .many = true},
    {.name = "always",
     .value = "IDS",
     .help = "these nodes run when their parents have ended in whatever way"},
    {.name = "no-retry-code",
     .value = "N",
     .help = "a node that fails with this code is not tried again"},
    {.name = "time-between-tasks", .value = "S", .help = "least time between two starts"},
    {.name = "cvar", .value = "NAME=VALUE", .help = "puts a text into the context", .many = true},
    {.name = "context",
     .value = "FILE",
     .help = "pickled dict: read into the context at the start, written at the end"},
    {.name = "preserve-context", .help = "keep the context of the run before"},
    {.name = "interactive",
     .letter = 'i',
     .help = "ask on the terminal for what a node misses in the context"},
    {.name = "on-finish",
     .value = "CMD",
     .help = "command for /bin/sh at the end, however it came; FLOW_STATE and other variables say"},
    {.name = "email",
     .letter = 'e',
     .value = "ADDR",
     .help = "mail at the end, by SMTP on localhost"},
    {.name = "email-on-fail", .value = "BOOL", .help = "whether after a failure (default: yes)"},
    {.name = "email-on-success", .value = "BOOL", .help = "whether after a success (default: yes)"},
    {.name = "debug", .letter = 'd', .help = "progress with the names of the nodes that run"},
    {.name = "silent", .help = "no progress"},
    {.name = "quiet", .help = "the same as --silent"},
    {.name = "json", .help = "progress as JSON lines on standard output"},
    {.name = "dump-logs", .help = "print the logs of failed nodes at the end"},
    {.name = "zip", .help = "pack the logs into an archive at the end"},
    {.name = "nozip", .help = "no archive, as is usual"},
    {.name = "serde", .value = "FORMAT", .help = "of the task list: list or json"},
    {.name = "abort", .help = "stop the run of this flow that goes on"},
    {.name = "allow-duplicate-jobs",
     .help = "when the flow runs already, run it beside, with a state of its own that is not kept"},
    {.name = "tickrate",
     .letter = 't',
     .value = "N",
     .help = "accepted and ignored: nothing polls"},
    {.name = "version", .letter = 'v', .help = "print the version and end"},
    {0},
};

/* ---- values ---- */

/* The option's text, else that of the variable; NULL when neither says anything. */
static const char *text_of(const struct options *options, struct flow_place *place,
                           const char *name, const char *variable)
{
    const char *text = options_text(options, name);
    if (!text && variable)
        text = flow_place_lookup(place, variable);
    return text && *text ? text : NULL;
}

static bool read_bool(const struct options *options, struct flow_place *place, const char *name,
                      const char *variable, bool *out, struct err *err)
{
    const char *text = text_of(options, place, name, variable);
    if (!text || parse_bool(str_of(text), out))
        return true;
    return err_set(err, ERR_INVALID, "--%s: \"%s\" is neither yes nor no", name, text);
}

/* A flag, or its variable. */
static bool read_flag(const struct options *options, struct flow_place *place, const char *name,
                      const char *variable, bool *out, struct err *err)
{
    const char *text = flow_place_lookup(place, variable);
    *out = options_has(options, name);
    if (*out || !text || !*text || parse_bool(str_of(text), out))
        return true;
    return err_set(err, ERR_INVALID, "%s: \"%s\" is neither yes nor no", variable, text);
}

static bool read_seconds(const char *name, const char *text, int64_t least_us, double *out,
                         struct err *err)
{
    int64_t us = 0;
    if (!text)
        return true;
    if (!parse_seconds(str_of(text), least_us, FLOW_WAIT_MAX_US, &us, err))
        return err_add(err, "--%s", name);
    *out = (double)us / 1e6;
    return true;
}

static bool read_number(const char *name, const char *text, int64_t min, int64_t max, int64_t *out,
                        struct err *err)
{
    return !text || parse_i64(str_of(text), min, max, out, err) || err_add(err, "--%s", name);
}

static bool read_ids(const char *name, const char *text, struct flow_ids *out, struct err *err)
{
    for (const char *at = text; at;) {
        size_t len = strcspn(at, ",");
        int64_t id = 0;
        if (!parse_i64(str_trim((struct str){at, len}), 1, FLOW_ID_MAX, &id, err))
            return err_add(err, "--%s: expected ids with commas between", name);
        out->ids = xrealloc(out->ids, (out->count + 1) * sizeof *out->ids);
        out->ids[out->count++] = (int32_t)id;
        at = at[len] ? at + len + 1 : NULL;
    }
    return true;
}

/* One id, under whichever of its names. */
static bool read_id(const struct options *options, const char *const *names, int32_t *out,
                    struct err *err)
{
    for (; *names; names++) {
        const char *text = options_text(options, *names);
        int64_t id = 0;
        if (!text)
            continue;
        if (*out)
            return err_set(err, ERR_INVALID, "--%s is given under two names", *names);
        if (!read_number(*names, text, 1, FLOW_ID_MAX, &id, err))
            return false;
        *out = (int32_t)id;
    }
    return true;
}

static bool read_pool(struct flow_settings *s, const char *text, struct err *err)
{
    const char *equals = strchr(text, '='), *colon = equals ? strchr(equals, ':') : NULL;
    struct flow_pool pool = {0};
    if (!equals || equals == text || !colon || !colon[1])
        return err_set(err, ERR_INVALID, "--pool: expected NAME=SIZE:GLOB, not \"%s\"", text);
    if (!parse_i64((struct str){equals + 1, (size_t)(colon - equals - 1)}, 1, POOL_MOST, &pool.size,
                   err))
        return err_add(err, "--pool %s", text);
    pool.name = xstrndup(text, (size_t)(equals - text));
    pool.pattern = xstrdup(colon + 1);
    bool good = true;
    for (size_t i = 0; i < s->pool_count; i++)
        if (strcmp(s->pools[i].name, pool.name) == 0 && s->pools[i].size != pool.size)
            good = err_set(err, ERR_INVALID, "--pool: %s has two sizes", pool.name);
    s->pools = xrealloc(s->pools, (s->pool_count + 1) * sizeof *s->pools);
    s->pools[s->pool_count++] = pool;
    return good;
}

static bool read_context(struct flow_settings *s, const struct options *options, struct err *err)
{
    size_t count = options_count(options, "cvar");
    s->context = xcalloc(count + 1, sizeof *s->context);
    for (size_t i = 0; i < count; i++) {
        const char *text = options_at(options, "cvar", i);
        if (text[0] == '=' || !strchr(text, '='))
            return err_set(err, ERR_INVALID, "--cvar: expected NAME=VALUE, not \"%s\"", text);
        s->context[i] = xstrdup(text);
    }
    return true;
}

/* ---- reading ---- */

static bool read_running(struct flow_settings *s, const char *text, struct err *err)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    s->max_running = cpus > RUNNING_LEAST ? cpus : RUNNING_LEAST;
    if (!read_number("max-procs", text, -1, RUNNING_MOST, &s->max_running, err))
        return false;
    if (s->max_running < 0)
        s->max_running = 0;
    return true;
}

bool flow_settings_read_hands(struct flow_settings *s, const struct options *options,
                              struct err *err)
{
    double import_s = 60;
    if (!read_running(s, options_text(options, "max-procs"), err) ||
        !read_seconds("import-timeout", options_text(options, "import-timeout"), SECOND_US / 10,
                      &import_s, err))
        return false;
    s->import_timeout_us = (int64_t)(import_s * 1e6);
    s->no_retry_code = -1;
    return true;
}

static bool read_selection(struct flow_settings *s, const struct options *options, struct err *err)
{
    static const char *const ancestors[] = {"to", "ancestors", NULL};
    static const char *const descendants[] = {"from", "descendants", "descendents", NULL};
    s->process_name = options_text(options, "exec-proc-name");
    if (s->process_name && options_has(options, "exec-only"))
        return err_set(err, ERR_INVALID, "--exec-only and --exec-proc-name: give one of them");
    return read_ids("exec-only", options_text(options, "exec-only"), &s->only, err) &&
           read_ids("norun", options_text(options, "norun"), &s->norun, err) &&
           read_ids("always", options_text(options, "always"), &s->always, err) &&
           read_id(options, ancestors, &s->ancestors, err) &&
           read_id(options, descendants, &s->descendants, err);
}

static bool read_flags(struct flow_settings *s, const struct options *options,
                       struct flow_place *place, struct err *err)
{
    bool silent = false, dry = false;
    s->restart = options_has(options, "restart");
    s->interactive = options_has(options, "interactive");
    s->keep_context = options_has(options, "preserve-context");
    s->allow_duplicates = options_has(options, "allow-duplicate-jobs");
    s->abort = options_has(options, "abort");
    s->json = options_has(options, "json");
    s->zip = options_has(options, "zip") && !options_has(options, "nozip");
    s->email_on_fail = s->email_on_success = true;
    if (!read_flag(options, place, "debug", "APP_DEBUG", &s->debug, err) ||
        !read_flag(options, place, "silent", "APP_SILENT", &silent, err) ||
        !read_flag(options, place, "dump-logs", "APP_DUMP_LOGS", &s->dump_logs, err) ||
        !read_flag(options, place, "dry-run", "APP_DRYRUN", &dry, err))
        return false;
    s->quiet = silent || options_has(options, "quiet");
    s->dry_run = dry || options_has(options, "dryrun");
    return read_bool(options, place, "email-on-fail", "APP_EMAIL_ON_FAIL", &s->email_on_fail,
                     err) &&
           read_bool(options, place, "email-on-success", "APP_EMAIL_ON_SUCCESS",
                     &s->email_on_success, err);
}

bool flow_settings_read(struct flow_settings *s, const struct options *options,
                        struct flow_place *place, struct err *err)
{
    static const char *const formats[] = {"list", "json", NULL};
    int format = 0;
    *s = (struct flow_settings){.log_retention_days = -1};
    if (!flow_settings_read_hands(s, options, err) ||
        !read_running(s, text_of(options, place, "max-procs", "APP_MAX_PROCS"), err) ||
        !read_flags(s, options, place, err) || !read_selection(s, options, err) ||
        !read_context(s, options, err) ||
        !options_word(options, "serde", formats, 0, &format, err) ||
        !read_seconds("timeout", options_text(options, "timeout"), SECOND_US / 1000, &s->timeout_s,
                      err) ||
        !read_seconds("time-between-tasks",
                      text_of(options, place, "time-between-tasks", "APP_TIME_BETWEEN_TASKS"), 0,
                      &s->gap_s, err) ||
        !read_number("no-retry-code", options_text(options, "no-retry-code"), 1, INT32_MAX,
                     &s->no_retry_code, err))
        return false;
    for (size_t i = 0; i < options_count(options, "pool"); i++)
        if (!read_pool(s, options_at(options, "pool", i), err))
            return false;
    const char *days = flow_place_lookup(place, "APP_LOG_RETENTION");
    if (days && *days &&
        !parse_i64(str_of(days), INT32_MIN, DAYS_MOST, &s->log_retention_days, err))
        return err_add(err, "APP_LOG_RETENTION");
    s->json_list = format == 1;
    s->email = text_of(options, place, "email", "APP_EMAIL");
    s->on_finish = options_text(options, "on-finish");
    s->context_file = options_text(options, "context");
    return true;
}

void flow_settings_release(struct flow_settings *s)
{
    free(s->only.ids);
    free(s->norun.ids);
    free(s->always.ids);
    for (size_t i = 0; i < s->pool_count; i++) {
        free(s->pools[i].name);
        free(s->pools[i].pattern);
    }
    free(s->pools);
    for (char **v = s->context; v && *v; v++)
        free(*v);
    free(s->context);
    *s = (struct flow_settings){0};
}

/* ---- nodes ---- */

static bool has_node(const struct flow *flow, int32_t id)
{
    for (size_t i = 0; i < flow->node_count; i++)
        if (flow->nodes[i].id == id)
            return true;
    return false;
}

static bool check_ids(const struct flow *flow, const char *name, const struct flow_ids *ids,
                      struct err *err)
{
    for (size_t i = 0; i < ids->count; i++)
        if (!has_node(flow, ids->ids[i]))
            return err_set(err, ERR_INVALID, "--%s: the task list has no id %d", name,
                           (int)ids->ids[i]);
    return true;
}

static bool find_name(struct flow_settings *s, const struct flow *flow, struct err *err)
{
    size_t count = 0;
    int32_t id = 0;
    for (size_t i = 0; i < flow->node_count; i++)
        if (strcmp(flow->nodes[i].name, s->process_name) == 0) {
            id = flow->nodes[i].id;
            count++;
        }
    if (count == 0)
        return err_set(err, ERR_INVALID, "--exec-proc-name: no node is called \"%s\"",
                       s->process_name);
    if (count > 1)
        return err_set(err, ERR_INVALID, "--exec-proc-name: %zu nodes are called \"%s\"", count,
                       s->process_name);
    s->only.ids = xrealloc(s->only.ids, sizeof *s->only.ids);
    s->only.ids[0] = id;
    s->only.count = 1;
    return true;
}

bool flow_settings_find(struct flow_settings *s, const struct flow *flow, struct err *err)
{
    const struct flow_ids to = {&s->ancestors, s->ancestors > 0};
    const struct flow_ids from = {&s->descendants, s->descendants > 0};
    if (s->process_name && !find_name(s, flow, err))
        return false;
    return check_ids(flow, "exec-only", &s->only, err) &&
           check_ids(flow, "norun", &s->norun, err) && check_ids(flow, "always", &s->always, err) &&
           check_ids(flow, "to", &to, err) && check_ids(flow, "from", &from, err);
}

const struct flow_pool *flow_settings_pool(const struct flow_settings *s,
                                           const struct flow_node *node)
{
    if (s->pool_count == 0)
        return NULL;
    OWNED_MEM char *whole =
        node->module ? xasprintf("%s.%s", node->module, node->work) : xstrdup(node->name);
    for (size_t i = 0; i < s->pool_count; i++)
        if (fnmatch(s->pools[i].pattern, whole, 0) == 0 ||
            fnmatch(s->pools[i].pattern, node->name, 0) == 0)
            return &s->pools[i];
    return NULL;
}

bool flow_ids_has(const struct flow_ids *ids, int32_t id)
{
    for (size_t i = 0; i < ids->count; i++)
        if (ids->ids[i] == id)
            return true;
    return false;
}
