/* flow_hand_temp.h: flow_temp.h and the one worker of a test. */
#ifndef PENSTOCK_TESTS_FLOW_HAND_TEMP_H
#define PENSTOCK_TESTS_FLOW_HAND_TEMP_H

#include "flow_temp.h"

/* "1 -> 2, 3 -> 4" */
#define DIAMOND "1 2:1 3:1 4:2,3"

static struct hand worker;

/* The ids of the nodes of what was just taken. */
static inline void assert_taken(struct bench *b, size_t most, const char *nodes)
{
    char got[200] = "";
    take(b, &worker, (int64_t)most);
    for (size_t i = 0; i < worker.count; i++)
        for (int32_t id = 1; id < 20; id++) {
            struct op op;
            prepare(&op, OP_FLOW_NODES, "f");
            op.flow_nodes.limit = 1000;
            ask(b, &op);
            for (size_t k = 0; k < op.flow_nodes.count; k++)
                if (op.flow_nodes.views[k].id == id && op.flow_nodes.views[k].task == worker.ids[i])
                    sprintf(got + strlen(got), "%s%d", *got ? " " : "", id);
            op_release(&op);
        }
    assert_string_equal(got, nodes);
}

static inline void complete_node(struct bench *b, int32_t id)
{
    complete(b, &worker, task_of(b, id));
}

static inline void fail_node(struct bench *b, int32_t id)
{
    fail_task(b, &worker, task_of(b, id), false);
}

static inline int begin_flows(void **state)
{
    worker = (struct hand){.count = 0};
    return bench_begin(state);
}
#define FLOW_TEST(name) cmocka_unit_test_setup_teardown(name, begin_flows, bench_end)

#endif
