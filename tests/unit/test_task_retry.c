/* test_task_retry.c: what comes back waits as it did; what takes another's place is a task anew. */
#include "task_temp.h"

static void retry(struct bench *b, int64_t id, int64_t changed)
{
    struct task_filter filter = {.ids = &id, .id_count = 1};
    assert_int_equal(control_tasks(b, TASK_RETRY, filter), changed);
}

static void cancel_task(struct bench *b, int64_t id)
{
    struct task_filter filter = {.ids = &id, .id_count = 1};
    assert_int_equal(control_tasks(b, TASK_CANCEL, filter), 1);
}

static void delete_task(struct bench *b, int64_t id)
{
    struct task_filter filter = {.ids = &id, .id_count = 1};
    assert_int_equal(control_tasks(b, TASK_DELETE, filter), 1);
}

/* A parent, and a child that waits for it. */
static void enqueue_family(struct bench *b, int64_t *parent, int64_t *child, enum after_when when)
{
    static const int64_t after[] = {-1};
    struct task_new tasks[2] = {new_task("p"), new_task("c")};
    tasks[1].after = after;
    tasks[1].after_count = 1;
    tasks[1].after_when = when;
    enqueue_list(b, tasks, 2);
    *parent = tasks[0].id;
    *child = tasks[1].id;
}

static void work_off(struct bench *b, struct hand *hand, int64_t id)
{
    assert_int_equal(take(b, hand, 1), 1);
    assert_int_equal(hand->ids[0], id);
    complete(b, hand, id);
}

static void who_was_cancelled_waits_again_when_retried(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    for (int restarts = 0; restarts < 2; restarts++) {
        int64_t parent = 0, child = 0;
        enqueue_family(b, &parent, &child, AFTER_COMPLETED);
        cancel_task(b, child);
        if (restarts)
            reopen_engine(b);
        ASSERT_STATE(b, parent, JOB_PENDING);
        retry(b, child, 1);
        ASSERT_STATE(b, child, JOB_BLOCKED);
        if (restarts)
            reopen_engine(b);
        ASSERT_STATE(b, child, JOB_BLOCKED);
        assert_sound(b);
        work_off(b, &hand, parent);
        work_off(b, &hand, child);
        assert_sound(b);
    }
}

static void who_was_cancelled_with_its_parent_waits_for_it_again(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    int64_t parent = 0, child = 0;
    enqueue_family(b, &parent, &child, AFTER_COMPLETED);
    cancel_task(b, parent);
    ASSERT_STATE(b, child, JOB_CANCELLED);
    retry(b, child, 1);
    ASSERT_STATE(b, child, JOB_BLOCKED);
    reopen_engine(b);
    retry(b, parent, 1);
    work_off(b, &hand, parent);
    work_off(b, &hand, child);
    assert_sound(b);
}

/* A parent that is cancelled by the settlement with which the child comes. */
static void who_came_with_its_parents_end_waits_for_it_again(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct outcomes o;
    int64_t parent = enqueue(b, new_task("p"));
    struct task_new child = new_task("c");
    child.after = &parent;
    child.after_count = 1;
    take(b, &hand, 1);
    outcomes_begin(&o, &hand);
    outcome(&o, parent, TASK_ABORTED, NULL);
    o.op.task_settle.enqueue.tasks = &child;
    o.op.task_settle.enqueue.count = 1;
    ask(b, &o.op);
    assert_went_well(&o.op);
    op_release(&o.op);
    ASSERT_STATE(b, child.id, JOB_CANCELLED);
    reopen_engine(b);
    retry(b, child.id, 1);
    ASSERT_STATE(b, child.id, JOB_BLOCKED);
    retry(b, parent, 1);
    work_off(b, &hand, parent);
    work_off(b, &hand, child.id);
    assert_sound(b);
}

static void what_has_completed_meanwhile_is_not_waited_for(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    for (int gone = 0; gone < 2; gone++) {
        int64_t parent = 0, child = 0;
        enqueue_family(b, &parent, &child, AFTER_COMPLETED);
        cancel_task(b, child);
        work_off(b, &hand, parent);
        if (gone)
            delete_task(b, parent);
        retry(b, child, 1);
        reopen_engine(b);
        work_off(b, &hand, child);
        assert_sound(b);
    }
}

static void an_end_of_any_kind_is_enough_for_who_wants_no_more(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    int64_t parent = 0, child = 0;
    enqueue_family(b, &parent, &child, AFTER_ENDED);
    cancel_task(b, child);
    take(b, &hand, 1);
    fail_task(b, &hand, parent, true);
    retry(b, child, 1);
    work_off(b, &hand, child);
    assert_sound(b);
}

static void who_waited_for_what_was_deleted_does_not_come_back(void **state)
{
    struct bench *b = *state;
    int64_t parent = 0, child = 0;
    enqueue_family(b, &parent, &child, AFTER_COMPLETED);
    cancel_task(b, parent);
    delete_task(b, parent);
    retry(b, child, 0);
    ASSERT_STATE(b, child, JOB_CANCELLED);
    assert_sound(b);
}

static void who_waits_again_is_cancelled_when_its_parent_is_deleted(void **state)
{
    struct bench *b = *state;
    int64_t parent = 0, child = 0;
    enqueue_family(b, &parent, &child, AFTER_COMPLETED);
    cancel_task(b, parent);
    retry(b, child, 1);
    delete_task(b, parent);
    ASSERT_STATE(b, child, JOB_CANCELLED);
    assert_sound(b);
}

static void retention_cancels_who_waits_for_a_cancelled_one(void **state)
{
    struct bench *b = *state;
    int64_t parent = 0, child = 0;
    enqueue_family(b, &parent, &child, AFTER_COMPLETED);
    cancel_task(b, parent);
    retry(b, child, 1);
    pass_time(b, 8 * 24 * 3600 * SECOND_US);
    pass_time(b, 2 * SECOND_US);
    ASSERT_STATE(b, child, JOB_CANCELLED);
    assert_sound(b);
}

/* --- a unique key that somebody else has by now --- */

static struct task_new with_key(const char *function)
{
    struct task_new task = new_task(function);
    task.unique = STR("k");
    task.unique_while = UNIQUE_UNFINISHED;
    return task;
}

static void children_go_with_the_unique_key(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    int64_t old = enqueue(b, with_key("p"));
    struct task_new child = new_task("c");
    child.after = &old;
    child.after_count = 1;
    int64_t waits = enqueue(b, child);
    take(b, &hand, 1);
    fail_task(b, &hand, old, true);
    int64_t other = enqueue(b, with_key("p"));
    assert_int_not_equal(other, old);
    retry(b, old, 0);
    ASSERT_STATE(b, old, JOB_FAILED);
    reopen_engine(b);
    assert_sound(b);
    work_off(b, &hand, other);
    work_off(b, &hand, waits);
    assert_sound(b);
}

/* Who waits for both waits for the new one once. */
static void a_child_of_both_waits_once(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct op op;
    int64_t old = enqueue(b, with_key("p"));
    take(b, &hand, 1);
    fail_task(b, &hand, old, true);
    int64_t other = enqueue(b, with_key("p"));
    int64_t both[] = {old, other};
    struct task_new child = new_task("c");
    child.after = both;
    child.after_count = 2;
    int64_t waits = enqueue(b, child);
    retry(b, old, 0);
    const struct task_view *view = shown(b, &op, waits);
    assert_int_equal(view->parents_open, 1);
    assert_int_equal(view->parents[0], other);
    op_release(&op);
    assert_sound(b);
    work_off(b, &hand, other);
    work_off(b, &hand, waits);
    assert_sound(b);
}

/* What has the key for good has done the work: nobody runs it again, and nobody waits for it. */
static void who_waits_for_work_that_another_has_done_waits_no_more(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    for (int restarts = 0; restarts < 2; restarts++) {
        int64_t old = enqueue(b, with_key("p"));
        struct task_new child = new_task("c");
        child.after = &old;
        child.after_count = 1;
        int64_t waits = enqueue(b, child), cancelled = enqueue(b, child);
        take(b, &hand, 1);
        fail_task(b, &hand, old, true);
        cancel_task(b, cancelled);
        struct task_new stored = with_key("p");
        stored.unique_while = UNIQUE_STORED;
        int64_t other = enqueue(b, stored);
        /* While the other one has failed too it may yet be retried: they stay. */
        take(b, &hand, 1);
        fail_task(b, &hand, other, true);
        retry(b, old, 0);
        ASSERT_STATE(b, waits, JOB_BLOCKED);
        retry(b, other, 1);
        work_off(b, &hand, other);
        if (restarts)
            reopen_engine(b);
        retry(b, cancelled, 1);
        work_off(b, &hand, cancelled);
        retry(b, old, 0);
        ASSERT_STATE(b, old, JOB_FAILED);
        ASSERT_STATE(b, waits, JOB_PENDING);
        if (restarts)
            reopen_engine(b);
        work_off(b, &hand, waits);
        assert_sound(b);
        /* With that one the key is gone, also in the group that deletes it. */
        delete_task(b, other);
        retry(b, old, 1);
        work_off(b, &hand, old);
        assert_sound(b);
    }
}

static void who_comes_back_waits_for_who_has_its_parents_key(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    int64_t old = enqueue(b, with_key("p"));
    struct task_new child = new_task("c");
    child.after = &old;
    child.after_count = 1;
    int64_t waits = enqueue(b, child);
    cancel_task(b, old);
    ASSERT_STATE(b, waits, JOB_CANCELLED);
    int64_t other = enqueue(b, with_key("p"));
    /* Both by one request: the parent, which stays as it is, comes first. */
    int64_t ids[] = {old, waits};
    assert_int_equal(control_tasks(b, TASK_RETRY, (struct task_filter){.ids = ids, .id_count = 2}),
                     1);
    ASSERT_STATE(b, waits, JOB_BLOCKED);
    reopen_engine(b);
    assert_sound(b);
    work_off(b, &hand, other);
    work_off(b, &hand, waits);
    assert_sound(b);
}

static void who_comes_back_does_not_wait_for_who_waits_for_it(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    int64_t old = enqueue(b, with_key("p"));
    struct task_new child = new_task("c");
    child.after = &old;
    child.after_count = 1;
    int64_t waits = enqueue(b, child);
    take(b, &hand, 1);
    complete(b, &hand, old);
    take(b, &hand, 1);
    fail_task(b, &hand, waits, true);
    /* It has completed, so it is not waited for, whoever has its key. */
    struct task_new next = with_key("p");
    next.after = &waits;
    next.after_count = 1;
    int64_t other = enqueue(b, next);
    retry(b, waits, 1);
    ASSERT_STATE(b, waits, JOB_PENDING);
    work_off(b, &hand, waits);
    work_off(b, &hand, other);
    assert_sound(b);
}

static void nobody_is_made_to_wait_for_itself(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    int64_t old = enqueue(b, with_key("p"));
    struct task_new child = new_task("c");
    child.after = &old;
    child.after_count = 1;
    int64_t waits = enqueue(b, child);
    take(b, &hand, 1);
    fail_task(b, &hand, old, true);
    /* The new one waits for the child of the old one. */
    struct task_new again = with_key("p");
    again.after = &waits;
    again.after_count = 1;
    int64_t other = enqueue(b, again);
    retry(b, old, 0);
    ASSERT_STATE(b, waits, JOB_BLOCKED);
    cancel_task(b, other);
    retry(b, old, 1);
    work_off(b, &hand, old);
    work_off(b, &hand, waits);
    assert_sound(b);
}

/* --- replacing --- */

static void a_replacement_is_a_task_anew_under_the_old_id(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct op op;
    int64_t parent = enqueue(b, new_task("p"));
    struct task_new task = with_key("f");
    task.options = STR("{\"retry\":{\"kind\":\"fixed\",\"delay_s\":60}}");
    assert_int_equal(take(b, &hand, 1), 1);
    int64_t id = enqueue(b, task);
    assert_int_equal(take(b, &hand, 1), 1);
    fail_task(b, &hand, id, false);
    struct task_new other = with_key("g");
    other.on_clash = CLASH_REPLACE;
    other.queue = STR("q");
    other.key = STR("d");
    other.batch = STR("b");
    other.lock = STR("l");
    other.arguments = STR("[1]");
    other.after = &parent;
    other.after_count = 1;
    assert_int_equal(enqueue(b, other), id);
    for (int restarts = 0; restarts < 2; restarts++) {
        const struct task_view *v = shown(b, &op, id);
        assert_string_equal(v->function, "g");
        assert_string_equal(v->queue, "q");
        assert_string_equal(v->key, "d");
        assert_string_equal(v->batch, "b");
        assert_string_equal(v->lock, "l");
        assert_string_equal(v->arguments, "[1]");
        assert_true(v->state == JOB_BLOCKED && v->attempts == 0 && v->fence == 1 && !v->error);
        assert_true(v->parents_open == 1 && v->parents[0] == parent);
        op_release(&op);
        assert_sound(b);
        reopen_engine(b);
    }
    complete(b, &hand, parent);
    assert_int_equal(take(b, &hand, 1), 1);
    assert_int_equal(hand.ids[0], id);
    assert_sound(b);
}

static void a_replacement_waits_no_more_for_what_the_old_one_did(void **state)
{
    struct bench *b = *state;
    int64_t parent = enqueue(b, new_task("p"));
    struct task_new task = with_key("f");
    task.after = &parent;
    task.after_count = 1;
    int64_t id = enqueue(b, task);
    ASSERT_STATE(b, id, JOB_BLOCKED);
    task.after_count = 0;
    task.on_clash = CLASH_REPLACE;
    assert_int_equal(enqueue(b, task), id);
    ASSERT_STATE(b, id, JOB_PENDING);
    reopen_engine(b);
    ASSERT_STATE(b, id, JOB_PENDING);
    assert_sound(b);
}

static void who_waited_for_the_old_one_waits_for_its_replacement(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct task_new child = new_task("c"), other = with_key("g");
    int64_t id = enqueue(b, with_key("f"));
    child.after = &id;
    child.after_count = 1;
    int64_t waits = enqueue(b, child);
    other.on_clash = CLASH_REPLACE;
    enqueue(b, other);
    ASSERT_STATE(b, waits, JOB_BLOCKED);
    work_off(b, &hand, id);
    work_off(b, &hand, waits);
    assert_sound(b);
}

static void a_replacement_that_would_wait_for_itself_is_refused(void **state)
{
    struct bench *b = *state;
    struct task_new child = new_task("c"), other = with_key("g");
    int64_t id = enqueue(b, with_key("f"));
    child.after = &id;
    child.after_count = 1;
    int64_t waits = enqueue(b, child);
    other.on_clash = CLASH_REPLACE;
    other.after = &waits;
    other.after_count = 1;
    enqueue_refused(b, &other, 1, REFUSED_OTHERWISE, ERR_INVALID, "wait for itself");
    /* The same through another one of the list, and through the place of the replacement. */
    struct task_new list[2] = {other, child};
    static const int64_t second[] = {-2}, first[] = {-1};
    list[0].after = second;
    enqueue_refused(b, list, 2, REFUSED_OTHERWISE, ERR_INVALID, "wait for itself");
    list[1].after = first;
    enqueue_refused(b, list, 2, REFUSED_OTHERWISE, ERR_INVALID, "wait for itself");
    list[1].after_count = 0;
    enqueue_list(b, list, 2);
    ASSERT_STATE(b, id, JOB_BLOCKED);
    assert_sound(b);
}

static void one_of_a_list_replaces_an_earlier_one_of_it(void **state)
{
    struct bench *b = *state;
    static const int64_t first[] = {-1}, third[] = {-3};
    struct task_new list[3] = {with_key("f"), with_key("g"), new_task("p")};
    list[1].on_clash = CLASH_REPLACE;
    list[1].after = third;
    list[1].after_count = 1;
    enqueue_list(b, list, 3);
    assert_int_equal(list[1].id, list[0].id);
    ASSERT_STATE(b, list[0].id, JOB_BLOCKED);
    reopen_engine(b);
    ASSERT_STATE(b, list[0].id, JOB_BLOCKED);
    list[2].after = first;
    list[2].after_count = 1;
    enqueue_refused(b, list, 3, REFUSED_OTHERWISE, ERR_INVALID, "");
    assert_sound(b);
}

static void what_has_ended_is_not_replaced(void **state)
{
    struct bench *b = *state;
    struct hand hand = {0};
    struct task_new task = with_key("f");
    task.unique_while = UNIQUE_STORED;
    work_off(b, &hand, enqueue(b, task));
    task.on_clash = CLASH_REPLACE;
    enqueue_refused(b, &task, 1, REFUSED_UNIQUE_TAKEN, ERR_CONFLICT, "has ended");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(who_was_cancelled_waits_again_when_retried),
        ENGINE_TEST(who_was_cancelled_with_its_parent_waits_for_it_again),
        ENGINE_TEST(who_came_with_its_parents_end_waits_for_it_again),
        ENGINE_TEST(what_has_completed_meanwhile_is_not_waited_for),
        ENGINE_TEST(an_end_of_any_kind_is_enough_for_who_wants_no_more),
        ENGINE_TEST(who_waited_for_what_was_deleted_does_not_come_back),
        ENGINE_TEST(who_waits_again_is_cancelled_when_its_parent_is_deleted),
        ENGINE_TEST(retention_cancels_who_waits_for_a_cancelled_one),
        ENGINE_TEST(children_go_with_the_unique_key),
        ENGINE_TEST(a_child_of_both_waits_once),
        ENGINE_TEST(who_waits_for_work_that_another_has_done_waits_no_more),
        ENGINE_TEST(who_comes_back_waits_for_who_has_its_parents_key),
        ENGINE_TEST(who_comes_back_does_not_wait_for_who_waits_for_it),
        ENGINE_TEST(nobody_is_made_to_wait_for_itself),
        ENGINE_TEST(a_replacement_is_a_task_anew_under_the_old_id),
        ENGINE_TEST(a_replacement_waits_no_more_for_what_the_old_one_did),
        ENGINE_TEST(who_waited_for_the_old_one_waits_for_its_replacement),
        ENGINE_TEST(a_replacement_that_would_wait_for_itself_is_refused),
        ENGINE_TEST(one_of_a_list_replaces_an_earlier_one_of_it),
        ENGINE_TEST(what_has_ended_is_not_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
