/* Bodies that start a flow: what was taken was JSON, each row and value that is kept raw is of its
 * kind, each number in its range, and the lists lie within each other. */
#include "base/json.h"
#include "base/own.h"
#include "core/flow_web.h"
#include "fuzz.h"
#include "http/native/new_flow.h"

#include <string.h>

static void look_at_node(const struct op_flow_start *ask, size_t place, size_t after_count)
{
    const struct flow_new_node *n = &ask->nodes[place];
    const struct flow_web_node *w = &ask->web[place];
    HOLDS(n->name.len > 0 && w->id > 0);
    HOLDS(json_type_of(n->row) == JSON_OBJECT && json_check(n->row, NULL, NULL));
    HOLDS(n->after.len == 0 || json_type_of(n->after) == JSON_ARRAY);
    HOLDS(n->max_attempts > 0 && n->retry_wait_us >= 0 && n->timeout_us >= 0);
    HOLDS((size_t)w->after_at + w->after_count <= after_count);
    for (uint32_t i = 0; i < w->after_count; i++)
        HOLDS(ask->after[w->after_at + i] > 0);
}

static void look_at_web(const struct op_flow_start *ask)
{
    struct flow_web web;
    struct err err;
    if (flow_web_init(&web, ask->web, ask->node_count, ask->after, &err))
        HOLDS(web.count == ask->node_count);
    else
        HOLDS(err.code == ERR_INVALID);
    flow_web_release(&web);
}

static void look_at(const struct new_flow *f)
{
    const struct op_flow_start *ask = &f->ask;
    HOLDS(ask->name.len > 0 && ask->node_count > 0);
    HOLDS(ask->max_running >= 0 && ask->gap_us >= 0);
    for (size_t i = 0; i < ask->node_count; i++)
        look_at_node(ask, i, f->after_count);
    for (size_t i = 0; i < ask->pool_count; i++)
        HOLDS(ask->pools[i].size > 0 && ask->pools[i].name.len > 0);
    for (size_t i = 0; i < ask->preset_count; i++)
        HOLDS(ask->presets[i].key.len > 0 && ask->presets[i].key.len <= FLOW_KEY_MAX_BYTES);
    for (size_t i = 0; i < ask->select.only_count; i++)
        HOLDS(ask->select.only[i] > 0);
    for (size_t i = 0; i < ask->select.norun_count; i++)
        HOLDS(ask->select.norun[i] > 0);
    HOLDS(ask->variables.len == 0 || json_type_of(ask->variables) == JSON_OBJECT);
    HOLDS(ask->pools_row.len == 0 || json_type_of(ask->pools_row) == JSON_OBJECT);
    look_at_web(ask);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct new_flow flow = {.node_cap = 0};
    struct err err;
    OWNED_MEM char *body = xcalloc(size + !size, 1);
    if (size)
        memcpy(body, data, size);
    if (new_flow_read(&flow, (struct str){body, size}, &err)) {
        HOLDS(json_check((struct str){body, size}, NULL, NULL));
        look_at(&flow);
    } else {
        HOLDS(err.code == ERR_INVALID || err.code == ERR_LIMIT);
    }
    new_flow_release(&flow);
    return 0;
}
