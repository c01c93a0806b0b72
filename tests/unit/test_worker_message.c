/* test_worker_message.c: what comes from a worker process is outside bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "run/worker_message.h"

#include <stdlib.h>

static void a_message_is_an_object_of_one_member(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum worker_message_kind kind;
        const char *body;
    } rows[] = {
        {"{\"hello\":{\"pid\":1}}", WORKER_HELLO, "{\"pid\":1}"},
        {" { \"ready\" : { } } ", WORKER_READY, "{ }"},
        {"{\"alive\":{}}", WORKER_ALIVE, "{}"},
        {"{\"lease\":\"abc\"}", WORKER_LEASE, "\"abc\""},
        {"{\"lease\":null}", WORKER_LEASE, "null"},
        {"{\"log\":{\"text\":\"a\"}}", WORKER_LOG, "{\"text\":\"a\"}"},
        {"{\"error\":{}}", WORKER_ERROR, "{}"},
        {"{\"failed\":{}}", WORKER_FAILED, "{}"},
        {"{\"bye\":{\"ran\":3}}", WORKER_BYE, "{\"ran\":3}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        enum worker_message_kind kind = WORKER_MESSAGE_KIND_COUNT;
        struct str body;
        struct err err;
        assert_true(worker_message_read(str_of(rows[i].line), &kind, &body, &err));
        assert_int_equal(kind, rows[i].kind);
        assert_true(str_is(body, rows[i].body));
    }
}

static void what_is_no_message_is_refused_and_named(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "",       "hello",        "[]",   "{}",
        "{\"a\"", "{\"a\":{}}",   "null", "{\"hello\":{},\"ready\":{}}",
        "{1:2}",  "{\"bye\":{}}x"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        enum worker_message_kind kind = WORKER_MESSAGE_KIND_COUNT;
        struct str body = STR("untouched");
        struct err err;
        assert_false(worker_message_read(str_of(lines[i]), &kind, &body, &err));
        assert_int_equal(err.code, ERR_INVALID);
        assert_int_equal(kind, WORKER_MESSAGE_KIND_COUNT);
        assert_true(str_is(body, "untouched"));
    }
}

static void texts_are_taken_by_name(void **state)
{
    (void)state;
    struct str body = STR("{\"text\":\"a\\nb\",\"n\":1}");
    OWNED_MEM char *text = worker_message_text(body, "text");
    assert_string_equal(text, "a\nb");
    assert_null(worker_message_text(body, "n"));
    assert_null(worker_message_text(body, "none"));
    assert_null(worker_message_text(STR("7"), "text"));
}

static void what_is_told_is_one_line(void **state)
{
    (void)state;
    OWNED_BUF struct buf out;
    buf_init(&out, 4096);
    static const char *const queues[] = {"a", "b\"", NULL};
    struct worker_go go = {.server = "unix:///a\nb", .job = "run", .worker = "h:1", .alive_s = 1};
    struct worker_go tasks = {
        .queues = queues, .concurrency = 7, .max_records = 9, .one_shot = true};
    worker_go_write(&go, &out);
    worker_go_write(&tasks, &out);
    worker_stop_write(2.5, &out);
    buf_add_char(&out, '\0');
    assert_string_equal(
        out.data,
        "{\"go\":{\"server\":\"unix:///a\\nb\",\"key\":null,\"ca\":null,\"job\":\"run\","
        "\"token\":null,\"worker\":\"h:1\",\"timeout_s\":0,\"alive_s\":1,\"max_memory_bytes\":0,"
        "\"max_records\":0,\"slots_hint\":0,\"concurrency\":0,\"queues\":null,\"one_shot\":false}}"
        "\n"
        "{\"go\":{\"server\":null,\"key\":null,\"ca\":null,\"job\":null,\"token\":null,"
        "\"worker\":null,\"timeout_s\":0,\"alive_s\":0,\"max_memory_bytes\":0,\"max_records\":9,"
        "\"slots_hint\":0,\"concurrency\":7,\"queues\":[\"a\",\"b\\\"\"],\"one_shot\":true}}\n"
        "{\"stop\":{\"grace_s\":2.5}}\n");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_an_object_of_one_member),
        cmocka_unit_test(what_is_no_message_is_refused_and_named),
        cmocka_unit_test(texts_are_taken_by_name),
        cmocka_unit_test(what_is_told_is_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
