/* test_flow.c: task lists: what they say, and every way in which they can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/flow.h"

#include <stdlib.h>

static const char *lookup(void *context, const char *name)
{
    (void)context;
    if (strcmp(name, "LOGS") == 0)
        return "/var/logs";
    if (strcmp(name, "EMPTY") == 0)
        return "";
    if (strcmp(name, "PAIR") == 0)
        return "a,$ENV{LOGS}";
    return strcmp(name, "_9") == 0 ? "nine" : NULL;
}

/* The problems as lines "line:column: error: FIELD: text". */
static char *problems_of(struct str text)
{
    struct flow flow;
    struct flow_problems problems;
    struct buf out;
    buf_init(&out, BUF_NO_CAP);
    buf_add_text(&out, "");
    bool good = flow_read(text, lookup, NULL, &flow, &problems);
    assert_int_equal(good, problems.errors == 0);
    for (size_t i = 0; i < problems.count; i++) {
        const struct flow_problem *p = &problems.items[i];
        buf_add_format(&out, "%u:%u: %s: %s: %s\n", p->line, p->column,
                       p->warning ? "warning" : "error", p->field, p->text);
    }
    if (!good)
        assert_int_equal(flow.node_count, 0);
    flow_release(&flow);
    flow_problems_release(&problems);
    return buf_take(&out);
}

static void assert_problems(struct str text, const char *want)
{
    OWNED_MEM char *got = problems_of(text);
    if (strcmp(got, want) != 0)
        fail_msg("of\n%.*s\ncame\n%s\nnot\n%s", (int)text.len, text.ptr, got, want);
}

/* Reads a list that is right. */
static struct flow read_good(struct str text)
{
    struct flow flow;
    struct flow_problems problems;
    if (!flow_read(text, lookup, NULL, &flow, &problems))
        fail_msg("%u:%u %s: %s", problems.items[0].line, problems.items[0].column,
                 problems.items[0].field, problems.items[0].text);
    assert_int_equal(problems.count, 0);
    flow_problems_release(&problems);
    return flow;
}

static void a_list_becomes_nodes(void **state)
{
    (void)state;
    struct flow f = read_good(
        STR("\xEF\xBB\xBF#Python | anything\r\n"
            "#ID|PARENT_IDS|MAX_ATTEMPTS|RETRY_WAIT_TIME|PROCESS_NAME|MODULE_NAME|WORKER_NAME\n"
            "\t 0010 | -1 | | | Start | a.b | Start | | $ENV{LOGS}/start.log\r\n"
            " \n"
            "  # 9|none\n"
            "2|10,-1|3|1.5|Get|w|Get|a, b ,,\"c,d\", 'e' ,x=\"1,2\",It's,\"\",f\"g|\n"
            "3| 2 , 10 |1|0|End|w|End"));
    assert_int_equal(f.mode, FLOW_PYTHON);
    assert_int_equal(f.node_count, 3);
    assert_int_equal(f.nodes[0].id, 10);
    assert_int_equal(f.nodes[0].line, 3);
    assert_int_equal(f.nodes[0].parent_count, 0);
    assert_int_equal(f.nodes[0].max_attempts, 1);
    assert_int_equal(f.nodes[0].retry_wait_us, 0);
    assert_string_equal(f.nodes[0].name, "Start");
    assert_string_equal(f.nodes[0].module, "a.b");
    assert_string_equal(f.nodes[0].work, "Start");
    assert_string_equal(f.nodes[0].logfile, "/var/logs/start.log");
    assert_int_equal(f.nodes[1].parent_count, 1);
    assert_int_equal(f.parents[f.nodes[1].parents_at], 0);
    assert_int_equal(f.nodes[1].max_attempts, 3);
    assert_int_equal(f.nodes[1].retry_wait_us, 1500000);
    assert_string_equal(f.nodes[1].logfile, "");
    static const char *const arguments[] = {"a",         "b",    "c,d", "'e'",
                                            "x=\"1,2\"", "It's", "",    "f\"g"};
    assert_int_equal(f.nodes[1].argument_count, 8);
    for (size_t i = 0; i < 8; i++)
        assert_string_equal(f.arguments[f.nodes[1].argument_at + i], arguments[i]);
    assert_int_equal(f.nodes[2].parent_count, 2);
    assert_int_equal(f.parents[f.nodes[2].parents_at], 1);
    assert_int_equal(f.parents[f.nodes[2].parents_at + 1], 0);
    assert_int_equal(f.nodes[2].argument_count, 0);
    uint32_t depths[3];
    flow_depths(&f, depths);
    assert_int_equal(depths[0], 0);
    assert_int_equal(depths[1], 1);
    assert_int_equal(depths[2], 2);
    flow_release(&f);
}

static void shell_rows_are_commands(void **state)
{
    (void)state;
    struct flow f = read_good(STR("#shell\n1|-1|||List|ls -l \"a|b\"|out.log\n"
                                  "2|1|||Say|echo 'a|b'\n#PYTHON\n"));
    assert_int_equal(f.mode, FLOW_SHELL);
    assert_null(f.nodes[0].module);
    assert_string_equal(f.nodes[1].work, "echo 'a|b'");
    assert_string_equal(f.nodes[1].logfile, "");
    flow_release(&f);
}

static void quotes_hold_separators_together_where_they_open_and_close(void **state)
{
    (void)state;
    struct flow f = read_good(STR("1|-1|1|0|It's \"on|e\"|m|W|'a|b',k=\"c|d\"|l.log\n"
                                  "2|-1|1|0|don't|m|W|x\n"));
    assert_string_equal(f.nodes[0].name, "It's \"on|e\"");
    assert_string_equal(f.arguments[0], "'a|b'");
    assert_string_equal(f.arguments[1], "k=\"c|d\"");
    assert_string_equal(f.nodes[0].logfile, "l.log");
    assert_string_equal(f.nodes[1].name, "don't");
    flow_release(&f);
}

static void variables_are_put_in_once(void **state)
{
    (void)state;
    struct flow f =
        read_good(STR("1|-1|1|0|$ENV{_9}$ENV{LOGS}|m|W|$ENV{PAIR},\"$ENV{PAIR}\"|$HOME/{x}\n"));
    assert_string_equal(f.nodes[0].name, "nine/var/logs");
    assert_int_equal(f.nodes[0].argument_count, 3);
    assert_string_equal(f.arguments[1], "$ENV{LOGS}");
    assert_string_equal(f.arguments[2], "a,$ENV{LOGS}");
    assert_string_equal(f.nodes[0].logfile, "$HOME/{x}");
    flow_release(&f);
    assert_problems(STR("1|-1|1|0|$ENV{NONE} and $ENV{9}|m|W|\xC3\xA4 $ENV{LOGS|$ENV{EMPTY}\n"
                        "2|-1|1|0|$ENV{EMPTY}|m|W\n"),
                    "1:10: error: PROCESS_NAME: the environment variable NONE is not defined\n"
                    "1:25: error: PROCESS_NAME: \"$ENV{9}\" names no variable\n"
                    "1:39: error: ARGUMENTS: \"$ENV{\" without its \"}\"\n"
                    "2:10: error: PROCESS_NAME: is empty\n");
}

static void every_column_is_checked(void **state)
{
    (void)state;
    assert_problems(
        STR("0|-1|1|0|a|m|W\n-1|-1|1|0|b|m|W\nx|-1|1|0|c|m|W\n2147483648|-1|1|0|d|m|W\n"
            "  5 | | 0 | -1 || | \n"
            "6|5,,|1.5|1s|e|m|W\n7|-2|+1|.|f|m|W\n"),
        "1:1: error: ID: expected a number from 1 to 2147483647, not \"0\"\n"
        "2:1: error: ID: expected a number from 1 to 2147483647, not \"-1\"\n"
        "3:1: error: ID: expected a number from 1 to 2147483647, not \"x\"\n"
        "4:1: error: ID: expected a number from 1 to 2147483647, not \"2147483648\"\n"
        "5:6: error: PARENT_IDS: expected -1, or ids with commas between, not \"\"\n"
        "5:9: error: MAX_ATTEMPTS: expected a number of tries, 1 to 1000000, not \"0\"\n"
        "5:13: error: RETRY_WAIT_TIME: expected seconds, 0 or more, not \"-1\"\n"
        "5:17: error: PROCESS_NAME: is empty\n"
        "5:18: error: MODULE_NAME: is empty\n"
        "5:20: error: WORKER_NAME: is empty\n"
        "6:3: error: PARENT_IDS: expected -1, or ids with commas between, not \"5,,\"\n"
        "6:7: error: MAX_ATTEMPTS: expected a number of tries, 1 to 1000000, not \"1.5\"\n"
        "6:11: error: RETRY_WAIT_TIME: expected seconds, 0 or more, not \"1s\"\n"
        "7:3: error: PARENT_IDS: expected -1, or ids with commas between, not \"-2\"\n"
        "7:6: error: MAX_ATTEMPTS: expected a number of tries, 1 to 1000000, not \"+1\"\n"
        "7:9: error: RETRY_WAIT_TIME: expected seconds, 0 or more, not \".\"\n");
}

static void rows_may_be_short_or_long(void **state)
{
    (void)state;
    assert_problems(STR("1\n2|-1|1|0|n|m\n 3|-1|1|0|n3|m|W|a|l|x| |y\n"),
                    "1:2: error: PARENT_IDS: is missing: the row has 1 fields, not 7 or more\n"
                    "2:13: error: WORKER_NAME: is missing: the row has 6 fields, not 7 or more\n"
                    "3:22: error: EXTRA: \"x\" stands behind the last column, LOGFILE\n"
                    "3:26: error: EXTRA: \"y\" stands behind the last column, LOGFILE\n");
    assert_problems(STR("1|-1|1|0|n|m|W|a|l| ||\n"), "");
    assert_problems(STR("#SHELL\n1|-1|1|0|n\n2|-1|1|0|s|true||x\n"),
                    "2:11: error: SHELL_COMMAND: is missing: the row has 5 fields, not 6 or more\n"
                    "3:18: error: EXTRA: \"x\" stands behind the last column, LOGFILE\n");
}

static void files_as_a_whole(void **state)
{
    (void)state;
    assert_problems(STR(""), "1:1: error: FILE: there is no row in it\n");
    assert_problems(STR("#PYTHON\n\n# 1|-1"), "1:1: error: FILE: there is no row in it\n");
    assert_problems(STR("1|-1|1|0|\xC3\xA4|m|W\n2|-1|1|0|\xC3\xA4\xFF|m|W\n"),
                    "2:11: error: FILE: a byte that is 0, or no UTF-8\n");
}

static void the_graph_is_checked(void **state)
{
    (void)state;
    assert_problems(STR("5|4|1|0|e|m|W\n4|-1|1|0|d|m|W\n"), "");
    assert_problems(STR("1|1|1|0|a|m|W\n2|9, 1,1|1|0|b|m|W\n 01|-1|1|0|b|m|W\n"),
                    "1:3: error: PARENT_IDS: 1 waits for itself\n"
                    "2:3: warning: PARENT_IDS: 1 is named twice\n"
                    "2:3: error: PARENT_IDS: no row has the id 9\n"
                    "3:2: error: ID: 1 is the id of line 1 already\n"
                    "3:12: warning: PROCESS_NAME: \"b\" is the name of line 2, too\n");
    assert_problems(STR("1|-1|1|0|a|m|W\n2|1,3|1|0|b|m|W\n3|2|1|0|c|m|W\n4|3|1|0|d|m|W\n"
                        "7|5|1|0|e|m|W\n5|6|1|0|f|m|W\n6|7,4|1|0|g|m|W\n"),
                    "2:3: error: PARENT_IDS: cycle: 2 -> 3 -> 2\n"
                    "5:3: error: PARENT_IDS: cycle: 7 -> 6 -> 5 -> 7\n");
}

static struct str chain(struct buf *text, uint32_t count, bool closed)
{
    buf_init(text, BUF_NO_CAP);
    for (uint32_t i = 1; i <= count; i++)
        buf_add_format(text, "%u|%d|1|0|n%u|m|W\n", i,
                       i > 1    ? (int)i - 1
                       : closed ? (int)count
                                : -1,
                       i);
    return buf_str(text);
}

static void long_chains_need_no_stack(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    OWNED_BUF struct buf text, closed;
    struct flow f = read_good(chain(&text, COUNT, false));
    uint32_t *depths = xcalloc(COUNT, sizeof *depths);
    flow_depths(&f, depths);
    assert_int_equal(depths[COUNT - 1], COUNT - 1);
    free(depths);
    flow_release(&f);
    OWNED_MEM char *told = problems_of(chain(&closed, COUNT, true));
    assert_non_null(strstr(told, "1:3: error: PARENT_IDS: cycle: 1 -> 2 -> 3 -> "));
    assert_non_null(strstr(told, " -> 21 -> ... (99979 more) -> 1\n"));
}

static void layers_that_are_fully_linked_cost_their_edges(void **state)
{
    (void)state;
    enum { LAYERS = 300, WIDTH = 30 };
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    for (int layer = 0; layer < LAYERS; layer++)
        for (int i = 0; i < WIDTH; i++) {
            buf_add_format(&text, "%d|", layer * WIDTH + i + 1);
            for (int k = 0; layer && k < WIDTH; k++)
                buf_add_format(&text, "%s%d", k ? "," : "", (layer - 1) * WIDTH + k + 1);
            buf_add_format(&text, "%s|1|0|%d.%d|m|W\n", layer ? "" : "-1", layer, i);
        }
    struct flow f = read_good(buf_str(&text));
    assert_int_equal(f.parent_count, (LAYERS - 1) * WIDTH * WIDTH);
    uint32_t *depths = xcalloc(f.node_count, sizeof *depths);
    flow_depths(&f, depths);
    assert_int_equal(depths[f.node_count - 1], LAYERS - 1);
    free(depths);
    flow_release(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_becomes_nodes),
        cmocka_unit_test(shell_rows_are_commands),
        cmocka_unit_test(quotes_hold_separators_together_where_they_open_and_close),
        cmocka_unit_test(variables_are_put_in_once),
        cmocka_unit_test(every_column_is_checked),
        cmocka_unit_test(rows_may_be_short_or_long),
        cmocka_unit_test(files_as_a_whole),
        cmocka_unit_test(the_graph_is_checked),
        cmocka_unit_test(long_chains_need_no_stack),
        cmocka_unit_test(layers_that_are_fully_linked_cost_their_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
