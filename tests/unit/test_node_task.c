/* test_node_task.c: node tasks as they are claimed, and what is said to the Python helper about
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "run/helper_message.h"

#include <string.h>

#define PYTHON_NODE                                                                                \
    "{\"id\":41,\"function\":\"penstock.flow.node\",\"attempt\":2,\"max_attempts\":3,\"fence\":5," \
    "\"arguments\":{\"flow\":17,\"name\":\"f\",\"mode\":\"python\",\"node\":{\"id\":2,\"name\":"   \
    "\"Load\","                                                                                    \
    "\"module\":\"workers\",\"worker\":\"Load\",\"arguments\":[\"a\",\"b "                         \
    "c\"],\"logfile\":\"/l/2.log\","                                                               \
    "\"retry_wait_s\":0.5,\"timeout_s\":null},\"variables\":{\"APP_NAME\":\"f\",\"X\":\"a=b\","    \
    "\"bad=\":\"x\"}}}"

static struct node_task *read_good(struct str raw)
{
    struct node_task *t = NULL;
    struct err err;
    int64_t task = 0;
    if (!node_task_read(raw, &t, &task, &err))
        fail_msg("%s", err.text);
    return t;
}

static void a_python_node_is_read_whole(void **state)
{
    (void)state;
    OWNED(node_task) struct node_task *t = read_good(STR(PYTHON_NODE));
    assert_int_equal(t->task, 41);
    assert_int_equal(t->flow, 17);
    assert_int_equal(t->fence, 5);
    assert_int_equal(t->attempt, 2);
    assert_int_equal(t->max_attempts, 3);
    assert_int_equal(t->node, 2);
    assert_string_equal(t->name, "Load");
    assert_string_equal(t->module, "workers");
    assert_string_equal(t->worker, "Load");
    assert_null(t->command);
    assert_string_equal(t->logfile, "/l/2.log");
    assert_true(t->timeout_s == 0 && t->retry_wait_s == 0.5);
    assert_string_equal(t->environment[0], "APP_NAME=f");
    assert_string_equal(t->environment[1], "X=a=b");
    assert_null(t->environment[2]);
}

static void what_is_no_node_is_refused_with_its_id(void **state)
{
    static const char *const wrong[] = {
        "{\"id\":9}",
        "{\"id\":9,\"fence\":1,\"attempt\":1,\"max_attempts\":1,\"arguments\":{}}",
        "{\"id\":9,\"fence\":1,\"attempt\":1,\"max_attempts\":1,\"arguments\":{\"flow\":1,"
        "\"variables\":{},\"node\":{\"id\":0,\"name\":\"a\",\"logfile\":\"l\",\"command\":\"x\"}}}",
        "{\"id\":9,\"fence\":1,\"attempt\":1,\"max_attempts\":1,\"arguments\":{\"flow\":1,"
        "\"variables\":{},\"node\":{\"id\":1,\"name\":\"a\",\"logfile\":\"\",\"command\":\"x\"}}}",
        "{\"id\":9,\"fence\":1,\"attempt\":1,\"max_attempts\":1,\"arguments\":{\"flow\":1,"
        "\"variables\":{},\"node\":{\"id\":1,\"name\":\"a\",\"logfile\":\"l\",\"module\":\"m\"}}}",
        "{\"id\":9,\"fence\":1,\"attempt\":1,\"max_attempts\":1,\"arguments\":{\"flow\":1,"
        "\"variables\":[],\"node\":{\"id\":1,\"name\":\"a\",\"logfile\":\"l\",\"command\":\"x\"}}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct node_task *t = NULL;
        struct err err;
        int64_t task = 0;
        assert_false(node_task_read(str_of(wrong[i]), &t, &task, &err));
        assert_null(t);
        assert_int_equal(task, 9);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void the_order_to_run_has_all_that_the_helper_needs(void **state)
{
    OWNED_BUF struct buf out;
    struct err err;
    (void)state;
    OWNED(node_task) struct node_task *t = read_good(STR(PYTHON_NODE));
    buf_init(&out, BUF_NO_CAP);
    assert_true(helper_run_write(t, &out, &err));
    buf_add_char(&out, '\0');
    assert_string_equal(
        out.data,
        "{\"run\":{\"task\":41,\"fence\":5,\"flow\":17,\"node\":2,\"name\":\"Load\",\"module\":"
        "\"workers\","
        "\"worker\":\"Load\",\"argv\":[\"a\",\"b c\"],\"logfile\":\"/l/2.log\",\"attempt\":2,"
        "\"max_attempts\":3,\"variables\":{\"APP_NAME\":\"f\",\"X\":\"a=b\",\"bad=\":\"x\"}}}");
}

static void an_order_that_is_too_long_is_refused(void **state)
{
    OWNED_BUF struct buf text, out;
    struct err err;
    (void)state;
    buf_init(&text, BUF_NO_CAP);
    buf_init(&out, BUF_NO_CAP);
    const char *node = PYTHON_NODE, *at = strstr(node, "b c");
    buf_add(&text, node, (size_t)(at - node));
    for (int i = 0; i < HELPER_MESSAGE_MAX_BYTES; i++)
        buf_add_char(&text, 'x');
    buf_add_text(&text, at);
    OWNED(node_task) struct node_task *t = read_good(buf_str(&text));
    assert_false(helper_run_write(t, &out, &err));
    assert_int_equal(err.code, ERR_LIMIT);
}

static void the_set_up_says_where_modules_are(void **state)
{
    static const char *const path[] = {"/app/python", NULL};
    OWNED_BUF struct buf out;
    (void)state;
    buf_init(&out, BUF_NO_CAP);
    helper_setup_write(
        &(struct helper_setup){.path = path, .server = "unix:///s", .no_retry_code = -1}, &out);
    buf_add_char(&out, '\0');
    assert_string_equal(out.data, "{\"setup\":{\"path\":[\"/app/python\"],\"server\":\"unix:///s\","
                                  "\"key\":null,\"interactive\":false,\"no_retry_code\":null}}");
}

static void messages_are_read(void **state)
{
    struct helper_message m;
    struct err err;
    (void)state;
    assert_true(helper_message_read(STR("{\"ready\":{\"pid\":9}}"), &m, &err));
    assert_int_equal(m.kind, HELPER_READY);
    assert_true(helper_message_read(STR("{\"started\":{\"task\":4,\"pid\":77}}"), &m, &err));
    assert_int_equal(m.kind, HELPER_STARTED);
    assert_int_equal(m.task, 4);
    assert_int_equal(m.pid, 77);
    assert_true(
        helper_message_read(STR("{\"exited\":{\"task\":4,\"pid\":77,\"status\":256}}"), &m, &err));
    assert_int_equal(m.status, 256);
    assert_true(helper_message_read(
        STR("{\"outcome\":{\"task\":4,\"code\":901,\"final\":true,\"error\":{\"type\":\"E\"}}}"),
        &m, &err));
    assert_int_equal(m.code, 901);
    assert_true(m.final);
    assert_true(str_is(m.error, "{\"type\":\"E\"}"));
    assert_true(helper_message_read(
        STR("{\"outcome\":{\"task\":4,\"code\":1,\"final\":false,\"error\":null}}"), &m, &err));
    assert_int_equal(m.error.len, 0);
}

static void nonsense_is_no_message(void **state)
{
    static const char *const wrong[] = {
        "",
        "x",
        "{}",
        "[]",
        "{\"nothing\":{}}",
        "{\"started\":[]}",
        "{\"started\":{\"task\":4}}",
        "{\"started\":{\"task\":4,\"pid\":1}}",
        "{\"started\":{\"task\":0,\"pid\":77}}",
        "{\"refused\":{\"code\":3}}",
        "{\"ready\":{},\"more\":1}",
        "{\"ready\":{}} x",
    };
    struct helper_message m;
    struct err err;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (helper_message_read(str_of(wrong[i]), &m, &err))
            fail_msg("%s is no message", wrong[i]);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_python_node_is_read_whole),
        cmocka_unit_test(what_is_no_node_is_refused_with_its_id),
        cmocka_unit_test(the_order_to_run_has_all_that_the_helper_needs),
        cmocka_unit_test(an_order_that_is_too_long_is_refused),
        cmocka_unit_test(the_set_up_says_where_modules_are),
        cmocka_unit_test(messages_are_read),
        cmocka_unit_test(nonsense_is_no_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
