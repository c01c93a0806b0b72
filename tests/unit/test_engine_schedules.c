/* Schedules under the engine, in virtual time: each tick once, whatever becomes of clock and store.
 */
#include "engine_temp.h"

#define HOUR_US (3600 * SECOND_US)

static struct op ask_schedules(struct bench *b, enum schedules_verb verb, const char *name,
                               const struct schedule *spec)
{
    struct op op;
    prepare(&op, OP_SCHEDULES, NULL);
    op.schedules.verb = verb;
    op.schedules.name = name;
    op.schedules.spec = spec;
    ask(b, &op);
    return op;
}

static void set(struct bench *b, struct schedule spec)
{
    spec.name = "s";
    spec.function = "f";
    struct op op = ask_schedules(b, SCHEDULES_SET, NULL, &spec);
    assert_went_well(&op);
    op_release(&op);
}

/* Unique keys of all tasks, one after the other; how many there are. */
static size_t tasks_of(struct bench *b, struct buf *uniques)
{
    struct op op;
    prepare(&op, OP_TASK_LIST, NULL);
    op.task_list.limit = 1000;
    ask(b, &op);
    assert_went_well(&op);
    size_t count = op.task_list.count;
    for (size_t i = 0; uniques && i < count; i++) {
        struct op one;
        prepare(&one, OP_TASK_SHOW, NULL);
        one.task_show.id = op.task_list.views[i].id;
        ask(b, &one);
        assert_went_well(&one);
        buf_add_text(uniques, one.task_show.view.unique ? one.task_show.view.unique : "-");
        buf_add_char(uniques, ' ');
        op_release(&one);
    }
    op_release(&op);
    return count;
}

static void assert_tasks(struct bench *b, size_t count)
{
    assert_int_equal(tasks_of(b, NULL), count);
}

/* Passes time as a server would: it wakes when the engine says so. */
static void live(struct bench *b, int64_t us)
{
    int64_t until_us = b->now.mono_us + us;
    while (b->now.mono_us < until_us) {
        int64_t next_us = engine_next_us(b->engine);
        int64_t to_us = next_us < until_us ? next_us : until_us;
        pass_time(b, to_us > b->now.mono_us ? to_us - b->now.mono_us : 0);
    }
    for (int i = 0; i < 100 && engine_next_us(b->engine) <= b->now.mono_us; i++)
        pass_time(b, 0);
}

static void a_tick_is_a_task_under_its_own_key(void **state)
{
    struct bench *b = *state;
    OWNED_BUF struct buf uniques;
    buf_init(&uniques, BUF_NO_CAP);
    set(b, (struct schedule){.every_us = HOUR_US}); /* it is 22:13:20 */
    live(b, HOUR_US);
    assert_tasks(b, 1);
    live(b, HOUR_US);
    assert_int_equal(tasks_of(b, &uniques), 2);
    buf_add_char(&uniques, '\0');
    assert_string_equal(uniques.data, "schedule/s/2023-11-14T23:00:00.000Z "
                                      "schedule/s/2023-11-15T00:00:00.000Z ");
    struct op op = ask_schedules(b, SCHEDULES_LIST, "s", NULL);
    assert_int_equal(op.schedules.count, 1);
    assert_int_equal(op.schedules.views[0].last_at_us, INT64_C(1700006400) * SECOND_US);
    assert_int_equal(op.schedules.views[0].next_at_us, INT64_C(1700010000) * SECOND_US);
    assert_true(op.schedules.views[0].last_task_id > 0);
    op_release(&op);
}

static void restarts_neither_lose_nor_double_a_tick(void **state)
{
    struct bench *b = *state;
    set(b, (struct schedule){.every_us = HOUR_US});
    for (int i = 0; i < 5; i++) {
        live(b, HOUR_US);
        reopen_engine(b);
    }
    assert_tasks(b, 5);
}

static void a_tick_whose_note_was_lost_is_known_by_its_key(void **state)
{
    struct bench *b = *state;
    set(b, (struct schedule){.every_us = HOUR_US});
    plan_fault("store.commit:2:fail"); /* the first is the task's, the second the note's */
    live(b, HOUR_US);
    no_faults();
    assert_tasks(b, 1);
    reopen_engine(b);
    live(b, SECOND_US);
    assert_tasks(b, 1);
    live(b, HOUR_US);
    assert_tasks(b, 2);
}

static void a_tick_that_cannot_be_stored_comes_when_it_can(void **state)
{
    struct bench *b = *state;
    set(b, (struct schedule){.every_us = HOUR_US});
    live(b, HOUR_US / 2);
    plan_fault("store.commit:1:full");
    live(b, HOUR_US / 2 - 10 * SECOND_US);
    no_faults();
    live(b, 20 * SECOND_US);
    assert_tasks(b, 1);
}

static void missed_ticks_go_by_the_policy(void **state)
{
    struct bench *b = *state;
    static const size_t expected[MISSED_COUNT] = {
        [MISSED_SKIP] = 0, [MISSED_ONCE] = 1, [MISSED_ALL] = 5};
    size_t before = 0;
    for (int missed = 0; missed < MISSED_COUNT; missed++) {
        set(b, (struct schedule){.every_us = HOUR_US, .missed = (enum schedule_missed)missed});
        close_engine(b);
        b->now.wall_us += 5 * HOUR_US;
        open_engine(b);
        live(b, 10 * SECOND_US);
        assert_tasks(b, before + expected[missed]);
        before += expected[missed];
    }
}

static void what_was_made_up_for_once_is_not_again_after_a_restart(void **state)
{
    struct bench *b = *state;
    set(b, (struct schedule){.every_us = HOUR_US, .missed = MISSED_ONCE});
    close_engine(b);
    b->now.wall_us += 5 * HOUR_US + HOUR_US / 2;
    for (int starts = 0; starts < 3; starts++) {
        open_engine(b);
        live(b, 10 * SECOND_US);
        assert_tasks(b, 1);
        close_engine(b);
        b->now.wall_us += SECOND_US;
    }
    open_engine(b);
    live(b, HOUR_US);
    assert_tasks(b, 2);
}

static void a_clock_that_is_set_is_noticed_and_makes_no_tick_twice(void **state)
{
    struct bench *b = *state;
    set(b, (struct schedule){.every_us = HOUR_US});
    live(b, HOUR_US);
    assert_tasks(b, 1);
    b->now.wall_us -= 2 * HOUR_US; /* back: the same hours come again */
    live(b, 2 * HOUR_US);
    assert_tasks(b, 1);
    live(b, HOUR_US);
    assert_tasks(b, 2);
    b->now.wall_us += 40 * 60 * SECOND_US; /* forward, to some minutes before the next */
    live(b, 20 * 60 * SECOND_US);
    assert_tasks(b, 3);
}

static void a_clock_that_was_far_ahead_leaves_no_schedule_silent(void **state)
{
    struct bench *b = *state;
    const int64_t year_us = 365 * 24 * HOUR_US;
    for (int restarts = 0; restarts < 2; restarts++) {
        set(b, (struct schedule){.every_us = HOUR_US});
        size_t before = tasks_of(b, NULL);
        b->now.wall_us += year_us;
        live(b, HOUR_US);
        assert_tasks(b, before + 1);
        if (restarts)
            close_engine(b);
        b->now.wall_us -= year_us;
        if (restarts)
            open_engine(b);
        live(b, 2 * HOUR_US);
        assert_tasks(b, before + 3);
        set(b, (struct schedule){.every_us = HOUR_US});
        live(b, HOUR_US);
        assert_tasks(b, before + 4);
    }
}

static void of_a_year_of_minutes_the_last_are_made_up_for(void **state)
{
    struct bench *b = *state;
    OWNED_BUF struct buf uniques;
    buf_init(&uniques, BUF_NO_CAP);
    set(b, (struct schedule){.cron = "* * * * *", .missed = MISSED_ALL});
    close_engine(b);
    b->now.wall_us += 365 * 24 * HOUR_US;
    open_engine(b);
    live(b, 10 * SECOND_US);
    assert_int_equal(tasks_of(b, &uniques), SCHEDULE_MISSED_MOST);
    /* The last one is that of the minute: it is 22:13:30. */
    buf_add_char(&uniques, '\0');
    assert_non_null(strstr(uniques.data, "2024-11-13T22:13:00"));
    assert_null(strstr(uniques.data, "2024-11-12"));
}

static void a_paused_or_deleted_schedule_is_silent(void **state)
{
    struct bench *b = *state;
    set(b, (struct schedule){.every_us = HOUR_US, .paused = true, .missed = MISSED_ALL});
    live(b, 3 * HOUR_US);
    assert_tasks(b, 0);
    set(b, (struct schedule){.every_us = HOUR_US, .missed = MISSED_ALL});
    live(b, HOUR_US);
    assert_tasks(b, 1);
    struct op op = ask_schedules(b, SCHEDULES_DELETE, "s", NULL);
    assert_went_well(&op);
    live(b, 3 * HOUR_US);
    reopen_engine(b);
    live(b, 3 * HOUR_US);
    assert_tasks(b, 1);
    op = ask_schedules(b, SCHEDULES_DELETE, "s", NULL);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "no schedule s");
}

static void it_may_be_run_by_hand_beside_its_ticks(void **state)
{
    struct bench *b = *state;
    set(b, (struct schedule){.cron = "0 0 1 1 *", .paused = true});
    struct op op = ask_schedules(b, SCHEDULES_RUN, "s", NULL);
    assert_went_well(&op);
    assert_true(op.schedules.task_id > 0);
    assert_tasks(b, 1);
    op = ask_schedules(b, SCHEDULES_RUN, "t", NULL);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_NOT_FOUND, "no schedule t");
    plan_fault("store.commit:1:full");
    op = ask_schedules(b, SCHEDULES_RUN, "s", NULL);
    no_faults();
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    assert_tasks(b, 1);
}

/* As those of everybody's tasks; a disk that is full holds the tick up, and does not lose it. */
static void large_arguments_lie_in_a_blob(void **state)
{
    struct bench *b = *state;
    struct op op;
    OWNED_BUF struct buf large;
    buf_init(&large, BUF_NO_CAP);
    buf_add_text(&large, "{\"a\":\"");
    while (large.len < TASK_TEXT_MAX_BYTES)
        buf_add_text(&large, "xxxxxxxxxxxxxxxx");
    buf_add_text(&large, "\"}");
    buf_add_char(&large, '\0');
    set(b, (struct schedule){.every_us = HOUR_US, .pass_time = true, .arguments = large.data});
    plan_fault("blob.sync:1:full");
    live(b, HOUR_US);
    no_faults();
    live(b, 5 * SECOND_US);
    assert_tasks(b, 1);
    prepare(&op, OP_TASK_LIST, NULL);
    op.task_list.limit = 1;
    ask(b, &op);
    const int64_t id = op.task_list.views[0].id;
    op_release(&op);
    prepare(&op, OP_TASK_SHOW, NULL);
    op.task_show.id = id;
    ask(b, &op);
    assert_went_well(&op);
    assert_null(op.task_show.view.arguments);
    /* With the time in it, and without the NUL. */
    assert_int_equal(op.task_show.view.arguments_blob.bytes,
                     large.len - 1 + strlen(",\"timestamp\":\"2026-01-01T00:00:00.000Z\""));
    op_release(&op);
    plan_fault("blob.sync:1:full");
    op = ask_schedules(b, SCHEDULES_RUN, "s", NULL);
    no_faults();
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    assert_tasks(b, 1);
}

static void what_cannot_be_set_changes_nothing(void **state)
{
    struct bench *b = *state;
    struct schedule bad = {.name = "s", .function = "f", .cron = "@daily", .zone = "Mars/Base"};
    set(b, (struct schedule){.every_us = HOUR_US});
    struct op op = ask_schedules(b, SCHEDULES_SET, NULL, &bad);
    assert_refused(&op, REFUSED_OTHERWISE, ERR_INVALID, "no time zone Mars/Base");
    bad.zone = NULL;
    plan_fault("store.commit:1:full");
    op = ask_schedules(b, SCHEDULES_SET, NULL, &bad);
    no_faults();
    assert_int_equal(op.err.code, ERR_NO_SPACE);
    live(b, HOUR_US);
    assert_tasks(b, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_tick_is_a_task_under_its_own_key),
        ENGINE_TEST(restarts_neither_lose_nor_double_a_tick),
        ENGINE_TEST(a_tick_whose_note_was_lost_is_known_by_its_key),
        ENGINE_TEST(a_tick_that_cannot_be_stored_comes_when_it_can),
        ENGINE_TEST(missed_ticks_go_by_the_policy),
        ENGINE_TEST(what_was_made_up_for_once_is_not_again_after_a_restart),
        ENGINE_TEST(a_clock_that_is_set_is_noticed_and_makes_no_tick_twice),
        ENGINE_TEST(a_clock_that_was_far_ahead_leaves_no_schedule_silent),
        ENGINE_TEST(of_a_year_of_minutes_the_last_are_made_up_for),
        ENGINE_TEST(a_paused_or_deleted_schedule_is_silent),
        ENGINE_TEST(it_may_be_run_by_hand_beside_its_ticks),
        ENGINE_TEST(large_arguments_lie_in_a_blob),
        ENGINE_TEST(what_cannot_be_set_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
