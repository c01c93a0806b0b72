/* Jobs whose records come from a program, or whose results go to one. advance.c, data_job_files.c.
 */
#include "engine_temp.h"

#include <poll.h>
#include <sys/eventfd.h>

enum { DEADLINE_MS = 20000 };

static int bell = -1;

static void rung(void *context)
{
    uint64_t one = 1;
    (void)context;
    if (write(bell, &one, sizeof one) < 0)
        abort();
}

/* Steps when a program has something, until the condition holds. */
#define UNTIL(bench, condition)                                                                    \
    while (!(condition))                                                                           \
    wait_ring(bench)

static void wait_ring(struct bench *b)
{
    uint64_t count;
    struct pollfd fd = {bell, POLLIN, 0};
    if (engine_next_us(b->engine) <= b->now.mono_us) {
        pass_time(b, 1);
        return;
    }
    if (poll(&fd, 1, DEADLINE_MS) != 1)
        fail_msg("no program did anything for %d s", DEADLINE_MS / 1000);
    assert_int_equal(read(bell, &count, sizeof count), (ssize_t)sizeof count);
    pass_time(b, 1);
}

static void with_programs(struct bench *b, const char *reader, const char *writer)
{
    close_engine(b);
    bell = eventfd(0, EFD_CLOEXEC);
    b->options.wake = rung;
    if (reader) {
        OWNED_MEM char *rule = xasprintf("reader=%s", reader);
        assert_true(programs_add(b->readers, rule, &b->err));
        b->spec.source_format = FORMAT_PROGRAM;
        free(TAKE(b->spec.source_path));
        b->spec.source_program = xstrdup("reader");
    }
    if (writer) {
        OWNED_MEM char *rule = xasprintf("writer=cd %s && %s", path_of(b, "data"), writer);
        assert_true(programs_add(b->writers, rule, &b->err));
        b->spec.sink_format = FORMAT_PROGRAM;
        free(TAKE(b->spec.sink_path));
        b->spec.sink_program = xstrdup("writer");
    }
    open_engine(b);
}

static int program_end(void **state)
{
    int result = bench_end(state); /* its programs ring until they are gone */
    if (bell >= 0)
        close(bell);
    bell = -1;
    return result;
}

/* Claims with waiting until something comes; returns how many. */
static int64_t claim_waiting(struct bench *b, int64_t max, bool *finished)
{
    struct op op;
    prepare_claim(&op, "job", max);
    op.claim.wait_until_us = NEVER_US;
    assert_true(STEP(b, &op));
    UNTIL(b, is_answered(&op));
    assert_went_well(&op);
    int64_t count = op.claim.count;
    if (finished)
        *finished = op.claim.finished;
    op_release(&op);
    return count;
}

/* Claims until `count` records came. */
static void claim_all(struct bench *b, int64_t count)
{
    while (count > 0) {
        int64_t got = claim_waiting(b, count, NULL);
        assert_true(got > 0 && got <= count);
        count -= got;
    }
}

static void a_programs_lines_are_served(void **state)
{
    struct bench *b = *state;
    bool finished = false;
    with_programs(b, "seq 100", NULL);
    start(b, "job");
    claim_all(b, 100);
    settle(b, 0, 60);
    settle(b, 60, 40);
    assert_int_equal(claim_waiting(b, 1, &finished), 0);
    assert_true(finished);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    assert_int_equal(line_count(b, "data/out.jsonl"), 100);
    /* A claim after the end does not run it again. */
    assert_claim(b, 1, "[]");
    settle(b, 0, 10);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

/* Nobody is told to go home while more may be printed. */
static void who_asks_waits_as_long_as_the_program_runs(void **state)
{
    struct bench *b = *state;
    struct op op;
    OWNED_MEM char *command =
        xasprintf("mkfifo %s; echo 1; cat %s", path_of(b, "data/pipe"), path_of(b, "data/pipe"));
    with_programs(b, command, NULL);
    start(b, "job");
    claim_all(b, 1);
    prepare_claim(&op, "job", 1);
    assert_true(STEP(b, &op));
    assert_false(is_answered(&op));
    assert_true(engine_next_us(b->engine) == NEVER_US);
    put(b, "data/pipe", "2\n");
    UNTIL(b, is_answered(&op));
    assert_true(str_is(buf_str(&op.claim.records), "[[1,2]]"));
    op_release(&op);
}

static void a_program_that_fails_fails_the_job(void **state)
{
    struct bench *b = *state;
    bool finished = false;
    with_programs(b, "echo 1; echo no more numbers >&2; exit 3", NULL);
    start(b, "job");
    claim_all(b, 1);
    assert_int_equal(claim_waiting(b, 1, &finished), 0);
    assert_true(finished);
    struct job_view view = view_of(b, "job");
    assert_int_equal(view.state, JOB_FAILED);
    assert_string_equal(view.failure, "reader reader: exit status 3; it said: no more numbers");
    job_view_release(&view);
    reopen_engine(b);
    view = view_of(b, "job");
    assert_string_equal(view.failure, "reader reader: exit status 3; it said: no more numbers");
    job_view_release(&view);
}

static void after_a_restart_the_program_must_print_the_same(void **state)
{
    struct bench *b = *state;
    OWNED_MEM char *command = xasprintf("cat %s", path_of(b, "data/list"));
    bool finished = false;
    put(b, "data/list", "1\n2\n3\n");
    with_programs(b, command, NULL);
    start(b, "job");
    claim_all(b, 3);
    settle(b, 0, 1);
    reopen_engine(b);
    claim_all(b, 2);
    settle(b, 1, 1);
    close_engine(b);
    put(b, "data/list", "1\n2\n4\n");
    open_engine(b);
    while (state_of(b, "job") != JOB_FAILED)
        claim_waiting(b, 9, &finished);
    struct job_view view = view_of(b, "job");
    assert_non_null(strstr(view.failure, "something else than when it ran before"));
    job_view_release(&view);
    assert_int_equal(line_count(b, "data/out.jsonl"), 2);
}

static void a_writer_is_given_what_is_committed(void **state)
{
    struct bench *b = *state;
    with_programs(b, NULL, "cat > written");
    start_lines(b, 5);
    assert_int_equal(claim(b, 5), 5);
    settle(b, 0, 3);
    reopen_engine(b); /* it begins anew, with all there is */
    settle(b, 3, 2);
    assert_int_equal(claim(b, 1), 0);
    UNTIL(b, state_of(b, "job") == JOB_COMPLETED);
    assert_text(b, "data/written", "{\"r\":0}\n{\"r\":1}\n{\"r\":2}\n{\"r\":3}\n{\"r\":4}\n");
    /* What is sent again is a repeat; the program is not run for it. */
    assert_int_equal(unlink(path_of(b, "data/written")), 0);
    settle(b, 0, 5);
    pass_time(b, SECOND_US);
    assert_int_equal(access(path_of(b, "data/written"), F_OK), -1);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

static void a_writer_that_fails_fails_the_job(void **state)
{
    struct bench *b = *state;
    with_programs(b, NULL, "read line; exit 7");
    start_lines(b, 2);
    assert_int_equal(claim(b, 2), 2);
    settle(b, 0, 2);
    UNTIL(b, state_of(b, "job") == JOB_FAILED);
    struct job_view view = view_of(b, "job");
    assert_non_null(strstr(view.failure, "writer writer: exit status 7"));
    job_view_release(&view);
}

static void a_writer_that_fails_fails_a_job_that_only_writes(void **state)
{
    struct bench *b = *state;
    with_programs(b, NULL, "read line; exit 7");
    b->spec.mode = MODE_WRITE;
    b->spec.source_format = FORMAT_NONE;
    free(TAKE(b->spec.source_path));
    start(b, "job");
    settle(b, 0, 2);
    UNTIL(b, state_of(b, "job") == JOB_FAILED);
    struct settling s;
    prepare_results(&s, 5, 1);
    ask(b, &s.op);
    assert_refused(&s.op, REFUSED_OTHERWISE, ERR_CONFLICT, "job job is failed");
}

static void a_deleted_job_takes_its_spools_along(void **state)
{
    struct bench *b = *state;
    with_programs(b, "seq 3", "cat > written");
    int64_t id = start(b, "job");
    claim_all(b, 3);
    settle(b, 0, 3);
    OWNED_MEM char *in = xasprintf("state/job-%lld.in.jsonl", (long long)id);
    OWNED_MEM char *out = xasprintf("state/job-%lld.out.jsonl", (long long)id);
    assert_text(b, in, "1\n2\n3\n");
    assert_int_equal(line_count(b, out), 3);
    control(b, "job", CONTROL_DELETE);
    assert_int_equal(access(path_of(b, in), F_OK), -1);
    assert_int_equal(access(path_of(b, out), F_OK), -1);
}

static void a_clean_start_may_go_to_a_program(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 1);
    with_programs(b, "seq 2", NULL);
    prepare_start(b, &op, "job");
    op.start.clean_start = true;
    ask(b, &op);
    assert_went_well(&op);
    claim_all(b, 2);
    settle(b, 0, 2);
    bool finished = false;
    assert_int_equal(claim_waiting(b, 1, &finished), 0);
    assert_true(finished);
}

static void a_program_that_nobody_names_any_more_is_told(void **state)
{
    struct bench *b = *state;
    struct op op;
    with_programs(b, "seq 2", NULL);
    start(b, "job");
    close_engine(b);
    programs_free(b->readers);
    b->readers = programs_new();
    open_engine(b);
    prepare_claim(&op, "job", 1);
    ask(b, &op);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_INVALID, "no reader is named reader");
    op_release(&op);
}

/* Standard input and output of a run. */
static void with_pipes(struct bench *b, int in, int out)
{
    close_engine(b);
    b->options.wake = rung;
    programs_free(b->readers);
    programs_free(b->writers);
    b->readers = programs_new();
    b->writers = programs_new();
    assert_true(programs_add_fd(b->readers, "stdin", in, &b->err));
    assert_true(programs_add_fd(b->writers, "stdout", out, &b->err));
    b->spec.source_format = b->spec.sink_format = FORMAT_PROGRAM;
    free(TAKE(b->spec.source_path));
    free(TAKE(b->spec.sink_path));
    free(b->spec.source_program);
    free(b->spec.sink_program);
    b->spec.source_program = xstrdup("stdin");
    b->spec.sink_program = xstrdup("stdout");
    open_engine(b);
}

/* Exactly these lines come next. */
static void assert_comes(int fd, const char *text)
{
    char got[64] = {0};
    for (size_t len = 0; len < strlen(text);) {
        ssize_t n = read(fd, got + len, strlen(text) - len);
        assert_true(n > 0);
        len += (size_t)n;
    }
    assert_string_equal(got, text);
}

static void assert_completes(struct bench *b)
{
    bool finished = false;
    assert_int_equal(claim_waiting(b, 1, &finished), 0);
    assert_true(finished);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
}

static void a_job_may_go_from_one_descriptor_to_another(void **state)
{
    struct bench *b = *state;
    int in[2], out[2], more[2];
    bool finished = false;
    bell = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(pipe2(in, O_CLOEXEC) + pipe2(out, O_CLOEXEC) + pipe2(more, O_CLOEXEC), 0);
    with_pipes(b, in[0], out[1]);
    start(b, "job");
    assert_int_equal(write(in[1], "1\n2\n", 4), 4);
    claim_all(b, 2);
    settle(b, 0, 1);
    assert_comes(out[0], "{\"r\":0}\n");
    /* Killed and started again with the same input: what is done is written again, not done. */
    with_pipes(b, more[0], out[1]);
    assert_int_equal(write(more[1], "1\n2\n3\n", 6), 6);
    close(more[1]);
    assert_comes(out[0], "{\"r\":0}\n");
    claim_all(b, 2);
    settle(b, 1, 2);
    assert_int_equal(claim_waiting(b, 1, &finished), 0);
    assert_true(finished);
    assert_int_equal(state_of(b, "job"), JOB_COMPLETED);
    assert_comes(out[0], "{\"r\":1}\n{\"r\":2}\n");
    int ends[] = {in[0], in[1], out[0], out[1], more[0]};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        close(ends[i]);
}

static void a_closed_output_fails_the_job_and_loses_nothing(void **state)
{
    struct bench *b = *state;
    int in[2], out[2];
    bell = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(pipe2(in, O_CLOEXEC) + pipe2(out, O_CLOEXEC), 0);
    with_pipes(b, in[0], out[1]);
    start(b, "job");
    assert_int_equal(write(in[1], "1\n2\n", 4), 4);
    claim_all(b, 2);
    settle(b, 0, 1);
    close(out[0]);
    UNTIL(b, state_of(b, "job") == JOB_FAILED);
    struct job_view view = view_of(b, "job");
    assert_non_null(strstr(view.failure, ": the output was closed"));
    job_view_release(&view);
    close(out[1]);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    close(in[0]);
    close(in[1]);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(write(in[1], "1\n2\n", 4), 4);
    close(in[1]);
    with_pipes(b, in[0], out[1]);
    struct op op;
    prepare_start(b, &op, "job");
    op.start.repair = true;
    ask(b, &op);
    assert_went_well(&op);
    claim_all(b, 1);
    settle(b, 1, 1);
    assert_completes(b);
    assert_comes(out[0], "{\"r\":0}\n{\"r\":1}\n");
    close(in[0]);
    close(out[0]);
    close(out[1]);
}

/* By ids the spool of the output is the truth: the input may come in another order. */
static void records_with_ids_go_on_from_the_spool_of_the_output(void **state)
{
    struct bench *b = *state;
    static const char first[] = "{\"id\":1}\n{\"id\":2}\n", then[] = "{\"id\":3}\n{\"id\":1}\n";
    int in[2], out[2];
    bell = eventfd(0, EFD_CLOEXEC);
    b->spec.id_key = xstrdup("id");
    for (int run = 0; run < 2; run++) {
        assert_int_equal(pipe2(in, O_CLOEXEC) + pipe2(out, O_CLOEXEC), 0);
        with_pipes(b, in[0], out[1]);
        const char *text = run ? then : first;
        assert_int_equal(write(in[1], text, strlen(text)), (ssize_t)strlen(text));
        close(in[1]);
        struct op op;
        prepare_start(b, &op, "job");
        op.start.resume = true;
        ask(b, &op);
        assert_went_well(&op);
        struct settling s;
        settling_begin(&s, "job");
        claim_all(b, run ? 1 : 2);
        settling_add(&s, 0, false, run ? "{\"id\":3}" : "{\"id\":1}");
        ask(b, &s.op);
        assert_settled(&s, 1, 0, 0, 0);
        assert_comes(out[0], run ? "{\"id\":1}\n{\"id\":3}\n" : "{\"id\":1}\n");
        if (run)
            assert_completes(b);
        close(in[0]);
        close(out[0]);
        close(out[1]);
    }
}

#define PROGRAM_TEST(name) cmocka_unit_test_setup_teardown(name, bench_begin, program_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PROGRAM_TEST(a_programs_lines_are_served),
        PROGRAM_TEST(who_asks_waits_as_long_as_the_program_runs),
        PROGRAM_TEST(a_program_that_fails_fails_the_job),
        PROGRAM_TEST(after_a_restart_the_program_must_print_the_same),
        PROGRAM_TEST(a_writer_is_given_what_is_committed),
        PROGRAM_TEST(a_writer_that_fails_fails_the_job),
        PROGRAM_TEST(a_writer_that_fails_fails_a_job_that_only_writes),
        PROGRAM_TEST(a_deleted_job_takes_its_spools_along),
        PROGRAM_TEST(a_clean_start_may_go_to_a_program),
        PROGRAM_TEST(a_job_may_go_from_one_descriptor_to_another),
        PROGRAM_TEST(a_closed_output_fails_the_job_and_loses_nothing),
        PROGRAM_TEST(records_with_ids_go_on_from_the_spool_of_the_output),
        PROGRAM_TEST(a_program_that_nobody_names_any_more_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
