/* test_flow_plan.c: core/flow_plan.h and core/flow_marks.h: what a run does, and how far it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/flow_plan.h"

#include <stdlib.h>
#include <string.h>

static struct err err;

/* 1 -> 2 -> 4, 1 -> 3 -> 4: the list of all tests. */
static const struct flow_web_node nodes[] = {{1, 0, 0}, {2, 0, 1}, {3, 0, 1}, {4, 1, 2}};
static const int32_t after[] = {1, 2, 3};
static const uint64_t prints[] = {11, 12, 13, 14};
static const struct flow_select all = {.has_only = false};

static const struct flow_past broken[] = {{1, FLOW_COMPLETED, 3, 11},
                                          {2, FLOW_FAILED, 3, 12},
                                          {3, FLOW_ABORTED, 3, 13},
                                          {4, FLOW_DEFAULTED, 3, 14}};
static const struct flow_past done[] = {
    {1, FLOW_COMPLETED, 1, 11}, {2, FLOW_NORUN, 1, 12}, {3, FLOW_COMPLETED, 2, 99}};

/* "rknn": what each node does, by the first letters. */
static void planned(bool restart, const struct flow_select *select, const struct flow_past *past,
                    size_t past_count, const char *does, const char *why)
{
    struct flow_web web;
    struct flow_plan plan;
    char told[5] = "";
    OWNED_BUF struct buf words;
    buf_init(&words, BUF_NO_CAP);
    assert_true(flow_web_init(&web, nodes, 4, after, &err));
    assert_true(
        flow_plan_make(&web, nodes, prints, restart, select, past, past_count, &plan, &err));
    for (size_t p = 0; p < 4; p++) {
        told[p] = flow_does_names[plan.nodes[p].does][0];
        buf_add_text(&words, p ? "; " : "");
        flow_plan_why(&plan, p, past, &words);
    }
    assert_string_equal(told, does);
    if (why) {
        buf_add_char(&words, '\0');
        assert_string_equal(words.data, why);
    }
    assert_int_equal(plan.does[0] + plan.does[1] + plan.does[2], 4);
    flow_plan_release(&plan);
    flow_web_release(&web);
}

static void a_fresh_run_runs_what_is_selected(void **state)
{
    (void)state;
    const int32_t ids[] = {2, 4};
    planned(false, &all, NULL, 0, "rrrr", "a fresh run; a fresh run; a fresh run; a fresh run");
    planned(false, &all, broken, 4, "rrrr", NULL);
    planned(false, &(struct flow_select){.has_only = true, .only = ids, .only_count = 2}, NULL, 0,
            "nrnr", "not selected; a fresh run; not selected; a fresh run");
    planned(false, &(struct flow_select){.norun = ids, .norun_count = 2}, NULL, 0, "rnrn", NULL);
    planned(false, &(struct flow_select){.ancestors = 2}, NULL, 0, "rrnn", NULL);
    planned(false, &(struct flow_select){.descendants = 2}, NULL, 0, "nrnr", NULL);
    planned(false, &(struct flow_select){.descendants = 2, .norun = ids, .norun_count = 1}, NULL, 0,
            "nnnr", NULL);
    planned(false, &(struct flow_select){.has_only = true}, NULL, 0, "nnnn", NULL);
}

static void a_restart_keeps_what_is_done(void **state)
{
    (void)state;
    planned(true, &all, broken, 4, "krrr",
            "completed in run 3; failed in run 3; was aborted in run 3; an ancestor failed in run "
            "3");
    planned(true, &all, broken, 1, "rrrr", NULL); /* all done: afresh */
    planned(true, &all, broken + 1, 1, "rrrr",
            "new in the list; failed in run 3; new in the list; new in the list");
}

static void a_restart_without_marks_or_after_success_is_fresh(void **state)
{
    (void)state;
    planned(true, &all, NULL, 0, "rrrr", "a fresh run; a fresh run; a fresh run; a fresh run");
    planned(true, &all, done, 3, "rrrr", "a fresh run; a fresh run; a fresh run; a fresh run");
}

static void a_selection_on_restart_runs_again_what_it_names(void **state)
{
    (void)state;
    const int32_t three[] = {3}, one[] = {1};
    planned(true, &(struct flow_select){.descendants = 1}, broken, 4, "rrrr",
            "selected; completed in run 3; failed in run 3; was aborted in run 3; an ancestor "
            "failed in run 3");
    planned(true, &(struct flow_select){.has_only = true, .only = one, .only_count = 1}, broken, 4,
            "rkkk", NULL);
    planned(true, &(struct flow_select){.descendants = 3}, done, 3, "kkrr",
            "completed in run 1; not selected in run 1; selected; completed in run 2; new in the "
            "list");
    planned(true, &(struct flow_select){.ancestors = 2}, done, 3, "rrkn", NULL);
    planned(true, &(struct flow_select){.norun = three, .norun_count = 1}, broken, 4, "krnr",
            "completed in run 3; failed in run 3; not selected; an ancestor failed in run 3");
}

static void edited_rows_that_are_kept_are_told(void **state)
{
    (void)state;
    const struct flow_past past[] = {{1, FLOW_COMPLETED, 1, 1},
                                     {2, FLOW_COMPLETED, 1, 12},
                                     {3, FLOW_FAILED, 1, 1},
                                     {4, FLOW_NORUN, 1, 1}};
    struct flow_web web;
    struct flow_plan plan;
    assert_true(flow_web_init(&web, nodes, 4, after, &err));
    assert_true(flow_plan_make(&web, nodes, prints, true, &all, past, 4, &plan, &err));
    assert_int_equal(plan.edited, 1);
    assert_true(plan.nodes[0].edited);
    flow_plan_release(&plan);
    flow_web_release(&web);
}

static void not_planned(const struct flow_select *select, const struct flow_past *past,
                        size_t past_count, enum err_code code, const char *text)
{
    struct flow_web web;
    struct flow_plan plan;
    assert_true(flow_web_init(&web, nodes, 4, after, &err));
    assert_false(flow_plan_make(&web, nodes, prints, true, select, past, past_count, &plan, &err));
    assert_int_equal(err.code, code);
    assert_string_equal(err.text, text);
    flow_plan_release(&plan);
    flow_web_release(&web);
}

static void a_selection_of_unknown_nodes_is_refused(void **state)
{
    (void)state;
    const int32_t nine[] = {9};
    not_planned(&(struct flow_select){.has_only = true, .only = nine, .only_count = 1}, NULL, 0,
                ERR_INVALID, "select.only: there is no node 9");
    not_planned(&(struct flow_select){.norun = nine, .norun_count = 1}, NULL, 0, ERR_INVALID,
                "select.norun: there is no node 9");
    not_planned(&(struct flow_select){.ancestors = 9}, NULL, 0, ERR_INVALID,
                "select.ancestors: there is no node 9");
    not_planned(&(struct flow_select){.descendants = 9}, NULL, 0, ERR_INVALID,
                "select.descendants: there is no node 9");
    const struct flow_past twice[] = {broken[0], broken[0]};
    not_planned(&all, twice, 2, ERR_STORE, "node 1: the store has two marks of it");
}

/* --- marks --- */

static void every_step_from_every_mark(void **state)
{
    (void)state;
    /* By step: where P and R go; '.': refused. */
    static const char *const moves[FLOW_STEP_COUNT] = {
        [FLOW_START] = "R.",   [FLOW_GIVE_BACK] = "PP", [FLOW_COMPLETE] = ".C", [FLOW_FAIL] = "FF",
        [FLOW_DEFAULT] = "D.", [FLOW_ABORT] = "AA",     [FLOW_LEAVE] = "P."};
    for (int step = 0; step < FLOW_STEP_COUNT; step++)
        for (int runs = 0; runs < 2; runs++) {
            OWNED(flow_marks) struct flow_marks *m = flow_marks_new(1);
            flow_marks_put(m, 0, 7, FLOW_PENDING, true, 0);
            if (runs)
                assert_true(flow_marks_move(m, 0, FLOW_START, 5));
            bool moved = flow_marks_move(m, 0, (enum flow_step)step, 6);
            char to = moves[step][runs];
            assert_int_equal(moved, to != '.');
            if (moved)
                assert_int_equal(flow_mark_letter(flow_marks_get(m, 0)), to);
            bool closes = moved && step != FLOW_START && step != FLOW_GIVE_BACK;
            assert_int_equal(flow_marks_is_open(m, 0), !closes);
            assert_int_equal(flow_marks_open(m), !closes);
            assert_int_equal(flow_marks_of(m, flow_marks_get(m, 0)), 1);
        }
}

static void what_is_closed_stays_as_it_is(void **state)
{
    (void)state;
    for (int mark = 0; mark < FLOW_MARK_COUNT; mark++) {
        OWNED(flow_marks) struct flow_marks *m = flow_marks_new(1);
        flow_marks_put(m, 0, 7, (enum flow_mark)mark, false, 0);
        for (int step = 0; step < FLOW_STEP_COUNT; step++)
            assert_false(flow_marks_move(m, 0, (enum flow_step)step, 1));
        assert_int_equal(flow_marks_get(m, 0), mark);
    }
}

static void letters_are_read_and_written(void **state)
{
    (void)state;
    enum flow_mark mark = FLOW_PENDING;
    for (int i = 0; i < FLOW_MARK_COUNT; i++) {
        char letter = flow_mark_letter((enum flow_mark)i);
        assert_int_equal(letter, "PRCFDNA"[i]);
        assert_true(flow_mark_read((struct str){&letter, 1}, &mark));
        assert_int_equal(mark, i);
    }
    assert_false(flow_mark_read(STR("X"), &mark));
    assert_false(flow_mark_read(STR(""), &mark));
    assert_false(flow_mark_read(STR("PP"), &mark));
}

static void what_is_left_takes_the_longest_way(void **state)
{
    (void)state;
    OWNED(flow_marks) struct flow_marks *m = flow_marks_new(3);
    flow_marks_put(m, 0, 1, FLOW_PENDING, true, 0);
    assert_int_equal(flow_marks_eta_us(m, 100), -1);
    flow_marks_put(m, 0, 1, FLOW_PENDING, true, 50);
    flow_marks_put(m, 1, 2, FLOW_PENDING, true, 30);
    flow_marks_put(m, 2, 3, FLOW_COMPLETED, false, 500);
    assert_int_equal(flow_marks_eta_us(m, 100), 50);
    assert_true(flow_marks_move(m, 0, FLOW_START, 100));
    assert_int_equal(flow_marks_since_us(m, 0), 100);
    assert_int_equal(flow_marks_eta_us(m, 110), 40);
    assert_int_equal(flow_marks_eta_us(m, 125), 30);
    assert_true(flow_marks_move(m, 1, FLOW_FAIL, 125));
    assert_int_equal(flow_marks_eta_us(m, 1000), 0);
    assert_int_equal(flow_marks_next(m, FLOW_FAILED, 0), 1);
    assert_int_equal(flow_marks_next(m, FLOW_FAILED, 2), 3);
}

static void the_outcome_is_what_its_nodes_are(void **state)
{
    (void)state;
    static const struct {
        enum flow_mark mark;
        bool stopped;
        int64_t kept;
        enum job_state outcome;
    } cases[] = {{FLOW_COMPLETED, false, 0, JOB_COMPLETED}, {FLOW_NORUN, false, 0, JOB_COMPLETED},
                 {FLOW_FAILED, false, 0, JOB_FAILED},       {FLOW_FAILED, false, 1, JOB_COMPLETED},
                 {FLOW_DEFAULTED, false, 0, JOB_FAILED},    {FLOW_ABORTED, false, 0, JOB_FAILED},
                 {FLOW_ABORTED, true, 0, JOB_CANCELLED},    {FLOW_PENDING, true, 0, JOB_CANCELLED},
                 {FLOW_COMPLETED, true, 0, JOB_CANCELLED}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        OWNED(flow_marks) struct flow_marks *m = flow_marks_new(2);
        flow_marks_put(m, 0, 1, FLOW_COMPLETED, false, 0);
        flow_marks_put(m, 1, 2, cases[i].mark, false, 0);
        assert_int_equal(flow_marks_outcome(m, cases[i].stopped, cases[i].kept), cases[i].outcome);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_run_runs_what_is_selected),
        cmocka_unit_test(a_restart_keeps_what_is_done),
        cmocka_unit_test(a_restart_without_marks_or_after_success_is_fresh),
        cmocka_unit_test(a_selection_on_restart_runs_again_what_it_names),
        cmocka_unit_test(edited_rows_that_are_kept_are_told),
        cmocka_unit_test(a_selection_of_unknown_nodes_is_refused),
        cmocka_unit_test(every_step_from_every_mark),
        cmocka_unit_test(what_is_closed_stays_as_it_is),
        cmocka_unit_test(letters_are_read_and_written),
        cmocka_unit_test(what_is_left_takes_the_longest_way),
        cmocka_unit_test(the_outcome_is_what_its_nodes_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
