/* Limits of a job: slots among sessions, the pace of starts, delays between attempts. limits.c and
 * what claim.c and settle.c make of it. */
#include "core/pace.h"
#include "engine_temp.h"

struct worker {
    uint8_t token[LEASE_TOKEN_BYTES];
    bool begun;
};

static void prepare_worker(struct worker *w, struct op *op, int64_t max, int64_t running)
{
    prepare_claim(op, "job", max);
    op->claim.keep = !w->begun;
    op->claim.add = w->begun;
    op->claim.lease_us = 3000 * SECOND_US;
    op->claim.running = running;
    memcpy(op->claim.token, w->token, LEASE_TOKEN_BYTES);
}

static void note(struct worker *w, const struct op *op)
{
    assert_went_well(op);
    w->begun = true;
    memcpy(w->token, op->claim.token, LEASE_TOKEN_BYTES);
}

/* One claim that is answered at once; how many records came. */
static int64_t worker_claims(struct bench *b, struct worker *w, int64_t max, int64_t running,
                             int64_t *slots)
{
    struct op op;
    prepare_worker(w, &op, max, running);
    ask(b, &op);
    note(w, &op);
    int64_t count = op.claim.count;
    *slots = op.claim.slots;
    op_release(&op);
    return count;
}

static void settle_as(struct bench *b, const struct worker *w, int64_t first, int count)
{
    struct settling s;
    prepare_results(&s, first, count);
    s.op.settle.has_lease = true;
    memcpy(s.op.settle.token, w->token, LEASE_TOKEN_BYTES);
    ask(b, &s.op);
    assert_settled(&s, count, 0, 0, 0);
}

static void fail_as(struct bench *b, const struct worker *w, int64_t record, int64_t retry_after_us,
                    bool throttled)
{
    struct settling s;
    fail_one(&s, record, false);
    s.entries[0].retry_after_us = retry_after_us;
    s.entries[0].throttled = throttled;
    s.op.settle.has_lease = true;
    memcpy(s.op.settle.token, w->token, LEASE_TOKEN_BYTES);
    ask(b, &s.op);
    assert_went_well(&s.op);
}

static void a_share_shrinks_for_a_second_worker_and_grows_when_it_leaves(void **state)
{
    struct bench *b = *state;
    struct worker one = {0}, two = {0};
    struct op waits, first_waits;
    int64_t slots = 0;
    b->spec.concurrency = 10;
    start_lines(b, 100);
    assert_int_equal(worker_claims(b, &one, 20, -1, &slots), 20); /* more than it may run */
    assert_int_equal(slots, 10);
    /* The second finds none left, and waits; the first is told at its next claim. */
    prepare_worker(&two, &waits, 5, 0);
    waits.claim.wait_until_us = b->now.mono_us + 100 * SECOND_US;
    assert_true(STEP(b, &waits));
    assert_false(is_answered(&waits));
    assert_int_equal(worker_claims(b, &one, 1, 10, &slots), 1);
    assert_int_equal(slots, 5);
    assert_false(is_answered(&waits));
    /* It runs eight still, so two are left; with more records the second would not soon come back
     * for the rest of its share. */
    assert_int_equal(worker_claims(b, &one, 1, 8, &slots), 1);
    pass_time(b, 1);
    note(&two, &waits);
    assert_int_equal(waits.claim.slots, 2);
    assert_int_equal(waits.claim.count, 2);
    op_release(&waits);
    assert_int_equal(worker_claims(b, &one, 1, 5, &slots), 1);
    assert_int_equal(worker_claims(b, &two, 20, 2, &slots), 20);
    assert_int_equal(slots, 5);
    /* Everything is in somebody's hands: a waiting claim is told that its share has grown. */
    while (worker_claims(b, &one, 100, 5, &slots))
        ;
    prepare_worker(&one, &first_waits, 5, 5);
    first_waits.claim.wait_until_us = b->now.mono_us + 100 * SECOND_US;
    assert_true(STEP(b, &first_waits));
    assert_false(is_answered(&first_waits));
    struct op gone;
    prepare(&gone, OP_RELEASE, "job");
    gone.lease.has_lease = gone.lease.died = true;
    memcpy(gone.lease.token, two.token, LEASE_TOKEN_BYTES);
    ask(b, &gone);
    pass_time(b, 1);
    assert_went_well(&first_waits);
    assert_int_equal(first_waits.claim.slots, 10);
    op_release(&first_waits);
}

static void a_waiting_worker_is_told_to_make_room(void **state)
{
    struct bench *b = *state;
    struct worker one = {0}, two = {0};
    struct op waits, second;
    int64_t slots = 0;
    b->spec.concurrency = 4;
    start_lines(b, 3);
    assert_int_equal(worker_claims(b, &one, 3, -1, &slots), 3);
    prepare_worker(&one, &waits, 3, 3);
    waits.claim.wait_until_us = b->now.mono_us + 100 * SECOND_US;
    assert_true(STEP(b, &waits));
    prepare_worker(&two, &second, 3, 0);
    second.claim.wait_until_us = b->now.mono_us + 100 * SECOND_US;
    assert_true(STEP(b, &second));
    assert_went_well(&waits);
    assert_int_equal(waits.claim.count, 0);
    assert_int_equal(waits.claim.slots, 2);
    assert_false(is_answered(&second));
    op_release(&waits);
    fail_as(b, &one, 0, 0, false); /* comes back, and the second has a slot by now */
    pass_time(b, 1);
    assert_true(is_answered(&second));
    assert_int_equal(second.claim.count, 1);
    op_release(&second);
}

static void claims_without_a_session_run_all_they_take(void **state)
{
    struct bench *b = *state;
    struct worker one = {0};
    struct op plain, waits;
    int64_t slots = 0;
    b->spec.concurrency = 5;
    start_lines(b, 50);
    claim_leased(b, &plain, 3, 30);
    assert_int_equal(plain.claim.slots, 3);
    assert_int_equal(worker_claims(b, &one, 10, 0, &slots), 10);
    assert_int_equal(slots, 2);
    prepare_claim(&waits, "job", 5);
    waits.claim.wait_until_us = b->now.mono_us + 100 * SECOND_US;
    assert_true(STEP(b, &waits));
    assert_false(is_answered(&waits));
    settle(b, 0, 1);
    assert_true(is_answered(&waits));
    assert_int_equal(waits.claim.count, 1);
    op_release(&plain);
    op_release(&waits);
}

static void starts_come_at_an_even_pace(void **state)
{
    struct bench *b = *state;
    struct worker w = {0};
    struct op op;
    b->spec.rpm = 6000; /* one in 10 ms */
    start_lines(b, 200);
    prepare_worker(&w, &op, 100, 0);
    ask(b, &op);
    note(&w, &op);
    assert_true(op.claim.paced);
    assert_int_equal(op.claim.count, 10); /* a tenth of a second */
    assert_true(op.claim.first_us < 1 && op.claim.every_us > 10000 && op.claim.every_us < 10100);
    op_release(&op);
    /* The next waits until half of that is gone. */
    prepare_worker(&w, &op, 100, 0);
    op.claim.wait_until_us = b->now.mono_us + 100 * SECOND_US;
    assert_true(STEP(b, &op));
    assert_false(is_answered(&op));
    int64_t next = engine_next_us(b->engine);
    assert_in_range(next - b->now.mono_us, 50000, 51000);
    pass_time(b, next - b->now.mono_us);
    note(&w, &op);
    assert_in_range(op.claim.count, 5, 6);
    assert_true(op.claim.first_us > 49000 && op.claim.first_us < 50001);
    op_release(&op);
    /* Who does not wait is told that there is nothing now. */
    prepare_worker(&w, &op, 100, 0);
    ask(b, &op);
    assert_int_equal(op.claim.count, 0);
    assert_false(op.claim.finished);
    op_release(&op);
    struct job_view view = view_of(b, "job");
    assert_true(view.pace.rpm > 5999 && view.pace.rpm < 6001);
    job_view_release(&view);
}

/* Who was alone may be late, and must not catch up beside others: it gets the time to see them. */
static void who_comes_beside_others_starts_a_little_later(void **state)
{
    struct bench *b = *state;
    struct worker first = {0}, second = {0}, third = {0};
    struct op waits;
    int64_t slots = 0;
    b->spec.rpm = 6000;
    start_lines(b, 200);
    assert_int_equal(worker_claims(b, &first, 5, 0, &slots), 5);
    assert_int_equal(worker_claims(b, &second, 100, 0, &slots), 0);
    prepare_worker(&second, &waits, 100, 0);
    waits.claim.wait_until_us = b->now.mono_us + 100 * SECOND_US;
    assert_true(STEP(b, &waits));
    assert_int_equal(engine_next_us(b->engine), b->now.mono_us + PACE_JOIN_US);
    pass_time(b, PACE_JOIN_US - 1);
    assert_false(is_answered(&waits));
    assert_int_equal(worker_claims(b, &first, 2, 5, &slots), 2);
    pass_time(b, 1);
    note(&second, &waits);
    assert_true(waits.claim.count > 0);
    op_release(&waits);
    pass_time(b, SECOND_US);
    assert_true(worker_claims(b, &second, 1, 0, &slots) > 0);
    /* Whose time is over does not count. */
    pass_time(b, 4000 * SECOND_US);
    assert_int_equal(worker_claims(b, &third, 1, 0, &slots), 1);
}

static void who_is_paced_holds_no_more_than_it_may_run(void **state)
{
    struct bench *b = *state;
    struct worker w = {0};
    struct op waits;
    int64_t slots = 0;
    b->spec.rpm = 60000;
    b->spec.concurrency = 3;
    start_lines(b, 50);
    assert_int_equal(worker_claims(b, &w, 50, 0, &slots), 3);
    pass_time(b, SECOND_US);
    prepare_worker(&w, &waits, 50, 3);
    waits.claim.wait_until_us = b->now.mono_us + 100 * SECOND_US;
    assert_true(STEP(b, &waits));
    assert_false(is_answered(&waits));
    settle_as(b, &w, 1, 2);
    assert_true(is_answered(&waits));
    assert_int_equal(waits.claim.count, 2);
    op_release(&waits);
}

static void an_adaptive_job_slows_down_once_a_round(void **state)
{
    struct bench *b = *state;
    struct worker w = {0};
    int64_t slots = 0;
    b->spec.rpm = 600000;
    b->spec.adaptive = true;
    b->spec.max_attempts = 0;
    start_lines(b, 50);
    assert_int_equal(worker_claims(b, &w, 10, 0, &slots), 10);
    fail_as(b, &w, 0, 60 * SECOND_US, true);
    fail_as(b, &w, 1, 60 * SECOND_US, true); /* began before the halving */
    struct job_view view = view_of(b, "job");
    assert_int_equal(view.pace.halved, 1);
    assert_int_equal(view.pace.throttled, 2);
    assert_int_equal(view.waiting, 2);
    job_view_release(&view);
    pass_time(b, SECOND_US);
    assert_int_equal(worker_claims(b, &w, 2, 0, &slots), 2);
    fail_as(b, &w, 10, 60 * SECOND_US, true);
    view = view_of(b, "job");
    assert_int_equal(view.pace.halved, 2);
    assert_true(view.pace.rpm < 200000 && view.pace.lowest_rpm < 200000);
    job_view_release(&view);
    pass_time(b, 100 * SECOND_US);
    assert_int_equal(worker_claims(b, &w, 1, 0, &slots), 1);
    view = view_of(b, "job");
    assert_true(view.pace.rpm > 599999);
    job_view_release(&view);
}

static void an_adaptive_job_without_a_rate_gets_one_when_it_is_throttled(void **state)
{
    struct bench *b = *state;
    struct worker w = {0};
    int64_t slots = 0;
    b->spec.concurrency = 8;
    b->spec.adaptive = true;
    start_lines(b, 60);
    assert_int_equal(worker_claims(b, &w, 50, 0, &slots), 11); /* few ahead of eight */
    fail_as(b, &w, 0, 0, true);
    struct op op;
    prepare_worker(&w, &op, 50, 8);
    ask(b, &op);
    assert_true(op.claim.paced);
    op_release(&op);
}

static void a_failed_record_waits_longer_each_time(void **state)
{
    struct bench *b = *state;
    struct worker w = {0};
    int64_t slots = 0, waited[4];
    b->spec.retry_delay_us = 10 * SECOND_US;
    b->spec.retry_factor = 3;
    b->spec.max_attempts = 4;
    start_lines(b, 1);
    assert_int_equal(worker_claims(b, &w, 9, 0, &slots), 1);
    for (int i = 0; i < 3; i++) {
        struct op waits;
        fail_as(b, &w, 0, 0, false);
        struct job_view view = view_of(b, "job");
        assert_int_equal(view.served, 1);
        assert_int_equal(view.waiting, 1);
        assert_int_equal(view.state, JOB_RUNNING);
        job_view_release(&view);
        prepare_worker(&w, &waits, 9, 0);
        waits.claim.wait_until_us = b->now.mono_us + 1000 * SECOND_US;
        assert_true(STEP(b, &waits));
        int64_t from = b->now.mono_us;
        while (!is_answered(&waits)) {
            int64_t next = engine_next_us(b->engine);
            assert_true(next > b->now.mono_us && next != NEVER_US);
            pass_time(b, next - b->now.mono_us);
        }
        waited[i] = b->now.mono_us - from;
        assert_int_equal(waits.claim.count, 1);
        op_release(&waits);
    }
    assert_in_range(waited[0], 9 * SECOND_US, 11 * SECOND_US + 1);
    assert_in_range(waited[1], 27 * SECOND_US, 33 * SECOND_US + 1);
    assert_in_range(waited[2], 81 * SECOND_US, 99 * SECOND_US + 1);
    fail_as(b, &w, 0, 0, false);
    assert_int_equal(counts_of(b, "job").failed, 1);
}

static void a_service_may_say_when(void **state)
{
    struct bench *b = *state;
    struct worker w = {0};
    int64_t slots = 0;
    start_lines(b, 2);
    assert_int_equal(worker_claims(b, &w, 1, 0, &slots), 1);
    fail_as(b, &w, 0, 5 * SECOND_US, false);
    pass_time(b, 5 * SECOND_US - 1);
    assert_int_equal(worker_claims(b, &w, 1, 0, &slots), 1); /* the other one */
    assert_int_equal(worker_claims(b, &w, 1, 0, &slots), 0);
    pass_time(b, SECOND_US);
    assert_int_equal(worker_claims(b, &w, 1, 0, &slots), 1);
    settle_as(b, &w, 0, 2);
    assert_int_equal(worker_claims(b, &w, 1, 0, &slots), 0);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

static void what_waits_is_unread_after_a_repair_and_after_a_restart(void **state)
{
    struct bench *b = *state;
    struct worker w = {0};
    int64_t slots = 0;
    b->spec.retry_delay_us = 3600 * SECOND_US;
    start_lines(b, 1);
    worker_claims(b, &w, 1, 0, &slots);
    fail_as(b, &w, 0, 0, false);
    control(b, "job", CONTROL_REPAIR);
    struct job_view view = view_of(b, "job");
    assert_int_equal(view.waiting, 0);
    assert_int_equal(view.unread, 1);
    job_view_release(&view);
    w.begun = false;
    assert_int_equal(worker_claims(b, &w, 1, 0, &slots), 1);
    fail_as(b, &w, 0, 0, false);
    reopen_engine(b);
    w.begun = false;
    assert_int_equal(worker_claims(b, &w, 1, 0, &slots), 1);
}

static void a_late_result_ends_the_wait(void **state)
{
    struct bench *b = *state;
    struct settling s;
    b->spec.retry_delay_us = 10 * SECOND_US;
    start_lines(b, 1);
    assert_int_equal(claim(b, 1), 1);
    fail_one(&s, 0, false);
    ask(b, &s.op);
    assert_settled(&s, 0, 0, 0, 1);
    fail_one(&s, 0, false); /* told a second time */
    ask(b, &s.op);
    assert_settled(&s, 0, 1, 0, 0);
    settle(b, 0, 1);
    pass_time(b, 20 * SECOND_US);
    assert_claim(b, 1, "[]");
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_share_shrinks_for_a_second_worker_and_grows_when_it_leaves),
        ENGINE_TEST(a_waiting_worker_is_told_to_make_room),
        ENGINE_TEST(claims_without_a_session_run_all_they_take),
        ENGINE_TEST(starts_come_at_an_even_pace),
        ENGINE_TEST(who_comes_beside_others_starts_a_little_later),
        ENGINE_TEST(who_is_paced_holds_no_more_than_it_may_run),
        ENGINE_TEST(an_adaptive_job_slows_down_once_a_round),
        ENGINE_TEST(an_adaptive_job_without_a_rate_gets_one_when_it_is_throttled),
        ENGINE_TEST(a_failed_record_waits_longer_each_time),
        ENGINE_TEST(a_service_may_say_when),
        ENGINE_TEST(what_waits_is_unread_after_a_repair_and_after_a_restart),
        ENGINE_TEST(a_late_result_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
