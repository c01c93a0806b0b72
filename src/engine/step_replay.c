/* step_replay.c: an engine that opens tells those who follow of what happened to step jobs shortly
 * before the last one ended: of that, they may have heard nothing, and whoever waits for a job has
 * nothing else to go by. */
#include "base/json.h"
#include "engine/engine_state.h"
#include "engine/step_feed.h"
#include "engine/step_state.h"
#include "store/event_store.h"

enum { LOOK_BACK = 1024 }; /* events at once */

struct replay {
    struct engine *e;
    int64_t at_us;    /* of the first event of a look */
    int64_t since_us; /* what is older was heard */
};

static void note_time(void *context, const struct event *event)
{
    ((struct replay *)context)->at_us = event->at_us;
}

static enum step_feed_kind kind_of(struct str what)
{
    if (str_is(what, "created"))
        return STEP_FEED_CREATED;
    if (str_is(what, "changed"))
        return STEP_FEED_CHANGED;
    return str_is(what, "deleted") ? STEP_FEED_DELETED : STEP_FEED_STATE;
}

static void tell(void *context, const struct event *event)
{
    static const struct str begin = {"step-job.", sizeof "step-job." - 1};
    const struct replay *r = context;
    struct str kind = event->kind, raw = {NULL, 0};
    if (event->at_us < r->since_us || kind.len <= begin.len ||
        memcmp(kind.ptr, begin.ptr, begin.len) != 0 || !json_find(event->detail, "owner", &raw))
        return;
    kind = (struct str){kind.ptr + begin.len, kind.len - begin.len};
    OWNED_MEM char *owner = json_take_text(raw);
    if (owner)
        step_feed_add(r->e->step_feed, str_of(owner), event->job_id, kind_of(kind),
                      r->e->now.mono_us);
}

bool steps_tell_again(struct engine *e, struct err *err)
{
    int64_t last = 0;
    struct replay r = {.e = e};
    OWNED(tx) struct tx *tx = NULL;
    if (e->steps->count == 0)
        return true;
    if (!tx_begin(e->store, &tx, err) || !event_store_last(tx, &last, err) ||
        !event_store_list(tx, 0, last - 1, 1, note_time, &r, err))
        return err_add(err, "tell of steps again");
    r.since_us = r.at_us - STEP_FEED_KEEP_US;
    int64_t from = last;
    while (from > 0 && r.at_us >= r.since_us && last - from < STEP_FEED_ENTRIES) {
        from -= from < LOOK_BACK ? from : LOOK_BACK;
        if (!event_store_list(tx, 0, from, 1, note_time, &r, err))
            return err_add(err, "tell of steps again");
    }
    return event_store_list(tx, 0, from, (int)(last - from), tell, &r, err) ||
           err_add(err, "tell of steps again");
}
