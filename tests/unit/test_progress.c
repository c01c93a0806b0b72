/* test_progress.c: what a person sees of a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "run/progress.h"

#include <stdlib.h>

#define SECOND_US INT64_C(1000000)

static void assert_text(const struct progress_figures *f, const char *expected)
{
    OWNED_BUF struct buf out;
    buf_init(&out, 4096);
    progress_text(f, &out);
    buf_add_char(&out, '\0');
    assert_string_equal(out.data, expected);
}

static void a_line_says_what_is_known_and_nothing_else(void **state)
{
    (void)state;
    struct progress_figures f = {.total = -1, .eta_s = -1};
    assert_text(&f, "0 done  0 in flight");
    f = (struct progress_figures){.done = 1234, .total = 10000, .eta_s = -1, .in_flight = 50};
    assert_text(&f, "12.3 %  1,234 done  of about 10,000  50 in flight");
    f.failed = 3;
    f.skipped = 2;
    f.before = 5000;
    f.total_is_exact = true;
    f.rate_per_s = 9.84;
    f.eta_s = 200;
    f.waiting = 7;
    f.rpm = 600;
    assert_text(&f, "62.4 %  1,234 done  3 failed  2 skipped  5,000 before  of 10,000  9.8/s  "
                    "3:20 left  50 in flight  7 to try again  limit 600/min");
    f.rate_per_s = 12345.6;
    f.eta_s = -1;
    f.rpm = 0;
    assert_text(&f, "62.4 %  1,234 done  3 failed  2 skipped  5,000 before  of 10,000  12,346/s  "
                    "50 in flight  7 to try again");
}

static void all_is_done_only_when_the_end_is_known(void **state)
{
    (void)state;
    struct progress_figures f = {.done = 120, .total = 100, .eta_s = -1};
    assert_text(&f, "99.9 %  120 done  of about 100  0 in flight");
    f = (struct progress_figures){.done = 100, .total = 100, .total_is_exact = true, .eta_s = -1};
    assert_text(&f, "100.0 %  100 done  of 100  0 in flight");
}

struct screen {
    char *text;
    size_t size;
    FILE *out;
    struct progress *progress;
};

static void begin(struct screen *s, enum progress_form form)
{
    *s = (struct screen){0};
    s->out = open_memstream(&s->text, &s->size);
    s->progress = progress_new(s->out, form);
}

static void end(struct screen *s, const char *expected)
{
    progress_free(s->progress);
    fclose(s->out);
    assert_string_equal(s->text, expected);
    free(s->text);
}

static void a_live_line_is_drawn_again_and_others_stand_above_it(void **state)
{
    (void)state;
    struct screen s;
    struct progress_figures f = {.total = -1, .eta_s = -1};
    begin(&s, PROGRESS_LIVE);
    progress_print(s.progress, STR("before"));
    assert_int_equal(progress_next_us(s.progress), 0);
    progress_show(s.progress, &f, 5 * SECOND_US);
    int64_t next = progress_next_us(s.progress);
    assert_true(next >= 5 * SECOND_US + SECOND_US / 10); /* ten times a second at most */
    f.done = 1;
    progress_show(s.progress, &f, next - 1); /* not due */
    progress_show(s.progress, &f, next);
    progress_print(s.progress, STR("hello"));
    progress_end(s.progress);
    progress_print(s.progress, STR("after"));
    end(&s, "before\n"
            "\r0 done  0 in flight\033[K"
            "\r1 done  0 in flight\033[K"
            "\r\033[Khello\n"
            "\r1 done  0 in flight\033[K\n"
            "after\n");
}

static void a_plain_line_comes_every_ten_seconds(void **state)
{
    (void)state;
    struct screen s;
    const struct progress_figures f = {.total = -1, .eta_s = -1};
    begin(&s, PROGRESS_PLAIN);
    int64_t first = progress_next_us(s.progress);
    assert_true(first > clock_now().mono_us);
    progress_show(s.progress, &f, first - 1);
    progress_show(s.progress, &f, first);
    assert_int_equal(progress_next_us(s.progress), first + 10 * SECOND_US);
    progress_print(s.progress, STR("hello"));
    end(&s, "0 done  0 in flight\nhello\n");
}

static void a_quiet_run_shows_only_what_others_print(void **state)
{
    (void)state;
    struct screen s;
    const struct progress_figures f = {.total = -1, .eta_s = -1};
    begin(&s, PROGRESS_NONE);
    assert_int_equal(progress_next_us(s.progress), NEVER_US);
    progress_show(s.progress, &f, INT64_MAX - 1);
    progress_print(s.progress, STR("hello"));
    end(&s, "hello\n");
}

static void programs_get_a_line_of_json_for_all_that_is_printed(void **state)
{
    (void)state;
    struct screen s;
    struct progress_figures f = {.total = -1, .eta_s = -1, .done = 3, .retried = 2};
    begin(&s, PROGRESS_JSON);
    progress_print(s.progress, STR("he said \"no\""));
    progress_show(s.progress, &f, 5 * SECOND_US);
    progress_show(s.progress, &f, 6 * SECOND_US - 1); /* not due */
    f = (struct progress_figures){.total = 4, .total_is_exact = true, .eta_s = 0.25, .rpm = 60};
    progress_final(s.progress, &f);
    progress_end(s.progress);
    end(&s, "{\"text\":\"he said \\\"no\\\"\"}\n"
            "{\"progress\":{\"done\":3,\"failed\":0,\"skipped\":0,\"before\":0,\"retried\":2,"
            "\"in_flight\":0,\"waiting\":0,\"total\":null,\"total_is_exact\":false,"
            "\"rate_per_s\":0,\"eta_s\":null,\"rpm\":null}}\n"
            "{\"progress\":{\"done\":0,\"failed\":0,\"skipped\":0,\"before\":0,\"retried\":0,"
            "\"in_flight\":0,\"waiting\":0,\"total\":4,\"total_is_exact\":true,"
            "\"rate_per_s\":0,\"eta_s\":0.25,\"rpm\":60}}\n");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_what_is_known_and_nothing_else),
        cmocka_unit_test(all_is_done_only_when_the_end_is_known),
        cmocka_unit_test(a_live_line_is_drawn_again_and_others_stand_above_it),
        cmocka_unit_test(a_plain_line_comes_every_ten_seconds),
        cmocka_unit_test(a_quiet_run_shows_only_what_others_print),
        cmocka_unit_test(programs_get_a_line_of_json_for_all_that_is_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
