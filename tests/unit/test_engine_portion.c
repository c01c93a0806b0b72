/* A run that takes a portion of what is left, and an error file that tells of the present.
 * engine/share.c, engine/resume_errors.c, engine/error_line.c. */
#include "resume_temp.h"

static void with_list(struct bench *b)
{
    b->spec.errors_path = xstrdup("failed.jsonl");
    b->spec.errors_records = true;
}

static void put_ids(struct bench *b, int first, int count)
{
    struct buf text;
    buf_init(&text, BUF_NO_CAP);
    for (int i = first; i < first + count; i++)
        buf_add_format(&text, "{\"id\":%d}\n", i);
    put_bytes(b, "data/in.jsonl", O_APPEND, text.data, text.len);
    buf_release(&text);
}

/* --- the error file -----------------------------------------------------------------------------
 */

static void a_failed_record_is_listed_as_it_was_read(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    with_list(b);
    put(b, "data/in.jsonl", "  {\"id\": \"a\",  \"x\":1.50}\n{\"n\":1}\nbroken\n{\"id\":2}\n");
    resume(b);
    assert_served(b, 9, "[[0,{\"id\": \"a\",  \"x\":1.50}],[3,{\"id\":2}]]");
    fail_records(b, 0, 1, "{\"message\":\"it broke\",\"type\":\"KeyError\"}");
    fail_records(b, 3, 1, "\"plain\"");
    assert_text(
        b, "data/failed.jsonl",
        "{\"record_id\":null,\"error_message\":\"it has no id\",\"error_type\":\"NoId\","
        "\"at\":\"2023-11-14T22:13:20.000Z\",\"file\":\"in.jsonl\",\"line\":2,\"original_record\":{"
        "\"n\":1}}\n"
        "{\"record_id\":null,\"error_message\":\"no JSON object\",\"error_type\":\"unreadable\","
        "\"at\":\"2023-11-14T22:13:20.000Z\",\"file\":\"in.jsonl\",\"line\":3,"
        "\"original_record\":null}\n"
        "{\"record_id\":\"a\",\"error_message\":\"it broke\",\"error_type\":\"KeyError\","
        "\"attempts\":1,\"at\":\"2023-11-14T22:13:20.000Z\","
        "\"original_record\":{\"id\": \"a\",  \"x\":1.50}}\n"
        "{\"record_id\":2,\"error_message\":\"plain\",\"error_type\":null,\"attempts\":1,"
        "\"at\":\"2023-11-14T22:13:20.000Z\",\"original_record\":{\"id\":2}}\n");
}

/* Which ids are listed, in order. */
static void assert_listed(struct bench *b, const char *ids)
{
    OWNED_MEM char *text = text_of(b, "data/failed.jsonl");
    OWNED_BUF struct buf got;
    buf_init(&got, BUF_NO_CAP);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        struct str id;
        assert_true(json_find(str_of(line), "record_id", &id));
        if (got.len)
            buf_add_char(&got, ' ');
        buf_add_str(&got, id);
    }
    if (!str_is(buf_str(&got), ids))
        fail_msg("listed are %.*s, not %s", (int)got.len, got.data ? got.data : "", ids);
}

static void what_succeeds_leaves_the_list_and_what_fails_again_is_in_it_once(void **state)
{
    struct bench *b = *state;
    for (int by_ids = 0; by_ids < 2; by_ids++) {
        if (by_ids)
            with_ids(b);
        else
            with_list(b);
        close_engine(b);
        nftw(path_of(b, "state"), bench_remove_one, 16, FTW_DEPTH | FTW_PHYS);
        remove(path_of(b, "data/out.jsonl"));
        remove(path_of(b, "data/failed.jsonl"));
        remove(path_of(b, "data/in.jsonl"));
        open_engine(b);
        put_ids(b, 0, 4);
        resume(b);
        assert_served(b, 9, "[[0,{\"id\":0}],[1,{\"id\":1}],[2,{\"id\":2}],[3,{\"id\":3}]]");
        fail_records(b, 0, 3, "\"first\"");
        SETTLE(b, 3, "{\"id\":3}");
        assert_finished(b);
        assert_listed(b, "0 1 2");
        resume(b);
        assert_served(b, 9, "[[0,{\"id\":0}],[1,{\"id\":1}],[2,{\"id\":2}]]");
        SETTLE(b, 1, "{\"id\":1}");
        fail_records(b, 2, 1, "\"second\"");
        /* A crash in the midst of it: the next start puts it in order. */
        reopen_engine(b);
        resume(b);
        assert_served(b, 1, "[[0,{\"id\":0}]]");
        assert_listed(b, "0 2");
        assert_text_has(b, "data/failed.jsonl", "second");
        fail_records(b, 0, 1, "\"third\"");
        assert_served(b, 9, "[[2,{\"id\":2}]]");
        SETTLE(b, 2, "{\"id\":2}");
        assert_finished(b);
        assert_listed(b, "0");
        assert_text_has(b, "data/failed.jsonl", "third");
        resume(b);
        assert_served(b, 1, "[[0,{\"id\":0}]]");
        SETTLE(b, 0, "{\"id\":0}");
        assert_finished(b);
        assert_text(b, "data/failed.jsonl", "");
    }
}

/* The original lists a record as often as it fails. */
static void a_list_of_the_original_is_taken_over(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    with_list(b);
    put_ids(b, 0, 3);
    put(b, "data/out.jsonl", "{\"id\":1}\n");
    put(b, "data/failed.jsonl",
        "{\"record_id\": 0, \"error_message\": \"a\", \"original_record\": {\"id\": 0}}\n"
        "{\"record_id\": 1, \"error_message\": \"b\", \"original_record\": {\"id\": 1}}\n"
        "{\"record_id\": 0, \"error_message\": \"c\", \"original_record\": {\"id\": 0}}\n"
        "{\"record_id\": 0, \"error_message\": \"d\", \"original_record\": {\"id\": 0}}\n"
        "{\"record_id\": 2, \"error_mess");
    resume_portion(b, (struct portion){.only_failed = true});
    assert_served(b, 9, "[[0,{\"id\":0}]]");
    assert_text(b, "data/failed.jsonl",
                "{\"record_id\": 0, \"error_message\": \"d\", \"original_record\": {\"id\": 0}}\n");
}

static void a_crash_while_the_list_is_made_anew_does_no_harm(void **state)
{
    struct bench *b = *state;
    with_list(b);
    put_ids(b, 0, 2);
    resume(b);
    assert_served(b, 9, "[[0,{\"id\":0}],[1,{\"id\":1}]]");
    fail_records(b, 0, 2, "\"no\"");
    assert_finished(b);
    resume(b);
    assert_served(b, 1, "[[0,{\"id\":0}]]");
    SETTLE(b, 0, "{\"id\":0}");
    reopen_engine(b);
    plan_fault("rewrite.rename:1:fail");
    resume(b);
    settle_down(b);
    no_faults();
    assert_int_equal(state_of(b, "job"), JOB_FAILED);
    assert_listed(b, "0 1");
    reopen_engine(b);
    resume(b);
    assert_served(b, 9, "[[1,{\"id\":1}]]");
    assert_listed(b, "1");
    fail_records(b, 1, 1, "\"again\"");
    assert_finished(b);
    assert_listed(b, "1");
}

/* --- portions -----------------------------------------------------------------------------------
 */

static void a_limit_takes_so_many_records(void **state)
{
    struct bench *b = *state;
    for (int by_ids = 0; by_ids < 2; by_ids++) {
        close_engine(b);
        nftw(path_of(b, "state"), bench_remove_one, 16, FTW_DEPTH | FTW_PHYS);
        remove(path_of(b, "data/out.jsonl"));
        remove(path_of(b, "data/in.jsonl"));
        open_engine(b);
        if (by_ids)
            with_ids(b);
        put_ids(b, 0, 5);
        resume_portion(b, (struct portion){.limit = 2});
        assert_served(b, 1, "[[0,{\"id\":0}]]");
        struct settling s;
        fail_one(&s, 0, false);
        ask(b, &s.op);
        /* Trying it again is no other record. */
        assert_served(b, 9, "[[0,{\"id\":0}],[1,{\"id\":1}]]");
        SETTLE(b, 0, "{\"id\":0}");
        struct job_view v = view_of(b, "job");
        assert_false(v.paused);
        job_view_release(&v);
        SETTLE(b, 1, "{\"id\":1}");
        assert_finished(b);
        v = view_of(b, "job");
        assert_true(v.paused);
        assert_int_equal(v.state, JOB_RUNNING);
        job_view_release(&v);
        /* The same again takes the next ones. */
        resume_portion(b, (struct portion){.limit = 2});
        assert_served(b, 9, "[[2,{\"id\":2}],[3,{\"id\":3}]]");
        SETTLE(b, 2, "{\"id\":2}");
        fail_records(b, 3, 1, "\"no\"");
        assert_finished(b);
        resume_portion(b, (struct portion){.limit = 9});
        assert_served(b, 9, "[[3,{\"id\":3}],[4,{\"id\":4}]]");
        SETTLE(b, 3, "{\"id\":3}", "{\"id\":4}");
        assert_finished(b);
        assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    }
}

static void a_claim_that_waits_is_told_that_the_portion_is_over(void **state)
{
    struct bench *b = *state;
    struct op waiting;
    put_ids(b, 0, 5);
    resume_portion(b, (struct portion){.limit = 1});
    assert_served(b, 9, "[[0,{\"id\":0}]]");
    prepare_claim(&waiting, "job", 9);
    waiting.claim.wait_until_us = b->now.mono_us + 60 * SECOND_US;
    assert_true(STEP(b, &waiting));
    assert_false(is_answered(&waiting));
    SETTLE(b, 0, "{\"id\":0}");
    settle_down(b);
    assert_went_well(&waiting);
    assert_true(waiting.claim.finished);
    op_release(&waiting);
}

/* The numbers that a run takes. */
static void take_sample(struct bench *b, int64_t size, uint64_t seed, char *taken)
{
    struct op op;
    resume_portion(b, (struct portion){.sample = size, .seed = seed});
    prepare_claim(&op, "job", 99);
    assert_true(STEP(b, &op));
    for (int i = 0; i < 10000 && !is_answered(&op); i++)
        pass_time(b, 0);
    assert_went_well(&op);
    assert_int_equal(op.claim.count, size);
    memcpy(taken, op.claim.records.data, op.claim.records.len);
    taken[op.claim.records.len] = '\0';
    op_release(&op);
    control(b, "job", CONTROL_CANCEL);
}

static void a_sample_is_the_same_for_the_same_seed(void **state)
{
    struct bench *b = *state;
    char first[4096], second[4096], other[4096];
    for (int by_ids = 0; by_ids < 2; by_ids++) {
        if (by_ids)
            with_ids(b);
        else
            put_ids(b, 0, 500);
        take_sample(b, 10, 1, first);
        take_sample(b, 10, 1, second);
        take_sample(b, 10, 2, other);
        assert_string_equal(first, second);
        assert_string_not_equal(first, other);
        control(b, "job", CONTROL_DELETE);
    }
}

static void what_is_left_of_a_sample_is_for_later_runs(void **state)
{
    struct bench *b = *state;
    put_ids(b, 0, 20);
    resume_portion(b, (struct portion){.sample = 3, .seed = 5});
    struct op op;
    prepare_claim(&op, "job", 99);
    assert_true(STEP(b, &op));
    for (int i = 0; i < 100 && !is_answered(&op); i++)
        pass_time(b, 0);
    assert_int_equal(op.claim.count, 3);
    struct json j;
    struct str raw;
    struct settling s;
    settling_begin(&s, "job");
    json_open(&j, buf_str(&op.claim.records));
    assert_true(json_enter(&j, '['));
    while (json_item(&j)) {
        int64_t number = 0;
        assert_true(json_enter(&j, '[') && json_item(&j) && json_value(&j, &raw));
        assert_true(json_i64(raw, 0, 19, &number));
        settling_result(&s, number);
        while (json_item(&j))
            assert_true(json_value(&j, &raw));
    }
    op_release(&op);
    ask(b, &s.op);
    assert_went_well(&s.op);
    assert_finished(b);
    assert_int_equal(line_count(b, "data/out.jsonl"), 3);
    resume(b);
    assert_int_equal(claim(b, 99), 17);
}

static void only_what_failed_is_tried_again(void **state)
{
    struct bench *b = *state;
    with_list(b);
    for (int by_ids = 0; by_ids < 2; by_ids++) {
        close_engine(b);
        nftw(path_of(b, "state"), bench_remove_one, 16, FTW_DEPTH | FTW_PHYS);
        remove(path_of(b, "data/out.jsonl"));
        remove(path_of(b, "data/in.jsonl"));
        remove(path_of(b, "data/failed.jsonl"));
        open_engine(b);
        if (by_ids)
            with_ids(b);
        put_ids(b, 0, 4);
        resume(b);
        assert_served(b, 3, "[[0,{\"id\":0}],[1,{\"id\":1}],[2,{\"id\":2}]]");
        fail_records(b, 0, 2, "\"no\"");
        SETTLE(b, 2, "{\"id\":2}");
        /* Killed as it began: what failed before is known all the same. */
        resume(b);
        reopen_engine(b);
        resume_portion(b, (struct portion){.only_failed = true});
        assert_served(b, 9, "[[0,{\"id\":0}],[1,{\"id\":1}]]");
        SETTLE(b, 0, "{\"id\":0}");
        fail_records(b, 1, 1, "\"no\"");
        assert_finished(b);
        resume_portion(b, (struct portion){.only_failed = true});
        assert_served(b, 9, "[[1,{\"id\":1}]]");
        SETTLE(b, 1, "{\"id\":1}");
        assert_finished(b);
        resume(b);
        assert_served(b, 9, "[[3,{\"id\":3}]]");
    }
}

static void what_gave_nothing_is_tried_again_when_asked(void **state)
{
    struct bench *b = *state;
    for (int by_ids = 0; by_ids < 2; by_ids++) {
        close_engine(b);
        nftw(path_of(b, "state"), bench_remove_one, 16, FTW_DEPTH | FTW_PHYS);
        remove(path_of(b, "data/out.jsonl"));
        remove(path_of(b, "data/in.jsonl"));
        open_engine(b);
        if (by_ids)
            with_ids(b);
        put_ids(b, 0, 3);
        resume(b);
        assert_served(b, 9, "[[0,{\"id\":0}],[1,{\"id\":1}],[2,{\"id\":2}]]");
        skip_records(b, 0, 2);
        SETTLE(b, 2, "{\"id\":2}");
        assert_finished(b);
        reopen_engine(b);
        resume(b);
        assert_finished(b);
        resume_portion(b, (struct portion){.retry_skipped = true});
        assert_served(b, 9, "[[0,{\"id\":0}],[1,{\"id\":1}]]");
        SETTLE(b, 0, "{\"id\":0}");
        skip_records(b, 1, 1);
        assert_finished(b);
        reopen_engine(b);
        resume_portion(b, (struct portion){.retry_skipped = true});
        assert_served(b, 9, "[[1,{\"id\":1}]]");
    }
}

/* What the portion was is not known any more: rather too little is done than too much. */
static void after_a_restart_of_the_engine_a_portion_is_over(void **state)
{
    struct bench *b = *state;
    put_ids(b, 0, 5);
    resume_portion(b, (struct portion){.limit = 3});
    assert_served(b, 1, "[[0,{\"id\":0}]]");
    SETTLE(b, 0, "{\"id\":0}");
    reopen_engine(b);
    assert_finished(b);
    control(b, "job", CONTROL_RESUME);
    assert_served(b, 9, "[[1,{\"id\":1}],[2,{\"id\":2}],[3,{\"id\":3}],[4,{\"id\":4}]]");
}

/* Whoever resumes the job by hand wants the rest. */
static void a_portion_that_is_over_can_be_gone_beyond(void **state)
{
    struct bench *b = *state;
    for (int by_ids = 0; by_ids < 2; by_ids++) {
        if (by_ids) {
            with_ids(b);
            control(b, "job", CONTROL_DELETE);
        } else {
            put_ids(b, 0, 3);
        }
        remove(path_of(b, "data/out.jsonl"));
        resume_portion(b, (struct portion){.limit = 1});
        assert_served(b, 9, "[[0,{\"id\":0}]]");
        SETTLE(b, 0, "{\"id\":0}");
        assert_finished(b);
        control(b, "job", CONTROL_RESUME);
        assert_served(b, 9, "[[1,{\"id\":1}],[2,{\"id\":2}]]");
        SETTLE(b, 1, "{\"id\":1}", "{\"id\":2}");
        assert_over(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_failed_record_is_listed_as_it_was_read),
        ENGINE_TEST(what_succeeds_leaves_the_list_and_what_fails_again_is_in_it_once),
        ENGINE_TEST(a_list_of_the_original_is_taken_over),
        ENGINE_TEST(a_crash_while_the_list_is_made_anew_does_no_harm),
        ENGINE_TEST(a_limit_takes_so_many_records),
        ENGINE_TEST(a_claim_that_waits_is_told_that_the_portion_is_over),
        ENGINE_TEST(a_sample_is_the_same_for_the_same_seed),
        ENGINE_TEST(what_is_left_of_a_sample_is_for_later_runs),
        ENGINE_TEST(only_what_failed_is_tried_again),
        ENGINE_TEST(what_gave_nothing_is_tried_again_when_asked),
        ENGINE_TEST(after_a_restart_of_the_engine_a_portion_is_over),
        ENGINE_TEST(a_portion_that_is_over_can_be_gone_beyond),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
