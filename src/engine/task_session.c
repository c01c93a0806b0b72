/* task_session.c: sessions of workers that take tasks: kept leases (core/lease.h), one for all
 * queues. The store has them from their first claim on; when a deadline passes, what a session held
 * has lost an attempt and waits for others. */
#include "engine/engine_state.h"

#include <assert.h>
#include <stdlib.h>

#define LEASE_USUAL_US INT64_C(10000000)
#define LEASE_LEAST_US INT64_C(1000000)
#define LEASE_MOST_US INT64_C(86400000000)

/* The place of that session, or where it belongs: they stand in the order of their numbers. */
static size_t place_of(const struct tasks *tasks, int64_t number)
{
    size_t low = 0, high = tasks->session_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (tasks->sessions[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct task_session *task_session_add(struct engine *e, int64_t number)
{
    struct tasks *tasks = e->tasks;
    assert(place_of(tasks, number) == tasks->session_count);
    if (tasks->session_count == tasks->session_cap) {
        tasks->session_cap = tasks->session_cap ? tasks->session_cap * 2 : 16;
        tasks->sessions = xrealloc(tasks->sessions, tasks->session_cap * sizeof(void *));
    }
    struct task_session *session = xcalloc(1, sizeof *session);
    session->number = number;
    return tasks->sessions[tasks->session_count++] = session;
}

struct task_session *task_session_of(struct engine *e, const struct lease *lease)
{
    const struct tasks *tasks = e->tasks;
    size_t place = place_of(tasks, lease_number(lease));
    /* Every lease has its session. */
    assert(place < tasks->session_count && tasks->sessions[place]->number == lease_number(lease));
    return tasks->sessions[place];
}

static void session_free(struct task_session *session)
{
    free(session->queues);
    free(session->functions);
    free(session);
}

void task_sessions_release(struct engine *e)
{
    struct tasks *tasks = e->tasks;
    for (size_t i = 0; i < tasks->session_count; i++)
        session_free(tasks->sessions[i]);
    free(TAKE(tasks->sessions));
    tasks->session_count = tasks->session_cap = 0;
}

static void put(struct engine *e, struct task_session *session)
{
    session->put = true;
    e->building.tasks.sessions_changed = true;
}

static bool span_of(struct op *op, int64_t asked_us, int64_t *span_us)
{
    *span_us = asked_us ? asked_us : LEASE_USUAL_US;
    if (*span_us >= LEASE_LEAST_US && *span_us <= LEASE_MOST_US)
        return true;
    op_refuse(op, REFUSED_OTHERWISE, ERR_INVALID, "a lease lasts 1 to 86400 seconds");
    return false;
}

/* When a session's time begins anew. While it waits here the worker lives. */
static int64_t begins_us(const struct engine *e, int64_t wait_until_us)
{
    bool waits = wait_until_us > e->now.mono_us && wait_until_us != NEVER_US;
    return waits ? wait_until_us : e->now.mono_us;
}

struct lease *task_session_make(struct engine *e, struct op *op, struct task_claim *claim)
{
    int64_t span_us = 0;
    if (!span_of(op, claim->lease_us, &span_us))
        return NULL;
    engine_new_token(e, claim->token);
    /* As in task_session_find. */
    int64_t from_us = begins_us(e, claim->wait_until_us);
    struct lease *lease = leases_add(e->tasks->leases, claim->token, from_us + span_us);
    lease_keep(lease, claim->worker, span_us);
    struct task_session *session = task_session_add(e, lease_number(lease));
    session->since_at_us = session->last_at_us = e->now.wall_us;
    put(e, session);
    claim->made = true;
    return lease;
}

void task_session_lives(struct engine *e, struct lease *lease, int64_t from_us)
{
    int64_t ends_us = from_us + lease_span_us(lease);
    task_session_of(e, lease)->last_at_us = e->now.wall_us;
    if (ends_us > lease_ends_us(lease))
        lease_extend(e->tasks->leases, lease, ends_us);
}

struct lease *task_session_find(struct engine *e, struct op *op,
                                const uint8_t token[LEASE_TOKEN_BYTES], int64_t wait_until_us)
{
    struct lease *lease = leases_find(e->tasks->leases, token);
    if (!lease) {
        op_refuse(op, REFUSED_LEASE_ENDED, ERR_CONFLICT,
                  "the lease has ended: its tasks run elsewhere");
        return NULL;
    }
    task_session_lives(e, lease, begins_us(e, wait_until_us));
    return lease;
}

bool task_session_span(struct engine *e, struct op *op, struct lease *lease, int64_t asked_us)
{
    int64_t span_us = 0;
    if (asked_us == 0 || asked_us == lease_span_us(lease))
        return true;
    if (!span_of(op, asked_us, &span_us))
        return false;
    lease_set_span(lease, span_us);
    put(e, task_session_of(e, lease));
    return true;
}

/* Names as one text with commas; NULL when all are meant. */
static char *joined(const struct str *names, size_t count)
{
    struct buf text;
    if (!names)
        return NULL;
    buf_init(&text, BUF_NO_CAP);
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(&text, ',');
        buf_add_str(&text, names[i]);
    }
    return buf_take(&text);
}

static bool set_text(char **to, char *text)
{
    bool same = *to && text ? strcmp(*to, text) == 0 : *to == text;
    free(same ? text : *to);
    if (!same)
        *to = text;
    return !same;
}

void task_session_asks(struct engine *e, struct lease *lease, const struct task_claim *claim)
{
    struct task_session *session = task_session_of(e, lease);
    bool queues = set_text(&session->queues, joined(claim->queues, claim->queue_count));
    bool functions = set_text(&session->functions, joined(claim->functions, claim->function_count));
    if (queues || functions)
        put(e, session);
}

/* --- what it holds --- */

static void gather(void *context, int64_t id)
{
    id_list_add(context, id);
}

/* Takes the tasks from their worker, as far as they run in that session: they are lost for the
 * reason `lost`, or given back when it is NULL. */
static void end_each(struct engine *e, const struct id_list *ids, const struct lease *lease,
                     const char *lost)
{
    for (size_t i = 0; i < ids->count; i++) {
        struct task *t = dispatch_find(e->tasks->dispatch, ids->items[i]);
        struct task_note *note =
            t && t->run && t->run->session == lease_number(lease) ? note_must(e, t) : NULL;
        if (note && lost)
            task_lose(e, note, lost);
        else if (note)
            task_give_back(e, note);
    }
}

void task_session_recall(struct engine *e, struct lease *lease, const int64_t *holds, size_t count)
{
    struct record_set known = {0};
    struct id_list back = {0};
    for (size_t i = 0; i < count; i++)
        if (holds[i] > 0 && !record_set_has(&known, holds[i]))
            record_set_add(&known, holds[i]);
    struct record_set unknown = lease_recall(lease, &known);
    record_set_each(&unknown, gather, &back);
    end_each(e, &back, lease, NULL);
    id_list_release(&back);
    record_set_release(&known);
    record_set_release(&unknown);
}

/* Ends a session with all that it holds. */
static void end_with(struct engine *e, struct lease *lease, const char *lost)
{
    struct id_list held = {0};
    lease_each(lease, gather, &held);
    end_each(e, &held, lease, lost);
    id_list_release(&held);
    task_session_end(e, lease);
}

void task_session_end(struct engine *e, struct lease *lease)
{
    struct tasks *tasks = e->tasks;
    size_t place = place_of(tasks, lease_number(lease));
    session_free(task_session_of(e, lease));
    memmove(tasks->sessions + place, tasks->sessions + place + 1,
            (--tasks->session_count - place) * sizeof *tasks->sessions);
    id_list_add(&e->building.tasks.session_deletes, lease_number(lease));
    leases_end(tasks->leases, lease);
}

void task_sessions_tick(struct engine *e)
{
    for (struct lease *lease = NULL; (lease = leases_first(e->tasks->leases));) {
        if (lease_ends_us(lease) > e->now.mono_us)
            return;
        end_with(e, lease, "its worker gave no sign of life in time");
    }
}

int64_t task_sessions_next_us(const struct engine *e)
{
    const struct lease *first = leases_first(e->tasks->leases);
    return first ? lease_ends_us(first) : NEVER_US;
}

/* --- aborts --- */

struct aborting {
    struct engine *e;
    struct task_aborted *list;
    size_t count;
};

struct untold {
    struct engine *e;
    bool any;
};

static void find_untold(void *context, int64_t id)
{
    struct untold *u = context;
    const struct task *t = dispatch_find(u->e->tasks->dispatch, id);
    const struct task_note *note = t ? t->change : NULL;
    u->any = u->any || (t && t->run && t->run->abort != ABORT_NOT && (!note || !note->told));
}

bool task_session_untold(struct engine *e, const struct lease *lease)
{
    struct untold u = {.e = e};
    if (e->tasks->aborting > 0)
        lease_each(lease, find_untold, &u);
    return u.any;
}

static void note_abort(void *context, int64_t id)
{
    struct aborting *a = context;
    struct err err;
    struct task *t = dispatch_find(a->e->tasks->dispatch, id);
    if (!t || !t->run || t->run->abort == ABORT_NOT)
        return;
    a->list = xrealloc(a->list, (a->count + 1) * sizeof *a->list);
    a->list[a->count++] = (struct task_aborted){id, t->run->abort};
    struct task_note *note = note_need(a->e, t, &err);
    if (note)
        note->told = true;
}

void task_session_aborts(struct engine *e, struct lease *lease, struct task_aborted **out,
                         size_t *count)
{
    struct aborting a = {.e = e};
    if (e->tasks->aborting > 0)
        lease_each(lease, note_abort, &a);
    free(*out);
    *out = a.list;
    *count = a.count;
}

/* --- release --- */

/* The tasks of one answer, which did not get through. */
static void give_answer_back(struct engine *e, struct lease *lease, int64_t answer)
{
    struct id_list held = {0}, back = {0};
    if (lease_was_recalled(lease, answer))
        return;
    lease_each(lease, gather, &held);
    for (size_t i = 0; i < held.count; i++) {
        const struct task *t = dispatch_find(e->tasks->dispatch, held.items[i]);
        const struct task_note *note = t ? t->change : NULL;
        if (note && note->answer == answer)
            id_list_add(&back, held.items[i]);
    }
    end_each(e, &back, lease, NULL);
    id_list_release(&held);
    id_list_release(&back);
}

enum op_fate op_task_release(struct engine *e, struct op *op)
{
    const struct op_task_release *release = &op->task_release;
    if (!tasks_are_ready(e, op, true))
        return FATE_NOW;
    struct lease *lease = task_session_find(e, op, release->token, 0);
    if (!lease)
        return FATE_NOW;
    if (release->answer > 0)
        give_answer_back(e, lease, release->answer);
    if (release->answer == 0 || release->made) {
        task_waits_end_of(e, release->token);
        OWNED_MEM char *lost =
            release->how.len ? xasprintf("its worker %.*s", (int)release->how.len, release->how.ptr)
                             : xstrdup("its worker has died");
        end_with(e, lease, release->died ? lost : NULL);
    }
    return FATE_DURABLE;
}
