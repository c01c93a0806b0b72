/* test_exec_answer.c: one line that a program printed for one record. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/exec_answer.h"

#include <stdlib.h>

/* The body that the line makes, between lease and end. */
static void assert_answer_of(enum work_kind kind, struct str line, bool good, const char *want)
{
    struct outcomes o;
    struct str body;
    struct err err;
    OWNED_BUF struct buf why;
    buf_init(&why, BUF_NO_CAP);
    outcomes_init(&o, kind);
    assert_int_equal(exec_answer_take(line, 5, &o, &why), good);
    assert_int_equal(outcomes_count(&o), 1);
    assert_int_equal(why.len > 0, !good);
    assert_true(outcomes_body(&o, "", &body, &err));
    OWNED_MEM char *text = xstrndup(body.ptr + strlen("{\"lease\":\"\","), body.len - 13);
    assert_string_equal(text, want);
    outcomes_release(&o);
}

static void assert_answer(struct str line, bool good, const char *want)
{
    assert_answer_of(WORK_RECORDS, line, good, want);
}

#define RESULT(value) "\"results\":[[5," value "]],\"skipped\":[],\"failures\":[]"
#define SKIPPED "\"results\":[],\"skipped\":[5],\"failures\":[]"
#define FAILED(reason) "\"results\":[],\"skipped\":[],\"failures\":[[5," reason "]]"

static void results_are_taken_as_they_are(void **state)
{
    (void)state;
    assert_answer(STR("{\"a\": 1.50}"), true, RESULT("{\"a\": 1.50}"));
    assert_answer(STR(" 7 \r"), true, RESULT("7"));
    assert_answer(STR("\"\""), true, RESULT("\"\""));
    assert_answer(STR("{\"penstock\":{}, \"a\":1}"), true, RESULT("{\"penstock\":{}, \"a\":1}"));
    assert_answer(STR("{\"penstock\":[]}"), true, RESULT("{\"penstock\":[]}"));
    assert_answer(STR("{\"penstocks\":{}}"), true, RESULT("{\"penstocks\":{}}"));
    assert_answer(STR("{}"), true, RESULT("{}"));
}

static void nothing_null_and_skip_write_nothing(void **state)
{
    (void)state;
    assert_answer(STR(""), true, SKIPPED);
    assert_answer(STR(" \r"), true, SKIPPED);
    assert_answer(STR("null"), true, SKIPPED);
    assert_answer(STR("{\"penstock\":{\"skip\":true}}"), true, SKIPPED);
    assert_answer(STR("{ \t\"penstock\" : {\"skip\":true} }"), true, SKIPPED);
}

static void failures_say_why(void **state)
{
    (void)state;
    assert_answer(STR("{\"penstock\":{\"fail\":\"a\\nb\"}}"), false,
                  FAILED("{\"message\":\"a\\nb\"}"));
    assert_answer(STR("{\"penstock\":{\"skip\":true,\"fail\":\"a\",\"type\":\"T\",\"final\":true,"
                      "\"throttled\":true,\"retry_after_s\":0.25}}"),
                  false,
                  FAILED("{\"message\":\"a\",\"type\":\"T\",\"final\":true,\"throttled\":true,"
                         "\"retry_after_s\":0.25}"));
}

static void what_is_no_answer_fails_its_record(void **state)
{
    (void)state;
    assert_answer(STR("x"), false,
                  FAILED("{\"message\":\"the program's answer is no JSON: byte 0: expected a "
                         "value: x\",\"type\":\"NotJson\"}"));
    assert_answer(STR("1],[6,2"), false,
                  FAILED("{\"message\":\"the program's answer is no JSON: byte 1: more than one "
                         "value: 1],[6,2\",\"type\":\"NotJson\"}"));
    static const char *const wrong[] = {"\"other\":1", "\"fail\":1", "\"skip\":1",
                                        "\"fail\":\"a\",\"retry_after_s\":-1",
                                        "\"fail\":\"a\",\"retry_after_s\":1e9"};
    static const char *const named[] = {"other", "fail", "skip", "retry_after_s", "retry_after_s"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        OWNED_MEM char *line = xasprintf("{\"penstock\":{%s}}", wrong[i]);
        OWNED_MEM char *want =
            xasprintf(FAILED("{\"message\":\"the program's answer, \\\"penstock\\\": "
                             "\\\"%s\\\" is unknown or of another type\",\"type\":\"BadAnswer\"}"),
                      named[i]);
        assert_answer(str_of(line), false, want);
    }
    assert_answer(STR("{\"penstock\":{\"skip\":false}}"), false,
                  FAILED("{\"message\":\"the program's answer, \\\"penstock\\\": neither "
                         "\\\"fail\\\" nor \\\"skip\\\"\",\"type\":\"BadAnswer\"}"));
}

#define TASK(value, more) "\"completed\":[[5," value "]],\"aborted\":[],\"failures\":[]" more
#define TASK_FAILED(type)                                                                          \
    "\"completed\":[],\"aborted\":[],\"failures\":[[5,{\"message\":\"the program's answer, "       \
    "\\\"penstock\\\": \\\"enqueue\\\" is unknown or of another type\",\"type\":\"" type "\"}]]"

static void a_task_may_ask_for_others(void **state)
{
    (void)state;
    assert_answer_of(WORK_TASKS, STR("7"), true, TASK("7", ""));
    assert_answer_of(WORK_TASKS, STR(""), true, TASK("null", ""));
    assert_answer_of(WORK_TASKS, STR("{\"penstock\":{\"result\":[1]}}"), true, TASK("[1]", ""));
    assert_answer_of(WORK_TASKS,
                     STR("{\"penstock\":{\"enqueue\":[{\"function\":\"f\"}],\"result\":1}}"), true,
                     TASK("1", ",\"enqueue\":[{\"of\":5,\"function\":\"f\"}]"));
    assert_answer_of(WORK_TASKS, STR("{\"penstock\":{\"enqueue\":[]}}"), true, TASK("null", ""));
    assert_answer_of(WORK_TASKS, STR("{\"penstock\":{\"enqueue\":{}}}"), false,
                     TASK_FAILED("BadAnswer"));
    assert_answer_of(WORK_TASKS, STR("{\"penstock\":{\"enqueue\":[1]}}"), false,
                     TASK_FAILED("BadAnswer"));
    assert_answer(
        STR("{\"penstock\":{\"enqueue\":[]}}"), false,
        FAILED("{\"message\":\"the program's answer, \\\"penstock\\\": \\\"enqueue\\\" is unknown "
               "or of another type\",\"type\":\"BadAnswer\"}"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_are_taken_as_they_are),
        cmocka_unit_test(nothing_null_and_skip_write_nothing),
        cmocka_unit_test(failures_say_why),
        cmocka_unit_test(what_is_no_answer_fails_its_record),
        cmocka_unit_test(a_task_may_ask_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
