/* engine.c: opening, and the step: every op found is applied, then the group is made durable, then
 * all are answered; what follows (completions, claims that waited) makes further groups until
 * nothing stirs. */
#include "engine/engine.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/log.h"
#include "engine/engine_state.h"
#include "store/event_store.h"
#include "store/ledger_store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    EVENTS_KEPT = 100000,
    LARGE_COMMIT =
        64 << 10 /* bytes of results: from about here on writing takes longer than a wake-up */
};

void list_add(struct list *l, void *item)
{
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 16;
        l->items = xrealloc(l->items, l->cap * sizeof *l->items);
    }
    l->items[l->count++] = item;
}

void list_release(struct list *l)
{
    free(l->items);
    *l = (struct list){0};
}

static void list_drop(struct list *l, const void *item)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i] != item)
            l->items[kept++] = l->items[i];
    l->count = kept;
}

void op_init(struct op *op, enum op_kind kind)
{
    memset(op, 0, sizeof *op);
    op->kind = kind;
    op->refused_record = -1;
    if (kind == OP_CLAIM)
        buf_init(&op->claim.records, BUF_NO_CAP);
    if (kind == OP_DOCTOR)
        buf_init(&op->doctor.findings, BUF_NO_CAP);
}

void job_view_release(struct job_view *view)
{
    free(view->name);
    free(view->failure);
    free(view->errors_path);
    free(view->tail);
    data_spec_release(&view->spec);
    *view = (struct job_view){0};
}

void op_release(struct op *op)
{
    switch (op->kind) {
    case OP_CLAIM:
        buf_release(&op->claim.records);
        break;
    case OP_REPORT:
        job_view_release(&op->report.view);
        break;
    case OP_LIST:
        for (size_t i = 0; i < op->list.count; i++)
            job_view_release(&op->list.views[i]);
        free(op->list.views);
        break;
    case OP_KEYS:
        for (size_t i = 0; i < op->keys.count; i++) {
            free(op->keys.keys[i].name);
            free(op->keys.keys[i].scopes);
        }
        free(op->keys.keys);
        break;
    case OP_STATS:
        for (size_t i = 0; i < op->stats.finished_count; i++)
            free(op->stats.finished[i]);
        free(op->stats.finished);
        break;
    case OP_DOCTOR:
        buf_release(&op->doctor.findings);
        break;
    default:
        break;
    }
    op_init(op, op->kind);
}

enum op_fate op_refuse(struct op *op, enum op_refusal refusal, enum err_code code,
                       const char *format, ...)
{
    char text[sizeof op->err.text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    op->refusal = refusal;
    err_set(&op->err, code, "%s", text);
    return FATE_NOW;
}

bool op_find_job(struct engine *e, struct op *op)
{
    struct data_job *job = op->job.id > 0 ? job_table_by_id(&e->jobs, op->job.id)
                                          : job_table_by_name(&e->jobs, op->job.name);
    if (!job) {
        if (op->job.id > 0)
            op_refuse(op, REFUSED_JOB_UNKNOWN, ERR_NOT_FOUND, "there is no job %lld",
                      (long long)op->job.id);
        else
            op_refuse(op, REFUSED_JOB_UNKNOWN, ERR_NOT_FOUND, "there is no job named %.*s",
                      (int)(op->job.name.len > 200 ? 200 : op->job.name.len), op->job.name.ptr);
        return false;
    }
    /* Counts are nobody's secret on the Planchet surface; whoever reports decides before asking. */
    if (op->kind != OP_REPORT && !data_job_allows(job, &op->right)) {
        op_refuse(op, REFUSED_TOKEN, ERR_FORBIDDEN, "job %s needs its token", job->row.name);
        return false;
    }
    op->of = job;
    /* Whoever does something with it is told when it still cannot be stored. */
    if (job->owed && op->kind != OP_REPORT)
        engine_touch(e, job);
    return true;
}

void engine_activate(struct engine *e, struct data_job *job)
{
    if (job->active)
        return;
    job->active = true;
    list_add(&e->active, job);
}

void engine_forget_job(struct engine *e, struct data_job *job)
{
    list_drop(&e->building.touched, job);
    list_drop(&e->active, job);
    list_drop(&e->building.ended, job);
    list_drop(&e->settled, job);
    for (size_t i = 0; i < e->building.answers.count; i++) {
        struct op *op = e->building.answers.items[i];
        if (op->of == job)
            op->of = NULL;
    }
    if (job->spec.source_format == FORMAT_PROGRAM || job->spec.sink_format == FORMAT_PROGRAM)
        e->programs--;
    job_table_remove(&e->jobs, job);
    data_job_rest(job);
    engine_remove_spools(e, job);
    data_job_free(job);
}

/* The state folder belongs to one process. */
static bool lock_state(struct engine *e, struct err *err)
{
    e->lock_fd = openat(e->state_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (e->lock_fd < 0)
        return err_errno(err, errno, "lock of %s", e->state_dir);
    char owner[32] = "";
    if (flock(e->lock_fd, LOCK_EX | LOCK_NB)) {
        ssize_t got = pread(e->lock_fd, owner, sizeof owner - 1, 0);
        return err_set(err, ERR_BUSY, "the state folder %s is in use by process %.*s", e->state_dir,
                       got > 0 ? (int)strcspn(owner, "\n") : 1, got > 0 ? owner : "?");
    }
    int len = snprintf(owner, sizeof owner, "%ld\n", (long)getpid());
    return file_cut(e->lock_fd, 0, "lock", err) &&
           file_write_at(e->lock_fd, 0, owner, (size_t)len, "lock", err);
}

/* The key under which tokens are hashed: made once, in a file only we can read. */
static bool read_secret(struct engine *e, struct err *err)
{
    OWNED_FD int fd = openat(e->state_fd, "secret", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    size_t got = 0;
    if (fd < 0)
        return err_errno(err, errno, "secret of %s", e->state_dir);
    if (!file_read_at(fd, 0, e->secret, sizeof e->secret, &got, "secret", err))
        return false;
    if (got == sizeof e->secret)
        return true;
    if (got > 0)
        return err_set(
            err, ERR_STORE,
            "the secret of %s is damaged: put back a copy, or remove it if all tokens and "
            "keys may become void",
            e->state_dir);
    /* It is there before the store is. */
    if (faccessat(e->state_fd, "penstock.db", F_OK, 0) == 0)
        LOG1(LOG_WARN, "secret.made-anew", "reason", "%s",
             "it was missing: tokens and keys given before open nothing");
    random_bytes(e->secret, sizeof e->secret);
    return file_write_at(fd, 0, e->secret, sizeof e->secret, "secret", err) &&
           file_sync(fd, "secret", err) && file_sync_dir(e->state_fd, "secret", err);
}

static bool open_state(struct engine *e, struct err *err)
{
    if (mkdir(e->options.state_dir, 0700) && errno != EEXIST)
        return err_errno(err, errno, "make the state folder %s", e->options.state_dir);
    e->state_fd = open(e->options.state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (e->state_fd < 0)
        return err_errno(err, errno, "open the state folder %s", e->options.state_dir);
    e->state_dir = realpath(e->options.state_dir, NULL);
    if (!e->state_dir)
        return err_errno(err, errno, "open the state folder %s", e->options.state_dir);
    e->state_folders = folders_new();
    return folders_add(e->state_folders, e->state_dir, err) && lock_state(e, err) &&
           read_secret(e, err) && store_open(e->state_fd, e->state_dir, &e->store, err);
}

static bool load_row(void *context, struct job_row *row, struct err *err)
{
    return engine_load_job(context, row, err);
}

static bool load_page(void *context, const struct ledger_page *page, struct err *err)
{
    struct data_job *job = context;
    return ledger_load_page(job->ledger, page) ||
           err_set(err, ERR_STORE,
                   "ledger page %lld of job %s is damaged: restore the state folder",
                   (long long)page->number, job->row.name);
}

static bool load_attempt(void *context, const struct attempt_row *row, struct err *err)
{
    struct data_job *job = context;
    (void)err;
    attempts_set(job->attempts, row->record, row->attempts);
    return true;
}

static bool load_ledger(struct tx *tx, struct data_job *job, struct err *err)
{
    if (!ledger_store_load(tx, job->row.id, load_page, job, err) ||
        !attempt_store_load(tx, job->row.id, load_attempt, job, err))
        return false;
    if (!ledger_load_known(job->ledger, job->row.progress.known))
        return err_set(err, ERR_STORE, "the ledger of job %s is damaged: restore the state folder",
                       job->row.name);
    return true;
}

static bool load_jobs(struct engine *e, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err) || !job_store_load(tx, load_row, e, err) ||
        !event_store_last(tx, &e->last_event, err) || !event_store_trim(tx, EVENTS_KEPT, err))
        return false;
    for (size_t i = 0; i < e->jobs.count; i++)
        if (!load_ledger(tx, e->jobs.jobs[i], err))
            return false;
    return tx_commit(tx, err);
}

/* Outputs of jobs that go on are cut back now, so that what a reader of the file sees is only what
 * was acknowledged; a job whose output cannot be opened says so and waits for it. */
static void recover_job(struct engine *e, struct data_job *job)
{
    struct err err = {0};
    if (job_state_is_final(job->row.state))
        return;
    bool ok = job->row.progress.sink_bytes < 0 || data_job_need_sink(e, job, &err);
    ok = ok && (job->row.progress.errors_bytes < 0 || data_job_need_errors(e, job, &err));
    ok = ok && data_job_need_programs(e, job, &err);
    if (ok) {
        claims_look_for_end(e, job);
        return;
    }
    struct log_line *line = log_begin(LOG_WARN, "job.not-recovered");
    log_value(line, "job", "%s", job->row.name);
    log_value(line, "reason", "%s", err.text);
    log_end(line);
}

bool engine_open(const struct engine_options *options, struct instant now, struct engine **out,
                 struct err *err)
{
    if (sodium_init() < 0)
        return err_set(err, ERR_INTERNAL, "libsodium does not start");
    OWNED(engine) struct engine *e = xcalloc(1, sizeof *e);
    e->options = *options;
    e->state_fd = e->lock_fd = e->watch_fd = -1;
    e->now = now;
    e->started_at_us = now.wall_us;
    e->progress_due_us = e->retry_at_us = NEVER_US;
    rng_init(&e->rng, options->seed);
    if (!open_state(e, err) || !load_jobs(e, err))
        return false;
    for (size_t i = 0; i < e->jobs.count; i++)
        recover_job(e, e->jobs.jobs[i]);
    *out = TAKE(e);
    return true;
}

void engine_end_waits(struct engine *e)
{
    struct err gone;
    err_set(&gone, ERR_BUSY, "the server is stopping");
    for (size_t i = 0; i < e->jobs.count; i++)
        claims_end(e, e->jobs.jobs[i], &gone);
}

void engine_free(struct engine *e)
{
    if (!e)
        return;
    engine_end_waits(e);
    job_table_release(&e->jobs);
    store_free(e->store);
    folders_free(e->state_folders);
    fd_drop(&e->lock_fd);
    fd_drop(&e->watch_fd);
    fd_drop(&e->state_fd);
    group_release(&e->building);
    group_release(&e->committing);
    list_release(&e->active);
    list_release(&e->settled);
    list_release(&e->subscriptions);
    sodium_memzero(e->secret, sizeof e->secret);
    free(e->state_dir);
    free(e);
}

typedef enum op_fate op_verb(struct engine *e, struct op *op);

static void apply(struct engine *e, struct op *op)
{
    static op_verb *const verbs[OP_KIND_COUNT] = {
        [OP_START] = op_start,
        [OP_CONTROL] = op_control,
        [OP_CLAIM] = op_claim,
        [OP_SETTLE] = op_settle,
        [OP_RELEASE] = op_release_claim,
        [OP_EXTEND] = op_extend,
        [OP_REPORT] = op_report,
        [OP_LIST] = op_list,
        [OP_SUBSCRIBE] = op_subscribe,
        [OP_UNSUBSCRIBE] = op_unsubscribe,
        [OP_KEYS] = op_keys,
        [OP_STATS] = op_stats,
        [OP_DOCTOR] = op_doctor,
    };
    e->stats.ops++;
    enum op_fate fate = verbs[op->kind](e, op);
    /* Some verbs have a transaction of their own. */
    if (op->err.code == ERR_FATAL) {
        e->fatal = true;
        e->failure = op->err;
    }
    switch (fate) {
    case FATE_NOW:
        op->done(op);
        break;
    case FATE_DURABLE:
        list_add(&e->building.answers, op);
        break;
    case FATE_WAITS:
        break;
    }
}

/* Whether a waiting claim of the job could get something now. */
static bool is_worth_a_look(const struct data_job *job)
{
    if (!job->waiting || job->row.paused)
        return false;
    if (job_state_is_final(job->row.state))
        return !job->owed; /* an end that is not stored is told later */
    return job->again_now || ledger_count(job->ledger, RECORD_UNREAD) > 0;
}

/* Leases that are due, waits that are over; who has neither any more leaves the list. */
static void look_at_deadlines(struct engine *e)
{
    size_t kept = 0;
    for (size_t i = 0; i < e->active.count; i++) {
        struct data_job *job = e->active.items[i];
        leases_end_due(e, job);
        if (is_worth_a_look(job))
            claims_feed(e, job);
        claims_time_out(e, job);
        job->active = job->waiting || leases_count(job->leases);
        if (job->active)
            e->active.items[kept++] = job;
    }
    e->active.count = kept;
}

/* What follows from the group that was just made durable. */
static void follow_up(struct engine *e)
{
    for (size_t i = 0; i < e->active.count; i++) {
        struct data_job *job = e->active.items[i];
        if (is_worth_a_look(job))
            claims_feed(e, job);
    }
    for (size_t i = 0; i < e->settled.count; i++)
        job_advance(e, e->settled.items[i]);
    e->settled.count = 0;
    for (size_t i = 0; e->programs && i < e->jobs.count; i++) {
        struct data_job *job = e->jobs.jobs[i];
        if (!job->feed_in && !job->feed_out)
            continue;
        job_advance(e, job);
        if (job->waiting && !job->row.paused)
            claims_feed(e, job);
    }
}

/* What follows from what happened goes into the next group; when nothing stirs, followers are shown
 * how far jobs are. */
static bool stage_next(struct engine *e, bool *pending)
{
    follow_up(e);
    *pending = group_stage(e);
    if (!*pending)
        feed_progress(e);
    return true;
}

/* The end: whoever was not answered is told that nothing is sure. */
static bool refuse_all(struct engine *e, struct op *ops, struct err *err)
{
    *err = e->failure;
    for (size_t i = 0; i < e->building.answers.count; i++) {
        struct op *op = e->building.answers.items[i];
        op->err = *err;
        op->done(op);
    }
    e->building.answers.count = 0;
    engine_end_waits(e);
    while (ops) {
        struct op *op = ops;
        ops = op->next;
        op->err = *err;
        op->done(op);
    }
    return false;
}

bool engine_begin(struct engine *e, struct op *ops, struct instant now, bool *pending,
                  struct err *err)
{
    e->now = now;
    if (e->fatal)
        return refuse_all(e, ops, err);
    engine_retry(e);
    look_at_deadlines(e);
    watch_drain(e);
    while (ops) {
        struct op *op = ops;
        ops = op->next;
        op->next = NULL;
        apply(e, op);
        /* An op may flush on its way, and that may be the end. */
        if (e->fatal)
            return refuse_all(e, ops, err);
    }
    return stage_next(e, pending);
}

void engine_commit(struct engine *e)
{
    group_commit(e);
}

bool engine_commit_is_large(const struct engine *e)
{
    size_t bytes = 0;
    const struct list *answers = &e->committing.answers;
    for (size_t i = 0; i < answers->count && bytes < LARGE_COMMIT; i++) {
        const struct op *op = answers->items[i];
        if (op->kind != OP_SETTLE || op->settle.count == 0)
            continue;
        const struct settle_entry *last = &op->settle.entries[op->settle.count - 1];
        bytes += last->at + last->len;
    }
    return bytes >= LARGE_COMMIT;
}

void engine_claim_meanwhile(struct engine *e, struct op *claim, struct instant now)
{
    assert(e->in_commit && claim->kind == OP_CLAIM);
    e->now = now;
    apply(e, claim);
}

bool engine_finish(struct engine *e, struct instant now, bool *pending, struct err *err)
{
    e->now = now;
    group_finish(e);
    return e->fatal ? refuse_all(e, NULL, err) : stage_next(e, pending);
}

bool engine_step(struct engine *e, struct op *ops, struct instant now, struct err *err)
{
    bool pending = false, ok = engine_begin(e, ops, now, &pending, err);
    while (ok && pending) {
        engine_commit(e);
        ok = engine_finish(e, now, &pending, err);
    }
    return ok;
}

int64_t engine_next_us(const struct engine *e)
{
    int64_t next = e->progress_due_us < e->retry_at_us ? e->progress_due_us : e->retry_at_us;
    if (e->building.touched.count) /* decided while the engine was opened */
        return 0;
    for (size_t i = 0; i < e->active.count; i++) {
        const struct data_job *job = e->active.items[i];
        const struct lease *first = leases_first(job->leases);
        if (first && lease_ends_us(first) < next)
            next = lease_ends_us(first);
        if (job->again_now && job->waiting && !job->row.paused)
            return 0;
        for (const struct op *op = job->waiting; op; op = op->next)
            if (op->claim.wait_until_us < next && !claim_is_held(job, op))
                next = op->claim.wait_until_us;
    }
    return next;
}

void engine_token_hash(const struct engine *e, struct str token, uint8_t out[TOKEN_HASH_BYTES])
{
    crypto_generichash(out, TOKEN_HASH_BYTES, (const unsigned char *)token.ptr, token.len,
                       e->secret, sizeof e->secret);
}

const char *engine_state_dir(const struct engine *e)
{
    return e->state_dir;
}
