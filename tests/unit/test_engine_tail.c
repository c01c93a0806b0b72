/* Small results ride with the store's commit: what was acknowledged survives whatever becomes of
 * the file's unsynced end, and gets into the file in the end. */
#include "engine_temp.h"

#define LINE "{\"r\":%d}\n"

/* A restart that finds the output cut to so many bytes, as a power cut may leave it. */
static void restart_after_losing(struct bench *b, off_t left)
{
    close_engine(b);
    assert_int_equal(truncate(path_of(b, "data/out.jsonl"), left), 0);
    open_engine(b);
}

static void assert_results(struct bench *b, const char *name, int count)
{
    OWNED_BUF struct buf expected;
    buf_init(&expected, BUF_NO_CAP);
    for (int i = 0; i < count; i++)
        buf_add_format(&expected, LINE, i);
    OWNED_MEM char *text = buf_take(&expected);
    assert_text(b, name, text);
}

/* Whether anything is synced into an output by this. */
#define SYNCS(bench, act)                                                                          \
    do {                                                                                           \
        plan_fault("file.sync:1:fail");                                                            \
        act;                                                                                       \
        no_faults();                                                                               \
    } while (0)

static void step_fails(struct bench *b, struct op *op)
{
    assert_false(STEP(b, op));
    assert_int_equal(b->err.code, ERR_FATAL);
    assert_int_equal(op->err.code, ERR_FATAL);
}

static void small_results_are_acknowledged_without_a_sync_and_survive(void **state)
{
    struct bench *b = *state;
    start_lines(b, 10);
    assert_int_equal(claim(b, 10), 10);
    SYNCS(b, settle(b, 0, 3); settle(b, 3, 2));
    assert_results(b, "data/out.jsonl", 5);
    restart_after_losing(b, 0);
    assert_results(b, "data/out.jsonl", 5);
    restart_after_losing(b, 13); /* again, before anything else was stored */
    assert_results(b, "data/out.jsonl", 5);
    assert_int_equal(counts_of(b, "job").done, 5);
    assert_int_equal(claim(b, 10), 5);
    settle(b, 5, 5);
    assert_results(b, "data/out.jsonl", 10);
}

static void after_a_second_the_output_holds_all_by_itself(void **state)
{
    struct bench *b = *state;
    start_lines(b, 4);
    assert_int_equal(claim(b, 4), 4);
    settle(b, 0, 1);
    assert_true(engine_next_us(b->engine) == b->now.mono_us + SECOND_US);
    pass_time(b, SECOND_US);
    assert_true(engine_next_us(b->engine) == NEVER_US);
    settle(b, 1, 1);
    restart_after_losing(b, 8); /* what rode later is all that the store has */
    assert_results(b, "data/out.jsonl", 2);
    restart_after_losing(b, 16);
    settle(b, 2, 1);
    pass_time(b, SECOND_US);
    restart_after_losing(b, 20);
    /* It was synced: whoever cut it off was no crash. */
    struct settling s;
    prepare_results(&s, 3, 1);
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_OTHERWISE, ERR_GONE, "shorter than what was committed");
}

static void a_tail_that_cannot_be_synced_ends_the_process_and_comes_back(void **state)
{
    struct bench *b = *state;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 2);
    plan_fault("file.sync:1:fail");
    b->now.mono_us += SECOND_US;
    assert_false(engine_step(b->engine, NULL, b->now, &b->err));
    assert_int_equal(b->err.code, ERR_FATAL);
    assert_false(engine_settle(b->engine, b->now, &b->err)); /* nor before a stop */
    no_faults();
    restart_after_losing(b, 0);
    assert_results(b, "data/out.jsonl", 2);
}

static void a_large_result_settles_what_rode_before(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 4);
    assert_int_equal(claim(b, 4), 4);
    settle(b, 0, 2);
    settling_large(&s, 2);
    ask(b, &s.op);
    assert_went_well(&s.op);
    settling_release(&s);
    struct stat st;
    assert_int_equal(stat(path_of(b, "data/out.jsonl"), &st), 0);
    settle(b, 3, 1);
    reopen_engine(b);
    assert_int_equal(line_count(b, "data/out.jsonl"), 4);
    /* Nothing of the store's is written below what it has. */
    put_bytes(b, "data/out.jsonl", 0, "{\"R\":0}", 7);
    restart_after_losing(b, st.st_size);
    assert_int_equal(line_count(b, "data/out.jsonl"), 4);
    assert_text_has(b, "data/out.jsonl", "{\"R\":0}\n{\"r\":1}\n");
}

static void a_large_result_that_cannot_be_synced_is_not_in_the_store(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 2);
    settling_large(&s, 2);
    plan_fault("file.sync:1:fail");
    step_fails(b, &s.op);
    no_faults();
    settling_release(&s);
    restart_after_losing(b, 0);
    assert_results(b, "data/out.jsonl", 2);
    assert_int_equal(counts_of(b, "job").done, 2);
}

static void the_end_of_a_job_is_told_when_the_output_holds_all(void **state)
{
    struct bench *b = *state;
    struct settling s;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    settle(b, 0, 1);
    assert_claim(b, 1, "[]");
    prepare_results(&s, 1, 1);
    plan_fault("file.sync:1:fail");
    assert_false(STEP(b, &s.op)); /* at once: its end follows */
    no_faults();
    restart_after_losing(b, 0);
    assert_results(b, "data/out.jsonl", 2);
    pass_time(b, 1);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    /* It is its owner's now. */
    restart_after_losing(b, 8);
    assert_results(b, "data/out.jsonl", 1);
}

static void who_deletes_or_restarts_or_repairs_a_job_gets_a_whole_output(void **state)
{
    struct bench *b = *state;
    for (int way = 0; way < 4; way++) {
        struct op op;
        close_engine(b);
        nftw(path_of(b, "state"), bench_remove_one, 16, FTW_DEPTH | FTW_PHYS);
        put(b, "data/in.jsonl", "");
        put(b, "data/out.jsonl", "");
        open_engine(b);
        start_lines(b, 3);
        assert_int_equal(claim(b, 3), 3);
        settle(b, 0, 2);
        if (way < 2)
            prepare_start(b, &op, "job");
        else
            prepare(&op, OP_CONTROL, "job");
        if (way < 2)
            op.start.clean_start = !(op.start.repair = way == 1);
        else
            op.control.verb = way == 2 ? CONTROL_DELETE : CONTROL_REPAIR;
        SYNCS(b, step_fails(b, &op));
        restart_after_losing(b, 0);
        assert_results(b, "data/out.jsonl", 2);
        op.err = (struct err){0};
        op.context = NULL;
        ask(b, &op);
        assert_went_well(&op);
        assert_results(b, "data/out.jsonl", 2);
        reopen_engine(b);
        assert_results(b, "data/out.jsonl", 2);
    }
}

static void an_output_that_is_left_for_another_is_left_whole(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 2);
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("other.jsonl");
    prepare_start(b, &op, "job");
    op.start.repair = true;
    ask(b, &op);
    assert_went_well(&op);
    restart_after_losing(b, 16); /* nothing is left in the store that could be put back */
    assert_results(b, "data/out.jsonl", 2);
    assert_int_equal(claim(b, 3), 1);
    settle(b, 2, 1);
    assert_text(b, "data/other.jsonl", "{\"r\":2}\n");
}

/* Then the store keeps what it has until the output is there again. */
static void a_job_that_ends_while_its_output_is_away_keeps_its_tail(void **state)
{
    struct bench *b = *state;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 2);
    close_engine(b);
    assert_int_equal(rename(path_of(b, "data/out.jsonl"), path_of(b, "away")), 0);
    open_engine(b);
    control(b, "job", CONTROL_CANCEL);
    close_engine(b);
    assert_int_equal(truncate(path_of(b, "away"), 4), 0);
    assert_int_equal(rename(path_of(b, "away"), path_of(b, "data/out.jsonl")), 0);
    open_engine(b);
    assert_results(b, "data/out.jsonl", 2);
    assert_true(engine_next_us(b->engine) == 0);
    pass_time(b, 1);
    assert_int_equal(state_of(b, "job"), JOB_CANCELLED);
    /* Once it holds all it is its owner's. */
    put_more(b, "data/out.jsonl", "mine\n");
    reopen_engine(b);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n{\"r\":1}\nmine\n");
}

static void who_takes_such_an_output_over_gets_it_whole(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 2);
    close_engine(b);
    assert_int_equal(rename(path_of(b, "data/out.jsonl"), path_of(b, "away")), 0);
    open_engine(b);
    control(b, "job", CONTROL_CANCEL);
    assert_int_equal(truncate(path_of(b, "away"), 4), 0);
    assert_int_equal(rename(path_of(b, "away"), path_of(b, "data/out.jsonl")), 0);
    prepare_start(b, &op, "later");
    op.start.force_overwrite = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_results(b, "data/out.jsonl", 2);
}

static void a_job_whose_output_is_away_can_be_deleted(void **state)
{
    struct bench *b = *state;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 2);
    close_engine(b);
    assert_int_equal(unlink(path_of(b, "data/out.jsonl")), 0);
    open_engine(b);
    control(b, "job", CONTROL_DELETE);
    start(b, "job"); /* of the same id, perhaps: nothing of the old one is left */
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 3);
    assert_results(b, "data/out.jsonl", 3);
}

static void a_removed_output_is_no_trouble_to_settle(void **state)
{
    struct bench *b = *state;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 2);
    assert_int_equal(unlink(path_of(b, "data/out.jsonl")), 0);
    pass_time(b, SECOND_US);
    assert_true(engine_next_us(b->engine) == NEVER_US);
}

static void a_group_that_fails_leaves_the_tail_as_it_was(void **state)
{
    static const struct {
        const char *plan;
        bool large;
    } cases[] = {
        {"store.commit:1:full", false}, {"sink.write:1:full", false},
        {"sink.written:1:fail", false}, {"store.commit:1:full", true},
        {"sink.synced:1:fail", true},
    };
    struct bench *b = *state;
    start_lines(b, 10);
    assert_int_equal(claim(b, 10), 10);
    for (int i = 0; i < 5; i++) {
        struct settling s;
        settle(b, i, 1);
        if (cases[i].large)
            settling_large(&s, 9);
        else
            prepare_results(&s, 8, 2);
        plan_fault(cases[i].plan);
        ask(b, &s.op);
        no_faults();
        assert_true(s.op.err.code != ERR_NONE);
        if (cases[i].large)
            settling_release(&s);
        /* With the large one the rest was synced, though the store does not know it. */
        restart_after_losing(b, cases[i].large ? 8 * (i + 1) : 8 * i);
        assert_results(b, "data/out.jsonl", i + 1);
        assert_int_equal(counts_of(b, "job").done, i + 1);
        assert_int_equal(claim(b, 10), 9 - i);
    }
}

static void before_a_stop_all_is_settled(void **state)
{
    struct bench *b = *state;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 2);
    assert_true(engine_settle(b->engine, b->now, &b->err));
    restart_after_losing(b, 8);
    struct settling s;
    prepare_results(&s, 2, 1);
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_OTHERWISE, ERR_GONE, "shorter than what was committed");
}

static void doctor_compares_the_tail_with_the_output(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 2);
    for (int i = 0; i < 2; i++) {
        prepare(&op, OP_DOCTOR, "");
        ask(b, &op);
        assert_went_well(&op);
        assert_int_equal(op.doctor.faults, i);
        OWNED_MEM char *text = buf_take(&op.doctor.findings);
        assert_non_null(strstr(text, "the last 16 bytes of the output are in the store too"));
        assert_non_null(strstr(text, i ? "and others" : "and the same"));
        op_release(&op);
        put_bytes(b, "data/out.jsonl", 0, "{\"R\"", 4);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(small_results_are_acknowledged_without_a_sync_and_survive),
        ENGINE_TEST(after_a_second_the_output_holds_all_by_itself),
        ENGINE_TEST(a_tail_that_cannot_be_synced_ends_the_process_and_comes_back),
        ENGINE_TEST(a_large_result_settles_what_rode_before),
        ENGINE_TEST(a_large_result_that_cannot_be_synced_is_not_in_the_store),
        ENGINE_TEST(the_end_of_a_job_is_told_when_the_output_holds_all),
        ENGINE_TEST(who_deletes_or_restarts_or_repairs_a_job_gets_a_whole_output),
        ENGINE_TEST(an_output_that_is_left_for_another_is_left_whole),
        ENGINE_TEST(a_job_that_ends_while_its_output_is_away_keeps_its_tail),
        ENGINE_TEST(who_takes_such_an_output_over_gets_it_whole),
        ENGINE_TEST(a_job_whose_output_is_away_can_be_deleted),
        ENGINE_TEST(a_removed_output_is_no_trouble_to_settle),
        ENGINE_TEST(a_group_that_fails_leaves_the_tail_as_it_was),
        ENGINE_TEST(before_a_stop_all_is_settled),
        ENGINE_TEST(doctor_compares_the_tail_with_the_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
