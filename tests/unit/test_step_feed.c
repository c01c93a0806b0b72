/* test_step_feed.c: what happened to step jobs, told to those who follow. */
#include "step_temp.h"

#include "engine/step_feed.h"

static void count_wake(void *context)
{
    ++*(int *)context;
}

static size_t read_on(struct step_follower *who, struct step_feed_entry *out, size_t max)
{
    size_t count = 0;
    assert_true(step_follower_take(who, out, max, &count));
    return count;
}

static void followers_are_told_in_order_and_woken_once(void **state)
{
    OWNED(step_feed) struct step_feed *f = step_feed_new();
    struct step_feed_entry entries[4];
    int wakes = 0, others = 0;
    (void)state;
    OWNED(step_follower)
    struct step_follower *who = step_feed_follow(f, STR("a"), 0, count_wake, &wakes);
    OWNED(step_follower)
    struct step_follower *other = step_feed_follow(f, STR("b"), 0, count_wake, &others);
    assert_int_equal(read_on(who, entries, 4), 0);
    assert_int_equal(read_on(other, entries, 4), 0);
    step_feed_add(f, STR("a"), 7, STEP_FEED_CREATED, 1);
    step_feed_add(f, STR("a"), 9, STEP_FEED_STATE, 1);
    assert_int_equal(wakes, 0);
    step_feed_wake(f);
    step_feed_add(f, STR("a"), 8, STEP_FEED_DELETED, 2);
    step_feed_wake(f);
    assert_int_equal(wakes, 1);
    assert_int_equal(others, 0);
    assert_int_equal(read_on(who, entries, 2), 2);
    assert_int_equal(entries[0].kind, STEP_FEED_CREATED);
    assert_int_equal(entries[0].job, 7);
    assert_int_equal(entries[1].kind, STEP_FEED_STATE);
    assert_int_equal(read_on(who, entries, 4), 1);
    assert_int_equal(entries[0].job, 8);
    assert_int_equal(read_on(who, entries, 4), 0);
    assert_int_equal(read_on(other, entries, 4), 0);
}

static void of_each_job_only_the_last_is_told(void **state)
{
    OWNED(step_feed) struct step_feed *f = step_feed_new();
    struct step_feed_entry entries[4];
    int wakes = 0;
    (void)state;
    OWNED(step_follower)
    struct step_follower *who = step_feed_follow(f, STR("a"), 0, count_wake, &wakes);
    step_feed_add(f, STR("a"), 7, STEP_FEED_CREATED, 1);
    step_feed_add(f, STR("a"), 8, STEP_FEED_CREATED, 1);
    step_feed_add(f, STR("a"), 7, STEP_FEED_STATE, 1);
    assert_int_equal(read_on(who, entries, 4), 2);
    assert_int_equal(entries[0].job, 8);
    assert_int_equal(entries[1].job, 7);
    assert_int_equal(entries[1].kind, STEP_FEED_STATE);
}

static void what_was_read_is_told_again_when_asked(void **state)
{
    OWNED(step_feed) struct step_feed *f = step_feed_new();
    struct step_feed_entry entries[4];
    int wakes = 0, others = 0;
    (void)state;
    step_feed_repeat(f, STR("a"), 7, 1); /* nobody is there */
    OWNED(step_follower)
    struct step_follower *who = step_feed_follow(f, STR("a"), 1, count_wake, &wakes);
    OWNED(step_follower)
    struct step_follower *other = step_feed_follow(f, STR("b"), 1, count_wake, &others);
    assert_int_equal(read_on(who, entries, 4), 0);
    assert_int_equal(read_on(other, entries, 4), 0);
    step_feed_repeat(f, STR("a"), 7, 2);
    assert_int_equal(wakes, 1);
    assert_int_equal(others, 0);
    step_feed_repeat(f, STR("a"), 7, 3); /* that one is still to be read */
    assert_int_equal(read_on(who, entries, 4), 1);
    assert_int_equal(entries[0].job, 7);
    assert_int_equal(read_on(who, entries, 4), 0);
    step_feed_repeat(f, STR("a"), 7, 4);
    assert_int_equal(wakes, 2);
    assert_int_equal(read_on(who, entries, 4), 1);
    assert_int_equal(read_on(other, entries, 4), 0);
}

static void who_comes_new_is_told_the_last_of_each_job(void **state)
{
    OWNED(step_feed) struct step_feed *f = step_feed_new();
    struct step_feed_entry entries[8];
    int wakes = 0;
    (void)state;
    step_feed_add(f, STR(""), 1, STEP_FEED_STATE, 0);
    step_feed_add(f, STR(""), 2, STEP_FEED_CREATED, STEP_FEED_KEEP_US);
    step_feed_add(f, STR(""), 3, STEP_FEED_CREATED, STEP_FEED_KEEP_US);
    step_feed_add(f, STR("b"), 4, STEP_FEED_CREATED, STEP_FEED_KEEP_US);
    step_feed_add(f, STR(""), 2, STEP_FEED_STATE, STEP_FEED_KEEP_US + 1);
    OWNED(step_follower)
    struct step_follower *who =
        step_feed_follow(f, STR(""), STEP_FEED_KEEP_US + 2, count_wake, &wakes);
    assert_int_equal(read_on(who, entries, 8), 2);
    assert_int_equal(entries[0].job, 3);
    assert_int_equal(entries[1].job, 2);
    assert_int_equal(entries[1].kind, STEP_FEED_STATE);
}

static void who_falls_behind_is_told_so(void **state)
{
    OWNED(step_feed) struct step_feed *f = step_feed_new();
    struct step_feed_entry entries[8];
    size_t count = 0;
    int wakes = 0;
    (void)state;
    OWNED(step_follower)
    struct step_follower *who = step_feed_follow(f, STR(""), 0, count_wake, &wakes);
    for (int64_t i = 1; i <= STEP_FEED_ENTRIES; i++)
        step_feed_add(f, STR(""), i, STEP_FEED_CREATED, i);
    assert_int_equal(read_on(who, entries, 1), 1);
    assert_int_equal(entries[0].job, 1);
    step_feed_add(f, STR(""), 1, STEP_FEED_STATE, 0);
    assert_int_equal(read_on(who, entries, 1), 1);
    step_feed_add(f, STR(""), 2, STEP_FEED_STATE, 0);
    step_feed_add(f, STR(""), 3, STEP_FEED_STATE, 0);
    assert_false(step_follower_take(who, entries, 1, &count));
    /* Nobody else has lost anything. */
    OWNED(step_follower)
    struct step_follower *other = step_feed_follow(f, STR(""), 0, count_wake, &wakes);
    assert_int_equal(read_on(other, entries, 8), 8);
}

static void others_jobs_put_nobody_behind(void **state)
{
    OWNED(step_feed) struct step_feed *f = step_feed_new();
    struct step_feed_entry entries[8];
    size_t count = 0;
    int wakes = 0, others = 0;
    (void)state;
    OWNED(step_follower)
    struct step_follower *who = step_feed_follow(f, STR("a"), 0, count_wake, &wakes);
    OWNED(step_follower)
    struct step_follower *reads = step_feed_follow(f, STR("b"), 0, count_wake, &others);
    assert_int_equal(read_on(who, entries, 8), 0);
    for (int64_t i = 1; i <= STEP_FEED_ENTRIES + 10; i++)
        step_feed_add(f, STR("b"), i, STEP_FEED_CREATED, i);
    step_feed_wake(f);
    assert_int_equal(wakes, 0);
    /* It looks for another reason, between an entry and its wake. */
    step_feed_add(f, STR("a"), 7, STEP_FEED_STATE, 0);
    step_feed_add(f, STR("b"), 8, STEP_FEED_STATE, 0);
    assert_int_equal(read_on(who, entries, 8), 1);
    assert_int_equal(entries[0].job, 7);
    assert_int_equal(read_on(who, entries, 8), 0);
    step_feed_wake(f);
    step_feed_add(f, STR("a"), 9, STEP_FEED_CREATED, 0);
    step_feed_wake(f);
    assert_int_equal(read_on(who, entries, 8), 1);
    assert_int_equal(entries[0].job, 9);
    assert_false(step_follower_take(reads, entries, 8, &count));
}

static void many_owners_are_told_apart(void **state)
{
    enum { OWNERS = 300 };
    OWNED(step_feed) struct step_feed *f = step_feed_new();
    struct step_follower *all[OWNERS];
    struct step_feed_entry entries[4];
    char name[OWNERS][8];
    int wakes[OWNERS] = {0};
    (void)state;
    for (int i = 0; i < OWNERS; i++) {
        snprintf(name[i], sizeof name[i], "o%d", i);
        all[i] = step_feed_follow(f, str_of(name[i]), 0, count_wake, &wakes[i]);
        assert_int_equal(read_on(all[i], entries, 4), 0);
    }
    for (int i = 0; i < OWNERS; i++)
        step_feed_add(f, str_of(name[i]), 1000 + i, STEP_FEED_CREATED, 1);
    step_feed_wake(f);
    for (int i = 0; i < OWNERS; i++) {
        assert_int_equal(wakes[i], 1);
        assert_int_equal(read_on(all[i], entries, 4), 1);
        assert_int_equal(entries[0].job, 1000 + i);
    }
    for (int i = 0; i < OWNERS; i++)
        step_follower_free(all[i]);
}

static void the_engine_tells_what_is_durable(void **state)
{
    struct bench *b = *state;
    struct step_feed_entry entries[8];
    struct op op;
    struct hand hand = {.count = 0};
    int wakes = 0;
    OWNED(step_follower)
    struct step_follower *who =
        step_feed_follow(engine_step_feed(b->engine), STR(""), b->now.mono_us, count_wake, &wakes);
    int64_t id = start_job(b, register_step(b, STEP_MANIFEST("add", "1"), nobody));
    assert_int_equal(read_on(who, entries, 8), 1);
    assert_int_equal(entries[0].kind, STEP_FEED_CREATED);
    assert_int_equal(entries[0].job, id);
    take_steps(b, &hand, 1);
    assert_int_equal(read_on(who, entries, 8), 1);
    assert_int_equal(entries[0].kind, STEP_FEED_STATE);
    complete(b, &hand, id);
    end_job(b, id, STEP_JOB_END_DELETE);
    assert_int_equal(read_on(who, entries, 8), 1);
    assert_int_equal(entries[0].kind, STEP_FEED_DELETED);
    plan_fault("store.commit:1:fail");
    prepare_edit(&op, 0, STEP_JOB_SETS_NAME);
    ask(b, &op);
    assert_true(op.err.code != ERR_NONE);
    assert_int_equal(read_on(who, entries, 8), 0);
}

/* Who waits for a job may not have heard of it before the engine ended. */
static void an_engine_that_opens_tells_again_what_happened_last(void **state)
{
    struct bench *b = *state;
    struct step_feed_entry entries[4];
    int wakes = 0;
    int64_t step = register_step(b, STEP_MANIFEST("add", "1.0.0"), nobody);
    int64_t old = start_job(b, step), first = start_job(b, step);
    pass_time(b, STEP_FEED_KEEP_US + SECOND_US);
    struct hand hand = {.count = 0};
    take_steps(b, &hand, 2);
    complete(b, &hand, old);
    complete(b, &hand, first);
    int64_t second = start_job(b, step);
    end_job(b, second, STEP_JOB_END_FAIL);
    end_job(b, second, STEP_JOB_END_DELETE);
    reopen_engine(b);
    OWNED(step_follower)
    struct step_follower *who =
        step_feed_follow(engine_step_feed(b->engine), STR(""), b->now.mono_us, count_wake, &wakes);
    OWNED(step_follower)
    struct step_follower *other =
        step_feed_follow(engine_step_feed(b->engine), STR("b"), b->now.mono_us, count_wake, &wakes);
    assert_int_equal(read_on(other, entries, 4), 0);
    assert_int_equal(read_on(who, entries, 4), 3);
    assert_int_equal(entries[0].job, old);
    assert_int_equal(entries[0].kind, STEP_FEED_STATE);
    assert_int_equal(entries[1].job, first);
    assert_int_equal(entries[1].kind, STEP_FEED_STATE);
    assert_int_equal(entries[2].job, second);
    assert_int_equal(entries[2].kind, STEP_FEED_DELETED);
    step_follower_free(TAKE(who));
    step_follower_free(TAKE(other));
    pass_time(b, STEP_FEED_KEEP_US + SECOND_US);
    int64_t third = start_job(b, step);
    reopen_engine(b);
    who =
        step_feed_follow(engine_step_feed(b->engine), STR(""), b->now.mono_us, count_wake, &wakes);
    assert_int_equal(read_on(who, entries, 4), 1);
    assert_int_equal(entries[0].job, third);
    step_follower_free(TAKE(who));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(followers_are_told_in_order_and_woken_once),
        cmocka_unit_test(of_each_job_only_the_last_is_told),
        cmocka_unit_test(what_was_read_is_told_again_when_asked),
        cmocka_unit_test(who_comes_new_is_told_the_last_of_each_job),
        cmocka_unit_test(who_falls_behind_is_told_so),
        cmocka_unit_test(others_jobs_put_nobody_behind),
        cmocka_unit_test(many_owners_are_told_apart),
        ENGINE_TEST(the_engine_tells_what_is_durable),
        ENGINE_TEST(an_engine_that_opens_tells_again_what_happened_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
