/* test_engine_flow_context.c: the values that the Workers of a flow share, and its lock. */
#include "flow_hand_temp.h"

static void put_value(struct bench *b, const char *key, const char *value, int64_t only_if,
                      enum op_refusal refusal, int64_t version)
{
    struct op op;
    prepare(&op, OP_FLOW_PUT, "f");
    op.flow_put.key = str_of(key);
    op.flow_put.gone = !value;
    op.flow_put.value = str_of(value);
    op.flow_put.bytes = value ? (int64_t)strlen(value) : 0;
    op.flow_put.only_if = only_if;
    ask(b, &op);
    assert_int_equal(op.refusal, refusal);
    assert_int_equal(op.flow_put.version, version);
    op_release(&op);
}

static void assert_value(struct bench *b, const char *key, const char *value, size_t len)
{
    struct op op;
    prepare(&op, OP_FLOW_GET, "f");
    op.flow_get.key = str_of(key);
    ask(b, &op);
    assert_went_well(&op);
    assert_int_equal(op.flow_get.value.len, len);
    if (len)
        assert_memory_equal(op.flow_get.value.data, value, len);
    op_release(&op);
}

static void values_are_put_on_condition(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_flow(b, "1", "\"context\":{\"A\":\"x\"}");
    assert_value(b, "A", "\x80\x02X\x01\0\0\0x.", 9);
    put_value(b, "B", "1", -1, REFUSED_OTHERWISE, 2);
    put_value(b, "B", "2", 0, REFUSED_VERSION, 0);
    put_value(b, "B", "2", 1, REFUSED_VERSION, 0);
    put_value(b, "B", "22", 2, REFUSED_OTHERWISE, 3);
    put_value(b, "C", "", 0, REFUSED_OTHERWISE, 4);
    put_value(b, "C", NULL, 3, REFUSED_VERSION, 0);
    put_value(b, "C", NULL, 4, REFUSED_OTHERWISE, 0);
    reopen_engine(b);
    assert_value(b, "B", "22", 2);
    put_value(b, "C", "", 0, REFUSED_OTHERWISE, 5);
    assert_value(b, "C", "", 0);
    prepare(&op, OP_FLOW_GET, "f");
    ask(b, &op);
    assert_int_equal(op.flow_get.count, 3);
    assert_string_equal(op.flow_get.values[1].key, "B");
    assert_int_equal(op.flow_get.values[1].version, 3);
    op_release(&op);
    prepare(&op, OP_FLOW_PUT, "f");
    op.flow_put.key = STR("gone");
    op.flow_put.gone = true;
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "there is no key gone");
    op_release(&op);
    prepare(&op, OP_FLOW_GET, "f");
    op.flow_get.key = STR("gone");
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "there is no key gone");
    op_release(&op);
}

static void the_context_goes_with_a_fresh_run_only(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_flow(b, "1", "");
    put_value(b, "K", "v", -1, REFUSED_OTHERWISE, 1);
    assert_taken(b, 9, "1");
    fail_node(b, 1);
    start_flow(b, "1", "\"restart\":true");
    assert_value(b, "K", "v", 1);
    assert_taken(b, 9, "1");
    fail_node(b, 1);
    start_flow(b, "1", "\"keep_context\":true");
    assert_value(b, "K", "v", 1);
    assert_taken(b, 9, "1");
    fail_node(b, 1);
    start_flow(b, "1", "");
    prepare(&op, OP_FLOW_GET, "f");
    ask(b, &op);
    assert_int_equal(op.flow_get.count, 0);
    op_release(&op);
    put_value(b, "K", "v", -1, REFUSED_OTHERWISE, 2);
}

/* --- the lock --- */

static struct op *prepare_lock(struct op *op, int64_t task, int64_t fence, bool unlock,
                               int64_t wait_until_us)
{
    prepare(op, OP_FLOW_LOCK, "f");
    op->flow_lock.task = task;
    op->flow_lock.fence = fence;
    op->flow_lock.unlock = unlock;
    op->flow_lock.wait_until_us = wait_until_us;
    return op;
}

static void assert_lock(struct bench *b, int64_t task, bool unlock, bool locked)
{
    struct op op;
    ask(b, prepare_lock(&op, task, 1, unlock, 0));
    assert_went_well(&op);
    assert_int_equal(op.flow_lock.locked, locked);
    op_release(&op);
}

static void one_has_the_lock_at_a_time(void **state)
{
    struct bench *b = *state;
    struct op second, third, late;
    start_flow(b, "1 2 3", "");
    assert_taken(b, 9, "1 2 3");
    int64_t one = worker.ids[0], two = worker.ids[1], three = worker.ids[2];
    int64_t later = b->now.mono_us + 100 * SECOND_US;
    assert_lock(b, one, false, true);
    assert_lock(b, one, false, true); /* its answer was lost */
    assert_lock(b, two, false, false);
    assert_true(STEP(b, prepare_lock(&second, two, 1, false, later)));
    assert_true(STEP(b, prepare_lock(&third, three, 1, false, later)));
    assert_true(STEP(b, prepare_lock(&late, three, 1, false, b->now.mono_us + SECOND_US)));
    pass_time(b, 2 * SECOND_US);
    assert_true(is_answered(&late));
    assert_false(late.flow_lock.locked);
    op_release(&late);
    assert_lock(b, two, true, false); /* not its own */
    assert_false(is_answered(&second));
    assert_lock(b, one, true, false);
    assert_true(is_answered(&second) && second.flow_lock.locked);
    assert_false(is_answered(&third));
    op_release(&second);
    complete(b, &worker, two); /* without having let go of it */
    assert_true(is_answered(&third) && third.flow_lock.locked);
    op_release(&third);
    reopen_engine(b);
    assert_lock(b, one, false, false); /* it outlives the server */
    struct op op;
    ask(b, prepare_lock(&op, two, 1, false, 0));
    assert_refused(&op, REFUSED_STALE, ERR_CONFLICT, "does not run in flow f");
    op_release(&op);
    ask(b, prepare_lock(&op, one, 2, false, 0));
    assert_refused(&op, REFUSED_STALE, ERR_CONFLICT, "with fence 2");
    op_release(&op);
}

static void who_waits_for_a_lock_and_runs_no_more_is_refused(void **state)
{
    struct bench *b = *state;
    struct op second;
    start_flow(b, "1 2", "");
    assert_taken(b, 9, "1 2");
    assert_lock(b, worker.ids[0], false, true);
    assert_true(
        STEP(b, prepare_lock(&second, worker.ids[1], 1, false, b->now.mono_us + 100 * SECOND_US)));
    fail_task(b, &worker, worker.ids[1], false);
    assert_refused(&second, REFUSED_STALE, ERR_CONFLICT, "does not run");
    op_release(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FLOW_TEST(values_are_put_on_condition),
        FLOW_TEST(the_context_goes_with_a_fresh_run_only),
        FLOW_TEST(one_has_the_lock_at_a_time),
        FLOW_TEST(who_waits_for_a_lock_and_runs_no_more_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
