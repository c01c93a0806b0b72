/* test_step_log_store.c: what step jobs have logged and measured: pages, and the oldest go. */
#include "store_fixture.h"

#include "store/step_job_store.h"
#include "store/step_log_store.h"

#include <stdlib.h>

enum { JOB = 7 };

static struct step_job *put_job(struct fixture *f, int64_t id)
{
    struct step_job *job = step_job_new();
    job->id = id;
    job->owner = xstrdup("lab");
    job->created_by = xstrdup("key");
    job->name = xstrdup("name");
    job->folder = xstrdup("/");
    job->scheduled_at_us = 1;
    OK(f, step_job_store_change(f->tx, NULL, job, &f->err));
    return job;
}

/* `count` lines of `len` bytes whose first is the line's place among them. */
static void add(struct fixture *f, size_t count, size_t len)
{
    char *text = xcalloc(len + 1, 1);
    struct step_log_line *lines = xcalloc(count, sizeof *lines);
    memset(text, 'x', len);
    for (size_t i = 0; i < count; i++)
        lines[i] = (struct step_log_line){.at_us = (int64_t)i, .fence = 3, .message = {text, len}};
    OK(f, step_log_store_add(f->tx, JOB, lines, count, &f->err));
    free(lines);
    free(text);
}

struct seen {
    int64_t numbers[STEP_LOG_POST_MAX];
    size_t count, bytes;
};

static void see(void *context, const struct step_log_line *line)
{
    struct seen *seen = context;
    seen->numbers[seen->count++] = line->number;
    seen->bytes += line->message.len;
}

static void page(struct fixture *f, bool descending, int64_t offset, int64_t limit,
                 struct step_log_page *out, struct seen *seen)
{
    *seen = (struct seen){.count = 0};
    *out = (struct step_log_page){.descending = descending, .offset = offset, .limit = limit};
    OK(f, step_log_store_read(f->tx, JOB, out, see, seen, &f->err));
}

static void lines_come_back_page_by_page(void **state)
{
    struct fixture *f = *state;
    struct step_log_page p;
    struct seen seen;
    fixture_begin(f);
    step_job_free(put_job(f, JOB));
    add(f, 3, 4);
    add(f, 2, 0);
    static const struct {
        bool descending;
        int64_t offset, limit, first, last;
        size_t count;
    } rows[] = {
        {false, 0, 10, 0, 4, 5}, {true, 0, 10, 4, 0, 5}, {false, 3, 10, 3, 4, 2},
        {true, 3, 10, 1, 0, 2},  {false, 1, 2, 1, 2, 2}, {true, 1, 2, 3, 2, 2},
        {false, 5, 2, 0, 0, 0},  {true, 99, 2, 0, 0, 0}, {false, 0, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        page(f, rows[i].descending, rows[i].offset, rows[i].limit, &p, &seen);
        assert_int_equal(p.total, 5);
        assert_int_equal(p.gone, 0);
        assert_int_equal(seen.count, rows[i].count);
        if (seen.count) {
            assert_int_equal(seen.numbers[0], rows[i].first);
            assert_int_equal(seen.numbers[seen.count - 1], rows[i].last);
        }
    }
    fixture_roll_back(f);
}

static void the_oldest_lines_go(void **state)
{
    struct fixture *f = *state;
    struct step_log_page p;
    struct seen seen;
    fixture_begin(f);
    step_job_free(put_job(f, JOB));
    for (int i = 0; i < STEP_LOG_KEPT_LINES / 1000; i++)
        add(f, 1000, 1);
    page(f, false, 0, 1, &p, &seen);
    assert_int_equal(p.total, STEP_LOG_KEPT_LINES);
    add(f, 10, 1);
    page(f, false, 0, 1, &p, &seen);
    assert_int_equal(p.total, STEP_LOG_KEPT_LINES);
    assert_int_equal(p.gone, 10);
    assert_int_equal(seen.numbers[0], 10);
    add(f, 64, 16 << 10); /* as many bytes as are kept */
    page(f, true, 0, STEP_LOG_POST_MAX, &p, &seen);
    assert_int_equal(p.total, 64);
    assert_int_equal(seen.bytes, STEP_LOG_KEPT_BYTES);
    add(f, 1, STEP_LOG_LINE_MAX_BYTES + 5);
    page(f, true, 0, STEP_LOG_POST_MAX, &p, &seen);
    assert_int_equal(p.total, 64);
    assert_int_equal(seen.bytes, STEP_LOG_KEPT_BYTES);
    fixture_roll_back(f);
}

static void metrics_are_replaced(void **state)
{
    struct fixture *f = *state;
    struct step_metrics m = {NULL, NULL, 0};
    fixture_begin(f);
    step_job_free(put_job(f, JOB));
    OK(f, step_log_store_metrics(f->tx, JOB, &m, &f->err));
    assert_null(m.json);
    OK(f, step_log_store_measure(f->tx, JOB, STR("{}"), NULL, 5, &f->err));
    OK(f, step_log_store_measure(f->tx, JOB, STR("{\"a\":1}"), "w", 6, &f->err));
    OK(f, step_log_store_metrics(f->tx, JOB, &m, &f->err));
    assert_string_equal(m.json, "{\"a\":1}");
    assert_string_equal(m.worker, "w");
    assert_int_equal(m.at_us, 6);
    step_metrics_release(&m);
    fixture_roll_back(f);
}

static void all_of_it_goes_with_the_job(void **state)
{
    struct fixture *f = *state;
    struct step_log_page p;
    struct seen seen;
    fixture_begin(f);
    REFUSED(f, ERR_NOT_FOUND,
            step_log_store_add(f->tx, JOB, &(struct step_log_line){.number = 0}, 1, &f->err));
    REFUSED(f, ERR_NOT_FOUND, step_log_store_measure(f->tx, JOB, STR("{}"), NULL, 5, &f->err));
    struct step_job *job = put_job(f, JOB);
    add(f, 3, 4);
    OK(f, step_job_store_change(f->tx, job, NULL, &f->err));
    page(f, false, 0, 10, &p, &seen);
    assert_int_equal(p.total + p.gone, 0);
    assert_int_equal(seen.count, 0);
    fixture_roll_back(f);
    step_job_free(job);
}

static void a_long_line_is_cut_between_characters(void **state)
{
    char text[STEP_LOG_LINE_MAX_BYTES + 8];
    (void)state;
    memset(text, 'x', sizeof text);
    assert_int_equal(step_log_cut((struct str){text, 5}).len, 5);
    assert_int_equal(step_log_cut((struct str){text, STEP_LOG_LINE_MAX_BYTES}).len,
                     STEP_LOG_LINE_MAX_BYTES);
    assert_int_equal(step_log_cut((struct str){text, sizeof text}).len, STEP_LOG_LINE_MAX_BYTES);
    memcpy(text + STEP_LOG_LINE_MAX_BYTES - 1, "\xe2\x82\xac", 3);
    assert_int_equal(step_log_cut((struct str){text, sizeof text}).len,
                     STEP_LOG_LINE_MAX_BYTES - 1);
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(lines_come_back_page_by_page),
        CASE(the_oldest_lines_go),
        CASE(metrics_are_replaced),
        CASE(all_of_it_goes_with_the_job),
        CASE(a_long_line_is_cut_between_characters),
    };
    return RUN(cases);
}
