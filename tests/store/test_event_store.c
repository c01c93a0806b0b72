/* test_event_store.c: the history in the store, on every engine. */
#include "store_fixture.h"

struct seen_events {
    int64_t ids[64], jobs[64];
    size_t count;
};

static void see_event(void *context, const struct event *event)
{
    struct seen_events *seen = context;
    assert_true(seen->count < 64);
    seen->ids[seen->count] = event->id;
    seen->jobs[seen->count++] = event->job_id;
}

/* Adds `count` events, of the jobs 1 and 2 in turns; the id of the last. */
static int64_t add_events(struct fixture *f, int count)
{
    struct event events[64] = {0};
    for (int i = 0; i < count; i++)
        events[i] = (struct event){.job_id = 1 + i % 2, .kind = STR("lease.ended")};
    OK(f, event_store_add(f->tx, events, (size_t)count, &f->err));
    for (int i = 1; i < count; i++)
        assert_true(events[i].id > events[i - 1].id);
    return events[count - 1].id;
}

static void same_event(void *context, const struct event *event)
{
    const struct event *want = context;
    assert_int_equal(event->id, want->id);
    assert_int_equal(event->at_us, want->at_us);
    assert_int_equal(event->job_id, want->job_id);
    assert_true(str_eq(event->job_name, want->job_name));
    assert_true(str_eq(event->kind, want->kind));
    assert_true(str_eq(event->detail, want->detail));
}

static void an_event_comes_back_as_it_was(void **state)
{
    struct fixture *f = *state;
    struct event event = {.at_us = INT64_C(1800000000000000),
                          .job_id = 77,
                          .job_name = STR("größe 表"),
                          .kind = STR("job.failed"),
                          .detail = STR("{\"reason\":\"\\u0000\"}")};
    fixture_begin(f);
    OK(f, event_store_add(f->tx, &event, 1, &f->err));
    fixture_commit(f);
    fixture_begin(f);
    OK(f, event_store_list(f->tx, 77, 0, 10, same_event, &event, &f->err));
    struct event empty = {.job_id = 78};
    OK(f, event_store_add(f->tx, &empty, 1, &f->err));
    OK(f, event_store_list(f->tx, 78, 0, 10, same_event, &empty, &f->err));
    fixture_roll_back(f);
}

static void events_are_listed_in_order_after_an_id_up_to_a_limit(void **state)
{
    struct fixture *f = *state;
    struct seen_events all = {0}, rest = {0}, of_job = {0}, none = {0};
    fixture_begin(f);
    add_events(f, 10);
    fixture_commit(f);
    fixture_begin(f);
    add_events(f, 10);
    OK(f, event_store_list(f->tx, 0, 0, 64, see_event, &all, &f->err));
    assert_int_equal(all.count, 20);
    for (size_t i = 1; i < all.count; i++)
        assert_true(all.ids[i] > all.ids[i - 1]);
    OK(f, event_store_list(f->tx, 0, all.ids[4], 7, see_event, &rest, &f->err));
    assert_int_equal(rest.count, 7);
    assert_memory_equal(rest.ids, all.ids + 5, 7 * sizeof *all.ids);
    OK(f, event_store_list(f->tx, 2, all.ids[3], 5, see_event, &of_job, &f->err));
    assert_int_equal(of_job.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(of_job.jobs[i], 2);
        assert_int_equal(of_job.ids[i], all.ids[5 + 2 * i]);
    }
    OK(f, event_store_list(f->tx, 0, all.ids[19], 64, see_event, &none, &f->err));
    OK(f, event_store_list(f->tx, 3, 0, 64, see_event, &none, &f->err));
    assert_int_equal(none.count, 0);
    fixture_commit(f);
}

static void the_last_event_is_zero_when_there_is_none(void **state)
{
    struct fixture *f = *state;
    int64_t last = -1;
    fixture_begin(f);
    OK(f, event_store_last(f->tx, &last, &f->err));
    assert_int_equal(last, 0);
    int64_t want = add_events(f, 3);
    OK(f, event_store_last(f->tx, &last, &f->err));
    assert_int_equal(last, want);
    fixture_roll_back(f);
}

static void trimming_keeps_the_newest(void **state)
{
    struct fixture *f = *state;
    struct seen_events before = {0}, after = {0};
    fixture_begin(f);
    OK(f, event_store_trim(f->tx, 5, &f->err)); /* of none */
    add_events(f, 20);
    OK(f, event_store_list(f->tx, 0, 0, 64, see_event, &before, &f->err));
    OK(f, event_store_trim(f->tx, 20, &f->err));
    assert_int_equal(fixture_count_events(f), 20);
    OK(f, event_store_trim(f->tx, 6, &f->err));
    OK(f, event_store_list(f->tx, 0, 0, 64, see_event, &after, &f->err));
    assert_int_equal(after.count, 6);
    assert_memory_equal(after.ids, before.ids + 14, 6 * sizeof *after.ids);
    fixture_commit(f);
}

static void ids_of_events_are_never_given_twice(void **state)
{
    struct fixture *f = *state;
    int64_t last = 0;
    for (int round = 0; round < 3; round++) {
        fixture_begin(f);
        struct event event = {.job_id = 1};
        OK(f, event_store_add(f->tx, &event, 1, &f->err));
        assert_true(event.id > last);
        last = add_events(f, 5);
        OK(f, event_store_trim(f->tx, 0, &f->err));
        assert_int_equal(fixture_count_events(f), 0);
        fixture_commit(f);
        fixture_reopen(f);
    }
}

int main(void)
{
    static const struct CMUnitTest cases[] = {
        CASE(an_event_comes_back_as_it_was),
        CASE(events_are_listed_in_order_after_an_id_up_to_a_limit),
        CASE(the_last_event_is_zero_when_there_is_none),
        CASE(trimming_keeps_the_newest),
        CASE(ids_of_events_are_never_given_twice),
    };
    return RUN(cases);
}
