/* Doctor holds store, ledger and outputs against each other, and changes nothing. */
#include "engine_temp.h"

/* What doctor found as text, to be freed; how many faults must be so many. */
static char *doctor(struct bench *b, int64_t faults)
{
    struct op op;
    prepare(&op, OP_DOCTOR, "");
    ask(b, &op);
    assert_went_well(&op);
    assert_true(json_check(buf_str(&op.doctor.findings), NULL, NULL));
    char *text = buf_take(&op.doctor.findings);
    if (op.doctor.faults != faults)
        fail_msg("%lld faults, not %lld: %s", (long long)op.doctor.faults, (long long)faults, text);
    op_release(&op);
    return text;
}

static void assert_found(struct bench *b, int64_t faults, const char *part)
{
    OWNED_MEM char *text = doctor(b, faults);
    if (!strstr(text, part))
        fail_msg("no \"%s\" in %s", part, text);
}

static void a_sound_state_has_no_faults(void **state)
{
    struct bench *b = *state;
    assert_found(b, 0, "the store is sound");
    start_lines(b, 5);
    assert_int_equal(claim(b, 4), 4);
    settle(b, 0, 3);
    assert_found(b, 0, "4 records known, 3 done, 0 failed, 3 written");
    assert_found(b, 0, "3 lines in 24 committed bytes, 3 of them written by this job");
    assert_found(b, 0, "the input is the file that the job was started on");
    /* Work goes on where it was. */
    settle(b, 3, 1);
    assert_claim(b, 9, "[[4,{\"n\":4}]]");
}

static void doctor_tells_of_what_is_in_the_group(void **state)
{
    struct bench *b = *state;
    struct settling s;
    struct op op;
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    prepare_results(&s, 0, 2);
    prepare(&op, OP_DOCTOR, "");
    assert_true(STEP(b, &s.op, &op));
    assert_went_well(&s.op);
    assert_int_equal(op.doctor.faults, 0);
    assert_non_null(memmem(op.doctor.findings.data, op.doctor.findings.len, "2 written", 9));
    op_release(&op);
}

static void an_input_that_is_another_is_a_fault(void **state)
{
    struct bench *b = *state;
    start_lines(b, 3);
    put(b, "data/in.jsonl", "{\"other\":1}\n{\"other\":2}\n");
    assert_found(b, 1, "is not the file that job job was started on");
    assert_int_equal(unlink(path_of(b, "data/in.jsonl")), 0);
    assert_found(b, 1, "\"check\":\"input\"");
}

static void an_output_that_misses_lines_is_a_fault(void **state)
{
    struct bench *b = *state;
    start_lines(b, 3);
    assert_int_equal(claim(b, 3), 3);
    settle(b, 0, 3);
    assert_claim(b, 1, "[]");
    put(b, "data/out.jsonl", "{\"r\":0}\n");
    assert_found(b, 1, "\"check\":\"output\"");
    assert_text(b, "data/out.jsonl", "{\"r\":0}\n");
    assert_int_equal(unlink(path_of(b, "data/out.jsonl")), 0);
    assert_found(b, 1, "\"check\":\"output\"");
}

/* Its owner may have gone on with it. */
static void what_is_behind_an_ended_jobs_output_is_left_alone(void **state)
{
    struct bench *b = *state;
    start_lines(b, 1);
    assert_int_equal(claim(b, 1), 1);
    settle(b, 0, 1);
    assert_claim(b, 1, "[]");
    put_more(b, "data/out.jsonl", "my own\n");
    assert_found(b, 0, "1 lines in 8 committed bytes");
    assert_text(b, "data/out.jsonl", "{\"r\":0}\nmy own\n");
    reopen_engine(b);
    assert_found(b, 0, "1 lines in 8 committed bytes");
    assert_text(b, "data/out.jsonl", "{\"r\":0}\nmy own\n");
}

static void a_clean_or_moved_output_is_no_fault(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 4);
    assert_int_equal(claim(b, 4), 4);
    settle(b, 0, 2);
    prepare(&op, OP_CONTROL, "job");
    op.control.verb = CONTROL_CLEAN;
    op.control.with_output = true;
    ask(b, &op);
    free(doctor(b, 0));
    assert_int_equal(claim(b, 4), 2);
    settle(b, 2, 1);
    free(doctor(b, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_sound_state_has_no_faults),
        ENGINE_TEST(doctor_tells_of_what_is_in_the_group),
        ENGINE_TEST(an_input_that_is_another_is_a_fault),
        ENGINE_TEST(an_output_that_misses_lines_is_a_fault),
        ENGINE_TEST(what_is_behind_an_ended_jobs_output_is_left_alone),
        ENGINE_TEST(a_clean_or_moved_output_is_no_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
