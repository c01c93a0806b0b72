/* node_task.c: see node_task.h. */
#include "run/node_task.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

void node_task_free(struct node_task *t)
{
    if (!t)
        return;
    free(t->name);
    free(t->logfile);
    free(t->command);
    free(t->module);
    free(t->worker);
    for (char **v = t->environment; v && *v; v++)
        free(*v);
    free(t->environment);
    free(t->raw);
    free(t);
}

static bool take_i64(struct str object, const char *member, int64_t *out)
{
    struct str raw;
    return json_find(object, member, &raw) && json_i64(raw, 0, INT64_MAX, out);
}

static double take_seconds(struct str object, const char *member)
{
    struct str raw;
    double value = 0;
    return json_find(object, member, &raw) && json_double(raw, &value) && value > 0 ? value : 0;
}

/* NULL when it is not there, or is no text. */
static char *take_text(struct str object, const char *member)
{
    struct str raw;
    return json_find(object, member, &raw) ? json_take_text(raw) : NULL;
}

/* A name that no environment can hold is left out. */
static void add_variable(struct node_task *t, size_t *count, struct str raw_name, struct str raw)
{
    OWNED_MEM char *name = json_take_text(raw_name);
    OWNED_MEM char *value = json_take_text(raw);
    if (!name || !*name || strchr(name, '=') || !value)
        return;
    t->environment = xrealloc(t->environment, (*count + 2) * sizeof *t->environment);
    t->environment[(*count)++] = xasprintf("%s=%s", name, value);
    t->environment[*count] = NULL;
}

static bool read_variables(struct node_task *t)
{
    struct json j;
    struct str name, value;
    size_t count = 0;
    t->environment = xcalloc(1, sizeof *t->environment);
    json_open(&j, t->variables);
    if (!json_enter(&j, '{'))
        return false;
    while (json_member(&j, &name) && json_value(&j, &value))
        add_variable(t, &count, name, value);
    return json_end(&j);
}

static bool read_node(struct node_task *t, struct str node)
{
    int64_t id = 0;
    struct str arguments = STR("[]");
    if (!take_i64(node, "id", &id) || id < 1 || id > INT32_MAX)
        return false;
    t->node = (int32_t)id;
    t->name = take_text(node, "name");
    t->logfile = take_text(node, "logfile");
    t->command = take_text(node, "command");
    t->module = take_text(node, "module");
    t->worker = take_text(node, "worker");
    t->timeout_s = take_seconds(node, "timeout_s");
    t->retry_wait_s = take_seconds(node, "retry_wait_s");
    (void)json_find(node, "arguments", &arguments);
    t->arguments = arguments;
    bool python = t->module && *t->module && t->worker && *t->worker;
    return t->name && t->logfile && *t->logfile && (t->command ? !t->module : python) &&
           json_type_of(arguments) == JSON_ARRAY;
}

static bool read_all(struct node_task *t, struct str raw)
{
    struct str arguments, node;
    return take_i64(raw, "fence", &t->fence) && take_i64(raw, "attempt", &t->attempt) &&
           take_i64(raw, "max_attempts", &t->max_attempts) &&
           json_find(raw, "arguments", &arguments) && take_i64(arguments, "flow", &t->flow) &&
           json_find(arguments, "variables", &t->variables) &&
           json_find(arguments, "node", &node) && read_node(t, node) && read_variables(t);
}

bool node_task_read(struct str raw, struct node_task **out, int64_t *task, struct err *err)
{
    OWNED(node_task) struct node_task *t = xcalloc(1, sizeof *t);
    *task = 0;
    t->raw = xstrndup(raw.ptr, raw.len);
    struct str own = {t->raw, raw.len};
    if (!take_i64(own, "id", &t->task))
        return err_set(err, ERR_INVALID, "a task without an id");
    *task = t->task;
    if (!read_all(t, own))
        return err_set(err, ERR_INVALID, "task %lld is no node of a flow", (long long)t->task);
    *out = TAKE(t);
    return true;
}
