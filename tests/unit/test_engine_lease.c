/* What a lease has to do with settling: who holds what, until when, and what comes back. settle.c.
 */
#include "engine_temp.h"

static void only_its_holder_settles_a_leased_record(void **state)
{
    struct bench *b = *state;
    struct op one, two;
    struct settling s;
    start_lines(b, 4);
    claim_leased(b, &one, 2, 30);
    claim_leased(b, &two, 2, 30);
    prepare_results(&s, 0, 1);
    with_lease(&s, &two);
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_NEVER_SERVED, ERR_CONFLICT, "record 0 is not held by this lease");
    with_lease(&s, &one);
    s.op.settle.token[0] ^= 1;
    s.op.context = NULL;
    s.op.err = (struct err){0};
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_LEASE_ENDED, ERR_CONFLICT, "the lease has ended");
    prepare_results(&s, 0, 2);
    with_lease(&s, &one);
    ask(b, &s.op);
    assert_settled(&s, 2, 0, 0, 0);
    /* Who asks again, since the answer got lost, is no liar; its lease is gone by now. */
    prepare_results(&s, 0, 2);
    with_lease(&s, &one);
    ask(b, &s.op);
    assert_settled(&s, 0, 2, 0, 0);
    op_release(&one);
    op_release(&two);
}

static void a_lease_that_ends_gives_its_records_back(void **state)
{
    struct bench *b = *state;
    struct op one;
    struct settling s;
    b->spec.max_attempts = 2;
    start_lines(b, 3);
    claim_leased(b, &one, 3, 30);
    prepare_results(&s, 0, 1);
    with_lease(&s, &one);
    ask(b, &s.op);
    pass_time(b, SECOND_US); /* the result is settled: nothing else is due */
    assert_true(engine_next_us(b->engine) == b->now.mono_us + 29 * SECOND_US);
    pass_time(b, 30 * SECOND_US);
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.served, 0);
    assert_int_equal(c.unread, 2);
    op_release(&one);
    /* The second attempt is the last, and each record makes it alone. */
    claim_leased(b, &one, 3, 30);
    assert_int_equal(one.claim.count, 1);
    pass_time(b, 30 * SECOND_US);
    assert_int_equal(counts_of(b, "job").failed, 1);
    /* Its line waits for the next group that has something to say: this very one. */
    assert_text_has(b, "data/out.jsonl.errors.jsonl",
                    "\"reason\":\"its lease ended on the last attempt\"");
    op_release(&one);
    struct op stats;
    prepare(&stats, OP_STATS, "");
    ask(b, &stats);
    assert_int_equal(stats.stats.leases_ended_total, 2);
    op_release(&stats);
}

static void a_late_result_without_a_token_is_taken(void **state)
{
    struct bench *b = *state;
    struct op one;
    struct settling s;
    start_lines(b, 1);
    claim_leased(b, &one, 1, 30);
    pass_time(b, 31 * SECOND_US);
    prepare_results(&s, 0, 1);
    with_lease(&s, &one);
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_LEASE_ENDED, ERR_CONFLICT, "served again");
    settle(b, 0, 1);
    assert_claim(b, 1, "[]");
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    op_release(&one);
}

static void a_result_without_a_token_leaves_the_lease_that_held_it(void **state)
{
    struct bench *b = *state;
    struct op one;
    start_lines(b, 2);
    claim_leased(b, &one, 2, 30);
    settle(b, 0, 2);
    assert_true(engine_next_us(b->engine) == NEVER_US || engine_next_us(b->engine) > 0);
    struct job_view view = view_of(b, "job");
    assert_int_equal(view.leases, 0);
    job_view_release(&view);
    op_release(&one);
}

static void a_lease_can_be_extended_by_its_holder(void **state)
{
    struct bench *b = *state;
    struct op one, more;
    start_lines(b, 2);
    claim_leased(b, &one, 2, 30);
    pass_time(b, 20 * SECOND_US);
    prepare(&more, OP_EXTEND, "job");
    more.lease.has_lease = true;
    memcpy(more.lease.token, one.claim.token, LEASE_TOKEN_BYTES);
    more.lease.lease_us = 40 * SECOND_US;
    ask(b, &more);
    assert_went_well(&more);
    assert_int_equal(more.lease.lease_ends_at_us, b->now.wall_us + 40 * SECOND_US);
    pass_time(b, 39 * SECOND_US);
    assert_int_equal(counts_of(b, "job").served, 2);
    prepare(&more, OP_EXTEND, "job");
    memcpy(more.lease.token, one.claim.token, LEASE_TOKEN_BYTES);
    ask(b, &more); /* the job has no time of its own */
    assert_refused(&more, REFUSED_OTHERWISE, ERR_INVALID, "how long?");
    pass_time(b, 1 * SECOND_US);
    prepare(&more, OP_EXTEND, "job");
    memcpy(more.lease.token, one.claim.token, LEASE_TOKEN_BYTES);
    ask(b, &more);
    assert_refused(&more, REFUSED_LEASE_ENDED, ERR_CONFLICT, "the lease has ended");
    op_release(&one);
}

static void what_is_released_goes_out_again_without_an_attempt(void **state)
{
    struct bench *b = *state;
    struct op one, back;
    b->spec.max_attempts = 1;
    start_lines(b, 4);
    claim_leased(b, &one, 4, 30);
    prepare(&back, OP_RELEASE, "job");
    back.lease.has_lease = true;
    memcpy(back.lease.token, one.claim.token, LEASE_TOKEN_BYTES);
    ask(b, &back);
    assert_went_well(&back);
    prepare(&back, OP_RELEASE, "job");
    back.lease.has_lease = true;
    memcpy(back.lease.token, one.claim.token, LEASE_TOKEN_BYTES);
    ask(b, &back);
    assert_refused(&back, REFUSED_LEASE_ENDED, ERR_CONFLICT, "the lease has ended");
    op_release(&one);
    /* Without a lease the claim's own answer says what. */
    prepare_claim(&one, "job", 2);
    ask(b, &one);
    settle(b, 0, 1);
    prepare(&back, OP_RELEASE, "job");
    back.lease.records = buf_str(&one.claim.records);
    ask(b, &back);
    assert_went_well(&back);
    op_release(&one);
    assert_claim(b, 9, "[[1,{\"n\":1}],[2,{\"n\":2}],[3,{\"n\":3}]]");
    /* What is no claim's answer is passed over. */
    prepare(&back, OP_RELEASE, "job");
    back.lease.records = STR("[[1,2],[99,1],[-5,1],[2],{}]");
    ask(b, &back);
    assert_went_well(&back);
    assert_claim(b, 9, "[[1,{\"n\":1}]]");
}

static void a_reading_job_is_told_by_its_lease_that_it_is_done(void **state)
{
    struct bench *b = *state;
    struct op one;
    struct settling s;
    b->spec.mode = MODE_READ;
    b->spec.sink_format = FORMAT_NONE;
    free(TAKE(b->spec.sink_path));
    start_lines(b, 2);
    claim_leased(b, &one, 2, 30);
    prepare_results(&s, 0, 2);
    with_lease(&s, &one);
    ask(b, &s.op);
    assert_settled(&s, 2, 0, 0, 0);
    assert_claim(b, 1, "[]");
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    op_release(&one);
}

/* Somebody sets the clock: leases go by the other one, which nobody sets. */
static void a_wall_clock_that_jumps_ends_no_lease_and_keeps_none(void **state)
{
    static const int64_t jumps_us[] = {86400 * SECOND_US, -2 * 86400 * SECOND_US};
    struct bench *b = *state;
    struct op op;
    start_lines(b, 2);
    for (size_t i = 0; i < 2; i++) {
        claim_leased(b, &op, 2, 10);
        op_release(&op);
        b->now.wall_us += jumps_us[i];
        pass_time(b, 9 * SECOND_US);
        assert_int_equal(counts_of(b, "job").served, 2);
        pass_time(b, 1 * SECOND_US);
        assert_int_equal(counts_of(b, "job").unread, 2);
    }
    assert_int_equal(claim(b, 2), 2);
    settle(b, 0, 2);
    reopen_engine(b);
    assert_claim(b, 1, "[]");
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(only_its_holder_settles_a_leased_record),
        ENGINE_TEST(a_lease_that_ends_gives_its_records_back),
        ENGINE_TEST(a_late_result_without_a_token_is_taken),
        ENGINE_TEST(a_result_without_a_token_leaves_the_lease_that_held_it),
        ENGINE_TEST(a_lease_can_be_extended_by_its_holder),
        ENGINE_TEST(what_is_released_goes_out_again_without_an_attempt),
        ENGINE_TEST(a_reading_job_is_told_by_its_lease_that_it_is_done),
        ENGINE_TEST(a_wall_clock_that_jumps_ends_no_lease_and_keeps_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
