/* pinexq_events.c: see pinexq_events.h. Each stream reads on in the engine's feed (step_feed.h)
 * from its own place, and makes links of the root that its client called us by: the client compares
 * them with those of its documents, letter by letter.
 *
 * What the client forces on us: its thread ends for good on any answer but this one, on a chunked
 * body that breaks off, on 5 s of silence; and it needs events with empty data to notice its own
 * end. So the stream is bare bytes until the connection is reset (reply_stream_bare). */
#include "http/pinexq/pinexq_events.h"

#include "engine/engine.h"
#include "engine/step_feed.h"
#include "engine/step_runs.h"
#include "http/pinexq/pinexq.h"

#include <stdlib.h>

#define KEEP_ALIVE_US INT64_C(2000000)
#define KEEP_ALIVE "data:\n\n"

/* An event is these around the kind and the UUID: */
static const char event_begin[] = "data: {\"EventType\":\"";
static const char event_type_end[] = "\",\"ResourceType\":\"Job\",\"ResourceLink\":\"";
static const char event_end[] = "\"}\n\n";
static const char *const event_types[] = {
    [STEP_FEED_CREATED] = "JobCreated",
    [STEP_FEED_CHANGED] = "JobChanged",
    [STEP_FEED_STATE] = "JobStateChanged",
    [STEP_FEED_DELETED] = "JobDeleted",
};
enum { TYPE_MAX = sizeof "JobStateChanged" - 1, ENTRIES_AT_ONCE = 64 };

struct stream {
    struct step_runs *runs;
    int64_t job, fence; /* it was opened by that run, and ends with it; 0 */
    struct step_follower *follower;
    struct waker *waker;
    struct buf before; /* event_type_end, the root and the path of jobs */
};

static void stream_free(struct stream *s)
{
    /* It wakes nobody from here on. */
    step_follower_free(s->follower);
    waker_free(s->waker);
    buf_release(&s->before);
    free(s);
}

static void stream_end(void *context)
{
    stream_free(context);
}

static size_t event_max(const struct stream *s)
{
    return sizeof event_begin + TYPE_MAX + s->before.len + PINEXQ_UUID_CHARS + sizeof event_end;
}

static char *put(char *to, const char *text, size_t len)
{
    memcpy(to, text, len);
    return to + len;
}

static char *put_event(const struct stream *s, char *to, const struct step_feed_entry *entry)
{
    char uuid[PINEXQ_UUID_CHARS + 1];
    const char *type = event_types[entry->kind];
    pinexq_uuid_write(entry->job, uuid);
    to = put(to, event_begin, sizeof event_begin - 1);
    to = put(to, type, strlen(type));
    to = put(to, s->before.data, s->before.len);
    to = put(to, uuid, PINEXQ_UUID_CHARS);
    return put(to, event_end, sizeof event_end - 1);
}

static ssize_t stream_take(void *context, char *out, size_t max)
{
    struct stream *s = context;
    struct step_feed_entry entries[ENTRIES_AT_ONCE];
    char *to = out;
    size_t count = 0, room = 0;
    /* Who is reset comes again, and is refused then. */
    if (s->job && !step_runs_has(s->runs, s->job, s->fence))
        return -2;
    do {
        room = (max - (size_t)(to - out)) / event_max(s);
        if (room > ENTRIES_AT_ONCE)
            room = ENTRIES_AT_ONCE;
        /* Who has fallen behind comes anew, and is told the last of each job then. */
        if (!step_follower_take(s->follower, entries, room, &count))
            return -2;
        for (size_t i = 0; i < count; i++)
            to = put_event(s, to, &entries[i]);
    } while (count > 0 && count == room);
    return to - out;
}

/* What stands between the event's type and the job's UUID. */
static bool make_before(struct request *req, struct buf *out, struct err *err)
{
    static const struct pinexq_href any = {.kind = PINEXQ_JOB, .id = 1};
    struct str root;
    if (!pinexq_root(req, &root, err))
        return false;
    buf_add_text(out, event_type_end);
    pinexq_href_write(out, root, &any);
    if (out->full)
        return err_set(err, ERR_BUSY, "memory is out");
    out->len -= PINEXQ_UUID_CHARS;
    return true;
}

bool pinexq_events(struct request *req, struct reply *reply, struct err *err)
{
    struct step_asker by;
    OWNED_BUF struct buf before;
    buf_init(&before, 4 << 10);
    if (!make_before(req, &before, err))
        return false;
    struct stream *s = xcalloc(1, sizeof *s);
    s->before = before;
    buf_init(&before, 0);
    s->waker = waker_new(req);
    request_step_asker(req, &by);
    s->runs = engine_step_runs(request_engine(req));
    s->job = by.job;
    s->fence = by.fence;
    s->follower = step_feed_follow(engine_step_feed(request_engine(req)), by.owner,
                                   request_at(req).mono_us, waker_wake, s->waker);
    reply_content_type(reply, "text/event-stream");
    reply_header(reply, "Cache-Control", "no-store");
    /* Proxies are to pass events on as they come. */
    reply_header(reply, "X-Accel-Buffering", "no");
    reply_stream(reply, stream_take, stream_end, s);
    reply_stream_bare(reply, KEEP_ALIVE, KEEP_ALIVE_US);
    return true;
}

void pinexq_job_was_read(const struct request *req, const struct step_job *job)
{
    if (job->state == JOB_FAILED || job->state == JOB_CANCELLED)
        step_feed_repeat(engine_step_feed(request_engine(req)), str_of(job->owner), job->id,
                         clock_now().mono_us);
}
