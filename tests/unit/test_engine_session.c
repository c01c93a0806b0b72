/* Sessions: kept leases, what is lost with them, and the record that kills its workers. session.c,
 * lose.c, suspects.c. */
#include "engine_temp.h"

/* One claim of a worker with a session; the first makes it. */
struct session {
    struct op op;
    bool begun;
};

static void prepare_session(struct session *s, struct op *op, int64_t max)
{
    prepare_claim(op, "job", max);
    op->claim.keep = !s->begun;
    op->claim.add = s->begun;
    op->claim.lease_us = 30 * SECOND_US;
    if (s->begun)
        memcpy(op->claim.token, s->op.claim.token, LEASE_TOKEN_BYTES);
}

static void session_claim(struct bench *b, struct session *s, int64_t max)
{
    struct op op;
    prepare_session(s, &op, max);
    ask(b, &op);
    assert_went_well(&op);
    op_release(&s->op);
    s->op = op;
    s->begun = true;
}

/* The numbers of the records that the session was given. */
static int numbers_of(const struct session *s, int64_t numbers[64])
{
    struct json j;
    struct str number, record;
    int count = 0;
    json_open(&j, buf_str(&s->op.claim.records));
    json_enter(&j, '[');
    while (json_item(&j)) {
        assert_true(json_enter(&j, '[') && json_item(&j) && json_value(&j, &number) &&
                    json_item(&j) && json_value(&j, &record) && !json_item(&j));
        assert_true(count < 64 && json_i64(number, 0, 1000, &numbers[count++]));
    }
    return count;
}

/* Claims and compares: the records' numbers as text, "0 1 2". */
static void assert_gets(struct bench *b, struct session *s, int64_t max, const char *expected)
{
    OWNED_BUF struct buf got;
    int64_t numbers[64];
    session_claim(b, s, max);
    buf_init(&got, BUF_NO_CAP);
    int count = numbers_of(s, numbers);
    for (int i = 0; i < count; i++)
        buf_add_format(&got, i ? " %lld" : "%lld", (long long)numbers[i]);
    if (!str_is(buf_str(&got), expected))
        fail_msg("got %.*s, not %s", (int)got.len, got.data ? got.data : "", expected);
}

static void session_settle(struct bench *b, const struct session *s, int64_t first, int count)
{
    struct settling settling;
    prepare_results(&settling, first, count);
    with_lease(&settling, &s->op);
    ask(b, &settling.op);
    assert_settled(&settling, count, 0, 0, 0);
}

static void session_release(struct bench *b, const struct session *s, bool died)
{
    struct op op;
    prepare(&op, OP_RELEASE, "job");
    op.lease.has_lease = true;
    op.lease.died = died;
    memcpy(op.lease.token, s->op.claim.token, LEASE_TOKEN_BYTES);
    ask(b, &op);
    assert_went_well(&op);
}

static void each_request_is_a_sign_of_life(void **state)
{
    struct bench *b = *state;
    struct session s = {0};
    start_lines(b, 10);
    assert_gets(b, &s, 2, "0 1");
    assert_int_equal(s.op.claim.lease_ends_at_us, b->now.wall_us + 30 * SECOND_US);
    for (int i = 0; i < 4; i++) {
        pass_time(b, 25 * SECOND_US);
        if (i % 2)
            session_claim(b, &s, 1);
        else
            session_settle(b, &s, i, 1);
    }
    struct job_view view = view_of(b, "job");
    assert_int_equal(view.leases, 1);
    assert_int_equal(view.worker_count, 1);
    assert_int_equal(view.workers[0].holding, 2);
    job_view_release(&view);
    pass_time(b, 30 * SECOND_US);
    assert_int_equal(counts_of(b, "job").served, 0);
    struct op op;
    prepare_session(&s, &op, 1);
    ask(b, &op);
    assert_refused(&op, REFUSED_LEASE_ENDED, ERR_CONFLICT, "the lease has ended");
    op_release(&op);
    op_release(&s.op);
}

static void a_lease_does_not_end_while_its_claim_waits(void **state)
{
    struct bench *b = *state;
    struct session s = {0};
    struct op waits;
    start_lines(b, 2);
    assert_gets(b, &s, 2, "0 1");
    prepare_session(&s, &waits, 1);
    waits.claim.wait_until_us = b->now.mono_us + 100 * SECOND_US;
    assert_true(STEP(b, &waits));
    pass_time(b, 99 * SECOND_US);
    assert_false(is_answered(&waits));
    assert_int_equal(counts_of(b, "job").served, 2);
    pass_time(b, SECOND_US);
    assert_went_well(&waits);
    assert_int_equal(waits.claim.count, 0);
    assert_true(waits.claim.has_lease && !waits.claim.finished);
    pass_time(b, 29 * SECOND_US);
    assert_int_equal(counts_of(b, "job").served, 2);
    pass_time(b, SECOND_US);
    assert_int_equal(counts_of(b, "job").served, 0);
    op_release(&waits);
    op_release(&s.op);
}

static void who_leaves_while_its_first_claim_waits_leaves_no_session(void **state)
{
    struct bench *b = *state;
    struct session s = {0};
    struct op waits, other;
    atomic_bool given_up = false;
    start_lines(b, 1);
    prepare_claim(&other, "job", 1);
    ask(b, &other);
    prepare_session(&s, &waits, 1);
    waits.claim.wait_until_us = b->now.mono_us + 100 * SECOND_US;
    waits.claim.given_up = &given_up;
    assert_true(STEP(b, &waits));
    given_up = true;
    pass_time(b, 1);
    assert_true(is_answered(&waits));
    struct job_view view = view_of(b, "job");
    assert_int_equal(view.leases, 0);
    job_view_release(&view);
    op_release(&waits);
    op_release(&other);
}

static void an_answer_that_did_not_arrive_is_given_back_and_the_session_stays(void **state)
{
    struct bench *b = *state;
    struct session s = {0};
    struct op back;
    start_lines(b, 9);
    assert_gets(b, &s, 2, "0 1");
    assert_gets(b, &s, 2, "2 3");
    prepare(&back, OP_RELEASE, "job");
    back.lease.has_lease = back.lease.stays = true;
    back.lease.answer = s.op.claim.answer;
    back.lease.records = STR("[[2,{}],[3,{}],[7,{}]]");
    memcpy(back.lease.token, s.op.claim.token, LEASE_TOKEN_BYTES);
    ask(b, &back);
    assert_went_well(&back);
    assert_gets(b, &s, 3, "2 3 4");
    /* Told too late: the worker has said since what it holds. */
    int64_t holds[] = {0, 1, 2, 3};
    struct op op;
    prepare_session(&s, &op, 1);
    op.claim.has_holds = true;
    op.claim.holds = holds;
    op.claim.hold_count = 4;
    ask(b, &op);
    assert_int_equal(op.claim.count, 1); /* 4 once more */
    prepare(&back, OP_RELEASE, "job");
    back.lease.has_lease = back.lease.stays = true;
    back.lease.answer = s.op.claim.answer;
    back.lease.records = STR("[[2,{}],[3,{}],[4,{}]]");
    memcpy(back.lease.token, s.op.claim.token, LEASE_TOKEN_BYTES);
    ask(b, &back);
    assert_went_well(&back);
    session_settle(b, &s, 0, 5);
    op_release(&op);
    op_release(&s.op);
}

static void what_is_lost_spends_no_attempt(void **state)
{
    struct bench *b = *state;
    b->spec.max_attempts = 1;
    start_lines(b, 2);
    for (int i = 0; i < 2; i++) {
        struct session s = {0};
        session_claim(b, &s, 2);
        session_release(b, &s, false);
        op_release(&s.op);
    }
    struct session s = {0};
    assert_gets(b, &s, 2, "0 1");
    assert_false(s.op.claim.alone);
    pass_time(b, 30 * SECOND_US);
    op_release(&s.op);
    s.begun = false;
    assert_gets(b, &s, 2, "0");
    assert_true(s.op.claim.alone);
    session_settle(b, &s, 0, 1);
    assert_gets(b, &s, 2, "1");
    assert_true(s.op.claim.alone);
    session_settle(b, &s, 1, 1);
    session_claim(b, &s, 2);
    assert_true(s.op.claim.finished);
    assert_int_equal(counts_of(b, "job").failed, 0);
    op_release(&s.op);
}

static void who_has_suspects_gets_nothing_else_until_they_are_settled(void **state)
{
    struct bench *b = *state;
    struct session s = {0}, other = {0};
    start_lines(b, 9);
    assert_gets(b, &s, 2, "0 1");
    session_release(b, &s, true);
    op_release(&s.op);
    s.begun = false;
    assert_gets(b, &s, 5, "0");
    assert_gets(b, &s, 5, "");
    assert_false(s.op.claim.alone);
    assert_gets(b, &other, 1, "1");
    assert_gets(b, &other, 5, "");
    session_settle(b, &s, 0, 1);
    assert_gets(b, &s, 3, "2 3 4");
    assert_false(s.op.claim.alone);
    op_release(&s.op);
    op_release(&other.op);
}

/* Runs what it was given, and dies on the killer; those before it are told of in time. */
static bool survives(struct bench *b, const struct session *s, int64_t killer)
{
    struct settling settling;
    int64_t numbers[64];
    int count = numbers_of(s, numbers);
    bool dies = false;
    settling_begin(&settling, "job");
    for (int i = 0; i < count && !dies; i++) {
        dies = numbers[i] == killer;
        if (!dies)
            settling_result(&settling, numbers[i]);
    }
    with_lease(&settling, &s->op);
    if (settling.op.settle.count) {
        ask(b, &settling.op);
        assert_went_well(&settling.op);
    }
    return !dies;
}

/* One worker after the other, until the job is at its end; returns how many have died. */
static int die_on(struct bench *b, int64_t killer, int64_t max)
{
    for (int deaths = 0; deaths < 100; deaths++) {
        struct session s = {0};
        do
            session_claim(b, &s, max);
        while (!s.op.claim.finished && survives(b, &s, killer));
        bool finished = s.op.claim.finished;
        if (!finished)
            session_release(b, &s, true);
        op_release(&s.op);
        if (finished)
            return deaths;
    }
    fail_msg("the job does not end");
    return 0;
}

static void the_record_that_kills_is_found_and_costs_no_other_an_attempt(void **state)
{
    struct bench *b = *state;
    b->spec.max_attempts = 1;
    start_lines(b, 60);
    /* 60 are lost together, then 8 of them, then one. */
    int deaths = die_on(b, 37, 60);
    assert_in_range(deaths, 2, 3);
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.state, JOB_COMPLETED);
    assert_int_equal(c.failed, 1);
    assert_int_equal(c.done, 59);
    assert_text_has(b, "data/out.jsonl.errors.jsonl", "\"record\":37,\"kind\":\"failed\"");
    assert_text_has(b, "data/out.jsonl.errors.jsonl", "\"type\":\"WorkerLost\"");
}

static void a_death_beside_other_records_proves_nothing(void **state)
{
    struct bench *b = *state;
    struct session s = {0};
    start_lines(b, 4);
    assert_gets(b, &s, 1, "0");
    session_release(b, &s, true);
    op_release(&s.op);
    s.begun = false;
    struct session busy = {0};
    /* It holds others when it gets the suspect, and dies before these have ended. */
    assert_gets(b, &busy, 1, "0");
    assert_true(busy.op.claim.alone);
    session_release(b, &busy, false);
    op_release(&busy.op);
    assert_int_equal(counts_of(b, "job").failed, 0);
    assert_gets(b, &s, 1, "0");
    session_settle(b, &s, 0, 1);
    assert_gets(b, &s, 1, "1");
    struct session dead = {0};
    assert_gets(b, &dead, 2, "2 3");
    session_release(b, &dead, true);
    op_release(&dead.op);
    assert_gets(b, &s, 2, "2"); /* beside 1, which it has not settled */
    assert_true(s.op.claim.alone);
    session_release(b, &s, true);
    assert_int_equal(counts_of(b, "job").failed, 0);
    op_release(&s.op);
    s.begun = false;
    assert_gets(b, &s, 1, "1");
    session_settle(b, &s, 1, 1);
    assert_gets(b, &s, 1, "2");
    session_release(b, &s, true);
    assert_int_equal(counts_of(b, "job").failed, 1);
    op_release(&s.op);
}

static void a_group_that_fails_puts_records_back_into_their_session(void **state)
{
    struct bench *b = *state;
    struct session s = {0};
    struct settling settling;
    start_lines(b, 3);
    assert_gets(b, &s, 3, "0 1 2");
    settling_begin(&settling, "job");
    settling_result(&settling, 0);
    settling_add(&settling, 1, true, "\"no\"");
    settling.entries[1].retry_after_us = SECOND_US;
    settling.entries[2].record = 2;
    settling.entries[2].skipped = true;
    settling.op.settle.count = 3;
    with_lease(&settling, &s.op);
    plan_fault("store.commit:1:fail");
    ask(b, &settling.op);
    no_faults();
    assert_true(settling.op.err.code != ERR_NONE);
    assert_int_equal(settling.op.settle.skipped, 0);
    struct job_view view = view_of(b, "job");
    assert_int_equal(view.served, 3);
    assert_int_equal(view.waiting, 0);
    assert_int_equal(view.skipped, 0);
    assert_int_equal(view.workers[0].holding, 3);
    job_view_release(&view);
    session_settle(b, &s, 0, 3);
    op_release(&s.op);
}

static void an_error_on_the_way_gives_back_what_was_found_before_it(void **state)
{
    enum { LINES = 30000 };
    struct bench *b = *state;
    struct session s = {0};
    struct op op;
    start_lines(b, LINES);
    session_claim(b, &s, LINES);
    assert_int_equal(s.op.claim.count, LINES);
    session_release(b, &s, false);
    op_release(&s.op);
    s.begun = false;
    /* The last records are gone from the input. */
    assert_int_equal(truncate(path_of(b, "data/in.jsonl"), INT64_C(12) * LINES * 3 / 4), 0);
    prepare_session(&s, &op, LINES);
    ask(b, &op);
    assert_int_equal(op.err.code, ERR_CONFLICT);
    assert_non_null(strstr(op.err.text, "it was changed"));
    struct job_view view = view_of(b, "job");
    assert_int_equal(view.served, 0);
    assert_int_equal(view.unread, LINES);
    job_view_release(&view);
    op_release(&op);
}

static void nothing_is_kept_without_a_time_and_nothing_added_to_an_ordinary_lease(void **state)
{
    struct bench *b = *state;
    struct op op, plain;
    start_lines(b, 3);
    prepare_claim(&op, "job", 1);
    op.claim.keep = true;
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_INVALID, "how long");
    op_release(&op);
    claim_leased(b, &plain, 1, 30);
    prepare_claim(&op, "job", 1);
    op.claim.add = true;
    memcpy(op.claim.token, plain.claim.token, LEASE_TOKEN_BYTES);
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "not a kept one");
    op_release(&op);
    op_release(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(each_request_is_a_sign_of_life),
        ENGINE_TEST(a_lease_does_not_end_while_its_claim_waits),
        ENGINE_TEST(who_leaves_while_its_first_claim_waits_leaves_no_session),
        ENGINE_TEST(an_answer_that_did_not_arrive_is_given_back_and_the_session_stays),
        ENGINE_TEST(what_is_lost_spends_no_attempt),
        ENGINE_TEST(who_has_suspects_gets_nothing_else_until_they_are_settled),
        ENGINE_TEST(the_record_that_kills_is_found_and_costs_no_other_an_attempt),
        ENGINE_TEST(a_death_beside_other_records_proves_nothing),
        ENGINE_TEST(a_group_that_fails_puts_records_back_into_their_session),
        ENGINE_TEST(an_error_on_the_way_gives_back_what_was_found_before_it),
        ENGINE_TEST(nothing_is_kept_without_a_time_and_nothing_added_to_an_ordinary_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
