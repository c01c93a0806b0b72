/* The state machine: every state and verb; and the names of things. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/job.h"

#include <stdio.h>
#include <string.h>

/* Where each verb leads from each state, "-" where it is refused. Written out once more, so that a
 * change of the table is seen. */
static const char *const leads[JOB_STATE_COUNT][JOB_VERB_COUNT] = {
    /*               start      claim      complete     fail      cancel       reopen */
    [JOB_DRAFT] = {"pending", "-", "-", "-", "cancelled", "-"},
    [JOB_READY] = {"pending", "-", "-", "-", "cancelled", "-"},
    [JOB_BLOCKED] = {"pending", "-", "-", "-", "cancelled", "-"},
    [JOB_PENDING] = {"-", "running", "completed", "failed", "cancelled", "pending"},
    [JOB_RUNNING] = {"-", "running", "completed", "failed", "cancelled", "pending"},
    [JOB_COMPLETED] = {"-", "-", "-", "-", "-", "pending"},
    [JOB_FAILED] = {"-", "-", "-", "-", "-", "pending"},
    [JOB_CANCELLED] = {"-", "-", "-", "-", "-", "pending"},
};

static void every_verb_leads_where_it_should_from_every_state(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_STATE_COUNT; s++)
        for (int v = 0; v < JOB_VERB_COUNT; v++) {
            enum job_state next = JOB_STATE_COUNT;
            struct err err = {0};
            bool ok = job_next_state((enum job_state)s, (enum job_verb)v, &next, &err);
            const char *to = ok ? job_state_name(next) : "-";
            if (strcmp(to, leads[s][v]) != 0)
                fail_msg("%s leads from %s to %s, not %s", job_verb_name((enum job_verb)v),
                         job_state_name((enum job_state)s), to, leads[s][v]);
            if (ok)
                continue;
            assert_int_equal(next, JOB_STATE_COUNT); /* untouched */
            assert_int_equal(err.code, ERR_CONFLICT);
            assert_non_null(strstr(err.text, job_state_name((enum job_state)s)));
            assert_non_null(strstr(err.text, job_verb_name((enum job_verb)v)));
        }
}

static void a_job_has_ended_in_three_states(void **state)
{
    (void)state;
    for (int s = 0; s < JOB_STATE_COUNT; s++)
        assert_int_equal(job_state_is_final((enum job_state)s), s >= JOB_COMPLETED);
}

static void names_are_read_as_they_are_written(void **state)
{
    (void)state;
    enum job_state s = JOB_DRAFT;
    enum data_mode m = MODE_READ;
    enum data_format f = FORMAT_CSV;
    for (int i = 0; i < JOB_STATE_COUNT; i++)
        assert_true(job_state_parse(str_of(job_state_name((enum job_state)i)), &s) && (int)s == i);
    for (int i = 0; i < MODE_COUNT; i++)
        assert_true(data_mode_parse(str_of(data_mode_name((enum data_mode)i)), &m) && (int)m == i);
    for (int i = 0; i < FORMAT_COUNT; i++)
        assert_true(data_format_parse(str_of(data_format_name((enum data_format)i)), &f) &&
                    (int)f == i);
    m = MODE_WRITE;
    assert_false(job_state_parse(STR("Running"), &s));
    assert_false(data_mode_parse(STR("readwrite"), &m));
    assert_false(data_mode_parse(STR(""), &m));
    assert_int_equal(m, MODE_WRITE);
    assert_string_equal(job_kind_name(JOB_DATA), "data");
    assert_string_equal(job_kind_name(JOB_TASK), "task");
    assert_string_equal(job_kind_name(JOB_FLOW), "flow");
}

static void compression_follows_the_paths_ending(void **state)
{
    (void)state;
    assert_int_equal(compression_of_path("a.jsonl.gz"), COMPRESS_GZIP);
    assert_int_equal(compression_of_path("a.zst"), COMPRESS_ZSTD);
    assert_int_equal(compression_of_path("a.jsonl"), COMPRESS_NONE);
    assert_int_equal(compression_of_path(".gz"), COMPRESS_NONE);
    assert_int_equal(compression_of_path(""), COMPRESS_NONE);
    assert_int_equal(compression_of_path(NULL), COMPRESS_NONE);
}

static void a_name_is_text_of_a_bounded_length(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool fine;
    } cases[] = {{"a", true},     {"", false},      {"Müllers Job: a/b?*[", true},
                 {"a\tb", false}, {"a\x7f", false}, {"\xff", false},
                 {" ", true},     {"a\xc3", false}, {"\x1f", false},
                 {"日本語", true}};
    struct err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool fine = job_name_check(str_of(cases[i].name), &err);
        if (fine != cases[i].fine)
            fail_msg("name %zu", i);
    }
    char name[JOB_NAME_MAX_BYTES + 1];
    memset(name, 'x', sizeof name);
    assert_true(job_name_check((struct str){name, JOB_NAME_MAX_BYTES}, &err));
    assert_false(job_name_check((struct str){name, JOB_NAME_MAX_BYTES + 1}, &err));
    assert_false(job_name_check(STR("a\0b"), &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verb_leads_where_it_should_from_every_state),
        cmocka_unit_test(a_job_has_ended_in_three_states),
        cmocka_unit_test(names_are_read_as_they_are_written),
        cmocka_unit_test(compression_follows_the_paths_ending),
        cmocka_unit_test(a_name_is_text_of_a_bounded_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
