/* test_flow_web.c: core/flow_web.h: who waits for whom, at what cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/flow_web.h"

#include <stdlib.h>
#include <string.h>

static struct err err;

static void the_web_knows_parents_and_children(void **state)
{
    (void)state;
    /* 30 waits for 10 and 20 (named twice); rows in any order. */
    const struct flow_web_node nodes[] = {{30, 0, 3}, {10, 3, 0}, {20, 3, 1}};
    const int32_t after[] = {10, 20, 10, 10};
    struct flow_web w;
    assert_true(flow_web_init(&w, nodes, 3, after, &err));
    assert_int_equal(w.edges, 3);
    assert_int_equal(w.first_parent[1] - w.first_parent[0], 2);
    assert_int_equal(w.parents[0], 1);
    assert_int_equal(w.parents[1], 2);
    assert_int_equal(w.first_child[2] - w.first_child[1], 2);
    assert_int_equal(w.children[w.first_child[1]], 0);
    assert_int_equal(w.children[w.first_child[1] + 1], 2);
    const uint32_t order[] = {1, 2, 0};
    assert_memory_equal(w.order, order, sizeof order);
    flow_web_release(&w);
}

static void refused(const struct flow_web_node *nodes, size_t count, const int32_t *after,
                    const char *text)
{
    struct flow_web w;
    assert_false(flow_web_init(&w, nodes, count, after, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.text, text);
    flow_web_release(&w);
}

static void what_cannot_be_is_refused_by_name(void **state)
{
    (void)state;
    const int32_t after[] = {9, 1, 2, 3, 4, 2};
    refused((struct flow_web_node[]){{1, 0, 0}, {2, 0, 1}}, 2, after,
            "node 2: after: there is no node 9");
    refused((struct flow_web_node[]){{1, 1, 1}}, 1, after, "node 1: after: it waits for itself");
    refused((struct flow_web_node[]){{1, 0, 0}, {1, 0, 0}}, 2, after, "node 1: it is there twice");
    /* 1 waits for 3, 3 for 2, 2 for 4, 4 for 2; 5 waits for the circle only. */
    refused((struct flow_web_node[]){{1, 3, 1}, {2, 4, 1}, {3, 2, 1}, {4, 5, 1}}, 4, after,
            "node 2: after: cycle: 2 -> 4 -> 2");
}

static void a_long_circle_is_told_in_part(void **state)
{
    (void)state;
    struct flow_web_node nodes[20];
    int32_t after[20];
    struct flow_web w;
    for (int i = 0; i < 20; i++) {
        nodes[i] = (struct flow_web_node){i + 1, (uint32_t)i, 1};
        after[i] = i == 0 ? 20 : i;
    }
    assert_false(flow_web_init(&w, nodes, 20, after, &err));
    assert_string_equal(err.text, "node 1: after: cycle: 1 -> 2 -> 3 -> 4 -> 5 -> 6 -> 7 -> 8 -> "
                                  "... -> 1");
    flow_web_release(&w);
}

static void ancestors_and_descendants_are_reached(void **state)
{
    (void)state;
    /* 1 -> 2 -> 4, 1 -> 3, 5 alone */
    const struct flow_web_node nodes[] = {{1, 0, 0}, {2, 0, 1}, {3, 0, 1}, {4, 1, 1}, {5, 0, 0}};
    const int32_t after[] = {1, 2};
    struct flow_web w;
    bool reached[5] = {false};
    assert_true(flow_web_init(&w, nodes, 5, after, &err));
    flow_web_reach(&w, 1, false, reached);
    assert_memory_equal(reached, ((bool[]){false, true, false, true, false}), 5);
    memset(reached, 0, sizeof reached);
    flow_web_reach(&w, 3, true, reached);
    assert_memory_equal(reached, ((bool[]){true, true, false, true, false}), 5);
    flow_web_release(&w);
}

static void the_longest_way_counts(void **state)
{
    (void)state;
    const struct flow_web_node nodes[] = {{1, 0, 0}, {2, 0, 1}, {3, 0, 1}, {4, 1, 2}};
    const int32_t after[] = {1, 2, 3};
    const int64_t takes_us[] = {10, 100, 5, 1};
    int64_t ahead_us[4];
    struct flow_web w;
    assert_true(flow_web_init(&w, nodes, 4, after, &err));
    flow_web_ahead(&w, takes_us, ahead_us);
    assert_memory_equal(ahead_us, ((int64_t[]){111, 101, 6, 1}), sizeof ahead_us);
    flow_web_release(&w);
}

/* All that is asked of a web of that shape looks at each node and edge a few times. */
static void cost(size_t count, size_t width, size_t parents)
{
    struct flow_web_node *nodes = xcalloc(count, sizeof *nodes);
    int32_t *after = xcalloc(count * parents + 1, sizeof *after);
    bool *reached = xcalloc(count, 1);
    int64_t *takes = xcalloc(count, sizeof *takes), *ahead = xcalloc(count, sizeof *ahead);
    uint32_t at = 0;
    struct flow_web w;
    for (size_t i = 0; i < count; i++) {
        nodes[i] = (struct flow_web_node){.id = (int32_t)i + 1, .after_at = at};
        for (size_t k = 0; i >= width && k < parents; k++)
            after[at++] = (int32_t)((i / width - 1) * width + k) + 1;
        nodes[i].after_count = at - nodes[i].after_at;
        takes[i] = 1;
    }
    assert_true(flow_web_init(&w, nodes, count, after, &err));
    flow_web_reach(&w, 0, false, reached);
    flow_web_ahead(&w, takes, ahead);
    assert_true(w.steps <= 8 * (int64_t)(count + w.edges));
    assert_int_equal(ahead[0], parents ? count / width : 1);
    flow_web_release(&w);
    free(nodes);
    free(after);
    free(reached);
    free(takes);
    free(ahead);
}

static void steps_grow_with_nodes_and_edges_only(void **state)
{
    (void)state;
    cost(100000, 100000, 0); /* wide */
    cost(100000, 1, 1);      /* a chain */
    cost(100000, 10, 10);    /* layers that are fully linked */
    cost(2000, 2, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_web_knows_parents_and_children),
        cmocka_unit_test(what_cannot_be_is_refused_by_name),
        cmocka_unit_test(a_long_circle_is_told_in_part),
        cmocka_unit_test(ancestors_and_descendants_are_reached),
        cmocka_unit_test(the_longest_way_counts),
        cmocka_unit_test(steps_grow_with_nodes_and_edges_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
