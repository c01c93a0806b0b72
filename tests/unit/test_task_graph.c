/* The graph of tasks: who is let go by whose end, and what it costs, counted in steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/task_graph.h"

#include <stdlib.h>

enum { MANY = 100000 };

static void children_are_let_go_by_what_they_wait_for(void **state)
{
    (void)state;
    OWNED(task_graph) struct task_graph *g = task_graph_new();
    enum after_when when = AFTER_COMPLETED;
    task_graph_add(g, 1, 10, AFTER_COMPLETED);
    task_graph_add(g, 1, 11, AFTER_ENDED);
    task_graph_add(g, 1, 12, AFTER_COMPLETED);
    assert_int_equal(task_graph_take(g, 1, false, false, &when), 11);
    assert_int_equal(when, AFTER_ENDED);
    assert_int_equal(task_graph_take(g, 1, false, false, NULL), 0);
    assert_true(task_graph_has_children(g, 1));
    assert_int_equal(task_graph_take(g, 1, true, false, &when), 10);
    assert_int_equal(when, AFTER_COMPLETED);
    assert_int_equal(task_graph_take(g, 1, false, true, NULL), 12);
    assert_int_equal(task_graph_take(g, 1, true, true, NULL), 0);
    assert_false(task_graph_has_children(g, 1));
    assert_int_equal(task_graph_edges(g), 0);
}

static void who_is_forgotten_is_not_let_go(void **state)
{
    (void)state;
    OWNED(task_graph) struct task_graph *g = task_graph_new();
    int64_t parents[2] = {0};
    task_graph_add(g, 1, 10, AFTER_COMPLETED);
    task_graph_add(g, 2, 10, AFTER_COMPLETED);
    task_graph_add(g, 3, 10, AFTER_ENDED);
    task_graph_add(g, 1, 11, AFTER_COMPLETED);
    task_graph_add(g, 10, 20, AFTER_COMPLETED);
    assert_int_equal(task_graph_parents(g, 10, parents, 2), 3);
    assert_int_equal(parents[0], 1);
    assert_int_equal(parents[1], 2);
    assert_true(task_graph_has_edge(g, 3, 10));
    assert_false(task_graph_has_edge(g, 10, 3));
    assert_false(task_graph_has_edge(g, 3, 99));
    task_graph_forget(g, 10);
    assert_false(task_graph_has_edge(g, 3, 10));
    task_graph_forget(g, 99);
    assert_int_equal(task_graph_parents(g, 10, parents, 2), 0);
    assert_int_equal(task_graph_take(g, 1, true, false, NULL), 11);
    assert_int_equal(task_graph_take(g, 1, true, false, NULL), 0);
    assert_false(task_graph_has_children(g, 3));
    assert_int_equal(task_graph_take(g, 10, true, false, NULL), 20);
}

static void a_wide_fan_costs_a_step_or_two_an_edge(void **state)
{
    (void)state;
    OWNED(task_graph) struct task_graph *g = task_graph_new();
    for (int64_t parent = 1; parent <= MANY; parent++)
        task_graph_add(g, parent, MANY + 1, AFTER_COMPLETED);
    for (int64_t child = MANY + 2; child <= 2 * MANY; child++)
        task_graph_add(g, MANY + 1, child, AFTER_COMPLETED);
    for (int64_t parent = 1; parent <= MANY; parent++) {
        assert_int_equal(task_graph_take(g, parent, true, false, NULL), MANY + 1);
        assert_int_equal(task_graph_take(g, parent, true, false, NULL), 0);
    }
    while (task_graph_take(g, MANY + 1, true, false, NULL))
        ;
    assert_int_equal(task_graph_edges(g), 0);
    assert_true(task_graph_steps(g) <= 2 * (2 * MANY));
}

static void a_long_chain_goes_link_by_link(void **state)
{
    (void)state;
    OWNED(task_graph) struct task_graph *g = task_graph_new();
    for (int64_t id = 1; id < MANY; id++)
        task_graph_add(g, id, id + 1, AFTER_COMPLETED);
    for (int64_t id = 1; id < MANY / 2; id++)
        assert_int_equal(task_graph_take(g, id, true, false, NULL), id + 1);
    task_graph_forget(g, MANY);
    assert_true(task_graph_steps(g) <= 2 * MANY);
}

static void it_agrees_with_a_list_of_edges(void **state)
{
    (void)state;
    enum { IDS = 30, EDGES = 3000 };
    struct {
        int64_t parent, child;
        enum after_when when;
    } model[EDGES];
    size_t count = 0;
    OWNED(task_graph) struct task_graph *g = task_graph_new();
    struct rng rng;
    rng_init(&rng, 9);
    for (int step = 0; step < 20000; step++) {
        int64_t a = 1 + (int64_t)rng_below(&rng, IDS), b = 1 + (int64_t)rng_below(&rng, IDS);
        bool completed = rng_below(&rng, 2), all = rng_below(&rng, 4) == 0;
        unsigned verb = (unsigned)rng_below(&rng, 8);
        if (verb < 5 && a != b && count < EDGES) {
            model[count].parent = a;
            model[count].child = b;
            model[count].when = completed ? AFTER_COMPLETED : AFTER_ENDED;
            task_graph_add(g, a, b, model[count++].when);
        } else if (verb == 5) {
            for (size_t i = count; i-- > 0;)
                if (model[i].child == a)
                    model[i] = model[--count];
            task_graph_forget(g, a);
        } else if (verb > 5) {
            enum after_when when = AFTER_COMPLETED;
            int64_t child = task_graph_take(g, a, completed, all, &when);
            size_t found = count, fitting = 0;
            for (size_t i = 0; i < count; i++) {
                if (model[i].parent != a)
                    continue;
                fitting += completed || all || model[i].when == AFTER_ENDED;
                if (model[i].child == child && model[i].when == when)
                    found = i;
            }
            assert_int_equal(child != 0, fitting > 0);
            if (child) {
                assert_true(found < count);
                model[found] = model[--count];
            }
        }
        assert_int_equal(task_graph_edges(g), count);
    }
}

static void a_circle_is_named(void **state)
{
    (void)state;
    struct err err;
    /* 5 waits for 4, 4 for 2, 2 for 3, 3 for 4; 1 is free. */
    static const uint32_t edges[][2] = {{4, 3}, {3, 1}, {1, 2}, {2, 3}, {1, 0}};
    assert_false(task_graph_check_batch(edges, 5, 5, &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.text, "tasks wait for each other in a circle: places 2, 3, 4, 2");
    assert_true(task_graph_check_batch(edges, 3, 5, &err));
    static const uint32_t self[][2] = {{0, 0}};
    assert_false(task_graph_check_batch(self, 1, 1, &err));
    assert_string_equal(err.text, "tasks wait for each other in a circle: places 1, 1");
    assert_true(task_graph_check_batch(NULL, 0, 0, &err));
}

static void long_chains_and_circles_are_no_deep_calls(void **state)
{
    (void)state;
    struct err err;
    OWNED_MEM uint32_t(*edges)[2] = xcalloc(MANY, sizeof *edges);
    for (uint32_t i = 0; i < MANY; i++) {
        edges[i][0] = i;
        edges[i][1] = (i + 1) % MANY;
    }
    assert_true(task_graph_check_batch((const uint32_t(*)[2])edges, MANY - 1, MANY, &err));
    assert_false(task_graph_check_batch((const uint32_t(*)[2])edges, MANY, MANY, &err));
    assert_string_equal(err.text, "tasks wait for each other in a circle: places 1, 2, 3, 4, 5, 6, "
                                  "7, 8, ..., 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_are_let_go_by_what_they_wait_for),
        cmocka_unit_test(who_is_forgotten_is_not_let_go),
        cmocka_unit_test(a_wide_fan_costs_a_step_or_two_an_edge),
        cmocka_unit_test(a_long_chain_goes_link_by_link),
        cmocka_unit_test(it_agrees_with_a_list_of_edges),
        cmocka_unit_test(a_circle_is_named),
        cmocka_unit_test(long_chains_and_circles_are_no_deep_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
