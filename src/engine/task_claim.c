/* task_claim.c: tasks go out: what the dispatch says is next (core/dispatch.h), with its arguments.
 * An answer waits for the commit, so that nobody runs what the store does not know to run; that of
 * an early claim for the commit's write only. */
#include "engine/engine_state.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum { CLAIM_MOST = 10000, CLAIM_BYTES = 16 << 20 };

/* --- texts: offsets until the buffer is whole --- */

static struct str put_text(struct buf *texts, struct str text)
{
    size_t at = texts->len;
    buf_add_str(texts, text);
    return (struct str){(const char *)at, text.len};
}

/* What a flow's node gets has the flow around its row. */
static struct str put_arguments(const struct engine *e, struct buf *texts, int64_t task,
                                struct str arguments)
{
    size_t at = texts->len;
    if (!flow_write_arguments(e, task, arguments, texts))
        return put_text(texts, arguments);
    return (struct str){(const char *)at, texts->len - at};
}

static void settle_text(const struct buf *texts, struct str *text)
{
    text->ptr = text->len ? texts->data + (size_t)text->ptr : NULL;
}

static void settle_texts(struct task_claim *claim)
{
    for (size_t i = 0; i < claim->count; i++) {
        struct task_handed *task = &claim->tasks[i];
        struct str *const texts[] = {&task->function, &task->queue,     &task->key,    &task->batch,
                                     &task->lock,     &task->arguments, &task->options};
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++)
            settle_text(&claim->texts, texts[k]);
    }
}

/* --- taking --- */

struct handing {
    struct engine *e;
    struct task_claim *claim;
    struct task *t;
    struct tx *tx;
    int64_t bytes; /* of arguments that lie in blobs */
};

static void hand(struct handing *h, const struct task_row *row, const struct task_note *note)
{
    struct dispatch *d = h->e->tasks->dispatch;
    struct buf *texts = &h->claim->texts;
    const struct task *t = h->t;
    struct task_handed *out = &h->claim->tasks[h->claim->count++];
    *out = (struct task_handed){
        .id = t->id,
        .created_at_us = note->row.created_at_us,
        .attempt = t->attempts,
        .max_attempts = t->max_attempts,
        .fence = t->fence,
        .priority = t->priority,
        .function = put_text(texts, str_of(dispatch_function_name(d, task_function(t)))),
        .queue = put_text(texts, str_of(dispatch_queue_name(d, task_queue(t)))),
        .key = put_text(texts, task_key_name(t)),
        .batch = put_text(texts, note->leaf->batch),
        .lock = put_text(texts, task_lock_name(t)),
        .options = put_text(texts, note->row.options)};
    out->arguments = put_arguments(h->e, texts, t->id, row->arguments);
    out->arguments_blob = task_blob_ref_of(&row->arguments_blob);
    h->bytes += out->arguments_blob.bytes;
}

static bool hand_row(void *context, const struct task_row *row, struct err *err)
{
    struct handing *h = context;
    struct task_note *note = h->t->change;
    (void)err;
    if (!note)
        note = note_of_row(h->e, h->t, row);
    hand(h, row, note);
    return true;
}

/* What was just enqueued has its texts still; else they are read. */
static bool hand_one(struct handing *h, struct err *err)
{
    bool found = false;
    struct task_note *note = h->t->change;
    if (note && (note->row.arguments.ptr || note->row.arguments_blob.hash)) {
        hand(h, &note->row, note);
        return true;
    }
    if ((!h->tx && !tx_begin(h->e->store, &h->tx, err)) ||
        !task_store_read(h->tx, h->t->id, &found, hand_row, h, err))
        return false;
    return found || err_set(err, ERR_STORE, "task %" PRId64 " is not in the store", h->t->id);
}

/* It runs now: what is to be stored of that. */
static void begin_run(struct engine *e, struct task *t, struct lease *lease, int64_t answer)
{
    struct task_note *note = t->change;
    struct task_row *row = &note->row;
    row->session = lease_number(lease);
    row->started_at_us = t->run->started_at_us;
    row->aborts = false;
    note->answer = answer;
    note->told = false;
    if (row->options.ptr && !note->options) {
        note->options = xstrndup(row->options.ptr, row->options.len);
        row->options.ptr = note->options;
    }
    note_move(e, note, JOB_RUNNING);
    note_write(e, note, WRITE_START);
    note_event(e, note, "task.started");
    flow_task_started(e, t);
    steps_task_started(e, note, lease);
    lease_add(lease, t->id);
    task_watch_time(e, t, row->options);
    if (t->has_unique && row->unique_while == UNIQUE_PENDING) {
        t->has_unique = false;
        unique_map_remove(e->tasks->unique, note->unique);
    }
}

/* How many of the taken ones go out: all, or as many as fit. */
static bool hand_all(struct engine *e, struct task_claim *claim, struct task **taken, size_t count,
                     struct err *err)
{
    struct handing h = {.e = e, .claim = claim};
    int64_t most = claim->max_bytes > 0 ? claim->max_bytes : CLAIM_BYTES;
    bool ok = true;
    for (size_t i = 0; ok && i < count && (i == 0 || (int64_t)claim->texts.len + h.bytes < most);
         i++) {
        h.t = taken[i];
        ok = hand_one(&h, err);
    }
    tx_free(h.tx);
    if (ok && claim->texts.full)
        ok = err_set(err, ERR_LIMIT, "no memory for the tasks");
    return ok;
}

static struct claim_ask ask_of(const struct task_claim *claim)
{
    return (struct claim_ask){.queues = claim->queue_places,
                              .functions = claim->function_places,
                              .queue_count = claim->queue_count,
                              .function_count = claim->function_count,
                              .max = claim->max < CLAIM_MOST ? (size_t)claim->max : CLAIM_MOST};
}

bool claim_tasks(struct engine *e, struct task_claim *claim, struct lease *lease, struct err *err)
{
    struct tasks *tasks = e->tasks;
    struct claim_ask ask = ask_of(claim);
    claim->count = 0;
    claim->texts.len = 0;
    if (claim->max <= 0 || !dispatch_may_have(tasks->dispatch, &ask))
        return true;
    OWNED_MEM struct task **taken = xcalloc(ask.max, sizeof *taken);
    size_t count = dispatch_take(tasks->dispatch, &ask, lease_number(lease), e->now, taken);
    if (count == 0)
        return true;
    claim->tasks = xrealloc(claim->tasks, count * sizeof *claim->tasks);
    bool ok = hand_all(e, claim, taken, count, err);
    if (!ok)
        claim->count = 0;
    /* What did not fit goes back, last first, as if it had not been looked at. */
    for (size_t i = count; i-- > claim->count;)
        dispatch_return(tasks->dispatch, taken[i], false, 0, e->now);
    if (!ok)
        return false;
    int64_t answer = lease_count_answer(lease);
    for (size_t i = 0; i < claim->count; i++)
        begin_run(e, taken[i], lease, answer);
    claim->answer = answer;
    settle_texts(claim);
    e->stats.tasks_started += (int64_t)claim->count;
    return true;
}

/* --- the op --- */

static uint32_t *places(struct engine *e, bool of_function, const struct str *names, size_t count)
{
    if (!names)
        return NULL;
    uint32_t *out = xcalloc(count, sizeof *out);
    for (size_t i = 0; i < count; i++)
        out[i] = gate_place(e, of_function, names[i]);
    return out;
}

void task_claim_find_places(struct engine *e, struct task_claim *claim)
{
    free(claim->queue_places);
    free(claim->function_places);
    claim->queue_places = places(e, false, claim->queues, claim->queue_count);
    claim->function_places = places(e, true, claim->functions, claim->function_count);
}

/* What rates hold back of what was asked for. */
static int64_t again_us(struct engine *e, const struct task_claim *claim)
{
    if (claim->count > 0 || claim->max <= 0)
        return NEVER_US;
    struct claim_ask ask = ask_of(claim);
    int64_t opens_us = dispatch_rates_open_us(e->tasks->dispatch, &ask, e->now);
    return opens_us == NEVER_US ? NEVER_US : opens_us - e->now.mono_us;
}

void task_claim_finish(struct engine *e, struct task_claim *claim, struct lease *lease)
{
    claim->again_us = again_us(e, claim);
    memcpy(claim->token, lease_token(lease), LEASE_TOKEN_BYTES);
    claim->lease_ends_at_us = e->now.wall_us + (lease_ends_us(lease) - e->now.mono_us);
    task_session_aborts(e, lease, &claim->aborts, &claim->abort_count);
}

static struct lease *begin(struct engine *e, struct op *op)
{
    struct task_claim *claim = &op->task_claim;
    if (!claim->has_lease)
        return task_session_make(e, op, claim);
    task_waits_end_of(e, claim->token);
    struct lease *lease = task_session_find(e, op, claim->token, claim->wait_until_us);
    if (!lease || !task_session_span(e, op, lease, claim->lease_us))
        return NULL;
    if (claim->has_holds)
        task_session_recall(e, lease, claim->holds, claim->holds_count);
    return lease;
}

enum op_fate op_task_claim(struct engine *e, struct op *op)
{
    struct task_claim *claim = &op->task_claim;
    if (!tasks_are_ready(e, op, true))
        return FATE_NOW;
    struct lease *lease = begin(e, op);
    if (!lease)
        return FATE_NOW;
    memcpy(claim->token, lease_token(lease), LEASE_TOKEN_BYTES);
    task_claim_find_places(e, claim);
    task_session_asks(e, lease, claim);
    if (!claim_tasks(e, claim, lease, &op->err))
        return FATE_NOW;
    bool waits = claim->count == 0 && claim->max > 0 && claim->wait_until_us > e->now.mono_us &&
                 !atomic_load(&claim->given_up);
    if (waits && !task_session_untold(e, lease)) {
        task_claim_wait(e, op);
        return FATE_WAITS;
    }
    /* A wait that was not needed: its time begins now. */
    lease_extend(e->tasks->leases, lease, e->now.mono_us + lease_span_us(lease));
    task_claim_finish(e, claim, lease);
    return tasks_stir(&e->building) ? FATE_DURABLE : FATE_NOW;
}
