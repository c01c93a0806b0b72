/* test_schedule_store.c: schedules in the store, on every engine. */
#include "store_fixture.h"

#include "store/schedule_store.h"

#include <stdio.h>

struct heard {
    char text[1024];
};

static void hear(void *context, struct schedule_row *row)
{
    struct heard *h = context;
    const struct schedule *s = &row->spec;
    size_t len = strlen(h->text);
    snprintf(h->text + len, sizeof h->text - len,
             "%s:%s,%s,%s,%s,%s,%s,%s,%d,%d,%s,%d,%s,%s,%d%d@%d-%d %d=%d|", s->name, s->function,
             s->queue ? s->queue : "-", s->arguments ? s->arguments : "-",
             s->options ? s->options : "-", s->key ? s->key : "-", s->batch ? s->batch : "-",
             s->lock ? s->lock : "-", (int)s->priority, (int)s->max_attempts,
             s->cron ? s->cron : "-", (int)s->every_us, s->zone ? s->zone : "-",
             schedule_missed_names[s->missed], s->paused, s->pass_time, (int)row->created_at_us,
             (int)row->set_at_us, (int)row->last_at_us, (int)row->last_task_id);
    schedule_row_release(row);
}

static void assert_all(struct fixture *f, const char *expected)
{
    struct heard h = {""};
    OK(f, schedule_store_load(f->tx, hear, &h, &f->err));
    assert_string_equal(h.text, expected);
}

static const struct schedule_row by_cron = {.spec = {.name = "b",
                                                     .function = "f",
                                                     .queue = "q",
                                                     .key = "k",
                                                     .batch = "l",
                                                     .lock = "m",
                                                     .arguments = "{}",
                                                     .options = "{\"keep_s\":1}",
                                                     .priority = 3,
                                                     .max_attempts = 4,
                                                     .cron = "@daily",
                                                     .zone = "UTC",
                                                     .missed = MISSED_ALL,
                                                     .paused = true,
                                                     .pass_time = true},
                                            .created_at_us = 1,
                                            .set_at_us = 1};
static const struct schedule_row by_interval = {
    .spec = {.name = "a", .function = "g", .every_us = 5}, .created_at_us = 2, .set_at_us = 2};
#define AS_CRON "b:f,q,{},{\"keep_s\":1},k,l,m,3,4,@daily,0,UTC,all,11@1-1 0=0|"
#define AS_INTERVAL "a:g,-,-,-,-,-,-,0,0,-,5,-,skip,00@2-2 "

static void schedules_come_back_as_they_were_set_and_in_order(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    OK(f, schedule_store_put(f->tx, &by_cron, &f->err));
    OK(f, schedule_store_put(f->tx, &by_interval, &f->err));
    fixture_commit(f);
    fixture_reopen(f);
    fixture_begin(f);
    assert_all(f, AS_INTERVAL "0=0|" AS_CRON);
    fixture_roll_back(f);
}

static void setting_it_again_keeps_its_history(void **state)
{
    struct fixture *f = *state;
    struct schedule_row again = by_interval;
    again.spec.name = "b";
    again.created_at_us = again.set_at_us = 9;
    fixture_begin(f);
    OK(f, schedule_store_put(f->tx, &by_cron, &f->err));
    OK(f, schedule_store_tick(f->tx, "b", 7, 17, &f->err));
    OK(f, schedule_store_put(f->tx, &again, &f->err));
    assert_all(f, "b:g,-,-,-,-,-,-,0,0,-,5,-,skip,00@1-9 7=17|");
    fixture_commit(f);
}

static void ticks_are_noted_and_what_is_gone_is_passed_over(void **state)
{
    struct fixture *f = *state;
    fixture_begin(f);
    OK(f, schedule_store_put(f->tx, &by_interval, &f->err));
    OK(f, schedule_store_tick(f->tx, "a", 5, 6, &f->err));
    OK(f, schedule_store_tick(f->tx, "nobody", 5, 6, &f->err));
    assert_all(f, AS_INTERVAL "5=6|");
    OK(f, schedule_store_delete(f->tx, "a", &f->err));
    REFUSED(f, ERR_NOT_FOUND, schedule_store_delete(f->tx, "a", &f->err));
    assert_all(f, "");
    fixture_commit(f);
}

int main(void)
{
    const struct CMUnitTest cases[] = {
        CASE(schedules_come_back_as_they_were_set_and_in_order),
        CASE(setting_it_again_keeps_its_history),
        CASE(ticks_are_noted_and_what_is_gone_is_passed_over),
    };
    return RUN(cases);
}
