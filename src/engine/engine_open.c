/* engine_open.c: taking a state folder into use, and letting go of it. */
#include "base/file.h"
#include "base/log.h"
#include "engine/engine_state.h"
#include "engine/step_feed.h"
#include "engine/step_runs.h"
#include "store/event_store.h"
#include "store/ledger_store.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

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
           read_secret(e, err) && store_open(e->state_fd, e->state_dir, &e->store, err) &&
           blobs_take_up(e, err) && schedules_load(e, err);
}

static bool load_row(void *context, struct job_row *row, struct err *err)
{
    (void)err;
    engine_load_job(context, row);
    return true;
}

static bool load_page(void *context, const struct ledger_page *page, struct err *err)
{
    struct data_job *job = context;
    return ledger_load_page(job->ledger, page) ||
           err_set(err, ERR_INVALID, "page %lld of its ledger is damaged", (long long)page->number);
}

static bool load_attempt(void *context, const struct attempt_row *row, struct err *err)
{
    struct data_job *job = context;
    (void)err;
    attempts_set(job->attempts, row->record, row->attempts);
    return true;
}

static bool load_ledger(struct engine *e, struct tx *tx, struct data_job *job, struct err *err)
{
    if (!ledger_store_load(tx, job->row.id, load_page, job, err) ||
        !attempt_store_load(tx, job->row.id, load_attempt, job, err) ||
        !order_load(e, job, tx, err))
        return false;
    return ledger_load_known(job->ledger, job->row.progress.known) ||
           err_set(err, ERR_INVALID, "its ledger is damaged");
}

/* A job whose ledger makes no sense keeps nobody from the others. */
static bool must_load_ledger(struct engine *e, struct tx *tx, struct data_job *job, struct err *err)
{
    if (job->unreadable || load_ledger(e, tx, job, err))
        return true;
    if (err->code != ERR_INVALID)
        return false;
    data_job_give_up(job, err->text);
    return true;
}

static bool load_jobs(struct engine *e, struct err *err)
{
    OWNED(tx) struct tx *tx = NULL;
    if (!tx_begin(e->store, &tx, err) || !job_store_load(tx, load_row, e, err) ||
        !event_store_last(tx, &e->last_event, err) || !event_store_trim(tx, EVENTS_KEPT, err))
        return false;
    for (size_t i = 0; i < e->jobs.count; i++)
        if (!must_load_ledger(e, tx, e->jobs.jobs[i], err))
            return false;
    return tx_commit(tx, err);
}

/* Outputs of jobs that go on are cut back now, and their tails written into them, so that what a
 * reader of the file sees is what was acknowledged; a job whose output cannot be opened says so and
 * waits for it. */
static void recover_job(struct engine *e, struct data_job *job)
{
    struct err err = {0};
    bool has_tail = job->row.progress.tail_bytes > 0, ended = job_state_is_final(job->row.state);
    /* Of ids the output is the truth, and it may have been changed since: it is not cut but looked
     * through, when the job goes on. */
    if (job->unreadable || job->spec.id_key || (ended && !has_tail))
        return;
    bool ok = job->row.progress.sink_bytes < 0 || data_job_need_sink(e, job, &err);
    if (ok && has_tail)
        engine_touch(e, job); /* what is in the output now leaves the store */
    if (ok && ended) {
        list_add(&e->building.ended, job);
        return;
    }
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
    e->progress_due_us = e->retry_at_us = e->settle_due_us = e->blobs_due_us = NEVER_US;
    e->step_feed = step_feed_new();
    e->step_runs = step_runs_new();
    rng_init(&e->rng, options->seed);
    if (!open_state(e, err) || !load_jobs(e, err) || !tasks_open(e, err) || !steps_open(e, err))
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
    for (size_t i = 0; i < e->jobs.count; i++) {
        claims_end(e->jobs.jobs[i], &gone);
        settles_end(e->jobs.jobs[i], &gone);
    }
    store_ops_end(e, &gone);
    tasks_end_waits(e, &gone);
    steps_end_waits(e, &gone);
}

void engine_free(struct engine *e)
{
    if (!e)
        return;
    engine_end_waits(e);
    tasks_free(e);
    steps_free(e);
    step_feed_free(e->step_feed);
    step_runs_free(e->step_runs);
    job_table_release(&e->jobs);
    blobs_free(e->blobs);
    schedules_free(e);
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
    list_release(&e->store_ops);
    sodium_memzero(e->secret, sizeof e->secret);
    free(e->state_dir);
    free(e);
}

struct step_feed *engine_step_feed(const struct engine *e)
{
    return e->step_feed;
}

struct step_runs *engine_step_runs(const struct engine *e)
{
    return e->step_runs;
}

void engine_token_hash(const struct engine *e, struct str token, uint8_t out[TOKEN_HASH_BYTES])
{
    crypto_generichash(out, TOKEN_HASH_BYTES, (const unsigned char *)token.ptr, token.len,
                       e->secret, sizeof e->secret);
}
