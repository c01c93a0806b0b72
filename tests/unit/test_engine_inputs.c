/* A job over several inputs: read as one, told by file and line, and held against what it was
 * started on. */
#include "engine_temp.h"

static void add_input(struct bench *b, const char *path)
{
    size_t count = ++b->spec.source_more_count;
    b->spec.source_more = xrealloc(b->spec.source_more, count * sizeof(char *));
    b->spec.source_more[count - 1] = xstrdup(path);
}

static void put_inputs(struct bench *b)
{
    put(b, "data/in.jsonl", "{\"n\":0}\n{\"n\":1}\n");
    put(b, "data/in2.jsonl", "{\"n\":2}\nbad\n");
    put(b, "data/in3.csv", "x\n4\n");
    add_input(b, "in2.jsonl");
    add_input(b, "in3.csv");
}

static void again(struct bench *b, struct op *op, bool clean)
{
    prepare_start(b, op, "job");
    op->start.repair = !clean;
    op->start.clean_start = clean;
    ask(b, op);
}

static void several_inputs_are_one_job(void **state)
{
    struct bench *b = *state;
    put_inputs(b);
    start(b, "job");
    assert_claim(b, 10, "[[0,{\"n\":0}],[1,{\"n\":1}],[2,{\"n\":2}],[4,[4]]]");
    settle(b, 0, 3);
    settle(b, 4, 1);
    assert_int_equal(claim(b, 1), 0);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    assert_text_has(b, "data/out.jsonl.errors.jsonl", "\"file\":\"in2.jsonl\",\"line\":2");
    struct job_view view = view_of(b, "job");
    assert_int_equal(view.total, 5);
    assert_int_equal(view.spec.source_more_count, 2);
    job_view_release(&view);
}

static void what_failed_names_no_file_that_is_not_sure(void **state)
{
    struct bench *b = *state;
    put_inputs(b);
    start(b, "job");
    claim(b, 10);
    struct settling s;
    fail_one(&s, 2, true);
    ask(b, &s.op);
    assert_settled(&s, 0, 0, 1, 0);
    OWNED_MEM char *errors = text_of(b, "data/out.jsonl.errors.jsonl");
    const char *line = strstr(errors, "{\"record\":2");
    assert_non_null(line);
    assert_null(strstr(line, "\"file\""));
}

static void a_restart_goes_on_in_the_right_file(void **state)
{
    struct bench *b = *state;
    put_inputs(b);
    start(b, "job");
    assert_claim(b, 3, "[[0,{\"n\":0}],[1,{\"n\":1}],[2,{\"n\":2}]]");
    settle(b, 0, 2);
    reopen_engine(b);
    assert_claim(b, 10, "[[2,{\"n\":2}],[4,[4]]]");
    reopen_engine(b);
    assert_claim(b, 1, "[[2,{\"n\":2}]]");
    settle(b, 2, 1);
    reopen_engine(b);
    assert_claim(b, 10, "[[4,[4]]]");
    settle(b, 4, 1);
    assert_int_equal(claim(b, 1), 0);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    put_more(b, "data/in3.csv", "5\n");
    assert_claim(b, 10, "[[5,[5]]]");
}

static void assert_claim_fails(struct bench *b, enum err_code code, const char *part)
{
    struct op op;
    prepare_claim(&op, "job", 10);
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, code, part);
    op_release(&op);
}

static void another_file_in_the_middle_is_noticed_at_the_restart(void **state)
{
    struct bench *b = *state;
    put_inputs(b);
    start(b, "job");
    assert_int_equal(claim(b, 1), 1);
    put(b, "data/in2.jsonl", "{\"n\":3}\nbad\n");
    reopen_engine(b);
    assert_claim_fails(b, ERR_CONFLICT, "in2.jsonl is not the file");
    put(b, "data/in2.jsonl", "{\"n\":2}\nbad\n{\"n\":9}\n");
    reopen_engine(b);
    assert_claim_fails(b, ERR_CONFLICT, "in2.jsonl has grown");
    unlink(path_of(b, "data/in2.jsonl"));
    reopen_engine(b);
    assert_claim_fails(b, ERR_NOT_FOUND, "in2.jsonl");
    put(b, "data/in2.jsonl", "{\"n\":2}\nbad\n");
    reopen_engine(b);
    assert_int_equal(claim(b, 10), 4);
}

static void a_further_file_at_the_end_is_growth(void **state)
{
    struct bench *b = *state;
    struct op op;
    put_inputs(b);
    start(b, "job");
    claim(b, 10);
    settle(b, 0, 3);
    settle(b, 4, 1);
    put_more(b, "data/in3.csv", "5\n");
    put(b, "data/in4.jsonl", "{\"n\":6}\n");
    add_input(b, "in4.jsonl");
    again(b, &op, false);
    assert_went_well(&op);
    assert_claim(b, 10, "[[5,[5]],[6,{\"n\":6}]]");
    reopen_engine(b);
    assert_claim(b, 10, "[[5,[5]],[6,{\"n\":6}]]");
    free(b->spec.source_more[--b->spec.source_more_count]);
    again(b, &op, false);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "started on 4 inputs, now there are 3");
    again(b, &op, true);
    assert_went_well(&op);
    assert_claim(b, 2, "[[0,{\"n\":0}],[1,{\"n\":1}]]");
}

static void one_input_may_become_several_and_not_back(void **state)
{
    struct bench *b = *state;
    struct op op;
    put(b, "data/in.jsonl", "{\"n\":0}\n");
    start(b, "job");
    assert_int_equal(claim(b, 10), 1);
    settle(b, 0, 1);
    put(b, "data/in2.jsonl", "{\"n\":1}\n");
    add_input(b, "in2.jsonl");
    again(b, &op, false);
    assert_went_well(&op);
    assert_claim(b, 10, "[[1,{\"n\":1}]]");
    free(b->spec.source_more[--b->spec.source_more_count]);
    again(b, &op, false);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_CONFLICT, "several inputs, not on in.jsonl alone");
}

static void no_input_may_be_the_output(void **state)
{
    struct bench *b = *state;
    struct op op;
    put_inputs(b);
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("in2.jsonl");
    prepare_start(b, &op, "job");
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_INVALID, "in2.jsonl cannot be input and output");
    add_input(b, "missing.jsonl");
    prepare_start(b, &op, "job");
    ask(b, &op);
    assert_refused(&op, REFUSED_INPUT, ERR_NOT_FOUND, "missing.jsonl");
}

static void one_that_is_cut_off_fails_when_it_is_reached(void **state)
{
    struct bench *b = *state;
    put(b, "data/in.jsonl", "{\"n\":0}\n");
    put_bytes(b, "data/in2.jsonl.gz", O_TRUNC, "\x1f\x8b", 2);
    add_input(b, "in2.jsonl.gz");
    start(b, "job");
    assert_claim(b, 1, "[[0,{\"n\":0}]]");
    settle(b, 0, 1);
    reopen_engine(b);
    assert_int_equal(state_of(b, "job"), JOB_RUNNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(several_inputs_are_one_job),
        ENGINE_TEST(what_failed_names_no_file_that_is_not_sure),
        ENGINE_TEST(a_restart_goes_on_in_the_right_file),
        ENGINE_TEST(another_file_in_the_middle_is_noticed_at_the_restart),
        ENGINE_TEST(a_further_file_at_the_end_is_growth),
        ENGINE_TEST(one_input_may_become_several_and_not_back),
        ENGINE_TEST(no_input_may_be_the_output),
        ENGINE_TEST(one_that_is_cut_off_fails_when_it_is_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
