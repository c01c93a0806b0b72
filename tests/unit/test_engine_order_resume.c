/* Outputs in order over several runs: what is held when a run ends comes in its place in the next
 * one, also when ids have other numbers then. order.c. */
#include "resume_temp.h"

#define A "{\"id\":\"a\"}"
#define B "{\"id\":\"b\"}"
#define C "{\"id\":\"c\"}"
#define D "{\"id\":\"d\"}"

/* Three records, of which the last is done and held; the others were in hands that are gone. */
static void hold_the_last(struct bench *b)
{
    if (!b->spec.id_key)
        with_ids(b);
    b->spec.ordered = true;
    put(b, "data/in.jsonl", A "\n" B "\n" C "\n");
    resume(b);
    assert_served(b, 9, "[[0," A "],[1," B "],[2," C "]]");
    SETTLE(b, 2, C);
    assert_text(b, "data/out.jsonl", "");
    reopen_engine(b);
}

static void assert_held(struct bench *b, int64_t count)
{
    struct job_view view = view_of(b, "job");
    assert_int_equal(view.held, count);
    job_view_release(&view);
}

static void what_is_held_finds_its_record_under_another_number(void **state)
{
    struct bench *b = *state;
    hold_the_last(b);
    put(b, "data/in.jsonl", A "\n" C "\n" D "\n" B "\n");
    resume(b);
    assert_served(b, 9, "[[0," A "],[2," D "],[3," B "]]");
    SETTLE(b, 2, D);
    assert_text(b, "data/out.jsonl", "");
    reopen_engine(b);
    assert_served(b, 1, "[[0," A "]]");
    SETTLE(b, 0, A);
    assert_text(b, "data/out.jsonl", A "\n" C "\n" D "\n");
    assert_served(b, 9, "[[3," B "]]");
    SETTLE(b, 3, B);
    assert_text(b, "data/out.jsonl", A "\n" C "\n" D "\n" B "\n");
    assert_over(b);
    assert_held(b, 0);
}

static void many_runs_in_a_row_lose_nothing(void **state)
{
    struct bench *b = *state;
    hold_the_last(b);
    for (int run = 0; run < 3; run++) {
        resume(b);
        assert_served(b, 1, "[[0," A "]]");
        reopen_engine(b);
    }
    put(b, "data/in.jsonl", C "\n" B "\n" D "\n" A "\n");
    resume(b);
    assert_served(b, 9, "[[1," B "],[2," D "],[3," A "]]");
    SETTLE(b, 2, D);
    assert_text(b, "data/out.jsonl", C "\n");
    reopen_engine(b);
    resume(b);
    assert_served(b, 9, "[[1," B "],[3," A "]]");
    SETTLE(b, 1, B);
    SETTLE(b, 3, A);
    assert_text(b, "data/out.jsonl", C "\n" B "\n" D "\n" A "\n");
    assert_over(b);
}

static void whose_record_is_gone_is_written_in_the_end(void **state)
{
    struct bench *b = *state;
    hold_the_last(b);
    put(b, "data/in.jsonl", A "\n" B "\n");
    resume(b);
    assert_served(b, 9, "[[0," A "],[1," B "]]");
    SETTLE(b, 0, A, B);
    assert_text(b, "data/out.jsonl", A "\n" B "\n");
    assert_over(b);
    assert_text(b, "data/out.jsonl", A "\n" B "\n" C "\n");
    reopen_engine(b);
    resume(b);
    assert_over(b);
    assert_text(b, "data/out.jsonl", A "\n" B "\n" C "\n");
}

/* Killed between the output's sync and the commit, or edited by hand. */
static void what_is_in_the_output_already_is_not_written_again(void **state)
{
    struct bench *b = *state;
    for (int fresh = 0; fresh < 2; fresh++) {
        hold_the_last(b);
        close_engine(b);
        put(b, "data/out.jsonl", A "\n" B "\n" C "\n");
        open_engine(b);
        if (fresh)
            resume(b);
        assert_over(b);
        assert_text(b, "data/out.jsonl", A "\n" B "\n" C "\n");
        assert_held(b, 0);
        control(b, "job", CONTROL_DELETE);
        assert_int_equal(unlink(path_of(b, "data/out.jsonl")), 0);
    }
}

static void a_result_without_its_id_keeps_its_place_too(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    b->spec.ordered = true;
    put(b, "data/in.jsonl", A "\n" B "\n");
    resume(b);
    assert_served(b, 9, "[[0," A "],[1," B "]]");
    SETTLE(b, 1, "{\"r\":1}");
    reopen_engine(b);
    resume(b);
    assert_served(b, 9, "[[0," A "]]");
    SETTLE(b, 0, A);
    assert_text(b, "data/out.jsonl", A "\n{\"r\":1}\n");
    assert_over(b);
}

/* A failure while the record is found leaves it to be found again. */
static void a_commit_that_fails_loses_nothing_that_was_found(void **state)
{
    struct bench *b = *state;
    hold_the_last(b);
    put(b, "data/in.jsonl", C "\n" A "\n" B "\n");
    resume(b);
    assert_served(b, 9, "[[1," A "],[2," B "]]");
    struct settling s;
    settling_begin(&s, "job");
    settling_add(&s, 1, false, A);
    plan_fault("store.commit:1:fail");
    ask(b, &s.op);
    no_faults();
    SETTLE(b, 2, B);
    assert_served(b, 9, "[[1," A "]]");
    SETTLE(b, 1, A);
    assert_text(b, "data/out.jsonl", C "\n" A "\n" B "\n");
    assert_over(b);
}

static void a_sample_does_not_wait_for_what_it_leaves_out(void **state)
{
    struct bench *b = *state;
    struct op op;
    b->spec.ordered = true;
    put_lines(b, "data/in.jsonl", 0, 40);
    resume_portion(b, (struct portion){.sample = 5, .seed = 3});
    prepare_claim(&op, "job", 9);
    assert_true(STEP(b, &op));
    for (int i = 0; i < 10000 && !is_answered(&op); i++)
        pass_time(b, 0);
    assert_int_equal(op.claim.count, 5);
    struct json j;
    struct str number, rest;
    int64_t numbers[5];
    json_open(&j, buf_str(&op.claim.records));
    json_enter(&j, '[');
    for (int i = 0; json_item(&j); i++)
        assert_true(json_enter(&j, '[') && json_item(&j) && json_value(&j, &number) &&
                    json_item(&j) && json_value(&j, &rest) && !json_item(&j) &&
                    json_i64(number, 0, 39, &numbers[i]));
    op_release(&op);
    OWNED_BUF struct buf expected;
    buf_init(&expected, BUF_NO_CAP);
    for (int i = 4; i >= 0; i--) {
        assert_int_equal(line_count(b, "data/out.jsonl"), 0);
        settle(b, numbers[i], 1);
    }
    for (int i = 0; i < 5; i++)
        buf_add_format(&expected, "{\"r\":%d}\n", (int)numbers[i]);
    buf_add(&expected, "", 1);
    assert_text(b, "data/out.jsonl", expected.data);
    assert_finished(b);
    /* A later run does the rest, in its order. */
    resume(b);
    assert_int_equal(claim(b, 99), 35);
}

/* C's old line is held to be replaced, C's new one for its turn; the engine was killed. */
static void hold_old_and_new(struct bench *b)
{
    free(b->spec.id_key);
    free(b->spec.rerun_key);
    with_ids(b);
    b->spec.rerun_key = xstrdup("again");
    put(b, "data/out.jsonl", "{\"id\":\"c\",\"again\":1}\n");
    hold_the_last(b);
}

static void an_old_line_does_not_come_back_beside_one_that_waited(void **state)
{
    struct bench *b = *state;
    static const char *const inputs[] = {A "\n" B "\n" C "\n", A "\n" B "\n", NULL};
    for (int i = 0; i < 3; i++) {
        hold_old_and_new(b);
        if (inputs[i]) {
            put(b, "data/in.jsonl", inputs[i]);
            resume(b);
        }
        assert_served(b, 9, "[[0," A "],[1," B "]]");
        SETTLE(b, 0, A, B);
        assert_finished(b);
        assert_text(b, "data/out.jsonl", A "\n" B "\n" C "\n");
        control(b, "job", CONTROL_DELETE);
        assert_int_equal(unlink(path_of(b, "data/out.jsonl")), 0);
    }
}

/* The run ends before the turn of what waits has come. */
static void an_old_line_goes_when_the_new_one_waits_beyond_a_portion(void **state)
{
    struct bench *b = *state;
    hold_old_and_new(b);
    resume_portion(b, (struct portion){.limit = 1});
    assert_served(b, 9, "[[0," A "]]");
    SETTLE(b, 0, A);
    assert_finished(b);
    assert_text(b, "data/out.jsonl", A "\n");
    resume(b);
    assert_served(b, 9, "[[1," B "]]");
    SETTLE(b, 1, B);
    assert_finished(b);
    assert_text(b, "data/out.jsonl", A "\n" B "\n" C "\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(what_is_held_finds_its_record_under_another_number),
        ENGINE_TEST(many_runs_in_a_row_lose_nothing),
        ENGINE_TEST(whose_record_is_gone_is_written_in_the_end),
        ENGINE_TEST(what_is_in_the_output_already_is_not_written_again),
        ENGINE_TEST(a_result_without_its_id_keeps_its_place_too),
        ENGINE_TEST(a_commit_that_fails_loses_nothing_that_was_found),
        ENGINE_TEST(a_sample_does_not_wait_for_what_it_leaves_out),
        ENGINE_TEST(an_old_line_does_not_come_back_beside_one_that_waited),
        ENGINE_TEST(an_old_line_goes_when_the_new_one_waits_beyond_a_portion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
