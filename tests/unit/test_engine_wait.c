/* Claims that wait: who is woken by what, who is sent home, and when. claim.c, watch.c. */
#include "engine_temp.h"

#include <poll.h>

enum { DEADLINE_MS = 20000 };

/* --- waiting ------------------------------------------------------------------------------------
 */

static void prepare_waiting(struct bench *b, struct op *op, int64_t max, int64_t seconds)
{
    prepare_claim(op, "job", max);
    op->claim.wait_until_us = seconds ? b->now.mono_us + seconds * SECOND_US : NEVER_US;
}

static void a_claim_that_waits_is_answered_empty_when_its_time_is_over(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 1);
    assert_int_equal(claim(b, 1), 1);
    prepare_waiting(b, &op, 1, 5);
    assert_true(STEP(b, &op));
    assert_false(is_answered(&op));
    assert_true(engine_next_us(b->engine) == op.claim.wait_until_us);
    pass_time(b, 5 * SECOND_US - 1);
    assert_false(is_answered(&op));
    pass_time(b, 1);
    assert_went_well(&op);
    assert_true(str_is(buf_str(&op.claim.records), "[]"));
    assert_false(op.claim.finished);
    assert_true(engine_next_us(b->engine) == NEVER_US);
    op_release(&op);
}

static void who_waits_longest_gets_what_comes_back(void **state)
{
    struct bench *b = *state;
    struct op ops[3], late;
    struct settling s;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    for (int i = 0; i < 3; i++) {
        prepare_waiting(b, &ops[i], 1, i == 1 ? 0 : 60);
        assert_true(STEP(b, &ops[i]));
    }
    settling_begin(&s, "job");
    settling_add(&s, 1, true, "\"no\"");
    settling_add(&s, 2, true, "\"no\"");
    ask(b, &s.op);
    assert_true(str_is(buf_str(&ops[0].claim.records), "[[1,{\"n\":1}]]"));
    assert_true(str_is(buf_str(&ops[1].claim.records), "[[2,{\"n\":2}]]"));
    assert_false(is_answered(&ops[2]));
    /* Whoever comes now and may wait stands behind. */
    prepare_waiting(b, &late, 1, 60);
    settling_begin(&s, "job");
    settling_add(&s, 0, true, "\"no\"");
    assert_true(STEP(b, &late, &s.op));
    assert_went_well(&ops[2]);
    assert_false(is_answered(&late));
    engine_end_waits(b->engine);
    assert_int_equal(late.err.code, ERR_BUSY);
    for (int i = 0; i < 3; i++)
        op_release(&ops[i]);
    op_release(&late);
}

static void those_who_wait_are_sent_home_when_the_job_completes(void **state)
{
    struct bench *b = *state;
    struct op one, two;
    start_lines(b, 1);
    assert_int_equal(claim(b, 1), 1);
    prepare_waiting(b, &one, 1, 0);
    prepare_waiting(b, &two, 1, 60);
    assert_true(STEP(b, &one, &two));
    assert_false(is_answered(&one));
    settle(b, 0, 1);
    assert_went_well(&one);
    assert_went_well(&two);
    assert_true(one.claim.finished && two.claim.finished);
    op_release(&one);
    op_release(&two);
}

static void nobody_is_told_of_an_end_that_is_not_stored(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 1);
    assert_int_equal(claim(b, 1), 1);
    prepare_waiting(b, &op, 1, 0);
    assert_true(STEP(b, &op));
    plan_fault("store.commit:3:full"); /* of the length, of the result, of the end */
    settle(b, 0, 1);
    assert_false(is_answered(&op));
    no_faults();
    pass_time(b, 10 * SECOND_US);
    assert_went_well(&op);
    assert_true(op.claim.finished);
    op_release(&op);
    reopen_engine(b);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

/* Nobody may be left to ask it for more. */
static void an_end_that_was_not_stored_comes_by_itself_after_a_restart(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 1);
    assert_int_equal(claim(b, 1), 1);
    assert_int_equal(claim(b, 1), 0);
    plan_fault("store.commit:3:full"); /* of the length, of the result, of the end */
    settle(b, 0, 1);
    no_faults();
    reopen_engine(b);
    assert_true(engine_next_us(b->engine) <= b->now.mono_us);
    pass_time(b, 0);
    assert_true(engine_next_us(b->engine) == NEVER_US);
    prepare(&op, OP_STATS, "");
    ask(b, &op);
    assert_int_equal(op.stats.finished_count, 1);
    op_release(&op);
    reopen_engine(b);
    assert_true(engine_next_us(b->engine) == NEVER_US);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

static void a_paused_job_hands_out_nothing_until_it_is_resumed(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 2);
    control(b, "job", CONTROL_PAUSE);
    assert_claim(b, 1, "[]");
    prepare_waiting(b, &op, 1, 60);
    assert_true(STEP(b, &op));
    assert_false(is_answered(&op));
    control(b, "job", CONTROL_RESUME);
    assert_went_well(&op);
    assert_true(str_is(buf_str(&op.claim.records), "[[0,{\"n\":0}]]"));
    op_release(&op);
}

/* A worker that takes an empty answer for the end of the data must wait however long it takes, and
 * the engine must sleep meanwhile. */
static void who_waits_for_a_paused_job_waits_whatever_its_time(void **state)
{
    struct bench *b = *state;
    struct op with_time, without;
    start_lines(b, 2);
    control(b, "job", CONTROL_PAUSE);
    prepare_waiting(b, &with_time, 1, 5);
    prepare_claim(&without, "job", 1);
    with_time.claim.wait_paused = without.claim.wait_paused = true;
    assert_true(STEP(b, &with_time, &without));
    assert_true(engine_next_us(b->engine) == NEVER_US);
    pass_time(b, 60 * SECOND_US);
    assert_false(is_answered(&with_time));
    assert_false(is_answered(&without));
    assert_true(engine_next_us(b->engine) == NEVER_US);
    control(b, "job", CONTROL_RESUME);
    assert_went_well(&with_time);
    assert_went_well(&without);
    assert_int_equal(with_time.claim.count, 1);
    assert_int_equal(without.claim.count, 1);
    op_release(&with_time);
    op_release(&without);
}

static void who_waits_for_others_leases_waits_as_long_as_there_are_any(void **state)
{
    struct bench *b = *state;
    struct op leased, op;
    struct settling s;
    start_lines(b, 2);
    assert_int_equal(claim(b, 1), 1); /* without a lease: it never comes back by itself */
    prepare_claim(&leased, "job", 1);
    leased.claim.lease_us = 30 * SECOND_US;
    ask(b, &leased);
    prepare_claim(&op, "job", 1);
    op.claim.wait_leased = true;
    assert_true(STEP(b, &op));
    assert_false(is_answered(&op));
    assert_true(engine_next_us(b->engine) == b->now.mono_us + 30 * SECOND_US);
    prepare_results(&s, 1, 1);
    s.op.settle.has_lease = true;
    memcpy(s.op.settle.token, leased.claim.token, sizeof s.op.settle.token);
    ask(b, &s.op);
    assert_went_well(&s.op);
    /* Nothing can come back any more: it is told so, without waiting for anybody else's op. */
    if (!is_answered(&op)) {
        assert_true(engine_next_us(b->engine) <= b->now.mono_us);
        pass_time(b, 0);
    }
    assert_went_well(&op);
    assert_int_equal(op.claim.count, 0);
    op_release(&op);
    op_release(&leased);
}

static void what_a_lease_gives_back_goes_to_who_waits(void **state)
{
    struct bench *b = *state;
    struct op leased, op;
    start_lines(b, 1);
    prepare_claim(&leased, "job", 1);
    leased.claim.lease_us = 30 * SECOND_US;
    ask(b, &leased);
    prepare_claim(&op, "job", 1);
    op.claim.wait_leased = true;
    assert_true(STEP(b, &op));
    pass_time(b, 30 * SECOND_US);
    assert_went_well(&op);
    assert_true(str_is(buf_str(&op.claim.records), "[[0,{\"n\":0}]]"));
    op_release(&op);
    op_release(&leased);
}

static void a_clean_start_serves_those_who_wait(void **state)
{
    struct bench *b = *state;
    struct op waiting, op;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    prepare_waiting(b, &waiting, 1, 60);
    assert_true(STEP(b, &waiting));
    prepare_start(b, &op, "job");
    op.start.clean_start = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_went_well(&waiting);
    assert_true(str_is(buf_str(&waiting.claim.records), "[[0,{\"n\":0}]]"));
    op_release(&waiting);
}

/* --- growth -------------------------------------------------------------------------------------
 */

/* Steps as the intake would: when the descriptor can be read or a deadline has come. */
static void wait_for_growth(struct bench *b)
{
    struct pollfd fd = {engine_watch_fd(b->engine), POLLIN, 0};
    assert_true(fd.fd >= 0);
    if (poll(&fd, 1, DEADLINE_MS) != 1)
        fail_msg("nothing was told of the input for %d s", DEADLINE_MS / 1000);
    pass_time(b, 1);
}

static void a_claim_that_waits_is_woken_by_lines_that_are_appended(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 1);
    assert_int_equal(claim(b, 1), 1);
    for (int round = 1; round < 4; round++) {
        prepare_waiting(b, &op, 5, 60);
        assert_true(STEP(b, &op));
        assert_false(is_answered(&op));
        put_lines(b, "data/in.jsonl", round, 1);
        wait_for_growth(b);
        assert_went_well(&op);
        assert_int_equal(op.claim.count, 1);
        op_release(&op);
    }
}

/* The watch fires once; who waits later must be woken too. */
static void growth_that_nobody_waited_for_does_not_use_up_the_watch(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 1);
    assert_int_equal(claim(b, 1), 1);
    prepare_waiting(b, &op, 1, 1);
    assert_true(STEP(b, &op));
    pass_time(b, 1 * SECOND_US);
    assert_went_well(&op);
    op_release(&op);
    put_lines(b, "data/in.jsonl", 1, 1);
    wait_for_growth(b);
    assert_int_equal(claim(b, 1), 1);
    prepare_waiting(b, &op, 1, 60);
    assert_true(STEP(b, &op));
    assert_false(is_answered(&op));
    put_lines(b, "data/in.jsonl", 2, 1);
    wait_for_growth(b);
    assert_went_well(&op);
    assert_int_equal(op.claim.count, 1);
    op_release(&op);
}

static void an_input_that_was_opened_anew_is_watched_anew(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 1);
    assert_int_equal(claim(b, 1), 1);
    prepare_waiting(b, &op, 1, 60);
    assert_true(STEP(b, &op));
    /* Another file of the same beginning takes its name; the repair opens that one. */
    put_lines(b, "data/new.jsonl", 0, 1);
    assert_int_equal(rename(path_of(b, "data/new.jsonl"), path_of(b, "data/in.jsonl")), 0);
    control(b, "job", CONTROL_REPAIR);
    assert_went_well(&op);
    op_release(&op);
    prepare_waiting(b, &op, 1, 60);
    assert_true(STEP(b, &op));
    pass_time(b, 1);
    assert_false(is_answered(&op));
    put_lines(b, "data/in.jsonl", 1, 1);
    wait_for_growth(b);
    assert_went_well(&op);
    assert_int_equal(op.claim.count, 1);
    op_release(&op);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_claim_that_waits_is_answered_empty_when_its_time_is_over),
        ENGINE_TEST(who_waits_longest_gets_what_comes_back),
        ENGINE_TEST(those_who_wait_are_sent_home_when_the_job_completes),
        ENGINE_TEST(nobody_is_told_of_an_end_that_is_not_stored),
        ENGINE_TEST(an_end_that_was_not_stored_comes_by_itself_after_a_restart),
        ENGINE_TEST(a_paused_job_hands_out_nothing_until_it_is_resumed),
        ENGINE_TEST(who_waits_for_a_paused_job_waits_whatever_its_time),
        ENGINE_TEST(who_waits_for_others_leases_waits_as_long_as_there_are_any),
        ENGINE_TEST(what_a_lease_gives_back_goes_to_who_waits),
        ENGINE_TEST(a_clean_start_serves_those_who_wait),
        ENGINE_TEST(a_claim_that_waits_is_woken_by_lines_that_are_appended),
        ENGINE_TEST(growth_that_nobody_waited_for_does_not_use_up_the_watch),
        ENGINE_TEST(an_input_that_was_opened_anew_is_watched_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
