/* What people see of a job, and the plain texts that numbers become. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/shown_job.h"

static const char running[] =
    "{\"id\":17,\"name\":\"titles\",\"kind\":\"data\",\"state\":\"running\",\"paused\":false,"
    "\"mode\":\"read-write\",\"source\":{\"format\":\"jsonl\",\"path\":\"in.jsonl\"},"
    "\"sink\":{\"format\":\"program\",\"program\":\"mail\"},\"lease_s\":2.5,\"max_attempts\":3,"
    "\"records\":{\"known\":5000,\"total\":60000,\"unread\":0,\"served\":200,\"done\":12345,"
    "\"failed\":10,\"bad\":3,\"repeats\":0,\"written\":4790},\"leases\":2,\"exhausted\":true,"
    "\"rate_per_s\":850.5,\"eta_s\":64.9,\"failure\":null,\"tail\":null,\"unknown\":[1]}";

static void assert_progress(const char *json, const char *wanted)
{
    struct err err;
    OWNED_SHOWN_JOB struct shown_job job = {0};
    OWNED_BUF struct buf text;
    buf_init(&text, 512);
    assert_true(shown_job_read(str_of(json), &job, &err));
    shown_job_progress(&job, &text);
    assert_int_equal(text.len, strlen(wanted));
    assert_memory_equal(text.data, wanted, text.len);
}

static void a_job_is_read_as_the_server_shows_it(void **state)
{
    (void)state;
    struct err err;
    OWNED_SHOWN_JOB struct shown_job job = {0};
    assert_true(shown_job_read(STR(running), &job, &err));
    assert_int_equal(job.id, 17);
    assert_string_equal(job.name, "titles");
    assert_string_equal(job.source, "in.jsonl");
    assert_string_equal(job.sink, "program mail");
    assert_int_equal(job.served, 200);
    assert_true(job.lease_s == 2.5);
    assert_null(job.failure);
    assert_string_equal(shown_job_word(&job), "running");
    assert_false(shown_job_ended(&job));
}

static void several_inputs_are_counted(void **state)
{
    (void)state;
    struct err err;
    OWNED_SHOWN_JOB struct shown_job job = {0};
    OWNED_SHOWN_JOB struct shown_job none = {0};
    assert_true(shown_job_read(STR("{\"name\":\"a\",\"state\":\"running\",\"source\":{\"paths\":"
                                   "[\"a\",\"b\",\"c\"]}}"),
                               &job, &err));
    assert_string_equal(job.source, "a and 2 more");
    assert_true(shown_job_read(
        STR("{\"name\":\"a\",\"state\":\"running\",\"source\":{\"paths\":[]}}"), &none, &err));
    assert_null(none.source);
}

static void what_is_no_job_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "[]", "{}", "{\"name\":\"a\"}", "{\"name\":\"a\",\"state\":7}", "nonsense"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct err err;
        struct shown_job job = {.id = 3};
        assert_false(shown_job_read(str_of(texts[i]), &job, &err));
        assert_int_equal(err.code, ERR_INTERNAL);
        assert_int_equal(job.id, 3);
    }
}

static void progress_says_what_is_known_and_no_more(void **state)
{
    (void)state;
    assert_progress(running, " 20.6 %  12,345 of 60,000 done  10 failed  851/s  1:05 left");
    assert_progress(
        "{\"name\":\"a\",\"state\":\"pending\",\"records\":{\"done\":0,\"total\":null}}", "0 done");
    assert_progress("{\"name\":\"a\",\"state\":\"running\",\"exhausted\":false,\"records\":"
                    "{\"done\":1000,\"total\":1000}}",
                    " 99.9 %  1,000 of about 1,000 done");
    assert_progress("{\"name\":\"a\",\"state\":\"completed\",\"exhausted\":true,\"rate_per_s\":5,"
                    "\"records\":{\"done\":0,\"total\":0}}",
                    "100.0 %  0 of 0 done");
}

static void a_paused_job_says_so_until_it_has_ended(void **state)
{
    (void)state;
    struct err err;
    OWNED_SHOWN_JOB struct shown_job job = {0};
    OWNED_SHOWN_JOB struct shown_job ended = {0};
    assert_true(
        shown_job_read(STR("{\"name\":\"a\",\"state\":\"running\",\"paused\":true}"), &job, &err));
    assert_string_equal(shown_job_word(&job), "paused");
    assert_true(shown_job_read(STR("{\"name\":\"a\",\"state\":\"cancelled\",\"paused\":true}"),
                               &ended, &err));
    assert_string_equal(shown_job_word(&ended), "cancelled");
    assert_true(shown_job_ended(&ended));
}

static void assert_count(int64_t number, const char *wanted)
{
    char text[COUNT_TEXT_SIZE];
    count_text(number, text);
    assert_string_equal(text, wanted);
}

static void assert_span(double seconds, const char *wanted)
{
    char text[SPAN_TEXT_SIZE];
    span_text(seconds, text);
    assert_string_equal(text, wanted);
}

static void numbers_have_their_thousands_apart(void **state)
{
    (void)state;
    assert_count(0, "0");
    assert_count(999, "999");
    assert_count(1000, "1,000");
    assert_count(-1234567, "-1,234,567");
    assert_count(-999, "-999");
    assert_count(INT64_MIN, "-9,223,372,036,854,775,808");
}

static void spans_are_said_as_people_say_them(void **state)
{
    (void)state;
    assert_span(-5, "0 s");
    assert_span(59.4, "59 s");
    assert_span(60, "1:00");
    assert_span(3599, "59:59");
    assert_span(7384, "2:03:04");
    assert_span(2 * 86400 + 3 * 3600, "2 d 3 h");
    assert_span(1e300, "11574074 d 1 h");
}

static void a_table_is_as_wide_as_what_stands_in_it(void **state)
{
    (void)state;
    static const char *const titles[] = {">N", "NAME", "LAST", NULL};
    OWNED(table) struct table *t = table_new(titles);
    char *text = NULL;
    size_t len = 0;
    static const char *const cells[] = {"7", "a\tb", "x", "1234", "longer name", ""};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        table_cell(t, str_of(cells[i]), COLOUR_GOOD);
    FILE *out = open_memstream(&text, &len);
    table_print(t, out);
    fclose(out);
    OWNED_MEM char *owned = text;
    assert_string_equal(owned, "   N  NAME         LAST\n"
                               "   7  a?b          x\n"
                               "1234  longer name  \n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_read_as_the_server_shows_it),
        cmocka_unit_test(several_inputs_are_counted),
        cmocka_unit_test(what_is_no_job_is_refused),
        cmocka_unit_test(progress_says_what_is_known_and_no_more),
        cmocka_unit_test(a_paused_job_says_so_until_it_has_ended),
        cmocka_unit_test(numbers_have_their_thousands_apart),
        cmocka_unit_test(spans_are_said_as_people_say_them),
        cmocka_unit_test(a_table_is_as_wide_as_what_stands_in_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
