/* test_outcomes.c: what became of records, as the body of one settle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "run/outcomes.h"

#include <stdlib.h>

static char *body_of(struct outcomes *o, const char *lease)
{
    struct str body;
    struct err err = {0};
    if (!outcomes_body(o, lease, &body, &err))
        fail_msg("%s", err.text);
    assert_true(json_check(body, NULL, NULL));
    return xstrndup(body.ptr, body.len);
}

static void assert_body(struct outcomes *o, const char *lease, const char *want)
{
    OWNED_MEM char *body = body_of(o, lease);
    assert_string_equal(body, want);
}

static void fill(struct outcomes *o)
{
    outcomes_result(o, 0, STR("{\"a\": 1}"));
    outcomes_result(o, INT64_MAX, STR("[2]"));
    outcomes_skip(o, 3);
    outcomes_skip(o, 4);
    outcomes_fail(o, 5, &(struct failure){.message = STR("no \"good\"\xff")});
    outcomes_fail(o, 6,
                  &(struct failure){.message = STR("busy"),
                                    .type = STR("Busy"),
                                    .final = true,
                                    .throttled = true,
                                    .retry_after_s = 1.5});
}

static void all_kinds_of_outcomes_make_one_body(void **state)
{
    (void)state;
    struct outcomes o;
    outcomes_init(&o, WORK_RECORDS);
    assert_body(&o, "t", "{\"lease\":\"t\",\"results\":[],\"skipped\":[],\"failures\":[]}");
    outcomes_clear(&o);
    fill(&o);
    assert_int_equal(outcomes_count(&o), 6);
    static const char rest[] =
        "\"results\":[[0,{\"a\": 1}],[9223372036854775807,[2]]],\"skipped\":[3,4],\"failures\":["
        "[5,{\"message\":\"no \\\"good\\\"\xef\xbf\xbd\"}],"
        "[6,{\"message\":\"busy\",\"type\":\"Busy\",\"final\":true,\"throttled\":true,"
        "\"retry_after_s\":1.5}]]}";
    OWNED_MEM char *first = xasprintf("{\"lease\":\"one\",%s", rest);
    OWNED_MEM char *second = xasprintf("{\"lease\":\"another\",%s", rest);
    assert_body(&o, "one", first);
    assert_body(&o, "another", second);
    outcomes_clear(&o);
    assert_int_equal(outcomes_count(&o), 0);
    outcomes_release(&o);
}

static void a_body_that_is_too_long_is_halved(void **state)
{
    (void)state;
    struct outcomes o, other;
    outcomes_init(&o, WORK_RECORDS);
    outcomes_init(&other, WORK_RECORDS);
    fill(&o);
    outcomes_result(&o, 7, STR("\"],[1\""));
    free(body_of(&o, "t"));
    outcomes_halve(&o, &other);
    assert_int_equal(outcomes_count(&o), 5);
    assert_int_equal(o.result_count, 1);
    assert_body(&other, "t",
                "{\"lease\":\"t\",\"results\":[[9223372036854775807,[2]],[7,\"],[1\"]],"
                "\"skipped\":[],\"failures\":[]}");
    outcomes_release(&other);
    outcomes_release(&o);
}

static void refused_results_become_failures(void **state)
{
    (void)state;
    struct outcomes o;
    outcomes_init(&o, WORK_RECORDS);
    outcomes_result(&o, 1, STR("1"));
    outcomes_skip(&o, 2);
    outcomes_refuse(&o, &(struct failure){.message = STR("no")});
    assert_int_equal(outcomes_count(&o), 2);
    assert_body(&o, "t",
                "{\"lease\":\"t\",\"results\":[],\"skipped\":[2],"
                "\"failures\":[[1,{\"message\":\"no\"}]]}");
    outcomes_release(&o);
}

static void add_up(void *context, int64_t record)
{
    int64_t *sum = context;
    *sum = *sum * 10 + record;
}

static void every_record_can_be_named(void **state)
{
    (void)state;
    struct outcomes o;
    int64_t sum = 0;
    outcomes_init(&o, WORK_RECORDS);
    outcomes_each(&o, add_up, &sum);
    assert_int_equal(sum, 0);
    outcomes_result(&o, 1, STR("[9]"));
    outcomes_result(&o, 2, STR("9"));
    outcomes_fail(&o, 3, &(struct failure){.message = STR("9")});
    outcomes_skip(&o, 4);
    outcomes_each(&o, add_up, &sum);
    assert_int_equal(sum, 1234);
    free(body_of(&o, "t"));
    sum = 0;
    outcomes_each(&o, add_up, &sum);
    assert_int_equal(sum, 1234);
    outcomes_release(&o);
}

static void of_tasks_the_body_is_the_queues(void **state)
{
    (void)state;
    struct outcomes o, other;
    outcomes_init(&o, WORK_TASKS);
    outcomes_init(&other, WORK_TASKS);
    outcomes_result(&o, 1, STR("\"a\""));
    outcomes_skip(&o, 2);
    outcomes_enqueue(&o, 3, STR("[ {\"function\":\"f\"}, { } ]"));
    outcomes_result(&o, 3, STR("[3]"));
    outcomes_enqueue(&o, 4, STR("[{\"function\":\"g\"}]"));
    outcomes_result(&o, 4, STR("4"));
    outcomes_abort(&o, 9);
    outcomes_fail(&o, 5, &(struct failure){.message = STR("no")});
    assert_int_equal(outcomes_count(&o), 6);
    assert_body(
        &o, "t",
        "{\"lease\":\"t\",\"completed\":[[1,\"a\"],[2,null],[3,[3]],[4,4]],\"aborted\":[9],"
        "\"failures\":[[5,{\"message\":\"no\"}]],\"enqueue\":[{\"of\":3,\"function\":\"f\"},"
        "{\"of\":3},{\"of\":4,\"function\":\"g\"}]}");
    outcomes_halve(&o, &other);
    assert_body(&o, "t",
                "{\"lease\":\"t\",\"completed\":[[1,\"a\"],[2,null]],\"aborted\":[9],"
                "\"failures\":[[5,{\"message\":\"no\"}]]}");
    assert_body(&other, "t",
                "{\"lease\":\"t\",\"completed\":[[3,[3]],[4,4]],\"aborted\":[],"
                "\"failures\":[],\"enqueue\":[{\"of\":3,\"function\":\"f\"},"
                "{\"of\":3},{\"of\":4,\"function\":\"g\"}]}");
    outcomes_clear(&o);
    outcomes_halve(&other, &o);
    assert_body(&other, "t",
                "{\"lease\":\"t\",\"completed\":[[3,[3]]],\"aborted\":[],\"failures\":[],"
                "\"enqueue\":[{\"of\":3,\"function\":\"f\"},{\"of\":3}]}");
    outcomes_refuse(&other, &(struct failure){.message = STR("so")});
    assert_body(&other, "t",
                "{\"lease\":\"t\",\"completed\":[],\"aborted\":[],"
                "\"failures\":[[3,{\"message\":\"so\"}]]}");
    outcomes_release(&other);
    outcomes_release(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds_of_outcomes_make_one_body),
        cmocka_unit_test(a_body_that_is_too_long_is_halved),
        cmocka_unit_test(refused_results_become_failures),
        cmocka_unit_test(every_record_can_be_named),
        cmocka_unit_test(of_tasks_the_body_is_the_queues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
