/* test_flow_json.c: task lists in JSON: what they say, and every way in which they can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/flow.h"

#include <stdlib.h>
#include <string.h>

static const char *lookup(void *context, const char *name)
{
    (void)context;
    return strcmp(name, "LOGS") == 0 ? "/var/logs" : NULL;
}

static void assert_problems(const char *text, const char *want)
{
    struct flow flow;
    struct flow_problems problems;
    struct buf out;
    buf_init(&out, BUF_NO_CAP);
    buf_add_text(&out, "");
    bool good = flow_read_json(str_of(text), lookup, NULL, &flow, &problems);
    for (size_t i = 0; i < problems.count; i++)
        buf_add_format(&out, "%u:%u: %s: %s\n", problems.items[i].line, problems.items[i].column,
                       problems.items[i].field, problems.items[i].text);
    OWNED_MEM char *got = buf_take(&out);
    if (strcmp(got, want) != 0)
        fail_msg("of\n%s\ncame\n%s\nnot\n%s", text, got, want);
    assert_int_equal(good, problems.errors == 0);
    flow_release(&flow);
    flow_problems_release(&problems);
}

static void a_list_is_read_whole(void **state)
{
    struct flow f;
    struct flow_problems problems;
    (void)state;
    assert_true(flow_read_json(
        STR("\xEF\xBB\xBF{\"tasks\":{"
            "\"End\":{\"module\":\"m\",\"worker\":\"E\",\"dependencies\":[\"Start\"],"
            "\"arguments\":[\"a,b\",2,\"\"],\"max_attempts\":3,\"retry_wait_time\":\"1.5\","
            "\"timeout\":60,\"logfile\":\"$ENV{LOGS}/e.log\"},\n"
            "\"Start\":{\"module\":\"m\",\"worker\":\"S\",\"arguments\":\"x, \\\"y,z\\\"\","
            "\"logfile\":null}}}"),
        lookup, NULL, &f, &problems));
    assert_int_equal(f.node_count, 2);
    assert_int_equal(f.mode, FLOW_PYTHON);
    const struct flow_node *end = &f.nodes[0], *start = &f.nodes[1];
    assert_int_equal(end->id, 1);
    assert_string_equal(end->name, "End");
    assert_string_equal(end->work, "E");
    assert_int_equal(end->max_attempts, 3);
    assert_int_equal(end->retry_wait_us, 1500000);
    assert_int_equal(end->timeout_us, 60000000);
    assert_string_equal(end->logfile, "/var/logs/e.log");
    assert_int_equal(end->argument_count, 3);
    assert_string_equal(f.arguments[end->argument_at], "a,b");
    assert_string_equal(f.arguments[end->argument_at + 1], "2");
    assert_string_equal(f.arguments[end->argument_at + 2], "");
    assert_int_equal(end->parent_count, 1);
    assert_int_equal(f.parents[end->parents_at], 1);
    assert_int_equal(start->id, 2);
    assert_int_equal(start->line, 2);
    assert_int_equal(start->argument_count, 2);
    assert_string_equal(f.arguments[start->argument_at + 1], "y,z");
    assert_string_equal(start->logfile, "");
    flow_release(&f);
    flow_problems_release(&problems);
}

static void what_is_no_list_is_refused(void **state)
{
    (void)state;
    assert_problems("{\"tasks\":{}}", "1:10: FILE: there is no task in it\n");
    assert_problems("[]", "1:1: FILE: expected an object with \"tasks\"\n");
    assert_problems("{\"tasks\":[]}", "1:1: FILE: expected an object with \"tasks\"\n");
    assert_problems("{\"tasks\":{\"a\":3}}", "1:15: FILE: expected a task, not 3\n");
}

static void broken_json_is_told_with_its_place(void **state)
{
    struct flow f;
    struct flow_problems problems;
    (void)state;
    assert_false(flow_read_json(STR("{\"tasks\":{\n  \"a\":}}"), lookup, NULL, &f, &problems));
    assert_int_equal(problems.count, 1);
    assert_int_equal(problems.items[0].line, 2);
    assert_int_equal(problems.items[0].column, 7);
    assert_string_equal(problems.items[0].field, "FILE");
    flow_problems_release(&problems);
    assert_false(flow_read_json(STR(""), lookup, NULL, &f, &problems));
    flow_problems_release(&problems);
}

static void each_problem_is_told(void **state)
{
    (void)state;
    assert_problems("{\"tasks\":{\"a\":{\"module\":\"m\"}}}", "1:15: WORKER_NAME: is missing\n");
    assert_problems("{\"tasks\":{\"a\":{\"module\":\"\",\"worker\":\"W\"}}}",
                    "1:15: MODULE_NAME: is empty\n");
    assert_problems("{\"tasks\":{\"a\":{\"module\":\"m\",\"worker\":[]}}}",
                    "1:15: WORKER_NAME: is missing\n1:38: WORKER_NAME: expected a text, not []\n");
    assert_problems(
        "{\"tasks\":{\"a\":{\"module\":\"m\",\"worker\":\"W\",\n\"max_attempts\":0,\n"
        "\"retry_wait_time\":-1,\n\"timeout\":\"x\",\n\"arguments\":{},\n\"dependencies\":\"a\",\n"
        "\"colour\":1,\n\"logfile\":\"$ENV{NO}\"}}}",
        "2:16: MAX_ATTEMPTS: expected a number of tries, 1 to 1000000, not 0\n"
        "3:19: RETRY_WAIT_TIME: expected seconds, 0 or more, not -1\n"
        "4:11: TIMEOUT: expected seconds, 0 or more, not \"x\"\n"
        "5:13: ARGUMENTS: expected a list of texts, not {}\n"
        "6:16: PARENT_IDS: expected a list of names, not \"a\"\n"
        "7:1: EXTRA: expected a member that tasks have, not \"colour\"\n"
        "8:11: LOGFILE: the environment variable NO is not defined\n");
}

/* What is missing is told at the beginning of its task, behind which values were looked at. */
static void places_are_counted_back(void **state)
{
    (void)state;
    assert_problems("{\"tasks\":{\"\u00e9\":{\"module\":\"m\"},\"b\":{\"worker\":\"W\"}}}",
                    "1:15: WORKER_NAME: is missing\n1:34: MODULE_NAME: is missing\n");
    assert_problems("{\"tasks\":{\n\"\u00e9\":{\"module\":\"m\",\n\"colour\":1},\n"
                    "\"b\":{\"worker\":\"W\"}}}",
                    "2:5: WORKER_NAME: is missing\n"
                    "3:1: EXTRA: expected a member that tasks have, not \"colour\"\n"
                    "4:5: MODULE_NAME: is missing\n");
}

static void dependencies_are_checked(void **state)
{
    (void)state;
    assert_problems(
        "{\"tasks\":{\"a\":{\"module\":\"m\",\"worker\":\"W\",\"dependencies\":[\"b\"]}}}",
        "1:58: PARENT_IDS: expected the name of a task, not \"b\"\n");
    assert_problems(
        "{\"tasks\":{\n\"a\":{\"module\":\"m\",\"worker\":\"W\",\"dependencies\":[\"b\"]},\n"
        "\"b\":{\"module\":\"m\",\"worker\":\"W\",\"dependencies\":[\"a\"]}}}",
        "2:1: PARENT_IDS: cycle: 1 -> 2 -> 1\n");
    assert_problems("{\"tasks\":{\"a\":{\"module\":\"m\",\"worker\":\"W\"},\n"
                    "\"a\":{\"module\":\"m\",\"worker\":\"W\"}}}",
                    "2:1: PROCESS_NAME: \"a\" is the name of line 1, too\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_read_whole),
        cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(broken_json_is_told_with_its_place),
        cmocka_unit_test(each_problem_is_told),
        cmocka_unit_test(places_are_counted_back),
        cmocka_unit_test(dependencies_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
