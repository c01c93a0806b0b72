/* feed.c: see feed.h. Beside the stored events, a follower is shown progress: it has no id, is not
 * stored, and comes at most a few times a second for each job. */
#include "engine/feed.h"

#include "base/json.h"
#include "engine/engine_state.h"
#include "store/event_store.h"

#include <pthread.h>
#include <stdlib.h>

enum { HISTORY_PORTION = 256, PROGRESS_EVERY_US = 250000 };

struct subscription {
    pthread_mutex_t lock; /* guards text, waiting, live */
    struct buf text;
    bool waiting; /* the taker was told that there is nothing */
    bool live;    /* all history was read: events come as they happen */
    void (*wake)(void *context);
    void *context;
    /* The engine's thread only: */
    int64_t job_id; /* 0: all jobs */
    int64_t cursor; /* id of the last event in the text */
    bool trusted;   /* sees the details of jobs with a token */
};

struct subscription *subscription_new(void (*wake)(void *context), void *context)
{
    struct subscription *s = xcalloc(1, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    buf_init(&s->text, FEED_BUFFER_MAX);
    s->wake = wake;
    s->context = context;
    return s;
}

void subscription_free(struct subscription *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    buf_release(&s->text);
    free(s);
}

bool subscription_take(struct subscription *s, char *out, size_t max, size_t *len, bool *refill)
{
    pthread_mutex_lock(&s->lock);
    size_t taken = s->text.len < max ? s->text.len : max;
    if (taken) {
        memcpy(out, s->text.data, taken);
        memmove(s->text.data, s->text.data + taken, s->text.len - taken);
        s->text.len -= taken;
        s->text.full = false;
    }
    s->waiting = taken == 0;
    *refill = !s->live && s->text.len == 0;
    pthread_mutex_unlock(&s->lock);
    *len = taken;
    return taken > 0;
}

/* Appends a whole message or nothing. False when there is no room. */
static bool append(struct subscription *s, struct str message, bool live)
{
    pthread_mutex_lock(&s->lock);
    bool fits = s->text.len + message.len <= FEED_BUFFER_MAX || s->text.len == 0;
    if (fits) {
        s->text.max = message.len > FEED_BUFFER_MAX ? message.len : FEED_BUFFER_MAX;
        buf_add_str(&s->text, message);
    }
    s->live = live && fits;
    bool wake = fits && s->waiting;
    if (wake)
        s->waiting = false;
    pthread_mutex_unlock(&s->lock);
    if (wake)
        s->wake(s->context);
    return fits;
}

static void event_text(const struct event *event, bool with_detail, struct buf *out)
{
    char at[CLOCK_TEXT_SIZE];
    struct json_out o;
    clock_text(event->at_us, at);
    buf_add_text(out, "id: ");
    buf_add_i64(out, event->id);
    buf_add_text(out, "\nevent: ");
    buf_add_str(out, event->kind);
    buf_add_text(out, "\ndata: ");
    json_out_init(&o, out);
    json_out_open(&o, '{');
    json_out_name(&o, "id");
    json_out_i64(&o, event->id);
    json_out_name(&o, "at");
    json_out_text(&o, at);
    json_out_name(&o, "kind");
    json_out_str(&o, event->kind);
    json_out_name(&o, "job");
    json_out_i64(&o, event->job_id);
    json_out_name(&o, "name");
    json_out_str(&o, event->job_name);
    json_out_name(&o, "detail");
    if (with_detail && event->detail.len)
        json_out_raw(&o, event->detail);
    else
        json_out_null(&o);
    json_out_close(&o, '}');
    buf_add_text(out, "\n\n");
}

static bool is_live(struct subscription *s)
{
    pthread_mutex_lock(&s->lock);
    bool live = s->live;
    pthread_mutex_unlock(&s->lock);
    return live;
}

/* Whether everybody may see what the event tells beyond its kind. Of a job that is gone nobody
 * knows whether it had a token; tasks have none. */
static bool is_open(const struct engine *e, const struct event *event)
{
    static const char of_tasks[] = "task.";
    if (event->kind.len >= sizeof of_tasks && memcmp(event->kind.ptr, of_tasks, 5) == 0)
        return true;
    const struct data_job *job = job_table_by_id(&e->jobs, event->job_id);
    return job && !job->row.has_token;
}

static void offer(struct subscription *s, const struct event *event, struct str text)
{
    if ((s->job_id && s->job_id != event->job_id) || event->id <= s->cursor)
        return;
    if (is_live(s) && append(s, text, true))
        s->cursor = event->id;
}

void feed_publish(struct engine *e, const struct event *events, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (events[i].id > e->last_event)
            e->last_event = events[i].id;
        if (e->subscriptions.count == 0)
            continue;
        OWNED_BUF struct buf whole, bare;
        buf_init(&whole, BUF_NO_CAP);
        buf_init(&bare, BUF_NO_CAP);
        event_text(&events[i], true, &whole);
        event_text(&events[i], is_open(e, &events[i]), &bare);
        for (size_t k = 0; k < e->subscriptions.count; k++) {
            struct subscription *s = e->subscriptions.items[k];
            offer(s, &events[i], buf_str(s->trusted ? &whole : &bare));
        }
    }
}

static void progress_text(const struct data_job *job, struct instant now, struct buf *out)
{
    struct job_view view;
    struct json_out o;
    data_job_view(job, now, &view);
    const struct {
        const char *name;
        int64_t value;
    } counts[] = {{"job", view.id},          {"known", view.known},   {"served", view.served},
                  {"done", view.done},       {"failed", view.failed}, {"unread", view.unread},
                  {"written", view.written}, {"total", view.total}};
    buf_add_text(out, "event: progress\ndata: ");
    json_out_init(&o, out);
    json_out_open(&o, '{');
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        json_out_name(&o, counts[i].name);
        json_out_i64(&o, counts[i].value);
    }
    json_out_name(&o, "rate");
    json_out_double(&o, view.rate);
    json_out_name(&o, "eta_s");
    json_out_double(&o, view.eta_s);
    json_out_close(&o, '}');
    buf_add_text(out, "\n\n");
    job_view_release(&view);
}

static void show_progress(struct engine *e, struct data_job *job)
{
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    progress_text(job, e->now, &text);
    for (size_t i = 0; i < e->subscriptions.count; i++) {
        struct subscription *s = e->subscriptions.items[i];
        /* No room: skipped, the next will tell more. History must not be overtaken either. */
        if ((s->job_id == 0 || s->job_id == job->row.id) && is_live(s))
            append(s, buf_str(&text), true);
    }
}

void feed_progress(struct engine *e)
{
    e->progress_due_us = NEVER_US;
    if (e->subscriptions.count == 0)
        return;
    for (size_t i = 0; i < e->jobs.count; i++) {
        struct data_job *job = e->jobs.jobs[i];
        if (!job->progressed)
            continue;
        int64_t due = job->progress_at_us + PROGRESS_EVERY_US;
        if (due <= e->now.mono_us) {
            job->progressed = false;
            job->progress_at_us = e->now.mono_us;
            show_progress(e, job);
        } else if (due < e->progress_due_us) {
            e->progress_due_us = due;
        }
    }
}

struct filling {
    const struct engine *e;
    struct subscription *s;
    int count;
    bool full;
};

static void fill_one(void *context, const struct event *event)
{
    struct filling *f = context;
    f->count++;
    if (f->full)
        return;
    OWNED_BUF struct buf text;
    buf_init(&text, BUF_NO_CAP);
    event_text(event, f->s->trusted || is_open(f->e, event), &text);
    f->full = !append(f->s, buf_str(&text), false);
    if (!f->full)
        f->s->cursor = event->id;
}

/* Reads history into the subscription until it is full or up to date, and says so then. */
static bool fill(struct engine *e, struct subscription *s, struct err *err)
{
    for (;;) {
        struct filling f = {.e = e, .s = s};
        OWNED(tx) struct tx *tx = NULL;
        if (!tx_begin(e->store, &tx, err) ||
            !event_store_list(tx, s->job_id, s->cursor, HISTORY_PORTION, fill_one, &f, err))
            return false;
        if (f.full)
            return true;
        if (f.count < HISTORY_PORTION)
            break;
    }
    /* By a comment, which nobody need understand. Without room it is told another time. */
    append(s, STR(": present\n\n"), true);
    return true;
}

enum op_fate op_subscribe(struct engine *e, struct op *op)
{
    struct subscription *s = op->subscribe.subscription;
    bool one_job = op->job.id > 0 || op->job.name.len > 0;
    /* What the group holds is published before the reader joins, or it would be told twice. */
    if ((one_job && !op_find_job(e, op)) || !engine_flush(e, &op->err))
        return FATE_NOW;
    if (op->subscribe.after == -2)
        return fill(e, s, &op->err), FATE_NOW;
    s->job_id = one_job ? op->of->row.id : 0;
    s->trusted = one_job || op->right.trusted; /* who may follow one job may see all of it */
    /* Who comes from another state folder may name events that this one has not seen yet. */
    bool known = op->subscribe.after >= 0 && op->subscribe.after <= e->last_event;
    s->cursor = known ? op->subscribe.after : e->last_event;
    if (fill(e, s, &op->err))
        list_add(&e->subscriptions, s);
    return FATE_NOW;
}

enum op_fate op_unsubscribe(struct engine *e, struct op *op)
{
    for (size_t i = 0; i < e->subscriptions.count; i++)
        if (e->subscriptions.items[i] == op->subscribe.subscription)
            e->subscriptions.items[i--] = e->subscriptions.items[--e->subscriptions.count];
    return FATE_NOW;
}
