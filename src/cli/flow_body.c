/* flow_body.c: see flow_body.h. */
#include "cli/flow_body.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *flow_node_log(const struct flow_node *node, struct flow_place *place, const char *here)
{
    if (node->logfile[0] == '/')
        return xstrdup(node->logfile);
    if (node->logfile[0])
        return xasprintf("%s/%s", here, node->logfile);
    const char *folder = flow_place_lookup(place, "APP_LOG_DIR");
    return xasprintf("%s%s%s/%d.log", folder[0] == '/' ? "" : here, folder[0] == '/' ? "" : "/",
                     folder, (int)node->id);
}

static void add_text(struct json_out *o, const char *name, const char *text)
{
    json_out_name(o, name);
    json_out_text(o, text);
}

static void add_i64(struct json_out *o, const char *name, int64_t number)
{
    json_out_name(o, name);
    json_out_i64(o, number);
}

static void add_double(struct json_out *o, const char *name, double number)
{
    json_out_name(o, name);
    json_out_double(o, number);
}

static void write_work(const struct flow *flow, const struct flow_node *node, struct json_out *o)
{
    if (flow->mode == FLOW_SHELL) {
        add_text(o, "command", node->work);
        return;
    }
    add_text(o, "module", node->module);
    add_text(o, "worker", node->work);
    json_out_name(o, "arguments");
    json_out_open(o, '[');
    for (uint32_t i = 0; i < node->argument_count; i++)
        json_out_text(o, flow->arguments[node->argument_at + i]);
    json_out_close(o, ']');
}

static void write_node(const struct flow *flow, const struct flow_settings *s,
                       struct flow_place *place, const char *here, const struct flow_node *node,
                       struct json_out *o)
{
    OWNED_MEM char *log = flow_node_log(node, place, here);
    const struct flow_pool *pool = flow_settings_pool(s, node);
    double timeout_s = node->timeout_us > 0 ? (double)node->timeout_us / 1e6 : s->timeout_s;
    json_out_open(o, '{');
    add_i64(o, "id", node->id);
    json_out_name(o, "after");
    json_out_open(o, '[');
    for (uint32_t i = 0; i < node->parent_count; i++)
        json_out_i64(o, flow->nodes[flow->parents[node->parents_at + i]].id);
    json_out_close(o, ']');
    add_text(o, "name", node->name);
    write_work(flow, node, o);
    add_text(o, "logfile", log);
    add_i64(o, "max_attempts", node->max_attempts);
    add_double(o, "retry_wait_s", (double)node->retry_wait_us / 1e6);
    if (timeout_s > 0)
        add_double(o, "timeout_s", timeout_s);
    if (pool)
        add_text(o, "pool", pool->name);
    if (flow_ids_has(&s->always, node->id)) {
        json_out_name(o, "always");
        json_out_bool(o, true);
    }
    json_out_close(o, '}');
}

static void write_ids(struct json_out *o, const char *name, const struct flow_ids *ids)
{
    if (!ids->count)
        return;
    json_out_name(o, name);
    json_out_open(o, '[');
    for (size_t i = 0; i < ids->count; i++)
        json_out_i64(o, ids->ids[i]);
    json_out_close(o, ']');
}

static void write_selection(struct json_out *o, const struct flow_settings *s)
{
    json_out_name(o, "select");
    json_out_open(o, '{');
    write_ids(o, "only", &s->only);
    write_ids(o, "norun", &s->norun);
    if (s->ancestors)
        add_i64(o, "ancestors", s->ancestors);
    if (s->descendants)
        add_i64(o, "descendants", s->descendants);
    json_out_close(o, '}');
}

/* NAME=VALUE as a member. */
static void write_pair(struct json_out *o, const char *pair)
{
    OWNED_MEM char *name = xstrndup(pair, strcspn(pair, "="));
    add_text(o, name, pair + strlen(name) + 1);
}

static bool is_set_by_hand(const struct options *options, const char *pair)
{
    size_t len = strcspn(pair, "=") + 1;
    for (size_t i = 0; i < options_count(options, "env"); i++)
        if (strncmp(options_at(options, "env", i), pair, len) == 0)
            return true;
    return false;
}

/* What makes this flow differ from other programs on the machine; the rest of the environment is
 * that of who runs its nodes. */
static void write_variables(struct json_out *o, const struct flow_place *place,
                            const struct options *options)
{
    json_out_name(o, "variables");
    json_out_open(o, '{');
    for (size_t i = 0; i < place->count; i++)
        if (strncmp(place->variables[i], "APP_", 4) == 0 ||
            is_set_by_hand(options, place->variables[i]))
            write_pair(o, place->variables[i]);
    json_out_close(o, '}');
}

/* Of a name that is there twice the last one counts, as with variables. */
static void write_context(struct json_out *o, const struct flow_settings *s)
{
    json_out_name(o, "context");
    json_out_open(o, '{');
    for (char **pair = s->context; *pair; pair++) {
        size_t len = strcspn(*pair, "=") + 1;
        bool again = false;
        for (char **later = pair + 1; *later; later++)
            again |= strncmp(*later, *pair, len) == 0;
        if (!again)
            write_pair(o, *pair);
    }
    json_out_close(o, '}');
}

static void write_pools(struct json_out *o, const struct flow_settings *s)
{
    json_out_name(o, "pools");
    json_out_open(o, '{');
    for (size_t i = 0; i < s->pool_count; i++) {
        bool before = false;
        for (size_t k = 0; k < i; k++)
            before |= strcmp(s->pools[k].name, s->pools[i].name) == 0;
        if (!before)
            add_i64(o, s->pools[i].name, s->pools[i].size);
    }
    json_out_close(o, '}');
}

void flow_body_write(const struct flow *flow, const struct flow_settings *s,
                     struct flow_place *place, const struct options *options, const char *name,
                     struct buf *out)
{
    struct json_out o;
    OWNED_MEM char *here = getcwd(NULL, 0);
    json_out_init(&o, out);
    json_out_open(&o, '{');
    add_text(&o, "name", name);
    add_text(&o, "mode", flow->mode == FLOW_SHELL ? "shell" : "python");
    json_out_name(&o, "restart");
    json_out_bool(&o, s->restart);
    json_out_name(&o, "dry_run");
    json_out_bool(&o, s->dry_run);
    json_out_name(&o, "take_over"); /* who has the state folder knows that nobody else runs it */
    json_out_bool(&o, !options_text(options, "server") && !s->dry_run);
    json_out_name(&o, "keep_context");
    json_out_bool(&o, s->keep_context);
    if (s->max_running > 0)
        add_i64(&o, "max_running", s->max_running);
    if (s->gap_s > 0)
        add_double(&o, "gap_s", s->gap_s);
    write_selection(&o, s);
    write_pools(&o, s);
    write_variables(&o, place, options);
    write_context(&o, s);
    json_out_name(&o, "nodes");
    json_out_open(&o, '[');
    for (size_t i = 0; i < flow->node_count; i++)
        write_node(flow, s, place, here ? here : "", &flow->nodes[i], &o);
    json_out_close(&o, ']');
    json_out_close(&o, '}');
}
