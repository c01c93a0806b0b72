/* Task lists in JSON: every text is read or refused with problems that have a place; what is read
 * is a flow as one of a .lst file. */
#include "core/flow.h"
#include "fuzz.h"

#include "base/own.h"

static const char *lookup(void *context, const char *name)
{
    (void)context;
    return name[0] == 'A' ? "a,|\"" : NULL;
}

static void look_at_flow(const struct flow *f)
{
    OWNED_MEM uint32_t *depths = xcalloc(f->node_count + 1, sizeof *depths);
    flow_depths(f, depths);
    HOLDS(f->node_count > 0 && f->mode == FLOW_PYTHON);
    for (size_t i = 0; i < f->node_count; i++) {
        const struct flow_node *n = &f->nodes[i];
        HOLDS(n->id == (int32_t)i + 1 && n->line > 0 && n->max_attempts > 0);
        HOLDS(n->retry_wait_us >= 0 && n->timeout_us >= 0);
        HOLDS(n->name[0] && n->module[0] && n->work[0] && n->logfile);
        HOLDS(n->parents_at + n->parent_count <= f->parent_count);
        HOLDS(n->argument_at + n->argument_count <= f->argument_count);
        for (uint32_t a = 0; a < n->argument_count; a++)
            HOLDS(f->arguments[n->argument_at + a]);
        for (uint32_t p = 0; p < n->parent_count; p++)
            HOLDS(depths[f->parents[n->parents_at + p]] < depths[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flow flow;
    struct flow_problems problems;
    if (flow_read_json((struct str){(const char *)data, size}, lookup, NULL, &flow, &problems))
        look_at_flow(&flow);
    else
        HOLDS(problems.errors > 0 && flow.node_count == 0);
    for (size_t i = 0; i < problems.count; i++)
        HOLDS(problems.items[i].line > 0 && problems.items[i].column > 0 &&
              problems.items[i].text[0]);
    flow_release(&flow);
    flow_problems_release(&problems);
    return 0;
}
