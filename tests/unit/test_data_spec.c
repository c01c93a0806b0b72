/* What a data job is made of: its JSON shape, both ways, and what fits together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "core/job.h"

#include <stdlib.h>
#include <string.h>

static char *text_of(const struct data_spec *spec)
{
    struct buf out;
    buf_init(&out, BUF_NO_CAP);
    data_spec_write(spec, &out);
    return buf_take(&out);
}

static void read_fine(const char *json, struct data_spec *spec)
{
    struct err err;
    data_spec_init(spec);
    if (!data_spec_read(str_of(json), spec, &err))
        fail_msg("%s: %s", json, err.text);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"mode\":\"read-write\",\"source\":{\"format\":\"jsonl\",\"path\":\"a.jsonl\"},"
        "\"sink\":{\"format\":\"csv\",\"path\":\"b \\\"q\\\".csv\",\"overwrite\":true},"
        "\"lease_s\":30.5,\"max_attempts\":3,\"allow_repeats\":false}",
        "{\"mode\":\"read\",\"source\":{\"format\":\"csv\",\"path\":\"a.csv\",\"chunk_rows\":7},"
        "\"lease_s\":0,\"max_attempts\":0,\"allow_repeats\":false}",
        "{\"mode\":\"write\",\"sink\":{\"format\":\"program\",\"program\":\"mailer\","
        "\"overwrite\":false},\"lease_s\":0,\"max_attempts\":0,\"allow_repeats\":true}",
        "{\"mode\":\"read\",\"source\":{\"format\":\"jsonl\",\"paths\":[\"a\",\"b.csv\",\"c\"],"
        "\"objects\":true},"
        "\"lease_s\":0,\"max_attempts\":0,\"allow_repeats\":false}",
        "{\"mode\":\"read\",\"source\":{\"format\":\"program\",\"program\":\"numbers\"},"
        "\"lease_s\":604800,\"max_attempts\":1000000,\"allow_repeats\":false}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct data_spec spec, copy;
        struct err err;
        read_fine(texts[i], &spec);
        assert_true(data_spec_check(&spec, &err));
        data_spec_copy(&copy, &spec);
        data_spec_release(&spec);
        OWNED_MEM char *again = text_of(&copy);
        assert_string_equal(again, texts[i]);
        data_spec_release(&copy);
    }
}

static void every_microsecond_of_a_lease_is_kept(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 3);
    for (int i = 0; i < 20000; i++) {
        struct data_spec spec, again;
        data_spec_init(&spec);
        spec.lease_us = (int64_t)rng_below(&rng, 604800000001u);
        OWNED_MEM char *text = text_of(&spec);
        read_fine(text, &again);
        assert_int_equal(again.lease_us, spec.lease_us);
        data_spec_release(&again);
    }
}

static void a_format_that_is_not_named_follows_from_the_path(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum data_format format;
    } cases[] = {{"a.csv", FORMAT_CSV},       {"a.CSV", FORMAT_CSV},
                 {"a.csv.gz", FORMAT_CSV},    {"a.csv.zst", FORMAT_CSV},
                 {"a.jsonl", FORMAT_JSONL},   {"a", FORMAT_JSONL},
                 {".csv", FORMAT_JSONL},      {"csv", FORMAT_JSONL},
                 {"a.csv.gz2", FORMAT_JSONL}, {"a.csv.gz.gz", FORMAT_JSONL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct data_spec spec;
        OWNED_MEM char *json = xasprintf("{\"source\":{\"path\":\"%s\"}}", cases[i].path);
        read_fine(json, &spec);
        assert_int_equal(spec.source_format, cases[i].format);
        data_spec_release(&spec);
    }
}

static void members_that_are_absent_or_null_keep_what_was(void **state)
{
    (void)state;
    struct data_spec spec;
    struct err err;
    read_fine("{\"source\":{\"path\":\"a.csv\",\"chunk_rows\":5},\"max_attempts\":4}", &spec);
    assert_true(data_spec_read(STR("{\"max_attempts\":null,\"lease_s\":2,\"source\":null,"
                                   "\"sink\":{\"path\":\"b\",\"format\":null}}"),
                               &spec, &err));
    assert_string_equal(spec.source_path, "a.csv");
    assert_int_equal(spec.chunk_rows, 5);
    assert_int_equal(spec.max_attempts, 4);
    assert_int_equal(spec.lease_us, 2000000);
    assert_int_equal(spec.sink_format, FORMAT_JSONL);
    data_spec_release(&spec);
}

static void what_is_wrong_is_named_and_leaves_the_rest(void **state)
{
    (void)state;
    static const struct {
        const char *json, *part;
    } cases[] = {
        {"{\"mode\":\"up\"}", "mode: expected"},
        {"{\"mode\":7}", "mode: expected"},
        {"{\"color\":1}", "unknown member \"color\""},
        {"{\"source\":{\"color\":1}}", "source: unknown member"},
        {"{\"sink\":{\"color\":1}}", "sink: unknown member"},
        {"{\"source\":7}", "source: "},
        {"{\"source\":{\"path\":\"\"}}", "source.path: expected a text"},
        {"{\"source\":{\"path\":\"a\\u0000b\"}}", "source.path: expected a text"},
        {"{\"source\":{\"path\":[]}}", "source.path"},
        {"{\"source\":{\"paths\":\"a\"}}", "source.paths: expected a list of texts"},
        {"{\"source\":{\"paths\":[]}}", "source.paths: expected at least one path"},
        {"{\"source\":{\"paths\":[\"a\",1]}}", "source.paths: expected a text"},
        {"{\"source\":{\"paths\":[\"\"]}}", "source.paths: expected a text"},
        {"{\"source\":{\"path\":\"a\",\"paths\":[\"b\"]}}", "either path or paths"},
        {"{\"source\":{\"paths\":[\"b\",\"c\"],\"path\":\"a\"}}", "either path or paths"},
        {"{\"source\":{\"program\":1}}", "source.program"},
        {"{\"source\":{\"format\":\"xml\"}}", "source.format"},
        {"{\"source\":{\"format\":\"none\"}}", "source.format"},
        {"{\"source\":{\"objects\":1}}", "source.objects"},
        {"{\"source\":{\"chunk_rows\":0}}", "source.chunk_rows"},
        {"{\"source\":{\"chunk_rows\":100001}}", "source.chunk_rows"},
        {"{\"sink\":{\"path\":1}}", "sink.path"},
        {"{\"sink\":{\"program\":\"\"}}", "sink.program"},
        {"{\"sink\":{\"format\":1}}", "sink.format"},
        {"{\"sink\":{\"overwrite\":\"yes\"}}", "sink.overwrite"},
        {"{\"lease_s\":-1}", "lease_s"},
        {"{\"lease_s\":604801}", "lease_s"},
        {"{\"lease_s\":\"30\"}", "lease_s"},
        {"{\"lease_s\":1e999}", "lease_s"},
        {"{\"max_attempts\":-1}", "max_attempts"},
        {"{\"max_attempts\":1.5}", "max_attempts"},
        {"{\"max_attempts\":1000001}", "max_attempts"},
        {"{\"allow_repeats\":1}", "allow_repeats"},
        {"{\"mode\":\"read\"", "job: byte 14"},
        {"[]", "job: byte 0"},
        {"", "job: byte 0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct data_spec spec;
        struct err err = {0};
        read_fine("{\"source\":{\"path\":\"a.csv\"},\"max_attempts\":4}", &spec);
        OWNED_MEM char *before = text_of(&spec);
        assert_false(data_spec_read(str_of(cases[i].json), &spec, &err));
        if (err.code != ERR_INVALID || !strstr(err.text, cases[i].part))
            fail_msg("%s: %s \"%s\"", cases[i].json, err_name(err.code), err.text);
        OWNED_MEM char *after = text_of(&spec);
        assert_string_equal(after, before);
        data_spec_release(&spec);
    }
}

static void too_many_inputs_are_refused(void **state)
{
    (void)state;
    OWNED_BUF struct buf text;
    struct data_spec spec;
    struct err err;
    buf_init(&text, BUF_NO_CAP);
    buf_add_text(&text, "{\"source\":{\"paths\":[\"a\"");
    for (int i = 1; i < DATA_INPUTS_MAX; i++)
        buf_add_text(&text, ",\"b\"");
    size_t len = text.len;
    buf_add_text(&text, "]}}");
    data_spec_init(&spec);
    assert_true(data_spec_read(buf_str(&text), &spec, &err));
    assert_int_equal(data_spec_input_count(&spec), DATA_INPUTS_MAX);
    assert_string_equal(data_spec_input(&spec, 0), "a");
    assert_string_equal(data_spec_input(&spec, DATA_INPUTS_MAX - 1), "b");
    data_spec_release(&spec);
    text.len = len;
    buf_add_text(&text, ",\"c\"]}}");
    assert_false(data_spec_read(buf_str(&text), &spec, &err));
    assert_int_equal(err.code, ERR_LIMIT);
    data_spec_release(&spec);
}

static void a_path_tells_its_format(void **state)
{
    (void)state;
    assert_int_equal(data_format_of_path("a.csv"), FORMAT_CSV);
    assert_int_equal(data_format_of_path("a.CSV.gz"), FORMAT_CSV);
    assert_int_equal(data_format_of_path("a.jsonl.zst"), FORMAT_JSONL);
    assert_int_equal(data_format_of_path("a.ndjson"), FORMAT_JSONL);
    assert_int_equal(data_format_of_path(".csv"), FORMAT_NONE);
    assert_int_equal(data_format_of_path("csv.txt"), FORMAT_NONE);
    assert_int_equal(data_format_of_path(""), FORMAT_NONE);
}

static void parts_that_do_not_fit_together_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json, *part;
    } cases[] = {
        {"{}", "mode read-write needs a source"},
        {"{\"mode\":\"read\"}", "mode read needs a source"},
        {"{\"mode\":\"write\"}", "mode write needs a sink"},
        {"{\"mode\":\"write\",\"sink\":{\"path\":\"b\"},\"source\":{\"path\":\"a\"}}",
         "no use for a source"},
        {"{\"mode\":\"read\",\"sink\":{\"path\":\"b\"},\"source\":{\"path\":\"a\"}}",
         "no use for a sink"},
        {"{\"source\":{\"path\":\"a\",\"format\":\"program\"}}", "a program needs `program`"},
        {"{\"source\":{\"path\":\"a\",\"program\":\"p\"}}", "a program needs `program` and no"},
        {"{\"source\":{\"program\":\"p\",\"format\":\"csv\"}}", "format csv needs `path`"},
        {"{\"source\":{\"format\":\"jsonl\"}}", "format jsonl needs `path`"},
        {"{\"source\":{\"path\":\"a\"},\"sink\":{\"format\":\"csv\"}}", "sink: format csv needs"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct data_spec spec;
        struct err err = {0};
        read_fine(cases[i].json, &spec);
        assert_false(data_spec_check(&spec, &err));
        if (err.code != ERR_INVALID || !strstr(err.text, cases[i].part))
            fail_msg("%s: %s \"%s\"", cases[i].json, err_name(err.code), err.text);
        data_spec_release(&spec);
    }
    struct data_spec spec;
    struct err err;
    /* Planchet's users may start a job without a writer and only serve from it. */
    read_fine("{\"source\":{\"path\":\"a\"}}", &spec);
    assert_true(data_spec_check(&spec, &err));
    spec.chunk_rows = 0;
    assert_false(data_spec_check(&spec, &err));
    /* What could not be read back when the server starts again is not stored. */
    spec.chunk_rows = CSV_CHUNK_ROWS_MAX;
    spec.lease_us = DATA_LEASE_MAX_US + 1;
    assert_false(data_spec_check(&spec, &err));
    spec.lease_us = DATA_LEASE_MAX_US;
    spec.max_attempts = DATA_ATTEMPTS_MAX + 1;
    assert_false(data_spec_check(&spec, &err));
    spec.max_attempts = DATA_ATTEMPTS_MAX;
    assert_true(data_spec_check(&spec, &err));
    data_spec_release(&spec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(every_microsecond_of_a_lease_is_kept),
        cmocka_unit_test(a_format_that_is_not_named_follows_from_the_path),
        cmocka_unit_test(members_that_are_absent_or_null_keep_what_was),
        cmocka_unit_test(what_is_wrong_is_named_and_leaves_the_rest),
        cmocka_unit_test(too_many_inputs_are_refused),
        cmocka_unit_test(a_path_tells_its_format),
        cmocka_unit_test(parts_that_do_not_fit_together_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
