/* test_log.c: a line is one event, and nothing in a value can make it two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"

#include "base/own.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_MAX = 65536 };

struct capture {
    int stderr_copy, pipe[2];
    char text[TEXT_MAX];
};

static int capture_begin(void **state)
{
    struct capture *c = xcalloc(1, sizeof *c);
    assert_int_equal(pipe(c->pipe), 0);
    fcntl(c->pipe[0], F_SETFL, O_NONBLOCK);
    c->stderr_copy = dup(STDERR_FILENO);
    dup2(c->pipe[1], STDERR_FILENO);
    log_set_level(LOG_DEBUG);
    *state = c;
    return 0;
}

static int capture_end(void **state)
{
    struct capture *c = *state;
    dup2(c->stderr_copy, STDERR_FILENO);
    close(c->stderr_copy);
    close(c->pipe[0]);
    close(c->pipe[1]);
    free(c);
    return 0;
}

/* What was written since the last time, "" when nothing was. */
static const char *written(struct capture *c)
{
    ssize_t got = read(c->pipe[0], c->text, sizeof c->text - 1);
    c->text[got > 0 ? got : 0] = '\0';
    return c->text;
}

/* The same without the instant in front. */
static const char *event_of(struct capture *c)
{
    const char *line = written(c);
    assert_true(strlen(line) > 25);
    assert_true(line[10] == 'T' && line[23] == 'Z' && line[24] == ' ');
    return line + 25;
}

static void a_line_is_level_event_and_values(void **state)
{
    struct log_line *line = log_begin(LOG_WARN, "lease.ended");
    log_value(line, "job", "%s", "catalogue");
    log_value(line, "records", "%d", 12);
    assert_string_equal(written(*state), ""); /* all at once */
    log_end(line);
    assert_string_equal(event_of(*state), "warn lease.ended job=catalogue records=12\n");
    LOG1(LOG_ERROR, "store.broken", "reason", "%s", "disk full");
    assert_string_equal(event_of(*state), "error store.broken reason=\"disk full\"\n");
}

static void values_cannot_break_the_line(void **state)
{
    static const struct {
        const char *value, *shown;
    } rows[] = {
        {"plain-1.2/3", "plain-1.2/3"},
        {"größe", "größe"},
        {"", "\"\""},
        {"a b", "\"a b\""},
        {"a=b", "\"a=b\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"x\n2026 error forged", "\"x\\x0a2026 error forged\""},
        {"\r\t\x1b[31m\x7f", "\"\\x0d\\x09\\x1b[31m\\x7f\""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        LOG1(LOG_INFO, "e", "v", "%s", rows[i].value);
        const char *shown = event_of(*state) + strlen("info e v=");
        assert_int_equal(strncmp(shown, rows[i].shown, strlen(rows[i].shown)), 0);
        assert_string_equal(shown + strlen(rows[i].shown), "\n");
    }
}

static void a_long_value_is_cut_and_the_line_still_ends(void **state)
{
    char value[5000];
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    LOG1(LOG_INFO, "e", "v", "%s", value);
    const char *line = event_of(*state);
    assert_in_range(strlen(line), 1000, 1100);
    assert_true(line[strlen(line) - 1] == '\n');
}

static void lines_above_the_level_are_dropped(void **state)
{
    log_set_level(LOG_WARN);
    LOG1(LOG_INFO, "e", "v", "%d", 1);
    LOG1(LOG_DEBUG, "e", "v", "%d", 1);
    assert_string_equal(written(*state), "");
    assert_null(log_begin(LOG_INFO, "e"));
    log_end(NULL);
    LOG1(LOG_WARN, "e", "v", "%d", 1);
    assert_string_equal(event_of(*state), "warn e v=1\n");
}

static void a_log_that_cannot_be_written_stops_nothing(void **state)
{
    (void)state;
    close(STDERR_FILENO);
    LOG1(LOG_ERROR, "e", "v", "%d", 1);
    struct capture *c = *state;
    dup2(c->pipe[1], STDERR_FILENO);
    LOG1(LOG_ERROR, "e", "v", "%d", 2);
    assert_string_equal(event_of(c), "error e v=2\n");
}

static void lines_go_where_they_are_sent(void **state)
{
    int ends[2];
    char text[256] = {0};
    assert_int_equal(pipe(ends), 0);
    log_set_fd(ends[1]);
    LOG1(LOG_INFO, "run.started", "output", "%s", "out.jsonl");
    log_set_fd(STDERR_FILENO);
    assert_string_equal(written(*state), "");
    assert_true(read(ends[0], text, sizeof text - 1) > 25);
    assert_string_equal(text + 25, "info run.started output=out.jsonl\n");
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
#define CAPTURED(name) cmocka_unit_test_setup_teardown(name, capture_begin, capture_end)
    static const struct CMUnitTest tests[] = {
        CAPTURED(a_line_is_level_event_and_values),
        CAPTURED(values_cannot_break_the_line),
        CAPTURED(a_long_value_is_cut_and_the_line_still_ends),
        CAPTURED(lines_above_the_level_are_dropped),
        CAPTURED(a_log_that_cannot_be_written_stops_nothing),
        CAPTURED(lines_go_where_they_are_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
