/* From Planchet's names and metadata to a spec, and its integers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/planchet/planchet_metadata.h"
#include "http/planchet/planchet_params.h"

static struct data_spec spec;
static struct err err;

static int clear(void **state)
{
    (void)state;
    data_spec_release(&spec);
    data_spec_init(&spec);
    err = (struct err){0};
    return 0;
}

static bool make(const char *reader, const char *writer, const char *mode, const char *metadata)
{
    struct planchet_request query = {
        .reader = str_of(reader), .writer = str_of(writer), .mode = str_of(mode)};
    data_spec_release(&spec);
    return planchet_spec(&query, str_of(metadata), &spec, &err);
}

#define BOTH "{\"input_file_path\":\"in\",\"output_file_path\":\"out\"}"

static void refused(const char *reader, const char *writer, const char *metadata, const char *word)
{
    assert_false(make(reader, writer, "read-write", metadata));
    assert_int_equal(err.code, ERR_INVALID);
    if (!strstr(err.text, word))
        fail_msg("%s: not in %s", word, err.text);
}

static void planchet_s_classes_are_formats(void **state)
{
    (void)state;
    assert_true(make("JsonlReader", "CsvWriter", "read-write", BOTH));
    assert_int_equal(spec.source_format, FORMAT_JSONL);
    assert_int_equal(spec.sink_format, FORMAT_CSV);
    assert_string_equal(spec.source_path, "in");
    assert_string_equal(spec.sink_path, "out");
    assert_false(spec.allow_repeats);
    assert_true(make("CsvReader", "JsonlWriter", "read-write", BOTH));
    assert_int_equal(spec.source_format, FORMAT_CSV);
    assert_int_equal(spec.chunk_rows, CSV_CHUNK_ROWS);
}

static void other_names_are_the_operator_s_programs(void **state)
{
    (void)state;
    assert_true(make("my-reader", "my-writer", "read-write", "{}"));
    assert_int_equal(spec.source_format, FORMAT_PROGRAM);
    assert_string_equal(spec.source_program, "my-reader");
    assert_int_equal(spec.sink_format, FORMAT_PROGRAM);
    assert_string_equal(spec.sink_program, "my-writer");
}

static void none_and_nothing_mean_that_there_is_none(void **state)
{
    (void)state;
    static const char *const words[] = {"", "None"};
    for (size_t i = 0; i < 2; i++) {
        assert_true(make("JsonlReader", words[i], "read", BOTH));
        assert_int_equal(spec.sink_format, FORMAT_NONE);
        assert_true(make(words[i], "JsonlWriter", "write", BOTH));
        assert_int_equal(spec.source_format, FORMAT_NONE);
        assert_true(make("JsonlReader", words[i], "read-write", BOTH));
        assert_false(make(words[i], "JsonlWriter", "read-write", BOTH));
    }
}

static void what_a_mode_does_not_use_is_not_looked_at(void **state)
{
    (void)state;
    assert_true(make("JsonlReader", "JsonlWriter", "write", "{\"output_file_path\":\"o\"}"));
    assert_int_equal(spec.mode, MODE_WRITE);
    assert_int_equal(spec.source_format, FORMAT_NONE);
    assert_true(make("JsonlReader", "JsonlWriter", "read", "{\"input_file_path\":\"i\"}"));
    assert_int_equal(spec.mode, MODE_READ);
    assert_int_equal(spec.sink_format, FORMAT_NONE);
}

static void another_mode_allows_repeats(void **state)
{
    (void)state;
    assert_true(make("JsonlReader", "JsonlWriter", "whatever", BOTH));
    assert_int_equal(spec.mode, MODE_READ_WRITE);
    assert_true(spec.allow_repeats);
}

static void overwrite_is_what_python_calls_true(void **state)
{
    (void)state;
    static const char *const truths[] = {"true",  "1",   "-0.5",     "\"False\"",
                                         "\" \"", "[0]", "{\"a\":0}"};
    static const char *const lies[] = {"false", "null", "0",  "0.0", "-0",
                                       "0e5",   "\"\"", "[]", "[ ]", "{}"};
    for (size_t i = 0; i < sizeof truths / sizeof *truths + sizeof lies / sizeof *lies; i++) {
        bool want = i < sizeof truths / sizeof *truths;
        const char *value = want ? truths[i] : lies[i - sizeof truths / sizeof *truths];
        OWNED_MEM char *text = xasprintf(
            "{\"input_file_path\":\"i\",\"output_file_path\":\"o\",\"overwrite\":%s}", value);
        assert_true(make("JsonlReader", "JsonlWriter", "read-write", text));
        if (spec.sink_overwrite != want)
            fail_msg("overwrite: %s", value);
    }
}

static void a_missing_or_strange_path_is_refused(void **state)
{
    (void)state;
    refused("JsonlReader", "JsonlWriter", "{}", "input_file_path");
    refused("JsonlReader", "JsonlWriter", "{\"input_file_path\":\"i\"}", "output_file_path");
    refused("JsonlReader", "JsonlWriter", "{\"input_file_path\":5}", "input_file_path");
    refused("JsonlReader", "JsonlWriter", "{\"input_file_path\":\"\"}", "input_file_path");
    refused("JsonlReader", "", "{\"input_file_path\":\"a\\u0000b\"}", "input_file_path");
}

static void the_chunk_size_may_be_a_text(void **state)
{
    (void)state;
    assert_true(
        make("CsvReader", "", "read-write", "{\"input_file_path\":\"i\",\"chunk_size\":\" 7 \"}"));
    assert_int_equal(spec.chunk_rows, 7);
    static const char *const wrong[] = {"0", "-1", "\"x\"", "1.5", "null", "[1]", "100001"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        OWNED_MEM char *text = xasprintf("{\"input_file_path\":\"i\",\"chunk_size\":%s}", wrong[i]);
        refused("CsvReader", "", text, "chunk_size");
    }
    assert_true(
        make("JsonlReader", "", "read-write", "{\"input_file_path\":\"i\",\"chunk_size\":0}"));
}

static void leases_and_attempts_are_read_and_the_query_wins(void **state)
{
    (void)state;
    const char *metadata = "{\"input_file_path\":\"i\",\"lease_s\":1.5,\"max_attempts\":\"3\"}";
    assert_true(make("JsonlReader", "", "read-write", metadata));
    assert_int_equal(spec.lease_us, 1500000);
    assert_int_equal(spec.max_attempts, 3);
    struct planchet_request query = {.reader = STR("JsonlReader"),
                                     .mode = STR("read-write"),
                                     .lease_s = STR("20"),
                                     .max_attempts = STR("1")};
    data_spec_release(&spec);
    assert_true(planchet_spec(&query, str_of(metadata), &spec, &err));
    assert_int_equal(spec.lease_us, 20000000);
    assert_int_equal(spec.max_attempts, 1);
    refused("JsonlReader", "", "{\"input_file_path\":\"i\",\"lease_s\":\"x\"}", "lease_s");
    refused("JsonlReader", "", "{\"input_file_path\":\"i\",\"lease_s\":-1}", "lease_s");
    refused("JsonlReader", "", "{\"input_file_path\":\"i\",\"lease_s\":[]}", "lease_s");
    refused("JsonlReader", "", "{\"input_file_path\":\"i\",\"lease_s\":604801}", "lease_s");
    refused("JsonlReader", "", "{\"input_file_path\":\"i\",\"max_attempts\":1.5}", "max_attempts");
    refused("JsonlReader", "", "{\"input_file_path\":\"i\",\"max_attempts\":1000001}",
            "max_attempts");
    assert_true(
        make("JsonlReader", "", "read-write", "{\"input_file_path\":\"i\",\"lease_s\":null}"));
    assert_int_equal(spec.lease_us, 0);
}

static void integers_are_python_s(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } table[] = {
        {"3", true, 3},
        {"+3", true, 3},
        {" \t-3\n", true, -3},
        {"1_000", true, 1000},
        {"007", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"-9223372036854775809", true, INT64_MIN},
        {"99999999999999999999999999999999999999999", true, INT64_MAX},
        {"", false, 0},
        {" ", false, 0},
        {"+", false, 0},
        {"+-1", false, 0},
        {"_1", false, 0},
        {"1_", false, 0},
        {"1__0", false, 0},
        {"1 0", false, 0},
        {"0x10", false, 0},
        {"1.0", false, 0},
        {"None", false, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t value = 0;
        if (planchet_int(str_of(table[i].text), &value) != table[i].ok || value != table[i].value)
            fail_msg("int('%s') is %lld", table[i].text, (long long)value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(planchet_s_classes_are_formats),
        cmocka_unit_test(other_names_are_the_operator_s_programs),
        cmocka_unit_test(none_and_nothing_mean_that_there_is_none),
        cmocka_unit_test(what_a_mode_does_not_use_is_not_looked_at),
        cmocka_unit_test(another_mode_allows_repeats),
        cmocka_unit_test(overwrite_is_what_python_calls_true),
        cmocka_unit_test(a_missing_or_strange_path_is_refused),
        cmocka_unit_test(the_chunk_size_may_be_a_text),
        cmocka_unit_test(leases_and_attempts_are_read_and_the_query_wins),
        cmocka_unit_test(integers_are_python_s),
    };
    data_spec_init(&spec);
    return cmocka_run_group_tests(tests, clear, clear);
}
