/* A job goes on where its output is: by its ledger, or by the ids in the output. engine/resume.c,
 * engine/identity.c. */
#include "resume_temp.h"

/* --- by the ledger ------------------------------------------------------------------------------
 */

static void without_ids_a_job_goes_on_by_its_ledger(void **state)
{
    struct bench *b = *state;
    put_lines(b, "data/in.jsonl", 0, 3);
    resume(b);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 1);
    struct settling s;
    fail_one(&s, 1, true);
    ask(b, &s.op);
    reopen_engine(b);
    put_lines(b, "data/in.jsonl", 3, 1);
    resume(b);
    assert_claim(b, 9, "[[1,{\"n\":1}],[2,{\"n\":2}],[3,{\"n\":3}]]");
    settle(b, 1, 3);
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n{\"r\":1}\n{\"r\":2}\n{\"r\":3}\n");
    assert_over(b);
    resume(b);
    assert_over(b);
}

static void another_input_is_refused_without_ids(void **state)
{
    struct bench *b = *state;
    start_lines(b, 3);
    assert_int_equal(claim(b, 1), 1);
    settle(b, 0, 1);
    put(b, "data/in.jsonl", "{\"n\":9}\n{\"n\":1}\n{\"n\":2}\n");
    struct op op = resume_op(b);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "another input");
}

static void whoever_asks_for_a_job_at_work_joins_it(void **state)
{
    struct bench *b = *state;
    struct op claimed;
    start_lines(b, 3);
    claim_leased(b, &claimed, 2, 60);
    control(b, "job", CONTROL_PAUSE);
    resume(b);
    struct counts c = counts_of(b, "job");
    assert_int_equal(c.served, 2);
    assert_claim(b, 9, "[[2,{\"n\":2}]]");
    op_release(&claimed);
}

static void a_paused_job_goes_on(void **state)
{
    struct bench *b = *state;
    start_lines(b, 1);
    control(b, "job", CONTROL_PAUSE);
    resume(b);
    assert_claim(b, 9, "[[0,{\"n\":0}]]");
}

/* --- by ids -------------------------------------------------------------------------------------
 */

static void what_the_output_has_is_done(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    put(b, "data/out.jsonl", "{\"id\":1,\"r\":0}\n{\"id\":\"b\"}\n{\"other\":5}\n");
    put(b, "data/in.jsonl",
        "{\"id\":\"1\"}\n{\"id\":1.0}\n{\"id\":\"b\"}\n{\"id\":0}\n{\"id\":\"\"}\n");
    resume(b);
    assert_served(b, 9, "[[0,{\"id\":\"1\"}],[3,{\"id\":0}],[4,{\"id\":\"\"}]]");
    SETTLE(b, 3, "{\"id\":0}", "{\"id\":\"\"}");
    SETTLE(b, 0, "{\"id\":\"1\"}");
    assert_over(b);
    assert_text(b, "data/out.jsonl",
                "{\"id\":1,\"r\":0}\n{\"id\":\"b\"}\n{\"other\":5}\n"
                "{\"id\":0}\n{\"id\":\"\"}\n{\"id\":\"1\"}\n");
    struct job_view v = view_of(b, "job");
    assert_int_equal(v.done_before, 2);
    assert_int_equal(v.written, 3);
    job_view_release(&v);
}

static void an_input_may_be_reordered_and_grow(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    put(b, "data/in.jsonl", "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n");
    resume(b);
    assert_served(b, 2, "[[0,{\"id\":1}],[1,{\"id\":2}]]");
    SETTLE(b, 1, "{\"id\":2}");
    reopen_engine(b);
    put(b, "data/in.jsonl", "{\"id\":4}\n{\"id\":3}\n{\"id\":2}\n{\"id\":1}\n");
    resume(b);
    assert_served(b, 9, "[[0,{\"id\":4}],[1,{\"id\":3}],[3,{\"id\":1}]]");
    SETTLE(b, 0, "{\"id\":4}", "{\"id\":3}");
    SETTLE(b, 3, "{\"id\":1}");
    assert_text(b, "data/out.jsonl", "{\"id\":2}\n{\"id\":4}\n{\"id\":3}\n{\"id\":1}\n");
}

static void a_doubled_id_is_done_once(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    put(b, "data/in.jsonl", "{\"id\":1,\"n\":0}\n{\"id\":1,\"n\":1}\n{\"id\":true}\n{\"id\":2}\n");
    log_set_level(LOG_ERROR);
    resume(b);
    assert_served(b, 9, "[[0,{\"id\":1,\"n\":0}],[3,{\"id\":2}]]");
    struct job_view v = view_of(b, "job");
    assert_int_equal(v.duplicates, 2);
    assert_int_equal(v.done_before, 0);
    assert_int_equal(v.failed, 0);
    job_view_release(&v);
}

static void records_without_an_id_are_listed_and_the_rest_goes_on(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    put(b, "data/in.jsonl",
        "{\"n\":0}\n{\"id\":null}\n{\"id\":[1]}\n{\"id\":{}}\n5\n[1]\nnull\nbroken\n{\"id\":false}"
        "\n");
    resume(b);
    assert_served(b, 9, "[[8,{\"id\":false}]]");
    SETTLE(b, 8, "{\"id\":false}");
    assert_over(b);
    struct job_view v = view_of(b, "job");
    assert_int_equal(v.no_id, 4); /* what is no object is no record at all */
    assert_int_equal(v.bad, 8);
    assert_int_equal(v.failed, 8);
    job_view_release(&v);
    assert_int_equal(line_count(b, "data/out.jsonl.errors.jsonl"), 8);
    assert_text_has(b, "data/out.jsonl.errors.jsonl", "it has no id");
    assert_text_has(b, "data/out.jsonl.errors.jsonl", "its id is a list or an object");
}

/* Nothing in the output ends a run: it is warned of and passed over. */
static void an_output_with_anything_in_it_is_looked_through(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    put(b, "data/in.jsonl", "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n");
    put(b, "data/out.jsonl",
        "\xef\xbb\xbf{\"id\":1}\r\n[1]\nnot json\n\n\xff\xfe\n\"text\"\n{\"id\":[2]}\n{\"id\":3}");
    resume(b);
    assert_served(b, 9, "[[1,{\"id\":2}]]");
    SETTLE(b, 1, "{\"id\":2}");
    assert_text(b, "data/out.jsonl",
                "\xef\xbb\xbf{\"id\":1}\r\n[1]\nnot json\n\n\xff\xfe\n\"text\"\n{\"id\":[2]}\n"
                "{\"id\":3}\n{\"id\":2}\n");
}

static void a_torn_last_line_is_cut_and_done_again(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    put(b, "data/in.jsonl", "{\"id\":1}\n{\"id\":2}\n");
    put(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":2,\"te");
    resume(b);
    assert_served(b, 9, "[[1,{\"id\":2}]]");
    assert_text(b, "data/out.jsonl", "{\"id\":1}\n");
    SETTLE(b, 1, "{\"id\":2}");
    assert_text(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":2}\n");
}

/* What gave nothing, or a result without its id, shows nowhere in the output. */
static void what_the_output_does_not_tell_is_noted(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    put(b, "data/in.jsonl", "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n");
    resume(b);
    assert_served(b, 9, "[[0,{\"id\":1}],[1,{\"id\":2}],[2,{\"id\":3}]]");
    SETTLE(b, 0, "{\"no\":\"id\"}", "{\"id\":99}");
    reopen_engine(b);
    resume(b);
    assert_served(b, 9, "[[2,{\"id\":3}]]");
    /* A clean start knows nothing of them. */
    struct op op;
    prepare_start(b, &op, "job");
    op.start.clean_start = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_served(b, 9, "[[0,{\"id\":1}],[1,{\"id\":2}],[2,{\"id\":3}]]");
}

/* A refused result leaves no note behind. */
static void a_result_that_was_taken_back_is_not_noted(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    put(b, "data/in.jsonl", "{\"id\":1}\n");
    resume(b);
    assert_served(b, 9, "[[0,{\"id\":1}]]");
    plan_fault("sink.write:1:full");
    struct settling s;
    settling_begin(&s, "job");
    settling_add(&s, 0, false, "{\"no\":\"id\"}");
    ask(b, &s.op);
    assert_int_not_equal(s.op.err.code, ERR_NONE);
    no_faults();
    reopen_engine(b);
    resume(b);
    assert_served(b, 9, "[[0,{\"id\":1}]]");
}

static void what_was_written_to_the_output_behind_our_back_counts(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    put(b, "data/in.jsonl", "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n");
    resume(b);
    assert_served(b, 1, "[[0,{\"id\":1}]]");
    SETTLE(b, 0, "{\"id\":1}");
    /* The job was not at its end; the file is longer, shorter, another. */
    put_more(b, "data/out.jsonl", "{\"id\":2}\n");
    reopen_engine(b);
    resume(b);
    assert_served(b, 9, "[[2,{\"id\":3}]]");
    put(b, "data/out.jsonl", "{\"id\":3}\n");
    reopen_engine(b);
    resume(b);
    assert_served(b, 9, "[[0,{\"id\":1}],[1,{\"id\":2}]]");
    SETTLE(b, 0, "{\"id\":1}", "{\"id\":2}");
    assert_text(b, "data/out.jsonl", "{\"id\":3}\n{\"id\":1}\n{\"id\":2}\n");
}

/* A server that is started again goes on with the same run: nobody has to ask. */
static void a_restarted_engine_knows_its_ids_again(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    put(b, "data/out.jsonl", "{\"id\":5}\n");
    put(b, "data/in.jsonl",
        "{\"id\":1}\n{\"id\":2}\n{\"id\":1}\n{\"id\":2}\n{\"id\":5}\n{\"id\":6}\n");
    resume(b);
    assert_served(b, 2, "[[0,{\"id\":1}],[1,{\"id\":2}]]");
    SETTLE(b, 1, "{\"id\":2}");
    reopen_engine(b);
    assert_served(b, 9, "[[0,{\"id\":1}],[5,{\"id\":6}]]");
    SETTLE(b, 0, "{\"id\":1}");
    SETTLE(b, 5, "{\"id\":6}");
    assert_text(b, "data/out.jsonl", "{\"id\":5}\n{\"id\":2}\n{\"id\":1}\n{\"id\":6}\n");
    assert_over(b);
    /* Its input grows after all. */
    put_more(b, "data/in.jsonl", "{\"id\":6}\n{\"id\":7}\n");
    reopen_engine(b);
    assert_served(b, 9, "[[7,{\"id\":7}]]");
}

/* Most lines are told by their beginnings; what looks alike and is not is read. */
static void lines_that_only_begin_like_done_ones_are_read(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    put(b, "data/out.jsonl",
        "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":10}\n");
    put(b, "data/in.jsonl",
        "{\"id\":1}\n"
        "{\"id\":2,\"x\":{\"id\":7},\"identity\":0,\"y\":\"id\"}\n" /* done */
        "{\"id\":3,\"id\":20}\n"
        "{\"id\":3,\"\\u0069d\":21}\n"
        "{\"id\":10.5}\n"
        "{\"id\":\"a\"}\n" /* done */
        "{\"id\":\"a\\\\\"}\n"
        "{\"id\":\"b\" , \"x\":1}\n" /* done */
        "{\"id\":1e1}\n"             /* done */
        "{\"id\":3}\r\n"             /* done */
        "{\"id\":10,\"z\":1}\n"      /* twice */
        "{\"id\":3}");               /* twice */
    resume(b);
    assert_served(b, 9,
                  "[[2,{\"id\":3,\"id\":20}],[3,{\"id\":3,\"\\u0069d\":21}],[4,{\"id\":10.5}],"
                  "[6,{\"id\":\"a\\\\\"}]]");
    struct job_view v = view_of(b, "job");
    assert_int_equal(v.done_before, 6);
    assert_int_equal(v.duplicates, 2);
    job_view_release(&v);
}

static void an_output_that_cannot_be_read_fails_the_job(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    put(b, "data/in.jsonl", "{\"id\":1}\n");
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("out.jsonl.gz");
    put_bytes(b, "data/out.jsonl.gz", O_TRUNC, "\x1f\x8b\x08\0damaged...", 14);
    resume(b);
    settle_down(b);
    struct job_view v = view_of(b, "job");
    assert_int_equal(v.state, JOB_FAILED);
    assert_true(strstr(v.failure, "look through the output") != NULL);
    job_view_release(&v);
    /* Once it is away the job can go on. */
    assert_int_equal(unlink(path_of(b, "data/out.jsonl.gz")), 0);
    resume(b);
    assert_served(b, 9, "[[0,{\"id\":1}]]");
}

static void many_ids_are_looked_through_in_slices(void **state)
{
    struct bench *b = *state;
    enum { COUNT = 2000 };
    with_ids(b);
    close_engine(b);
    b->options.slice_bytes = 1;
    open_engine(b);
    struct buf text;
    buf_init(&text, BUF_NO_CAP);
    for (int i = 0; i < COUNT; i++)
        buf_add_format(&text, "{\"id\":\"record %d\"}\n", i);
    put_bytes(b, "data/in.jsonl", O_TRUNC, text.data, text.len);
    put_bytes(b, "data/out.jsonl", O_TRUNC, text.data, text.len);
    buf_release(&text);
    put_more(b, "data/in.jsonl", "{\"id\":\"new\"}\n");
    resume(b);
    /* Others are served meanwhile, and the job can be asked for. */
    assert_int_equal(state_of(b, "job"), JOB_PENDING);
    assert_served(b, 9, "[[2000,{\"id\":\"new\"}]]");
    struct job_view v = view_of(b, "job");
    assert_int_equal(v.done_before, COUNT);
    job_view_release(&v);
}

static void a_job_can_be_stopped_while_its_output_is_looked_through(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    put(b, "data/in.jsonl", "{\"id\":1}\n");
    put(b, "data/out.jsonl", "{\"id\":2}\n");
    resume(b);
    control(b, "job", CONTROL_CANCEL);
    assert_int_equal(state_of(b, "job"), JOB_CANCELLED);
    settle_down(b);
    resume(b);
    control(b, "job", CONTROL_DELETE);
    settle_down(b);
    resume(b);
    assert_served(b, 9, "[[0,{\"id\":1}]]");
}

/* --- a large output is read by two threads ------------------------------------------------------
 */

enum { LARGE_LINES = 200000 };

/* More than 16 MiB of lines: id 7 is to be done again, one line is broken, `tail` is the last. */
static void put_large_output(struct bench *b, const char *tail)
{
    FILE *f = fopen(path_of(b, "data/out.jsonl"), "w");
    assert_non_null(f);
    for (int i = 0; i < LARGE_LINES; i++) {
        if (i == 7)
            fprintf(f, "{\"id\":%d,\"again\":1,\"text\":\"%080d\"}\n", i, i);
        else if (i == 100000)
            fprintf(f, "{\"id\":%d,\"text\":\"%080d\n", i, i);
        else
            fprintf(f, "{\"id\":%d,\"text\":\"%080d\"}\n", i, i);
    }
    fputs(tail, f);
    assert_int_equal(fclose(f), 0);
}

static void a_large_output_is_read_like_a_small_one(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    b->spec.rerun_key = xstrdup("again");
    put_large_output(b, "{\"id\":200001,\"te");
    put(b, "data/in.jsonl",
        "{\"id\":0}\n{\"id\":7}\n{\"id\":199999}\n{\"id\":100000}\n{\"id\":200001}\n");
    log_set_level(LOG_ERROR);
    resume(b);
    assert_served(b, 9, "[[1,{\"id\":7}],[3,{\"id\":100000}],[4,{\"id\":200001}]]");
    struct job_view v = view_of(b, "job");
    assert_int_equal(v.done_before, 2);
    job_view_release(&v);
    /* The line to be replaced and the torn one have left it, and what was not JSON stays. */
    assert_int_equal(line_count(b, "data/out.jsonl"), LARGE_LINES - 1);
}

static void a_job_can_be_stopped_while_its_large_output_is_read(void **state)
{
    struct bench *b = *state;
    struct op op;
    with_ids(b);
    put_large_output(b, "");
    put(b, "data/in.jsonl", "{\"id\":0}\n{\"id\":-1}\n");
    log_set_level(LOG_ERROR);
    resume(b);
    prepare_claim(&op, "job", 9);
    op.claim.wait_until_us = b->now.mono_us + 60 * SECOND_US;
    assert_true(STEP(b, &op));
    assert_false(is_answered(&op));
    control(b, "job", CONTROL_CANCEL);
    for (int i = 0; i < 10000 && !is_answered(&op); i++)
        pass_time(b, 0);
    assert_int_equal(state_of(b, "job"), JOB_CANCELLED);
    op_release(&op);
    resume(b);
    assert_served(b, 9, "[[1,{\"id\":-1}]]");
}

/* --- CSV ----------------------------------------------------------------------------------------
 */

static void ids_are_found_in_a_csv_and_its_columns_stay(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("out.csv");
    b->spec.sink_format = FORMAT_CSV;
    put(b, "data/in.jsonl",
        "{\"id\":1}\n{\"id\":\"2\"}\n{\"id\":3}\n{\"id\":\"x,y\"}\n{\"id\":true}\n");
    put(b, "data/out.csv", "note,id\na,1\nb,2\nc,\"x,y\"\n");
    resume(b);
    assert_served(b, 9, "[[2,{\"id\":3}]]");
    SETTLE(b, 2, "{\"id\":3,\"note\":\"d\"}");
    assert_text(b, "data/out.csv", "note,id\na,1\nb,2\nc,\"x,y\"\nd,3\n");
}

static void a_header_that_was_edited_names_the_columns_of_what_follows(void **state)
{
    struct bench *b = *state;
    with_ids(b);
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("out.csv");
    b->spec.sink_format = FORMAT_CSV;
    put(b, "data/in.jsonl", "{\"id\":1}\n");
    resume(b);
    assert_served(b, 9, "[[0,{\"id\":1}]]");
    SETTLE(b, 0, "{\"id\":1,\"note\":\"a\"}");
    assert_over(b);
    settle_down(b);
    put(b, "data/out.csv", "note,id,more\na,1,x\n");
    put(b, "data/in.jsonl", "{\"id\":1}\n{\"id\":2}\n");
    resume(b);
    assert_served(b, 9, "[[1,{\"id\":2}]]");
    SETTLE(b, 1, "{\"id\":2,\"note\":\"b\",\"more\":\"y\"}");
    assert_text(b, "data/out.csv", "note,id,more\na,1,x\nb,2,y\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(without_ids_a_job_goes_on_by_its_ledger),
        ENGINE_TEST(another_input_is_refused_without_ids),
        ENGINE_TEST(whoever_asks_for_a_job_at_work_joins_it),
        ENGINE_TEST(a_paused_job_goes_on),
        ENGINE_TEST(what_the_output_has_is_done),
        ENGINE_TEST(an_input_may_be_reordered_and_grow),
        ENGINE_TEST(a_doubled_id_is_done_once),
        ENGINE_TEST(records_without_an_id_are_listed_and_the_rest_goes_on),
        ENGINE_TEST(an_output_with_anything_in_it_is_looked_through),
        ENGINE_TEST(a_torn_last_line_is_cut_and_done_again),
        ENGINE_TEST(what_the_output_does_not_tell_is_noted),
        ENGINE_TEST(a_result_that_was_taken_back_is_not_noted),
        ENGINE_TEST(what_was_written_to_the_output_behind_our_back_counts),
        ENGINE_TEST(a_restarted_engine_knows_its_ids_again),
        ENGINE_TEST(lines_that_only_begin_like_done_ones_are_read),
        ENGINE_TEST(an_output_that_cannot_be_read_fails_the_job),
        ENGINE_TEST(many_ids_are_looked_through_in_slices),
        ENGINE_TEST(a_job_can_be_stopped_while_its_output_is_looked_through),
        ENGINE_TEST(a_large_output_is_read_like_a_small_one),
        ENGINE_TEST(a_job_can_be_stopped_while_its_large_output_is_read),
        ENGINE_TEST(ids_are_found_in_a_csv_and_its_columns_stay),
        ENGINE_TEST(a_header_that_was_edited_names_the_columns_of_what_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
