/* test_task_enqueue.c: tasks come in: names, unique keys, parents. */
#include "task_temp.h"

static void ids_grow_and_are_of_one_sequence_with_jobs(void **state)
{
    struct bench *b = *state;
    struct task_new tasks[3] = {new_task("f"), new_task("f"), new_task("g")};
    enqueue_list(b, tasks, 3);
    assert_int_equal(tasks[2].id, 3);
    put_lines(b, "data/in.jsonl", 0, 1);
    assert_int_equal(start(b, "job"), 4);
    assert_int_equal(enqueue(b, new_task("f")), 5);
    reopen_engine(b);
    assert_int_equal(enqueue(b, new_task("f")), 6);
    assert_sound(b);
}

static void a_list_is_taken_whole_or_not_at_all(void **state)
{
    struct bench *b = *state;
    struct task_new tasks[2] = {new_task("f"), new_task("")};
    enqueue_refused(b, tasks, 2, REFUSED_OTHERWISE, ERR_INVALID, "names no function");
    struct hand hand = {0};
    assert_int_equal(take(b, &hand, 10), 0);
}

static void what_cannot_be_right_is_refused(void **state)
{
    struct bench *b = *state;
    char longer[600];
    memset(longer, 'x', sizeof longer);
    const struct {
        struct task_new task;
        const char *part;
    } wrong[] = {
        {{.function = STR("f"), .queue = {longer, 513}}, "its queue"},
        {{.function = STR("f\n")}, "its function"},
        {{.function = STR("\xff")}, "its function"},
        {{.function = STR("f"), .priority = 32768}, "priority"},
        {{.function = STR("f"), .max_attempts = 1000001}, "max_attempts"},
        {{.function = STR("f"), .delay_us = -1}, "delay"},
        {{.function = STR("f"), .options = STR("{\"retry\":{\"kind\":\"odd\"}}")}, "kind"},
        {{.function = STR("f"), .after = (const int64_t[]){0}, .after_count = 1}, "task 0"},
        {{.function = STR("f"), .after = (const int64_t[]){-2}, .after_count = 1}, "place"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct task_new task = wrong[i].task;
        enqueue_refused(b, &task, 1, REFUSED_OTHERWISE, ERR_INVALID, wrong[i].part);
    }
}

static void a_unique_key_is_one_task_until_that_ends(void **state)
{
    struct bench *b = *state;
    struct task_new task = new_task("f");
    struct hand hand = {0};
    task.unique = STR("k");
    task.unique_while = UNIQUE_UNFINISHED;
    int64_t first = enqueue(b, task);
    struct task_new again[2] = {task, task};
    enqueue_list(b, again, 2);
    assert_true(again[0].existing && again[1].existing);
    assert_int_equal(again[1].id, first);
    reopen_engine(b);
    task.on_clash = CLASH_REFUSE;
    enqueue_refused(b, &task, 1, REFUSED_UNIQUE_TAKEN, ERR_CONFLICT, "has its unique key");
    assert_int_equal(take(b, &hand, 1), 1);
    enqueue_refused(b, &task, 1, REFUSED_UNIQUE_TAKEN, ERR_CONFLICT, "has its unique key");
    complete(b, &hand, first);
    assert_int_equal(enqueue(b, task), first + 1);
}

static void a_unique_key_within_a_list_is_seen(void **state)
{
    struct bench *b = *state;
    struct task_new tasks[2] = {new_task("f"), new_task("f")};
    tasks[0].unique = tasks[1].unique = STR("k");
    enqueue_list(b, tasks, 2);
    assert_false(tasks[0].existing);
    assert_true(tasks[1].existing);
    assert_int_equal(tasks[0].id, tasks[1].id);
    tasks[0].unique = tasks[1].unique = STR("other");
    tasks[1].on_clash = CLASH_REFUSE;
    enqueue_refused(b, tasks, 2, REFUSED_UNIQUE_TAKEN, ERR_CONFLICT, "of this list");
}

static void a_key_while_pending_is_free_when_the_task_runs(void **state)
{
    struct bench *b = *state;
    struct task_new task = new_task("f");
    struct hand hand = {0};
    task.unique = STR("k");
    task.unique_while = UNIQUE_PENDING;
    int64_t first = enqueue(b, task);
    assert_int_equal(enqueue(b, task), first);
    assert_int_equal(take(b, &hand, 1), 1);
    assert_int_equal(enqueue(b, task), first + 1);
}

static void a_key_while_stored_is_known_after_the_end_and_a_restart(void **state)
{
    struct bench *b = *state;
    struct task_new task = new_task("f");
    struct hand hand = {0};
    task.unique = STR("k");
    task.unique_while = UNIQUE_STORED;
    int64_t first = enqueue(b, task);
    assert_int_equal(take(b, &hand, 1), 1);
    complete(b, &hand, first);
    assert_int_equal(enqueue(b, task), first);
    reopen_engine(b);
    assert_int_equal(enqueue(b, task), first);
    assert_int_equal(control_tasks(b, TASK_DELETE, (struct task_filter){0}), 1);
    assert_int_equal(enqueue(b, task), first + 1);
}

static void replacing_gives_a_waiting_task_other_arguments(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct task_new task = new_task("f");
    struct hand hand = {0};
    task.unique = STR("k");
    task.unique_while = UNIQUE_UNFINISHED;
    task.arguments = STR("{\"n\":1}");
    int64_t first = enqueue(b, task);
    task.on_clash = CLASH_REPLACE;
    task.arguments = STR("{\"n\":2}");
    task.priority = 5;
    assert_int_equal(enqueue(b, task), first);
    reopen_engine(b);
    const struct task_view *view = shown(b, &op, first);
    assert_string_equal(view->arguments, "{\"n\":2}");
    assert_int_equal(view->priority, 5);
    op_release(&op);
    assert_int_equal(take(b, &hand, 1), 1);
    enqueue_refused(b, &task, 1, REFUSED_UNIQUE_TAKEN, ERR_CONFLICT, "runs");
}

static void a_child_waits_for_its_parents_over_a_restart(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct task_new tasks[3] = {new_task("p"), new_task("p"), new_task("c")};
    const int64_t after[] = {-1, -2, -2};
    tasks[2].after = after;
    tasks[2].after_count = 3;
    enqueue_list(b, tasks, 3);
    ASSERT_STATE(b, tasks[2].id, JOB_BLOCKED);
    assert_int_equal(take(b, &hand, 10), 2);
    complete(b, &hand, tasks[0].id);
    reopen_engine(b);
    ASSERT_STATE(b, tasks[2].id, JOB_BLOCKED);
    complete(b, &hand, tasks[1].id);
    assert_int_equal(take(b, &hand, 10), 1);
    assert_int_equal(hand.ids[0], tasks[2].id);
    assert_sound(b);
}

static void a_parent_that_has_completed_counts_and_one_that_is_not_there_is_named(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    int64_t parent = enqueue(b, new_task("p"));
    take(b, &hand, 1);
    complete(b, &hand, parent);
    struct task_new child = new_task("c");
    child.after = &parent;
    child.after_count = 1;
    ASSERT_STATE(b, enqueue(b, child), JOB_PENDING);
    int64_t nobody = 99;
    child.after = &nobody;
    enqueue_refused(b, &child, 1, REFUSED_PARENT, ERR_NOT_FOUND, "task 99");
}

static void a_circle_is_refused(void **state)
{
    struct bench *b = *state;
    struct task_new tasks[2] = {new_task("a"), new_task("b")};
    const int64_t first[] = {-1}, second[] = {-2};
    tasks[0].after = second;
    tasks[1].after = first;
    tasks[0].after_count = tasks[1].after_count = 1;
    enqueue_refused(b, tasks, 2, REFUSED_OTHERWISE, ERR_INVALID, "");
}

static void who_waits_for_a_failed_parent_goes_on_when_that_is_retried(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct task_new tasks[3] = {new_task("p"), new_task("c"), new_task("d")};
    const int64_t after[] = {-1};
    tasks[1].after = tasks[2].after = after;
    tasks[1].after_count = tasks[2].after_count = 1;
    tasks[2].after_when = AFTER_ENDED;
    enqueue_list(b, tasks, 3);
    assert_int_equal(take(b, &hand, 10), 1);
    fail_task(b, &hand, tasks[0].id, true);
    ASSERT_STATE(b, tasks[1].id, JOB_BLOCKED);
    ASSERT_STATE(b, tasks[2].id, JOB_PENDING);
    reopen_engine(b);
    assert_int_equal(control_tasks(b, TASK_RETRY, (struct task_filter){0}), 1);
    assert_int_equal(take(b, &hand, 10), 2);
    complete(b, &hand, tasks[0].id);
    ASSERT_STATE(b, tasks[1].id, JOB_PENDING);
    assert_sound(b);
}

static void who_waits_for_a_cancelled_parent_is_cancelled_however_deep(void **state)
{
    struct bench *b = *state;
    enum { DEPTH = 1000 };
    static struct task_new tasks[DEPTH];
    static int64_t after[DEPTH];
    for (int i = 0; i < DEPTH; i++) {
        tasks[i] = new_task("f");
        after[i] = -i;
        tasks[i].after = &after[i];
        tasks[i].after_count = i > 0;
    }
    enqueue_list(b, tasks, DEPTH);
    struct task_filter filter = {.ids = &tasks[0].id, .id_count = 1};
    assert_int_equal(control_tasks(b, TASK_CANCEL, filter), 1);
    ASSERT_STATE(b, tasks[DEPTH - 1].id, JOB_CANCELLED);
    assert_sound(b);
}

static void who_waits_for_a_deleted_parent_is_cancelled(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct task_new tasks[2] = {new_task("p"), new_task("c")};
    const int64_t after[] = {-1};
    tasks[1].after = after;
    tasks[1].after_count = 1;
    enqueue_list(b, tasks, 2);
    take(b, &hand, 1);
    fail_task(b, &hand, tasks[0].id, true);
    assert_int_equal(control_tasks(b, TASK_DELETE, (struct task_filter){0}), 1);
    ASSERT_STATE(b, tasks[1].id, JOB_CANCELLED);
    assert_sound(b);
}

static void a_group_that_is_not_stored_leaves_nothing(void **state)
{
    struct bench *b = *state;
    struct op op;
    struct hand hand = {0};
    struct task_new task = new_task("f");
    task.unique = STR("k");
    prepare_enqueue(&op, &task, 1);
    plan_fault("store.commit:1:fail");
    ask(b, &op);
    no_faults();
    assert_refused(&op, REFUSED_OTHERWISE, ERR_STORE, "commit");
    /* As long as the store may fail, changes are refused at once. */
    prepare_enqueue(&op, &task, 1);
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_STORE, "commit");
    pass_time(b, 2 * SECOND_US);
    assert_int_equal(take(b, &hand, 1), 0);
    assert_int_equal(enqueue(b, task), 1);
    assert_int_equal(take(b, &hand, 1), 1);
    assert_sound(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(ids_grow_and_are_of_one_sequence_with_jobs),
        ENGINE_TEST(a_list_is_taken_whole_or_not_at_all),
        ENGINE_TEST(what_cannot_be_right_is_refused),
        ENGINE_TEST(a_unique_key_is_one_task_until_that_ends),
        ENGINE_TEST(a_unique_key_within_a_list_is_seen),
        ENGINE_TEST(a_key_while_pending_is_free_when_the_task_runs),
        ENGINE_TEST(a_key_while_stored_is_known_after_the_end_and_a_restart),
        ENGINE_TEST(replacing_gives_a_waiting_task_other_arguments),
        ENGINE_TEST(a_child_waits_for_its_parents_over_a_restart),
        ENGINE_TEST(a_parent_that_has_completed_counts_and_one_that_is_not_there_is_named),
        ENGINE_TEST(a_circle_is_refused),
        ENGINE_TEST(who_waits_for_a_failed_parent_goes_on_when_that_is_retried),
        ENGINE_TEST(who_waits_for_a_cancelled_parent_is_cancelled_however_deep),
        ENGINE_TEST(who_waits_for_a_deleted_parent_is_cancelled),
        ENGINE_TEST(a_group_that_is_not_stored_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
