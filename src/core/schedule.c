/* schedule.c: see schedule.h. */
#include "core/schedule.h"

#include "base/clock.h"
#include "base/json.h"
#include "core/job.h"

#include <stdlib.h>

const char *const schedule_missed_names[MISSED_COUNT + 1] = {"skip", "once", "all", NULL};

void schedule_release(struct schedule *s)
{
    char *const texts[] = {s->name, s->function,  s->queue,   s->key,  s->batch,
                           s->lock, s->arguments, s->options, s->cron, s->zone};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free(texts[i]);
    *s = (struct schedule){0};
}

void schedule_copy(const struct schedule *from, struct schedule *out)
{
    *out = *from;
    char **const texts[] = {&out->name, &out->function,  &out->queue,   &out->key,  &out->batch,
                            &out->lock, &out->arguments, &out->options, &out->cron, &out->zone};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        *texts[i] = xstrdup_or_null(*texts[i]);
}

static bool check_name(const struct schedule *s, struct err *err)
{
    struct str name = str_of(s->name);
    if (!job_name_check(name, err))
        return err_add(err, "the schedule's name");
    return name.len <= SCHEDULE_NAME_MAX_BYTES ||
           err_set(err, ERR_INVALID, "the schedule's name has more than %d bytes",
                   SCHEDULE_NAME_MAX_BYTES);
}

bool schedule_check(const struct schedule *s, struct schedule_clock *out, struct err *err)
{
    struct schedule_clock c = {.every_us = s->every_us};
    if (!check_name(s, err))
        return false;
    if (!s->cron == (s->every_us <= 0))
        return err_set(err, ERR_INVALID, "a schedule has either cron or every_s");
    if (!s->cron && s->zone)
        return err_set(err, ERR_INVALID, "zone: goes with cron only");
    if (s->pass_time && s->arguments && json_type_of(str_of(s->arguments)) != JSON_OBJECT)
        return err_set(err, ERR_INVALID, "pass_time: the arguments are no object");
    if (s->cron && (!cron_read(str_of(s->cron), &c.cron, err) ||
                    !zone_open(s->zone ? str_of(s->zone) : STR("UTC"), &c.zone, err)))
        return false;
    *out = c;
    return true;
}

void schedule_clock_release(struct schedule_clock *c)
{
    zone_free(c->zone);
    *c = (struct schedule_clock){0};
}

int64_t schedule_next(const struct schedule_clock *c, int64_t after_us)
{
    int64_t next_us = NEVER_US;
    if (!c->zone)
        return interval_next(c->every_us, after_us);
    return cron_next(&c->cron, c->zone, after_us, &next_us) ? next_us : NEVER_US;
}

/* Whether there are more than `most` ticks after a moment, up to now. */
static bool has_more(const struct schedule_clock *c, int64_t after_us, int64_t now_us, int most)
{
    for (int i = 0; i <= most; i++) {
        after_us = schedule_next(c, after_us);
        if (after_us > now_us)
            return false;
    }
    return true;
}

int64_t schedule_clip(const struct schedule_clock *c, int64_t next_us, int64_t now_us, int most)
{
    int64_t below_us = next_us - 1, above_us = now_us;
    if (!has_more(c, below_us, now_us, most))
        return next_us;
    /* After `below` there are more, after `above` there are not; ticks are whole seconds apart. */
    while (above_us - below_us > 1000000) {
        int64_t middle_us = below_us + (above_us - below_us) / 2;
        if (has_more(c, middle_us, now_us, most))
            below_us = middle_us;
        else
            above_us = middle_us;
    }
    return schedule_next(c, above_us);
}

bool schedule_due(const struct schedule_clock *c, enum schedule_missed missed, int64_t now_us,
                  int64_t *next_us, int64_t *tick_us)
{
    bool late = *next_us < now_us - SCHEDULE_LATE_US;
    if (late && missed == MISSED_SKIP)
        *next_us = schedule_next(c, now_us - SCHEDULE_LATE_US - 1);
    if (late && missed == MISSED_ONCE)
        *next_us = schedule_clip(c, *next_us, now_us, 1);
    if (*next_us > now_us)
        return false;
    *tick_us = *next_us;
    *next_us = schedule_next(c, *tick_us);
    return true;
}
