/* test_new_flow.c: flows to be started, read where they lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exact_body.h"

#include "http/native/new_flow.h"

#include <stdlib.h>
#include <string.h>

static struct err err;

static void all_members_are_read(void **state)
{
    (void)state;
    static const char text[] =
        "{\"name\":\"n\\u00e9\",\"mode\":\"python\",\"restart\":true,\"dry_run\":true,"
        "\"keep_context\":true,\"take_over\":true,\"max_running\":7,\"gap_s\":1.5,"
        "\"pools\":{\"api\":2},\"variables\":{\"A\":\"b\"},\"context\":{\"K\\n\":\"v\\t\"},"
        "\"select\":{\"only\":[1,2],\"norun\":[2],\"ancestors\":1,\"descendants\":2},"
        "\"nodes\":[{\"id\":1,\"name\":\"a\\\"b\",\"module\":\"m\",\"worker\":\"W\","
        "\"arguments\":[\"x\"],\"logfile\":\"/l\",\"max_attempts\":3,\"retry_wait_s\":2.5,"
        "\"timeout_s\":9,\"pool\":\"api\",\"always\":true},"
        "{\"id\":2,\"after\":[1],\"name\":\"c\",\"module\":\"m\",\"worker\":\"V\","
        "\"logfile\":null,\"pool\":null,\"timeout_s\":null,\"command\":null}]}";
    size_t len = 0;
    OWNED_MEM char *body = body_of(text, &len);
    struct new_flow f = {.node_cap = 0};
    if (!new_flow_read(&f, (struct str){body, len}, &err))
        fail_msg("%s", err.text);
    const struct op_flow_start *a = &f.ask;
    check_text(a->name, "n\xc3\xa9");
    assert_true(a->restart && a->dry_run && a->keep_context && a->take_over);
    assert_int_equal(a->max_running, 7);
    assert_int_equal(a->gap_us, 1500000);
    check_text(a->pools_row, "{\"api\":2}");
    assert_int_equal(a->pool_count, 1);
    assert_int_equal(a->pools[0].size, 2);
    check_text(a->variables, "{\"A\":\"b\"}");
    check_text(a->presets[0].key, "K\n");
    check_text(a->presets[0].text, "v\t");
    assert_int_equal(a->select.only_count, 2);
    assert_int_equal(a->select.norun[0], 2);
    assert_int_equal(a->select.ancestors, 1);
    assert_int_equal(a->select.descendants, 2);
    assert_int_equal(a->node_count, 2);
    const struct flow_new_node *n = &a->nodes[0];
    check_text(n->name, "a\"b");
    check_text(n->logfile, "/l");
    check_text(n->pool, "api");
    assert_true(n->always);
    assert_int_equal(n->max_attempts, 3);
    assert_int_equal(n->retry_wait_us, 2500000);
    assert_int_equal(n->timeout_us, 9000000);
    /* Its row is as it came, escapes and all. */
    assert_non_null(memmem(n->row.ptr, n->row.len, "\"a\\\"b\"", 6));
    assert_int_equal(n[1].max_attempts, 1);
    check_text(n[1].after, "[1]");
    assert_int_equal(a->after[a->web[1].after_at], 1);
    new_flow_release(&f);
}

/* The print of a flow's one node, of these members. */
static uint64_t print_of(const char *members)
{
    struct new_flow f = {.node_cap = 0};
    OWNED_MEM char *body = xasprintf("{\"name\":\"f\",\"nodes\":[{\"id\":1,\"name\":\"n\","
                                     "\"module\":\"m\",\"worker\":\"W\"%s}]}",
                                     members);
    if (!new_flow_read(&f, str_of(body), &err))
        fail_msg("%s", err.text);
    uint64_t print = f.nodes[0].print;
    new_flow_release(&f);
    return print;
}

static void only_what_the_row_says_counts_as_an_edit(void **state)
{
    (void)state;
    uint64_t plain = print_of("");
    assert_true(plain == print_of(",\"logfile\":null"));
    assert_true(plain == print_of(",\"timeout_s\":5,\"always\":true,\"pool\":\"p\""));
    assert_true(print_of(",\"arguments\":[\"a\"],\"logfile\":\"b\"") ==
                print_of(",\"logfile\":\"b\",\"arguments\":[\"a\"]"));
    static const char *const edits[] = {",\"arguments\":[\"a\"]", ",\"logfile\":\"a\"",
                                        ",\"max_attempts\":2", ",\"retry_wait_s\":1",
                                        ",\"after\":[]"};
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++)
        assert_true(plain != print_of(edits[i]));
}

static void what_cannot_be_right_is_named(void **state)
{
    (void)state;
#define NODE "{\"id\":1,\"name\":\"n\",\"module\":\"m\",\"worker\":\"W\""
#define FLOW(nodes) "{\"name\":\"f\",\"nodes\":[" nodes "]}"
#define WITH(members) FLOW(NODE "," members "}")
    static const struct {
        const char *body, *told;
    } cases[] = {
        {"", "body: byte 0"},
        {"[]", "body: byte 0"},
        {"{\"name\":\"f\"", "body: byte"},
        {"{}", "name: is required"},
        {"{\"name\":7}", "name: expected a text, not 7"},
        {"{\"name\":\"\\u0000\"}", "name: expected a text without NUL"},
        {"{\"name\":\"f\"}", "nodes: is required, and not empty"},
        {"{\"name\":\"f\",\"nodes\":{}}", "nodes: expected a list of nodes, not {}"},
        {"{\"wings\":2}", "unknown member \"wings\""},
        {"{\"restart\":1}", "restart: expected true or false, not 1"},
        {"{\"mode\":\"perl\"}", "mode: expected one of \"python\", \"shell\", not \"perl\""},
        {"{\"max_running\":0}", "max_running: expected a whole number"},
        {"{\"gap_s\":-1}", "gap_s: expected seconds"},
        {"{\"select\":[]}", "select: expected an object"},
        {"{\"select\":{\"only\":[0]}}", "select.only: expected ids from 1 to 2147483647, not 0"},
        {"{\"select\":{\"norun\":7}}", "select.norun: expected a list of ids, not 7"},
        {"{\"select\":{\"ancestors\":\"x\"}}", "select.ancestors: expected a whole number"},
        {"{\"select\":{\"x\":1}}", "select: unknown member \"x\""},
        {"{\"pools\":{\"a\":\"b\"}}", "pools.a: expected a size from 1 on, not \"b\""},
        {"{\"pools\":{\"a\":null}}", "pools.a: expected a size from 1 on, not null"},
        {"{\"variables\":{\"A\":1}}", "variables.A: expected a text, not 1"},
        {"{\"variables\":{\"A=\":\"1\"}}", "variables.names: expected texts without ="},
        {"{\"context\":{\"A\":1}}", "context.values: expected texts, not 1"},
        {FLOW("1"), "nodes[0]: expected an object, not 1"},
        {FLOW("{}"), "nodes[0].id: is required"},
        {FLOW("{\"id\":3}"), "nodes[0].name: is required (node 3)"},
        {FLOW("{\"id\":2147483648}"), "nodes[0].id: expected a whole number"},
        {FLOW("{\"id\":1,\"name\":\"\"}"), "nodes[0].name: expected a text that is not empty"},
        {FLOW("{\"id\":1,\"name\":\"n\",\"module\":\"m\"}"), "nodes[0].worker: is required"},
        {FLOW("{\"id\":1,\"name\":\"n\",\"worker\":\"m\"}"), "nodes[0].module: is required"},
        {FLOW("{\"id\":1,\"name\":\"n\"}"), "expected module and worker, or a command (node 1)"},
        {WITH("\"command\":\"x\""), "expected module and worker, or a command (node 1)"},
        {WITH("\"after\":[\"1\"]"), "nodes[0].after: expected ids from 1"},
        {WITH("\"after\":1"), "nodes[0].after: expected a list of ids, not 1 (node 1)"},
        {WITH("\"arguments\":[1]"), "nodes[0].arguments: expected texts, not 1 (node 1)"},
        {WITH("\"arguments\":\"1\""), "nodes[0].arguments: expected a list of texts"},
        {WITH("\"max_attempts\":0"), "nodes[0].max_attempts: expected a whole number"},
        {WITH("\"retry_wait_s\":-1"), "nodes[0].retry_wait_s: expected seconds"},
        {WITH("\"timeout_s\":0"), "nodes[0].timeout_s: expected seconds"},
        {WITH("\"always\":\"yes\""), "nodes[0].always: expected true or false"},
        {WITH("\"logfile\":1"), "nodes[0].logfile: expected a text, not 1 (node 1)"},
        {WITH("\"after\":[3],\"after\":[4]"), "nodes[0].after: is given twice (node 1)"},
        {"{\"name\":\"f\",\"name\":\"g\"}", "name: is given twice"},
        {WITH("\"x\":1"), "nodes[0]: unknown member \"x\" (node 1)"},
        {FLOW("{\"id\":1,\"name\":\"n\",\"command\":\"x\"}"),
         "nodes[0].command: the mode is python: expected module and worker (node 1)"},
        {"{\"name\":\"f\",\"mode\":\"shell\",\"nodes\":[" NODE "}]}",
         "nodes[0].module: the mode is shell: expected a command (node 1)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct new_flow f = {.node_cap = 0};
        size_t len = strlen(cases[i].body);
        OWNED_MEM char *body = xcalloc(len + !len, 1);
        memcpy(body, cases[i].body, len);
        if (new_flow_read(&f, (struct str){body, len}, &err))
            fail_msg("%s was read", cases[i].body);
        assert_int_equal(err.code, ERR_INVALID);
        if (!strstr(err.text, cases[i].told))
            fail_msg("%s: \"%s\" has no \"%s\"", cases[i].body, err.text, cases[i].told);
        new_flow_release(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_members_are_read),
        cmocka_unit_test(only_what_the_row_says_counts_as_an_edit),
        cmocka_unit_test(what_cannot_be_right_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
