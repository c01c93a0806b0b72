/* Tasks to be enqueued, read where they lie. */
#include "http/native/new_tasks.h"

#include "exact_body.h"

static void all_members_are_read(void **state)
{
    (void)state;
    struct new_tasks l = {0};
    struct err err = {0};
    size_t len = 0;
    OWNED_MEM char *body = body_of(
        "{\"tasks\":[{\"function\":\"parse\",\"queue\":\"in\\u00e9\",\"arguments\": {\"a\" : 1} ,"
        "\"priority\":-5,\"key\":\"d1\",\"batch\":\"b\",\"lock\":\"l\",\"max_attempts\":3,"
        "\"retry\":{\"kind\":\"fixed\"},\"timeout_s\":2.5,\"keep_s\":60,\"delay_s\":1.5,"
        "\"unique\":{\"key\":\"u\",\"while\":\"stored\",\"on_clash\":\"refuse\"},"
        "\"after\":[7,-2],\"after_when\":\"ended\"},"
        "{\"function\":\"f\",\"run_at\":\"2025-11-22T09:00:00Z\",\"after\":[-1]}]}",
        &len);
    assert_true(new_tasks_read(&l, body, len, &err));
    assert_int_equal(l.count, 2);
    const struct task_new *t = &l.tasks[0];
    check_text(t->function, "parse");
    check_text(t->queue, "in\xc3\xa9");
    check_text(t->arguments, "{\"a\" : 1}");
    check_text(t->options, "{\"retry\":{\"kind\":\"fixed\"},\"timeout_s\":2.5,\"keep_s\":60}");
    check_text(t->key, "d1");
    check_text(t->batch, "b");
    check_text(t->lock, "l");
    check_text(t->unique, "u");
    assert_int_equal(t->unique_while, UNIQUE_STORED);
    assert_int_equal(t->on_clash, CLASH_REFUSE);
    assert_int_equal(t->priority, -5);
    assert_int_equal(t->max_attempts, 3);
    assert_int_equal(t->delay_us, 1500000);
    assert_int_equal(t->after_count, 2);
    assert_int_equal(t->after[0], 7);
    assert_int_equal(t->after[1], -2);
    assert_int_equal(t->after_when, AFTER_ENDED);
    t = &l.tasks[1];
    assert_int_equal(t->run_at_us, INT64_C(1763802000000000));
    assert_int_equal(t->after_count, 1);
    assert_int_equal(t->after[0], -1);
    assert_int_equal(t->options.len, 0);
    new_tasks_release(&l);
}

static void what_is_missing_or_null_is_left_to_the_engine(void **state)
{
    (void)state;
    struct new_tasks l = {0};
    struct err err = {0};
    size_t len = 0;
    OWNED_MEM char *body = body_of(
        "{\"tasks\":[{\"function\":\"f\"},{\"function\":\"g\",\"queue\":null,\"retry\":null,"
        "\"priority\":null,\"after\":null,\"unique\":null,\"run_at\":null,\"timeout_s\":null,"
        "\"arguments\":null}]}",
        &len);
    assert_true(new_tasks_read(&l, body, len, &err));
    for (size_t i = 0; i < 2; i++) {
        const struct task_new *t = &l.tasks[i];
        assert_true(t->queue.len == 0 && t->options.len == 0 && t->unique.len == 0);
        assert_true(t->priority == 0 && t->max_attempts == 0 && t->run_at_us == 0);
        assert_true(t->after_count == 0 && !t->after);
        assert_int_equal(t->unique_while, UNIQUE_UNFINISHED);
        assert_int_equal(t->on_clash, CLASH_EXISTING);
    }
    assert_int_equal(l.tasks[0].arguments.len, 0);
    check_text(l.tasks[1].arguments, "null");
    new_tasks_release(&l);
}

static void a_member_that_is_said_twice_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *body, *told;
    } cases[] = {
        {"{\"tasks\":[{\"function\":\"x\"}],\"tasks\":[]}", "tasks: is given twice"},
        {"{\"tasks\":[{\"function\":\"f\",\"after\":[1,2],\"after\":[3]}]}",
         "tasks[0].after: is given twice"},
        {"{\"tasks\":[{\"function\":\"f\",\"keep_s\":1,\"k\\u0065ep_s\":2}]}",
         "tasks[0].k\\u0065ep_s: is given twice"},
        {"{\"tasks\":[{\"function\":\"f\",\"unique\":{\"key\":\"a\",\"key\":\"a\"}}]}",
         "tasks[0].unique.key: is given twice"},
        {"{\"tasks\":[{\"function\":\"f\",\"retry\":{\"delay_s\":1,\"delay_s\":1}}]}",
         "tasks[0].retry.delay_s: is given twice"},
        {"{\"tasks\":[{\"function\":\"f\",\"retry\":{\"errors\":[{\"type\":\"A\"},"
         "{\"type\":\"B\",\"retry\":true,\"r\\u0065try\":false}]}}]}",
         "tasks[0].retry.errors[1].r\\u0065try: is given twice"},
        {"{\"tasks\":[{\"function\":\"f\",\"retry\":{\"errors\":[{\"type\":\"A\",\"x\":"
         "[[],[{}],{\"y\":null,\"y\":null}]}]}}]}",
         "tasks[0].retry.errors[0].x[2].y: is given twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct new_tasks l = {0};
        struct err err = {0};
        size_t len = 0;
        OWNED_MEM char *body = body_of(cases[i].body, &len);
        assert_false(new_tasks_read(&l, body, len, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_string_equal(err.text, cases[i].told);
        new_tasks_release(&l);
    }
}

static void many_tasks_keep_their_own(void **state)
{
    (void)state;
    struct new_tasks l = {0};
    struct err err = {0};
    OWNED_BUF struct buf b;
    buf_init(&b, BUF_NO_CAP);
    buf_add_text(&b, "{\"tasks\":[");
    for (int i = 0; i < 1000; i++)
        buf_add_format(&b, "%s{\"function\":\"f%d\",\"timeout_s\":%d,\"after\":[%d,%d]}",
                       i ? "," : "", i, i + 1, i + 1, i + 2);
    buf_add_text(&b, "]}");
    assert_true(new_tasks_read(&l, b.data, b.len, &err));
    assert_int_equal(l.count, 1000);
    for (int i = 0; i < 1000; i++) {
        OWNED_MEM char *function = xasprintf("f%d", i);
        OWNED_MEM char *options = xasprintf("{\"timeout_s\":%d}", i + 1);
        check_text(l.tasks[i].function, function);
        check_text(l.tasks[i].options, options);
        assert_int_equal(l.tasks[i].after[0], i + 1);
        assert_int_equal(l.tasks[i].after[1], i + 2);
    }
    new_tasks_release(&l);
}

static void what_is_wrong_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *body, *says;
    } cases[] = {
        {"", "body: byte 0"},
        {"[]", "body: byte 0"},
        {"{}", "tasks: is required"},
        {"{\"task\":[]}", "unknown member \"task\""},
        {"{\"tasks\":{}}", "tasks: expected a list of tasks, not {}"},
        {"{\"tasks\":[{\"function\":\"f\"},7]}", "tasks[1]: expected an object, not 7"},
        {"{\"tasks\":[{}]}", "tasks[0].function: is required"},
        {"{\"tasks\":[{\"function\":null}]}", "tasks[0].function: is required"},
        {"{\"tasks\":[{\"function\":\"\"}]}", "tasks[0].function: expected 1 to 512 bytes"},
        {"{\"tasks\":[{\"function\":\"a\\u0000\"}]}",
         "tasks[0].function: expected 1 to 512 bytes without control characters, not \"a\\u0000\""},
        {"{\"tasks\":[{\"function\":[]}]}", "tasks[0].function: expected a text, not []"},
        {"{\"tasks\":[{\"function\":\"f\",\"functoin\":1}]}",
         "tasks[0]: unknown member \"functoin\""},
        {"{\"tasks\":[{\"function\":\"f\"},{\"function\":\"f\",\"priority\":\"x\"}]}",
         "tasks[1].priority: expected a whole number from -32768 to 32767, not \"x\""},
        {"{\"tasks\":[{\"function\":\"f\",\"priority\":32768}]}", "tasks[0].priority: expected"},
        {"{\"tasks\":[{\"function\":\"f\",\"max_attempts\":0}]}", "tasks[0].max_attempts: expect"},
        {"{\"tasks\":[{\"function\":\"f\",\"run_at\":\"soon\"}]}",
         "tasks[0].run_at: expected a time such as \"2026-11-22T09:00:00Z\", not \"soon\""},
        {"{\"tasks\":[{\"function\":\"f\",\"run_at\":5}]}", "tasks[0].run_at: expected a time"},
        {"{\"tasks\":[{\"function\":\"f\",\"delay_s\":-1}]}", "tasks[0].delay_s: expected seconds"},
        {"{\"tasks\":[{\"function\":\"f\",\"delay_s\":1,\"run_at\":\"2025-11-22T09:00:00Z\"}]}",
         "tasks[0].delay_s: goes without run_at"},
        {"{\"tasks\":[{\"function\":\"f\",\"timeout_s\":0}]}", "tasks[0].timeout_s: expected sec"},
        {"{\"tasks\":[{\"function\":\"f\",\"keep_s\":\"1\"}]}", "tasks[0].keep_s: expected seco"},
        {"{\"tasks\":[{\"function\":\"f\",\"retry\":true}]}", "tasks[0].retry: expected an object"},
        {"{\"tasks\":[{\"function\":\"f\",\"unique\":\"k\"}]}", "tasks[0].unique: expected an obj"},
        {"{\"tasks\":[{\"function\":\"f\",\"unique\":{}}]}", "tasks[0].unique.key: is required"},
        {"{\"tasks\":[{\"function\":\"f\",\"unique\":{\"key\":\"k\",\"while\":\"x\"}}]}",
         "tasks[0].unique.while: expected one of \"pending\", \"unfinished\", \"stored\", not"},
        {"{\"tasks\":[{\"function\":\"f\",\"unique\":{\"key\":\"k\",\"on_clash\":1}}]}",
         "tasks[0].unique.on_clash: expected one of \"existing\", \"refuse\", \"replace\", not 1"},
        {"{\"tasks\":[{\"function\":\"f\",\"unique\":{\"kay\":\"k\"}}]}",
         "tasks[0].unique: expected key, while and on_clash only, not \"kay\""},
        {"{\"tasks\":[{\"function\":\"f\",\"after\":3}]}", "tasks[0].after: expected a list of id"},
        {"{\"tasks\":[{\"function\":\"f\",\"after\":[1,\"2\"]}]}",
         "tasks[0].after[1]: expected an id, not \"2\""},
        {"{\"tasks\":[{\"function\":\"f\",\"after\":[0]}]}", "tasks[0].after[0]: 0 is neither"},
        {"{\"tasks\":[{\"function\":\"f\"},{\"function\":\"f\",\"after\":[5,-3]}]}",
         "tasks[1].after[1]: -3 is neither an id nor a place in this list of 2"},
        {"{\"tasks\":[{\"function\":\"f\",\"after_when\":\"failed\"}]}",
         "tasks[0].after_when: expected one of \"completed\", \"ended\", not \"failed\""},
        {"{\"tasks\":[{\"function\":\"f\",\"of\":1}]}", "tasks[0].of: goes with a settlement only"},
        {"{\"tasks\":[{\"function\":\"f\",\"arguments\":NaN}]}", "body: byte 38"},
        {"{\"tasks\":[{\"function\":\"f\",\"arguments\":[\"\\ud800\"]}]}", "body: byte 40"},
        {"{\"tasks\":[{\"function\":\"f\"}", "body: byte 26"},
        {"{\"tasks\":[", "body: byte 10"},
        {"{\"tasks\":[]} x", "body: byte 13"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct new_tasks l = {0};
        struct err err = {0};
        size_t len = 0;
        OWNED_MEM char *body = body_of(cases[i].body, &len);
        if (new_tasks_read(&l, body, len, &err))
            fail_msg("%s was taken", cases[i].body);
        assert_int_equal(err.code, ERR_INVALID);
        if (strncmp(err.text, cases[i].says, strlen(cases[i].says)) != 0)
            fail_msg("%s: %s", cases[i].body, err.text);
        new_tasks_release(&l);
    }
}

static void names_may_be_long_and_of_any_language(void **state)
{
    (void)state;
    struct new_tasks l = {0};
    struct err err = {0};
    char body[600];
    static const char letter[] = "\xd1\x8f";
    OWNED_BUF struct buf b;
    buf_init(&b, BUF_NO_CAP);
    buf_add_text(&b, "{\"tasks\":[{\"function\":\"");
    for (int i = 0; i < 256; i++)
        buf_add_text(&b, letter);
    buf_add_text(&b, "\"}]}");
    assert_true(b.len < sizeof body);
    memcpy(body, b.data, b.len);
    assert_true(new_tasks_read(&l, body, b.len, &err));
    assert_int_equal(l.tasks[0].function.len, 512);
    new_tasks_release(&l);
}

static void too_many_tasks_at_once_are_refused(void **state)
{
    (void)state;
    struct new_tasks l = {0};
    struct err err = {0};
    OWNED_BUF struct buf b;
    buf_init(&b, BUF_NO_CAP);
    buf_add_text(&b, "{\"tasks\":[{\"function\":\"f\"}");
    for (int i = 0; i < NEW_TASKS_MAX; i++)
        buf_add_text(&b, ",{\"function\":\"f\"}");
    buf_add_text(&b, "]}");
    assert_false(new_tasks_read(&l, b.data, b.len, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    new_tasks_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_members_are_read),
        cmocka_unit_test(what_is_missing_or_null_is_left_to_the_engine),
        cmocka_unit_test(a_member_that_is_said_twice_is_named),
        cmocka_unit_test(many_tasks_keep_their_own),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(names_may_be_long_and_of_any_language),
        cmocka_unit_test(too_many_tasks_at_once_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
