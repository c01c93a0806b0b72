/* new_flow.c: see new_flow.h. */
#include "http/native/new_flow.h"

#include "core/limit.h"
#include "http/native/native_value.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define SECOND_US INT64_C(1000000)
#define TIMEOUT_MIN_US (SECOND_US / 1000)
#define GAP_MAX_US (24 * 3600 * SECOND_US)
enum { LIST_FIRST = 16, POOLS_MAX = 1000 };

void new_flow_release(struct new_flow *f)
{
    for (size_t i = 0; i < f->text_count; i++)
        free(f->texts[i]);
    free(f->texts);
    free(f->nodes);
    free(f->web);
    free(f->after);
    free(f->pools);
    free(f->presets);
    free(f->only);
    free(f->norun);
    *f = (struct new_flow){.node_cap = 0};
}

/* --- values --- */

static char *keep(struct new_flow *f, char *text)
{
    if (f->text_count == f->text_cap) {
        f->text_cap = f->text_cap ? 2 * f->text_cap : LIST_FIRST;
        f->texts = xrealloc(f->texts, f->text_cap * sizeof *f->texts);
    }
    return f->texts[f->text_count++] = text;
}

/* A text without NUL. The body stays as it is: a row's JSON goes to its worker. */
static bool read_text(struct new_flow *f, const char *name, struct str raw, struct str *out,
                      struct err *err)
{
    *out = (struct str){NULL, 0};
    if (json_type_of(raw) == JSON_NULL)
        return true;
    if (json_type_of(raw) != JSON_STRING)
        return value_wrong(err, name, "a text", raw);
    *out = (struct str){raw.ptr + 1, raw.len - 2};
    if (!memchr(raw.ptr, '\\', raw.len))
        return true;
    char *text = json_take_text(raw);
    if (!text)
        return value_wrong(err, name, "a text without NUL", raw);
    *out = str_of(keep(f, text));
    return true;
}

static bool read_filled(struct new_flow *f, const char *name, struct str raw, struct str *out,
                        struct err *err)
{
    return read_text(f, name, raw, out, err) &&
           (out->len > 0 || value_wrong(err, name, "a text that is not empty", raw));
}

static bool add_ids(const char *name, struct str raw, int32_t **list, size_t *count, size_t *cap,
                    struct err *err)
{
    struct json j;
    struct str item;
    if (json_type_of(raw) != JSON_ARRAY)
        return value_wrong(err, name, "a list of ids", raw);
    json_open(&j, raw);
    json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &item)) {
        int64_t id = 0;
        if (!json_i64(item, 1, FLOW_ID_MAX, &id))
            return value_wrong(err, name, "ids from 1 to 2147483647", item);
        if (*count == *cap) {
            *cap = *cap ? 2 * *cap : LIST_FIRST;
            *list = xrealloc(*list, *cap * sizeof **list);
        }
        (*list)[(*count)++] = (int32_t)id;
    }
    return true;
}

/* --- a node's members, a function each --- */

/* A node on its way. */
struct node_reading {
    struct new_flow *f;
    struct flow_new_node *node;
    struct flow_web_node *web;
    bool has_module, has_worker, has_command;
};

typedef bool read_node_member(struct node_reading *r, const char *name, struct str raw,
                              struct err *err);

static bool read_id(struct node_reading *r, const char *name, struct str raw, struct err *err)
{
    int64_t id = 0;
    if (!value_i64(name, raw, 1, FLOW_ID_MAX, &id, err))
        return false;
    r->web->id = (int32_t)id;
    return true;
}

static bool read_after(struct node_reading *r, const char *name, struct str raw, struct err *err)
{
    struct new_flow *f = r->f;
    if (json_type_of(raw) == JSON_NULL)
        return true;
    size_t before = f->after_count;
    if (!add_ids(name, raw, &f->after, &f->after_count, &f->after_cap, err))
        return false;
    if (f->after_count > NEW_FLOW_AFTER_MAX)
        return err_set(err, ERR_LIMIT, "%s: the nodes wait for more than %d others in all", name,
                       NEW_FLOW_AFTER_MAX);
    r->web->after_at = (uint32_t)before;
    r->web->after_count = (uint32_t)(f->after_count - before);
    r->node->after = raw;
    return true;
}

static bool read_name(struct node_reading *r, const char *name, struct str raw, struct err *err)
{
    return read_filled(r->f, name, raw, &r->node->name, err);
}

static bool read_logfile(struct node_reading *r, const char *name, struct str raw, struct err *err)
{
    return read_text(r->f, name, raw, &r->node->logfile, err);
}

static bool read_pool(struct node_reading *r, const char *name, struct str raw, struct err *err)
{
    return read_text(r->f, name, raw, &r->node->pool, err);
}

static bool read_work(struct node_reading *r, const char *name, struct str raw, bool *has,
                      struct err *err)
{
    struct str text;
    *has = json_type_of(raw) != JSON_NULL;
    return !*has || read_filled(r->f, name, raw, &text, err);
}

static bool read_module(struct node_reading *r, const char *name, struct str raw, struct err *err)
{
    return read_work(r, name, raw, &r->has_module, err);
}

static bool read_worker(struct node_reading *r, const char *name, struct str raw, struct err *err)
{
    return read_work(r, name, raw, &r->has_worker, err);
}

static bool read_command(struct node_reading *r, const char *name, struct str raw, struct err *err)
{
    return read_work(r, name, raw, &r->has_command, err);
}

static bool read_arguments(struct node_reading *r, const char *name, struct str raw,
                           struct err *err)
{
    struct json j;
    struct str item;
    (void)r;
    if (json_type_of(raw) == JSON_NULL)
        return true;
    if (json_type_of(raw) != JSON_ARRAY)
        return value_wrong(err, name, "a list of texts", raw);
    json_open(&j, raw);
    json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &item))
        if (json_type_of(item) != JSON_STRING)
            return value_wrong(err, name, "texts", item);
    return true;
}

static bool read_attempts(struct node_reading *r, const char *name, struct str raw, struct err *err)
{
    return value_i64(name, raw, 1, FLOW_ATTEMPTS_MAX, &r->node->max_attempts, err);
}

static bool read_retry_wait(struct node_reading *r, const char *name, struct str raw,
                            struct err *err)
{
    return value_seconds(name, raw, 0, FLOW_WAIT_MAX_US, &r->node->retry_wait_us, err);
}

static bool read_timeout(struct node_reading *r, const char *name, struct str raw, struct err *err)
{
    return value_seconds(name, raw, TIMEOUT_MIN_US, FLOW_WAIT_MAX_US, &r->node->timeout_us, err);
}

static bool read_always(struct node_reading *r, const char *name, struct str raw, struct err *err)
{
    return value_bool(name, raw, &r->node->always, err);
}

static const struct node_member {
    const char *name;
    read_node_member *read;
    bool of_row; /* the list says it: who changes it has edited the row */
} node_members[] = {
    {"id", read_id, false},
    {"after", read_after, true},
    {"name", read_name, true},
    {"module", read_module, true},
    {"worker", read_worker, true},
    {"command", read_command, true},
    {"arguments", read_arguments, true},
    {"logfile", read_logfile, true},
    {"max_attempts", read_attempts, true},
    {"retry_wait_s", read_retry_wait, true},
    {"timeout_s", read_timeout, false},
    {"pool", read_pool, false},
    {"always", read_always, false},
};

static bool read_node_value(struct node_reading *r, struct str name, struct str raw,
                            struct err *err)
{
    for (size_t i = 0; i < sizeof node_members / sizeof *node_members; i++) {
        const struct node_member *m = &node_members[i];
        if (!json_name_is(name, m->name))
            continue;
        if (m->of_row && json_type_of(raw) != JSON_NULL)
            r->node->print += XXH3_64bits_withSeed(raw.ptr, raw.len, i + 1);
        return m->read(r, m->name, raw, err);
    }
    return value_unknown(err, name);
}

/* --- nodes --- */

static bool check_node(struct node_reading *r, struct err *err)
{
    struct new_flow *f = r->f;
    size_t at = f->ask.node_count - 1;
    if (!r->web->id)
        return err_set(err, ERR_INVALID, "id: is required");
    if (r->node->name.len == 0)
        return err_set(err, ERR_INVALID, "name: is required");
    if (r->has_module != r->has_worker)
        return err_set(err, ERR_INVALID, "%s: is required", r->has_module ? "worker" : "module");
    if (r->has_module == r->has_command)
        return err_set(err, ERR_INVALID, "module: expected module and worker, or a command");
    if (r->has_module && !f->any_module)
        f->module_at = at;
    if (r->has_command && !f->any_command)
        f->command_at = at;
    f->any_module = f->any_module || r->has_module;
    f->any_command = f->any_command || r->has_command;
    return true;
}

static struct node_reading add_node(struct new_flow *f)
{
    if (f->ask.node_count == f->node_cap) {
        f->node_cap = f->node_cap ? 2 * f->node_cap : LIST_FIRST;
        f->nodes = xrealloc(f->nodes, f->node_cap * sizeof *f->nodes);
        f->web = xrealloc(f->web, f->node_cap * sizeof *f->web);
    }
    size_t at = f->ask.node_count++;
    f->nodes[at] = (struct flow_new_node){.max_attempts = 1};
    f->web[at] = (struct flow_web_node){.id = 0};
    return (struct node_reading){.f = f, .node = &f->nodes[at], .web = &f->web[at]};
}

/* "nodes[3].max_attempts: ... (node 7)" */
static bool name_node(const struct new_flow *f, struct err *err)
{
    size_t at = f->ask.node_count - 1;
    value_place(err, "nodes", at);
    struct err inner = *err;
    return f->web[at].id ? err_set(err, inner.code, "%.400s (node %d)", inner.text, f->web[at].id)
                         : false;
}

static bool read_node(struct new_flow *f, struct str raw, struct err *err)
{
    struct json_names seen = {0};
    struct json j;
    struct str name, value;
    struct node_reading r = add_node(f);
    r.node->row = raw;
    if (json_type_of(raw) != JSON_OBJECT) {
        err_set(err, ERR_INVALID, "nodes[%zu]: expected an object, not %.*s", f->ask.node_count - 1,
                value_shown(raw), raw.ptr);
        return false;
    }
    json_open(&j, raw);
    json_enter(&j, '{');
    while (json_member(&j, &name) && json_value(&j, &value))
        if (!value_once(&seen, name, err) || !read_node_value(&r, name, value, err))
            return name_node(f, err);
    return check_node(&r, err) || name_node(f, err);
}

static bool read_nodes(struct new_flow *f, struct str raw, struct err *err)
{
    struct json j;
    struct str item;
    if (json_type_of(raw) != JSON_ARRAY)
        return value_wrong(err, "nodes", "a list of nodes", raw);
    json_open(&j, raw);
    json_enter(&j, '[');
    while (json_item(&j) && json_value(&j, &item)) {
        if (f->ask.node_count == NEW_FLOW_NODES_MAX)
            return err_set(err, ERR_LIMIT, "nodes: more than %d", NEW_FLOW_NODES_MAX);
        if (!read_node(f, item, err))
            return false;
    }
    return true;
}

/* --- the other members --- */

static bool read_list(const char *name, struct str raw, int32_t **list, size_t *count,
                      struct err *err)
{
    size_t cap = 0;
    free(*list);
    *list = NULL;
    *count = 0;
    return add_ids(name, raw, list, count, &cap, err);
}

static bool read_one_id(const char *name, struct str raw, int32_t *out, struct err *err)
{
    int64_t id = 0;
    if (!value_i64(name, raw, 1, FLOW_ID_MAX, &id, err))
        return false;
    *out = (int32_t)id;
    return true;
}

static bool read_selected(struct new_flow *f, struct str name, struct str raw, struct err *err)
{
    struct flow_select *s = &f->ask.select;
    bool null = json_type_of(raw) == JSON_NULL;
    if (json_name_is(name, "only")) {
        s->has_only = !null;
        return null || read_list("only", raw, &f->only, &s->only_count, err);
    }
    if (json_name_is(name, "norun"))
        return null || read_list("norun", raw, &f->norun, &s->norun_count, err);
    if (json_name_is(name, "ancestors"))
        return read_one_id("ancestors", raw, &s->ancestors, err);
    if (json_name_is(name, "descendants"))
        return read_one_id("descendants", raw, &s->descendants, err);
    return value_unknown(err, name);
}

/* Each member of an object that may be null. */
static bool each_member(struct new_flow *f, const char *what, struct str raw,
                        bool (*read)(struct new_flow *f, struct str name, struct str raw,
                                     struct err *err),
                        struct err *err)
{
    struct json j;
    struct str name, value;
    if (json_type_of(raw) == JSON_NULL)
        return true;
    if (json_type_of(raw) != JSON_OBJECT)
        return value_wrong(err, what, "an object", raw);
    json_open(&j, raw);
    json_enter(&j, '{');
    while (json_member(&j, &name) && json_value(&j, &value))
        if (!read(f, name, value, err))
            return value_within(err, what);
    return true;
}

static bool read_one_pool(struct new_flow *f, struct str name, struct str raw, struct err *err)
{
    struct flow_new_pool pool = {.size = 0};
    if (!read_filled(f, "pools", name, &pool.name, err))
        return false;
    OWNED_MEM char *shown = xstrndup(pool.name.ptr, pool.name.len);
    if (json_type_of(raw) == JSON_NULL ||
        !value_i64(shown, raw, 1, LIMIT_CONCURRENCY_MAX, &pool.size, err))
        return value_wrong(err, shown, "a size from 1 on", raw);
    if (f->ask.pool_count == POOLS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d", POOLS_MAX);
    f->pools = xrealloc(f->pools, (f->ask.pool_count + 1) * sizeof *f->pools);
    f->pools[f->ask.pool_count++] = pool;
    return true;
}

static bool read_variable(struct new_flow *f, struct str name, struct str raw, struct err *err)
{
    (void)f;
    OWNED_MEM char *shown = json_take_text(name);
    if (!shown || !*shown || strchr(shown, '='))
        return value_wrong(err, "names", "texts without = and NUL", name);
    return json_type_of(raw) == JSON_STRING || value_wrong(err, shown, "a text", raw);
}

static bool read_preset(struct new_flow *f, struct str name, struct str raw, struct err *err)
{
    struct flow_preset preset;
    if (!read_filled(f, "keys", name, &preset.key, err))
        return false;
    if (preset.key.len > FLOW_KEY_MAX_BYTES)
        return value_wrong(err, "keys", "texts of up to 512 bytes", name);
    if (json_type_of(raw) != JSON_STRING || !read_text(f, "values", raw, &preset.text, err))
        return value_wrong(err, "values", "texts", raw);
    f->presets = xrealloc(f->presets, (f->ask.preset_count + 1) * sizeof *f->presets);
    f->presets[f->ask.preset_count++] = preset;
    return true;
}

static bool read_mode(struct new_flow *f, struct str raw, struct err *err)
{
    static const char *const modes[] = {"python", "shell", NULL};
    int mode = (int)f->ask.mode;
    if (!value_word("mode", raw, modes, &mode, err))
        return false;
    f->ask.mode = (enum flow_mode)mode;
    return true;
}

static bool read_flags(struct new_flow *f, struct str name, struct str raw, bool *known,
                       struct err *err)
{
    struct op_flow_start *ask = &f->ask;
    const struct {
        const char *name;
        bool *out;
    } flags[] = {{"restart", &ask->restart},
                 {"dry_run", &ask->dry_run},
                 {"keep_context", &ask->keep_context},
                 {"take_over", &ask->take_over}};
    *known = false;
    for (size_t i = 0; i < sizeof flags / sizeof *flags && !*known; i++)
        if (json_name_is(name, flags[i].name)) {
            *known = true;
            return value_bool(flags[i].name, raw, flags[i].out, err);
        }
    return true;
}

static bool read_member(struct new_flow *f, struct str name, struct str raw, struct err *err)
{
    struct op_flow_start *ask = &f->ask;
    bool known = false;
    if (json_name_is(name, "name"))
        return read_filled(f, "name", raw, &ask->name, err);
    if (json_name_is(name, "mode"))
        return read_mode(f, raw, err);
    if (json_name_is(name, "nodes"))
        return read_nodes(f, raw, err);
    if (json_name_is(name, "select"))
        return each_member(f, "select", raw, read_selected, err);
    if (json_name_is(name, "max_running"))
        return value_i64("max_running", raw, 1, LIMIT_CONCURRENCY_MAX, &ask->max_running, err);
    if (json_name_is(name, "gap_s"))
        return value_seconds("gap_s", raw, 0, GAP_MAX_US, &ask->gap_us, err);
    if (json_name_is(name, "pools")) {
        ask->pools_row = json_type_of(raw) == JSON_NULL ? ask->pools_row : raw;
        return each_member(f, "pools", raw, read_one_pool, err);
    }
    if (json_name_is(name, "variables")) {
        ask->variables = json_type_of(raw) == JSON_NULL ? ask->variables : raw;
        return each_member(f, "variables", raw, read_variable, err);
    }
    if (json_name_is(name, "context"))
        return each_member(f, "context", raw, read_preset, err);
    if (!read_flags(f, name, raw, &known, err))
        return false;
    return known || value_unknown(err, name);
}

static bool check(const struct new_flow *f, struct err *err)
{
    if (f->ask.name.len == 0)
        return err_set(err, ERR_INVALID, "name: is required");
    if (f->ask.node_count == 0)
        return err_set(err, ERR_INVALID, "nodes: is required, and not empty");
    if (f->ask.mode == FLOW_PYTHON && f->any_command)
        return err_set(err, ERR_INVALID,
                       "nodes[%zu].command: the mode is python: expected module and worker "
                       "(node %d)",
                       f->command_at, f->web[f->command_at].id);
    if (f->ask.mode == FLOW_SHELL && f->any_module)
        return err_set(err, ERR_INVALID,
                       "nodes[%zu].module: the mode is shell: expected a command (node %d)",
                       f->module_at, f->web[f->module_at].id);
    return true;
}

bool new_flow_read(struct new_flow *f, struct str body, struct err *err)
{
    struct json_names seen = {0};
    struct json j;
    struct str name, raw;
    json_open(&j, body);
    if (json_enter(&j, '{'))
        while (json_member(&j, &name) && json_value(&j, &raw))
            if (!value_once(&seen, name, err) || !read_member(f, name, raw, err))
                return false;
    if (!json_end(&j))
        return value_fault(err, &j);
    if (!check(f, err))
        return false;
    f->ask.nodes = f->nodes;
    f->ask.web = f->web;
    f->ask.after = f->after;
    f->ask.pools = f->pools;
    f->ask.presets = f->presets;
    f->ask.select.only = f->only;
    f->ask.select.norun = f->norun;
    return true;
}
