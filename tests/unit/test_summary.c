/* test_summary.c: what came of a run, for people and for programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "run/summary.h"

#include <stdlib.h>
#include <unistd.h>

static const struct summary whole = {
    .outcome = "failed",
    .reason = "3 records failed; the list is in out.errors.jsonl",
    .figures = {.done = 1200,
                .failed = 3,
                .skipped = 2,
                .before = 7,
                .retried = 11,
                .total = 1212,
                .eta_s = -1,
                .rpm = 480},
    .unread = 1,
    .duplicates = 8,
    .repeats = 4,
    .deaths = 6,
    .throttled = 5,
    .lowest_rpm = 120,
    .started_at_us = 1000000,
    .ended_at_us = 13500000,
    .elapsed_s = 12.5,
    .exit_status = 1,
    .function = "task.py",
    .output = "out.jsonl",
    .errors = "out.errors.jsonl",
    .log = "run.log",
};

static char *printed(const struct summary *s)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    summary_print(s, out);
    fclose(out);
    return text;
}

static void people_get_a_table_of_what_there_is(void **state)
{
    (void)state;
    OWNED_MEM char *text = printed(&whole);
    assert_string_equal(text, "failed\n"
                              "  done      1,200\n"
                              "  failed    3\n"
                              "  skipped   2\n"
                              "  before    7\n"
                              "  left      1\n"
                              "  doubles   8\n"
                              "  repeats   4\n"
                              "  retries   11\n"
                              "  deaths    6\n"
                              "  throttled 5 times, down to 120 starts a minute, 480 at the end\n"
                              "  time      12.50 s (96/s)\n"
                              "  output    out.jsonl\n"
                              "  errors    out.errors.jsonl\n"
                              "  log       run.log\n");
}

static void what_was_not_is_left_out(void **state)
{
    (void)state;
    const struct summary s = {
        .outcome = "nothing to do", .figures = {.total = -1}, .elapsed_s = 90, .output = "o"};
    OWNED_MEM char *text = printed(&s);
    assert_string_equal(text, "nothing to do\n"
                              "  done      0\n"
                              "  failed    0\n"
                              "  time      1:30\n"
                              "  output    o\n");
}

static void slow_runs_have_a_rate_too(void **state)
{
    (void)state;
    const struct summary s = {
        .outcome = "done", .figures = {.done = 5, .total = 5}, .elapsed_s = 10, .output = "o"};
    OWNED_MEM char *text = printed(&s);
    assert_non_null(strstr(text, "time      10.00 s (0.5/s)\n"));
}

static void programs_get_every_member(void **state)
{
    (void)state;
    OWNED_BUF struct buf out;
    struct summary s = whole;
    buf_init(&out, 1 << 16);
    summary_json(&s, &out);
    buf_add_char(&out, '\0');
    assert_string_equal(
        out.data,
        "{\"outcome\":\"failed\",\"reason\":\"3 records failed; the list is in out.errors.jsonl\","
        "\"exit_status\":1,\"function\":\"task.py\",\"done\":1200,\"failed\":3,\"skipped\":2,"
        "\"before\":7,\"left\":1,\"total\":1212,\"duplicates\":8,\"repeats\":4,"
        "\"retried\":11,\"deaths\":6,"
        "\"throttled\":5,\"lowest_rpm\":120,\"rpm\":480,\"started_at\":\"1970-01-01T00:00:01."
        "000Z\","
        "\"ended_at\":\"1970-01-01T00:00:13.500Z\",\"elapsed_s\":12.5,\"output\":\"out.jsonl\","
        "\"errors\":\"out.errors.jsonl\",\"log\":\"run.log\"}\n");
    out.len = 0;
    s.figures.total = -1;
    s.lowest_rpm = 0;
    s.log = NULL;
    summary_json(&s, &out);
    struct str json = str_trim(buf_str(&out)), value;
    assert_true(json_check(json, NULL, NULL));
    assert_true(json_find(json, "total", &value) && str_is(value, "null"));
    assert_true(json_find(json, "lowest_rpm", &value) && str_is(value, "null"));
    assert_true(json_find(json, "log", &value) && str_is(value, "null"));
}

static void a_file_is_replaced_in_one_step(void **state)
{
    (void)state;
    char folder[] = "/tmp/summary-XXXXXX";
    struct err err;
    OWNED_BUF struct buf text;
    assert_non_null(mkdtemp(folder));
    OWNED_MEM char *path = xasprintf("%s/summary.json", folder);
    OWNED_MEM char *beyond = xasprintf("%s/none/summary.json", folder);
    buf_init(&text, 1 << 16);
    assert_true(summary_write(&whole, path, &err));
    assert_true(summary_write(&whole, path, &err));
    assert_true(file_read_all(path, 1 << 16, &text, &err));
    assert_true(json_check(buf_str(&text), NULL, NULL));
    assert_false(summary_write(&whole, beyond, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    unlink(path);
    assert_int_equal(rmdir(folder), 0); /* nothing else was left there */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(people_get_a_table_of_what_there_is),
        cmocka_unit_test(what_was_not_is_left_out),
        cmocka_unit_test(slow_runs_have_a_rate_too),
        cmocka_unit_test(programs_get_every_member),
        cmocka_unit_test(a_file_is_replaced_in_one_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
