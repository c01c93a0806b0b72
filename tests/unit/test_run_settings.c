/* test_run_settings.c: options, then config.py, then what is usual; and the job that comes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "cli/run_job.h"
#include "cli/run_server.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct option *const tables[] = {run_job_options, run_worker_options,
                                              run_server_options, NULL};
static struct err err;

/* A folder of the test's own, which is the current one. */
static int enter_folder(void **state)
{
    char *folder = xstrdup("/tmp/run-settings-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    *state = folder;
    return 0;
}

static int leave_folder(void **state)
{
    OWNED_MEM char *command = xasprintf("rm -r %s", (char *)*state);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(system(command), 0);
    free(*state);
    return 0;
}

static void touch(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
}

/* Words behind `penstock run`, split at blanks. */
static bool read_words(const char *words, struct options **options, struct run_settings *s)
{
    static char text[512];
    static char *argv[64];
    int argc = 0;
    snprintf(text, sizeof text, "%s", words);
    for (char *at = text; *at; at += strlen(at) + 1) {
        char *blank = strchr(at, ' ');
        argv[argc++] = at;
        if (!blank)
            break;
        *blank = '\0';
    }
    return options_read(tables, argc, argv, options, &err) &&
           run_settings_read(*options, true, s, &err);
}

static void assert_refused(const char *words, const char *hello, const char *told)
{
    OWNED(options) struct options *options = NULL;
    OWNED_RUN_SETTINGS struct run_settings s = {0};
    bool good = read_words(words, &options, &s);
    if (good)
        good = run_settings_complete(&s, options, str_of(hello), &err);
    assert_false(good);
    assert_int_equal(err.code, ERR_INVALID);
    if (!strstr(err.text, told))
        fail_msg("%s: told: %s", words, err.text);
}

static void without_a_config_nothing_is_usual(void **state)
{
    (void)state;
    OWNED(options) struct options *options = NULL;
    OWNED_RUN_SETTINGS struct run_settings s = {0};
    touch("in.jsonl");
    assert_true(read_words("t.py --input in.jsonl --output o.jsonl", &options, &s));
    assert_true(
        run_settings_complete(&s, options, STR("{\"settings\":null,\"retry\":null}"), &err));
    assert_null(s.id_key);
    assert_null(s.rerun_key);
    assert_null(s.log);
    assert_null(s.errors);
    assert_int_equal(s.concurrency, 100);
    assert_int_equal(s.retries, 0);
    assert_int_equal(s.processes, 1);
    assert_int_equal(s.grace_us, 10000000);
    assert_true(s.rpm <= 0 && s.timeout_s <= 0);
}

static void a_folder_with_a_config_has_usual_settings(void **state)
{
    (void)state;
    OWNED(options) struct options *options = NULL;
    OWNED_RUN_SETTINGS struct run_settings s = {0};
    touch("config.py");
    assert_true(read_words(".", &options, &s));
    assert_true(run_settings_complete(&s, options, STR("{\"settings\":{}}"), &err));
    assert_string_equal(s.inputs[0], "data/input.jsonl");
    assert_string_equal(s.output, "data/output.jsonl");
    assert_string_equal(s.errors, "data/error.jsonl");
    assert_string_equal(s.log, "logs/processor.log");
    assert_string_equal(s.id_key, "id");
    assert_string_equal(s.rerun_key, "force_rerun");
    assert_int_equal(s.concurrency, 100);
}

static void paths_of_a_config_are_relative_to_it(void **state)
{
    OWNED(options) struct options *options = NULL;
    OWNED_RUN_SETTINGS struct run_settings s = {0};
    touch("config.py");
    OWNED_MEM char *words = xasprintf("t.py --config %s/config.py", (char *)*state);
    OWNED_MEM char *output = xasprintf("%s/data/output.jsonl", (char *)*state);
    assert_true(read_words(words, &options, &s));
    assert_true(run_settings_complete(&s, options,
                                      STR("{\"settings\":{\"INPUT_FILE\":\"/a/b.jsonl\"}}"), &err));
    assert_string_equal(s.output, output);
    assert_string_equal(s.inputs[0], "/a/b.jsonl");
}

static void a_config_counts_where_no_option_is_given(void **state)
{
    (void)state;
    OWNED(options) struct options *options = NULL;
    OWNED_RUN_SETTINGS struct run_settings s = {0};
    static const char hello[] =
        "{\"settings\":{\"INPUT_FILE\":\"a.jsonl\",\"OUTPUT_FILE\":\"b.jsonl\",\"ERROR_FILE\":"
        "\"c.jsonl\",\"LOG_FILE\":\"\",\"ID_KEY\":\"ip\",\"RERUN_KEY\":null,\"MAX_CONCURRENCY\":7,"
        "\"REQUESTS_PER_MINUTE\":12.5,\"WRITE_BATCH_SIZE\":\"x\",\"MAX_RETRIES\":4,"
        "\"RETRY_INITIAL_DELAY\":0.5,\"LOG_LEVEL\":\"warning\",\"OTHER\":[1]}}";
    touch("config.py");
    assert_true(read_words(". --concurrency 9 --output ours.jsonl", &options, &s));
    assert_true(run_settings_complete(&s, options, str_of(hello), &err));
    assert_string_equal(s.inputs[0], "a.jsonl");
    assert_string_equal(s.output, "ours.jsonl");
    assert_string_equal(s.errors, "c.jsonl");
    assert_null(s.log);
    assert_string_equal(s.id_key, "ip");
    assert_null(s.rerun_key);
    assert_int_equal(s.concurrency, 9);
    assert_true(s.rpm > 12.49 && s.rpm < 12.51);
    assert_int_equal(s.retries, 4);
    assert_int_equal(s.retry_delay_us, 500000);
    assert_int_equal(s.log_level, LOG_WARN);
}

static void without_an_id_key_there_is_no_rerun_key(void **state)
{
    (void)state;
    OWNED(options) struct options *options = NULL;
    OWNED_RUN_SETTINGS struct run_settings s = {0};
    touch("config.py");
    assert_true(read_words(".", &options, &s));
    assert_true(run_settings_complete(&s, options, STR("{\"settings\":{\"ID_KEY\":null}}"), &err));
    assert_null(s.id_key);
    assert_null(s.rerun_key);
}

static void a_decorator_wins_over_the_config_and_an_option_over_both(void **state)
{
    (void)state;
    static const struct str hello =
        STR_INIT("{\"settings\":{\"MAX_RETRIES\":3},"
                 "\"retry\":{\"retries\":5,\"delay_s\":0.25,\"factor\":3}}");
    touch("config.py");
    for (int given = 0; given < 2; given++) {
        OWNED(options) struct options *options = NULL;
        OWNED_RUN_SETTINGS struct run_settings s = {0};
        assert_true(read_words(given ? ". --retries 1 --retry-delay 9" : ".", &options, &s));
        assert_true(run_settings_complete(&s, options, hello, &err));
        assert_int_equal(s.retries, given ? 1 : 5);
        assert_int_equal(s.retry_delay_us, given ? 9000000 : 250000);
        assert_true(s.retry_factor > 2.9);
    }
}

static void what_a_function_asks_for_has_bounds(void **state)
{
    (void)state;
    static const char words[] = "t.py --input in.jsonl --output o";
    touch("in.jsonl");
    assert_refused(words, "{\"retry\":{\"retries\":-1}}", "retries are -1");
    assert_refused(words, "{\"retry\":{\"retries\":1,\"delay_s\":-1}}", "retry delay");
    assert_refused(words, "{\"retry\":{\"retries\":1,\"factor\":0.5}}", "backoff factor");
}

static void inputs_may_be_patterns(void **state)
{
    (void)state;
    OWNED(options) struct options *options = NULL;
    OWNED_RUN_SETTINGS struct run_settings s = {0};
    touch("b-2.jsonl");
    touch("b-1.jsonl");
    touch("[odd].jsonl"); /* a name that looks like a pattern */
    assert_true(read_words("t.py --input b-*.jsonl --input [odd].jsonl --output o", &options, &s));
    assert_int_equal(s.input_count, 3);
    assert_string_equal(s.inputs[0], "b-1.jsonl");
    assert_string_equal(s.inputs[1], "b-2.jsonl");
    assert_string_equal(s.inputs[2], "[odd].jsonl");
    assert_refused("t.py --input c-*.jsonl --output o", "{}", "no file matches c-*.jsonl");
}

static void failures_are_listed_beside_the_output(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"out.jsonl", "out.errors.jsonl"},   {"a/out.jsonl.gz", "a/out.errors.jsonl"},
        {"out.csv.zst", "out.errors.jsonl"}, {"out", "out.errors.jsonl"},
        {"-", "stdout.errors.jsonl"},        {".jsonl", ".jsonl.errors.jsonl"},
        {"out.ndjson", "out.errors.jsonl"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        OWNED_MEM char *path = run_job_errors_path(rows[i][0]);
        assert_string_equal(path, rows[i][1]);
    }
}

/* The job of these words, of a server elsewhere: paths stay as they are. */
static char *job_of(const char *words)
{
    OWNED(options) struct options *options = NULL;
    OWNED_RUN_SETTINGS struct run_settings s = {0};
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_true(read_words(words, &options, &s));
    assert_true(run_job_write(&s, "n", false, &out, &err));
    return buf_take(&out);
}

static void a_plain_job_says_little(void **state)
{
    (void)state;
    OWNED_MEM char *job = job_of("t.py --input a.jsonl --output b.jsonl");
    assert_string_equal(job, "{\"name\":\"n\",\"source\":{\"path\":\"a.jsonl\",\"objects\":true},"
                             "\"sink\":{\"path\":\"b.jsonl\"},"
                             "\"errors\":{\"path\":\"b.errors.jsonl\",\"records\":true},"
                             "\"lease_s\":30,\"limits\":{\"concurrency\":100,\"rpm\":0},"
                             "\"max_attempts\":1,\"resume\":true}");
}

static void a_job_says_all_that_was_asked(void **state)
{
    (void)state;
    OWNED_MEM char *job =
        job_of("t.py --input a.jsonl --input b.csv --output c.jsonl --errors e --id-key id "
               "--rerun-key again --concurrency 5 --rpm 60.5 --adaptive --retries 2 "
               "--retry-delay 0.5 --ordered --sample 3 --seed 4 --only-failed --retry-skipped");
    assert_string_equal(
        job, "{\"name\":\"n\",\"source\":{\"paths\":[\"a.jsonl\",\"b.csv\"],\"objects\":true},"
             "\"sink\":{\"path\":\"c.jsonl\",\"ordered\":true},"
             "\"errors\":{\"path\":\"e\",\"records\":true},\"lease_s\":30,"
             "\"limits\":{\"concurrency\":5,\"rpm\":60.5,\"adaptive\":true},\"max_attempts\":3,"
             "\"retry\":{\"delay_s\":0.5,\"factor\":2},"
             "\"identity\":{\"key\":\"id\",\"rerun_key\":\"again\"},\"resume\":true,"
             "\"portion\":{\"sample\":3,\"seed\":4,\"only_failed\":true,\"retry_skipped\":true}}");
}

static void standard_ends_are_of_this_process_alone(void **state)
{
    (void)state;
    OWNED(options) struct options *options = NULL;
    OWNED_RUN_SETTINGS struct run_settings s = {0};
    OWNED_BUF struct buf out;
    buf_init(&out, 1 << 16);
    assert_true(read_words("t.py --input - --output -", &options, &s));
    assert_false(run_job_write(&s, "n", false, &out, &err));
    assert_string_equal(err.text, "a server cannot read or write \"-\": name files of its own");
    out.len = 0;
    assert_true(run_job_write(&s, "n", true, &out, &err));
    buf_add_char(&out, '\0');
    assert_non_null(strstr(out.data, "\"source\":{\"program\":\"stdin\"},"
                                     "\"sink\":{\"program\":\"stdout\"}"));
}

int main(void)
{
#define IN_FOLDER(name) cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)
    static const struct CMUnitTest tests[] = {
        IN_FOLDER(without_a_config_nothing_is_usual),
        IN_FOLDER(a_folder_with_a_config_has_usual_settings),
        IN_FOLDER(paths_of_a_config_are_relative_to_it),
        IN_FOLDER(a_config_counts_where_no_option_is_given),
        IN_FOLDER(without_an_id_key_there_is_no_rerun_key),
        IN_FOLDER(a_decorator_wins_over_the_config_and_an_option_over_both),
        IN_FOLDER(what_a_function_asks_for_has_bounds),
        IN_FOLDER(inputs_may_be_patterns),
        IN_FOLDER(failures_are_listed_beside_the_output),
        IN_FOLDER(a_plain_job_says_little),
        IN_FOLDER(a_job_says_all_that_was_asked),
        IN_FOLDER(standard_ends_are_of_this_process_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
