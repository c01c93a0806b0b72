/* Lines of an output that ask for their ids to be done again. engine/resume_output.c,
 * engine/held_lines.c. */
#include "resume_temp.h"

static void with_rerun(struct bench *b)
{
    with_ids(b);
    b->spec.rerun_key = xstrdup("again");
}

static void put_three(struct bench *b)
{
    with_rerun(b);
    put(b, "data/in.jsonl", "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n");
}

static void assert_no_held(struct bench *b)
{
    assert_int_equal(access(path_of(b, "state/job-1.held"), F_OK), -1);
}

static void an_old_line_is_replaced_by_the_new_one(void **state)
{
    struct bench *b = *state;
    put_three(b);
    put(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":2,\"again\":false}\n{\"id\":3}\n");
    resume(b);
    assert_served(b, 9, "[[1,{\"id\":2}]]");
    assert_text(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":3}\n");
    assert_text(b, "state/job-1.held", "{\"id\":2,\"again\":false}\n");
    SETTLE(b, 1, "{\"id\":2,\"new\":1}");
    assert_finished(b);
    assert_text(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":3}\n{\"id\":2,\"new\":1}\n");
    assert_no_held(b);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    resume(b);
    assert_finished(b);
    assert_text(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":3}\n{\"id\":2,\"new\":1}\n");
}

static void an_old_line_is_kept_when_doing_it_again_fails(void **state)
{
    struct bench *b = *state;
    put_three(b);
    put(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":2,\"again\":1}\n{\"id\":3}");
    resume(b);
    assert_served(b, 9, "[[1,{\"id\":2}]]");
    fail_records(b, 1, 1, "\"no\"");
    assert_finished(b);
    assert_text(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":3}\n{\"id\":2,\"again\":1}\n");
    assert_no_held(b);
    /* And it is asked for still. */
    resume(b);
    assert_served(b, 9, "[[1,{\"id\":2}]]");
}

static void lines_of_ids_that_are_not_in_the_input_stay(void **state)
{
    struct bench *b = *state;
    put_three(b);
    put(b, "data/out.jsonl", "{\"id\":9,\"again\":1}\n{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n");
    resume(b);
    assert_finished(b);
    assert_text(b, "data/out.jsonl",
                "{\"id\":1}\n{\"id\":2}\n{\"id\":3}\n{\"id\":9,\"again\":1}\n");
}

/* As the original leaves it: the old line beside the new one. */
static void a_line_that_was_replaced_already_goes(void **state)
{
    struct bench *b = *state;
    put_three(b);
    put(b, "data/out.jsonl",
        "{\"id\":1,\"again\":1}\n{\"id\":2}\n{\"id\":3}\n{\"id\":1,\"new\":1}\n");
    resume(b);
    assert_finished(b);
    assert_text(b, "data/out.jsonl", "{\"id\":2}\n{\"id\":3}\n{\"id\":1,\"new\":1}\n");
}

static void what_gave_nothing_or_no_id_this_time_is_done(void **state)
{
    struct bench *b = *state;
    put_three(b);
    put(b, "data/out.jsonl", "{\"id\":1,\"again\":1}\n{\"id\":2,\"again\":1}\n{\"id\":3}\n");
    resume(b);
    assert_served(b, 9, "[[0,{\"id\":1}],[1,{\"id\":2}]]");
    skip_records(b, 0, 1);
    SETTLE(b, 1, "{\"anonymous\":1}");
    assert_finished(b);
    assert_text(b, "data/out.jsonl", "{\"id\":3}\n{\"anonymous\":1}\n");
    resume(b);
    assert_finished(b);
    /* What was noted once is done again when a line asks for it. */
    put(b, "data/out.jsonl", "{\"id\":3}\n{\"id\":1,\"again\":1}\n{\"anonymous\":1}\n");
    resume(b);
    assert_served(b, 9, "[[0,{\"id\":1}]]");
    fail_records(b, 0, 1, "\"no\"");
    assert_finished(b);
    assert_text(b, "data/out.jsonl", "{\"id\":3}\n{\"anonymous\":1}\n{\"id\":1,\"again\":1}\n");
}

/* Between any two of its steps the program may be killed. */
static void no_line_is_lost_whenever_it_is_killed(void **state)
{
    struct bench *b = *state;
    static const char *const plans[] = {"held.added:1:fail", "rewrite.write:1:full",
                                        "rewrite.rename:1:fail", NULL};
    put_three(b);
    for (size_t i = 0; plans[i]; i++) {
        put(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":2,\"again\":1}\n{\"id\":3}\n");
        plan_fault(plans[i]);
        resume(b);
        settle_down(b);
        no_faults();
        reopen_engine(b);
        resume(b);
        assert_served(b, 9, "[[1,{\"id\":2}]]");
        assert_text(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":3}\n");
        /* Now it is killed while the record is being done. */
        reopen_engine(b);
        assert_text(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":3}\n");
        resume(b);
        assert_served(b, 9, "[[1,{\"id\":2}]]");
        fail_records(b, 1, 1, "\"no\"");
        plan_fault("held.put-back:1:fail");
        assert_served(b, 9, "[]");
        settle_down(b);
        no_faults();
        assert_int_equal(state_of(b, "job"), JOB_FAILED);
        reopen_engine(b);
        resume(b);
        assert_served(b, 9, "[[1,{\"id\":2}]]");
        fail_records(b, 1, 1, "\"no\"");
        assert_finished(b);
        assert_text(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":3}\n{\"id\":2,\"again\":1}\n");
        assert_no_held(b);
    }
}

static void a_job_that_starts_clean_or_is_deleted_leaves_its_output_whole(void **state)
{
    struct bench *b = *state;
    static const char out[] = "{\"id\":1}\n{\"id\":2,\"again\":1}\n{\"id\":3}\n";
    put_three(b);
    put(b, "data/out.jsonl", out);
    resume(b);
    assert_served(b, 9, "[[1,{\"id\":2}]]");
    struct op op;
    prepare_start(b, &op, "job");
    op.start.clean_start = true;
    ask(b, &op);
    assert_went_well(&op);
    assert_text(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":3}\n{\"id\":2,\"again\":1}\n");
    assert_served(b, 9, "[[1,{\"id\":2}]]");
    assert_text(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":3}\n");
    control(b, "job", CONTROL_DELETE);
    assert_text(b, "data/out.jsonl", "{\"id\":1}\n{\"id\":3}\n{\"id\":2,\"again\":1}\n");
    assert_no_held(b);
}

/* Only what is not in the output comes back to it. */
static void a_job_that_is_deleted_doubles_no_line(void **state)
{
    struct bench *b = *state;
    for (int killed = 0; killed < 2; killed++) {
        put(b, "data/out.jsonl", "{\"id\":1,\"again\":1}\n{\"id\":2,\"again\":1}\n{\"id\":3}");
        if (!killed)
            put_three(b);
        resume(b);
        assert_served(b, 1, "[[0,{\"id\":1}]]");
        SETTLE(b, 0, "{\"id\":1}");
        if (killed)
            reopen_engine(b);
        control(b, "job", CONTROL_DELETE);
        assert_text(b, "data/out.jsonl", "{\"id\":3}\n{\"id\":1}\n{\"id\":2,\"again\":1}\n");
        assert_no_held(b);
    }
}

static void lines_that_had_not_left_the_output_yet_are_not_put_back(void **state)
{
    struct bench *b = *state;
    static const char out[] = "{\"id\":1}\n{\"id\":2,\"again\":1}\n{\"id\":3}\n";
    put_three(b);
    put(b, "data/out.jsonl", out);
    plan_fault("rewrite.rename:1:fail");
    resume(b);
    settle_down(b);
    no_faults();
    assert_text(b, "state/job-1.held", "{\"id\":2,\"again\":1}\n");
    reopen_engine(b);
    control(b, "job", CONTROL_DELETE);
    assert_text(b, "data/out.jsonl", out);
}

static void it_works_in_a_csv_and_in_a_compressed_file(void **state)
{
    struct bench *b = *state;
    put_three(b);
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("out.csv");
    b->spec.sink_format = FORMAT_CSV;
    put(b, "data/out.csv", "id,text,again\r\n1,\"a\nb\",\r\n2,b,yes\r\n3,c,\r\n");
    resume(b);
    assert_served(b, 9, "[[1,{\"id\":2}]]");
    assert_text(b, "data/out.csv", "id,text,again\n1,\"a\nb\",\n3,c,\n");
    SETTLE(b, 1, "{\"id\":2,\"text\":\"new\"}");
    assert_finished(b);
    assert_text(b, "data/out.csv", "id,text,again\n1,\"a\nb\",\n3,c,\n2,new,\n");
    put(b, "data/out.csv", "id,text,again\n1,a,x\n2,b,\n3,c,\n");
    resume(b);
    assert_served(b, 9, "[[0,{\"id\":1}]]");
    fail_records(b, 0, 1, "\"no\"");
    assert_finished(b);
    assert_text(b, "data/out.csv", "id,text,again\n2,b,\n3,c,\n1,a,x\n");
}

static void a_link_to_the_output_stays_a_link(void **state)
{
    struct bench *b = *state;
    put_three(b);
    put(b, "data/real.jsonl", "{\"id\":1}\n{\"id\":2,\"again\":1}\n{\"id\":3}\n");
    assert_int_equal(chmod(path_of(b, "data/real.jsonl"), 0640), 0);
    assert_int_equal(symlink("real.jsonl", path_of(b, "data/out.jsonl")), 0);
    resume(b);
    assert_served(b, 9, "[[1,{\"id\":2}]]");
    struct stat st;
    assert_int_equal(lstat(path_of(b, "data/out.jsonl"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(stat(path_of(b, "data/out.jsonl"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_text(b, "data/real.jsonl", "{\"id\":1}\n{\"id\":3}\n");
}

static void a_header_is_not_edited_while_lines_of_the_old_one_are_kept_apart(void **state)
{
    struct bench *b = *state;
    put_three(b);
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("out.csv");
    b->spec.sink_format = FORMAT_CSV;
    put(b, "data/out.csv", "id,text,again\n1,a,\n2,b,yes\n");
    resume(b);
    assert_served(b, 1, "[[1,{\"id\":2}]]");
    reopen_engine(b);
    put(b, "data/out.csv", "text,id,again\na,1,\n");
    resume(b);
    settle_down(b);
    struct job_view v = view_of(b, "job");
    assert_int_equal(v.state, JOB_FAILED);
    assert_non_null(strstr(v.failure, "the header of out.csv was changed"));
    job_view_release(&v);
    put(b, "data/out.csv", "id,text,again\n1,a,\n");
    resume(b);
    assert_served(b, 1, "[[1,{\"id\":2}]]");
    SETTLE(b, 1, "{\"id\":2,\"text\":\"new\"}");
    assert_text(b, "data/out.csv", "id,text,again\n1,a,\n2,new,\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(an_old_line_is_replaced_by_the_new_one),
        ENGINE_TEST(an_old_line_is_kept_when_doing_it_again_fails),
        ENGINE_TEST(lines_of_ids_that_are_not_in_the_input_stay),
        ENGINE_TEST(a_line_that_was_replaced_already_goes),
        ENGINE_TEST(what_gave_nothing_or_no_id_this_time_is_done),
        ENGINE_TEST(no_line_is_lost_whenever_it_is_killed),
        ENGINE_TEST(a_job_that_starts_clean_or_is_deleted_leaves_its_output_whole),
        ENGINE_TEST(a_job_that_is_deleted_doubles_no_line),
        ENGINE_TEST(lines_that_had_not_left_the_output_yet_are_not_put_back),
        ENGINE_TEST(it_works_in_a_csv_and_in_a_compressed_file),
        ENGINE_TEST(a_header_is_not_edited_while_lines_of_the_old_one_are_kept_apart),
        ENGINE_TEST(a_link_to_the_output_stays_a_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
