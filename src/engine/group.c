/* group.c: the group commit, and the order of durability that the program's promise rests on:
 *
 *   1. result bytes into the sinks: large groups are synced, small ones ride (io/sink.h);
 *   2. ledger pages, committed lengths, counts and the bytes that ride in one store transaction;
 *   3. the answers; those to claims that may be told early between the write and the sync of 2.
 *
 * What 2 counts by is its commit: the transaction is put together while the disk writes what 1 has
 * given it, and waits for 1's sync before it commits.
 *
 * A small group so waits for one sync, the store's, where it would wait for two. What rides is
 * written to the file in 1 all the same, so that whoever reads it sees what was acknowledged. It is
 * settled, that is, synced into the file in 1 and dropped from the store in 2, with the job's next
 * group that is large or makes the tail too long, with the one that ends the job, and otherwise
 * within about a second.
 *
 * A group is built by applying ops, staged (copied, so that claims may go on meanwhile), committed,
 * and finished: its outcome taken in and its ops answered. Committing touches nothing but what was
 * staged and the sinks, so that a thread beside the engine's may wait for the disk.
 *
 * A crash before 2 leaves bytes behind a sink's committed length: they are cut off at the next
 * start, and their records are still unread in the ledger. Of the bytes below that length the file
 * may lack the tail, which the next start writes into it from the store; no others, for only 2
 * drops bytes from the store, and in 1 they were synced. A crash between 2 and 3 leaves a worker
 * without answer to a result that is kept: its repeat is recognised. A failure in 1 takes back one
 * job's part of the group, a failure in 2 all of it, and says so to those who asked; a failed sync
 * stops the process, for then nobody knows what the disk holds. */
#include "base/fault.h"
#include "base/log.h"
#include "engine/engine_state.h"
#include "store/event_store.h"

#include <assert.h>
#include <stdlib.h>

/* Nothing tells when a disk has room again; looked at so often, and at every op. */
#define RETRY_US INT64_C(1000000)

void engine_touch(struct engine *e, struct data_job *job)
{
    if (job->touched)
        return;
    job->touched = true;
    job->live_before = job->live;
    list_add(&e->building.touched, job);
}

static struct str keep_text(struct group *g, struct str text)
{
    char *copy = xstrndup(text.ptr ? text.ptr : "", text.len);
    list_add(&g->texts, copy);
    return (struct str){copy, text.len};
}

static void add_event(struct group *g, const struct event *event)
{
    if (g->event_count == g->event_cap) {
        g->event_cap = g->event_cap ? g->event_cap * 2 : 16;
        g->events = xrealloc(g->events, g->event_cap * sizeof *g->events);
    }
    g->events[g->event_count++] = (struct event){.at_us = event->at_us,
                                                 .job_id = event->job_id,
                                                 .job_name = keep_text(g, event->job_name),
                                                 .kind = keep_text(g, event->kind),
                                                 .detail = keep_text(g, event->detail)};
}

void engine_event(struct engine *e, const struct data_job *job, const char *kind, struct str detail)
{
    struct event event = {.at_us = e->now.wall_us,
                          .job_id = job->row.id,
                          .job_name = str_of(job->row.name),
                          .kind = str_of(kind),
                          .detail = detail};
    add_event(&e->building, &event);
}

void engine_task_event(struct engine *e, const char *kind, struct str detail)
{
    struct event event = {.at_us = e->now.wall_us, .kind = str_of(kind), .detail = detail};
    add_event(&e->building, &event);
}

void engine_step_event(struct engine *e, int64_t id, const char *name, const char *kind,
                       struct str detail)
{
    struct event event = {.at_us = e->now.wall_us,
                          .job_id = id,
                          .job_name = str_of(name),
                          .kind = str_of(kind),
                          .detail = detail};
    add_event(&e->building, &event);
}

/* A job that has ended goes on. What its owner has put behind what it wrote stays: the length of
 * all that is stored with the new state, before anything is written. */
static void take_up_output(struct engine *e, struct data_job *job)
{
    struct err err;
    bool moved = false;
    if (job->row.progress.sink_bytes < 0 || job->spec.id_key)
        return;
    /* Who writes to it will be told why not. */
    if (!data_job_need_sink(e, job, &err) || !sink_begin(job->sink, &moved, &err))
        LOG1(LOG_WARN, "output.unreachable", "reason", "%s", err.text);
}

bool engine_move(struct engine *e, struct data_job *job, enum job_verb verb, struct err *err)
{
    static const char *const events[JOB_VERB_COUNT] = {
        [JOB_START] = "job.started",      [JOB_CLAIM] = "job.running",
        [JOB_COMPLETE] = "job.completed", [JOB_FAIL] = "job.failed",
        [JOB_CANCEL] = "job.cancelled",   [JOB_REOPEN] = "job.reopened",
    };
    enum job_state before = job->row.state, after = before;
    if (!job_next_state(before, verb, &after, err))
        return err_add(err, "job %s", job->row.name);
    engine_touch(e, job);
    job->row.state = after;
    if (after == before)
        return true;
    if (verb == JOB_REOPEN && job_state_is_final(before))
        take_up_output(e, job);
    if (verb == JOB_CLAIM && !job->row.started_at_us)
        job->row.started_at_us = e->now.wall_us;
    job->row.ended_at_us = job_state_is_final(after) ? e->now.wall_us : 0;
    engine_event(e, job, events[verb], (struct str){0});
    struct log_line *line = log_begin(verb == JOB_FAIL ? LOG_WARN : LOG_INFO, events[verb]);
    log_value(line, "job", "%s", job->row.name);
    if (verb == JOB_FAIL && job->row.failure)
        log_value(line, "reason", "%s", job->row.failure);
    log_end(line);
    return true;
}

/* --- staging: the engine's thread --- */

static void stage_pages(struct data_job *job, struct staged *staged)
{
    bool keep_served = job->spec.mode == MODE_READ;
    staged->page_count = ledger_changed_count(job->ledger);
    if (staged->page_count == 0)
        return;
    staged->pages = xcalloc(staged->page_count, sizeof *staged->pages);
    ledger_changed(job->ledger, keep_served, staged->pages);
    ledger_stored(job->ledger);
}

static void stage_attempts(struct data_job *job, struct staged *staged)
{
    staged->attempt_count = job->tried_count;
    if (job->tried_count == 0)
        return;
    staged->attempts = xcalloc(job->tried_count, sizeof *staged->attempts);
    for (size_t i = 0; i < job->tried_count; i++)
        staged->attempts[i] =
            (struct attempt_row){job->tried[i], attempts_get(job->attempts, job->tried[i])};
    job->tried_count = 0;
}

/* Leaves the job a fresh buffer: the sink will borrow these lines. */
static struct buf take_lines(struct buf *lines)
{
    struct buf taken = *lines;
    buf_init(lines, taken.max);
    return taken;
}

static void stage_job(struct engine *e, struct data_job *job, struct staged *staged)
{
    *staged = (struct staged){.job = job};
    if (!order_stage(e, job, &staged->order, &staged->err))
        assert(staged->err.code != ERR_NONE);
    /* An end is told when the output holds all. */
    staged->settles = job->settles || job_state_is_final(job->row.state);
    if (staged->settles)
        tail_reach(e, job);
    data_job_update_row(job);
    staged->row = job->row;
    stage_pages(job, staged);
    stage_attempts(job, staged);
    staged->bad_lines = take_lines(&job->bad_lines);
    staged->failure_lines = take_lines(&job->failure_lines);
    for (int kind = 0; kind < NOTE_KIND_COUNT; kind++)
        staged->notes[kind] = take_lines(&job->notes[kind]);
    if ((staged->bad_lines.len || staged->failure_lines.len) &&
        !data_job_need_errors(e, job, &staged->err))
        assert(staged->err.code != ERR_NONE);
    job->touched = job->settles = false;
    job->live_staged = job->live_before;
}

bool group_stage(struct engine *e)
{
    struct group *g = &e->building;
    assert(!e->in_commit);
    /* What a failed commit has left over does not count: it would fail again at once. */
    bool stirs = g->touched.count || tasks_stir(g) || steps_stir(g) || g->stores.count ||
                 g->answers.count || (g->event_count && !e->store_failed);
    if (!stirs)
        return false;
    steps_stage(e, g);
    tasks_stage(e, g);
    g->staged_count = g->touched.count;
    g->staged = xcalloc(g->staged_count, sizeof *g->staged);
    for (size_t i = 0; i < g->staged_count; i++)
        stage_job(e, g->touched.items[i], &g->staged[i]);
    e->committing = e->building;
    e->building = (struct group){0};
    e->in_commit = true;
    return true;
}

/* --- committing: any thread, one at a time --- */

static bool add_lines(struct sink *sink, const struct buf *lines, struct err *err)
{
    for (size_t at = 0; at < lines->len;) {
        const char *end = memchr(lines->data + at, '\n', lines->len - at);
        size_t len = (size_t)(end - (lines->data + at)) + 1;
        if (!sink_add(sink, (struct str){lines->data + at, len}, err))
            return false;
        at += len;
    }
    return true;
}

/* Before the first byte of a job goes into a file, the length that the file has without it is
 * stored: only so can a restart tell what was there from what a killed process left behind. All
 * else in the row stays as it was stored: it must fit the ledger pages that are. */
static bool begin_sink(struct engine *e, struct staged *staged, struct sink *sink, struct err *err)
{
    struct data_job *job = staged->job;
    bool moved = false;
    if (!sink_begin(sink, &moved, err))
        return false;
    if (!moved)
        return true;
    struct data_progress *stored = &job->stored;
    int64_t *length = sink == job->errors ? &stored->errors_bytes : &stored->sink_bytes;
    int64_t before = *length;
    *length = sink_length(sink);
    struct job_row row = staged->row;
    row.state = job->stored_state;
    row.progress = *stored;
    const struct job_row *rows = &row;
    OWNED(tx) struct tx *tx = NULL;
    if (tx_begin(e->store, &tx, err) && job_store_save(tx, &rows, 1, err) &&
        (sink != job->sink || tail_seal(tx, job, err)) && tx_commit(tx, err)) {
        (void)FAULT("group.begun"); /* where the output begins is stored, nothing is written yet */
        return true;
    }
    *length = before;
    return false;
}

static bool write_errors(struct engine *e, struct staged *staged, struct err *err)
{
    struct sink *errors = staged->job->errors;
    if (staged->bad_lines.len == 0 && staged->failure_lines.len == 0)
        return true;
    return begin_sink(e, staged, errors, err) && add_lines(errors, &staged->bad_lines, err) &&
           add_lines(errors, &staged->failure_lines, err) && sink_write(errors, err);
}

static bool write_output(struct engine *e, struct staged *staged, struct err *err)
{
    struct sink *sink = staged->job->sink;
    if (!sink)
        return true;
    if (!sink_pending(sink))
        return !staged->settles || sink_write(sink, err);
    if (!begin_sink(e, staged, sink, err))
        return false;
    /* With ids the output itself says what is done, to whoever looks through it after a crash. */
    bool rides = !staged->settles && !staged->job->spec.id_key && sink_may_ride(sink);
    return rides ? sink_ride(sink, err) : sink_write(sink, err);
}

/* Step 1 for one job, but for the syncs. */
static void write_outputs(struct engine *e, struct staged *staged)
{
    if (staged->err.code != ERR_NONE || !write_errors(e, staged, &staged->err) ||
        !write_output(e, staged, &staged->err) || !tail_take_seal(staged, &staged->err))
        return;
    struct data_progress *p = &staged->row.progress;
    if (staged->job->sink) {
        p->sink_bytes = sink_length(staged->job->sink);
        p->tail_bytes = p->sink_bytes - sink_synced(staged->job->sink);
    }
    if (staged->job->errors)
        p->errors_bytes = sink_length(staged->job->errors);
}

static bool store_notes(struct tx *tx, const struct staged *staged, struct err *err)
{
    for (int kind = 0; kind < NOTE_KIND_COUNT; kind++)
        if (staged->notes[kind].len && !note_store_add(tx, staged->row.id, (enum note_kind)kind,
                                                       buf_str(&staged->notes[kind]), err))
            return false;
    return true;
}

/* The end of step 1. The disk has been at it since the outputs were written, while the transaction
 * was put together. */
static bool sync_outputs(const struct group *g, struct err *err)
{
    for (size_t i = 0; i < g->staged_count; i++) {
        const struct staged *staged = &g->staged[i];
        struct data_job *job = staged->job;
        if (staged->err.code != ERR_NONE)
            continue;
        if ((job->errors && !sink_sync(job->errors, err)) ||
            (job->sink && !sink_sync(job->sink, err)))
            return false;
    }
    (void)FAULT("group.written"); /* outputs are synced, the store knows nothing of it */
    return true;
}

static bool is_early(const struct op *op)
{
    return op->kind == OP_TASK_CLAIM && op->task_claim.early && op->err.code == ERR_NONE &&
           op->task_claim.count > 0;
}

static bool has_early(const struct group *g)
{
    for (size_t i = 0; i < g->answers.count; i++)
        if (is_early(g->answers.items[i]))
            return true;
    return false;
}

/* Between the write and the sync of the commit; see decisions/0008. */
static void answer_early(void *context)
{
    struct group *g = context;
    size_t kept = 0;
    for (size_t i = 0; i < g->answers.count; i++) {
        struct op *op = g->answers.items[i];
        if (is_early(op))
            op->done(op);
        else
            g->answers.items[kept++] = op;
    }
    g->answers.count = kept;
    (void)FAULT("group.early"); /* they are told, the disk has not synced */
}

/* Step 2, with the end of step 1 before its commit. */
static bool store_group(struct engine *e, struct group *g, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err))
        return false;
    for (size_t i = 0; i < g->staged_count; i++) {
        const struct staged *staged = &g->staged[i];
        const struct job_row *row = &staged->row;
        int64_t id = row->id;
        if (staged->err.code != ERR_NONE)
            continue;
        if (!job_store_save(tx, &row, 1, err) ||
            !ledger_store_save(tx, id, staged->pages, staged->page_count, err) ||
            !attempt_store_save(tx, id, staged->attempts, staged->attempt_count, err) ||
            !order_store(tx, id, &staged->order, err) || !store_notes(tx, staged, err) ||
            !tail_store(tx, staged, err))
            return false;
    }
    if (has_early(g))
        tx_on_written(tx, answer_early, g);
    return tasks_store(tx, &g->tasks, err) && steps_store(tx, g, err) &&
           store_ops_write(tx, g, err) &&
           (g->event_count == 0 || event_store_add(tx, g->events, g->event_count, err)) &&
           sync_outputs(g, err) && tx_commit(tx, err);
}

void group_commit(struct engine *e)
{
    struct group *g = &e->committing;
    if (g->staged_count == 0 && g->event_count == 0 && g->stores.count == 0 && !tasks_stir(g) &&
        !steps_stir(g))
        return;
    struct instant before = clock_now();
    for (size_t i = 0; i < g->staged_count; i++) {
        write_outputs(e, &g->staged[i]);
        if (g->staged[i].err.code == ERR_FATAL) {
            g->err = g->staged[i].err;
            return;
        }
    }
    if (store_group(e, g, &g->err))
        g->err = (struct err){0};
    e->stats.commits++;
    e->stats.sync_us += clock_now().mono_us - before.mono_us;
}

/* --- the outcome: the engine's thread --- */

static void undo_sink(struct sink *sink)
{
    struct err err;
    if (sink && !sink_undo(sink, &err))
        LOG1(LOG_WARN, "sink.not-cut", "reason", "%s", err.text);
}

/* Takes back what an op of the failed group has done, and tells it so. What a person decided
 * stands: it waits for the next group. */
static void take_back(struct engine *e, struct data_job *job, struct op *op, const struct err *why)
{
    /* Of a refused op nothing stands, but for the marks before the one that was refused. */
    if (op->err.code != ERR_NONE && op->refusal != REFUSED_ALREADY_DONE)
        return;
    if (op->kind == OP_SETTLE)
        settle_revert(e, op);
    else if (op->kind == OP_CLAIM)
        claim_revert(job, op);
    op->err = *why;
    op->refusal = REFUSED_OTHERWISE;
    op->refused_record = -1;
}

/* Last first. Then reports, which tell of what is left. */
static void take_back_all(struct engine *e, struct data_job *job, const struct err *why)
{
    const struct list *answers = &e->committing.answers;
    for (size_t i = answers->count; i-- > 0;) {
        struct op *op = answers->items[i];
        if (op->of == job && op->kind != OP_REPORT)
            take_back(e, job, op, why);
    }
    job->live.written = job->live_before.written = job->live_staged.written;
    job->live.repeats = job->live_before.repeats = job->live_staged.repeats;
    job->live.skipped = job->live_before.skipped = job->live_staged.skipped;
    job->live.retried = job->live_before.retried = job->live_staged.retried;
    for (size_t i = 0; i < answers->count; i++) {
        struct op *op = answers->items[i];
        if (op->of != job || op->kind != OP_REPORT)
            continue;
        job_view_release(&op->report.view);
        data_job_view(job, e->now, &op->report.view);
    }
}

/* What cannot be told to anybody (lines that could not be read, leases that ended) stays for the
 * next commit; so do the pages and attempts, whose bits tell of it. */
static void keep_staged(struct staged *staged)
{
    struct data_job *job = staged->job;
    buf_add_str(&staged->bad_lines, buf_str(&job->bad_lines));
    buf_release(&job->bad_lines);
    job->bad_lines = take_lines(&staged->bad_lines);
    for (size_t i = 0; i < staged->page_count; i++)
        ledger_change_page(job->ledger, staged->pages[i].number);
    for (size_t i = 0; i < staged->attempt_count; i++)
        data_job_note_tried(job, staged->attempts[i].record);
}

/* Puts a job's part of the group back to the last commit. */
static void revert_job(struct engine *e, struct staged *staged, const struct err *why)
{
    struct data_job *job = staged->job;
    job->owed = true;
    take_back_all(e, job, why);
    order_reverted(job->order, &staged->order);
    keep_staged(staged);
    /* Where a first write has begun its base length is stored, whatever became of the rest. */
    job->row.progress.sink_bytes = job->stored.sink_bytes;
    job->row.progress.tail_bytes = job->stored.tail_bytes;
    job->row.progress.errors_bytes = job->stored.errors_bytes;
    /* These wait for nothing but that the list can be written. */
    if (data_job_must_list(job)) {
        claims_end(job, why);
        settles_end(job, why);
    }
    struct log_line *line = log_begin(LOG_ERROR, "group.failed");
    log_value(line, "job", "%s", job->row.name);
    log_value(line, "reason", "%s", why->text);
    log_end(line);
    /* When it is not known what the store holds, the outputs stay as they are: the next start
     * compares. */
    if (why->code != ERR_FATAL) {
        undo_sink(job->sink);
        undo_sink(job->errors);
    }
    e->failure = *why;
    e->retry_at_us = e->now.mono_us + RETRY_US;
}

static void job_committed(struct engine *e, struct staged *staged)
{
    struct data_job *job = staged->job;
    job->row.progress.sink_bytes = staged->row.progress.sink_bytes;
    job->row.progress.tail_bytes = staged->row.progress.tail_bytes;
    job->row.progress.errors_bytes = staged->row.progress.errors_bytes;
    if (job->sink) {
        sink_commit(job->sink);
        tail_note(e, job, staged);
        if (job->feed_out)
            program_advance(job->feed_out, sink_length(job->sink));
    }
    if (job->errors)
        sink_commit(job->errors);
    order_committed(job, &staged->order);
    data_job_note_stored(job, &staged->row);
    leases_sweep(job->leases);
    job->progressed = true;
    list_add(&e->settled, job);
}

/* Ended jobs tell those who wait and close their files, once their end is durable. */
static void let_rest(struct engine *e, const struct group *g)
{
    for (size_t i = 0; i < g->ended.count; i++) {
        struct data_job *job = g->ended.items[i];
        if (!job_state_is_final(job->row.state))
            continue;
        if (job->owed) {
            list_add(&e->building.ended, job);
            continue;
        }
        claims_end(job, NULL);
        data_job_rest(job);
    }
}

static void answer(struct group *g)
{
    for (size_t i = 0; i < g->answers.count; i++) {
        struct op *op = g->answers.items[i];
        op->done(op);
    }
    (void)FAULT("group.answered");
}

void group_release(struct group *g)
{
    for (size_t i = 0; i < g->staged_count; i++) {
        order_part_release(&g->staged[i].order);
        free(g->staged[i].pages);
        free(g->staged[i].attempts);
        buf_release(&g->staged[i].bad_lines);
        buf_release(&g->staged[i].failure_lines);
        for (int kind = 0; kind < NOTE_KIND_COUNT; kind++)
            buf_release(&g->staged[i].notes[kind]);
    }
    for (size_t i = 0; i < g->texts.count; i++)
        free(g->texts.items[i]);
    free(g->staged);
    free(g->events);
    list_release(&g->texts);
    list_release(&g->touched);
    list_release(&g->answers);
    list_release(&g->ended);
    list_release(&g->stores);
    task_group_release(&g->tasks);
    step_group_release(&g->steps);
    *g = (struct group){0};
}

/* Whether an event tells of what is undone when its group fails: of tasks, flows and steps. */
static bool is_undone(struct str kind)
{
    static const char *const undone[] = {"task.", "flow.", "step", "artifact."};
    for (size_t i = 0; i < sizeof undone / sizeof *undone; i++)
        if (strncmp(kind.ptr, undone[i], strlen(undone[i])) == 0)
            return true;
    return false;
}

/* The store took nothing. Events tell of what was decided: they go with the next group. */
static void keep_events(struct engine *e, const struct group *g)
{
    for (size_t i = 0; i < g->event_count; i++)
        if (!is_undone(g->events[i].kind))
            add_event(&e->building, &g->events[i]);
    e->failure = g->err;
    e->retry_at_us = e->now.mono_us + RETRY_US;
}

void group_finish(struct engine *e)
{
    struct group *g = &e->committing;
    e->in_commit = false;
    e->store_failed = g->err.code != ERR_NONE;
    e->fatal = e->fatal || g->err.code == ERR_FATAL;
    for (size_t i = 0; i < g->staged_count; i++) {
        struct staged *staged = &g->staged[i];
        if (staged->err.code != ERR_NONE || e->store_failed)
            revert_job(e, staged, staged->err.code != ERR_NONE ? &staged->err : &g->err);
        else
            job_committed(e, staged);
    }
    if (e->store_failed) {
        tasks_failed(e, g, &g->err);
        steps_failed(e, g, &g->err);
    } else {
        tasks_committed(e, g);
        steps_committed(e, g);
    }
    answer(g);
    store_ops_finish(e, g);
    if (e->store_failed)
        keep_events(e, g);
    else
        feed_publish(e, g->events, g->event_count);
    let_rest(e, g);
    e->stats.groups++;
    group_release(g);
}

bool engine_flush(struct engine *e, struct err *err)
{
    if (group_stage(e)) {
        group_commit(e);
        group_finish(e);
    }
    if (e->fatal)
        *err = e->failure;
    return !e->fatal;
}

bool engine_store(struct engine *e, struct data_job *job, struct err *err)
{
    engine_touch(e, job);
    if (!engine_flush(e, err))
        return false;
    if (job->owed)
        *err = e->failure;
    return !job->owed;
}

void engine_retry(struct engine *e)
{
    if (e->retry_at_us > e->now.mono_us)
        return;
    e->retry_at_us = NEVER_US;
    e->store_failed = false;
    for (size_t i = 0; i < e->jobs.count; i++)
        if (e->jobs.jobs[i]->owed)
            engine_touch(e, e->jobs.jobs[i]);
}
