/* Events on their way to those who follow them: live, from history, and behind. feed.c. */
#include "engine_temp.h"

#include "engine/feed.h"

struct follower {
    struct subscription *s;
    int wakes;
    char text[2 * FEED_BUFFER_MAX];
    size_t len;
};

static void woken(void *context)
{
    struct follower *f = context;
    f->wakes++;
}

static void ask_to_follow(struct bench *b, struct follower *f, const char *job, int64_t after,
                          struct op *op)
{
    prepare(op, OP_SUBSCRIBE, job);
    op->subscribe.subscription = f->s;
    op->subscribe.after = after;
    ask(b, op);
}

static struct follower *follow(struct bench *b, const char *job, int64_t after)
{
    struct follower *f = xcalloc(1, sizeof *f);
    struct op op;
    f->s = subscription_new(woken, f);
    ask_to_follow(b, f, job, after, &op);
    assert_went_well(&op);
    return f;
}

static void unfollow(struct bench *b, struct follower *f)
{
    struct op op;
    prepare(&op, OP_UNSUBSCRIBE, "");
    op.subscribe.subscription = f->s;
    ask(b, &op);
    assert_went_well(&op);
    subscription_free(f->s);
    free(f);
}

/* What is said when all history was told. */
#define PRESENT ": present\n\n"

/* Takes all there is, as a connection would: reading on when it is told to. */
static const char *take(struct bench *b, struct follower *f)
{
    f->len = 0;
    for (bool any = true, refill = true; any || refill;) {
        size_t len = 0;
        any = subscription_take(f->s, f->text + f->len, sizeof f->text - 1 - f->len, &len, &refill);
        assert_int_equal(any, len > 0);
        f->len += len;
        if (refill) {
            struct op op;
            ask_to_follow(b, f, "", -2, &op);
            assert_went_well(&op);
        }
    }
    f->text[f->len] = '\0';
    return f->text;
}

static int count_of(const char *text, const char *part)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at++)
        count++;
    return count;
}

static void a_follower_is_told_as_it_happens(void **state)
{
    struct bench *b = *state;
    struct follower *f = follow(b, "", -1);
    assert_string_equal(take(b, f), PRESENT);
    put_lines(b, "data/in.jsonl", 0, 1);
    start(b, "job");
    assert_int_equal(f->wakes, 1);
    const char *text = take(b, f);
    assert_int_equal(count_of(text, "event: job.created\n"), 1);
    assert_non_null(strstr(text, "id: 1\n"));
    assert_non_null(strstr(text, "\"name\":\"job\""));
    assert_non_null(strstr(text, "\"detail\":{\"mode\":\"read-write\""));
    assert_string_equal(text + strlen(text) - 2, "\n\n");
    claim(b, 1);
    settle(b, 0, 1);
    claim(b, 1);
    text = take(b, f);
    assert_int_equal(count_of(text, "event: job.running\n"), 1);
    assert_int_equal(count_of(text, "event: job.completed\n"), 1);
    unfollow(b, f);
    control(b, "job", CONTROL_DELETE);
}

static void history_is_told_from_where_it_was_cut(void **state)
{
    struct bench *b = *state;
    put_lines(b, "data/in.jsonl", 0, 1);
    start(b, "job");
    for (int i = 0; i < 600; i++) /* more than one portion */
        control(b, "job", i % 2 ? CONTROL_RESUME : CONTROL_PAUSE);
    reopen_engine(b);
    struct follower *f = follow(b, "", 0);
    const char *text = take(b, f);
    assert_int_equal(count_of(text, "id: "), 601);
    assert_int_equal(count_of(text, "event: job.paused\n"), 300);
    unfollow(b, f);
    f = follow(b, "job", 598);
    text = take(b, f);
    assert_int_equal(count_of(text, "id: "), 3);
    assert_non_null(strstr(text, "id: 599\n"));
    /* And goes on live, each told once. */
    control(b, "job", CONTROL_PAUSE);
    text = take(b, f);
    assert_int_equal(count_of(text, "id: "), 1);
    assert_non_null(strstr(text, "id: 602\n"));
    unfollow(b, f);
}

static void a_number_nobody_has_given_yet_means_from_now_on(void **state)
{
    struct bench *b = *state;
    put_lines(b, "data/in.jsonl", 0, 1);
    start(b, "job");
    struct follower *f = follow(b, "", 1000000);
    assert_string_equal(take(b, f), PRESENT);
    control(b, "job", CONTROL_PAUSE);
    assert_int_equal(count_of(take(b, f), "event: job.paused\n"), 1);
    unfollow(b, f);
}

static void the_follower_of_one_job_hears_of_that_alone(void **state)
{
    struct bench *b = *state;
    put_lines(b, "data/in.jsonl", 0, 1);
    start(b, "job");
    struct follower *f = follow(b, "job", -1);
    free(b->spec.sink_path);
    b->spec.sink_path = xstrdup("other.jsonl");
    start(b, "other");
    control(b, "other", CONTROL_PAUSE);
    assert_string_equal(take(b, f), PRESENT);
    control(b, "job", CONTROL_PAUSE);
    assert_int_equal(count_of(take(b, f), "id: "), 1);
    unfollow(b, f);
    struct op op;
    struct subscription *s = subscription_new(woken, NULL);
    prepare(&op, OP_SUBSCRIBE, "nobody");
    op.subscribe.subscription = s;
    ask(b, &op);
    assert_refused(&op, REFUSED_JOB_UNKNOWN, ERR_NOT_FOUND, "nobody");
    subscription_free(s);
}

static void a_subscription_joins_after_the_group_it_came_with(void **state)
{
    struct bench *b = *state;
    struct follower *f = xcalloc(1, sizeof *f);
    struct op make, op;
    put_lines(b, "data/in.jsonl", 0, 1);
    f->s = subscription_new(woken, f);
    prepare_start(b, &make, "job");
    prepare(&op, OP_SUBSCRIBE, "");
    op.subscribe.subscription = f->s;
    op.subscribe.after = 0;
    assert_true(STEP(b, &make, &op));
    assert_went_well(&op);
    assert_int_equal(count_of(take(b, f), "id: 1\n"), 1);
    unfollow(b, f);
}

/* A reader that does not read costs a bounded buffer, misses nothing, and is told nothing twice. */
static void a_slow_reader_goes_back_to_history(void **state)
{
    enum { EVENTS = 4000 };
    struct bench *b = *state;
    put_lines(b, "data/in.jsonl", 0, 1);
    start(b, "job");
    struct follower *f = follow(b, "", -1);
    assert_string_equal(take(b, f), PRESENT);
    for (int i = 0; i < EVENTS; i++)
        control(b, "job", i % 2 ? CONTROL_RESUME : CONTROL_PAUSE);
    int seen = 0;
    int64_t last = 1;
    for (bool any = true, refill = true; any || refill;) {
        size_t len = 0;
        any = subscription_take(f->s, f->text, FEED_BUFFER_MAX, &len, &refill);
        assert_true(len <= FEED_BUFFER_MAX);
        f->text[len] = '\0';
        for (const char *at = f->text; (at = strstr(at, "id: ")); at++, seen++) {
            int64_t id = strtoll(at + 4, NULL, 10);
            assert_int_equal(id, last + 1);
            last = id;
        }
        if (refill) {
            struct op op;
            ask_to_follow(b, f, "", -2, &op);
            assert_went_well(&op);
        }
    }
    assert_int_equal(seen, EVENTS);
    control(b, "job", CONTROL_PAUSE);
    assert_int_equal(count_of(take(b, f), "id: "), 1);
    unfollow(b, f);
}

static void progress_is_shown_a_few_times_a_second(void **state)
{
    struct bench *b = *state;
    start_lines(b, 50);
    struct follower *f = follow(b, "job", -1);
    take(b, f);
    assert_int_equal(claim(b, 50), 50);
    take(b, f);
    for (int i = 0; i < 20; i++)
        settle(b, i, 1);
    const char *text = take(b, f);
    assert_int_equal(count_of(text, "event: progress\n"), 0); /* the claim was shown just now */
    int64_t next = engine_next_us(b->engine);
    assert_true(next <= b->now.mono_us + SECOND_US / 4);
    pass_time(b, next - b->now.mono_us);
    text = take(b, f);
    assert_int_equal(count_of(text, "event: progress\n"), 1);
    assert_non_null(strstr(text, "\"done\":20,"));
    assert_null(strstr(text, "id: "));
    pass_time(b, SECOND_US); /* the results are settled, which is shown too */
    pass_time(b, SECOND_US);
    assert_true(engine_next_us(b->engine) == NEVER_US);
    unfollow(b, f);
    settle(b, 20, 1);
    pass_time(b, SECOND_US);
    assert_true(engine_next_us(b->engine) == NEVER_US); /* nobody is to be shown anything */
}

static void events_of_a_failed_commit_are_told_when_they_are_stored(void **state)
{
    struct bench *b = *state;
    struct op op;
    start_lines(b, 1);
    struct follower *f = follow(b, "", -1);
    take(b, f);
    plan_fault("store.commit:1:full");
    control_op(b, &op, "job", CONTROL_PAUSE);
    no_faults();
    assert_string_equal(take(b, f), "");
    pass_time(b, 10 * SECOND_US);
    assert_int_equal(count_of(take(b, f), "event: job.paused\n"), 1);
    unfollow(b, f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ENGINE_TEST(a_follower_is_told_as_it_happens),
        ENGINE_TEST(history_is_told_from_where_it_was_cut),
        ENGINE_TEST(a_number_nobody_has_given_yet_means_from_now_on),
        ENGINE_TEST(the_follower_of_one_job_hears_of_that_alone),
        ENGINE_TEST(a_subscription_joins_after_the_group_it_came_with),
        ENGINE_TEST(a_slow_reader_goes_back_to_history),
        ENGINE_TEST(progress_is_shown_a_few_times_a_second),
        ENGINE_TEST(events_of_a_failed_commit_are_told_when_they_are_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
